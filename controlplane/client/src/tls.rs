//! TLS 1.3 towards the switch: whom it is believed to be, and who asks.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::limits::PEM_LEN_MAX;

/// The files of TLS.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// The authority that has signed the switch's certificate.
    pub ca: PathBuf,
    /// This node's certificate and key, where the switch asks for one.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The name in the switch's certificate, if it is not the endpoint's host.
    pub server_name: Option<String>,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: {source}; name a file that this process may read", path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{}: {wrong}; use a file in PEM form, which begins with -----BEGIN", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        wrong: String,
    },
    /// They do not belong together.
    #[error(
        "{} is not the key of {}; name the key of the first certificate in that file",
        key.display(),
        certificate.display()
    )]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's.
        key: PathBuf,
    },
    /// The certificate, the key, or what they are for, is of no use.
    #[error("the certificate cannot be used: {0}")]
    Certificate(rustls::Error),
    /// Not a name that a certificate could be for.
    #[error("{0:?} is no name that a certificate is for; name the switch's with a server name")]
    ServerName(String),
}

/// What a connection needs.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    server_name: Option<String>,
}

impl Tls {
    /// Reads the files.
    pub(crate) fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let TlsFiles { ca, client, server_name } = files;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(ca)? {
            roots.add(certificate).map_err(TlsError::Certificate)?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(TlsError::Certificate)?
            .with_root_certificates(roots);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
                .map_err(|error| {
                    if matches!(error, rustls::Error::InconsistentKeys(_)) {
                        TlsError::Pair { certificate: certificate.clone(), key: key.clone() }
                    } else {
                        TlsError::Certificate(error)
                    }
                })?,
        };
        let tls = Self { config: Arc::new(config), server_name: server_name.clone() };
        if let Some(name) = server_name {
            tls.begin(name)?;
        }
        Ok(tls)
    }

    /// A connection to an endpoint.
    pub(crate) fn begin(&self, endpoint: &str) -> Result<ClientConnection, TlsError> {
        let host = endpoint.rsplit_once(':').map_or(endpoint, |(host, _tcp_port)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = self.server_name.as_deref().unwrap_or(host).to_owned();
        let server = ServerName::try_from(name.clone());
        let server = server.map_err(|_error| TlsError::ServerName(name))?;
        ClientConnection::new(Arc::clone(&self.config), server).map_err(TlsError::Certificate)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(PEM_LEN_MAX).read_to_end(&mut bytes));
    read.map_err(|source| TlsError::Unread { path: path.to_owned(), source })?;
    Ok(bytes)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let wrong = match chain {
        Ok(chain) if !chain.is_empty() => return Ok(chain),
        Ok(_empty) => "there is no certificate in it".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(TlsError::Content { path: path.to_owned(), wrong })
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = read(path)?;
    let content = |error: rustls::pki_types::pem::Error| TlsError::Content {
        path: path.to_owned(),
        wrong: error.to_string(),
    };
    PrivateKeyDer::from_pem_slice(&bytes).map_err(content)
}
