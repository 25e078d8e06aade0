//! A range of sources and what the access list says about it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// What the access list says about a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It comes in, also if a shorter prefix denies it.
    Allow,
    /// It is dropped before it costs a frame.
    Deny,
}

impl Rule {
    pub(crate) fn to_abi(self) -> u32 {
        match self {
            Self::Allow => abi::RULE_ALLOW,
            Self::Deny => abi::RULE_DENY,
        }
    }

    pub(crate) fn of_abi(value: u32) -> Self {
        if value == abi::RULE_DENY { Self::Deny } else { Self::Allow }
    }
}

/// The addresses that begin with the same bits: `10.0.0.0/8`, `fd77::/64`; without a length, one
/// address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    address: IpAddr,
    len: u8,
}

/// Why a text or a pair is no prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePrefixError {
    /// Neither an address nor an address and a length.
    #[error("{text:?} is no prefix; write an address or a range, as 192.0.2.7 or fd77::/64")]
    Text {
        /// What was read.
        text: String,
    },
    /// Longer than the address.
    #[error("{address}/{len}: an address of this family has {most} bits")]
    Length {
        /// The address.
        address: IpAddr,
        /// What was asked for.
        len: u8,
        /// Bits of the address.
        most: u8,
    },
    /// Bits behind the prefix: it could be meant as one address or as the range.
    #[error("{address}/{len} has bits behind its prefix; write {right}, or {address} alone")]
    Bits {
        /// The address.
        address: IpAddr,
        /// What was asked for.
        len: u8,
        /// The range that it lies in.
        right: Prefix,
    },
}

impl Prefix {
    /// The addresses whose first `len` bits are those of `address`.
    ///
    /// # Errors
    /// It is too long, or bits behind it are set.
    pub fn new(address: IpAddr, len: u8) -> Result<Self, ParsePrefixError> {
        let most = if address.is_ipv4() { 32 } else { 128 };
        if len > most {
            return Err(ParsePrefixError::Length { address, len, most });
        }
        let right = Self { address: masked(address, len), len };
        if right.address != address {
            return Err(ParsePrefixError::Bits { address, len, right });
        }
        Ok(right)
    }

    /// The first address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many bits count.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "it is the length of a prefix")]
    pub fn len(&self) -> u8 {
        self.len
    }
}

fn masked(address: IpAddr, len: u8) -> IpAddr {
    let len = u32::from(len);
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - len).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - len).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

impl FromStr for Prefix {
    type Err = ParsePrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParsePrefixError::Text { text: text.to_owned() };
        let (address, len) = match text.split_once('/') {
            Some((address, len)) => (address, Some(len)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_syntax| wrong())?;
        let len = match len {
            Some(len) => len.parse().map_err(|_syntax| wrong())?,
            None if address.is_ipv4() => 32,
            None => 128,
        };
        Self::new(address, len)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, String> {
        text.parse::<Prefix>().map(|p| p.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn prefix_is_read_and_printed() {
        for text in ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.7/32", "::/0", "fd77::/64", "::1/128"] {
            assert_eq!(parse(text), Ok(text.to_owned()));
        }
        assert_eq!(parse("192.0.2.7"), Ok("192.0.2.7/32".to_owned()));
        assert_eq!(parse("fd77::1"), Ok("fd77::1/128".to_owned()));
    }

    #[test]
    fn what_is_no_prefix_is_refused_with_what_would_be_right() {
        for text in ["", "10.0.0.0/", "/8", "10.0.0.0/-1", "10.0.0.0/256", "10.0.0/8", "a/8"] {
            assert!(parse(text).expect_err(text).contains("192.0.2.7"), "{text}");
        }
        assert!(parse("10.0.0.0/33").expect_err("too long").contains("32 bits"));
        assert!(parse("::/129").expect_err("too long").contains("128 bits"));
        assert!(parse("10.0.0.1/24").expect_err("bits").contains("write 10.0.0.0/24, or 10.0.0.1"));
        assert!(parse("fd77::1/64").expect_err("bits").contains("write fd77::/64"));
    }
}
