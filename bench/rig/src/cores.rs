//! Which cores this process may use, and pinning to them.

use core_affinity::CoreId;

use crate::args::Cores;
use crate::error::Error;

/// Where the two ends run; one core for both if both fields are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) server: CoreId,
    pub(crate) client: CoreId,
}

/// The cores of the process's affinity mask, in order: a container or `taskset` may forbid some.
pub(crate) fn allowed() -> Vec<CoreId> {
    core_affinity::get_core_ids().unwrap_or_default()
}

/// The first one or two allowed cores.
pub(crate) fn placement(cores: Cores) -> Result<Placement, Error> {
    place(&allowed(), cores)
}

fn place(allowed: &[CoreId], cores: Cores) -> Result<Placement, Error> {
    match (cores, allowed) {
        (Cores::One, &[one, ..]) => Ok(Placement { server: one, client: one }),
        (Cores::Two, &[server, client, ..]) => Ok(Placement { server, client }),
        (Cores::One, []) | (Cores::Two, [] | [_]) => Err(Error::Lacks {
            what: format!("a second core for this process (it may use {})", allowed.len()),
            mend: "run with --cores 1, or allow more cores: `taskset -c 0,1 abele-bench ...`"
                .to_owned(),
        }),
    }
}

/// Keeps the calling thread on `core` from now on.
pub(crate) fn pin(core: CoreId) -> Result<(), Error> {
    if core_affinity::set_for_current(core) {
        return Ok(());
    }
    Err(Error::Lacks {
        what: format!("the right to run on core {}", core.id),
        mend: "allow it: `taskset -c 0,1 abele-bench ...`".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ends_get_the_first_two_allowed_cores() {
        let allowed = [CoreId { id: 3 }, CoreId { id: 5 }, CoreId { id: 7 }];
        let placement = place(&allowed, Cores::Two).expect("three cores are enough for two");
        assert_eq!((placement.server.id, placement.client.id), (3, 5));
        let placement = place(&allowed, Cores::One).expect("three cores are enough for one");
        assert_eq!((placement.server.id, placement.client.id), (3, 3));
    }

    #[test]
    fn one_allowed_core_refuses_two_ends_and_names_the_mend() {
        let error = place(&[CoreId { id: 0 }], Cores::Two).expect_err("one core is not two");
        assert!(error.to_string().contains("--cores 1"), "{error}");
    }
}
