//! How many packets the rings of a NIC hold.

use crate::error::{EthtoolError, answer};
use crate::ioctl::{self, GET_RINGS, RINGS_WORDS};

/// Packets that each ring of a NIC holds, and could hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rings {
    /// Received packets.
    pub rx: u32,
    /// Packets to send.
    pub tx: u32,
    /// Received packets at most.
    pub rx_max: u32,
    /// Packets to send at most.
    pub tx_max: u32,
}

/// Reads the rings; `None` where the driver has none that can be set.
///
/// # Errors
/// There is no such interface.
pub fn rings(name: &str) -> Result<Option<Rings>, EthtoolError> {
    let mut words = [0; RINGS_WORDS];
    words[0] = GET_RINGS;
    let outcome = ioctl::ethtool(name, &mut words);
    answer(name, "the rings", outcome.map(|()| parse(&words)))
}

/// `struct ethtool_ringparam`: four maxima and four sizes, of rx, rx mini, rx jumbo and tx.
fn parse(words: &[u32; RINGS_WORDS]) -> Rings {
    let [_command, rx_max, _mini_max, _jumbo_max, tx_max, rx, _mini, _jumbo, tx] = *words;
    Rings { rx, tx, rx_max, tx_max }
}

#[cfg(test)]
mod tests {
    use super::{Rings, parse, rings};

    #[test]
    fn sizes_stand_behind_their_maxima() {
        let expected = Rings { rx: 512, tx: 256, rx_max: 4096, tx_max: 2048 };
        assert_eq!(parse(&[0x10, 4096, 1, 2, 2048, 512, 3, 4, 256]), expected);
    }

    #[test]
    fn loopback_has_none() {
        assert_eq!(rings("lo"), Ok(None));
    }
}
