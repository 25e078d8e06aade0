// The maps of the program. The loader fills all but the last three, which the program keeps.
#pragma once

// Our addresses; the value says nothing.
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, ADDRESSES_MAX);
    __type(key, struct address);
    __type(value, __u32);
} addresses SEC(".maps");

// The socket of each queue; the loader sizes it.
struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, QUEUES_MAX);
    __type(key, __u32);
    __type(value, __u32);
} sockets SEC(".maps");

// The access lists: the longest prefix of a source decides; without one it is allowed.
struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, RULES_MAX);
    __type(key, struct prefix_v4);
    __type(value, __u32);
} rules_v4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, RULES_MAX);
    __type(key, struct prefix_v6);
    __type(value, __u32);
} rules_v6 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct settings);
} settings SEC(".maps");

// Packets and bytes by reason.
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, REASON_COUNT);
    __type(key, __u32);
    __type(value, struct tally);
} tallies SEC(".maps");

// The bucket of each source that has been let in: /32 of IPv4, /64 of IPv6.
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, SOURCES_MAX);
    __type(key, struct address);
    __type(value, struct bucket);
} sources SEC(".maps");

// The bucket of all strangers that one CPU sees.
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct bucket);
} strangers SEC(".maps");

// Refused strangers: the upper half of a slot is a tag of the source, the lower one the
// millisecond of its SYN.
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, SEEN_SLOTS);
    __type(key, __u32);
    __type(value, __u64);
} seen SEC(".maps");

static __always_inline const struct settings *settings_now(void)
{
    __u32 index = 0;
    return bpf_map_lookup_elem(&settings, &index);
}

static __always_inline bool is_denied(const __u32 *rule)
{
    return rule && *rule == RULE_DENY;
}
