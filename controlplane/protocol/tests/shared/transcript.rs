//! Bytes as a page of documentation shows them: `0a`, `00*16` for so many, `'text'` for its bytes.

/// The bytes of a transcript. Between its parts are spaces and line ends.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in text.split_whitespace() {
        if let Some(quoted) = word.strip_prefix('\'') {
            bytes.extend_from_slice(quoted.strip_suffix('\'').expect("a quote ends").as_bytes());
            continue;
        }
        let (digits, times) = word.split_once('*').unwrap_or((word, "1"));
        assert_eq!(digits.len(), 2, "{word}");
        let byte = u8::from_str_radix(digits, 16).expect("two digits");
        let times: usize = times.parse().expect("a number of times");
        bytes.resize(bytes.len() + times, byte);
    }
    bytes
}

/// A frame as the page has it, and the call that must make it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
    pub(crate) write: fn(&mut Vec<u8>),
}
