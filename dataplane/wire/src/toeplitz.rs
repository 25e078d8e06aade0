//! The hash by which NICs spread flows over their queues (Toeplitz, as receive-side scaling has it).
//!
//! Of each bit of the input that is set, 32 bits of the key are added: those that begin at the same
//! place. The naive loop over the bits takes 96 steps for IPv4 and 288 for IPv6. What a nibble adds
//! depends on its place and value alone, so it is looked up: 24 or 72 loads from a table of 4.5 KiB,
//! which lies in the first cache. A table by bytes would need half the loads and 36 KiB.
//!
//! The format: "RSS hashing types", <https://learn.microsoft.com/windows-hardware/drivers/network/rss-hashing-types>.

use core::fmt;

use crate::Address;

/// Bytes of a key: those under the longest input, and the 32 bits that its last bit adds.
pub const KEY_LEN: usize = INPUT_LEN_MAX + 4;

/// Bytes that are hashed at most: two IPv6 addresses and two TCP ports.
const INPUT_LEN_MAX: usize = 36;

/// The two halves of a byte.
const NIBBLES: usize = 2 * INPUT_LEN_MAX;

/// The hash under one key.
///
/// The tables are the key in another form, so they are not shown.
#[derive(Clone)]
pub struct Toeplitz {
    /// By the place of a nibble in the input, and by its value.
    added: Box<[[u32; 16]; NIBBLES]>,
}

impl Toeplitz {
    /// The tables of `key`. Of a NIC whose key is longer, the first bytes matter only.
    #[must_use]
    pub fn new(key: &[u8; KEY_LEN]) -> Self {
        let mut added = Box::new([[0; 16]; NIBBLES]);
        for (nibble, row) in added.iter_mut().enumerate() {
            for (value, sum) in (0_u32..).zip(row) {
                // The highest bit of the nibble comes first on the wire.
                let set = (0..4).filter(|bit| value & (8 >> bit) != 0);
                *sum = set.fold(0, |sum, bit| sum ^ key_bits(key, 4 * nibble + bit));
            }
        }
        Self { added }
    }

    /// The hash of a received TCP or UDP packet: its source and destination as they stand in it.
    ///
    /// # Panics
    ///
    /// If the addresses are of two families, which those of a packet never are.
    #[inline]
    #[must_use]
    pub fn hash(&self, source: (Address, u16), destination: (Address, u16)) -> u32 {
        let ((from, from_port), (to, to_port)) = (source, destination);
        assert!(from.is_v4() == to.is_v4(), "{from} and {to} are of two families");
        let ports = u128::from(from_port) << 16 | u128::from(to_port);
        if from.is_v4() {
            let addresses = (from.to_bits() << 32) | (to.to_bits() & 0xffff_ffff);
            // 96 bits, which begin at the top.
            self.sum(0, (addresses << 32 | ports) << 32, 24)
        } else {
            self.sum(0, from.to_bits(), 32)
                ^ self.sum(32, to.to_bits(), 32)
                ^ self.sum(64, ports << 96, 8)
        }
    }

    /// What the upper `count` nibbles of `bits` add, which are the input from nibble `place` on.
    #[inline]
    fn sum(&self, place: usize, mut bits: u128, count: usize) -> u32 {
        let mut sum = 0;
        for row in &self.added[place..place + count] {
            sum ^= row[(bits >> 124) as usize];
            bits <<= 4;
        }
        sum
    }
}

impl fmt::Debug for Toeplitz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Toeplitz(secret)")
    }
}

/// The 32 bits of the key that begin at `bit`.
fn key_bits(key: &[u8; KEY_LEN], bit: usize) -> u32 {
    let byte = |place| key.get(place).copied().map_or(0, u64::from);
    let first = bit / 8;
    let window = (first..first + 5).fold(0, |window, place| window << 8 | byte(place));
    let word = window >> (8 - bit % 8) & 0xffff_ffff;
    u32::try_from(word).expect("it was cut to 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the published vectors ("Verifying the RSS hash calculation", Microsoft).
    const KEY: [u8; KEY_LEN] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f,
        0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
        0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];

    fn hash_of(source: &str, source_port: u16, destination: &str, destination_port: u16) -> u32 {
        let address = |text: &str| text.parse().expect("a literal");
        let hash = Toeplitz::new(&KEY);
        hash.hash((address(source), source_port), (address(destination), destination_port))
    }

    #[test]
    fn the_published_vectors_of_ipv4_are_met() {
        let vectors = [
            ("66.9.149.187", 2794, "161.142.100.80", 1766, 0x51cc_c178),
            ("199.92.111.2", 14230, "65.69.140.83", 4739, 0xc626_b0ea),
            ("24.19.198.95", 12898, "12.22.207.184", 38024, 0x5c2b_394a),
            ("38.27.205.30", 48228, "209.142.163.6", 2217, 0xafc7_327f),
            ("153.39.163.191", 44251, "202.188.127.2", 1303, 0x10e8_28a2),
        ];
        for (source, source_port, destination, destination_port, expected) in vectors {
            let found = hash_of(source, source_port, destination, destination_port);
            assert_eq!(found, expected, "{source} {destination}");
        }
    }

    #[test]
    fn the_published_vectors_of_ipv6_are_met() {
        let vectors = [
            ("3ffe:2501:200:1fff::7", 2794, "3ffe:2501:200:3::1", 1766, 0x4020_7d3d),
            ("3ffe:501:8::260:97ff:fe40:efab", 14230, "ff02::1", 4739, 0xdde5_1bbf),
            (
                "3ffe:1900:4545:3:200:f8ff:fe21:67cf",
                44251,
                "fe80::200:f8ff:fe21:67cf",
                38024,
                0x02d1_feef,
            ),
        ];
        for (source, source_port, destination, destination_port, expected) in vectors {
            let found = hash_of(source, source_port, destination, destination_port);
            assert_eq!(found, expected, "{source} {destination}");
        }
    }

    /// The definition, bit by bit.
    fn by_bits(key: &[u8; KEY_LEN], input: &[u8]) -> u32 {
        let bit_of = |bytes: &[u8], bit: usize| u32::from(bytes[bit / 8] >> (7 - bit % 8) & 1);
        let mut sum = 0;
        for bit in (0..8 * input.len()).filter(|bit| bit_of(input, *bit) == 1) {
            sum ^= (0..32).fold(0, |word, place| word << 1 | bit_of(key, bit + place));
        }
        sum
    }

    #[test]
    fn the_tables_say_what_the_definition_says() {
        let seed = 17;
        println!("seed {seed}");
        let mut rng = base::Rng::seeded(seed);
        for round in 0..500 {
            let mut key = [0; KEY_LEN];
            for chunk in key.chunks_mut(8) {
                chunk.copy_from_slice(&rng.next_u64().to_le_bytes()[..chunk.len()]);
            }
            let mut input = [0; INPUT_LEN_MAX];
            for chunk in input.chunks_mut(4) {
                chunk.copy_from_slice(&rng.next_u32().to_be_bytes());
            }
            let port = |at: usize| u16::from_be_bytes([input[at], input[at + 1]]);
            let toeplitz = Toeplitz::new(&key);
            let octets = |at: usize| input[at..at + 16].try_into().expect("sixteen");
            let [source, destination] = [0, 16].map(|at| Address::from_octets(octets(at)));
            let found = toeplitz.hash((source, port(32)), (destination, port(34)));
            assert_eq!(found, by_bits(&key, &input), "round {round}");
            let octets = |at: usize| input[at..at + 4].try_into().expect("four");
            let [source, destination] = [0, 4].map(|at| Address::from_v4_octets(octets(at)));
            let found = toeplitz.hash((source, port(8)), (destination, port(10)));
            assert_eq!(found, by_bits(&key, &input[..12]), "round {round}");
        }
    }
}
