// Steers frames: what is for the gateway's addresses goes to the socket of its queue, all else
// passes to the kernel, so that ssh and every other service of the machine stays.
//
// It is no firewall for the kernel and no stack: it touches no packet that is not for an address
// of the gateway, answers nothing and changes nothing.
//
// Why it is built this way. The naive program redirects the whole queue and lets user space hand
// back what is not its own: then the machine's owner loses ssh with the first bug. The next one
// drops SYNs above a rate per source: a flood from random addresses is a new source each time and
// passes as a whole, and the table of sources forgets the honest ones. So a SYN of a source that
// nobody knows takes a second token, from a budget that all strangers share, and one that finds
// none is dropped but remembered: whoever sends it again after a second, as every TCP does and no
// flood of random addresses, comes in. Sources that are known pay for themselves only.
//
//   frame -> whose is it? -> access list -> budgets -> XSKMAP[queue] -> the gateway
//               |                |             |            |
//               v pass           v drop        v drop       v drop, without a socket
//
// It touches no structure of the kernel, only packets and the stable `struct xdp_md`, so there is
// nothing to relocate and one object file fits every kernel from 5.18 on.
//
// Each function that judges gives a reason, and the reason gives the verdict: see abi.h.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "maps.h"

#include "budget.h"

// Ethertypes and protocols by the names of their RFCs; the system's headers have no ICMPv6.
#define NEXT_HOP_BY_HOP 0
#define NEXT_ROUTING 43
#define NEXT_FRAGMENT 44
#define NEXT_AUTHENTICATION 51
#define NEXT_ICMPV6 58
#define NEXT_DESTINATION 60
#define NEXT_MOBILITY 135
#define NEXT_HIP 139
#define NEXT_SHIM6 140
#define ND_TYPE_FIRST 133
#define ND_TYPE_LAST 137
#define ND_SOLICITATION 135
#define ND_ADVERTISEMENT 136
#define ND_HOP_LIMIT 255
#define FRAGMENT_MASK 0x3fff

// An ARP packet for IPv4 over Ethernet.
struct arp {
    __be16 hardware;
    __be16 protocol;
    __u8 hardware_len;
    __u8 protocol_len;
    __be16 operation;
    __u8 sender_mac[ETH_ALEN];
    __u8 sender[4];
    __u8 target_mac[ETH_ALEN];
    __u8 target[4];
} __attribute__((packed));

// A neighbour solicitation or advertisement, up to its options.
struct neighbour {
    __u8 type;
    __u8 code;
    __be16 checksum;
    __be32 flags;
    struct address target;
};

// The frame: `at` moves from header to header, `end` is behind the last byte that can be read.
struct cursor {
    void *at;
    void *end;
};

// The next `len` bytes, or nothing if the frame ends before.
static __always_inline void *take(struct cursor *cursor, __u32 len)
{
    void *header = cursor->at;
    if (header + len > cursor->end)
        return NULL;
    cursor->at = header + len;
    return header;
}

static __always_inline bool is_ours(const struct address *address)
{
    return bpf_map_lookup_elem(&addresses, address) != NULL;
}

static __always_inline struct address mapped(const void *v4)
{
    struct address address = { .bytes = { [10] = 0xff, [11] = 0xff } };
    __builtin_memcpy(&address.bytes[12], v4, 4);
    return address;
}

// Whether the station is another; a group's address and ours are not.
static __always_inline bool is_other_station(const struct ethhdr *ethernet)
{
    const struct settings *now = settings_now();
    if (!now || !now->mac_is_set || (ethernet->h_dest[0] & 1))
        return false;
    // Not memcmp: the compiler would call it, and there is none here.
    __u8 difference = 0;
    for (int i = 0; i < ETH_ALEN; i++)
        difference |= ethernet->h_dest[i] ^ now->mac[i];
    return difference != 0;
}

// A request for our address, a reply to us, and a claim of our address by somebody else: the
// kernel does not own it and could make nothing of any of them. A reply to the kernel names the
// kernel's address as target and passes. Access lists are about IP: a router that is in no list
// must stay reachable.
//= https://www.rfc-editor.org/rfc/rfc5227#section-2.4
//# if a host receives an ARP packet (Request *or* Reply) where the 'sender IP address' is
//# (one of) the host's own IP address(es)
static __always_inline enum reason judge_arp(struct cursor *cursor)
{
    const struct arp *arp = take(cursor, sizeof(*arp));
    if (!arp)
        return REASON_PASS_SHORT;
    if (arp->hardware != bpf_htons(1) || arp->protocol != bpf_htons(ETH_P_IP) ||
        arp->hardware_len != ETH_ALEN || arp->protocol_len != sizeof(arp->target))
        return REASON_PASS_MALFORMED;
    struct address target = mapped(arp->target);
    struct address sender = mapped(arp->sender);
    if (is_ours(&target) || is_ours(&sender))
        return REASON_REDIRECT_ARP;
    return REASON_PASS_OTHER_ADDRESS;
}

// The reason to redirect a whole packet of this protocol, or to drop it: TCP that opens a
// connection pays. A header that is cut off is the stack's to count.
static __always_inline enum reason judge_transport(struct cursor *cursor, __u8 protocol,
                                                   const struct address *source)
{
    if (protocol == IPPROTO_UDP)
        return REASON_REDIRECT_UDP;
    if (protocol == IPPROTO_ICMP)
        return REASON_REDIRECT_ICMP;
    if (protocol != IPPROTO_TCP)
        return REASON_REDIRECT_OTHER;
    const struct tcphdr *tcp = take(cursor, sizeof(*tcp));
    if (tcp && tcp->syn && !tcp->ack)
        return judge_syn(source, REASON_REDIRECT_TCP);
    return REASON_REDIRECT_TCP;
}

static __always_inline enum reason judge_ipv4(struct cursor *cursor)
{
    void *begin = cursor->at;
    const struct iphdr *ip = take(cursor, sizeof(*ip));
    if (!ip)
        return REASON_PASS_SHORT;
    if (ip->version != 4 || ip->ihl < 5)
        return REASON_PASS_MALFORMED;
    struct address destination = mapped(&ip->daddr);
    if (!is_ours(&destination))
        return REASON_PASS_OTHER_ADDRESS;
    struct prefix_v4 key = { .prefix_len = 32 };
    __builtin_memcpy(key.bytes, &ip->saddr, sizeof(key.bytes));
    if (is_denied(bpf_map_lookup_elem(&rules_v4, &key)))
        return REASON_DROP_DENIED;
    struct address source = mapped(&ip->saddr);
    // A fragment of TCP may hide a SYN, so it pays like one; nobody else fragments TCP.
    if (ip->frag_off & bpf_htons(FRAGMENT_MASK))
        return ip->protocol == IPPROTO_TCP ? judge_syn(&source, REASON_REDIRECT_FRAGMENT)
                                           : REASON_REDIRECT_FRAGMENT;
    // Options end behind the frame: no TCP header will be found there.
    cursor->at = begin + ip->ihl * 4;
    return judge_transport(cursor, ip->protocol, &source);
}

// Whether a header of this number can have TCP behind it.
static __always_inline bool is_extension(__u8 next)
{
    switch (next) {
    case NEXT_HOP_BY_HOP:
    case NEXT_ROUTING:
    case NEXT_FRAGMENT:
    case NEXT_AUTHENTICATION:
    case NEXT_DESTINATION:
    case NEXT_MOBILITY:
    case NEXT_HIP:
    case NEXT_SHIM6:
        return true;
    default:
        return false;
    }
}

// Discovery that no router has forwarded. `about_us`: only if it is about an address of ours,
// which is how what comes to a group's address is known. An advertisement to all nodes that names
// our address is the answer to our question whether somebody has it.
//= https://www.rfc-editor.org/rfc/rfc4862#section-5.4.4
//# On receipt of a valid Neighbor Advertisement message on an interface,
//# node behavior depends on whether the target address is tentative
static __always_inline bool is_discovery(struct cursor cursor, const struct ipv6hdr *ip,
                                         bool about_us)
{
    if (ip->nexthdr != NEXT_ICMPV6 || ip->hop_limit != ND_HOP_LIMIT)
        return false;
    if (!about_us) {
        const __u8 *type = take(&cursor, sizeof(*type));
        return type && *type >= ND_TYPE_FIRST && *type <= ND_TYPE_LAST;
    }
    const struct neighbour *neighbour = take(&cursor, sizeof(*neighbour));
    if (!neighbour)
        return false;
    if (neighbour->type != ND_SOLICITATION && neighbour->type != ND_ADVERTISEMENT)
        return false;
    struct address target = neighbour->target;
    return is_ours(&target);
}

static __always_inline enum reason judge_ipv6(struct cursor *cursor)
{
    const struct ipv6hdr *ip = take(cursor, sizeof(*ip));
    if (!ip)
        return REASON_PASS_SHORT;
    if (ip->version != 6)
        return REASON_PASS_MALFORMED;
    struct address source, destination;
    __builtin_memcpy(&destination, &ip->daddr, sizeof(destination));
    if (destination.bytes[0] == 0xff)
        return is_discovery(*cursor, ip, true) ? REASON_REDIRECT_NEIGHBOUR
                                               : REASON_PASS_OTHER_ADDRESS;
    if (!is_ours(&destination))
        return REASON_PASS_OTHER_ADDRESS;
    if (is_discovery(*cursor, ip, false))
        return REASON_REDIRECT_NEIGHBOUR;
    struct prefix_v6 key = { .prefix_len = 128 };
    __builtin_memcpy(key.bytes, &ip->saddr, sizeof(key.bytes));
    if (is_denied(bpf_map_lookup_elem(&rules_v6, &key)))
        return REASON_DROP_DENIED;
    // One user has a whole /64, so the lower half does not tell sources apart.
    __builtin_memset(&source, 0, sizeof(source));
    __builtin_memcpy(&source, &ip->saddr, sizeof(source) / 2);
    // No extension header is walked, so whatever has one may hide a SYN and pays like one.
    if (is_extension(ip->nexthdr))
        return judge_syn(&source, REASON_REDIRECT_FRAGMENT);
    if (ip->nexthdr == NEXT_ICMPV6)
        return REASON_REDIRECT_ICMP;
    if (ip->nexthdr == IPPROTO_ICMP)
        return REASON_REDIRECT_OTHER;
    return judge_transport(cursor, ip->nexthdr, &source);
}

static __always_inline enum reason judge(struct xdp_md *context)
{
    // A wire has no addresses: what comes in at one end goes out at the other.
    const struct settings *now = settings_now();
    if (now && now->takes_all)
        return REASON_REDIRECT_ALL;
    struct cursor cursor = {
        .at = (void *)(long)context->data,
        .end = (void *)(long)context->data_end,
    };
    const struct ethhdr *ethernet = take(&cursor, sizeof(*ethernet));
    if (!ethernet)
        return REASON_PASS_SHORT;
    if (is_other_station(ethernet))
        return REASON_PASS_OTHER_STATION;
    switch (bpf_ntohs(ethernet->h_proto)) {
    case ETH_P_ARP:
        return judge_arp(&cursor);
    case ETH_P_IP:
        return judge_ipv4(&cursor);
    case ETH_P_IPV6:
        return judge_ipv6(&cursor);
    case ETH_P_8021Q:
    case ETH_P_8021AD:
        return REASON_PASS_VLAN;
    default:
        return REASON_PASS_OTHER_TYPE;
    }
}

static __always_inline void count(struct xdp_md *context, enum reason reason)
{
    __u32 index = reason;
    struct tally *tally = bpf_map_lookup_elem(&tallies, &index);
    if (!tally)
        return;
    tally->packets += 1;
    // A frame of several buffers is longer than what can be read of it here.
    tally->bytes += bpf_xdp_get_buff_len(context);
}

// Without a socket the packet is dropped: the kernel does not own the address, and with forwarding
// on it would send the packet out again.
SEC("xdp.frags")
int steer(struct xdp_md *context)
{
    enum reason reason = judge(context);
    int action = reason < REDIRECT_FIRST ? XDP_PASS : XDP_DROP;
    if (reason >= REDIRECT_FIRST && reason < DROP_FIRST) {
        action = bpf_redirect_map(&sockets, context->rx_queue_index, XDP_DROP);
        if (action != XDP_REDIRECT)
            reason = REASON_DROP_NO_SOCKET;
    }
    count(context, reason);
    return action;
}

char license_of_steer[] SEC("license") = "Dual MIT/GPL";
