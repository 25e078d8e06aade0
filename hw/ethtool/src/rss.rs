//! How a NIC spreads flows over its queues.

use crate::error::{EthtoolError, answer};
use crate::ioctl::{self, FIELDS_WORDS, GET_FIELDS, GET_RSS, RSS_WORDS};
use crate::limits::{KEY_LEN_MAX, TABLE_MAX};

/// How the hash of a packet is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashFunction {
    /// The key's bits, added where the packet's are set.
    Toeplitz,
    /// Another; the number is the kernel's bit mask.
    Other(u8),
}

/// How a NIC spreads flows over its queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rss {
    /// How the hash is computed.
    pub function: HashFunction,
    /// Addresses and ports are mixed before they are hashed, so that both directions of a flow
    /// hash alike.
    pub is_symmetric: bool,
    /// The key.
    pub key: Vec<u8>,
    /// The queue for each remainder of the hash by the table's length.
    pub table: Vec<u32>,
}

/// What of a TCP packet is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashFields {
    /// Both addresses.
    pub addresses: bool,
    /// Both ports.
    pub ports: bool,
    /// Anything else, as a VLAN's number.
    pub others: bool,
}

/// Reads hash function, key and table; `None` where the driver does not spread.
///
/// # Errors
/// There is no such interface, or its driver's answer has no end.
pub fn rss(name: &str) -> Result<Option<Rss>, EthtoolError> {
    const WHAT: &str = "the spread over queues";
    let mut head = [0; RSS_WORDS];
    head[0] = GET_RSS;
    // The first question is for the lengths.
    let Some(()) = answer(name, WHAT, ioctl::ethtool(name, &mut head))? else { return Ok(None) };
    let (table_len, key_len) = (head[2], head[3]);
    for (what, count, most) in
        [("entries of its table", table_len, TABLE_MAX), ("bytes of its key", key_len, KEY_LEN_MAX)]
    {
        if count > most {
            return Err(EthtoolError::PeerTooMany { name: name.to_owned(), what, count, most });
        }
    }
    if table_len == 0 {
        return Ok(None);
    }
    let mut words = vec![0; RSS_WORDS + table_len as usize + key_len.div_ceil(4) as usize];
    (words[0], words[2], words[3]) = (GET_RSS, table_len, key_len);
    let outcome = ioctl::ethtool(name, &mut words);
    answer(name, WHAT, outcome.map(|()| parse(&words, table_len as usize, key_len as usize)))
}

/// An answer of `struct ethtool_rxfh` with a table and a key of these lengths.
fn parse(words: &[u32], table_len: usize, key_len: usize) -> Rss {
    let [function, transformation, ..] = words[4].to_ne_bytes();
    let key = words[RSS_WORDS + table_len..].iter().flat_map(|word| word.to_ne_bytes());
    Rss {
        function: match function {
            1 => HashFunction::Toeplitz,
            other => HashFunction::Other(other),
        },
        is_symmetric: transformation != 0,
        key: key.take(key_len).collect(),
        table: words[RSS_WORDS..RSS_WORDS + table_len].to_vec(),
    }
}

/// Reads what of a TCP packet is hashed, over IPv4 or IPv6; `None` where the driver does not say.
///
/// # Errors
/// There is no such interface.
pub fn hash_fields(name: &str, is_ipv6: bool) -> Result<Option<HashFields>, EthtoolError> {
    const TCP_V4: u32 = 1;
    const TCP_V6: u32 = 5;
    let mut words = [0; FIELDS_WORDS];
    words[0] = GET_FIELDS;
    words[1] = if is_ipv6 { TCP_V6 } else { TCP_V4 };
    let outcome = ioctl::ethtool(name, &mut words);
    // A double word, behind the command and the kind of flow.
    answer(name, "the hashed fields", outcome.map(|()| parse_fields(words[2])))
}

fn parse_fields(mask: u32) -> HashFields {
    const ADDRESSES: u32 = 1 << 4 | 1 << 5;
    const PORTS: u32 = 1 << 6 | 1 << 7;
    HashFields {
        addresses: mask & ADDRESSES == ADDRESSES,
        ports: mask & PORTS == PORTS,
        others: mask & !(ADDRESSES | PORTS) != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{HashFields, HashFunction, Rss, parse, parse_fields, rss};
    use crate::error::EthtoolError;
    use crate::ioctl::{FIELDS_WORDS, RSS_WORDS};

    #[test]
    fn an_answer_has_its_table_before_its_key() {
        let mut words = vec![0x46, 0, 4, 6, u32::from_ne_bytes([1, 0, 0, 0]), 0, 0];
        words.extend([0, 1, 0, 1]);
        words.extend([u32::from_ne_bytes(*b"abcd"), u32::from_ne_bytes(*b"ef\0\0")]);
        let expected = Rss {
            function: HashFunction::Toeplitz,
            is_symmetric: false,
            key: b"abcdef".to_vec(),
            table: vec![0, 1, 0, 1],
        };
        assert_eq!(parse(&words, 4, 6), expected);
        words[4] = u32::from_ne_bytes([2, 1, 0, 0]);
        let other = parse(&words, 4, 6);
        assert_eq!((other.function, other.is_symmetric), (HashFunction::Other(2), true));
    }

    #[test]
    fn structures_have_the_kernels_lengths() {
        assert_eq!(RSS_WORDS * 4, 28, "struct ethtool_rxfh up to rss_config");
        assert_eq!(FIELDS_WORDS * 4, 192, "struct ethtool_rxnfc");
    }

    #[test]
    fn fields_are_told_from_the_mask() {
        let all = HashFields { addresses: true, ports: true, others: false };
        assert_eq!(parse_fields(0xf0), all);
        assert_eq!(parse_fields(0x30), HashFields { ports: false, ..all });
        assert_eq!(parse_fields(0xf4), HashFields { others: true, ..all });
    }

    #[test]
    fn loopback_spreads_nothing_and_what_is_missing_is_an_error() {
        assert_eq!(rss("lo"), Ok(None));
        let name = "no-such-link".to_owned();
        assert_eq!(rss(&name), Err(EthtoolError::ConfigNoInterface { name }));
    }
}
