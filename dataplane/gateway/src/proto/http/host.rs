//! What can be a host.

/// Whether `value` can be a Host: a name or an address, perhaps with a port; or nothing.
//= https://www.rfc-editor.org/rfc/rfc9110#section-7.2
//# Host = uri-host [ ":" port ]
pub(crate) fn is_host(value: &[u8]) -> bool {
    let (is_name_valid, rest) = if let Some(literal) = value.strip_prefix(b"[") {
        let Some(end) = literal.iter().position(|&byte| byte == b']') else {
            return false;
        };
        let is_address = |&byte: &u8| byte.is_ascii_hexdigit() || b":.".contains(&byte);
        (end > 0 && literal[..end].iter().all(is_address), &literal[end + 1..])
    } else {
        let end = value.iter().position(|&byte| byte == b':').unwrap_or(value.len());
        let is_name =
            |&byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte);
        (value[..end].iter().all(is_name), &value[end..])
    };
    let is_port_valid = match rest {
        [] => true,
        [b':', port @ ..] => port.len() <= 5 && port.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_name_valid && is_port_valid
}

#[cfg(test)]
mod tests {
    use super::is_host;

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for host in [
            "",
            "a",
            "a.example:8080",
            "192.0.2.1:80",
            "[::1]",
            "[::ffff:192.0.2.1]:80",
            "a:",
            "a_b",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in
            ["[", "[]", "[::1", "[::1]a", "[g]", "a:b", "a:123456", "a:80:80", "ä", "a\\b", "a,b c"]
        {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
