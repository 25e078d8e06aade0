# What `scripts/run` asks with ping and curl. Each function is a phase: it runs in a process of its
# own and prints `check NAME VALUE` and `figure NAME VALUE` lines.
set -euo pipefail

readonly PINGS=100
# Processes of curl at a time: enough to keep two cores busy, too few to starve the gateway.
readonly PROCESSES_AT_ONCE=16
readonly KEEPALIVE_CONNECTIONS=8
readonly KEEPALIVE_PER_REQUEST=4
# A small machine under other load answers late; what hangs is wrong.
readonly CURL=(curl --disable --silent --show-error --globoff --noproxy '*' --max-time 60)

# check NAME VALUE, figure NAME VALUE: what a phase has to say.
check() {
    printf 'check %s %s\n' "$1" "$2"
}

figure() {
    printf 'figure %s %s\n' "$1" "$2"
}

# milliseconds BEGIN: since then, at least one.
milliseconds() {
    local ms="$((($(microseconds) - $1) / 1000))"
    printf '%s' "$((ms > 0 ? ms : 1))"
}

# Prints the larger of two numbers.
larger() {
    printf '%s' "$(($1 > $2 ? $1 : $2))"
}

# Prints how many lines of file $2 match $1.
lines_with() {
    grep -c -e "$1" "$2" || :
}

# Prints the address to use in URL number $1: IPv4 and IPv6 by turns.
address_of() {
    (($1 % 2)) && printf '[fd77::2]' || printf '10.77.0.2'
}

# Sets `len` to that of the document which request number $1 asks for. Both families ask for all.
choose_len() {
    local turn="$(($1 / 2))"
    case "$((turn % 100 == 99 ? 3 : turn % 3))" in
        0) len=100 ;;
        1) len=10000 ;;
        2) len=0 ;;
        *) len=1000000 ;;
    esac
}

# hashes COUNT: the hashes that the bodies body/0 to body/COUNT-1 must have.
hashes() {
    local number len
    for ((number = 0; number < $1; number++)); do
        choose_len "$number"
        printf '%s  body/%d\n' "${hash_of[$len]}" "$number"
    done
}

# count_wrong COUNT: prints how many of so many answers are wrong: their hash, or their status in
# the file `status`, or what curl said of them in the file `said`.
count_wrong() {
    local hashes_wrong status_wrong said
    hashes "$1" >hashes
    sha256sum --check hashes >verdicts 2>>said || :
    hashes_wrong="$(($1 - $(lines_with ': OK$' verdicts)))"
    status_wrong="$(($1 - $(lines_with '^200 ' status)))"
    said="$(lines_with '^curl: ' said)"
    cat said >&2
    larger "$hashes_wrong" "$(larger "$status_wrong" "$said")"
}

# Enters an empty folder with one for the bodies.
fresh_folder() {
    rm -rf -- "${FOLDER:?}/$1"
    mkdir -p -- "$FOLDER/$1/body"
    cd "$FOLDER/$1"
}

one_ping() {
    local said received
    said="$(ping "-$2" -n -q -c "$PINGS" -i 0.01 -W 2 "$3" 2>&1)" || :
    received="$(sed -n 's/^.* \([0-9]*\) received.*$/\1/p' <<<"$said")"
    check "$1" "${received:-0}"
    check "$1_lost" "$((PINGS - ${received:-0}))"
    ((${received:-0} == PINGS)) || printf '%s\n' "$said" >&2
}

pings() {
    one_ping ping 4 10.77.0.2
    one_ping ping6 6 fd77::2
}

# Each request in a process of its own, so on a connection of its own.
processes() {
    local begin number len ms
    fresh_folder processes
    for ((number = 0; number < REQUESTS; number++)); do
        choose_len "$number"
        printf -- '-o body/%d http://%s/%d.txt\n' "$number" "$(address_of "$number")" "$len"
    done >requests
    begin="$(microseconds)"
    xargs -P "$PROCESSES_AT_ONCE" -L 1 \
        "${CURL[@]}" --fail --write-out '%{http_code} %{num_connects}\n' \
        <requests >>status 2>said || :
    ms="$(milliseconds "$begin")"
    check curl "$REQUESTS"
    check curl_wrong "$(count_wrong "$REQUESTS")"
    figure curl_ms "$ms"
    figure curl_per_s "$((REQUESTS * 1000 / ms))"
    rm -rf -- "$FOLDER/processes"
}

# Many requests on few connections, which must last.
keepalive() {
    local begin number len ms count connections connection pids=()
    fresh_folder keepalive
    count="$((REQUESTS * KEEPALIVE_PER_REQUEST))"
    # An even number of connections: each one belongs to one family.
    for ((number = 0; number < count; number++)); do
        choose_len "$number"
        printf 'url = "http://%s/%d.txt"\noutput = "body/%d"\n' \
            "$(address_of "$number")" "$len" "$number" \
            >>"connection.$((number % KEEPALIVE_CONNECTIONS))"
    done
    begin="$(microseconds)"
    for ((connection = 0; connection < KEEPALIVE_CONNECTIONS; connection++)); do
        "${CURL[@]}" --fail --write-out '%{http_code} %{num_connects}\n' \
            --config "connection.$connection" >"status.$connection" 2>>said &
        pids+=("$!")
    done
    # What curl thinks of its answers is in its messages.
    wait "${pids[@]}" || :
    ms="$(milliseconds "$begin")"
    cat status.* >status
    connections="$((count - $(lines_with ' 0$' status)))"
    check keepalive "$count"
    check keepalive_wrong "$(count_wrong "$count")"
    check keepalive_connections "$connections"
    check keepalive_lost "$((connections - KEEPALIVE_CONNECTIONS))"
    figure keepalive_ms "$ms"
    figure keepalive_per_s "$((count * 1000 / ms))"
    rm -rf -- "$FOLDER/keepalive"
}

# head_is_right ADDRESS LEN: HEAD tells the length and sends no body: the next answer on the same
# connection is whole.
head_is_right() {
    local url="http://$1/$2.txt" codes hash
    codes="$("${CURL[@]}" --head --output head --write-out '%{http_code} %{num_connects}\n' "$url" \
        --next "${CURL[@]:1}" --output next --write-out '%{http_code} %{num_connects}\n' "$url")" ||
        return 1
    hash="$(sha256sum <next)"
    [[ "$codes" == $'200 1\n200 0' && "${hash%% *}" == "${hash_of[$2]}" ]] &&
        grep -q -i "^content-length: $2"$'\r$' head
}

# is_refused ADDRESS STATUS PATH METHOD
is_refused() {
    local code
    code="$("${CURL[@]}" --request "$4" --dump-header head --output body/refused \
        --write-out '%{http_code}' "http://$1/$3")" || return 1
    [[ "$code" == "$2" ]] && { [[ "$2" != 405 ]] || grep -q -i '^allow: .*GET' head; }
}

# What is no plain GET of what is there.
methods() {
    local address len heads=0 missing=0 refused=0 count=0
    fresh_folder methods
    for address in 10.77.0.2 '[fd77::2]'; do
        for len in 0 100 10000 1000000; do
            count="$((count + 1))"
            ! head_is_right "$address" "$len" || heads="$((heads + 1))"
        done
        ! is_refused "$address" 404 missing.txt GET || missing="$((missing + 1))"
        ! is_refused "$address" 405 100.txt DELETE || refused="$((refused + 1))"
    done
    check head "$count"
    check head_wrong "$((count - heads))"
    check refused 4
    check refused_wrong "$((4 - missing - refused))"
    rm -rf -- "$FOLDER/methods"
}

# The largest document, once over each family.
file() {
    local begin family address hash bytes least="$FILE_LEN" ms wrong=0
    fresh_folder file
    for family in 4 6; do
        address="$(address_of "$((family == 6))")"
        begin="$(microseconds)"
        hash="$("${CURL[@]}" --fail --write-out '%{stderr}%{size_download}\n' \
            "http://$address/$FILE_LEN.txt" 2>size | sha256sum)" || :
        ms="$(milliseconds "$begin")"
        bytes="$(tail -n 1 size)"
        [[ "$bytes" =~ ^[0-9]+$ ]] || bytes=0
        ((bytes >= least)) || least="$bytes"
        [[ "${hash%% *}" == "${hash_of[$FILE_LEN]}" ]] || {
            wrong="$((wrong + 1))"
            cat size >&2
        }
        figure "file_v${family}_ms" "$ms"
        figure "file_v${family}_bits_per_s" "$((bytes * 8000 / ms))"
    done
    check file_wrong "$wrong"
    check file_bytes "$least"
    check file_hash_equal "$( ((wrong == 0)) && echo true || echo false)"
    rm -rf -- "$FOLDER/file"
}
