//! Splits Rust text into code and comments and blanks every literal, so that a rule about words
//! is not broken by a message that names the word.

/// A Rust file in two layers of equal shape: same lines, same columns, spaces elsewhere.
#[derive(Debug)]
pub(crate) struct Layers {
    /// Code; comments and the insides of string and character literals are spaces.
    pub(crate) code: String,
    /// Comments with their markers; all else is spaces.
    pub(crate) comments: String,
}

/// Splits `text`. An unclosed literal or comment runs to the end of the file.
pub(crate) fn split(text: &str) -> Layers {
    let mut lexer = Lexer {
        chars: text.chars().collect(),
        at: 0,
        code: String::with_capacity(text.len()),
        comments: String::new(),
    };
    while lexer.at < lexer.chars.len() {
        lexer.step();
    }
    Layers { code: lexer.code, comments: lexer.comments }
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    code: String,
    comments: String,
}

/// Where a character goes.
#[derive(Clone, Copy)]
enum Layer {
    Code,
    Comment,
    Neither,
}

impl Lexer {
    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => self.line_comment(),
            ('/', '*') => self.block_comment(),
            ('"', _) => self.string(),
            ('r', '"' | '#') if self.is_raw_string() => self.raw_string(),
            ('\'', _) => self.char_or_lifetime(),
            _ => self.take(Layer::Code),
        }
    }

    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn done(&self) -> bool {
        self.at >= self.chars.len()
    }

    fn take(&mut self, layer: Layer) {
        let c = self.peek(0);
        let blank = if c == '\n' { '\n' } else { ' ' };
        self.code.push(if matches!(layer, Layer::Code) { c } else { blank });
        self.comments.push(if matches!(layer, Layer::Comment) { c } else { blank });
        self.at += 1;
    }

    fn line_comment(&mut self) {
        while !self.done() && self.peek(0) != '\n' {
            self.take(Layer::Comment);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while !self.done() {
            let change = match (self.peek(0), self.peek(1)) {
                ('/', '*') => 1,
                ('*', '/') => -1,
                _ => 0,
            };
            self.take(Layer::Comment);
            if change == 0 {
                continue;
            }
            self.take(Layer::Comment);
            depth = depth.saturating_add_signed(change);
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.take(Layer::Code);
        while !self.done() && self.peek(0) != '"' {
            if self.peek(0) == '\\' {
                self.take(Layer::Neither);
            }
            if !self.done() {
                self.take(Layer::Neither);
            }
        }
        if !self.done() {
            self.take(Layer::Code);
        }
    }

    /// `r` begins a raw string if quotes follow its hashes and it ends no identifier
    /// (`br` and `cr` are prefixes, `for"` is none).
    fn is_raw_string(&self) -> bool {
        let hashes = self.hashes(1);
        if self.peek(1 + hashes) != '"' {
            return false;
        }
        let before = |n: usize| self.at.checked_sub(n).map_or(' ', |at| self.chars[at]);
        match before(1) {
            'b' | 'c' => !is_word(before(2)),
            c => !is_word(c),
        }
    }

    fn hashes(&self, from: usize) -> usize {
        self.chars.iter().skip(self.at + from).take_while(|c| **c == '#').count()
    }

    fn raw_string(&mut self) {
        let hashes = self.hashes(1);
        for _ in 0..hashes + 2 {
            self.take(Layer::Code);
        }
        while !self.done() {
            let closes = self.peek(0) == '"' && self.hashes(1) >= hashes;
            if closes {
                for _ in 0..=hashes {
                    self.take(Layer::Code);
                }
                return;
            }
            self.take(Layer::Neither);
        }
    }

    /// `'a'` and `'\n'` are literals, `'a` is a lifetime.
    fn char_or_lifetime(&mut self) {
        self.take(Layer::Code);
        if self.peek(0) == '\\' {
            self.take(Layer::Neither);
            self.take(Layer::Neither);
            while !self.done() && self.peek(0) != '\'' {
                self.take(Layer::Neither);
            }
        } else if self.peek(1) == '\'' {
            self.take(Layer::Neither);
        } else {
            return;
        }
        if !self.done() {
            self.take(Layer::Code);
        }
    }
}

/// Whether `c` can be part of an identifier.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether `line` holds `word` with no identifier character on either side.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(is_word);
        let after = line[at + word.len()..].chars().next().is_some_and(is_word);
        !before && !after
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn string_is_blank_in_both_layers() {
        let layers = split("let a = \"x // y \\\" z\"; // why\n");
        assert_eq!(layers.code.trim_end(), "let a = \"           \";");
        assert_eq!(layers.comments.trim(), "// why");
    }

    #[test]
    fn raw_string_ends_at_its_own_hashes() {
        let layers = split("f(br#\"a \" b\"#, unsafe_word)");
        assert_eq!(layers.code, "f(br#\"     \"#, unsafe_word)");
    }

    #[test]
    fn identifier_that_ends_in_r_begins_no_raw_string() {
        assert_eq!(split("for\"a\"").code, "for\" \"");
    }

    #[test]
    fn quote_character_opens_no_string() {
        assert_eq!(split("'\"' unsafe '\\'' x").code, "' ' unsafe '  ' x");
    }

    #[test]
    fn lifetime_is_code() {
        assert_eq!(split("fn f<'a>(x: &'a str)").code, "fn f<'a>(x: &'a str)");
    }

    #[test]
    fn block_comments_nest_and_keep_lines() {
        let layers = split("a /* x /* y\n */ z */ b");
        assert_eq!(layers.code.lines().collect::<Vec<_>>(), ["a          ", "         b"]);
    }

    #[test]
    fn word_needs_both_borders() {
        assert!(has_word("a XXX b", "XXX"));
        assert!(!has_word("a XXXXXX b", "XXX"));
        assert!(!has_word("unsafe_code", "unsafe"));
    }
}
