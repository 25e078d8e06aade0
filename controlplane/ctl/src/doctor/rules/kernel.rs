//! The kernel: its age, BPF, the clock, mitigations, and what the host takes.

use topology::release_number;

use super::OfMachine;
use crate::doctor::facts::Facts;
use crate::doctor::finding::Finding;
use crate::limits::{KERNEL_GOOD, KERNEL_MIN, STEAL_BAD_PERMILLE, STEAL_WARN_PERMILLE};

pub(super) const RULES: &[OfMachine] = &[release, btf, jit, clock, mitigations, steal];

fn release(facts: &Facts) -> Finding {
    const RULE: &str = "kernel.release";
    let reading = &facts.machine.kernel.release;
    let Some(text) = reading.known_value() else {
        return Finding::unread(RULE, "the kernel's release", reading);
    };
    let told = |(major, minor): (u32, u32)| format!("{major}.{minor}");
    let finding = match release_number(text) {
        None => Finding::unknown(RULE, format!("{text:?} is no release that is understood")),
        Some(_) if facts.wanted.is_tap => {
            Finding::ok(RULE, format!("{text}; a TAP device needs no XDP"))
        }
        Some(number) if number < KERNEL_MIN => Finding::bad(RULE, text.clone())
            .costs("the gateway's XDP program does not load")
            .mend(format!("a kernel of {} or later", told(KERNEL_MIN))),
        Some(number) if number < KERNEL_GOOD => Finding::warn(RULE, text.clone())
            .costs(
                "AF_XDP takes no packet of several buffers, and drivers do not say what they can",
            )
            .mend(format!("a kernel of {} or later", told(KERNEL_GOOD))),
        Some(_) => Finding::ok(RULE, text.clone()),
    };
    finding.from(&reading.source)
}

fn btf(facts: &Facts) -> Finding {
    const RULE: &str = "kernel.btf";
    let reading = &facts.machine.kernel.btf;
    let finding = match &reading.value {
        Ok(()) => Finding::ok(RULE, "the kernel describes its types"),
        Err(_) if reading.is_missing() && facts.machine.kernel.release.value.is_ok() => {
            Finding::warn(RULE, "the kernel does not describe its types")
                .costs("tools that look into BPF show less; the gateway itself runs")
                .mend("a kernel with CONFIG_DEBUG_INFO_BTF")
        }
        Err(_) => return Finding::unread(RULE, "the kernel's types", reading),
    };
    finding.from(&reading.source)
}

fn jit(facts: &Facts) -> Finding {
    const RULE: &str = "kernel.jit";
    let reading = &facts.machine.kernel.jit;
    let finding = match &reading.value {
        Ok(1) => Finding::ok(RULE, "BPF is translated to machine code"),
        Ok(0) => Finding::bad(RULE, "BPF is interpreted")
            .costs("the XDP program takes several times as long for each packet")
            .mend("sysctl -w net.core.bpf_jit_enable=1"),
        Ok(mode) => Finding::warn(RULE, format!("mode {mode}: translated, and printed"))
            .costs("each program that is loaded goes to the kernel's log")
            .mend("sysctl -w net.core.bpf_jit_enable=1"),
        // The kernel shows it in its first network namespace only.
        Err(_) if reading.is_missing() => {
            Finding::unknown(RULE, "in this network namespace the kernel does not show it")
        }
        Err(_) => return Finding::unread(RULE, "whether BPF is translated", reading),
    };
    finding.from(&reading.source)
}

fn clock(facts: &Facts) -> Finding {
    const RULE: &str = "kernel.clock";
    let kernel = &facts.machine.kernel;
    let finding = match kernel.clock.value.as_deref() {
        Err(_) => return Finding::unread(RULE, "the clock", &kernel.clock),
        Ok(name @ ("tsc" | "arch_sys_counter" | "kvm-clock" | "hyperv_clocksource_tsc_page")) => {
            Finding::ok(RULE, format!("{name}, read without a system call"))
        }
        Ok(name) => {
            let others = kernel.clocks.known_value().map_or("?", String::as_str);
            Finding::bad(RULE, format!("{name}; there are {others}"))
                .costs("each look at the time is a system call or reads a slow device: 1 us or so")
                .mend(
                    "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource \
                     (as root), and tsc=reliable on the kernel's command line if it is refused",
                )
        }
    };
    finding.from(&kernel.clock.source).from(&kernel.clocks.source)
}

/// Only what makes each system call and interrupt slower counts here.
fn mitigations(facts: &Facts) -> Finding {
    const RULE: &str = "kernel.mitigations";
    const COSTLY: [&str; 5] =
        ["PTI", "Mitigation: IBRS", "Clear CPU buffers", "Untrained Return Thunk", "Retpolines"];
    let reading = &facts.machine.kernel.weaknesses;
    let Some(all) = reading.known_value() else {
        return Finding::unread(RULE, "mitigations", reading);
    };
    let active = all.iter().filter(|it| it.state.contains("Mitigation")).count();
    let costly: Vec<_> = all
        .iter()
        .filter(|it| COSTLY.iter().any(|word| it.state.contains(word)))
        .map(|it| it.name.as_str())
        .collect();
    let finding = if costly.is_empty() {
        Finding::ok(
            RULE,
            format!("{active} of {} active, none costs a system call much", all.len()),
        )
    } else {
        Finding::warn(
            RULE,
            format!("{active} of {} active; costly: {}", all.len(), costly.join(", ")),
        )
        .costs(
            "each system call and interrupt is slower, by 0.1 to 1 us; without a copy few remain",
        )
        .mend("mitigations=off on the kernel's command line, only where no foreign code ever runs")
    };
    finding.from(&reading.source)
}

fn steal(facts: &Facts) -> Finding {
    const RULE: &str = "kernel.steal";
    let kernel = &facts.machine.kernel;
    let Some(ticks) = kernel.ticks.known_value() else {
        return Finding::unread(RULE, "the time that the host takes", &kernel.ticks);
    };
    let permille = ticks.stolen.saturating_mul(1_000) / ticks.total.max(1);
    let hundredths = ticks.stolen.saturating_mul(10_000) / ticks.total.max(1);
    let share = format!("{}.{:02} %", hundredths / 100, hundredths % 100);
    let value = match kernel.is_virtual.known_value() {
        Some(true) => format!("virtual machine; the host took {share} of the time since the start"),
        Some(false) => format!("no virtual machine; {share} stolen"),
        None => format!("{share} stolen since the start"),
    };
    let costs = "the host runs others on our cores meanwhile: the gateway stands still for ms";
    let mend = "at the host: cores of our own (pinned, not overcommitted)";
    let finding = if permille >= STEAL_BAD_PERMILLE {
        Finding::bad(RULE, value).costs(costs).mend(mend)
    } else if permille >= STEAL_WARN_PERMILLE {
        Finding::warn(RULE, value).costs(costs).mend(mend)
    } else {
        Finding::ok(RULE, value)
    };
    finding.from(&kernel.ticks.source).from(&kernel.is_virtual.source)
}

#[cfg(test)]
mod tests {
    use topology::{Ticks, Weakness};

    use crate::doctor::facts::Facts;
    use crate::doctor::finding::Level::{Bad, Ok, Unknown, Warn};
    use crate::doctor::made_up::{known, level, missing, refused};

    #[test]
    fn a_kernel_is_new_enough_or_not() {
        let rule = "kernel.release";
        let is = |text: &'static str| {
            move |facts: &mut Facts| {
                facts.machine.kernel.release = known(text.to_owned());
            }
        };
        assert_eq!(level(rule, is("6.6.0")), Ok);
        assert_eq!(level(rule, is("6.1.0-18-amd64")), Warn);
        assert_eq!(level(rule, is("5.18")), Warn);
        assert_eq!(level(rule, is("5.17.9")), Bad);
        let tap = |facts: &mut Facts| {
            is("5.17.9")(facts);
            facts.wanted.is_tap = true;
        };
        assert_eq!(level(rule, tap), Ok);
        assert_eq!(level(rule, is("plan9")), Unknown);
        assert_eq!(level(rule, |facts| facts.machine.kernel.release = missing()), Unknown);
    }

    #[test]
    fn types_and_translation_of_bpf() {
        assert_eq!(level("kernel.btf", |_| {}), Ok);
        assert_eq!(level("kernel.btf", |facts| facts.machine.kernel.btf = missing()), Warn);
        assert_eq!(level("kernel.btf", |facts| facts.machine.kernel.btf = refused()), Unknown);
        let jit = |value| move |facts: &mut Facts| facts.machine.kernel.jit = value;
        assert_eq!(level("kernel.jit", jit(known(1))), Ok);
        assert_eq!(level("kernel.jit", jit(known(2))), Warn);
        assert_eq!(level("kernel.jit", jit(known(0))), Bad);
        assert_eq!(level("kernel.jit", jit(refused())), Unknown);
        assert_eq!(level("kernel.jit", jit(missing())), Unknown);
    }

    #[test]
    fn clocks_are_read_by_the_processor_or_slowly() {
        let rule = "kernel.clock";
        assert_eq!(level(rule, |_| {}), Ok);
        let hpet = |facts: &mut Facts| facts.machine.kernel.clock = known("hpet".to_owned());
        assert_eq!(level(rule, hpet), Bad);
        assert_eq!(level(rule, |facts| facts.machine.kernel.clock = missing()), Unknown);
    }

    #[test]
    fn mitigations_that_slow_system_calls_are_told() {
        let rule = "kernel.mitigations";
        let state = |state: &'static str| {
            move |facts: &mut Facts| {
                let weakness = Weakness { name: "x".to_owned(), state: state.to_owned() };
                facts.machine.kernel.weaknesses = known(vec![weakness]);
            }
        };
        assert_eq!(level(rule, |_| {}), Ok);
        assert_eq!(level(rule, state("Mitigation: usercopy barriers")), Ok);
        assert_eq!(level(rule, state("Mitigation: Enhanced / Automatic IBRS; IBPB")), Ok);
        assert_eq!(level(rule, state("Mitigation: PTI")), Warn);
        assert_eq!(level(rule, state("Mitigation: Clear CPU buffers; SMT off")), Warn);
        assert_eq!(level(rule, |facts| facts.machine.kernel.weaknesses = missing()), Unknown);
    }

    #[test]
    fn stolen_time_stops_the_gateway() {
        let rule = "kernel.steal";
        let ticks = |stolen| {
            move |facts: &mut Facts| {
                facts.machine.kernel.ticks = known(Ticks { total: 10_000, stolen });
            }
        };
        assert_eq!(level(rule, ticks(49)), Ok);
        assert_eq!(level(rule, ticks(50)), Warn);
        assert_eq!(level(rule, ticks(500)), Bad);
        assert_eq!(level(rule, |facts| facts.machine.kernel.ticks = missing()), Unknown);
        let unread = |facts: &mut Facts| facts.machine.kernel.is_virtual = refused();
        assert_eq!(level(rule, unread), Ok);
    }
}
