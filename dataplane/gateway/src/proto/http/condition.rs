//! Conditional requests: whether a document is sent, was not modified, or is not the one meant.

use httparse::Header;

use super::date;
use super::stored::Validators;

/// What the conditions of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There are none, or they hold.
    Proceed,
    /// The client has the document: 304.
    NotModified,
    /// The client means another one: 412.
    Failed,
}

/// The fields of a request, asked for by name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'h>(pub(crate) &'h [Header<'h>]);

impl<'h> Fields<'h> {
    /// The values of a field that may be there several times.
    fn all(self, name: &'static str) -> impl Iterator<Item = &'h [u8]> {
        let is_named = move |field: &&Header<'_>| field.name.eq_ignore_ascii_case(name);
        self.0.iter().filter(is_named).map(|field| field.value.trim_ascii())
    }

    /// The value of a field that may be there once; `None` if it is not, or is there twice.
    pub(crate) fn one(self, name: &'static str) -> Option<&'h [u8]> {
        let mut values = self.all(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// The date of a field, if it has one.
    fn date(self, name: &'static str, now: u64) -> Option<u64> {
        date::read(self.one(name)?, now)
    }

    fn has(self, name: &'static str) -> bool {
        self.all(name).next().is_some()
    }
}

/// Judges the conditions of a GET or HEAD for a document, in the order that RFC 9110 gives.
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2
//# When recipient is the origin server and If-Match is present ... When If-Match is not present and
//# If-Unmodified-Since is present ... When If-None-Match is present ... When the method is GET or
//# HEAD, If-None-Match is not present, and If-Modified-Since is present
pub(crate) fn judge(fields: Fields<'_>, document: Validators<'_>, now: u64) -> Verdict {
    let Validators { etag, modified } = document;
    if fields.has("if-match") {
        //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1
        //# An origin server MUST use the strong comparison function when comparing entity tags
        if !fields.all("if-match").any(|list| names(list, etag, Comparison::Strong)) {
            return Verdict::Failed;
        }
    } else if let Some(since) = fields.date("if-unmodified-since", now)
        && modified.is_some_and(|modified| modified > since)
    {
        return Verdict::Failed;
    }
    if fields.has("if-none-match") {
        //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
        //# A recipient MUST use the weak comparison function when comparing entity tags
        if fields.all("if-none-match").any(|list| names(list, etag, Comparison::Weak)) {
            return Verdict::NotModified;
        }
    } else if let Some(since) = fields.date("if-modified-since", now)
        && modified.is_some_and(|modified| modified <= since)
    {
        return Verdict::NotModified;
    }
    Verdict::Proceed
}

/// How long after its last modification a document's date says which one it is.
//= https://www.rfc-editor.org/rfc/rfc9110#section-8.8.2.2
//# the presented validator ... is at least 60 seconds earlier than the Date value
const STRONG_AFTER: u64 = 60;

/// Whether a Range may be looked at: there is no If-Range, or it names this very document.
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
//# If the validator given in the If-Range header field matches ... the Range header field SHOULD be
//# processed as requested ... A client MUST NOT generate an If-Range containing a weak entity tag
pub(crate) fn allows_range(fields: Fields<'_>, document: Validators<'_>, now: u64) -> bool {
    let Validators { etag, modified } = document;
    if !fields.has("if-range") {
        return true;
    }
    let Some(value) = fields.one("if-range") else {
        return false;
    };
    if value == etag {
        return true;
    }
    let date = date::read(value, now);
    date.is_some() && date == modified && modified.is_some_and(|at| at + STRONG_AFTER <= now)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether a list of entity tags, or `*`, names this one. What follows a tag that is none is not
/// looked at.
//= https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3
//# entity-tag = [ weak ] opaque-tag; opaque-tag = DQUOTE *etagc DQUOTE
fn names(list: &[u8], etag: &[u8], comparison: Comparison) -> bool {
    if list == b"*" {
        return true;
    }
    let mut rest = list;
    loop {
        rest = rest.trim_ascii_start();
        if let Some(after) = rest.strip_prefix(b",") {
            rest = after;
            continue;
        }
        let (is_weak, tag) = match rest.strip_prefix(b"W/") {
            Some(tag) => (true, tag),
            None => (false, rest),
        };
        let Some(after_quote) = tag.strip_prefix(b"\"") else {
            return false;
        };
        let Some(len) = after_quote.iter().position(|&byte| byte == b'"') else {
            return false;
        };
        let (tag, after) = tag.split_at(len + 2);
        let is_tag = tag[1..=len].iter().all(|&byte| byte > b' ' && byte != 0x7f);
        //= https://www.rfc-editor.org/rfc/rfc9110#section-5.6.1
        //# elements are separated by a comma
        if !is_tag || !matches!(after.trim_ascii_start(), [] | [b',', ..]) {
            return false;
        }
        if tag == etag && !(is_weak && comparison == Comparison::Strong) {
            return true;
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use httparse::Header;

    use super::{Fields, Validators, Verdict, allows_range, judge};

    const ETAG: &[u8] = b"\"e1\"";
    const MODIFIED: u64 = 784_111_777;
    const NOW: u64 = 1_000_000_000;
    const AT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn with<T>(lines: &[(&str, &str)], ask: impl Fn(Fields<'_>) -> T) -> T {
        let fields: Vec<Header<'_>> =
            lines.iter().map(|&(name, value)| Header { name, value: value.as_bytes() }).collect();
        ask(Fields(&fields))
    }

    fn verdict(lines: &[(&str, &str)]) -> Verdict {
        let document = Validators { etag: ETAG, modified: Some(MODIFIED) };
        with(lines, |fields| judge(fields, document, NOW))
    }

    #[test]
    fn entity_tags_are_compared_strongly_or_weakly() {
        for (list, strong, weak) in [
            ("*", true, true),
            ("\"e1\"", true, true),
            ("W/\"e1\"", false, true),
            ("\"e2\"", false, false),
            ("\"e2\", \"e1\"", true, true),
            ("\"e2\",W/\"e1\"", false, true),
            (",, \"e1\" ,", true, true),
            ("\"a,b\", \"e1\"", true, true),
            ("\"\", \"e1\"", true, true),
            ("\"ü\", \"e1\"", true, true),
            ("\"E1\"", false, false),
            ("e1", false, false),
            ("w/\"e1\"", false, false),
            ("\"e1", false, false),
            ("\"e2\" \"e1\"", false, false),
            ("\"e2\"x, \"e1\"", false, false),
            ("\"e 2\", \"e1\"", false, false),
            ("\"e2\", *", false, false),
            ("", false, false),
        ] {
            let is_match = verdict(&[("If-Match", list)]) == Verdict::Proceed;
            assert_eq!(is_match, strong, "If-Match: {list}");
            let is_match = verdict(&[("if-none-match", list)]) == Verdict::NotModified;
            assert_eq!(is_match, weak, "If-None-Match: {list}");
        }
        let twice = [("If-None-Match", "\"e2\""), ("If-None-Match", "\"e1\"")];
        assert_eq!(verdict(&twice), Verdict::NotModified);
    }

    #[test]
    fn dates_are_compared_to_the_second() {
        for (name, at, verdict_of_it) in [
            ("If-Modified-Since", AT, Verdict::NotModified),
            ("If-Modified-Since", AFTER, Verdict::NotModified),
            ("If-Modified-Since", BEFORE, Verdict::Proceed),
            ("If-Modified-Since", "yesterday", Verdict::Proceed),
            ("If-Unmodified-Since", AT, Verdict::Proceed),
            ("If-Unmodified-Since", AFTER, Verdict::Proceed),
            ("If-Unmodified-Since", BEFORE, Verdict::Failed),
            ("If-Unmodified-Since", "Mon, 01 Jan 1900 00:00:00 GMT", Verdict::Failed),
            ("If-Unmodified-Since", "yesterday", Verdict::Proceed),
        ] {
            assert_eq!(verdict(&[(name, at)]), verdict_of_it, "{name}: {at}");
        }
        // A field that is there twice has no date.
        let twice = [("If-Modified-Since", AT), ("If-Modified-Since", AT)];
        assert_eq!(verdict(&twice), Verdict::Proceed);
        let undated = Validators { etag: ETAG, modified: None };
        for name in ["If-Modified-Since", "If-Unmodified-Since"] {
            let verdict = with(&[(name, AT)], |fields| judge(fields, undated, NOW));
            assert_eq!(verdict, Verdict::Proceed, "{name}");
        }
    }

    #[test]
    fn conditions_have_an_order() {
        use Verdict::{Failed, NotModified, Proceed};
        for (lines, expected) in [
            // If-Match stands for If-Unmodified-Since, If-None-Match for If-Modified-Since.
            (&[("If-Match", "\"e1\""), ("If-Unmodified-Since", BEFORE)][..], Proceed),
            (&[("If-Match", "\"e2\""), ("If-Unmodified-Since", AFTER)], Failed),
            (&[("If-None-Match", "\"e2\""), ("If-Modified-Since", AFTER)], Proceed),
            (&[("If-None-Match", "\"e1\""), ("If-Modified-Since", BEFORE)], NotModified),
            (&[("If-None-Match", "\"e1\""), ("If-Match", "\"e2\"")], Failed),
            (&[("If-None-Match", "\"e1\""), ("If-Match", "\"e1\"")], NotModified),
            (&[("If-Modified-Since", AFTER), ("If-Unmodified-Since", BEFORE)], Failed),
            (&[("If-Modified-Since", AT), ("If-Unmodified-Since", AT)], NotModified),
            (&[], Proceed),
        ] {
            assert_eq!(verdict(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_range_goes_with_the_very_document() {
        let allowed = |value: &str, modified, now| {
            let document = Validators { etag: ETAG, modified };
            with(&[("If-Range", value)], |fields| allows_range(fields, document, now))
        };
        let modified = Some(MODIFIED);
        assert!(allowed("\"e1\"", modified, NOW));
        assert!(allowed(AT, modified, NOW));
        for other in ["W/\"e1\"", "\"e2\"", "\"e1\", \"e2\"", "*", BEFORE, AFTER, ""] {
            assert!(!allowed(other, modified, NOW), "{other}");
        }
        assert!(!allowed(AT, None, NOW));
        // Within the minute it could have changed again in the same second.
        assert!(!allowed(AT, modified, MODIFIED + 59));
        assert!(allowed(AT, modified, MODIFIED + 60));
        let document = Validators { etag: ETAG, modified };
        let twice = [("If-Range", "\"e1\""), ("If-Range", "\"e1\"")];
        assert!(!with(&twice, |fields| allows_range(fields, document, NOW)));
        assert!(with(&[], |fields| allows_range(fields, document, NOW)));
    }
}
