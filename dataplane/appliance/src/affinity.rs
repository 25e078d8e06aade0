//! Which cores the workers run on.

use core_affinity::CoreId;

use crate::config::Workers;
use crate::error::Error;

/// A core for each worker: those of the file; without it, the last ones that this process may use,
/// because the first ones serve the interrupts of most machines.
pub(crate) fn choose(workers: &Workers) -> Result<Vec<CoreId>, Error> {
    // The affinity mask of the process: a container or `taskset` may forbid some.
    choose_among(&core_affinity::get_core_ids().unwrap_or_default(), workers)
}

fn choose_among(allowed: &[CoreId], workers: &Workers) -> Result<Vec<CoreId>, Error> {
    let count = usize::from(workers.count);
    let Some(wanted) = &workers.cores else {
        let first = allowed.len().checked_sub(count);
        return first.map(|first| allowed[first..].to_vec()).ok_or_else(|| Error::Lacks {
            what: format!("{count} cores: this process may use {}", allowed.len()),
            mend: format!("use workers.count = {}, or `taskset`", allowed.len().max(1)),
        });
    };
    let find = |id: &usize| {
        allowed.iter().find(|core| core.id == *id).copied().ok_or_else(|| {
            let ids: Vec<_> = allowed.iter().map(|core| core.id.to_string()).collect();
            let what = format!("the right to run on core {id}");
            Error::Lacks {
                what,
                mend: format!("use workers.cores of {}, or `taskset`", ids.join(",")),
            }
        })
    };
    wanted.iter().map(find).collect()
}

/// Keeps the calling thread on `core` from now on.
pub(crate) fn pin(core: CoreId) -> Result<(), Error> {
    if core_affinity::set_for_current(core) {
        return Ok(());
    }
    Err(Error::Lacks {
        what: format!("the right to run on core {}", core.id),
        mend: "choose other workers.cores, or allow it with `taskset`".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use core_affinity::CoreId;

    use super::choose_among;
    use crate::config::Workers;

    fn chosen(
        allowed: &[usize],
        count: u16,
        cores: Option<&[usize]>,
    ) -> Result<Vec<usize>, String> {
        let allowed: Vec<_> = allowed.iter().map(|id| CoreId { id: *id }).collect();
        let workers = Workers { count, cores: cores.map(<[usize]>::to_vec), ..Workers::default() };
        let cores = choose_among(&allowed, &workers).map_err(|error| error.to_string())?;
        Ok(cores.iter().map(|core| core.id).collect())
    }

    #[test]
    fn the_last_allowed_cores_are_taken_unless_some_are_named() {
        assert_eq!(chosen(&[3, 5, 6], 1, None), Ok(vec![6]));
        assert_eq!(chosen(&[3, 5, 6], 2, None), Ok(vec![5, 6]));
        assert_eq!(chosen(&[3, 5, 6], 2, Some(&[6, 3])), Ok(vec![6, 3]));
    }

    #[test]
    fn cores_that_are_not_there_are_told_with_those_that_are() {
        let error = chosen(&[3, 5], 1, Some(&[4])).unwrap_err();
        assert!(error.contains("core 4") && error.contains("3,5"), "{error}");
        let error = chosen(&[3, 5], 3, None).unwrap_err();
        assert!(error.contains("3 cores") && error.contains("workers.count = 2"), "{error}");
    }
}
