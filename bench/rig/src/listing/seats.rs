//! On which cores the ends and the tool run.

use core_affinity::CoreId;

use crate::args::Cores;
use crate::cores::{self, Placement};
use crate::error::Error;

/// The ends' cores, and one that is neither's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seats {
    pub(super) ends: Placement,
    pub(super) lister: CoreId,
}

/// The first allowed cores.
pub(super) fn choose(cores: Cores) -> Result<Seats, Error> {
    seat(&cores::allowed(), cores)
}

fn seat(allowed: &[CoreId], cores: Cores) -> Result<Seats, Error> {
    match (cores, allowed) {
        (Cores::One, &[both, lister, ..]) => {
            Ok(Seats { ends: Placement { server: both, client: both }, lister })
        }
        (Cores::Two, &[server, client, lister, ..]) => {
            Ok(Seats { ends: Placement { server, client }, lister })
        }
        (Cores::One | Cores::Two, _) => Err(Error::Lacks {
            what: format!(
                "a core for the tool beside those of the ends ({} allowed)",
                allowed.len()
            ),
            mend: "run with --cores 1 on at least two, or allow more cores: `taskset -c 0-2 \
                   abele-bench ...`"
                .to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tool_has_a_core_that_neither_end_uses_or_the_machine_lacks_one() {
        let core = |id| CoreId { id };
        let seats = seat(&[core(2), core(5)], Cores::One).expect("two are enough");
        assert_eq!(
            (seats.ends.server, seats.ends.client, seats.lister),
            (core(2), core(2), core(5))
        );
        let seats = seat(&[core(2), core(5), core(7)], Cores::Two).expect("three are enough");
        assert_eq!(
            (seats.ends.server, seats.ends.client, seats.lister),
            (core(2), core(5), core(7))
        );
        for (allowed, cores) in [(&[core(0)][..], Cores::One), (&[core(0), core(1)], Cores::Two)] {
            let error = seat(allowed, cores).expect_err("too few").to_string();
            assert!(error.contains("--cores 1"), "{error}");
        }
    }
}
