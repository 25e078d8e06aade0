//! How many queues a NIC has.

use crate::error::{EthtoolError, answer};
use crate::ioctl::{self, CHANNELS_WORDS, GET_CHANNELS};

/// Queues that a NIC has, and could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// Queues that receive now.
    pub rx: u32,
    /// Queues that send now.
    pub tx: u32,
    /// Those of them that do both, which are set together.
    pub combined: u32,
    /// Queues that could receive.
    pub rx_max: u32,
    /// Queues that could send.
    pub tx_max: u32,
}

/// Reads the NIC's channels; `None` where the driver has no notion of them.
///
/// # Errors
/// There is no such interface.
pub fn channels(name: &str) -> Result<Option<Channels>, EthtoolError> {
    let mut words = [0; CHANNELS_WORDS];
    words[0] = GET_CHANNELS;
    let outcome = ioctl::ethtool(name, &mut words);
    answer(name, "the channels", outcome.map(|()| parse(&words)))
}

/// Combined channels receive and send.
fn parse(words: &[u32; CHANNELS_WORDS]) -> Channels {
    let [_command, rx_max, tx_max, _other_max, combined_max, rx, tx, _other, combined] = *words;
    Channels {
        rx: rx.saturating_add(combined),
        tx: tx.saturating_add(combined),
        combined,
        rx_max: rx_max.saturating_add(combined_max),
        tx_max: tx_max.saturating_add(combined_max),
    }
}

#[cfg(test)]
mod tests {
    use super::{Channels, channels, parse};
    use crate::error::EthtoolError;

    #[test]
    fn combined_channels_count_both_ways() {
        let combined = parse(&[0x3c, 0, 0, 1, 16, 0, 0, 1, 8]);
        assert_eq!(combined, Channels { rx: 8, tx: 8, combined: 8, rx_max: 16, tx_max: 16 });
        let apart = parse(&[0x3c, 4, 2, 0, 0, 3, 1, 0, 0]);
        assert_eq!(apart, Channels { rx: 3, tx: 1, combined: 0, rx_max: 4, tx_max: 2 });
    }

    #[test]
    fn loopback_has_none_and_what_is_missing_is_an_error() {
        assert_eq!(channels("lo"), Ok(None));
        let name = "no-such-link".to_owned();
        assert_eq!(channels(&name), Err(EthtoolError::ConfigNoInterface { name }));
    }
}
