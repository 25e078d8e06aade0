// Budgets of SYNs: one for each source, and one that sources nobody knows share.
#pragma once

// How often the exchange of a bucket is tried while other CPUs take tokens of the same source.
#define EXCHANGE_TRIES 4

#define NS_PER_MS 1000000

// What a full bucket becomes by one token, or 0 if it has none left. A moment further away than
// an empty bucket takes to fill is of an older setting, and the bucket is full.
static __always_inline __u64 less_one(__u64 full_at_ns, __u64 now_ns, __u64 interval_ns,
                                      __u64 fill_ns)
{
    if (full_at_ns < now_ns || full_at_ns > now_ns + fill_ns)
        full_at_ns = now_ns;
    full_at_ns += interval_ns;
    return full_at_ns > now_ns + fill_ns ? 0 : full_at_ns;
}

// Takes a token of a bucket that several CPUs share.
static __always_inline bool take_shared(struct bucket *bucket, __u64 now_ns, __u64 interval_ns,
                                        __u64 fill_ns)
{
    for (int tries = 0; tries < EXCHANGE_TRIES; tries++) {
        __u64 before = *(volatile __u64 *)&bucket->full_at_ns;
        __u64 after = less_one(before, now_ns, interval_ns, fill_ns);
        if (!after)
            return false;
        if (__sync_val_compare_and_swap(&bucket->full_at_ns, before, after) == before)
            return true;
    }
    // So many CPUs at once are no client.
    return false;
}

// Takes a token of this CPU's bucket for strangers.
static __always_inline bool take_stranger(const struct settings *now, __u64 now_ns)
{
    __u32 index = 0;
    struct bucket *bucket = bpf_map_lookup_elem(&strangers, &index);
    if (!bucket)
        return true;
    __u64 after = less_one(bucket->full_at_ns, now_ns, now->stranger_interval_ns,
                           now->stranger_fill_ns);
    if (!after)
        return false;
    bucket->full_at_ns = after;
    return true;
}

// A keyed hash that mixes; it need not resist who sees its values, because nobody does.
static __always_inline __u64 hash(const struct address *source, const __u64 key[2])
{
    __u64 words[2];
    __builtin_memcpy(words, source, sizeof(words));
    __u64 mixed = key[0];
    for (int i = 0; i < 2; i++) {
        mixed ^= words[i];
        mixed *= 0x9e3779b97f4a7c15;
        mixed ^= mixed >> 32;
        mixed += key[1];
    }
    mixed *= 0xd6e8feb86659fd93;
    return mixed ^ (mixed >> 32);
}

// Whether this is the second SYN of a stranger that was refused a while ago; else remembers it as
// the first. One that comes too soon does not count, and does not move the first either.
static __always_inline bool comes_again(const struct settings *now, const struct address *source,
                                        __u64 now_ns)
{
    __u64 mixed = hash(source, now->key);
    __u32 index = mixed & (SEEN_SLOTS - 1);
    __u32 tag = mixed >> 32;
    __u32 now_ms = now_ns / NS_PER_MS;
    __u64 *slot = bpf_map_lookup_elem(&seen, &index);
    if (!slot)
        return false;
    __u64 before = *slot;
    // The clock's lower half wraps after 49 days, and so does the difference.
    __u32 age_ms = now_ms - (__u32)before;
    if ((__u32)(before >> 32) == tag && age_ms <= RETRY_MS_MAX)
        return age_ms >= RETRY_MS_MIN;
    *slot = (__u64)tag << 32 | now_ms;
    return false;
}

// `reason` if the source may open a connection, else why not. What this bounds:
//
// - one source, or few: each has its own bucket, and costs nobody else a token;
// - random sources: the strangers' bucket. They fill the table of sources only as fast as it
//   fills, and an honest stranger waits for its retransmission;
// - sources that come again on purpose: nothing but their own buckets. The stack's table of
//   half-open connections is behind this.
static __always_inline enum reason judge_syn(const struct address *source, enum reason reason)
{
    const struct settings *now = settings_now();
    if (!now || (!now->source_interval_ns && !now->stranger_interval_ns))
        return reason;
    __u64 now_ns = bpf_ktime_get_ns();
    struct bucket *bucket = bpf_map_lookup_elem(&sources, source);
    if (bucket) {
        bool has_token = !now->source_interval_ns ||
                         take_shared(bucket, now_ns, now->source_interval_ns, now->source_fill_ns);
        return has_token ? reason : REASON_DROP_SYN_SOURCE;
    }
    if (now->stranger_interval_ns && !take_stranger(now, now_ns) &&
        !comes_again(now, source, now_ns))
        return REASON_DROP_SYN_STRANGER;
    struct bucket first = { .full_at_ns = now_ns + now->source_interval_ns };
    // If two CPUs are here at once, or nothing can be forgotten, this SYN goes in all the same.
    bpf_map_update_elem(&sources, source, &first, BPF_NOEXIST);
    return reason;
}
