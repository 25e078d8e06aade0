//! Which driver an interface has, and where on the bus its device is.

use crate::error::{EthtoolError, answer};
use crate::ioctl::{self, DRIVER_WORDS, GET_DRIVER};

/// The driver of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    /// Its name: `ice`, `virtio_net`, `veth`.
    pub name: String,
    /// The device's place on its bus, `0000:00:03.0`; of what is no device empty, or any word.
    pub bus: String,
}

/// Reads which driver it is; `None` where it does not say.
///
/// # Errors
/// There is no such interface.
pub fn driver(name: &str) -> Result<Option<Driver>, EthtoolError> {
    let mut words = [0; DRIVER_WORDS];
    words[0] = GET_DRIVER;
    let outcome = ioctl::ethtool(name, &mut words);
    answer(name, "the driver", outcome.map(|()| parse(&words)))
}

/// `struct ethtool_drvinfo`: the command, then texts of 32 bytes each: name, version, firmware, bus.
fn parse(words: &[u32; DRIVER_WORDS]) -> Driver {
    const TEXT_WORDS: usize = 8;
    let text = |index: usize| {
        let first = 1 + index * TEXT_WORDS;
        ioctl::text(&words[first..first + TEXT_WORDS])
    };
    Driver { name: text(0), bus: text(3) }
}

#[cfg(test)]
mod tests {
    use super::{Driver, driver, parse};
    use crate::error::EthtoolError;
    use crate::ioctl::DRIVER_WORDS;

    #[test]
    fn name_and_bus_are_texts_at_their_places() {
        let mut words = [0; DRIVER_WORDS];
        words[1] = u32::from_ne_bytes(*b"ice\0");
        words[1 + 24..][..3].copy_from_slice(&[
            u32::from_ne_bytes(*b"0000"),
            u32::from_ne_bytes(*b":01:"),
            u32::from_ne_bytes(*b"00.0"),
        ]);
        let expected = Driver { name: "ice".to_owned(), bus: "0000:01:00.0".to_owned() };
        assert_eq!(parse(&words), expected);
    }

    #[test]
    fn what_is_missing_is_an_error() {
        let name = "no-such-link".to_owned();
        assert_eq!(driver(&name), Err(EthtoolError::ConfigNoInterface { name }));
    }
}
