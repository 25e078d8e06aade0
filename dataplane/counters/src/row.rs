//! One connection as a tool is told of it, and what a tool may ask for.

use core::net::{IpAddr, Ipv6Addr};

use crate::{layout::halves, layout::joined, layout::request_at::FILTER_WORDS};

/// Words of a row: two lines.
pub(crate) const ROW_WORDS: usize = 16;

/// The state of a connection, as RFC 9293 names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the RFC's")]
pub enum State {
    SynSent = 1,
    SynReceived = 2,
    Established = 3,
    FinWait1 = 4,
    FinWait2 = 5,
    CloseWait = 6,
    Closing = 7,
    LastAck = 8,
    TimeWait = 9,
    Closed = 10,
    /// A state of a later version.
    Unknown = 63,
}

impl State {
    /// Every one that has a name.
    pub const ALL: [Self; 10] = [
        Self::SynSent,
        Self::SynReceived,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::CloseWait,
        Self::Closing,
        Self::LastAck,
        Self::TimeWait,
        Self::Closed,
    ];

    /// The name that tools print and take.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SynSent => "syn-sent",
            Self::SynReceived => "syn-received",
            Self::Established => "established",
            Self::FinWait1 => "fin-wait-1",
            Self::FinWait2 => "fin-wait-2",
            Self::CloseWait => "close-wait",
            Self::Closing => "closing",
            Self::LastAck => "last-ack",
            Self::TimeWait => "time-wait",
            Self::Closed => "closed",
            Self::Unknown => "unknown",
        }
    }

    fn from_bits(bits: u64) -> Self {
        let found = Self::ALL.into_iter().find(|&state| state as u64 == bits);
        found.unwrap_or(Self::Unknown)
    }
}

/// One connection. A zero where an estimate is meant says that it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The state.
    pub state: State,
    /// The peer's address; IPv4 as an IPv4-mapped IPv6 address.
    pub remote: [u8; 16],
    /// Our address, likewise.
    pub local: [u8; 16],
    /// The peer's TCP port.
    pub remote_port: u16,
    /// Our TCP port.
    pub local_port: u16,
    /// The listener that accepted it; `u16::MAX` where it was none.
    pub listener: u16,
    /// Whether we opened it.
    pub is_active: bool,
    /// Whether it has an extension borrowed: something is in flight, queued or owed.
    pub is_busy: bool,
    /// The record.
    pub index: u32,
    /// Which user of that record.
    pub generation: u32,
    /// Seconds since something happened.
    pub idle_s: u32,
    /// The smoothed round-trip time in microseconds.
    pub srtt_us: u32,
    /// Its variation.
    pub rttvar_us: u32,
    /// The congestion window in bytes.
    pub cwnd: u32,
    /// The slow-start threshold in bytes; `u32::MAX` where there is none.
    pub ssthresh: u32,
    /// The peer's window in bytes.
    pub snd_wnd: u32,
    /// Bytes sent and not acknowledged.
    pub bytes_in_flight: u32,
    /// Bytes queued and not sent.
    pub bytes_queued: u32,
    /// Bytes received and not taken by the service.
    pub bytes_unread: u32,
}

impl Row {
    /// A row of which only this is known.
    #[must_use]
    pub const fn new(state: State, remote: [u8; 16], remote_port: u16) -> Self {
        Self {
            state,
            remote,
            local: [0; 16],
            remote_port,
            local_port: 0,
            listener: u16::MAX,
            is_active: false,
            is_busy: false,
            index: 0,
            generation: 0,
            idle_s: 0,
            srtt_us: 0,
            rttvar_us: 0,
            cwnd: 0,
            ssthresh: u32::MAX,
            snd_wnd: 0,
            bytes_in_flight: 0,
            bytes_queued: 0,
            bytes_unread: 0,
        }
    }

    /// The peer's address as people write it.
    #[must_use]
    pub fn remote_ip(&self) -> IpAddr {
        Ipv6Addr::from(self.remote).to_canonical()
    }

    /// Our address as people write it.
    #[must_use]
    pub fn local_ip(&self) -> IpAddr {
        Ipv6Addr::from(self.local).to_canonical()
    }

    pub(crate) fn to_words(self) -> [u64; ROW_WORDS] {
        let [remote_high, remote_low] = address_words(self.remote);
        let [local_high, local_low] = address_words(self.local);
        let flags = u64::from(self.is_active) << 8 | u64::from(self.is_busy) << 9;
        let ports = u32::from(self.remote_port) << 16 | u32::from(self.local_port);
        [
            self.state as u64 | flags,
            remote_high,
            remote_low,
            local_high,
            local_low,
            joined(ports, u32::from(self.listener)),
            joined(self.index, self.generation),
            joined(self.idle_s, self.snd_wnd),
            joined(self.srtt_us, self.rttvar_us),
            joined(self.cwnd, self.ssthresh),
            joined(self.bytes_in_flight, self.bytes_queued),
            joined(self.bytes_unread, 0),
            0,
            0,
            0,
            0,
        ]
    }

    #[expect(clippy::cast_possible_truncation, reason = "fields are taken out of words")]
    pub(crate) fn from_words(words: &[u64; ROW_WORDS]) -> Self {
        let [ports, listener] = halves(words[5]);
        let [index, generation] = halves(words[6]);
        let [idle_s, snd_wnd] = halves(words[7]);
        let [srtt_us, rttvar_us] = halves(words[8]);
        let [cwnd, ssthresh] = halves(words[9]);
        let [bytes_in_flight, bytes_queued] = halves(words[10]);
        let [bytes_unread, _spare] = halves(words[11]);
        Self {
            state: State::from_bits(words[0] & 0xff),
            remote: address(words[1], words[2]),
            local: address(words[3], words[4]),
            remote_port: (ports >> 16) as u16,
            local_port: ports as u16,
            listener: listener as u16,
            is_active: words[0] >> 8 & 1 == 1,
            is_busy: words[0] >> 9 & 1 == 1,
            index,
            generation,
            idle_s,
            srtt_us,
            rttvar_us,
            cwnd,
            ssthresh,
            snd_wnd,
            bytes_in_flight,
            bytes_queued,
            bytes_unread,
        }
    }
}

/// Which connections are wanted. The cores apply it, so that a walk which finds little is fast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this state.
    pub state: Option<State>,
    /// Only peers whose address begins with the first so many bits of this one. Addresses are
    /// IPv4-mapped, so that 10.0.0.0/8 has 104 bits: see [`Filter::prefix`].
    pub remote: Option<([u8; 16], u8)>,
    /// Only this TCP port of ours.
    pub local_port: Option<u16>,
}

impl Filter {
    /// The prefix of `bits` bits of an address, for [`Filter::remote`]. `None` if the address has
    /// not as many bits.
    #[must_use]
    pub fn prefix(address: IpAddr, bits: u8) -> Option<([u8; 16], u8)> {
        let (octets, before, bits_max) = match address {
            IpAddr::V4(v4) => (v4.to_ipv6_mapped().octets(), 96, 32),
            IpAddr::V6(v6) => (v6.octets(), 0, 128),
        };
        (bits <= bits_max).then_some((octets, before + bits))
    }

    /// Whether the row is wanted.
    #[must_use]
    pub fn takes(&self, row: &Row) -> bool {
        let Self { state, remote, local_port } = *self;
        state.is_none_or(|state| state == row.state)
            && local_port.is_none_or(|port| port == row.local_port)
            && remote.is_none_or(|(prefix, bits)| {
                let differs = u128::from_be_bytes(prefix) ^ u128::from_be_bytes(row.remote);
                differs.leading_zeros() >= u32::from(bits)
            })
    }

    pub(crate) fn to_words(self) -> [u64; FILTER_WORDS] {
        let Self { state, remote, local_port } = self;
        let (octets, bits) = remote.unwrap_or_default();
        let [high, low] = address_words(octets);
        let has = |is_there: bool, bit: u32| u64::from(is_there) << bit;
        let flags =
            has(state.is_some(), 0) | has(remote.is_some(), 1) | has(local_port.is_some(), 2);
        let state = state.map_or(0, |state| state as u64);
        [flags, state, high, low, u64::from(bits) << 16 | u64::from(local_port.unwrap_or(0))]
    }

    /// Any words are a filter: they were written by another process.
    #[expect(clippy::cast_possible_truncation, reason = "fields are taken out of words")]
    pub(crate) fn from_words(words: [u64; FILTER_WORDS]) -> Self {
        let [flags, state, high, low, rest] = words;
        let has = |bit: u32| flags >> bit & 1 == 1;
        let bits = (rest >> 16) as u8;
        Self {
            state: has(0).then(|| State::from_bits(state)),
            remote: has(1).then(|| (address(high, low), bits)),
            local_port: has(2).then_some(rest as u16),
        }
    }
}

/// An address as two words, in the order in which it is written.
#[expect(clippy::cast_possible_truncation, reason = "halves are what is wanted")]
fn address_words(octets: [u8; 16]) -> [u64; 2] {
    let number = u128::from_be_bytes(octets);
    [(number >> 64) as u64, number as u64]
}

fn address(high: u64, low: u64) -> [u8; 16] {
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use core::net::Ipv4Addr;

    use base::Rng;

    use super::*;

    fn random(rng: &mut Rng) -> Row {
        let mut word = || u32::try_from(rng.next_u64() >> 32).unwrap();
        let octets = |a: [u32; 4]| {
            let mut octets = [0; 16];
            for (place, number) in octets.chunks_mut(4).zip(a) {
                place.copy_from_slice(&number.to_be_bytes());
            }
            octets
        };
        let remote = octets([word(), word(), word(), word()]);
        Row {
            state: State::ALL[word() as usize % State::ALL.len()],
            remote,
            local: octets([word(), word(), word(), word()]),
            remote_port: u16::try_from(word() >> 16).unwrap(),
            local_port: u16::try_from(word() >> 16).unwrap(),
            listener: u16::try_from(word() >> 16).unwrap(),
            is_active: word() & 1 == 1,
            is_busy: word() & 1 == 1,
            index: word(),
            generation: word(),
            idle_s: word(),
            srtt_us: word(),
            rttvar_us: word(),
            cwnd: word(),
            ssthresh: word(),
            snd_wnd: word(),
            bytes_in_flight: word(),
            bytes_queued: word(),
            bytes_unread: word(),
        }
    }

    #[test]
    fn rows_and_filters_are_read_as_they_were_written() {
        let seed = 0x0a0b;
        println!("seed {seed:#x}");
        let mut rng = Rng::seeded(seed);
        for _ in 0..1_000 {
            let row = random(&mut rng);
            assert_eq!(Row::from_words(&row.to_words()), row);
            let pick = rng.next_u64();
            let filter = Filter {
                state: (pick & 1 == 1).then_some(row.state),
                remote: (pick & 2 == 2).then_some((row.remote, row.remote[0] & 127)),
                local_port: (pick & 4 == 4).then_some(row.local_port),
            };
            assert_eq!(Filter::from_words(filter.to_words()), filter);
            assert!(filter.takes(&row), "a filter made of a row takes it");
        }
    }

    #[test]
    fn filters_take_what_they_name_and_nothing_else() {
        let v4 = |a, b, c, d| Ipv4Addr::new(a, b, c, d);
        let row = Row {
            local_port: 80,
            ..Row::new(State::Established, v4(10, 1, 2, 3).to_ipv6_mapped().octets(), 4_000)
        };
        let remote = |address: Ipv4Addr, bits| Filter {
            remote: Filter::prefix(address.into(), bits),
            ..Filter::default()
        };
        assert!(Filter::default().takes(&row));
        assert!(remote(v4(10, 0, 0, 0), 8).takes(&row) && !remote(v4(10, 0, 0, 0), 16).takes(&row));
        assert!(
            remote(v4(10, 1, 2, 3), 32).takes(&row) && !remote(v4(10, 1, 2, 2), 32).takes(&row)
        );
        assert!(remote(v4(99, 0, 0, 0), 0).takes(&row), "no bits are any IPv4 address");
        assert_eq!(Filter::prefix(v4(1, 2, 3, 4).into(), 33), None);
        let state = |state| Filter { state: Some(state), ..Filter::default() };
        assert!(state(State::Established).takes(&row) && !state(State::TimeWait).takes(&row));
        let port = |port| Filter { local_port: Some(port), ..Filter::default() };
        assert!(port(80).takes(&row) && !port(81).takes(&row));
    }

    #[test]
    fn absurd_filter_of_another_process_takes_nothing_or_all_and_never_panics() {
        let filter = Filter::from_words([u64::MAX; FILTER_WORDS]);
        assert!(!filter.takes(&Row::new(State::Established, [0; 16], 1)));
        assert_eq!(filter.remote.unwrap().1, 255);
    }
}
