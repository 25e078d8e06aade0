//! Which core the worker runs on.

use core_affinity::CoreId;

use crate::error::Error;

/// The core of that number; without one, the last that this process may use: the first ones serve
/// the interrupts of most machines.
pub(crate) fn choose(wanted: Option<usize>) -> Result<CoreId, Error> {
    // The affinity mask of the process: a container or `taskset` may forbid some.
    choose_among(&core_affinity::get_core_ids().unwrap_or_default(), wanted)
}

fn choose_among(allowed: &[CoreId], wanted: Option<usize>) -> Result<CoreId, Error> {
    let chosen = match wanted {
        Some(id) => allowed.iter().find(|core| core.id == id),
        None => allowed.last(),
    };
    chosen.copied().ok_or_else(|| {
        let ids: Vec<_> = allowed.iter().map(|core| core.id.to_string()).collect();
        let (what, ids) = match wanted {
            Some(id) => (format!("the right to run on core {id}"), ids.join(",")),
            None => ("a core to run on".to_owned(), "0".to_owned()),
        };
        Error::Lacks { what, mend: format!("use worker.core = {ids}, or `taskset`") }
    })
}

/// Keeps the calling thread on `core` from now on.
pub(crate) fn pin(core: CoreId) -> Result<(), Error> {
    if core_affinity::set_for_current(core) {
        return Ok(());
    }
    Err(Error::Lacks {
        what: format!("the right to run on core {}", core.id),
        mend: "choose another worker.core, or allow it with `taskset`".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use core_affinity::CoreId;

    use super::choose_among;

    #[test]
    fn the_last_allowed_core_is_taken_unless_one_is_named() {
        let allowed = [CoreId { id: 3 }, CoreId { id: 5 }];
        assert_eq!(choose_among(&allowed, None).unwrap().id, 5);
        assert_eq!(choose_among(&allowed, Some(3)).unwrap().id, 3);
        let error = choose_among(&allowed, Some(4)).unwrap_err().to_string();
        assert!(error.contains("core 4") && error.contains("3,5"), "{error}");
        assert!(choose_among(&[], None).is_err());
    }
}
