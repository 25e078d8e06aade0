# What `scripts/run` starts in its lab: makes the documents, starts the gateway, asks, reports,
# stays up, cleans up. Its arguments come in ABELE_RUN_*; it makes the folder that is named there,
# and outside of it there is only what the gateway makes for its tools, under the same name.
#
# Ctrl-C must be heard at once, and bash hears signals between two commands and in `wait` only. So
# whatever takes long runs in the background, and the end of the lab ends it.
set -euo pipefail

[[ -n "${ABELE_LAB:-}" ]] || {
    echo "inside.sh: it is scripts/run that starts this, in a lab" >&2
    exit 2
}
export LC_ALL=C
readonly LIB="scripts/lib/run"
# shellcheck source=scripts/lib/run/configuration.sh
source "$LIB/configuration.sh"
# shellcheck source=scripts/lib/run/documents.sh
source "$LIB/documents.sh"
# shellcheck source=scripts/lib/run/requests.sh
source "$LIB/requests.sh"
# shellcheck source=scripts/lib/run/echoes.sh
source "$LIB/echoes.sh"
# shellcheck source=scripts/lib/run/beside.sh
source "$LIB/beside.sh"
# shellcheck source=scripts/lib/run/report.sh
source "$LIB/report.sh"
# shellcheck source=scripts/lib/run/instance.sh
source "$LIB/instance.sh"

readonly FOLDER="$ABELE_RUN_FOLDER"
readonly REQUESTS="$ABELE_RUN_REQUESTS"
readonly QUEUE="$ABELE_RUN_QUEUE"
# The time that memory and documents may take to be read on a busy machine.
readonly READY_S_MAX=60
# The longest that one kind of request may take: some times what the largest takes on two cores.
readonly PHASE_S_MAX=180
readonly STOP_S_MAX=10
# The same where nobody asks any more whether it ends rightly.
readonly GRACE_S_MAX=3

gateway=''     # its process
beside=''      # the kernel's service on the gateway's interface
phase=''       # the process of what is asked now
stage=starting # then asking, serving, ending
ready_us=0     # when it was ready

say() {
    printf 'run: %s\n' "$*" >&2
}

microseconds() {
    printf '%s' "${EPOCHREALTIME/[.,]/}"
}

# silence PROCESS SIGNAL: ends a process of which the shell shall not tell.
silence() {
    disown "$1" 2>/dev/null || :
    kill "-$2" "$1" 2>/dev/null || :
}

# end PROCESS: SIGTERM, so that it removes what it has made, and SIGKILL if it does not go.
end() {
    local signal try
    for signal in TERM KILL; do
        silence "$1" "$signal"
        for ((try = 0; try < GRACE_S_MAX * 50; try++)); do
            kill -0 "$1" 2>/dev/null || return 0
            sleep 0.02
        done
    done
}

clean_up() {
    trap '' INT TERM HUP
    [[ -z "$phase" ]] || silence "$phase" KILL
    [[ -z "$gateway" ]] || end "$gateway"
    [[ -z "$beside" ]] || silence "$beside" KILL
    # One that was killed, by this or by somebody else, has left its files for the tools.
    remove_instance "${FOLDER##*/}"
    # A request under way may add a file between the two steps of a removal.
    local try
    for try in {1..50}; do
        rm -rf -- "$FOLDER" 2>/dev/null && break
        sleep 0.02
    done
}

# on_signal STATUS: while it serves, a signal is how it ends; before, the answers are not complete.
on_signal() {
    [[ "$stage" != serving ]] || finish
    say "stopped before the last answer"
    exit "$1"
}

# What the gateway said, for the reader of a failure.
show_log() {
    say "the last lines of the gateway:"
    tail -q -n 20 "$FOLDER/gateway.out" "$FOLDER/gateway.err" >&2
}

# Starts the gateway and waits for its line. In a session of its own the terminal's Ctrl-C does not
# reach it; it is stopped when the requests are.
start_gateway() {
    local begin status=0
    begin="$(microseconds)"
    "${to_gateway[@]}" setsid -- "$ABELE_RUN_GATEWAY" run "$FOLDER/abele-gateway.toml" \
        >"$FOLDER/gateway.out" 2>"$FOLDER/gateway.err" &
    gateway=$!
    until grep -q '^ready: ' "$FOLDER/gateway.out"; do
        if ! kill -0 "$gateway" 2>/dev/null; then
            wait "$gateway" || status=$?
            gateway=''
            show_log
            say "the gateway ended with status $status before it was ready"
            # What the machine lacks stays that; a wrong configuration is a fault of this script.
            exit "$((status == 3 ? 3 : 1))"
        fi
        if (($(microseconds) - begin > READY_S_MAX * 1000000)); then
            show_log
            say "the gateway was not ready within $READY_S_MAX s"
            exit 1
        fi
        sleep 0.01
    done
    ready_us="$(microseconds)"
    note figure ready_ms "$(((ready_us - begin) / 1000))"
}

# wait_at_most SECONDS PROCESS...: the status of the first that ends; if none does in time, all run.
wait_at_most() {
    local timer status=0
    sleep "$1" &
    timer=$!
    wait -n "$timer" "${@:2}" || status=$?
    silence "$timer" TERM
    return "$status"
}

# ask PHASE: runs the function PHASE in the background and notes what it prints, `check` and
# `figure` lines. Exit status 1: it took too long, or the gateway is gone.
ask() {
    local status=0 kind name value
    say "asking: $1"
    "$1" >"$FOLDER/told" 2>>"$FOLDER/errors" &
    phase=$!
    wait_at_most "$PHASE_S_MAX" "$phase" "$gateway" || status=$?
    if ! kill -0 "$gateway" 2>/dev/null; then
        fault "the gateway ended with status $status"
        gateway=''
        return 1
    fi
    if kill -0 "$phase" 2>/dev/null; then
        say "$1 took more than $PHASE_S_MAX s"
        return 1
    fi
    phase=''
    ((status == 0)) || {
        say "$1 could not be asked: status $status"
        return 1
    }
    while read -r kind name value; do
        note "$kind" "$name" "$value"
    done <"$FOLDER/told"
}

ask_all() {
    local one
    local phases=(pings processes keepalive methods echoes file)
    [[ "$QUEUE" != af_xdp ]] || phases+=(kernel_beside)
    for one in "${phases[@]}"; do
        ask "$one" || {
            fault "$one was not finished"
            break
        }
    done
}

# Stops the gateway, which must end by itself and rightly.
stop_gateway() {
    [[ -n "$gateway" ]] || return 0
    local status=0
    kill -TERM "$gateway" 2>/dev/null || :
    wait_at_most "$STOP_S_MAX" "$gateway" || status=$?
    if kill -0 "$gateway" 2>/dev/null; then
        fault "the gateway did not stop within $STOP_S_MAX s"
        end "$gateway"
    elif ((status != 0)); then
        fault "the gateway ended with status $status"
    fi
    gateway=''
}

# Ends the run: with the verdict as exit status.
finish() {
    trap '' INT TERM HUP
    stage=ending
    stop_gateway
    sed -n '/^summary:/,$p' "$FOLDER/gateway.out" >&2
    note figure run_ms "$((($(microseconds) - begin_us + ABELE_RUN_BUILD_US) / 1000))"
    if ! is_right; then
        head -n 20 "$FOLDER/errors" >&2
        show_log
    fi
    [[ "$ABELE_RUN_JSON" != true ]] || json
    is_right && exit 0
    say "WRONG: not every request was answered rightly"
    exit 1
}

# Sets `left` to the seconds that it still has to stay up: `infinity` without --for, empty if there
# are none.
count_down() {
    local whole="${ABELE_RUN_FOR%%.*}" part='' left_us
    left=infinity
    [[ -n "$ABELE_RUN_FOR" ]] || return 0
    [[ "$ABELE_RUN_FOR" != *.* ]] || part="${ABELE_RUN_FOR#*.}"
    # Six digits behind the point are microseconds.
    part="${part}000000"
    left_us="$((ready_us + 10#$whole * 1000000 + 10#${part:0:6} - $(microseconds)))"
    left=''
    ((left_us <= 0)) || printf -v left '%d.%06d' "$((left_us / 1000000))" "$((left_us % 1000000))"
}

# Waits until the time is over; a signal ends it through on_signal.
serve() {
    local left status=0
    count_down
    [[ -n "$left" ]] || return 0
    how_to_try
    stage=serving
    wait_at_most "$left" "$gateway" || status=$?
    kill -0 "$gateway" 2>/dev/null || {
        gateway=''
        fault "the gateway ended with status $status while it should serve"
    }
}

begin_us="$(microseconds)"
umask 077
trap clean_up EXIT
trap 'on_signal 130' INT
trap 'on_signal 143' TERM
trap 'on_signal 129' HUP
mkdir -- "$FOLDER"
: >"$FOLDER/errors"
note figure build_ms "$((ABELE_RUN_BUILD_US / 1000))"
make_documents
configuration "$QUEUE" "${FOLDER##*/}" >"$FOLDER/abele-gateway.toml"
[[ "$QUEUE" != af_xdp ]] || start_kernel_beside
start_gateway
say "$(grep '^ready: ' "$FOLDER/gateway.out")"
stage=asking
ask_all
table
if is_right; then
    serve
fi
finish
