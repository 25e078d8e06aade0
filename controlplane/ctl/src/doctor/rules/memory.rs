//! Huge pages, locked memory, descriptors.

use topology::CAP_IPC_LOCK;

use super::OfMachine;
use crate::doctor::facts::Facts;
use crate::doctor::finding::Finding;
use crate::doctor::wanted::WantedPages;
use crate::limits::{DESCRIPTORS_MIN, DESCRIPTORS_PER_WORKER};

pub(super) const RULES: &[OfMachine] = &[huge_2m, huge_1g, transparent, locked, descriptors];

const HUGE_2M: u64 = 2 << 20;

fn huge_2m(facts: &Facts) -> Finding {
    const RULE: &str = "memory.huge_2m";
    let (reading, wanted) = (&facts.machine.pages.huge_2m, &facts.wanted);
    let needed = wanted.frames_bytes().div_ceil(HUGE_2M);
    let pool = match &reading.value {
        Ok(pool) => *pool,
        Err(_) if reading.is_missing() => {
            return Finding::unknown(RULE, "this kernel shows no pool of them")
                .from(&reading.source);
        }
        Err(_) => return Finding::unread(RULE, "the pool of huge pages", reading),
    };
    let value =
        format!("{} free of {} pages; the frames alone take {needed}", pool.free, pool.total);
    let costs = "packets and tables lie in small pages: more misses of the TLB, some ns to some \
                 tens of ns a packet";
    let mend = format!(
        "sysctl -w vm.nr_hugepages={} (frames; the tables take more: abele-gateway check FILE)",
        pool.total + needed.saturating_sub(pool.free)
    );
    let finding = if pool.free >= needed {
        Finding::ok(RULE, value)
    } else {
        match wanted.pages {
            WantedPages::Base => Finding::ok(RULE, format!("{value}; memory.pages = \"base\"")),
            WantedPages::Best => Finding::warn(RULE, value).costs(costs).mend(mend),
            WantedPages::Huge => Finding::bad(RULE, format!("{value}; memory.pages = \"huge\""))
                .costs("the gateway does not start: it must have huge pages of the pool")
                .mend(mend),
        }
    };
    finding.from(&reading.source)
}

fn huge_1g(facts: &Facts) -> Finding {
    const RULE: &str = "memory.huge_1g";
    let reading = &facts.machine.pages.huge_1g;
    let finding = match &reading.value {
        Err(_) if reading.is_missing() => Finding::ok(RULE, "there are none, and none are used"),
        Err(_) => return Finding::unread(RULE, "the pool of pages of 1 GiB", reading),
        Ok(pool) if pool.free == 0 => {
            Finding::ok(RULE, format!("none free of {}, and none are used", pool.total))
        }
        Ok(pool) => Finding::warn(RULE, format!("{} free of {}", pool.free, pool.total))
            .costs(format!("{} GiB lie idle: the gateway takes pages of 2 MiB", pool.free))
            .mend("echo 0 > /sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages (as root)"),
    };
    finding.from(&reading.source)
}

fn transparent(facts: &Facts) -> Finding {
    const RULE: &str = "memory.transparent";
    let reading = &facts.machine.pages.transparent;
    let finding = match reading.value.as_deref() {
        Err(_) => return Finding::unread(RULE, "transparent huge pages", reading),
        Ok("never") if facts.wanted.pages == WantedPages::Best => Finding::warn(RULE, "never")
            .costs("where the pool of huge pages is empty, small pages are all that is left")
            .mend("echo madvise > /sys/kernel/mm/transparent_hugepage/enabled (as root)"),
        Ok(mode) => Finding::ok(RULE, mode),
    };
    finding.from(&reading.source)
}

fn locked(facts: &Facts) -> Finding {
    const RULE: &str = "memory.locked";
    let process = &facts.machine.process;
    let reading = &process.locked_bytes;
    let needed = facts.wanted.frames_bytes();
    let kib = |bytes: u64| bytes / 1024;
    let finding = match (&reading.value, process.has(CAP_IPC_LOCK)) {
        (Ok(None), _) => Finding::ok(RULE, "no limit"),
        (Ok(Some(limit)), _) if facts.wanted.is_tap => {
            Finding::ok(RULE, format!("{} KiB; with a TAP device nothing is locked", kib(*limit)))
        }
        (Ok(Some(limit)), Some(true)) => {
            let value = format!("{} KiB, which do not bind: CAP_IPC_LOCK is there", kib(*limit));
            Finding::ok(RULE, value)
        }
        (Ok(Some(limit)), has) => {
            let value = format!("{} KiB; the frames take {} KiB", kib(*limit), kib(needed));
            if *limit >= needed {
                Finding::ok(RULE, value)
            } else if has.is_none() {
                return Finding::unread(RULE, &value, &process.capabilities);
            } else {
                Finding::bad(RULE, value)
                    .costs("as this user the gateway does not start: AF_XDP locks all frames")
                    .mend(
                        "LimitMEMLOCK=infinity in the systemd unit, or ulimit -l unlimited (as \
                         root before the start)",
                    )
            }
        }
        (Err(_), _) => return Finding::unread(RULE, "the limit of locked memory", reading),
    };
    finding.from(&reading.source).from(&process.capabilities.source)
}

fn descriptors(facts: &Facts) -> Finding {
    const RULE: &str = "memory.descriptors";
    let reading = &facts.machine.process.descriptors;
    let workers = u64::try_from(facts.workers.count).unwrap_or(u64::MAX);
    let needed = workers.saturating_mul(DESCRIPTORS_PER_WORKER).saturating_add(DESCRIPTORS_MIN);
    let finding = match &reading.value {
        Err(_) => return Finding::unread(RULE, "the limit of descriptors", reading),
        Ok(None) => Finding::ok(RULE, "no limit"),
        Ok(Some(limit)) if *limit >= needed => {
            Finding::ok(RULE, format!("{limit}; connections take none"))
        }
        Ok(Some(limit)) => Finding::bad(RULE, format!("{limit}; up to {needed} are taken"))
            .costs("the gateway does not start: sockets, maps and files take one each")
            .mend(format!("ulimit -n {needed}, or LimitNOFILE={needed} in the systemd unit")),
    };
    finding.from(&reading.source)
}

#[cfg(test)]
mod tests {
    use topology::Pool;

    use crate::doctor::facts::Facts;
    use crate::doctor::finding::Level::{Bad, Ok, Unknown, Warn};
    use crate::doctor::made_up::{facts, found, known, level, missing, refused};
    use crate::doctor::wanted::WantedPages;

    #[test]
    fn too_few_huge_pages_cost_or_forbid_as_the_file_wants_it() {
        let rule = "memory.huge_2m";
        assert_eq!(level(rule, |_| {}), Ok);
        let few = |pages| {
            move |facts: &mut Facts| {
                facts.machine.pages.huge_2m = known(Pool { total: 15, free: 15 });
                facts.wanted.pages = pages;
            }
        };
        assert_eq!(level(rule, few(WantedPages::Best)), Warn);
        assert_eq!(level(rule, few(WantedPages::Huge)), Bad);
        assert_eq!(level(rule, few(WantedPages::Base)), Ok);
        assert_eq!(level(rule, |facts| facts.machine.pages.huge_2m = missing()), Unknown);
        assert_eq!(level(rule, |facts| facts.machine.pages.huge_2m = refused()), Unknown);
    }

    #[test]
    fn the_mend_asks_for_as_many_pages_as_are_missing() {
        let mut facts = facts();
        facts.machine.pages.huge_2m = known(Pool { total: 20, free: 6 });
        let finding = found(&facts, "memory.huge_2m");
        // 16 Ki frames of 2 KiB are 16 pages; 10 of them are missing.
        assert!(finding.mend.starts_with("sysctl -w vm.nr_hugepages=30 "), "{finding:?}");
    }

    #[test]
    fn pages_of_a_gibibyte_lie_idle() {
        let rule = "memory.huge_1g";
        assert_eq!(level(rule, |_| {}), Ok);
        let pool = |free| {
            move |facts: &mut Facts| {
                facts.machine.pages.huge_1g = known(Pool { total: 4, free });
            }
        };
        assert_eq!(level(rule, pool(4)), Warn);
        assert_eq!(level(rule, pool(0)), Ok);
        assert_eq!(level(rule, |facts| facts.machine.pages.huge_1g = missing()), Ok);
        assert_eq!(level(rule, |facts| facts.machine.pages.huge_1g = refused()), Unknown);
    }

    #[test]
    fn transparent_pages_are_the_second_choice() {
        let rule = "memory.transparent";
        assert_eq!(level(rule, |_| {}), Ok);
        let never = |facts: &mut Facts| facts.machine.pages.transparent = known("never".to_owned());
        assert_eq!(level(rule, never), Warn);
        let not_wanted = |facts: &mut Facts| {
            never(facts);
            facts.wanted.pages = WantedPages::Base;
        };
        assert_eq!(level(rule, not_wanted), Ok);
        assert_eq!(level(rule, |facts| facts.machine.pages.transparent = missing()), Unknown);
    }

    #[test]
    fn frames_are_locked_within_the_limit_or_with_the_right() {
        let rule = "memory.locked";
        assert_eq!(level(rule, |_| {}), Ok);
        let limit = |bytes, capabilities| {
            move |facts: &mut Facts| {
                facts.machine.process.locked_bytes = known(Some(bytes));
                facts.machine.process.capabilities = capabilities;
            }
        };
        assert_eq!(level(rule, limit(8 << 20, known(0))), Bad);
        assert_eq!(level(rule, limit(32 << 20, known(0))), Ok);
        let tap = |facts: &mut Facts| {
            limit(8 << 20, known(0))(facts);
            facts.wanted.is_tap = true;
        };
        assert_eq!(level(rule, tap), Ok);
        assert_eq!(level(rule, limit(8 << 20, known(1 << 14))), Ok);
        assert_eq!(level(rule, limit(8 << 20, refused())), Unknown);
        assert_eq!(level(rule, |facts| facts.machine.process.locked_bytes = missing()), Unknown);
    }

    #[test]
    fn descriptors_are_few_but_needed() {
        let rule = "memory.descriptors";
        assert_eq!(level(rule, |_| {}), Ok);
        let limit = |limit| move |facts: &mut Facts| facts.machine.process.descriptors = limit;
        assert_eq!(level(rule, limit(known(Some(64)))), Bad);
        assert_eq!(level(rule, limit(known(None))), Ok);
        assert_eq!(level(rule, limit(refused())), Unknown);
    }
}
