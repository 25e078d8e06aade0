# The kernel beside the gateway on one interface: its own addresses and a service of its own, which
# the gateway must leave alone.
set -euo pipefail

readonly BESIDE=(10.77.0.3 fd77::3)
readonly BESIDE_PORT=8080
readonly BESIDE_STREAMS=20

# The kernel's end of the gateway's interface gets addresses, and a service that sends back what it
# is sent.
start_kernel_beside() {
    "${to_gateway[@]}" ip address add "${BESIDE[0]}/24" dev abele0
    "${to_gateway[@]}" ip address add "${BESIDE[1]}/64" dev abele0 nodad
    "${to_gateway[@]}" socat "TCP6-LISTEN:$BESIDE_PORT,ipv6only=0,fork,reuseaddr" PIPE \
        2>>"$FOLDER/errors" &
    beside=$!
}

kernel_beside() {
    local address number asked=0 right=0
    fresh_folder kernel_beside
    one_ping beside_ping 4 "${BESIDE[0]}"
    one_ping beside_ping6 6 "${BESIDE[1]}"
    for address in "${BESIDE[@]}"; do
        for ((number = 1; number <= BESIDE_STREAMS; number++)); do
            seq "$number" "$((number * 50))" >question
            asked="$((asked + 1))"
            ! echo_stream "$address" question "$BESIDE_PORT" || right="$((right + 1))"
        done
    done
    check beside_tcp "$asked"
    check beside_tcp_wrong "$((asked - right))"
    rm -rf -- "$FOLDER/kernel_beside"
}
