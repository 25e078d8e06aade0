//! What a configuration wants of the machine. Only the keys that the doctor needs are read, and a
//! key that is wrong counts as left out: `abele-gateway check` judges the file whole.

use std::path::Path;

use toml::{Table, Value};

use crate::error::Error;
use crate::limits::CONFIG_LEN_MAX;

/// The pages under frames and tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WantedPages {
    Best,
    Huge,
    Base,
}

/// What the gateway shall have. The default is the configuration's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The file that says so; none if nothing was said.
    pub(crate) file: Option<String>,
    /// The interface that it names.
    pub(crate) interface: Option<String>,
    /// Whether the gateway makes its device itself.
    pub(crate) is_tap: bool,
    /// Bytes of the longest packet.
    pub(crate) mtu: u32,
    /// `interface.xdp_mode`.
    pub(crate) xdp_mode: String,
    /// Whether it must not start with a copy.
    pub(crate) requires_zero_copy: bool,
    /// Whether copying is wanted.
    pub(crate) wants_copy: bool,
    /// Whether the card is polled on the worker's own core.
    pub(crate) is_busy_polling: bool,
    pub(crate) frames: u64,
    pub(crate) frame_len: u64,
    pub(crate) pages: WantedPages,
    /// How many workers, where the file says so or means its default.
    pub(crate) workers: Option<usize>,
    /// The cores that are named.
    pub(crate) cores: Option<Vec<usize>>,
    /// Whether workers never sleep.
    pub(crate) is_spinning: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            file: None,
            interface: None,
            is_tap: false,
            mtu: 1_500,
            xdp_mode: "auto".to_owned(),
            requires_zero_copy: false,
            wants_copy: false,
            is_busy_polling: false,
            frames: 16_384,
            frame_len: 2_048,
            pages: WantedPages::Best,
            workers: None,
            cores: None,
            is_spinning: false,
        }
    }
}

impl Wanted {
    /// Bytes of all frames.
    pub(crate) fn frames_bytes(&self) -> u64 {
        self.frames.saturating_mul(self.frame_len)
    }

    /// Reads a configuration.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::ConfigUnread { path: path.to_owned(), source };
        let text = settings::read_text(path, CONFIG_LEN_MAX).map_err(failed)?;
        let wrong = |error: toml::de::Error| Error::ConfigMalformed {
            path: path.to_owned(),
            wrong: error.to_string().trim().to_owned(),
        };
        let table: Table = text.parse().map_err(wrong)?;
        Ok(Self { file: Some(path.display().to_string()), ..Self::parse(&table) })
    }

    fn parse(table: &Table) -> Self {
        let default = Self::default();
        let find = |section: &str, key: &str| table.get(section)?.as_table()?.get(key);
        let text = |section, key| find(section, key).and_then(Value::as_str);
        let number = |section, key| {
            find(section, key).and_then(Value::as_integer).and_then(|it| u64::try_from(it).ok())
        };
        let cores = find("workers", "cores").and_then(Value::as_array).map(|cores| {
            let numbers = cores.iter().filter_map(Value::as_integer);
            numbers.filter_map(|core| usize::try_from(core).ok()).collect::<Vec<_>>()
        });
        let count = number("workers", "count").and_then(|count| usize::try_from(count).ok());
        // As the gateway has it: named cores need no count, and without both there is one.
        let workers = count.or(cores.as_ref().map(Vec::len)).unwrap_or(1);
        let mtu = number("interface", "mtu").and_then(|mtu| u32::try_from(mtu).ok());
        Self {
            file: None,
            interface: text("interface", "name").map(str::to_owned),
            is_tap: text("interface", "kind") == Some("tap"),
            mtu: mtu.unwrap_or(default.mtu),
            xdp_mode: text("interface", "xdp_mode").unwrap_or("auto").to_owned(),
            requires_zero_copy: text("interface", "require") == Some("zerocopy"),
            wants_copy: text("interface", "copy") == Some("copy"),
            is_busy_polling: number("interface", "busy_poll_us").is_some_and(|us| us > 0),
            frames: number("memory", "frames").unwrap_or(default.frames),
            frame_len: find("memory", "frame_len").and_then(size).unwrap_or(default.frame_len),
            pages: match text("memory", "pages") {
                Some("huge") => WantedPages::Huge,
                Some("base") => WantedPages::Base,
                Some(_) | None => WantedPages::Best,
            },
            workers: Some(workers),
            cores,
            is_spinning: text("workers", "idle") == Some("spin"),
        }
    }
}

/// A number of bytes, or text with a unit.
fn size(value: &Value) -> Option<u64> {
    if let Some(bytes) = value.as_integer() {
        return u64::try_from(bytes).ok();
    }
    settings::parse_size(value.as_str()?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Wanted, WantedPages};

    fn parsed(text: &str) -> Wanted {
        Wanted::parse(&text.parse().unwrap())
    }

    #[test]
    fn an_empty_file_wants_one_worker_and_the_defaults() {
        let wanted = parsed("");
        assert_eq!(wanted, Wanted { workers: Some(1), ..Wanted::default() });
        assert_eq!(wanted.frames_bytes(), 32 << 20);
    }

    #[test]
    fn what_a_file_says_is_wanted() {
        let wanted = parsed(
            "[interface]\nkind = \"af_xdp\"\nname = \"eth1\"\nmtu = 3000\nxdp_mode = \"native\"\n\
             require = \"zerocopy\"\nbusy_poll_us = 20\n\
             [memory]\nframes = 1024\nframe_len = \"4 KiB\"\npages = \"huge\"\n\
             [workers]\ncores = [2, 3]\nidle = \"spin\"\n",
        );
        assert_eq!((wanted.interface.as_deref(), wanted.is_tap), (Some("eth1"), false));
        assert_eq!((wanted.mtu, wanted.xdp_mode.as_str()), (3_000, "native"));
        assert!(wanted.requires_zero_copy && wanted.is_busy_polling && wanted.is_spinning);
        assert_eq!((wanted.frames_bytes(), wanted.pages), (4 << 20, WantedPages::Huge));
        assert_eq!((wanted.workers, wanted.cores.as_deref()), (Some(2), Some(&[2, 3][..])));
    }

    #[test]
    fn what_is_wrong_counts_as_left_out() {
        let wanted = parsed("interface = 7\n[memory]\nframe_len = \"2 stone\"\nframes = -1\n");
        assert_eq!((wanted.frame_len, wanted.frames), (2_048, 16_384));
        assert!(parsed("[interface]\nkind = \"tap\"\n").is_tap);
    }

    #[test]
    fn a_size_is_read_as_the_gateway_reads_it() {
        assert_eq!(parsed("[memory]\nframe_len = \"4KiB\"\n").frame_len, 4_096);
    }

    #[test]
    fn a_file_that_is_longer_than_the_gateway_takes_is_refused_and_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        let comment = format!("#{}\n", "a".repeat(1 << 20));
        fs::write(&file, format!("{comment}[interface]\nkind = \"tap\"\n")).unwrap();
        assert!(Wanted::read(&file).unwrap().is_tap);
        fs::write(&file, comment.repeat(9)).unwrap();
        let wrong = Wanted::read(&file).unwrap_err().to_string();
        assert!(wrong.contains("it has more than 8388608 bytes"), "{wrong}");
    }
}
