//! The page of the configuration, made of the commented example.
//!
//! The example is comments and keys: what stands above a key is said of it, and what is followed by
//! an empty line is said of the section or the file.

use crate::Pages;
use crate::roff::plain;

/// A line of the example.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    /// `[tcp]` or `[[listener]]`, also behind `# `.
    Section(&'a str),
    /// `mtu = 1500`, also behind `# `.
    Key(&'a str, &'a str),
    /// What is said.
    Text(&'a str),
    /// Nothing, or `#` alone.
    Empty,
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Self {
        let (text, is_comment) = match line.strip_prefix('#') {
            Some(text) => (text.strip_prefix(' ').unwrap_or(text), true),
            None => (line, false),
        };
        let is_section = text.starts_with('[') && text.ends_with(']') && !text.contains(' ');
        let key = text.split_once(" = ").filter(|(key, _)| {
            !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        });
        match key {
            _ if text.trim().is_empty() => Self::Empty,
            _ if is_section => Self::Section(text),
            Some((key, value)) => Self::Key(key, value),
            None if is_comment => Self::Text(text),
            None => panic!("the example has a line that is neither comment nor key: {line}"),
        }
    }
}

impl Pages {
    /// Writes the page `NAME.toml(5)` out of the example of the program's configuration.
    ///
    /// # Panics
    ///
    /// If the file cannot be written, or the example has a line of another kind.
    pub fn configuration(&self, program: &str, example: &str) {
        self.write(&format!("man5/{program}.toml.5"), page(program, example).as_bytes());
    }
}

fn page(program: &str, example: &str) -> String {
    let title = plain(program);
    let mut page = format!(
        ".TH {title}.toml 5 \"\" \"\" Abele\n.SH NAME\n{title}.toml \\- the configuration of \
         {title}\n.SH DESCRIPTION\n"
    );
    let mut said: Vec<&str> = Vec::new();
    let mut has_sections = false;
    for line in example.lines().map(Line::of) {
        match line {
            Line::Text(text) => said.push(text),
            Line::Empty => flush(&mut page, &mut said),
            Line::Section(section) => {
                if !std::mem::replace(&mut has_sections, true) {
                    page.push_str(".SH SECTIONS\n");
                }
                page.push_str(&format!(".SS \"{}\"\n", plain(section)));
                flush(&mut page, &mut said);
            }
            Line::Key(key, value) => {
                page.push_str(&format!(".TP\n\\fB{}\\fR = {}\n", plain(key), plain(value)));
                page.push_str(&plain(&said.join("\n")));
                page.push('\n');
                said.clear();
            }
        }
    }
    flush(&mut page, &mut said);
    page.push_str(&format!(
        ".SH FILES\n.TP\n\\fI/etc/abele/NAME.toml\\fR\nThe configuration of the service \
         {title}@NAME.\n.TP\n\\fI/etc/abele/example.toml\\fR\nEvery key with its default.\n\
         .SH \"SEE ALSO\"\n{title}(8)\n"
    ));
    page
}

/// A paragraph of its own. Lines that are set in stay as they are: they are examples.
fn flush(page: &mut String, said: &mut Vec<&str>) {
    if said.is_empty() {
        return;
    }
    page.push_str(".PP\n");
    for text in said.drain(..) {
        match text.strip_prefix("  ") {
            Some(example) => page.push_str(&format!(".RS\n.nf\n{}\n.fi\n.RE\n", plain(example))),
            None => page.push_str(&format!("{}\n", plain(text))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "\
# The configuration.
#
#   tool run FILE     runs it

# Which one: 1 to 63 letters.
# instance = \"a-b\"

# What carries frames.
[interface]
# The longest packet
# in bytes.
mtu = 1500
#
# Who comes in.
# [access]
# deny = [\"192.0.2.0/24\"]
";

    #[test]
    fn every_key_has_what_is_said_above_it() {
        let page = page("tool", EXAMPLE);
        let key = |text: &str| assert!(page.contains(text), "{text} is not in {page}");
        key(".TP\n\\fBinstance\\fR = \"a\\-b\"\nWhich one: 1 to 63 letters.\n");
        key(".SH SECTIONS\n.SS \"[interface]\"\n.PP\nWhat carries frames.\n");
        key(".TP\n\\fBmtu\\fR = 1500\nThe longest packet\nin bytes.\n");
        key(".SS \"[access]\"\n.PP\nWho comes in.\n.TP\n\\fBdeny\\fR = [\"192.0.2.0/24\"]\n");
        key(".RS\n.nf\ntool run FILE     runs it\n.fi\n.RE\n");
    }

    #[test]
    #[should_panic(expected = "neither comment nor key: what is this?")]
    fn a_line_of_another_kind_is_not_passed_over() {
        page("tool", "a = 1\nwhat is this?\n");
    }
}
