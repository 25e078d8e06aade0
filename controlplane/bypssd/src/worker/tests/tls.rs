//! The same through TLS.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::thread;
use std::time::Duration as StdDuration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::served::{ALLOWED, alone, frame};
use crate::tls::{TlsFiles, load};

/// An authority and what it has signed.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self { issuer: CertifiedIssuer::self_signed(params, key).unwrap() }
    }

    /// A certificate with these names, and its key.
    fn sign(&self, names: Vec<SanType>) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = names;
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        roots
    }
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn server(authority: &Authority, folder: &std::path::Path) -> Arc<rustls::ServerConfig> {
    let (certificate, key) = authority.sign(vec![dns("localhost")]);
    let files = TlsFiles {
        certificate: folder.join("cert.pem"),
        key: folder.join("key.pem"),
        client_ca: Some(folder.join("ca.pem")),
    };
    std::fs::write(&files.certificate, certificate.pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(folder.join("ca.pem"), authority.issuer.pem()).unwrap();
    load(files).unwrap_or_else(|error| panic!("{error:?}")).config
}

type Client = StreamOwned<ClientConnection, TcpStream>;

fn client(
    address: std::net::SocketAddr,
    roots: RootCertStore,
    own: Option<(CertificateDer<'static>, KeyPair)>,
) -> Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
            builder.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(StdDuration::from_secs(20))).unwrap();
    StreamOwned::new(session, stream)
}

fn greeted(client: &mut Client, wanted: &[u8]) {
    let mut greeting = vec![0; wanted.len()];
    client.read_exact(&mut greeting).unwrap();
    assert_eq!(greeting, wanted);
}

#[test]
fn frames_come_back_through_tls_and_a_certificate_names_its_node() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let served = alone(ALLOWED, Some(server(&authority, folder.path())));
    let mut nobody = client(served.address, authority.roots(), None);
    greeted(&mut nobody, b"hello");
    let frames = [frame(0, 12), frame(0, 40_000), frame(0, 700_000)].concat();
    nobody.write_all(&frames).unwrap();
    let mut back = vec![0; frames.len()];
    nobody.read_exact(&mut back).unwrap();
    assert!(back == frames);

    let uri = SanType::URI("bypss:Web 7".replace(' ', "_").as_str().try_into().unwrap());
    for (names, node) in [
        (vec![dns("web-7.example")], "web-7.example"),
        (vec![dns("*.example"), dns("b.example")], "b.example"),
        (vec![dns("a.example"), uri], "Web_7"),
    ] {
        let (certificate, key) = authority.sign(names);
        let own = Some((certificate.der().clone(), key));
        let mut named = client(served.address, authority.roots(), own);
        greeted(&mut named, node.as_bytes());
        let last = frame(1, 30);
        named.write_all(&last).unwrap();
        let mut all = Vec::new();
        named.read_to_end(&mut all).unwrap();
        assert_eq!(all, last, "and a proper end of TLS behind it");
    }
    served.end();
}

#[test]
fn a_stranger_s_certificate_garbage_and_silence_end_at_the_handshake() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let served = alone(ALLOWED, Some(server(&authority, folder.path())));
    let (certificate, key) = Authority::new().sign(vec![dns("web-1")]);
    let own = Some((certificate.der().clone(), key));
    let mut stranger = client(served.address, authority.roots(), own);
    let error = stranger.read(&mut [0; 8]).unwrap_err().to_string();
    assert!(error.contains("alert"), "the reason is told: {error}");
    let mut garbage = TcpStream::connect(served.address).unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    garbage.set_read_timeout(Some(StdDuration::from_secs(5))).unwrap();
    let mut told = Vec::new();
    garbage.read_to_end(&mut told).ok();
    assert!(told.len() < 64);
    served.until("both have failed", |counters| counters.tls_failed == 2);
    let _silent = TcpStream::connect(served.address).unwrap();
    served.until("it is late", |counters| counters.handshakes_late == 1);
    assert_eq!(served.end().closed, 3);
}

#[test]
fn a_slow_reader_through_tls_is_not_read_and_gets_everything_later() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let served = alone(ALLOWED, Some(server(&authority, folder.path())));
    let mut slow = client(served.address, authority.roots(), None);
    greeted(&mut slow, b"hello");
    let request = frame(2, 8_192);
    for _ in 0..6 {
        slow.write_all(&request).unwrap();
    }
    served.until("it is not read", |counters| counters.blocked > 0);
    thread::sleep(StdDuration::from_millis(50));
    let mut back = vec![0; request.len()];
    for _ in 0..6_000 {
        slow.read_exact(&mut back).unwrap();
        assert!(back == request);
    }
    served.end();
}
