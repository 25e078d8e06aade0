//! Text as roff takes it.

/// One line or many as ordinary text: nothing in it is a request or an escape.
pub(crate) fn plain(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    let lines = escaped.lines().map(|line| match line.starts_with('.') {
        true => format!("\\&{line}"),
        false => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn nothing_of_a_text_is_a_request_or_an_escape() {
        assert_eq!(plain(".TH a\\b\n'c' --json"), "\\&.TH a\\eb\n\\(aqc\\(aq \\-\\-json");
    }
}
