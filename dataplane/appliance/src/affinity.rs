//! Which cores the workers run on.

use core_affinity::CoreId;

use crate::config::Workers;
use crate::error::Error;

/// A core for each worker: those of the file; without it, the last ones that this process may use,
/// because the first ones serve the interrupts of most machines.
pub(crate) fn choose(workers: &Workers) -> Result<Vec<CoreId>, Error> {
    // The affinity mask of the process: a container or `taskset` may forbid some.
    let allowed = core_affinity::get_core_ids().unwrap_or_default();
    let allowed: Vec<_> = allowed.iter().map(|core| core.id).collect();
    let chosen = choose_among(&allowed, workers);
    let chosen = chosen.map_err(|(what, mend)| Error::Lacks { what, mend })?;
    Ok(chosen.into_iter().map(|id| CoreId { id }).collect())
}

/// The same among the numbers of these; else what is lacking, and what mends it.
pub(crate) fn choose_among(
    allowed: &[usize],
    workers: &Workers,
) -> Result<Vec<usize>, (String, String)> {
    let count = usize::from(workers.count);
    let Some(wanted) = &workers.cores else {
        let first = allowed.len().checked_sub(count);
        return first.map(|first| allowed[first..].to_vec()).ok_or_else(|| {
            let what = format!("{count} cores: this process may use {}", allowed.len());
            (what, format!("use workers.count = {}, or `taskset`", allowed.len().max(1)))
        });
    };
    match wanted.iter().find(|id| !allowed.contains(id)) {
        None => Ok(wanted.clone()),
        Some(id) => {
            let ids: Vec<_> = allowed.iter().map(usize::to_string).collect();
            let what = format!("the right to run on core {id}");
            Err((what, format!("use workers.cores of {}, or `taskset`", ids.join(","))))
        }
    }
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
    use super::choose_among;
    use crate::config::Workers;

    fn chosen(
        allowed: &[usize],
        count: u16,
        cores: Option<&[usize]>,
    ) -> Result<Vec<usize>, String> {
        let workers = Workers { count, cores: cores.map(<[usize]>::to_vec), ..Workers::default() };
        choose_among(allowed, &workers).map_err(|(what, mend)| format!("{what}; {mend}"))
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
