//! The records in the maps, in the machine's byte order where a field is a number.

#![allow(
    missing_debug_implementations,
    reason = "the derives of zerocopy make hidden types inside the macro"
)]

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Defines each record once: as a Rust type without padding and as a C structure.
macro_rules! records {
    ($($(#[doc = $doc:literal])+ $name:ident as $c_name:literal, $size:literal bytes {
        $($(#[doc = $field_doc:literal])+ $field:ident: $type:tt,)+
    })+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
            #[derive(FromBytes, Immutable, IntoBytes, KnownLayout)]
            #[repr(C)]
            pub struct $name {
                $($(#[doc = $field_doc])+ pub $field: $type,)+
            }

            const _: () = assert!(size_of::<$name>() == $size, "the size is part of the interface");
        )+

        /// The same records in C, each with an assertion of its size.
        pub(crate) fn c_records(out: &mut String) {
            $(
                $(out.push_str(concat!("\n//", $doc));)+
                out.push_str(concat!("\nstruct ", $c_name, " {\n"));
                $(
                    $(out.push_str(concat!("    //", $field_doc, "\n"));)+
                    out.push_str(&c_field(stringify!($field), stringify!($type)));
                )+
                out.push_str(concat!("};\n_Static_assert(sizeof(struct ", $c_name, ") == "));
                out.push_str(concat!($size, ", \"the size is part of the interface\");\n"));
            )+
        }
    };
}

/// One field in C.
fn c_field(name: &str, rust: &str) -> String {
    let (element, count) = match rust.trim_matches(['[', ']']).split_once("; ") {
        Some((element, count)) => (element, format!("[{count}]")),
        None => (rust, String::new()),
    };
    let c = match element {
        "u64" => "__u64",
        "u32" => "__u32",
        "u8" => "__u8",
        other => unreachable!("no record has a field of {other}"),
    };
    format!("    {c} {name}{count};\n")
}

records! {
    /// An address of either family; IPv4 is mapped into IPv6 as `::ffff:a.b.c.d`.
    Address as "address", 16 bytes {
        /// In the order of the wire.
        bytes: [u8; 16],
    }

    /// A key of the access list for IPv4, as `BPF_MAP_TYPE_LPM_TRIE` wants it.
    PrefixV4 as "prefix_v4", 8 bytes {
        /// How many leading bits count.
        prefix_len: u32,
        /// In the order of the wire.
        bytes: [u8; 4],
    }

    /// A key of the access list for IPv6.
    PrefixV6 as "prefix_v6", 20 bytes {
        /// How many leading bits count.
        prefix_len: u32,
        /// In the order of the wire.
        bytes: [u8; 16],
    }

    /// A token bucket as one number, so that one atomic exchange takes a token.
    Bucket as "bucket", 8 bytes {
        /// When it is full again, on the kernel's monotonic clock; in the past it is full.
        full_at_ns: u64,
    }

    /// What may change while the program runs. An interval of 0 is no limit.
    Settings as "settings", 56 bytes {
        /// One token for a source each so many nanoseconds.
        source_interval_ns: u64,
        /// How long an empty bucket of a source takes to fill: tokens times the interval.
        source_fill_ns: u64,
        /// One token for all strangers of one CPU each so many nanoseconds.
        stranger_interval_ns: u64,
        /// How long an empty bucket of a CPU takes to fill.
        stranger_fill_ns: u64,
        /// Secret, so that nobody can choose sources that share a slot.
        key: [u64; 2],
        /// Our Ethernet address; frames for others pass.
        mac: [u8; 6],
        /// Whether `mac` is looked at: 0 or 1.
        mac_is_set: u8,
        /// Whether every packet goes to its queue's socket, whoever it is for: 0 or 1.
        takes_all: u8,
    }

    /// What one CPU counted for one reason.
    Tally as "tally", 16 bytes {
        /// Packets.
        packets: u64,
        /// Their bytes, Ethernet header included, checksum not.
        bytes: u64,
    }
}

/// A rule that lets a source pass although a shorter prefix denies it.
pub const RULE_ALLOW: u32 = 1;
/// A rule that drops what comes from a source.
pub const RULE_DENY: u32 = 2;

impl Address {
    /// Of either family; IPv4 is mapped.
    #[must_use]
    pub fn new(address: std::net::IpAddr) -> Self {
        let bytes = match address {
            std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            std::net::IpAddr::V6(v6) => v6.octets(),
        };
        Self { bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_c() {
        assert_eq!(c_field("full_at_ns", "u64"), "    __u64 full_at_ns;\n");
        assert_eq!(c_field("key", "[u64; 2]"), "    __u64 key[2];\n");
        assert_eq!(c_field("mac", "[u8; 6]"), "    __u8 mac[6];\n");
    }

    #[test]
    fn ipv4_is_mapped() {
        let mapped = Address::new(std::net::IpAddr::from([10, 77, 0, 2]));
        assert_eq!(mapped.bytes, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 77, 0, 2]);
    }
}
