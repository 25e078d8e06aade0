//! One frame after another: over each other on a terminal, one below the other elsewhere.

use std::io::{self, Write};

/// The terminal's other screen, without a cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
/// Back as it was.
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// To the first place; what is right of a line's end, and below the last line, goes.
const HOME: &str = "\x1b[H";
const LINE_END: &str = "\x1b[K\r\n";
const BELOW: &str = "\x1b[J";

/// Where frames go. Dropping it puts the terminal back.
pub(super) struct Screen<'a> {
    out: &'a mut dyn Write,
    is_terminal: bool,
    has_frame: bool,
}

impl<'a> Screen<'a> {
    pub(super) fn open(out: &'a mut dyn Write, is_terminal: bool) -> io::Result<Self> {
        let screen = Self { out, is_terminal, has_frame: false };
        if is_terminal {
            write!(screen.out, "{ENTER}{HOME}reading two looks apart ...")?;
            screen.out.flush()?;
        }
        Ok(screen)
    }

    /// Shows one frame, which is lines.
    pub(super) fn show(&mut self, frame: &str) -> io::Result<()> {
        if self.is_terminal {
            write!(self.out, "{HOME}{}{BELOW}", frame.replace('\n', LINE_END))?;
        } else {
            // Blocks of several lines are set apart.
            let is_block = frame.trim_end().contains('\n');
            let gap = if self.has_frame && is_block { "\n" } else { "" };
            write!(self.out, "{gap}{frame}")?;
        }
        self.has_frame = true;
        self.out.flush()
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        if self.is_terminal {
            // Where the terminal is gone there is nothing to put back.
            write!(self.out, "{LEAVE}").and_then(|()| self.out.flush()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(is_terminal: bool, frames: &[&str]) -> String {
        let mut out = Vec::new();
        let mut screen = Screen::open(&mut out, is_terminal).unwrap();
        frames.iter().for_each(|frame| screen.show(frame).unwrap());
        drop(screen);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn terminal_is_put_back_and_frames_cover_each_other() {
        let text = shown(true, &["a\nb\n", "c\n"]);
        assert!(text.starts_with(ENTER) && text.ends_with(LEAVE));
        assert!(
            text.contains("\x1b[Ha\x1b[K\r\nb\x1b[K\r\n\x1b[J\x1b[Hc\x1b[K\r\n\x1b[J"),
            "{text:?}"
        );
    }

    #[test]
    fn elsewhere_blocks_are_set_apart_and_lines_are_not() {
        assert_eq!(shown(false, &["a\nb\n", "c\nd\n"]), "a\nb\n\nc\nd\n");
        assert_eq!(shown(false, &["{}\n", "{}\n"]), "{}\n{}\n");
    }
}
