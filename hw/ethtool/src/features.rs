//! What an interface does to packets on behalf of the stack: checksums, segments, merging.

use crate::error::{EthtoolError, answer};
use crate::ioctl::{self, GET_FEATURES, GET_SET_INFO, GET_STRINGS};
use crate::limits::FEATURES_MAX;

/// One of the things that an interface does to packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// As the kernel calls it: `tx-checksum-ip-generic`, `rx-gro`.
    pub name: String,
    /// Whether it is done.
    pub is_on: bool,
    /// Whether nobody can change that.
    pub is_fixed: bool,
}

/// What an interface does to packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features(Vec<Feature>);

impl Features {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Feature] {
        &self.0
    }

    /// The one of that name; a kernel that does not know it does not do it.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Feature> {
        self.0.iter().find(|feature| feature.name == name)
    }

    /// Whether that is done.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        self.find(name).is_some_and(|feature| feature.is_on)
    }

    /// Whether the stack leaves checksums of what is sent to the interface, of any kind; what
    /// `ethtool -k` calls `tx-checksumming`.
    #[must_use]
    pub fn leaves_tx_checksums(&self) -> bool {
        const KINDS: [&str; 3] = ["tx-checksum-ipv4", "tx-checksum-ip-generic", "tx-checksum-ipv6"];
        KINDS.iter().any(|name| self.is_on(name))
    }

    /// Whether the stack leaves cutting TCP streams into segments to the interface; what
    /// `ethtool -k` calls `tcp-segmentation-offload`, without `tx-tcp-accecn-segmentation`, which
    /// alone cuts nothing and which the kernel leaves on when it takes the others away.
    #[must_use]
    pub fn leaves_tcp_segments(&self) -> bool {
        const KINDS: [&str; 4] = [
            "tx-tcp-segmentation",
            "tx-tcp-ecn-segmentation",
            "tx-tcp-mangleid-segmentation",
            "tx-tcp6-segmentation",
        ];
        KINDS.iter().any(|name| self.is_on(name))
    }
}

impl FromIterator<Feature> for Features {
    fn from_iter<I: IntoIterator<Item = Feature>>(features: I) -> Self {
        Self(features.into_iter().collect())
    }
}

/// `ETH_SS_FEATURES`.
const SET: u32 = 4;
/// Words of a name, `ETH_GSTRING_LEN`.
const NAME_WORDS: usize = 8;

/// Reads the features; `None` where the kernel does not say.
///
/// # Errors
/// There is no such interface, or the kernel speaks of more than is believed.
pub fn features(name: &str) -> Result<Option<Features>, EthtoolError> {
    const WHAT: &str = "the offloads";
    let mut info = [GET_SET_INFO, 0, 1 << SET, 0, 0];
    let Some(()) = answer(name, WHAT, ioctl::ethtool(name, &mut info))? else { return Ok(None) };
    // The mask keeps the sets that there are; their counts follow.
    let count = if info[2] == 0 { 0 } else { info[4] };
    if count > FEATURES_MAX {
        let (name, what, most) = (name.to_owned(), "offloads", FEATURES_MAX);
        return Err(EthtoolError::PeerTooMany { name, what, count, most });
    }
    if count == 0 {
        return Ok(None);
    }
    let mut strings = vec![0; 3 + count as usize * NAME_WORDS];
    strings[..3].copy_from_slice(&[GET_STRINGS, SET, count]);
    let Some(()) = answer(name, WHAT, ioctl::ethtool(name, &mut strings))? else { return Ok(None) };
    let blocks = count.div_ceil(32);
    let mut words = vec![0; 2 + blocks as usize * 4];
    words[..2].copy_from_slice(&[GET_FEATURES, blocks]);
    let outcome = ioctl::ethtool(name, &mut words);
    answer(name, WHAT, outcome.map(|()| parse(&strings[3..], &words[2..])))
}

/// Names, and blocks of 32 features: what can be changed, what was asked for, what is on, what never
/// changes.
fn parse(names: &[u32], blocks: &[u32]) -> Features {
    let names = names.chunks_exact(NAME_WORDS).map(ioctl::text).enumerate();
    let features = names.filter(|(_, name)| !name.is_empty()).map(|(index, name)| {
        let (block, bit) = (&blocks[index / 32 * 4..], index % 32);
        let is_set = |word: u32| word >> bit & 1 == 1;
        let (can_change, is_on, never_changes) = (block[0], block[2], block[3]);
        let is_fixed = !is_set(can_change) || is_set(never_changes);
        Feature { name, is_on: is_set(is_on), is_fixed }
    });
    features.collect()
}

#[cfg(test)]
mod tests {
    use super::{Feature, NAME_WORDS, features, parse};
    use crate::error::EthtoolError;

    fn named(names: &[&str]) -> Vec<u32> {
        let padded = names.iter().flat_map(|name| {
            let mut text = [0_u8; NAME_WORDS * 4];
            text[..name.len()].copy_from_slice(name.as_bytes());
            text
        });
        let bytes: Vec<u8> = padded.collect();
        bytes.chunks_exact(4).map(|word| u32::from_ne_bytes(word.try_into().unwrap())).collect()
    }

    #[test]
    fn a_feature_is_on_or_off_and_fixed_or_not() {
        let names = named(&["tx-checksum-ipv4", "", "rx-gro", "tx-tcp-segmentation"]);
        let features = parse(&names, &[0b1100, 0, 0b0101, 0b0000]);
        let found: Vec<_> = features
            .all()
            .iter()
            .map(|Feature { name, is_on, is_fixed }| (name.as_str(), *is_on, *is_fixed))
            .collect();
        assert_eq!(
            found,
            [
                ("tx-checksum-ipv4", true, true),
                ("rx-gro", true, false),
                ("tx-tcp-segmentation", false, false)
            ]
        );
        assert!(features.leaves_tx_checksums() && !features.leaves_tcp_segments());
        assert!(!features.is_on("rx-lro"));
    }

    #[test]
    fn features_beyond_the_first_block_are_found() {
        let mut list = vec!["x"; 40];
        list[39] = "rx-gro-hw";
        let features = parse(&named(&list), &[0, 0, 0, 0, 1 << 7, 0, 1 << 7, 0]);
        let last = features.find("rx-gro-hw").unwrap();
        assert!(last.is_on && !last.is_fixed);
    }

    #[test]
    fn loopback_has_features_and_what_is_missing_is_an_error() {
        let found = features("lo").unwrap().expect("every interface has them");
        let loopback = found.find("loopback").expect("loopback is one");
        assert!(loopback.is_on && loopback.is_fixed);
        let name = "no-such-link".to_owned();
        assert_eq!(features(&name), Err(EthtoolError::ConfigNoInterface { name }));
    }
}
