//! From a request's target to the path of a document: decoded, without dots, inside the root.

use super::host::is_host;
use crate::counters::Refusal;
use crate::limits::HEAD_LEN_MAX;

/// Where a path is decoded. A decoded path is never longer than its target, and a target is
/// shorter than a head by at least the length of what `/` is completed with.
pub(crate) type PathBuffer = [u8; HEAD_LEN_MAX];

/// What a path that ends in `/` is completed with.
pub(crate) const INDEX: &[u8] = b"index.html";
const _: () = assert!(b"GET  HTTP/1.1\r\n\r\n".len() > INDEX.len());

/// The path of the document that `target` names.
///
/// # Errors
/// `TargetMalformed`, `PathEscapes`, or `NotFound` for a name that no document can have.
pub(crate) fn resolve<'b>(target: &[u8], buffer: &'b mut PathBuffer) -> Result<&'b [u8], Refusal> {
    if target.len() + INDEX.len() > buffer.len() {
        return Err(Refusal::TargetTooLong);
    }
    let path = path_of(target)?;
    let path = path.split(|&byte| byte == b'?').next().expect("split gives at least one");
    let mut len = 0;
    let mut is_folder = false;
    for segment in path[1..].split(|&byte| byte == b'/') {
        let start = len;
        buffer[len] = b'/';
        len += 1 + decode(segment, &mut buffer[len + 1..])?;
        //= https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2.2
        //# normalized by decoding any percent-encoded octet that corresponds to an unreserved
        //# character, and so an encoded dot is a dot
        let name = &buffer[start + 1..len];
        is_folder = matches!(name, b"" | b"." | b"..");
        match name {
            b"." => len = start,
            b".." => len = parent(&buffer[..start]).ok_or(Refusal::PathEscapes)?,
            // A slash or a zero byte within a name is no separator and no end: such a name is
            // one that no document has.
            _ if name.iter().any(|&byte| byte == b'/' || byte == 0) => {
                return Err(Refusal::NotFound);
            }
            // The name of the last segment of `dir/` is empty; its slash comes with the index.
            _ => {}
        }
    }
    if is_folder {
        if buffer[..len].last() != Some(&b'/') {
            buffer[len] = b'/';
            len += 1;
        }
        buffer[len..len + INDEX.len()].copy_from_slice(INDEX);
        len += INDEX.len();
    }
    Ok(&buffer[..len])
}

/// The path of an origin-form or absolute-form target; it begins with `/`.
//= https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2
//# a server MUST accept the absolute-form in requests
fn path_of(target: &[u8]) -> Result<&[u8], Refusal> {
    let is_clean = target.iter().all(|&byte| byte.is_ascii_graphic() && byte != b'#');
    if !is_clean {
        return Err(Refusal::TargetMalformed);
    }
    if target.first() == Some(&b'/') {
        return Ok(target);
    }
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.4
    //# a request for an "https" resource MUST be rejected unless it has been received over a
    //# connection that has been secured
    if strip_scheme(target, b"https://").is_some() {
        return Err(Refusal::SchemeMisdirected);
    }
    let after_scheme = strip_scheme(target, b"http://").ok_or(Refusal::TargetMalformed)?;
    let authority_len = after_scheme.iter().position(|byte| b"/?".contains(byte));
    let (authority, path) = after_scheme.split_at(authority_len.unwrap_or(after_scheme.len()));
    //= https://www.rfc-editor.org/rfc/rfc9110#section-4.2.1
    //# A recipient that processes such a URI reference MUST reject it as invalid (an empty host)
    if authority.is_empty() || !is_host(authority) {
        return Err(Refusal::TargetMalformed);
    }
    Ok(if path.first() == Some(&b'/') { path } else { b"/" })
}

fn strip_scheme<'t>(target: &'t [u8], scheme: &[u8]) -> Option<&'t [u8]> {
    let (head, rest) = target.split_at_checked(scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Where the last segment of `path` begins; `None` if there is none.
fn parent(path: &[u8]) -> Option<usize> {
    path.iter().rposition(|&byte| byte == b'/')
}

/// Decodes percent-encoding; returns the length.
fn decode(segment: &[u8], out: &mut [u8]) -> Result<usize, Refusal> {
    let mut rest = segment;
    let mut len = 0;
    while let [byte, after @ ..] = rest {
        let (byte, after) = match (byte, after) {
            (b'%', [high, low, after @ ..]) => (hex(*high)? << 4 | hex(*low)?, after),
            (b'%', _) => return Err(Refusal::TargetMalformed),
            (&byte, after) => (byte, after),
        };
        out[len] = byte;
        len += 1;
        rest = after;
    }
    Ok(len)
}

fn hex(digit: u8) -> Result<u8, Refusal> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(Refusal::TargetMalformed),
    }
}

#[cfg(test)]
mod tests {
    use super::{PathBuffer, resolve};
    use crate::counters::Refusal;
    use crate::limits::HEAD_LEN_MAX;

    fn resolved(target: &str) -> Result<String, Refusal> {
        let mut buffer: PathBuffer = [0xaa; HEAD_LEN_MAX];
        resolve(target.as_bytes(), &mut buffer)
            .map(|path| String::from_utf8_lossy(path).into_owned())
    }

    #[test]
    fn targets_name_documents() {
        for (target, path) in [
            ("/", "/index.html"),
            ("/?a=/../..", "/index.html"),
            ("/a", "/a"),
            ("/a?b#", ""),
            ("/a/", "/a/index.html"),
            ("/a/b.html?c=d?e", "/a/b.html"),
            ("/a%20b", "/a b"),
            ("/%61", "/a"),
            ("/%C3%BC", "/ü"),
            ("/a+b", "/a+b"),
            ("/./a", "/a"),
            ("/a/.", "/a/index.html"),
            ("/a/./", "/a/index.html"),
            ("/a/..", "/index.html"),
            ("/a/../", "/index.html"),
            ("/a/../b", "/b"),
            ("/a/b/../../c", "/c"),
            ("/a/b/..", "/a/index.html"),
            ("/a//b", "/a//b"),
            ("/a//../b", "/a/b"),
            ("//", "//index.html"),
            ("/...", "/..."),
            ("/..a", "/..a"),
            ("/a%2e%2e", "/a.."),
            ("/%2e", "/index.html"),
            ("/a/%2E%2e/b", "/b"),
            ("http://example.org", "/index.html"),
            ("http://example.org?q", "/index.html"),
            ("HTTP://example.org:80/a?b", "/a"),
            ("http://[::1]/a/", "/a/index.html"),
        ] {
            if path.is_empty() {
                assert_eq!(resolved(target), Err(Refusal::TargetMalformed), "{target}");
            } else {
                assert_eq!(resolved(target).as_deref(), Ok(path), "{target}");
            }
        }
    }

    #[test]
    fn paths_never_leave_the_root() {
        for target in [
            "/..",
            "/../",
            "/../etc/passwd",
            "/a/../../etc/passwd",
            "/./../a",
            "/%2e%2e/a",
            "/.%2e/a",
            "/%2E./a",
            "/a/%2e%2e/%2e%2e/b",
            "/a/b/../../../c",
            "http://example.org/../a",
        ] {
            assert_eq!(resolved(target), Err(Refusal::PathEscapes), "{target}");
        }
    }

    #[test]
    fn names_that_no_document_can_have_are_not_found() {
        for target in ["/%2f", "/a%2fb", "/..%2f..%2fetc", "/a%00", "/%2e%2e%2fa", "/a%00/../b"] {
            assert_eq!(resolved(target), Err(Refusal::NotFound), "{target}");
        }
        // Decoded once only; a backslash is a character like any other.
        assert_eq!(resolved("/%252e%252e/a").as_deref(), Ok("/%2e%2e/a"));
        assert_eq!(resolved("/..\\a").as_deref(), Ok("/..\\a"));
        assert_eq!(resolved("/..%5ca").as_deref(), Ok("/..\\a"));
    }

    #[test]
    fn what_is_for_tls_is_not_answered_without_it() {
        for target in ["https://a/", "HTTPS://a", "https:///"] {
            assert_eq!(resolved(target), Err(Refusal::SchemeMisdirected), "{target}");
        }
    }

    #[test]
    fn malformed_targets_are_refused() {
        for target in [
            "",
            "*",
            "a",
            "a/b",
            "/%",
            "/%4",
            "/%4/",
            "/%g0",
            "/%0g",
            "/a b",
            "/a\t",
            "/ü",
            "/a#b",
            "http:/a",
            "http://",
            "http:///a",
            "http://?",
            "ftp://a/b",
            "http://a b/",
            "http://a@b/",
            "example.org:80",
        ] {
            assert_eq!(resolved(target), Err(Refusal::TargetMalformed), "{target}");
        }
    }

    #[test]
    fn no_target_of_a_head_overruns_the_buffer() {
        let longest = HEAD_LEN_MAX - b"GET  HTTP/1.1\r\n\r\n".len();
        for last in ["a", "/", "/.", "/.."] {
            let target = format!("/{}{last}", "a".repeat(longest - 1 - last.len()));
            assert!(resolved(&target).is_ok());
        }
        assert_eq!(resolved(&"/".repeat(HEAD_LEN_MAX)), Err(Refusal::TargetTooLong));
    }
}
