//! `[access_log]`: which requests are told of, where and how.

use std::ops::RangeInclusive;
use std::path::Path;

use gateway::AccessTerms;
use logging::{FORMATS, Format};
use settings::{At, Ledger, Section};

use crate::access_log::{Settings, Target};
use crate::limits::{ACCESS_QUEUE, ACCESS_QUEUE_MAX, ACCESS_QUEUE_MIN, ACCESS_SAMPLE_MAX};

const ERRORS: &[(&str, bool)] = &[("all", true), ("sampled", false)];

/// Reads the section; `Some(None)` where there is no log. A path that is not absolute begins at
/// `folder`.
#[expect(clippy::option_option, reason = "outside: noted why not; inside: there is no log")]
pub(crate) fn read(
    root: Section<'_>,
    folder: &Path,
    ledger: &mut Ledger<'_>,
) -> Option<Option<Settings>> {
    const KEY: &str = "access_log";
    let is_there = root.find(KEY, ledger).is_some();
    let section = root.table(KEY, KEY, ledger);
    let target = target(section, folder, is_there, ledger);
    let sample = section.number("sample", 1, 1..=ACCESS_SAMPLE_MAX, ledger);
    let errors = section.choice("errors", true, ERRORS, ledger);
    let format = section.choice("format", Format::Text, FORMATS, ledger);
    let queue = queue(section, ledger);
    if !is_there {
        return Some(None);
    }
    let terms = AccessTerms { sample: sample?.value, is_every_error: errors?.value };
    Some(Some(Settings { target: target?, terms, format: format?.value, queue: queue? }))
}

fn target(
    section: Section<'_>,
    folder: &Path,
    is_there: bool,
    ledger: &mut Ledger<'_>,
) -> Option<Target> {
    const KEY: &str = "path";
    if is_there && section.find(KEY, ledger).is_none() {
        let right = "name a file, or use \"-\" for standard output or \"stderr\"";
        ledger.refuse(section.place, &section.path(KEY), "it is missing", right);
    }
    let At { value: text, place } = section.text(KEY, ledger)?;
    let wrong = match text {
        "-" => return Some(Target::Output),
        "stderr" => return Some(Target::Error),
        _ => {
            let path = folder.join(text);
            match wrong_with(&path) {
                None => return Some(Target::File(path)),
                Some(wrong) => wrong,
            }
        }
    };
    let right = "name a file in a folder that is there";
    ledger.refuse(place, &section.path(KEY), wrong, right);
    None
}

/// What is wrong with a path that no gateway could write to.
fn wrong_with(path: &Path) -> Option<String> {
    if path.is_dir() {
        return Some(format!("{} is a folder", path.display()));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    (!folder.is_dir()).then(|| format!("there is no folder {}", folder.display()))
}

fn queue(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<u32> {
    const KEY: &str = "queue";
    const RANGE: RangeInclusive<u32> = ACCESS_QUEUE_MIN..=ACCESS_QUEUE_MAX;
    let At { value, place } = section.number(KEY, ACCESS_QUEUE, RANGE, ledger)?;
    if !value.is_power_of_two() {
        let next = value.next_power_of_two();
        let wrong = format!("{value} is no power of two");
        ledger.refuse(place, &section.path(KEY), wrong, format!("use {} or {next}", next / 2));
        return None;
    }
    Some(value)
}
