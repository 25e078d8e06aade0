#!/usr/bin/env bash
# The test of `scripts/package`, in a lab and a mount namespace: `inside.sh ROOT` installs ROOT/packages
# in the fresh Debian below ROOT, uses them as a stranger would, and removes them.
set -euo pipefail

root="$1"
# Where `systemctl enable` puts its links; a machine with a service manager has it.
readonly WANTS=/etc/systemd/system/multi-user.target.wants

say() {
    printf 'package: %s\n' "$*"
}

fail() {
    say "FAILED: $*" >&2
    exit 1
}

inside() {
    chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive "$@"
}

mount_all() {
    mount -t proc proc "$root/proc" 2>/dev/null || mount --bind /proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount --bind /dev "$root/dev"
    mount -t tmpfs -o mode=0755 tmpfs "$root/run"
    mount -t tmpfs tmpfs "$root/tmp"
}

# Every name there is, with its kind, mode and owner, but what the kernel shows, what the test itself
# uses, the index that man-db makes of whatever manual there is, and what useradd keeps for itself. Then
# every user and group.
list() {
    (cd "$root" && find . ./run -xdev \( -path ./packages -o -path ./tmp -o -path ./var/cache/man \
        -o -path './etc/*-' -o -path ./etc/.pwd.lock \) -prune -o -printf '%y %m %u %p\n' | sort -u)
    inside getent passwd
    inside getent group
}

# What the unit makes, and an operator who is no more than that.
make_operator() {
    inside install -d -o abele-gateway -g abele -m 2755 /run/abele
    inside useradd --system --no-create-home --groups abele abele-operator
    inside useradd --system --no-create-home abele-stranger
}

as_user() {
    local user="$1"
    shift
    inside setpriv --reuid "$user" --regid "$user" --init-groups "$@"
}

# The group may use the tools, and nobody else may; who has not the right is told what mends it.
check_rights() {
    local name="$1" command
    for command in stats listeners reload; do
        as_user abele-operator abelectl "$command" --instance "$name" >/dev/null ||
            fail "an operator may not: abelectl $command"
        if as_user abele-stranger abelectl "$command" --instance "$name" >/dev/null 2>"$root/tmp/said"; then
            fail "everybody may: abelectl $command"
        fi
        grep -q 'sudo usermod -aG abele abele-stranger' "$root/tmp/said" ||
            fail "abelectl $command without rights: $(cat "$root/tmp/said")"
    done
}

install() {
    inside sh -c 'dpkg -i /packages/*.deb' >"$root/tmp/dpkg" 2>&1 ||
        fail "dpkg -i: $(cat "$root/tmp/dpkg")"
    say "installed: $(inside dpkg-query -W -f '${Package} ${Version}, ' abelectl bypssd 'abele-*')"
}

# The manual is found and is right in the eyes of groff; the completions are there and parse.
check_manual() {
    local page said name
    for page in '8 abele-gateway' '8 abele-gateway-run' '5 abele-gateway.toml' '8 abelectl' \
        '8 abelectl-stats' '8 bypssd' '8 bypssd-run' '5 bypssd.toml' '1 abele-bench' \
        '1 abele-bench-rr'; do
        # shellcheck disable=SC2086 # Two words are meant.
        inside man -w $page >/dev/null || fail "no page $page"
        # shellcheck disable=SC2086
        said="$(inside env MANROFFSEQ='' MANWIDTH=80 man --warnings -Tutf8 -Z $page \
            2>&1 >/dev/null)"
        [[ -z "$said" ]] || fail "page $page: $said"
    done
    for name in abele-gateway abelectl bypssd abele-bench; do
        inside bash -n "/usr/share/bash-completion/completions/$name"
        inside test -s "/usr/share/zsh/vendor-completions/_$name"
        inside test -s "/usr/share/fish/vendor_completions.d/$name.fish"
        inside "$name" --version >/dev/null || fail "$name does not start"
    done
    say "manual and completions are there"
}

# gateway_config NAME KIND ADDRESS SECTION: a configuration of the operator's own.
gateway_config() {
    cat >"$root/etc/abele/$1.toml" <<CONFIG
instance = "$1"
addresses = ["$3/24"]
[interface]
kind = "$2"
$4
[[listener]]
protocol = "http"
document_root = "/tmp/www"
CONFIG
}

# serve NAME ADDRESS WRAPPER...: one gateway, one request, the tools, the end.
serve() {
    local name="$1" address="$2" gateway line
    shift 2
    # A wrapper is entered outside, since what it names lies outside.
    coproc GATEWAY { exec "$@" chroot "$root" /usr/bin/abele-gateway run "/etc/abele/$name.toml" \
        2>"$root/tmp/$name.log"; }
    gateway="$GATEWAY_PID"
    read -r -t 20 line <&"${GATEWAY[0]}" || fail "not ready: $(cat "$root/tmp/$name.log")"
    [[ "$line" == "ready: $address, http 80" ]] || fail "$name is ready with: $line"
    [[ "$(inside curl -sS --max-time 5 "http://$address/")" == "hello" ]] || fail "$name: curl"
    inside abelectl stats --instance "$name" --json >"$root/tmp/stats" || fail "abelectl stats"
    grep -q '"http_200":1[,}]' "$root/tmp/stats" || fail "the request is not counted"
    inside abelectl connections --instance "$name" >/dev/null || fail "abelectl connections"
    check_rights "$name"
    kill -TERM "$gateway"
    wait "$gateway" || fail "$name ended with $?: $(cat "$root/tmp/$name.log")"
    say "served from $name"
}

# serve_switch: the switch of the example, its health, the end.
serve_switch() {
    local switch line
    inside bypssd check /etc/bypssd/example.toml >/dev/null || fail "check of the switch's example"
    coproc SWITCH { exec chroot "$root" /usr/bin/bypssd run /etc/bypssd/example.toml \
        2>"$root/tmp/bypssd.log"; }
    switch="$SWITCH_PID"
    read -r -t 20 line <&"${SWITCH[0]}" || fail "not ready: $(cat "$root/tmp/bypssd.log")"
    [[ "$line" == "ready: listening on 127.0.0.1:7400, "* ]] || fail "bypssd is ready with: $line"
    [[ "$(inside curl -sS --max-time 5 http://127.0.0.1:7401/livez)" == "the worker turns" ]] ||
        fail "bypssd: livez"
    kill -TERM "$switch"
    wait "$switch" || fail "bypssd ended with $?: $(cat "$root/tmp/bypssd.log")"
    say "served from bypssd"
}

main() {
    mount_all
    mkdir -p "$root$WANTS"
    list >"$root/tmp/before"
    install
    check_manual
    inside abele-gateway check /etc/abele/example.toml >/dev/null || fail "check of the example"
    make_operator
    mkdir "$root/tmp/www"
    echo hello >"$root/tmp/www/index.html"
    gateway_config tap tap 10.78.0.2 \
        $'name = "abele9"\nkernel_addresses = ["10.78.0.1/24"]'
    gateway_config af_xdp af_xdp 10.77.0.2 $'name = "abele0"\n[workers]\ncount = 2'
    serve tap 10.78.0.2 env
    serve af_xdp 10.77.0.2 nsenter --net="$ABELE_GATEWAY_NETNS" --
    serve_switch
    # What an operator leaves behind: an instance that starts with the machine, a folder of a killed
    # gateway, a changed example. Removing keeps the example, purging does not.
    rm "$root"/etc/abele/{tap,af_xdp}.toml
    ln -s /usr/lib/systemd/system/abele-gateway@.service \
        "$root$WANTS/abele-gateway@tap.service"
    ln -s /usr/lib/systemd/system/abele-export.service "$root$WANTS/abele-export.service"
    mkdir -p "$root/run/abele/tap"
    inside userdel abele-operator
    inside userdel abele-stranger
    echo '# changed' >>"$root/etc/abele/example.toml"
    inside dpkg -r abele-gateway >/dev/null
    grep -q '^# changed$' "$root/etc/abele/example.toml" || fail "removing took the configuration"
    ln -s /usr/lib/systemd/system/bypssd.service "$root$WANTS/bypssd.service"
    mkdir -p "$root/var/lib/bypssd"
    inside dpkg -P abele-gateway abelectl bypssd abele-bench >/dev/null
    list >"$root/tmp/after"
    diff "$root/tmp/before" "$root/tmp/after" ||
        fail "purging leaves (>) or takes (<) what stands above"
    say "purged: nothing is left"
}

main
