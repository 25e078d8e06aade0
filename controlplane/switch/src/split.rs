//! The items of one request by the shard that their names belong to.
//!
//! Every shard then sees its names in one piece, so that its table has full bursts. A counting sort
//! does it: two walks over the request, and the items of a shard stay in their order.

use protocol::shard_of;

/// One item of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Entry<'a> {
    pub(crate) item: u32,
    pub(crate) name: &'a [u8],
    /// The sequence under which it is to be released, if that is asked for.
    pub(crate) sequence: u64,
    /// The message that it is to be sent, if that is asked for.
    pub(crate) blob: &'a [u8],
}

/// The items of a request, those of each shard together.
#[derive(Debug)]
pub(crate) struct Sorted<'a> {
    entries: Vec<Entry<'a>>,
    /// By shard: where its items end.
    ends: [u32; 256],
}

impl<'a> Sorted<'a> {
    /// The items of a shard, in the order of the request.
    pub(crate) fn of(&self, shard: usize) -> &[Entry<'a>] {
        let start = if shard == 0 { 0 } else { self.ends[shard - 1] };
        &self.entries[start as usize..self.ends[shard] as usize]
    }
}

/// See the file's first words. Its memory is kept from one request to the next.
#[derive(Debug, Default)]
pub(crate) struct Split {
    shards: Vec<u8>,
    entries: Vec<Entry<'static>>,
}

impl Split {
    /// Sorts items by their shard among `shards`. [`Split::keep`] gives the memory back.
    pub(crate) fn sort<'a>(
        &mut self,
        items: impl Iterator<Item = Entry<'a>> + Clone,
        shards: u8,
    ) -> Sorted<'a> {
        let mut ends = [0_u32; 256];
        self.shards.clear();
        self.shards.extend(items.clone().map(|entry| {
            let shard = shard_of(entry.name, shards);
            ends[usize::from(shard)] += 1;
            shard
        }));
        let mut end = 0;
        let mut nexts = ends.map(|count| {
            end += count;
            end - count
        });
        let mut entries = emptied(std::mem::take(&mut self.entries));
        entries.resize(self.shards.len(), Entry::default());
        for (entry, &shard) in items.zip(&self.shards) {
            let next = &mut nexts[usize::from(shard)];
            entries[*next as usize] = entry;
            *next += 1;
        }
        // Each shard's next place is now where its items end.
        Sorted { entries, ends: nexts }
    }

    /// Keeps the memory of a request that was done, if it has no more than `items_max` items.
    pub(crate) fn keep(&mut self, sorted: Sorted<'_>, items_max: usize) {
        if sorted.entries.capacity() <= items_max {
            self.entries = emptied(sorted.entries);
        } else {
            self.shards = Vec::new();
        }
    }
}

/// The memory of a list, for items of another request: a list of the same layout that is collected
/// from its own items takes their place.
fn emptied<'a>(mut entries: Vec<Entry<'_>>) -> Vec<Entry<'a>> {
    entries.clear();
    entries.into_iter().map(|_entry| Entry::default()).collect()
}

#[cfg(test)]
mod tests {
    use protocol::shard_of;

    use super::{Entry, Split};

    #[test]
    fn items_of_a_shard_stay_in_their_order_and_none_is_lost() {
        let names: Vec<String> = (0..1_000).map(|number| format!("name {number}")).collect();
        let mut split = Split::default();
        for shards in [1, 2, 5, 255] {
            let items = (0..).zip(&names).map(|(item, name)| Entry {
                item,
                name: name.as_bytes(),
                ..Entry::default()
            });
            let sorted = split.sort(items, shards);
            let mut count = 0;
            for shard in 0..shards {
                let own = sorted.of(usize::from(shard));
                assert!(own.is_sorted_by_key(|entry| entry.item), "{shards}: {shard}");
                assert!(own.iter().all(|entry| shard_of(entry.name, shards) == shard));
                assert!(
                    own.iter().all(|entry| names[entry.item as usize].as_bytes() == entry.name)
                );
                count += own.len();
            }
            assert_eq!(count, names.len());
            split.keep(sorted, 65_536);
        }
    }

    #[test]
    fn the_memory_of_a_request_is_the_next_ones() {
        let mut split = Split::default();
        let item = |name| Entry { name, ..Entry::default() };
        let sorted = split.sort([&b"a"[..], b"b", b"c"].into_iter().map(item), 3);
        let place = sorted.entries.as_ptr();
        split.keep(sorted, 16);
        assert!(std::ptr::eq(split.entries.as_ptr(), place));
        let sorted = split.sort([&b"d"[..]].into_iter().map(item), 3);
        assert!(std::ptr::eq(sorted.entries.as_ptr(), place));
        split.keep(sorted, 0);
        assert_eq!(split.entries.capacity() + split.shards.capacity(), 0);
    }
}
