# What `scripts/run` found: kept in order, judged, and printed as a table and as JSON.
set -euo pipefail

declare -A checks=() figures=()
check_names=()
figure_names=()
# What went wrong beside an answer: a sentence each.
faults=()

# note KIND NAME VALUE: keeps what a phase printed.
note() {
    case "$1" in
        check)
            checks[$2]="$3"
            check_names+=("$2")
            ;;
        figure)
            figures[$2]="$3"
            figure_names+=("$2")
            ;;
        *) fault "a phase said \"$*\"" ;;
    esac
}

fault() {
    say "$1"
    faults+=("$1")
}

# Whether every request was answered rightly. Phases that were not finished are faults.
is_right() {
    local name
    ((${#faults[@]} == 0)) || return 1
    for name in "${check_names[@]}"; do
        case "$name" in
            *_wrong | *_lost) ((checks[$name] == 0)) || return 1 ;;
        esac
    done
    [[ "${checks[file_hash_equal]:-}" == true && "${checks[file_bytes]:-}" == "$FILE_LEN" ]]
}

# seconds MILLISECONDS
seconds() {
    printf '%d.%02d' "$(($1 / 1000))" "$(($1 % 1000 / 10))"
}

# line COLUMN...: without blanks at its end.
line() {
    local text
    printf -v text '%-36s %9s %7s %9s  %s' "$@"
    printf '%s\n' "${text%"${text##*[! ]}"}"
}

# row WHAT ASKED WRONG [MILLISECONDS RATE]; nothing where it was not asked.
row() {
    [[ -n "$2" ]] || return 0
    local time=''
    [[ -z "${4:-}" ]] || time="$(seconds "$4")"
    line "$1" "$2" "$3" "$time" "${5:-}"
}

# file_row FAMILY: the transfer, which is right or not as a whole.
file_row() {
    local bits="${figures[file_v$1_bits_per_s]:-}"
    [[ -n "$bits" ]] || return 0
    row "$FILE_LEN bytes over IPv$1" 1 "${checks[file_wrong]}" "${figures[file_v$1_ms]}" \
        "$(seconds "$((bits / 1000000))") Gbit/s"
}

rows() {
    local curl_rate='' keepalive_rate=''
    [[ -z "${figures[curl_per_s]:-}" ]] || curl_rate="${figures[curl_per_s]}/s"
    [[ -z "${figures[keepalive_per_s]:-}" ]] || keepalive_rate="${figures[keepalive_per_s]}/s"
    line what asked wrong seconds rate
    row "ping" "${checks[ping]:-}" "${checks[ping_lost]:-}"
    row "ping over IPv6" "${checks[ping6]:-}" "${checks[ping6_lost]:-}"
    row "HTTP, a process of curl each" "${checks[curl]:-}" "${checks[curl_wrong]:-}" \
        "${figures[curl_ms]:-}" "$curl_rate"
    row "HTTP, on ${checks[keepalive_connections]:-} connections" "${checks[keepalive]:-}" \
        "${checks[keepalive_wrong]:-}" "${figures[keepalive_ms]:-}" "$keepalive_rate"
    row "HEAD, then GET" "${checks[head]:-}" "${checks[head_wrong]:-}"
    row "404, 405" "${checks[refused]:-}" "${checks[refused_wrong]:-}"
    row "echo over TCP" "${checks[echo_tcp]:-}" "${checks[echo_tcp_wrong]:-}"
    row "echo over UDP" "${checks[echo_udp]:-}" "${checks[echo_udp_wrong]:-}"
    file_row 4
    file_row 6
    row "ping to the kernel beside it" "${checks[beside_ping]:-}" "${checks[beside_ping_lost]:-}"
    row "the same over IPv6" "${checks[beside_ping6]:-}" "${checks[beside_ping6_lost]:-}"
    row "echo over TCP by the kernel" "${checks[beside_tcp]:-}" "${checks[beside_tcp_wrong]:-}"
}

# Where the lab is, in the reader's words.
place() {
    local rights="a user namespace, without rights"
    [[ ! "$(</proc/self/uid_map)" =~ 4294967295 ]] || rights="root"
    if [[ "$QUEUE" == af_xdp ]]; then
        printf '%s' "AF_XDP on veth abele0, $rights; $WORKERS_AF_XDP workers"
    else
        printf '%s' "TAP device abele0, $rights; one worker"
    fi
    printf '%s' ", $(nproc) cores on the machine"
}

# The table is on standard output, unless that is for JSON.
table() {
    local out=1
    [[ "$ABELE_RUN_JSON" != true ]] || out=2
    printf '\n%s\n\n%s\n\n' "$(place)" "$(rows)" >&"$out"
}

# The line that brings another terminal into the lab.
how_to_try() {
    local out=1 process until="until Ctrl-C" enter="nsenter --net"
    [[ "$ABELE_RUN_JSON" != true ]] || out=2
    # Its own number in the machine's /proc, not that of the lab.
    read -r process _ </proc/self/stat
    if [[ ! "$(</proc/self/uid_map)" =~ 4294967295 ]]; then
        enter="nsenter --preserve-credentials --user --net"
    fi
    [[ -z "$ABELE_RUN_FOR" ]] || until="until $ABELE_RUN_FOR s after it was ready"
    cat >&"$out" <<END
It stays up $until. Try it from another terminal, as the same user:

  $enter --target $process curl -s http://10.77.0.2/100.txt
  $enter --target $process curl -s 'http://[fd77::2]/100.txt'
  $enter --target $process ping -c 3 10.77.0.2

and from anywhere:

  ${ABELE_RUN_GATEWAY%/*}/abelectl top --instance ${FOLDER##*/}

END
}

# json_object NAMES VALUES: names of two variables.
json_object() {
    local -n names="$1" values="$2"
    local name separator=''
    printf '{'
    for name in "${names[@]}"; do
        printf '%s"%s":%s' "$separator" "$name" "${values[$name]}"
        separator=,
    done
    printf '}'
}

# The report as one line. Every value is a number or a truth value.
json() {
    local verdict=false is_user=true
    ! is_right || verdict=true
    [[ ! "$(</proc/self/uid_map)" =~ 4294967295 ]] || is_user=false
    check_names=(ok "${check_names[@]}")
    checks[ok]="$verdict"
    printf '{"run":{"queue":"%s","root":%s,"user_namespace":%s},"checks":%s,"figures":%s}\n' \
        "$QUEUE" "$ABELE_RUN_ROOT" "$is_user" "$(json_object check_names checks)" \
        "$(json_object figure_names figures)"
}
