//! Which packets are meant: a small language after tcpdump's, and the program that it becomes.
//!
//! ```text
//! filter := test { ("and" | "or") test }        from the left, both bind alike, as in tcpdump
//! test   := "not" test | "(" filter ")" | [protocol] [side] what
//! protocol := "ip" | "ip6" | "arp" | "tcp" | "udp" | "icmp" | "icmp6"
//! side   := "src" | "dst"
//! what   := "host" ADDRESS | "net" ADDRESS/BITS | "port" N | "portrange" N-M
//! ```
//!
//! A protocol alone is a test, and `src ADDRESS` is `src host ADDRESS`. `&&`, `||` and `!` are words
//! for `and`, `or` and `not`. It looks behind VLAN tags and IPv6 extension headers; the addresses of
//! ARP are those that it asks and tells of. Judging allocates nothing and is bounded by the number
//! of steps.

mod headers;
mod parse;
#[cfg(test)]
mod tests;

use core::str::FromStr;

use wire::{Address, protocol};

use self::headers::{Headers, Network};

/// A filter, ready to judge.
///
/// ```
/// let filter: nic::Filter = "tcp port 80 and not host 192.0.2.1".parse().unwrap();
/// assert!(!filter.matches(b"no packet"));
/// assert!("port http".parse::<nic::Filter>().is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// In postfix order; none: every packet is meant.
    steps: Box<[Step]>,
}

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It begins no test.
    #[error(
        "\"{word}\" begins no test; one begins with host, net, port, portrange, src, dst, ip, ip6, \
         arp, tcp, udp, icmp or icmp6"
    )]
    UnknownWord {
        /// What stands there.
        word: String,
    },
    /// An address or a number without the word before it.
    #[error("\"{word}\" stands alone; write \"{right} {word}\"")]
    BareValue {
        /// What stands there.
        word: String,
        /// The word that is missing.
        right: &'static str,
    },
    /// The word before wants something else.
    #[error("\"{word}\" behind \"{after}\" is not {expected}")]
    WrongValue {
        /// What stands there.
        word: String,
        /// The word before.
        after: String,
        /// What would be right.
        expected: &'static str,
    },
    /// It ends too soon.
    #[error("behind \"{after}\" is missing {expected}")]
    Missing {
        /// The last word.
        after: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A prefix and bits behind it.
    #[error("\"net {word}\" has bits behind the prefix; write \"net {right}\"")]
    HostBits {
        /// What stands there.
        word: String,
        /// The prefix alone.
        right: String,
    },
    /// A test follows a test.
    #[error("\"{word}\" follows a whole test; write \"and\" or \"or\" before it")]
    Unjoined {
        /// What stands there.
        word: String,
    },
    /// Nothing stands before it that could be joined, or enclosed.
    #[error("\"{word}\" needs a test before it, such as \"host 192.0.2.1\"")]
    NoTest {
        /// What stands there.
        word: String,
    },
    /// A parenthesis has no partner.
    #[error("\"{word}\" has no partner; each \"(\" needs a \")\"")]
    Unpaired {
        /// Which one.
        word: &'static str,
    },
    /// It is too long.
    #[error("the filter has more than {steps} steps or is nested deeper than {depth}")]
    TooLong {
        /// The most steps.
        steps: usize,
        /// The deepest nesting.
        depth: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Is(Kind),
    Net(Side, Prefix),
    Ports(Side, u16, u16),
    Not,
    And,
    Or,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ip,
    Ip6,
    Arp,
    Tcp,
    Udp,
    Icmp,
    Icmp6,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Either,
    Source,
    Destination,
}

/// Addresses of the same family that agree with `base` where `mask` has ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Prefix {
    base: Address,
    mask: u128,
}

impl Prefix {
    fn contains(self, address: Address) -> bool {
        let Self { base, mask } = self;
        // IPv4 lies within IPv6 here, and `::/0` does not mean it.
        address.is_v4() == base.is_v4() && (address.to_bits() ^ base.to_bits()) & mask == 0
    }
}

impl Side {
    fn any<T>(self, (source, destination): (T, T), is: impl Fn(T) -> bool) -> bool {
        match self {
            Self::Either => is(source) || is(destination),
            Self::Source => is(source),
            Self::Destination => is(destination),
        }
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Ok(Self { steps: parse::parse(text)?.into_boxed_slice() })
    }
}

impl Filter {
    /// Whether a packet is meant; `bytes` are its first frame, from the Ethernet header on.
    #[must_use]
    pub fn matches(&self, bytes: &[u8]) -> bool {
        if self.steps.is_empty() {
            return true;
        }
        let headers = Headers::read(bytes);
        // The lowest bit is the top of the stack.
        let mut stack = 0_u64;
        for step in &self.steps {
            stack = match step {
                Step::Not => stack ^ 1,
                Step::And => (stack >> 1) & (stack | !1),
                Step::Or => (stack >> 1) | (stack & 1),
                Step::Is(kind) => stack << 1 | u64::from(is(*kind, &headers)),
                Step::Net(side, prefix) => {
                    let both = headers.addresses;
                    let holds = both.is_some_and(|both| side.any(both, |one| prefix.contains(one)));
                    stack << 1 | u64::from(holds)
                }
                Step::Ports(side, low, high) => {
                    let both = headers.ports;
                    let is = |port| (*low..=*high).contains(&port);
                    stack << 1 | u64::from(both.is_some_and(|both| side.any(both, is)))
                }
            };
        }
        stack & 1 == 1
    }
}

fn is(kind: Kind, headers: &Headers) -> bool {
    let Headers { network, transport, .. } = headers;
    match kind {
        Kind::Ip => *network == Network::Ipv4,
        Kind::Ip6 => *network == Network::Ipv6,
        Kind::Arp => *network == Network::Arp,
        Kind::Tcp => *transport == Some(protocol::TCP),
        Kind::Udp => *transport == Some(protocol::UDP),
        Kind::Icmp => *network == Network::Ipv4 && *transport == Some(protocol::ICMP),
        Kind::Icmp6 => *network == Network::Ipv6 && *transport == Some(protocol::ICMPV6),
    }
}
