//! Which part of a document a client asks for.
//!
//! Stretches that touch become one; several that do not are answered in parts, up to a bound, and
//! beyond it by the whole document, as RFC 9110 lets a server: a hundred small ranges of one request
//! are a known attack.

use super::parts::{Parts, TooMany};

/// What a Range comes to for a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// The whole document: the field is none that is understood, or asks for too much at once.
    Whole,
    /// From this byte to before that.
    Part(u64, u64),
    /// Several stretches, which are in the list.
    Parts,
    /// None of its bytes.
    Unsatisfiable,
}

/// Reads the value of a Range for a document of `len` bytes; several stretches go into `parts`.
//= https://www.rfc-editor.org/rfc/rfc9110#section-14.2
//# An origin server MUST ignore a Range header field that contains a range unit it does not
//# understand. ... MAY ignore or reject a Range header field that contains an invalid
//# ranges-specifier ... or with more than two overlapping ranges or a set of many small ranges
pub(crate) fn read(value: &[u8], len: u64, parts: &mut Parts) -> Range {
    *parts = Parts::NONE;
    let Some((unit, set)) = value.split_at_checked(b"bytes=".len()) else {
        return Range::Whole;
    };
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return Range::Whole;
    }
    let (mut has_spec, mut has_nothing) = (false, false);
    for spec in set.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
        // A list may have empty elements.
        if spec.is_empty() {
            continue;
        }
        has_spec = true;
        match read_spec(spec, len) {
            Spec::Malformed => return Range::Whole,
            Spec::Outside => {}
            Spec::Part(start, end) if start == end => has_nothing = true,
            Spec::Part(start, end) => match parts.add(start, end) {
                Ok(()) => {}
                Err(TooMany) => return Range::Whole,
            },
        }
    }
    match *parts.stretches() {
        _ if !has_spec => Range::Whole,
        [(start, end)] => Range::Part(start, end),
        //= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2
        //# a suffix-range is satisfiable if the suffix-length is non-zero
        // Of an empty document that is nothing, which no Content-Range can say.
        [] if has_nothing => Range::Whole,
        [] => Range::Unsatisfiable,
        [_, _, ..] => Range::Parts,
    }
}

enum Spec {
    Malformed,
    /// No byte of the document.
    Outside,
    Part(u64, u64),
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2
//# int-range = first-pos "-" [ last-pos ]; suffix-range = "-" suffix-length
fn read_spec(spec: &[u8], len: u64) -> Spec {
    let Some(dash) = spec.iter().position(|&byte| byte == b'-') else {
        return Spec::Malformed;
    };
    let (first, last) = (number(&spec[..dash]), number(&spec[dash + 1..]));
    match (first, last) {
        (Number::Wrong, _) | (_, Number::Wrong) | (Number::None, Number::None) => Spec::Malformed,
        (Number::None, Number::Some(0)) => Spec::Outside,
        //# If the selected representation is shorter than the specified suffix-length, the entire
        //# representation is used.
        (Number::None, Number::Some(suffix)) => Spec::Part(len.saturating_sub(suffix), len),
        //# An int-range is invalid if the last-pos value is present and less than the first-pos.
        (Number::Some(first), Number::Some(last)) if last < first => Spec::Malformed,
        (Number::Some(first), _) if first >= len => Spec::Outside,
        (Number::Some(first), Number::None) => Spec::Part(first, len),
        (Number::Some(first), Number::Some(last)) => {
            Spec::Part(first, last.saturating_add(1).min(len))
        }
    }
}

enum Number {
    None,
    Some(u64),
    Wrong,
}

/// What is beyond 64 bits is beyond every document.
fn number(digits: &[u8]) -> Number {
    if digits.is_empty() {
        return Number::None;
    }
    let sum = digits.iter().try_fold(0_u64, |sum, digit| {
        let is_digit = digit.is_ascii_digit();
        is_digit.then(|| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    });
    sum.map_or(Number::Wrong, Number::Some)
}

#[cfg(test)]
mod tests {
    use super::Range;
    use crate::proto::http::parts::Parts;

    fn read(value: &[u8], len: u64) -> Range {
        super::read(value, len, &mut Parts::NONE.clone())
    }

    #[test]
    fn one_stretch_is_a_part() {
        for (value, start, end) in [
            ("bytes=0-0", 0, 1),
            ("bytes=0-", 0, 10),
            ("bytes=3-5", 3, 6),
            ("bytes=3-99", 3, 10),
            ("bytes=9-9", 9, 10),
            ("bytes=-1", 9, 10),
            ("bytes=-10", 0, 10),
            ("bytes=-99", 0, 10),
            ("Bytes=0-1", 0, 2),
            ("bytes= 0-1 ", 0, 2),
            ("bytes=,0-1,", 0, 2),
            ("bytes=0-18446744073709551616", 0, 10),
            ("bytes=-18446744073709551616", 0, 10),
            ("bytes=0-1,2-3", 0, 4),
            ("bytes=2-3,0-1", 0, 4),
            ("bytes=0-5, 3-8", 0, 9),
            ("bytes=4-5,0-9", 0, 10),
            ("bytes=0-1,20-30", 0, 2),
            ("bytes=-0,1-1", 1, 2),
        ] {
            assert_eq!(read(value.as_bytes(), 10), Range::Part(start, end), "{value}");
        }
    }

    #[test]
    fn what_is_not_one_stretch_is_the_whole() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=1-a",
            "bytes=+1-2",
            "bytes=1--2",
            "bytes=1 - 2",
            "bytes=3-2",
            "bytes=0x1-0x2",
            "bytes 0-1",
            "bytes =0-1",
            "bytes=0-1;2-3",
            "lines=0-1",
            "none",
            "bytes=0-1,3-2",
        ] {
            assert_eq!(read(value.as_bytes(), 10), Range::Whole, "{value}");
        }
    }

    #[test]
    fn several_stretches_are_parts_in_their_order() {
        let mut parts = Parts::NONE;
        for (value, expected) in [
            ("bytes=0-0,2-2", vec![(0, 1), (2, 3)]),
            ("bytes=0-1,5-6,2-3", vec![(0, 4), (5, 7)]),
            ("bytes=-1,0-0", vec![(9, 10), (0, 1)]),
            ("bytes=0-0,20-30,4-4", vec![(0, 1), (4, 5)]),
        ] {
            assert_eq!(super::read(value.as_bytes(), 10, &mut parts), Range::Parts, "{value}");
            assert_eq!(parts.stretches(), expected, "{value}");
        }
        let many = |count: u32| {
            let list: Vec<_> = (0..count).map(|at| format!("{}-{}", 3 * at, 3 * at)).collect();
            format!("bytes={}", list.join(","))
        };
        assert_eq!(super::read(many(16).as_bytes(), 1_000, &mut parts), Range::Parts);
        assert_eq!(super::read(many(17).as_bytes(), 1_000, &mut parts), Range::Whole);
    }

    #[test]
    fn what_lies_outside_cannot_be_satisfied() {
        for value in
            ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99-,10-", "bytes=18446744073709551616-"]
        {
            assert_eq!(read(value.as_bytes(), 10), Range::Unsatisfiable, "{value}");
        }
        assert_eq!(read(b"bytes=0-", 0), Range::Unsatisfiable);
        assert_eq!(read(b"bytes=0-0", 0), Range::Unsatisfiable);
        // The last byte of nothing is nothing.
        assert_eq!(read(b"bytes=-1", 0), Range::Whole);
    }
}
