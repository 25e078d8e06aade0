// What the XDP program and its loader share. Written by the crate `abi`, never by hand:
//
//   cargo run --package abi --example header > ebpf/steer/abi.h
#pragma once

#include <linux/types.h>

#define ADDRESSES_MAX 63
#define QUEUES_MAX 256
#define RULES_MAX 65536
#define SOURCES_MAX 65536
#define SEEN_SLOTS 4194304
#define RETRY_MS_MIN 500
#define RETRY_MS_MAX 10000
#define RULE_ALLOW 1
#define RULE_DENY 2

// An address of either family; IPv4 is mapped into IPv6 as `::ffff:a.b.c.d`.
struct address {
    // In the order of the wire.
    __u8 bytes[16];
};
_Static_assert(sizeof(struct address) == 16, "the size is part of the interface");

// A key of the access list for IPv4, as `BPF_MAP_TYPE_LPM_TRIE` wants it.
struct prefix_v4 {
    // How many leading bits count.
    __u32 prefix_len;
    // In the order of the wire.
    __u8 bytes[4];
};
_Static_assert(sizeof(struct prefix_v4) == 8, "the size is part of the interface");

// A key of the access list for IPv6.
struct prefix_v6 {
    // How many leading bits count.
    __u32 prefix_len;
    // In the order of the wire.
    __u8 bytes[16];
};
_Static_assert(sizeof(struct prefix_v6) == 20, "the size is part of the interface");

// A token bucket as one number, so that one atomic exchange takes a token.
struct bucket {
    // When it is full again, on the kernel's monotonic clock; in the past it is full.
    __u64 full_at_ns;
};
_Static_assert(sizeof(struct bucket) == 8, "the size is part of the interface");

// What may change while the program runs. An interval of 0 is no limit.
struct settings {
    // One token for a source each so many nanoseconds.
    __u64 source_interval_ns;
    // How long an empty bucket of a source takes to fill: tokens times the interval.
    __u64 source_fill_ns;
    // One token for all strangers of one CPU each so many nanoseconds.
    __u64 stranger_interval_ns;
    // How long an empty bucket of a CPU takes to fill.
    __u64 stranger_fill_ns;
    // Secret, so that nobody can choose sources that share a slot.
    __u64 key[2];
    // Our Ethernet address; frames for others pass.
    __u8 mac[6];
    // Whether `mac` is looked at: 0 or 1.
    __u8 mac_is_set;
    // Whether every packet goes to its queue's socket, whoever it is for: 0 or 1.
    __u8 takes_all;
};
_Static_assert(sizeof(struct settings) == 56, "the size is part of the interface");

// What one CPU counted for one reason.
struct tally {
    // Packets.
    __u64 packets;
    // Their bytes, Ethernet header included, checksum not.
    __u64 bytes;
};
_Static_assert(sizeof(struct tally) == 16, "the size is part of the interface");

// Why a packet went where it went.
enum reason {
    // Too short for the headers that would say whose it is.
    REASON_PASS_SHORT,
    // For another station's Ethernet address.
    REASON_PASS_OTHER_STATION,
    // In a VLAN.
    REASON_PASS_VLAN,
    // Neither ARP nor IPv4 nor IPv6.
    REASON_PASS_OTHER_TYPE,
    // A header that contradicts itself: another version, a header length that cannot be.
    REASON_PASS_MALFORMED,
    // For an address that is not ours.
    REASON_PASS_OTHER_ADDRESS,
    // ARP that asks for, answers or claims an address of ours.
    REASON_REDIRECT_ARP,
    // Neighbour discovery to us or about an address of ours.
    REASON_REDIRECT_NEIGHBOUR,
    // TCP.
    REASON_REDIRECT_TCP,
    // UDP.
    REASON_REDIRECT_UDP,
    // ICMP or ICMPv6.
    REASON_REDIRECT_ICMP,
    // A fragment, or IPv6 with an extension header.
    REASON_REDIRECT_FRAGMENT,
    // Another protocol; the stack answers or counts it.
    REASON_REDIRECT_OTHER,
    // Whatever it is, where everything is taken.
    REASON_REDIRECT_ALL,
    // The access list denies its source.
    REASON_DROP_DENIED,
    // Its source is above its budget of SYNs.
    REASON_DROP_SYN_SOURCE,
    // Sources that nobody knows are above their budget of SYNs together.
    REASON_DROP_SYN_STRANGER,
    // It is ours, and no socket takes frames of its queue.
    REASON_DROP_NO_SOCKET,
    REASON_COUNT,
};
#define REDIRECT_FIRST REASON_REDIRECT_ARP
#define DROP_FIRST REASON_DROP_DENIED
