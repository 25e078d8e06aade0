# What `scripts/run` asks of the echo service. It uses the shell's own /dev/tcp and /dev/udp: they
# are the kernel's sockets, and there is nothing to install.
set -euo pipefail

readonly ECHO_PORT=7
# Bytes of the long stream: more than any buffer between the two ends holds.
readonly STREAM_LEN=1000000
readonly STREAMS=20
readonly DATAGRAMS=50
readonly ECHO_S_MAX=20

# echo_stream ADDRESS FILE [PORT]: whether the bytes of FILE come back. It is written and read at the same
# time, as it is longer than what the connection holds.
echo_stream() {
    local len writer status=0
    len="$(stat -c %s "$2")"
    {
        timeout "$ECHO_S_MAX" cat "$2" >&3 &
        writer=$!
        timeout "$ECHO_S_MAX" head -c "$len" <&3 >answer || status=1
        kill "$writer" 2>/dev/null || :
        wait "$writer" 2>/dev/null || :
    } 3<>"/dev/tcp/$1/${3:-$ECHO_PORT}" || return 1
    ((status == 0)) && [[ "$(sha256sum <answer)" == "$(sha256sum <"$2")" ]]
}

# echo_datagram ADDRESS FILE: whether one datagram with FILE comes back whole. dd writes and reads
# a block at once, which is a datagram.
echo_datagram() {
    {
        dd if="$2" bs=65536 count=1 status=none >&3
        timeout 5 dd of=answer bs=65536 count=1 status=none <&3 || return 1
    } 3<>"/dev/udp/$1/$ECHO_PORT" || return 1
    [[ "$(sha256sum <answer)" == "$(sha256sum <"$2")" ]]
}

# Short streams on connections of their own, one long one, and datagrams of every size up to the
# longest that one packet holds.
echoes() {
    local address number begin long_ms=0 tcp=0 tcp_right=0 udp=0 udp_right=0 len
    fresh_folder echoes
    for address in 10.77.0.2 fd77::2; do
        for ((number = 1; number <= STREAMS; number++)); do
            seq "$number" "$((number * 50))" >question
            tcp="$((tcp + 1))"
            ! echo_stream "$address" question || tcp_right="$((tcp_right + 1))"
        done
        begin="$(microseconds)"
        tcp="$((tcp + 1))"
        ! echo_stream "$address" "$FOLDER/documents/$STREAM_LEN.txt" ||
            tcp_right="$((tcp_right + 1))"
        long_ms="$((long_ms + $(milliseconds "$begin")))"
        for ((number = 1; number <= DATAGRAMS; number++)); do
            # 1 to 1,442 bytes; over IPv6 and Ethernet 1,452 fit.
            len="$((1 + (number - 1) * 1441 / (DATAGRAMS - 1)))"
            head -c "$len" <(seq "$((number * 10000))" "$((number * 10000 + 500))") >question
            udp="$((udp + 1))"
            ! echo_datagram "$address" question || udp_right="$((udp_right + 1))"
        done
    done
    check echo_tcp "$tcp"
    check echo_tcp_wrong "$((tcp - tcp_right))"
    check echo_udp "$udp"
    check echo_udp_wrong "$((udp - udp_right))"
    figure echo_tcp_long_ms "$((long_ms / 2))"
    rm -rf -- "$FOLDER/echoes"
}
