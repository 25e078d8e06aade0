//! The object file, and what the kernel and libbpf say while it loads.

use std::sync::{Mutex, MutexGuard, PoisonError};

use libbpf_rs::{
    MapCore as _, MapHandle, Object, ObjectBuilder, OpenObject, PrintLevel, ProgramHandle,
    set_print,
};
use nix::errno::Errno;

use crate::error::LoadError;
use crate::limits::LOG_LEN_MAX;
use crate::machine::Machine;

/// An object file must lie at a multiple of eight bytes to be read in place.
#[repr(C, align(8))]
struct Aligned<T: ?Sized>(T);

static STEER: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/steer.o")));

/// The loaded program and its maps, each a descriptor of its own.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) program: ProgramHandle,
    pub(crate) addresses: MapHandle,
    pub(crate) sockets: MapHandle,
    pub(crate) rules_v4: MapHandle,
    pub(crate) rules_v6: MapHandle,
    pub(crate) settings: MapHandle,
    pub(crate) tallies: MapHandle,
}

/// What libbpf prints while one object loads. It has one printer for the whole process.
static LOG: Mutex<String> = Mutex::new(String::new());
/// Held while an object loads, so that two logs do not mix.
static LOADING: Mutex<()> = Mutex::new(());

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds these locks leaves them half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep(_level: PrintLevel, text: String) {
    let mut log = locked(&LOG);
    if log.len() + text.len() <= LOG_LEN_MAX {
        log.push_str(&text);
    }
}

/// Loads the object with `queues` places for sockets.
pub(crate) fn load(queues: u32) -> Result<Loaded, LoadError> {
    let _alone = locked(&LOADING);
    locked(&LOG).clear();
    let printer = set_print(Some((PrintLevel::Warn, keep)));
    let loaded = open_and_load(queues);
    set_print(printer);
    loaded.map_err(|error| {
        let log = std::mem::take(&mut *locked(&LOG));
        LoadError::of_load(errno_of(&error), &log, &Machine::read())
    })
}

fn open_and_load(queues: u32) -> Result<Loaded, libbpf_rs::Error> {
    let mut object = ObjectBuilder::default().open_memory(&STEER.0)?;
    size_sockets(&mut object, queues)?;
    let object = object.load()?;
    let map = |name: &str| map_named(&object, name);
    let mut programs = object.progs_mut();
    let program = programs.next().expect("the object has one program");
    Ok(Loaded {
        program: ProgramHandle::try_from(&program)?,
        addresses: map("addresses")?,
        sockets: map("sockets")?,
        rules_v4: map("rules_v4")?,
        rules_v6: map("rules_v6")?,
        settings: map("settings")?,
        tallies: map("tallies")?,
    })
}

fn size_sockets(object: &mut OpenObject, queues: u32) -> Result<(), libbpf_rs::Error> {
    let mut sockets = object.maps_mut().find(|map| map.name() == "sockets").expect("maps.h has it");
    sockets.set_max_entries(queues)
}

/// A map, kept open beyond the object.
fn map_named(object: &Object, name: &str) -> Result<MapHandle, libbpf_rs::Error> {
    let map = object.maps().find(|map| map.name() == name).expect("maps.h has it");
    MapHandle::try_from(&map)
}

/// The error number of what libbpf refused: it gives it only in its text, as `std::io` writes it.
pub(crate) fn errno_of(error: &libbpf_rs::Error) -> Errno {
    errno_in(&format!("{error:#}"))
}

fn errno_in(text: &str) -> Errno {
    let number = text.rsplit_once("(os error ").and_then(|(_, rest)| rest.split_once(')'));
    number.and_then(|(number, _)| number.parse().ok()).map_or(Errno::UnknownErrno, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_number_is_read_from_any_depth() {
        let error = |number| libbpf_rs::Error::from_raw_os_error(number);
        assert_eq!(errno_of(&error(1)), Errno::EPERM);
        assert_eq!(errno_of(&error(16)), Errno::EBUSY);
        assert_eq!(
            errno_in("opening: failed (os error 2): No such (os error 95)"),
            Errno::EOPNOTSUPP
        );
        assert_eq!(errno_in("nothing"), Errno::UnknownErrno);
    }

    #[test]
    fn object_lies_where_it_can_be_read_in_place() {
        assert!(STEER.0.as_ptr().addr().is_multiple_of(8));
        assert_eq!(STEER.0[..4], *b"\x7fELF");
    }
}
