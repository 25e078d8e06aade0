//! The report: a line for each finding, for people or as JSON.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::facts::Facts;
use super::finding::{Finding, Level, Summary};

/// Prints it for people: groups, a line for each finding, and below what is not well what it costs
/// and what mends it.
pub(crate) fn print(facts: &Facts, findings: &[Finding], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", headline(facts))?;
    let mut last = None;
    for finding in findings {
        let (group, name) = finding.rule.split_once('.').unwrap_or((finding.rule, ""));
        let heading = (group, finding.interface.as_deref());
        if last != Some(heading) {
            let of = finding.interface.as_deref().map(|it| format!(" {it}")).unwrap_or_default();
            writeln!(out, "\n{group}{of}")?;
            last = Some(heading);
        }
        writeln!(out, "  {:<7} {name:<11} {}", finding.level.name(), finding.value)?;
        if finding.level > Level::Ok {
            for (word, text) in [("costs", &finding.costs), ("mend", &finding.mend)] {
                if !text.is_empty() {
                    writeln!(out, "{:22}{word}: {text}", "")?;
                }
            }
        }
    }
    let Summary { ok, unknown, warn, bad } = Summary::of(findings);
    writeln!(out, "\n{ok} ok, {warn} warn, {bad} bad, {unknown} unknown")
}

fn headline(facts: &Facts) -> String {
    let workers = &facts.workers;
    let cores = if workers.cores.is_empty() { "?".to_owned() } else { workers.cores.to_string() };
    let why = match &facts.wanted.file {
        Some(file) => format!("as {file} has it"),
        None => "assumed: one for each queue, one core left to the kernel; --config says more"
            .to_owned(),
    };
    let interfaces = if !facts.interfaces.is_empty() {
        let names: Vec<_> = facts.interfaces.iter().map(|it| it.name.as_str()).collect();
        format!("interface {}", names.join(", "))
    } else if facts.wanted.is_tap {
        "no interface: the gateway makes its TAP device itself".to_owned()
    } else {
        "no interface: there is no physical one here; name one with --interface".to_owned()
    };
    let workers = match workers.count {
        1 => format!("1 worker on core {cores}"),
        count => format!("{count} workers on cores {cores}"),
    };
    format!("{interfaces}\n{workers} ({why})")
}

/// Prints one object.
pub(crate) fn print_json(
    facts: &Facts,
    findings: &[Finding],
    out: &mut dyn Write,
) -> io::Result<()> {
    let list = findings.iter().map(|finding| {
        let Finding { rule, interface, level, value, sources, costs, mend } = finding;
        json!({
            "rule": rule,
            "interface": interface,
            "level": level.name(),
            "value": value,
            "sources": sources,
            "costs": costs,
            "mend": mend,
        })
    });
    let Summary { ok, unknown, warn, bad } = Summary::of(findings);
    let interfaces: Vec<_> = facts.interfaces.iter().map(|it| it.name.as_str()).collect();
    let object = json!({
        "config": facts.wanted.file,
        "interfaces": interfaces,
        "workers": {
            "count": facts.workers.count,
            "cores": facts.workers.cores.iter().collect::<Vec<_>>(),
            "assumed": facts.workers.is_assumed,
        },
        "findings": list.collect::<Value>(),
        "summary": { "ok": ok, "warn": warn, "bad": bad, "unknown": unknown },
    });
    writeln!(out, "{object}")
}

#[cfg(test)]
mod tests {
    use super::{print, print_json};
    use crate::doctor::finding::Finding;
    use crate::doctor::made_up;

    fn findings() -> Vec<Finding> {
        let warn = Finding::warn("memory.huge_2m", "0 free").from("/sys/x").from("/sys/y");
        vec![
            Finding::ok("cores.count", "4 run").from("/sys/z"),
            warn.costs("speed").mend("sysctl -w x=1"),
            Finding::unknown("memory.locked", "no right to read it").from("/proc/z"),
            Finding { interface: Some("eth1".to_owned()), ..Finding::ok("nic.link", "up") },
        ]
    }

    #[test]
    fn people_get_groups_and_what_mends() {
        let mut out = Vec::new();
        print(&made_up::facts(), &findings(), &mut out).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r"
        interface eth1
        2 workers on cores 2-3 (as abele.toml has it)

        cores
          ok      count       4 run

        memory
          warn    huge_2m     0 free
                              costs: speed
                              mend: sysctl -w x=1
          unknown locked      no right to read it

        nic eth1
          ok      link        up

        2 ok, 1 warn, 0 bad, 1 unknown
        ");
    }

    #[test]
    fn programs_get_one_object_with_sources() {
        let mut out = Vec::new();
        print_json(&made_up::facts(), &findings(), &mut out).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(report["findings"][1]["sources"], serde_json::json!(["/sys/x", "/sys/y"]));
        assert_eq!(report["findings"][1]["level"], "warn");
        assert_eq!(report["findings"][3]["interface"], "eth1");
        assert_eq!(report["workers"]["cores"], serde_json::json!([2, 3]));
        let summary = serde_json::json!({ "ok": 2, "warn": 1, "bad": 0, "unknown": 1 });
        assert_eq!(report["summary"], summary);
    }

    #[test]
    fn without_an_interface_the_report_says_why() {
        let mut facts = made_up::facts();
        facts.interfaces.clear();
        let head = |facts: &_| {
            let mut out = Vec::new();
            print(facts, &[], &mut out).unwrap();
            String::from_utf8(out).unwrap().lines().next().unwrap().to_owned()
        };
        assert!(head(&facts).contains("--interface"));
        facts.wanted.is_tap = true;
        assert!(head(&facts).contains("TAP device itself"));
    }
}
