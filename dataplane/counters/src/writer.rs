//! The gateway's end: one file, and for each core what it alone writes.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use base::Instant;
use memory::{SharedError, SharedFile};

use crate::{
    error::WriterError,
    layout::{Layout, VERSION_MAJOR, at, channel_at, counter_at, halves, section_at},
    limits::{CORES_MAX, FILE_LEN_MAX, PUBLISH_INTERVAL},
    place,
    rows::Shape,
    schema::{Counter, Schema},
    section,
    sync::AtomicU64,
    text,
    view::{CoreState, View},
    walk::Walk,
};

/// What a gateway says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Description<'a> {
    /// The name of the instance, which is also that of its folder.
    pub instance: &'a str,
    /// The gateway's version, for people.
    pub version: &'a str,
    /// When it started: nanoseconds since 1970.
    pub started_unix_ns: u64,
    /// What `CLOCK_MONOTONIC` shows at the zero of the [`Instant`]s that cores publish, so that
    /// tools can tell how old a sign of life is.
    pub clock_zero_ns: u64,
    /// Cycles per second of what counters of cycles count in; 0 if it is not known.
    pub cycles_per_s: u64,
    /// How many cores there are.
    pub cores: usize,
    /// What each of them publishes.
    pub schema: &'a Schema,
}

/// The tools' file while its gateway lives. Dropping it takes the file away.
#[derive(Debug)]
pub struct Writer {
    file: Arc<SharedFile>,
    layout: Layout,
    counters: Arc<[Counter]>,
    taken: Vec<bool>,
}

impl Writer {
    /// Makes the file of `description.instance` in the first of these folders (see
    /// [`folders`](place::folders)) that can be written, with room for all cores, and shows it.
    ///
    /// # Errors
    ///
    /// The description does not fit, another living gateway has the instance, or no folder can be
    /// written.
    pub fn create<P: AsRef<Path>>(
        folders: &[P],
        description: &Description<'_>,
    ) -> Result<Self, WriterError> {
        let mut refused = None;
        for folder in folders {
            let path = place::path(folder.as_ref(), description.instance)?;
            match Self::create_at(&path, description) {
                Err(WriterError::Shared(error)) if !matches!(error, SharedError::Held { .. }) => {
                    // The first refusal is the one that the operator can mend.
                    refused.get_or_insert(error);
                }
                made => return made,
            }
        }
        let nowhere = || SharedError::Missing { path: place::SYSTEM_FOLDER.into() };
        Err(WriterError::Shared(refused.unwrap_or_else(nowhere)))
    }

    /// Makes the file at `path`.
    ///
    /// # Errors
    ///
    /// As [`Writer::create`].
    pub fn create_at(path: &Path, description: &Description<'_>) -> Result<Self, WriterError> {
        let &Description { cores, schema, .. } = description;
        schema.judge()?;
        if !(1..=CORES_MAX).contains(&cores) {
            let max = CORES_MAX;
            return Err(WriterError::ConfigCount { what: "cores", count: cores, max });
        }
        let layout = Layout::plan(cores, schema.counters().len(), schema.facts().len());
        let file = SharedFile::create(path, layout.words)?;
        // Read only after the place is ours: a gateway that lives is not counted.
        let generation = View::open(path).map_or(0, |old| old.about().generation) + 1;
        describe(file.words(), &layout, description, generation);
        file.publish()?;
        let counters = schema.counters().into();
        Ok(Self { file: Arc::new(file), layout, counters, taken: vec![false; cores] })
    }

    /// The part of one core, for its thread.
    ///
    /// # Panics
    ///
    /// If there is no such core, or its part was taken before.
    pub fn core(&mut self, core: usize) -> CoreWriter {
        assert!(core < self.taken.len(), "core {core} of {}", self.taken.len());
        assert!(!self.taken[core], "core {core} has one writer");
        self.taken[core] = true;
        CoreWriter {
            file: Arc::clone(&self.file),
            layout: self.layout,
            counters: Arc::clone(&self.counters),
            core,
            due_at: Instant::ZERO,
        }
    }

    /// Where the file lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Whether the file lies on a disk, so that a core may wait for the disk when it publishes:
    /// worth a line in the log.
    #[must_use]
    pub fn is_on_disk(&self) -> bool {
        self.file.is_on_disk()
    }
}

impl Drop for Writer {
    /// Also for cores that still hold their parts: the gateway ends.
    fn drop(&mut self) {
        self.file.words()[at::ENDED].store(1, Ordering::Relaxed);
        self.file.remove();
    }
}

/// Fills a file that nobody sees yet.
fn describe(words: &[AtomicU64], layout: &Layout, is: &Description<'_>, generation: u64) {
    let &Description {
        instance,
        version,
        started_unix_ns,
        clock_zero_ns,
        cycles_per_s,
        cores: _,
        schema,
    } = is;
    let store = |index: usize, value: u64| words[index].store(value, Ordering::Relaxed);
    store(at::GENERATION, generation);
    store(at::PID, u64::from(std::process::id()));
    store(at::STARTED_UNIX_NS, started_unix_ns);
    store(at::CLOCK_ZERO_NS, clock_zero_ns);
    store(at::CYCLES_PER_S, cycles_per_s);
    text::store(&words[at::INSTANCE..at::GATEWAY_VERSION], instance);
    text::store(&words[at::GATEWAY_VERSION..at::GATEWAY_VERSION + 4], version);
    for (index, counter) in schema.counters().iter().enumerate() {
        let Counter { group, name, kind, unit, is_drop } = counter;
        let record = &words[layout.counters.at(index)..][..layout.counters.stride];
        text::store(&record[counter_at::NAME..counter_at::GROUP], name);
        text::store(&record[counter_at::GROUP..counter_at::FLAGS], group);
        let is_drop = if *is_drop { counter_at::IS_DROP } else { 0 };
        record[counter_at::FLAGS].store(kind.to_bits() | is_drop, Ordering::Relaxed);
        text::store(&record[counter_at::UNIT..][..counter_at::UNIT_WORDS], unit);
    }
    for (index, fact) in schema.facts().iter().enumerate() {
        text::store(&words[layout.facts.at(index)..][..layout.facts.stride], fact);
    }
    layout.store(words);
    debug_assert_eq!(halves(words[at::VERSION].load(Ordering::Relaxed))[0], VERSION_MAJOR);
}

/// What one core writes. It belongs into the core's thread.
#[derive(Debug)]
pub struct CoreWriter {
    file: Arc<SharedFile>,
    layout: Layout,
    counters: Arc<[Counter]>,
    core: usize,
    due_at: Instant,
}

impl CoreWriter {
    /// Whether it is time to publish again: one comparison, for every turn.
    #[inline]
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        now >= self.due_at
    }

    /// Publishes all values at once; `fill` gives every counter of the schema, in its order.
    /// `turns` is how many turns the core has made. It is some hundred stores: no system call, no
    /// allocation, no waiting.
    ///
    /// # Panics
    ///
    /// If `fill` gives more or fewer values than the schema has counters.
    pub fn publish(&mut self, now: Instant, turns: u64, fill: impl FnOnce(&mut Values<'_>)) {
        self.due_at = now + PUBLISH_INTERVAL;
        let Layout { values_at, counters, .. } = self.layout;
        section::write(self.section(), |words| {
            let running = CoreState::Running as u64;
            words[section_at::STATE].store(running, Ordering::Relaxed);
            words[section_at::HEARTBEAT].store(now.as_nanos(), Ordering::Relaxed);
            words[section_at::TURNS].store(turns, Ordering::Relaxed);
            let words = &words[values_at..values_at + counters.count];
            let mut values = Values { words, counters: &self.counters, count: 0 };
            fill(&mut values);
            assert_eq!(values.count, words.len(), "values given and counters of the schema");
        });
    }

    /// Says what the core is about to do: to sleep, or to end. Publish first, so that tools see
    /// exact values meanwhile. The next publication says that it runs.
    pub fn mark(&self, state: CoreState) {
        self.section()[section_at::STATE].store(state as u64, Ordering::Relaxed);
    }

    /// Sets the text of a fact, by its place in the schema.
    ///
    /// # Panics
    ///
    /// If the schema has no such fact.
    pub fn set_fact(&self, fact: usize, fact_text: &str) {
        let Layout { facts, facts_at, fact_text: len, .. } = self.layout;
        assert!(fact < facts.count, "fact {fact} of {}", facts.count);
        let first = facts_at + fact * len;
        section::write(self.section(), |words| text::store(&words[first..first + len], fact_text));
    }

    /// The walks of this core over its connections.
    #[must_use]
    pub fn walk(&self) -> Walk {
        let Layout { request, channels, rows, .. } = self.layout;
        debug_assert!(rows.first >= channel_at::ROWS);
        let shape = Shape { rows_at: rows.first, stride: rows.stride, count: rows.count };
        Walk::new(Arc::clone(&self.file), request.first, channels.at(self.core), shape)
    }

    fn section(&self) -> &[AtomicU64] {
        &self.file.words()[self.layout.sections.at(self.core)..][..self.layout.sections.stride]
    }
}

/// The values of one publication on their way into the file.
#[derive(Debug)]
pub struct Values<'a> {
    words: &'a [AtomicU64],
    counters: &'a [Counter],
    count: usize,
}

impl Values<'_> {
    /// The next counter's value.
    ///
    /// # Panics
    ///
    /// If the schema has no more counters.
    #[inline]
    pub fn value(&mut self, value: u64) -> &mut Self {
        let word = self.words.get(self.count).expect("as many values as the schema has counters");
        word.store(value, Ordering::Relaxed);
        self.count += 1;
        self
    }

    /// The next counters' values, with the names that their crate has for them: where debug
    /// assertions are on, the names must be the schema's.
    ///
    /// # Panics
    ///
    /// If the schema has no more counters.
    #[inline]
    pub fn rows<'n>(&mut self, rows: impl IntoIterator<Item = (&'n str, u64)>) -> &mut Self {
        for (name, value) in rows {
            debug_assert!(
                self.counters.get(self.count).is_none_or(|c| name.ends_with(c.name.as_str())),
                "{name} is given where the schema has {}",
                self.counters[self.count].full_name()
            );
            self.value(value);
        }
        self
    }
}

const _: () = assert!(FILE_LEN_MAX.is_multiple_of(size_of::<u64>()));
