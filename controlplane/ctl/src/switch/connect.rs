//! From the arguments to a client, and from its errors to what an operator can do.

use std::fs;
use std::io::{self, Write};

use client::blocking::Client;
use client::{
    CallError, Config, Ended, Over, PortGuard, RequestError, TlsFault, TlsFiles, Trouble,
};
use protocol::limits::NODE_LEN_MAX;
use protocol::{ErrorCode, RegisterCode, Role, Sequence, Token};
use serde_json::Value;

use super::args::{Format, Target};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::table::Table;

/// A client that has reached the switch, with a session where the role has one.
pub(super) fn connect(to: &Target, role: Role, interrupt: &Interrupt) -> Result<Client, Error> {
    interrupt.at_once(|| reach(to, role, true))
}

/// A node without a session, to ask and to send: nothing of it is left at the switch when it has
/// ended, and a service whose id it has goes on.
pub(super) fn connect_to_ask(to: &Target, interrupt: &Interrupt) -> Result<Client, Error> {
    interrupt.at_once(|| reach(to, Role::Node, false))
}

fn reach(to: &Target, role: Role, has_session: bool) -> Result<Client, Error> {
    let secret = to.secret_file.as_ref().map(|path| {
        let bytes = fs::read(path);
        bytes.map_err(|source| Error::SecretUnread { path: path.clone(), source })
    });
    let secret = secret.transpose()?.map(|bytes| secret_of(&bytes).to_vec());
    let node = to.node.clone().map_or_else(default_node, Ok)?;
    let endpoint = to.endpoints.first().cloned().unwrap_or_default();
    let endpoints = to.endpoints.clone();
    let config = Config { endpoints, secret, role, has_session, ..Config::new(&endpoint, &node) };
    let tls = to.tls_ca.clone().map(|ca| TlsFiles {
        ca,
        client: to.tls_certificate.clone().zip(to.tls_key.clone()),
        server_name: to.tls_name.clone(),
    });
    let client = Client::start(config, tls.as_ref())
        .map_err(|error| Error::SwitchArguments(error.to_string()))?;
    client.connect(to.timeout).map_err(|error| {
        let is_forbidden = is_forbidden(&error);
        let error = failed(to, error);
        if is_forbidden { Error::SwitchAway(format!("{error}; {}", missing(role))) } else { error }
    })?;
    Ok(client)
}

/// The secret in a file's bytes: one end of a line behind it is not of it, as for the switch.
fn secret_of(bytes: &[u8]) -> &[u8] {
    let line = bytes.strip_suffix(b"\r\n").or_else(|| bytes.strip_suffix(b"\n"));
    line.unwrap_or(bytes)
}

/// A node of this process alone: two of one id would end each other's sessions, and in a container
/// the process's number is the same each time, and often the host's name is too.
fn default_node() -> Result<String, Error> {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut random = [0; 4];
    getrandom::fill(&mut random).map_err(|error| Error::System {
        what: "get random bytes",
        source: io::Error::other(error.to_string()),
    })?;
    Ok(node_of(host.trim_end(), std::process::id(), u32::from_le_bytes(random)))
}

/// The host's name, cut where the whole would be too long, and without what is hard to type.
fn node_of(host: &str, pid: u32, random: u32) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
    let rest = format!("{pid}-{random:08x}");
    let most = NODE_LEN_MAX - "abelectl--".len() - rest.len();
    let host: String = host.chars().map(|c| if plain(c) { c } else { '-' }).take(most).collect();
    format!("abelectl-{host}-{rest}")
}

fn is_forbidden(error: &RequestError) -> bool {
    matches!(
        error,
        RequestError::Call(CallError::Over(Over::Refused { code: ErrorCode::Forbidden, .. }))
    )
}

/// What to do about a role that a credential does not have.
fn missing(role: Role) -> String {
    let role = match role {
        Role::Node => "node",
        Role::Observer => "observer",
        Role::Operator => "operator",
    };
    format!(
        "this command asks as {role}: let the switch's [[access]] entry for this node have role = \
         \"{role}\", or be another node that has it, by --node and its secret or certificate"
    )
}

/// The error of a request, with what would mend it.
pub(super) fn failed(to: &Target, error: RequestError) -> Error {
    let endpoints = to.endpoints.join(", ");
    match error {
        RequestError::TimedOut { trouble } => {
            let seconds = to.timeout.as_secs_f64();
            let away = format!("no answer from the switch at {endpoints} in {seconds} s");
            Error::SwitchAway(format!("{away}{}", trouble_text(to, trouble.as_ref())))
        }
        RequestError::Unreached { trouble } => {
            let away = format!("the switch at {endpoints} is not reached");
            Error::SwitchAway(format!("{away}{}", trouble_text(to, Some(&trouble))))
        }
        RequestError::Call(CallError::Over(over)) => lost(over),
        RequestError::Call(error) => Error::SwitchArguments(error.to_string()),
        error @ (RequestError::Refused { .. }
        | RequestError::NotGranted { .. }
        | RequestError::Lost
        | RequestError::Nonsense) => Error::NotWhole(error.to_string()),
    }
}

/// What stands between, with the argument that would mend it.
fn trouble_text(to: &Target, trouble: Option<&Trouble>) -> String {
    let right = match trouble {
        None | Some(Trouble::Unreachable { .. }) => {
            "is bypssd running, and is --endpoints or BYPSS_ENDPOINTS right?"
        }
        Some(Trouble::Silent { .. }) if to.tls_ca.is_none() => {
            "--tls-ca or BYPSS_TLS_CA names the authority"
        }
        Some(Trouble::Tls { fault, .. }) => match fault {
            TlsFault::Issuer | TlsFault::Plain => "--tls-ca or BYPSS_TLS_CA names the authority",
            TlsFault::Name { .. } => "--tls-name names the name in the switch's certificate",
            TlsFault::OwnExpired
            | TlsFault::OwnIssuer
            | TlsFault::OwnMissing
            | TlsFault::Own(_) => "--tls-certificate and --tls-key name this node's",
            TlsFault::Expired | TlsFault::Early | TlsFault::Certificate(_) | TlsFault::Other(_) => {
                ""
            }
        },
        Some(
            Trouble::Silent { .. }
            | Trouble::Broken { .. }
            | Trouble::Closed { .. }
            | Trouble::Stale
            | Trouble::Refused { .. }
            | Trouble::Unanswered
            | Trouble::Nonsense { .. },
        ) => "",
    };
    let told = trouble.map(|trouble| format!(": {trouble}")).unwrap_or_default();
    if right.is_empty() { told } else { format!("{told}; {right}") }
}

/// The end of a client.
pub(super) fn lost(over: Over) -> Error {
    Error::SwitchAway(over.to_string())
}

/// Why a port was not granted, in one word.
pub(super) fn code_text(code: RegisterCode) -> String {
    format!("{code:?}").to_lowercase()
}

/// Why a port is not held any more.
pub(super) fn ended_text(guard: &PortGuard) -> &'static str {
    if guard.is_running_out() {
        return "the switch began anew";
    }
    match guard.ended() {
        None => "no answer from the switch",
        Some(Ended::Lapsed) => "the lease ended without an answer from the switch",
        Some(Ended::Evicted) => {
            "a newer session of this node took its place, or an operator dropped the node"
        }
        Some(Ended::NewEpoch) => "another switch is the master now, and knows nothing of it",
        Some(Ended::Closed) => "the switch has ended the session",
    }
}

/// A token as it is told everywhere: two numbers, of which a later grant of a port has the greater,
/// the epoch first.
pub(super) fn token_text(token: Token) -> String {
    format!("{}:{}", token.epoch.0, sequence_text(token.sequence))
}

/// A sequence as it is on the wire, with its shard in the top 8 bits. A text, since JSON's numbers
/// lose the lowest bits of large ones.
pub(super) fn sequence_text(sequence: Sequence) -> String {
    sequence.to_bits().to_string()
}

/// Prints rows as the arguments say; `head` are the columns and the keys.
pub(super) fn print(
    format: Format,
    head: &[&str],
    rows: Vec<Vec<Value>>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let keys = || head.iter().map(|key| key.trim_start_matches('>').to_owned());
    let object = |row: Vec<Value>| Value::Object(keys().zip(row).collect());
    match format {
        Format::Json => {
            let rows: Vec<Value> = rows.into_iter().map(object).collect();
            writeln!(out, "{}", Value::Array(rows))?;
        }
        Format::Jsonl => {
            for row in rows {
                writeln!(out, "{}", object(row))?;
            }
        }
        Format::Table => {
            let mut table = Table::new(head.iter().map(|name| (*name).to_owned()));
            for row in rows {
                table.row(row.iter().map(text).collect());
            }
            table.print(out, "\n")?;
        }
    }
    out.flush()?;
    Ok(())
}

/// A value for people.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        // Without a letter there the next column would be taken for this one.
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_node_has_its_machine_its_process_and_chance_in_it_and_fits_the_protocol() {
        assert_eq!(node_of("web-1.example", 1, 0xbeef), "abelectl-web-1.example-1-0000beef");
        assert_ne!(default_node().expect("there is chance"), default_node().expect("again"));
        let long = node_of(&"h\u{e4} ".repeat(40), u32::MAX, u32::MAX);
        assert!(long.len() <= NODE_LEN_MAX && long.is_ascii(), "{long}");
        assert!(long.ends_with("-4294967295-ffffffff"), "{long}");
        assert_eq!(node_of("", 7, 1), "abelectl--7-00000001");
    }

    #[test]
    fn one_end_of_a_line_behind_a_secret_is_not_of_it_and_all_else_is() {
        for (end, kept) in
            [("", ""), ("\n", ""), ("\r\n", ""), ("\n\n", "\n"), ("\r", "\r"), (" \n", " ")]
        {
            assert_eq!(secret_of(format!("s{end}").as_bytes()), format!("s{kept}").as_bytes());
        }
    }

    #[test]
    fn a_token_is_two_numbers_of_which_the_later_grant_has_the_greater() {
        let token = Token { epoch: protocol::Epoch(7), sequence: Sequence::new(1, 2) };
        assert_eq!(token_text(token), format!("7:{}", (1_u64 << 56) + 2));
    }
}
