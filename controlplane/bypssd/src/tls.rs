//! TLS 1.3: what the switch shows, and what it asks its clients for.
//!
//! The node's id is in its certificate: the first of the DNS names of the subject, or of URIs of
//! the form `bypss:ID`, for ids that are no DNS names.

use std::fmt;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use webpki::EndEntityCert;

use crate::error::error_text;
use crate::limits::{ID_LEN_MAX, PEM_LEN_MAX};

/// The files of the section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client_ca: Option<PathBuf>,
}

/// What was read from them.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) files: TlsFiles,
    /// The switch's own.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) config: Arc<ServerConfig>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, chain, config: _ } = self;
        f.debug_struct("Tls").field("files", files).field("certificates", &chain.len()).finish()
    }
}

impl Tls {
    /// What clients will say of the switch's certificates at this time of day, if they are over or
    /// have not begun.
    pub(crate) fn wrong_at(&self, now: UnixTime) -> Option<String> {
        let wrong = self.chain.iter().find_map(|certificate| validity(certificate, now))?;
        Some(format!("{}: {wrong}", self.files.certificate.display()))
    }
}

/// Why a certificate is not valid at this time, if it is not.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum; time is judged before all else"
)]
fn validity(certificate: &CertificateDer<'_>, now: UnixTime) -> Option<String> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let usage = webpki::KeyUsage::server_auth();
    // Nobody is believed here, so a certificate whose time is right ends at its issuer.
    let judged = certificate.verify_for_usage(&[], &[], &[], now, usage, None, None);
    match judged.err()? {
        webpki::Error::CertExpired { not_after, .. } => {
            let since = now.as_secs().saturating_sub(not_after.as_secs());
            Some(format!("a certificate in it is over since {}", span(since)))
        }
        webpki::Error::CertNotValidYet { not_before, .. } => {
            let left = not_before.as_secs().saturating_sub(now.as_secs());
            Some(format!("a certificate in it is not valid before {} have passed", span(left)))
        }
        _ => None,
    }
}

fn span(seconds: u64) -> String {
    match seconds {
        0..=7_199 => format!("{seconds} s"),
        7_200..=172_799 => format!("{} hours", seconds / 3_600),
        172_800.. => format!("{} days", seconds / 86_400),
    }
}

/// Which of the files is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Certificate,
    Key,
    ClientCa,
}

/// What is wrong with it.
#[derive(Debug)]
pub(crate) struct TlsError {
    pub(crate) of: Of,
    pub(crate) wrong: String,
    pub(crate) right: &'static str,
}

/// Reads the files and makes of them what a connection needs.
pub(crate) fn load(files: TlsFiles) -> Result<Tls, TlsError> {
    let chain = certificates(&files.certificate).map_err(|error| error.of(Of::Certificate))?;
    let key = key(&files.key).map_err(|error| error.of(Of::Key))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has suites of TLS 1.3");
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let roots = roots(file).map_err(|error| error.of(Of::ClientCa))?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            // Who has none may still know a secret; what the list asks for decides.
            let verifier = verifier.allow_unauthenticated().build().map_err(|error| {
                let right = "name certificates of authorities";
                Fault { wrong: error.to_string(), right }.of(Of::ClientCa)
            })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder.with_single_cert(chain.clone(), key).map_err(|error| {
        let right = "name the key of the first certificate in certificate_file";
        let wrong = if matches!(error, rustls::Error::InconsistentKeys(_)) {
            let (key, certificate) = (files.key.display(), files.certificate.display());
            format!("{key} is not the key of {certificate}")
        } else {
            error.to_string()
        };
        Fault { wrong, right }.of(Of::Key)
    })?;
    Ok(Tls { files, chain, config: Arc::new(config) })
}

struct Fault {
    wrong: String,
    right: &'static str,
}

impl Fault {
    fn of(self, of: Of) -> TlsError {
        let Self { wrong, right } = self;
        TlsError { of, wrong, right }
    }
}

const PEM: &str = "use a file in PEM form, which begins with -----BEGIN";

fn read(file: &Path) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(PEM_LEN_MAX).read_to_end(&mut bytes));
    let fault = |error| Fault {
        wrong: format!("{}: {}", file.display(), error_text(&error)),
        right: "name a file that bypssd may read",
    };
    read.map(|_len| bytes).map_err(fault)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let bytes = read(file)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let wrong = match chain {
        Ok(chain) if !chain.is_empty() => return Ok(chain),
        Ok(_empty) => format!("{}: there is no certificate in it", file.display()),
        Err(error) => format!("{}: {error}", file.display()),
    };
    Err(Fault { wrong, right: PEM })
}

fn key(file: &Path) -> Result<PrivateKeyDer<'static>, Fault> {
    let bytes = read(file)?;
    // A group of its own that may read keys is usual.
    let mode = fs::metadata(file).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o007 != 0 {
        let wrong = format!("{}: everybody may read or write it", file.display());
        let right = "let only bypssd's user or a group of it: `chmod o= FILE`";
        return Err(Fault { wrong, right });
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        let is_empty = matches!(error, rustls::pki_types::pem::Error::NoItemsFound);
        let wrong =
            if is_empty { "there is no private key in it".to_owned() } else { error.to_string() };
        Fault { wrong: format!("{}: {wrong}", file.display()), right: PEM }
    })
}

fn roots(file: &Path) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| Fault {
            wrong: format!("{}: {error}", file.display()),
            right: "name certificates of authorities",
        })?;
    }
    Ok(roots)
}

/// The node that a verified certificate is for.
pub(crate) fn node_of(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let uris = certificate.valid_uri_names().filter_map(|uri| uri.strip_prefix("bypss:"));
    let names = certificate.valid_dns_names().filter(|name| !name.starts_with("*."));
    let node = uris.chain(names).next()?;
    (1..=ID_LEN_MAX).contains(&node.len()).then(|| node.to_owned())
}
