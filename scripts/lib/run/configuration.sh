# The gateway's configuration in the lab, by kind of queue.
set -euo pipefail

readonly WORKERS_AF_XDP=2

# configuration KIND INSTANCE: prints it.
configuration() {
    cat <<END
instance = "$2"
addresses = ["10.77.0.2/24", "fd77::2/64"]

[interface]
name = "abele0"
END
    case "$1" in
        af_xdp)
            cat <<END
kind = "af_xdp"
# Behind the driver, veth gives every packet to queue 0.
xdp_mode = "native"

[workers]
count = $WORKERS_AF_XDP
END
            ;;
        tap)
            cat <<'END'
kind = "tap"
kernel_addresses = ["10.77.0.1/24", "fd77::1/64"]
END
            ;;
    esac
    cat <<'END'

[[listener]]
protocol = "http"
tcp_port = 80
document_root = "documents"

[[listener]]
protocol = "echo"
tcp_port = 7
udp = true

# Less than a stop may take here, whoever still holds a connection.
[drain]
timeout_s = 3
END
}

# What stands before a command that is to run where the gateway's interface is. No function: in the
# background that would be a process of the shell's own.
to_gateway=()
if [[ "$ABELE_LAB" == veth ]]; then
    to_gateway=(nsenter --net="$ABELE_GATEWAY_NETNS" --)
fi
readonly to_gateway
