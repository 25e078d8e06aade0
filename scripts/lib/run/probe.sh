# Whether the gateway can take the queues of a veth pair here: it serves for a moment.
set -euo pipefail

# shellcheck source=scripts/lib/run/configuration.sh
source scripts/lib/run/configuration.sh
# shellcheck source=scripts/lib/run/instance.sh
source scripts/lib/run/instance.sh

# The run's own name, so that what a killed probe leaves is removed as what a killed run leaves.
folder="$ABELE_RUN_FOLDER"
trap 'remove_instance "${folder##*/}"; rm -rf -- "$folder"' EXIT
mkdir -- "$folder" "$folder/documents"
configuration af_xdp "${folder##*/}" >"$folder/abele-gateway.toml"
"${to_gateway[@]}" "$ABELE_GATEWAY" run --for 0.01 "$folder/abele-gateway.toml" \
    2>"$folder/told" >/dev/null || {
    sed -n 's/^abele-gateway: /run: /p' "$folder/told" >&2
    exit 3
}
