//! `[[listener]]` and `[tls]`: where the switch listens, and what it proves and asks for there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use protocol::limits::ADDRESS_LEN_MAX;
use rustls::pki_types::{ServerName, UnixTime};
use settings::{At, Ledger, Section};

use crate::limits::{LISTENERS_MAX, TCP_PORT};
use crate::tls::{self, Tls, TlsFiles};

/// An address that the switch listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    pub(crate) is_tls: bool,
}

impl Listener {
    /// Whether only this machine reaches it.
    pub(crate) fn is_local(&self) -> bool {
        self.address.ip().to_canonical().is_loopback()
    }

    /// Whether it leaves no room for a listener on `other`.
    pub(crate) fn overlaps(&self, other: SocketAddr) -> bool {
        let (own, ip) = (self.address.ip(), other.ip());
        let is_any = |ip: IpAddr| ip.is_unspecified();
        let shares = own == ip || own.is_ipv4() == ip.is_ipv4() && (is_any(own) || is_any(ip));
        shares && self.address.port() == other.port() && other.port() != 0
    }

    /// Whether this machine's own connections may come in by it.
    pub(crate) fn takes_loopback(&self) -> bool {
        self.is_local() || self.address.ip().is_unspecified()
    }
}

/// `[tls]`, if the file has it. `Some(None)` is a file without.
#[expect(clippy::option_option, reason = "outside: noted why not; inside: no section")]
pub(crate) fn tls(
    root: Section<'_>,
    folder: &Path,
    now: Option<UnixTime>,
    ledger: &mut Ledger<'_>,
) -> Option<Option<Tls>> {
    const KEY: &str = "tls";
    if root.find(KEY, ledger).is_none() {
        return Some(None);
    }
    let section = root.table(KEY, KEY, ledger);
    let certificate = needed(section, "certificate_file", folder, ledger);
    let key = needed(section, "key_file", folder, ledger);
    let client_ca = section.path_of("client_ca_file", folder, ledger);
    let (certificate, key) = (certificate?, key?);
    let files = TlsFiles {
        certificate: certificate.value,
        key: key.value,
        client_ca: client_ca.as_ref().map(|at| at.value.clone()),
    };
    match tls::load(files) {
        Ok(tls) => {
            if let Some(wrong) = now.and_then(|now| tls.wrong_at(now)) {
                let right = "renew it, or set this machine's clock";
                ledger.refuse(certificate.place, &section.path("certificate_file"), wrong, right);
            }
            Some(Some(tls))
        }
        Err(error) => {
            let (name, place) = match error.of {
                tls::Of::Certificate => ("certificate_file", certificate.place),
                tls::Of::Key => ("key_file", key.place),
                tls::Of::ClientCa => {
                    ("client_ca_file", client_ca.map_or(section.place, |at| at.place))
                }
            };
            ledger.refuse(place, &section.path(name), error.wrong, error.right);
            None
        }
    }
}

fn needed(
    section: Section<'_>,
    key: &str,
    folder: &Path,
    ledger: &mut Ledger<'_>,
) -> Option<At<PathBuf>> {
    if section.find(key, ledger).is_none() {
        let right = "name a file in PEM form, or remove the section";
        ledger.refuse(section.place, &section.path(key), "is missing", right);
        return None;
    }
    section.path_of(key, folder, ledger)
}

/// Every `[[listener]]`; without one, the port of this machine.
pub(crate) fn listeners(
    root: Section<'_>,
    has_tls: bool,
    ledger: &mut Ledger<'_>,
) -> Option<Vec<At<Listener>>> {
    const KEY: &str = "listener";
    let found_before = ledger.found.len();
    let sections = root.tables(KEY, KEY, ledger);
    if sections.is_empty() && ledger.found.len() == found_before {
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), TCP_PORT);
        return Some(vec![At { value: Listener { address, is_tls: has_tls }, place: root.place }]);
    }
    let mut listeners: Vec<At<Listener>> = Vec::new();
    for section in sections {
        let Some(listener) = one(section, has_tls, ledger) else { continue };
        let address = listener.value.address;
        let is_same = |other: &At<Listener>| other.value.address == address;
        if address.port() != 0 && listeners.iter().any(is_same) {
            let wrong = format!("{address} is listened on already");
            ledger.refuse(listener.place, "listener.address", wrong, "use another address or port");
        }
        listeners.push(listener);
    }
    if let Some(listener) = listeners.get(LISTENERS_MAX) {
        let wrong = format!("more than {LISTENERS_MAX} listeners");
        ledger.refuse(listener.place, KEY, wrong, "listen on 0.0.0.0 or [::] instead");
    }
    (ledger.found.len() == found_before).then_some(listeners)
}

fn one(section: Section<'_>, has_tls: bool, ledger: &mut Ledger<'_>) -> Option<At<Listener>> {
    let address = address(section, "address", TCP_PORT, ledger);
    let is_tls = section.flag("tls", has_tls, ledger);
    if is_tls == Some(true) && !has_tls {
        let place = section.find("tls", ledger).map_or(section.place, |at| at.place);
        let right = "add the section [tls], or remove this";
        ledger.refuse(place, &section.path("tls"), "there is no certificate for it", right);
        return None;
    }
    let Some(At { value: address, place }) = address? else {
        let right = "write such as address = \"127.0.0.1:7400\"";
        ledger.refuse(section.place, &section.path("address"), "is missing", right);
        return None;
    };
    Some(At { value: Listener { address, is_tls: is_tls? }, place })
}

/// An address with a port or without; `Some(None)` where there is none.
#[expect(clippy::option_option, reason = "outside: noted why not; inside: no such key")]
pub(crate) fn address(
    section: Section<'_>,
    key: &str,
    port: u16,
    ledger: &mut Ledger<'_>,
) -> Option<Option<At<SocketAddr>>> {
    if section.find(key, ledger).is_none() {
        return Some(None);
    }
    let At { value: text, place } = section.text(key, ledger)?;
    let with_port = text.parse::<SocketAddr>().ok();
    let without = || text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port));
    if let Some(value) = with_port.or_else(without) {
        return Some(Some(At { value, place }));
    }
    let wrong = format!("\"{text}\" is no address");
    let right = format!(
        "use an IP address with a port or without ({port}): \"192.0.2.7\", \"[2001:db8::7]:{port}\""
    );
    ledger.refuse(place, &section.path(key), wrong, right);
    None
}

/// Where a switch may be that clients are sent to: a name or an IP address, with a port. `Some(None)`
/// where there is none.
#[expect(clippy::option_option, reason = "outside: noted why not; inside: no such key")]
pub(crate) fn endpoint(
    section: Section<'_>,
    key: &str,
    ledger: &mut Ledger<'_>,
) -> Option<Option<String>> {
    if section.find(key, ledger).is_none() {
        return Some(None);
    }
    let At { value: text, place } = section.text(key, ledger)?;
    if is_endpoint(text) {
        return Some(Some(text.to_owned()));
    }
    let wrong = format!("\"{text}\" is nowhere that clients could go");
    let right = format!(
        "use a name or an IP address, with its port: \"sw-2.example:{TCP_PORT}\", \"[2001:db8::7]:{TCP_PORT}\""
    );
    ledger.refuse(place, &section.path(key), wrong, right);
    None
}

fn is_endpoint(text: &str) -> bool {
    let Some((host, tcp_port)) = text.rsplit_once(':') else {
        return false;
    };
    let is_port = tcp_port.parse::<u16>().is_ok_and(|tcp_port| tcp_port != 0);
    let is_host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|v6| v6.parse::<Ipv6Addr>().is_ok()),
        None => ServerName::try_from(host).is_ok() && host.parse::<Ipv6Addr>().is_err(),
    };
    let is_sent_anywhere = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
    text.len() <= ADDRESS_LEN_MAX && is_port && is_host && !is_sent_anywhere
}
