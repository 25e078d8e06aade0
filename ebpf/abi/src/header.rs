//! The C header, written from the same lines as the Rust types.

use crate::limits::{
    ADDRESSES_MAX, QUEUES_MAX, RETRY_MS_MAX, RETRY_MS_MIN, RULES_MAX, SEEN_SLOTS, SOURCES_MAX,
};
use crate::reason::c_reasons;
use crate::record::{RULE_ALLOW, RULE_DENY, c_records};

const OPENING: &str = "\
// What the XDP program and its loader share. Written by the crate `abi`, never by hand:
//
//   cargo run --package abi --example header > ebpf/steer/abi.h
#pragma once

#include <linux/types.h>

";

/// The text of `ebpf/steer/abi.h`.
#[must_use]
pub fn c_header() -> String {
    let mut out = OPENING.to_owned();
    let numbers = [
        ("ADDRESSES_MAX", ADDRESSES_MAX),
        ("QUEUES_MAX", QUEUES_MAX),
        ("RULES_MAX", RULES_MAX),
        ("SOURCES_MAX", SOURCES_MAX),
        ("SEEN_SLOTS", SEEN_SLOTS),
        ("RETRY_MS_MIN", RETRY_MS_MIN),
        ("RETRY_MS_MAX", RETRY_MS_MAX),
        ("RULE_ALLOW", RULE_ALLOW),
        ("RULE_DENY", RULE_DENY),
    ];
    for (name, number) in numbers {
        out.push_str(&format!("#define {name} {number}\n"));
    }
    c_records(&mut out);
    c_reasons(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Reason;

    #[test]
    fn header_in_the_tree_is_the_one_that_is_written() {
        assert_eq!(
            include_str!("../../steer/abi.h"),
            c_header(),
            "run: cargo run --package abi --example header > ebpf/steer/abi.h"
        );
    }

    #[test]
    fn header_names_every_reason_once_in_its_order() {
        let header = c_header();
        let body = header.split("enum reason {").nth(1).expect("the enum is there");
        let names: Vec<_> =
            body.lines().filter_map(|line| line.trim().strip_prefix("REASON_")).collect();
        let expected =
            Reason::ALL.iter().map(|reason| format!("{},", reason.name().to_uppercase()));
        let expected: Vec<_> = expected.chain(["COUNT,".to_owned()]).collect();
        assert_eq!(names, expected);
        assert!(header.contains("#define REDIRECT_FIRST REASON_REDIRECT_ARP\n"));
        assert!(header.contains("#define DROP_FIRST REASON_DROP_DENIED\n"));
    }
}
