//! What cores and processes did with their time, as the kernel accounts it.

use std::fs;
use std::ops::AddAssign;

use core_affinity::CoreId;

use crate::error::Error;
use crate::limits::TICKS_PER_S;

/// Seconds of a core, or of several, by what they went to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CoreTimes {
    /// Programs and the kernel for them: user, nice and system.
    pub(crate) tasks_s: f64,
    /// Interrupts.
    pub(crate) irq_s: f64,
    /// Softirqs, where packets are received.
    pub(crate) softirq_s: f64,
    /// Nothing: idle and iowait.
    pub(crate) idle_s: f64,
    /// What the host took away.
    pub(crate) steal_s: f64,
}

impl CoreTimes {
    /// The times of `cores` since the machine began.
    pub(crate) fn read(cores: &[CoreId]) -> Result<Self, Error> {
        let stat = fs::read_to_string("/proc/stat").map_err(Error::io("read /proc/stat"))?;
        let mut sum = Self::default();
        for core in cores {
            sum += Self::in_stat(&stat, *core).ok_or_else(|| Error::Lacks {
                what: format!("a line of /proc/stat for core {}", core.id),
                mend: "allow other cores: `taskset -c 0,1 abele-bench ...`".to_owned(),
            })?;
        }
        Ok(sum)
    }

    fn in_stat(stat: &str, core: CoreId) -> Option<Self> {
        let name = format!("cpu{}", core.id);
        let line = stat.lines().find(|line| line.split(' ').next() == Some(&name))?;
        let values: Vec<u64> =
            line.split_whitespace().skip(1).filter_map(|value| value.parse().ok()).collect();
        // guest and guest_nice, which follow, are parts of user and nice.
        let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = values[..] else {
            return None;
        };
        Some(Self {
            tasks_s: seconds(user + nice + system),
            irq_s: seconds(irq),
            softirq_s: seconds(softirq),
            idle_s: seconds(idle + iowait),
            steal_s: seconds(steal),
        })
    }

    /// What was added since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            tasks_s: self.tasks_s - before.tasks_s,
            irq_s: self.irq_s - before.irq_s,
            softirq_s: self.softirq_s - before.softirq_s,
            idle_s: self.idle_s - before.idle_s,
            steal_s: self.steal_s - before.steal_s,
        }
    }

    /// Seconds of work of any kind.
    pub(crate) fn busy_s(self) -> f64 {
        self.tasks_s + self.irq_s + self.softirq_s
    }

    /// Work of any kind as a part of the time that the core had.
    pub(crate) fn busy_share(self) -> f64 {
        self.share(self.busy_s())
    }

    /// Softirqs as a part of the time that the core had.
    pub(crate) fn softirq_share(self) -> f64 {
        self.share(self.softirq_s)
    }

    /// So many seconds as a part of the time that the core had.
    pub(crate) fn share(self, seconds: f64) -> f64 {
        let had = self.busy_s() + self.idle_s;
        if had > 0.0 { seconds / had } else { 0.0 }
    }
}

impl AddAssign for CoreTimes {
    fn add_assign(&mut self, other: Self) {
        self.tasks_s += other.tasks_s;
        self.irq_s += other.irq_s;
        self.softirq_s += other.softirq_s;
        self.idle_s += other.idle_s;
        self.steal_s += other.steal_s;
    }
}

/// Packets that some cores received in softirqs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PacketCounts(Vec<u32>);

impl PacketCounts {
    /// Those of `cores`, in order.
    pub(crate) fn read(cores: &[CoreId]) -> Result<Self, Error> {
        let table = fs::read_to_string("/proc/net/softnet_stat")
            .map_err(Error::io("read /proc/net/softnet_stat"))?;
        Ok(Self(cores.iter().map(|core| packets_in(&table, *core)).collect()))
    }

    /// How many came since `before`; each counter goes round at 32 bits.
    pub(crate) fn since(&self, before: &Self) -> u64 {
        let pairs = self.0.iter().zip(&before.0);
        pairs.map(|(now, then)| u64::from(now.wrapping_sub(*then))).sum()
    }
}

/// A row is a core; the thirteenth column is its number, the first counts its packets.
fn packets_in(table: &str, core: CoreId) -> u32 {
    let number = |text: &str| u32::from_str_radix(text, 16).ok();
    let rows = table.lines().enumerate();
    let mut rows = rows.map(|(row, line)| {
        let columns: Vec<_> = line.split_whitespace().map(number).collect();
        let id = columns.get(12).copied().flatten();
        let id = id.and_then(|id| usize::try_from(id).ok()).unwrap_or(row);
        (id, columns.first().copied().flatten())
    });
    rows.find(|(id, _)| *id == core.id).and_then(|(_, packets)| packets).unwrap_or_default()
}

/// CPU-seconds of the process `id` and of its children, user and system together.
pub(crate) fn of_processes(id: u32) -> Result<f64, Error> {
    let processes = fs::read_dir("/proc").map_err(Error::io("list the processes"))?;
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    // One may end between the list and the look; then it counts no more.
    let stats = numbers.filter_map(|number| {
        number.parse::<u32>().ok()?;
        process_in(&fs::read_to_string(format!("/proc/{number}/stat")).ok()?)
    });
    let ours = stats.filter(|process| process.id == id || process.parent == id);
    Ok(ours.map(|process| process.seconds).sum())
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Process {
    id: u32,
    parent: u32,
    seconds: f64,
}

fn process_in(stat: &str) -> Option<Process> {
    let (id, rest) = stat.split_once(' ')?;
    // The name may hold spaces, but ends with the last parenthesis; the fields after it begin with
    // the third of proc(5).
    let fields: Vec<_> = rest.rsplit_once(") ")?.1.split(' ').collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Process {
        id: id.parse().ok()?,
        parent: fields.get(1)?.parse().ok()?,
        seconds: seconds(number(11)? + number(12)?),
    })
}

fn seconds(ticks: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "2^53 ticks are three million years")]
    let ticks = ticks as f64;
    ticks / TICKS_PER_S
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  9 9 9 9 9 9 9 9 9 9\n\
        cpu1 100 20 300 4000 50 6 700 80 90 0\ncpu10 1 1 1 1 1 1 1 1 1 1\nintr 5\n";

    #[test]
    fn time_of_a_core_is_split_by_what_it_went_to() {
        let times = CoreTimes::in_stat(STAT, CoreId { id: 1 }).expect("it is there");
        assert_eq!((times.tasks_s, times.irq_s, times.softirq_s), (4.2, 0.06, 7.0));
        assert_eq!((times.idle_s, times.steal_s), (40.5, 0.8));
        assert!(CoreTimes::in_stat(STAT, CoreId { id: 2 }).is_none());
    }

    #[test]
    fn busy_is_all_work_but_neither_idleness_nor_what_the_host_took() {
        let times =
            CoreTimes { tasks_s: 2.0, irq_s: 0.5, softirq_s: 0.5, idle_s: 1.0, steal_s: 9.0 };
        assert_eq!((times.busy_s(), times.busy_share()), (3.0, 0.75));
        assert_eq!(times.softirq_share(), 0.125);
        assert_eq!(times.since(times), CoreTimes::default());
        assert_eq!(CoreTimes::default().busy_share(), 0.0);
    }

    #[test]
    fn packets_of_a_core_are_found_by_its_number_and_wrap() {
        let row = |packets: &str, core: &str| {
            format!("{packets} {} {core} 00000000 00000000\n", ["0"; 11].join(" "))
        };
        let table = [row("ffffffff", "00000000"), row("0000000a", "00000003")].concat();
        assert_eq!(packets_in(&table, CoreId { id: 3 }), 10);
        assert_eq!(packets_in(&table, CoreId { id: 0 }), u32::MAX);
        assert_eq!(PacketCounts(vec![4, 7]).since(&PacketCounts(vec![u32::MAX, 5])), 7);
    }

    #[test]
    fn process_with_a_name_of_many_words_is_read() {
        let stat = "12 (nginx: (a) b) S 7 1 1 0 -1 0 0 0 0 0 150 50 0 0 20 0 1 0 5";
        assert_eq!(process_in(stat), Some(Process { id: 12, parent: 7, seconds: 2.0 }));
        assert_eq!(process_in("12 (x"), None);
    }

    #[test]
    fn this_process_and_its_core_have_taken_time() {
        let ours = of_processes(std::process::id()).expect("it is mounted");
        assert!(ours >= 0.0);
        let core = crate::cores::allowed()[0];
        assert!(CoreTimes::read(&[core]).expect("it is there").busy_s() > 0.0);
        assert_eq!(PacketCounts::read(&[core]).expect("it is there").0.len(), 1);
    }
}
