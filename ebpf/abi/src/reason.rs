//! Why a packet went where it went.

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// The kernel has it.
    Pass,
    /// The socket of its queue has it.
    Redirect,
    /// Nobody has it.
    Drop,
}

impl Verdict {
    /// In lower case, as the tools print it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Redirect => "redirect",
            Self::Drop => "drop",
        }
    }
}

/// Defines each reason once: as a Rust enum and as a C enum, in the order of the counters.
macro_rules! reasons {
    ($($verdict:ident { $($(#[doc = $doc:literal])+ $reason:ident => $name:literal,)+ })+) => {
        /// Why a packet went where it went; each has a counter of packets and bytes per CPU.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum Reason {
            $($($(#[doc = $doc])+ $reason,)+)+
        }

        impl Reason {
            /// Every reason, in the order of the counters.
            pub const ALL: &[Self] = &[$($(Self::$reason,)+)+];

            /// What became of the packet.
            #[must_use]
            pub const fn verdict(self) -> Verdict {
                match self {
                    $($(Self::$reason)|+ => Verdict::$verdict,)+
                }
            }

            /// The name of the counter.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($(Self::$reason => $name,)+)+
                }
            }
        }

        /// The same enum in C, with the place of the first of each verdict.
        pub(crate) fn c_reasons(out: &mut String) {
            out.push_str("\n// Why a packet went where it went.\nenum reason {\n");
            $(
                $(
                    $(out.push_str(concat!("    //", $doc, "\n"));)+
                    out.push_str(&format!("    {},\n", c_name($name)));
                )+
            )+
            out.push_str("    REASON_COUNT,\n};\n");
            let of = |verdict| Reason::ALL.iter().find(|reason| reason.verdict() == verdict);
            for verdict in [Verdict::Redirect, Verdict::Drop] {
                let first = of(verdict).map_or("count", |reason| reason.name());
                let name = verdict.name().to_uppercase();
                out.push_str(&format!("#define {name}_FIRST {}\n", c_name(first)));
            }
        }
    };
}

fn c_name(name: &str) -> String {
    format!("REASON_{}", name.to_uppercase())
}

reasons! {
    Pass {
        /// Too short for the headers that would say whose it is.
        PassShort => "pass_short",
        /// For another station's Ethernet address.
        PassOtherStation => "pass_other_station",
        /// In a VLAN.
        PassVlan => "pass_vlan",
        /// Neither ARP nor IPv4 nor IPv6.
        PassOtherType => "pass_other_type",
        /// A header that contradicts itself: another version, a header length that cannot be.
        PassMalformed => "pass_malformed",
        /// For an address that is not ours.
        PassOtherAddress => "pass_other_address",
    }
    Redirect {
        /// ARP that asks for, answers or claims an address of ours.
        RedirectArp => "redirect_arp",
        /// Neighbour discovery to us or about an address of ours.
        RedirectNeighbour => "redirect_neighbour",
        /// TCP.
        RedirectTcp => "redirect_tcp",
        /// UDP.
        RedirectUdp => "redirect_udp",
        /// ICMP or ICMPv6.
        RedirectIcmp => "redirect_icmp",
        /// A fragment, or IPv6 with an extension header.
        RedirectFragment => "redirect_fragment",
        /// Another protocol; the stack answers or counts it.
        RedirectOther => "redirect_other",
        /// Whatever it is, where everything is taken.
        RedirectAll => "redirect_all",
    }
    Drop {
        /// The access list denies its source.
        DropDenied => "drop_denied",
        /// Its source is above its budget of SYNs.
        DropSynSource => "drop_syn_source",
        /// Sources that nobody knows are above their budget of SYNs together.
        DropSynStranger => "drop_syn_stranger",
        /// It is ours, and no socket takes frames of its queue.
        DropNoSocket => "drop_no_socket",
    }
}

const _: () = {
    let mut index = 0;
    while index < Reason::ALL.len() {
        assert!(Reason::ALL[index] as usize == index, "the program counts by this number");
        index += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_reason_begins_with_its_verdict() {
        for reason in Reason::ALL {
            let verdict = format!("{}_", reason.verdict().name());
            assert!(reason.name().starts_with(&verdict), "{reason:?}");
        }
    }

    #[test]
    fn reasons_are_in_the_order_of_their_verdicts() {
        assert!(Reason::ALL.is_sorted_by_key(|reason| reason.verdict()));
    }
}
