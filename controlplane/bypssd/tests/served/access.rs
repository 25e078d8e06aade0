//! Who comes in: secrets, certificates, and lists that change.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::sync::Arc;

use nix::sys::signal::Signal;
use protocol::{ErrorCode, Role};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::client::{Client, hello};
use crate::daemon::{Daemon, FREE, NO_GRACE, PATIENCE, folder};

const SECRET: &[u8] = b"correct horse battery staple";

fn secret(path: &std::path::Path, name: &str, bytes: &[u8]) {
    let file = path.join(name);
    std::fs::write(&file, bytes).expect("the folder is ours");
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&file, mode).expect("the file is ours");
}

fn entry(node: &str, role: &str) -> String {
    format!(
        "[[access]]\nnode = \"{node}\"\nproof = \"secret\"\nsecret_file = \"s\"\nrole = \"{role}\"\n"
    )
}

#[test]
fn a_secret_lets_in_its_nodes_and_nobody_else() {
    let folder = folder();
    secret(folder.path(), "s", SECRET);
    let text = format!("{}register = [\"web:\"]\n{FREE}{NO_GRACE}", entry("web-*", "node"));
    let daemon = Daemon::start(folder, &text, Stdio::piped());
    let attempt = |hello, secret| Client::connect(daemon.address).unwrap().hello(hello, secret);
    assert!(attempt(hello("web-1"), Some(SECRET)).is_ok());
    for (what, hello, secret) in [
        ("another secret", hello("web-1"), Some(&b"correct horse battery stapl"[..])),
        ("no secret", hello("web-1"), None),
        ("somebody else's id", hello("db-1"), Some(SECRET)),
    ] {
        let told = attempt(hello, secret).unwrap_err();
        assert_eq!((told.code, told.closes), (ErrorCode::Unauthenticated, true), "{what}");
    }
    let operator = protocol::Hello { role: Role::Operator, ..hello("web-1") };
    assert_eq!(attempt(operator, Some(SECRET)).unwrap_err().code, ErrorCode::Forbidden);
    // A proof is for one connection: its nonce is another at the next.
    let mut first = Client::connect(daemon.address).unwrap();
    let mut second = Client::connect(daemon.address).unwrap();
    second.nonce = first.nonce;
    assert!(first.hello(hello("web-2"), Some(SECRET)).is_ok());
    let told = second.hello(hello("web-2"), Some(SECRET)).unwrap_err();
    assert_eq!(told.code, ErrorCode::Unauthenticated);
    first.wait_msg();
    let registered = first.register(&["db:1", "web:1"]).unwrap();
    assert_eq!((registered.granted, registered.failures.len()), (1, 1));
}

#[test]
fn a_list_that_is_read_again_is_for_all_and_a_wrong_one_for_nobody() {
    let folder = folder();
    secret(folder.path(), "s", SECRET);
    let text = |nodes: &[&str]| {
        let entries: Vec<_> = nodes.iter().map(|node| entry(node, "node")).collect();
        format!("{}{FREE}{NO_GRACE}", entries.concat())
    };
    let daemon = Daemon::start(folder, &text(&["a", "b"]), Stdio::piped());
    let enter = |node: &'static str| {
        let mut client = Client::connect(daemon.address).unwrap();
        client.hello(hello(node), Some(SECRET)).map(|_lease| client)
    };
    let (mut a, mut b) = (enter("a").unwrap(), enter("b").unwrap());
    std::fs::write(daemon.file(), "[[access]]\nnode = 5\n").unwrap();
    daemon.signal(Signal::SIGHUP);
    std::thread::sleep(std::time::Duration::from_millis(300));
    a.ping();
    b.ping();
    std::fs::write(daemon.file(), text(&["b", "c"]) + "[log]\nformat = \"json\"\n").unwrap();
    daemon.signal(Signal::SIGHUP);
    assert_eq!(a.refusal().code, ErrorCode::Unauthenticated, "its entry is gone");
    b.ping();
    assert_eq!(enter("a").err().map(|told| told.code), Some(ErrorCode::Unauthenticated));
    enter("c").unwrap().ping();
    let (status, _, told) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    assert!(told.contains("access.node") && told.contains("nothing has changed"), "{told}");
    let json = "\"message\":\"the configuration was read again\"";
    assert!(told.contains(json), "it is told as the new file has it: {told}");
}

/// A certificate for one name, in files, with who signed it.
fn signed(issuer: &CertifiedIssuer<'_, KeyPair>, name: &str) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().expect("there are random numbers");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("it is a name");
    (params.signed_by(&key, issuer).expect("it signs"), key)
}

#[test]
fn a_certificate_lets_in_the_node_that_it_names_and_no_other() {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let (own, own_key) = signed(&issuer, "localhost");
    let folder = folder();
    for (name, text) in
        [("cert.pem", own.pem()), ("key.pem", own_key.serialize_pem()), ("ca.pem", issuer.pem())]
    {
        secret(folder.path(), name, text.as_bytes());
    }
    let text = format!(
        "[tls]\ncertificate_file = \"cert.pem\"\nkey_file = \"key.pem\"\nclient_ca_file = \"ca.pem\"\n\
         [[access]]\nnode = \"*\"\nproof = \"certificate\"\n{FREE}{NO_GRACE}"
    );
    let daemon = Daemon::start(folder, &text, Stdio::piped());
    let enter = |node: &str, name: Option<&str>| {
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = match name {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let (certificate, key) = signed(&issuer, name);
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
                builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
            }
        };
        let name = ServerName::try_from("localhost").unwrap();
        let session = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = TcpStream::connect(daemon.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Client::over(StreamOwned::new(session, stream)).unwrap();
        client.hello(hello(node), None).map(|_lease| client)
    };
    let mut web = enter("web-1", Some("web-1")).unwrap();
    web.wait_msg();
    assert_eq!(web.register(&["port"]).unwrap().granted, 1);
    assert_eq!(web.holder("port"), "web-1");
    for (node, name) in [("web-2", Some("web-1")), ("web-1", None)] {
        let told = enter(node, name).err().expect("it is not that node");
        assert_eq!(told.code, ErrorCode::Unauthenticated, "{node} {name:?}");
    }
}
