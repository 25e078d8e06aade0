//! From the arguments to a client, and from its errors to what an operator can do.

use std::fs;
use std::io::Write;

use client::blocking::Client;
use client::{CallError, Config, Over, RequestError, TlsFault, TlsFiles, Trouble};
use protocol::Role;
use serde_json::Value;

use super::args::{Format, Target};
use crate::error::Error;
use crate::table::Table;

/// A client that has reached the switch.
pub(super) fn connect(to: &Target, role: Role) -> Result<Client, Error> {
    let secret = to.secret_file.as_ref().map(|path| {
        let bytes = fs::read(path);
        bytes.map_err(|source| Error::SecretUnread { path: path.clone(), source })
    });
    let secret = secret.transpose()?.map(|bytes| bytes.trim_ascii_end().to_vec());
    let node = to.node.clone().unwrap_or_else(|| format!("abelectl-{}", std::process::id()));
    let endpoint = to.endpoints.first().cloned().unwrap_or_default();
    let config =
        Config { endpoints: to.endpoints.clone(), secret, role, ..Config::new(&endpoint, &node) };
    let tls = to.tls_ca.clone().map(|ca| TlsFiles {
        ca,
        client: to.tls_certificate.clone().zip(to.tls_key.clone()),
        server_name: to.tls_name.clone(),
    });
    let client = Client::start(config, tls.as_ref())
        .map_err(|error| Error::SwitchArguments(error.to_string()))?;
    client.connect(to.timeout).map_err(|error| failed(to, error))?;
    Ok(client)
}

/// The error of a request, with what would mend it.
pub(super) fn failed(to: &Target, error: RequestError) -> Error {
    let endpoints = to.endpoints.join(", ");
    match error {
        RequestError::TimedOut { trouble } => {
            let seconds = to.timeout.as_secs_f64();
            let away = format!("no answer from the switch at {endpoints} in {seconds} s");
            Error::SwitchAway(format!("{away}{}", trouble_text(trouble.as_ref())))
        }
        RequestError::Unreached { trouble } => {
            let away = format!("the switch at {endpoints} is not reached");
            Error::SwitchAway(format!("{away}{}", trouble_text(Some(&trouble))))
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
fn trouble_text(trouble: Option<&Trouble>) -> String {
    let right = match trouble {
        None | Some(Trouble::Unreachable { .. }) => {
            "is bypssd running, and is --endpoints or BYPSS_ENDPOINTS right?"
        }
        Some(Trouble::Silent { .. }) => "--tls-ca or BYPSS_TLS_CA names the authority",
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
            Trouble::Broken { .. }
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
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
