//! `[[access]]`: who comes in by which proof, what they may do there, and how much of it.

use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use settings::{At, Ledger, Place, Section};

use super::network::Listener;
use crate::limits::{
    ACCESS_MAX, ID_LEN_MAX, NAME_LEN_MAX, PREFIXES_MAX, SECRET_LEN_MAX, SECRET_LEN_MIN,
};

/// What somebody who came in may do besides what all may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Node,
    Observer,
    Operator,
}

impl Role {
    /// The word in the file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Observer => "observer",
            Self::Operator => "operator",
        }
    }
}

/// What shows who somebody is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A certificate with the node's id.
    Certificate,
    /// A secret that both know, and the file it is from.
    Secret { file: PathBuf, secret: Vec<u8> },
    /// That the connection comes from this machine.
    Loopback,
}

impl Proof {
    /// The word in the file.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Secret { .. } => "secret",
            Self::Loopback => "loopback",
        }
    }
}

impl fmt::Debug for Proof {
    /// A secret is never shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How much one node may have; what is `None` is the switch's own bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) ports_max: Option<u64>,
    pub(crate) queue_len: Option<u32>,
    /// Zero is any number.
    pub(crate) messages_per_s: u32,
    pub(crate) subscriptions_max: Option<u32>,
    pub(crate) waiting_max: Option<u32>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// An id, or the beginning of ids with a star behind it.
    pub(crate) node: String,
    pub(crate) proof: Proof,
    pub(crate) role: Role,
    /// What the names begin with; an empty text is every name.
    pub(crate) register: Vec<String>,
    pub(crate) send: Vec<String>,
    pub(crate) query: Vec<String>,
    pub(crate) quota: Quota,
}

impl Access {
    /// Whether whoever fits `later` fits this one too, by the same proof, and not the other way
    /// about.
    fn hides(&self, later: &Self) -> bool {
        let is_shown = match (&self.proof, &later.proof) {
            (Proof::Certificate, Proof::Certificate) | (Proof::Loopback, Proof::Loopback) => true,
            (Proof::Secret { secret, .. }, Proof::Secret { secret: other, .. }) => secret == other,
            _ => false,
        };
        let stem = self.node.strip_suffix('*');
        is_shown && self.node != later.node && stem.is_some_and(|stem| later.node.starts_with(stem))
    }

    /// Everybody on this machine, who may do everything.
    pub(crate) fn of_this_machine() -> Self {
        let any = || vec![String::new()];
        Self {
            node: "*".to_owned(),
            proof: Proof::Loopback,
            role: Role::Operator,
            register: any(),
            send: any(),
            query: any(),
            quota: Quota::default(),
        }
    }
}

const ROLES: &[(&str, Role)] =
    &[("node", Role::Node), ("observer", Role::Observer), ("operator", Role::Operator)];

/// The proofs, before their files are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Certificate,
    Secret,
    Loopback,
}

const PROOFS: &[(&str, Kind)] =
    &[("certificate", Kind::Certificate), ("secret", Kind::Secret), ("loopback", Kind::Loopback)];

/// Every `[[access]]`; without one, this machine may do everything.
pub(crate) fn read(
    root: Section<'_>,
    folder: &Path,
    ledger: &mut Ledger<'_>,
) -> Option<Vec<At<Access>>> {
    const KEY: &str = "access";
    let found_before = ledger.found.len();
    let sections = root.tables(KEY, KEY, ledger);
    if sections.is_empty() && ledger.found.len() == found_before {
        return Some(vec![At { value: Access::of_this_machine(), place: root.place }]);
    }
    if let Some(section) = sections.get(ACCESS_MAX) {
        let wrong = format!("more than {ACCESS_MAX} entries");
        ledger.refuse(
            section.place,
            KEY,
            wrong,
            "let one entry stand for many nodes, as \"web-*\"",
        );
    }
    let mut entries: Vec<At<Access>> = Vec::new();
    for section in sections {
        let Some(value) = one(section, folder, ledger) else { continue };
        let is_same = |other: &&At<Access>| {
            other.value.node == value.node && other.value.proof == value.proof
        };
        if let Some(first) = entries.iter().find(is_same) {
            let wrong =
                format!("the entry of line {} has this node and proof already", first.place);
            ledger.refuse(
                section.place,
                "access.node",
                wrong,
                "remove one of them: the first wins",
            );
        }
        let hides = |other: &&At<Access>| other.value.hides(&value);
        if let Some(first) = entries.iter().find(hides) {
            let wrong =
                format!("no node comes to this entry: that of line {} fits first", first.place);
            ledger.refuse(
                section.place,
                "access.node",
                wrong,
                "put this one before it, or remove it",
            );
        }
        entries.push(At { value, place: section.place });
    }
    (ledger.found.len() == found_before).then_some(entries)
}

fn one(section: Section<'_>, folder: &Path, ledger: &mut Ledger<'_>) -> Option<Access> {
    let node = node(section, ledger);
    let proof = proof(section, folder, ledger);
    let role = section.choice("role", Role::Node, ROLES, ledger);
    let [register, send, query] =
        ["register", "send", "query"].map(|key| prefixes(section, key, ledger));
    let quota = quota(section, ledger);
    Some(Access {
        node: node?,
        proof: proof?,
        role: role?.value,
        register: register?,
        send: send?,
        query: query?,
        quota: quota?,
    })
}

fn node(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<String> {
    const KEY: &str = "node";
    if section.find(KEY, ledger).is_none() {
        let right = "name a node, or a beginning of names as \"web-*\", or all of them as \"*\"";
        ledger.refuse(section.place, &section.path(KEY), "is missing", right);
        return None;
    }
    let At { value: text, place } = section.text(KEY, ledger)?;
    let stem = text.strip_suffix('*').unwrap_or(text);
    let refusal = if stem.contains('*') {
        Some(("a star stands at the end only".to_owned(), "use one as in \"web-*\""))
    } else if text.is_empty() {
        Some(("it is empty".to_owned(), "\"*\" is every node"))
    } else if stem.len() > ID_LEN_MAX {
        Some((format!("an id has at most {ID_LEN_MAX} bytes"), "use a shorter one"))
    } else {
        None
    };
    let Some((wrong, right)) = refusal else { return Some(text.to_owned()) };
    ledger.refuse(place, &section.path(KEY), wrong, right);
    None
}

fn proof(section: Section<'_>, folder: &Path, ledger: &mut Ledger<'_>) -> Option<Proof> {
    if section.find("proof", ledger).is_none() {
        let right = "use \"certificate\" or \"secret\" or \"loopback\"";
        ledger.refuse(section.place, &section.path("proof"), "is missing", right);
        return None;
    }
    let kind = section.choice("proof", Kind::Loopback, PROOFS, ledger)?;
    let file = section.path_of("secret_file", folder, ledger);
    let name = section.path("secret_file");
    match kind.value {
        Kind::Secret => {
            let Some(At { value: file, place }) = file else {
                if section.find("secret_file", ledger).is_none() {
                    let right = "name a file with at least 16 bytes: `openssl rand -hex 32 > FILE`";
                    ledger.refuse(kind.place, &name, "is missing", right);
                }
                return None;
            };
            let refuse = |(wrong, right): (String, &str)| ledger.refuse(place, &name, wrong, right);
            let secret = secret(&file).map_err(refuse).ok()?;
            Some(Proof::Secret { file, secret })
        }
        Kind::Certificate | Kind::Loopback => {
            if let Some(At { place, .. }) = file {
                let wrong = "this proof needs no secret";
                ledger.refuse(place, &name, wrong, "remove it, or use proof = \"secret\"");
                return None;
            }
            let is_certificate = kind.value == Kind::Certificate;
            Some(if is_certificate { Proof::Certificate } else { Proof::Loopback })
        }
    }
}

/// The secret in a file, without one end of a line behind it, as clients read it too; else what is
/// wrong with the file.
fn secret(file: &Path) -> Result<Vec<u8>, (String, &'static str)> {
    let text_of = |error: io::Error| {
        let text = crate::error::error_text(&error);
        (format!("{}: {text}", file.display()), "name a file that bypssd may read")
    };
    let mut opened = fs::File::open(file).map_err(text_of)?;
    let mode = opened.metadata().map_err(text_of)?.permissions().mode();
    if mode & 0o007 != 0 {
        let wrong = format!("{}: everybody may read or write it", file.display());
        return Err((wrong, "let only bypssd's user: `chmod o= FILE`"));
    }
    let mut bytes = Vec::new();
    // One more, so that a longer one is seen, and the two of a line's end.
    let most = SECRET_LEN_MAX as u64 + 3;
    opened.by_ref().take(most).read_to_end(&mut bytes).map_err(text_of)?;
    let end = [&b"\r\n"[..], b"\n"].into_iter().find(|end| bytes.ends_with(end));
    let line = &bytes[..bytes.len() - end.map_or(0, <[u8]>::len)];
    if (SECRET_LEN_MIN..=SECRET_LEN_MAX).contains(&line.len()) {
        return Ok(line.to_vec());
    }
    let len = if line.len() > SECRET_LEN_MAX { "more".to_owned() } else { line.len().to_string() };
    let wrong = format!(
        "{}: a secret has {SECRET_LEN_MIN} to {SECRET_LEN_MAX} bytes, and this one {len}",
        file.display()
    );
    Err((wrong, "make a new one: `openssl rand -hex 32 > FILE`"))
}

fn prefixes(section: Section<'_>, key: &str, ledger: &mut Ledger<'_>) -> Option<Vec<String>> {
    if section.find(key, ledger).is_none() {
        return Some(vec![String::new()]);
    }
    let found_before = ledger.found.len();
    let given = section.texts(key, ledger);
    if let Some(At { place, .. }) = given.get(PREFIXES_MAX) {
        let wrong = format!("more than {PREFIXES_MAX} beginnings");
        ledger.refuse(*place, &section.path(key), wrong, "give the names a common beginning");
    }
    for At { value: prefix, place } in &given {
        if prefix.ends_with('*') {
            let right =
                format!("write \"{}\": every name that begins so", prefix.trim_end_matches('*'));
            ledger.refuse(*place, &section.path(key), "a beginning has no star", right);
        } else if prefix.len() > NAME_LEN_MAX {
            let wrong = format!("no name has more than {NAME_LEN_MAX} bytes");
            ledger.refuse(*place, &section.path(key), wrong, "use a shorter beginning");
        }
    }
    let prefixes = given.iter().map(|at| at.value.to_owned()).collect();
    (ledger.found.len() == found_before).then_some(prefixes)
}

fn quota(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<Quota> {
    let ports = section.maybe_number("ports_max", 0..=u64::from(u32::MAX), ledger);
    let queue = section.maybe_size("queue_len", 4_096..=u64::from(u32::MAX >> 1), ledger);
    let messages = section.number("messages_per_s", 0, 0..=u32::MAX, ledger);
    let subscriptions = section.maybe_number("subscriptions_max", 0..=u32::MAX >> 1, ledger);
    let waiting = section.maybe_number("waiting_max", 0..=u32::MAX >> 1, ledger);
    Some(Quota {
        ports_max: ports?,
        queue_len: queue?.map(|len| u32::try_from(len).expect("its range is 31 bits")),
        messages_per_s: messages?.value,
        subscriptions_max: subscriptions?,
        waiting_max: waiting?,
    })
}

/// What shows that certificates can be had, for those entries that want them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transport<'a> {
    pub(crate) listeners: &'a [At<Listener>],
    pub(crate) has_client_ca: bool,
}

/// Whether listeners and entries fit one another: nobody who cannot show who he is comes in from
/// beyond this machine, and no entry is for nobody.
pub(crate) fn judge(transport: Transport<'_>, entries: &[At<Access>], ledger: &mut Ledger<'_>) {
    let Transport { listeners, has_client_ca } = transport;
    let is_tls = listeners.iter().any(|at| at.value.is_tls);
    let takes_loopback = listeners.iter().any(|at| at.value.takes_loopback());
    for At { value: entry, place } in entries {
        let key = "access.proof";
        match entry.proof {
            Proof::Certificate if !has_client_ca => {
                let right = "name who signs them, as tls.client_ca_file";
                ledger.refuse(*place, key, "nobody is asked for a certificate", right);
            }
            Proof::Certificate if !is_tls => {
                let right = "let one listener have tls = true";
                ledger.refuse(*place, key, "no listener speaks TLS", right);
            }
            Proof::Loopback if !takes_loopback => {
                let wrong = "no listener is reached from this machine's loopback";
                ledger.refuse(
                    *place,
                    key,
                    wrong,
                    "add a [[listener]] on 127.0.0.1, or remove this",
                );
            }
            Proof::Certificate | Proof::Loopback | Proof::Secret { .. } => {}
        }
    }
    let has_secret = entries.iter().any(|at| matches!(at.value.proof, Proof::Secret { .. }));
    let has_certificate = entries.iter().any(|at| at.value.proof == Proof::Certificate);
    for At { value: listener, place } in listeners {
        if !listener.is_local() {
            judge_open(*listener, *place, has_secret || has_certificate && listener.is_tls, ledger);
        }
    }
}

/// A listener that others than this machine reach.
fn judge_open(listener: Listener, place: Place, has_proof: bool, ledger: &mut Ledger<'_>) {
    if has_proof {
        return;
    }
    let address = listener.address;
    let (wrong, right) = if listener.is_tls {
        (
            format!("{address} is reached from other machines, and none of them could come in"),
            "add an [[access]] with proof = \"certificate\" or \"secret\"",
        )
    } else {
        (
            format!("{address} is reached from other machines, without TLS and without a secret"),
            "add [tls], or an [[access]] with proof = \"secret\", or listen on 127.0.0.1",
        )
    };
    ledger.refuse(place, "listener.address", wrong, right);
}
