//! `abelectl doctor`: what of this machine costs a gateway speed, and what mends it.
//!
//! Nothing is changed and no gateway is asked. Readers are in `topology` and `ethtool`; `facts`
//! holds what they have read, `rules` judges it without looking again, so that each rule is tested
//! on machines that nobody has. What cannot be read is `unknown` and never guessed.

mod facts;
mod finding;
#[cfg(test)]
mod made_up;
mod report;
mod rules;
mod wanted;

use std::io::Write;

use topology::{Machine, Tree};

use self::facts::{Facts, Interface, Workers, programs};
use self::finding::Summary;
use self::wanted::Wanted;
use crate::args::DoctorArgs;
use crate::error::Error;
use crate::limits::INTERFACES_MAX;

/// Looks, judges and prints once.
pub(crate) fn run(args: &DoctorArgs, out: &mut dyn Write) -> Result<(), Error> {
    let wanted = args.config.as_deref().map_or_else(|| Ok(Wanted::default()), Wanted::read)?;
    let tree = Tree::default();
    let names = names(args, &wanted)?;
    let interfaces: Vec<_> = names.iter().map(|name| Interface::read(&tree, name)).collect();
    let machine = Machine::read(&tree);
    let queues = interfaces.iter().filter_map(Interface::queues).max();
    let workers = Workers::choose(&machine, &wanted, queues);
    let facts = Facts { machine, interfaces, wanted, workers, programs: programs() };
    let findings = rules::judge(&facts);
    if args.json {
        report::print_json(&facts, &findings, out)?;
    } else {
        report::print(&facts, &findings, out)?;
    }
    out.flush()?;
    match Summary::of(&findings) {
        Summary { bad: 0, warn: 0, .. } => Ok(()),
        Summary { bad, warn, .. } => Err(Error::Findings { bad, warn }),
    }
}

/// Which interfaces are looked at: the one that is named, else that of the configuration, else all
/// that are devices.
fn names(args: &DoctorArgs, wanted: &Wanted) -> Result<Vec<String>, Error> {
    if let Some(name) = &args.interface {
        let there = ethtool::names().map_err(listing)?;
        if !there.contains(name) {
            return Err(Error::NoInterface { name: name.clone(), there });
        }
        return Ok(vec![name.clone()]);
    }
    if wanted.is_tap {
        return Ok(Vec::new());
    }
    if let Some(name) = &wanted.interface {
        return Ok(vec![name.clone()]);
    }
    let names = ethtool::names().map_err(listing)?;
    Ok(names.into_iter().filter(|name| Interface::is_device(name)).take(INTERFACES_MAX).collect())
}

fn listing(errno: nix::errno::Errno) -> Error {
    Error::System { what: "list the interfaces", source: errno.into() }
}
