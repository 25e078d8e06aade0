# Whether the gateway can take the queues of a veth pair here: it serves for a moment.
set -euo pipefail

# shellcheck source=scripts/lib/run/configuration.sh
source scripts/lib/run/configuration.sh

folder="$(mktemp --directory --tmpdir abele-probe.XXXXXXXX)"
trap 'rm -rf -- "$folder"' EXIT
mkdir -- "$folder/documents"
configuration af_xdp "${folder##*/}" >"$folder/abele-gateway.toml"
"${to_gateway[@]}" "$ABELE_GATEWAY" run --for 0.01 "$folder/abele-gateway.toml" \
    2>"$folder/told" >/dev/null || {
    sed -n 's/^abele-gateway: /run: /p' "$folder/told" >&2
    exit 3
}
