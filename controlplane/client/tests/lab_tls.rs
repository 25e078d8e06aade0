//! TLS 1.3 to a real switch: who is believed, and what is told where nobody is.

#[path = "shared/switch.rs"]
mod switch;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use client::blocking::Client;
use client::{CallError, Config, Event, Holder, Over, Registered, RequestError};
use client::{TlsFault, TlsFiles, Trouble};
use protocol::{ErrorCode, RegisterFlags};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use switch::{LONG, Switch};
use tempfile::TempDir;

/// Long enough for some attempts, and far shorter than `LONG`.
const SHORT: Duration = Duration::from_millis(1_500);

/// An authority, and the folder with what it has signed.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no name is wrong");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("there are random numbers");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("it signs");
        let folder = tempfile::tempdir().expect("a folder for the test");
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("the folder is ours");
        Self { issuer, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate for names and its key, in files; it is over, or runs for a while.
    fn sign(&self, names: &[&str], is_over: bool) -> (PathBuf, PathBuf) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let kind = if is_over { "over" } else { "valid" };
        let files =
            ["pem", "key"].map(|end| self.file(&format!("{}.{kind}.{end}", names.join("-"))));
        let mut params = CertificateParams::new(names).expect("they are names");
        if is_over {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().expect("there are random numbers");
        let certificate = params.signed_by(&key, &self.issuer).expect("it signs");
        std::fs::write(&files[0], certificate.pem()).expect("the folder is ours");
        std::fs::write(&files[1], key.serialize_pem()).expect("the folder is ours");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&files[1], mode).expect("the file is ours");
        let [certificate, key] = files;
        (certificate, key)
    }

    /// A switch that shows a certificate for these names, and believes this authority's nodes.
    fn switch(&self, names: &[&str], is_over: bool) -> Option<Switch> {
        let (certificate, key) = self.sign(names, is_over);
        let text = format!(
            "[[listener]]\naddress = \"127.0.0.1:0\"\n[ports]\nplanned = 65536\n\
             [lease]\nlease_ms = 3000\ngrace = \"none\"\n[tls]\ncertificate_file = {certificate:?}\n\
             key_file = {key:?}\nclient_ca_file = \"ca.pem\"\n\
             [[access]]\nnode = \"*\"\nproof = \"certificate\"\n"
        );
        Switch::run(self.folder.path(), &text)
    }

    fn files(&self, node: &str) -> TlsFiles {
        let client = Some(self.sign(&[node], false));
        TlsFiles { ca: self.file("ca.pem"), client, server_name: None }
    }
}

fn start(switch: &Switch, node: &str, files: Option<&TlsFiles>) -> Client {
    Client::start(Config::new(&switch.address, node), files).expect("the files are right")
}

/// What is wrong with TLS, which is told long before the time is over: no attempt mends it.
fn fault(switch: &Switch, files: &TlsFiles) -> TlsFault {
    let begun = Instant::now();
    let connected = start(switch, "n", Some(files)).connect(LONG);
    assert!(begun.elapsed() < SHORT, "{:?}", begun.elapsed());
    let Err(RequestError::Unreached { trouble: Trouble::Tls { endpoint, fault } }) = connected
    else {
        panic!("{connected:?}")
    };
    assert_eq!(endpoint, switch.address);
    fault
}

#[test]
fn a_node_with_its_certificate_holds_ports_and_gets_long_answers_and_messages() {
    let authority = Authority::new();
    let Some(switch) = authority.switch(&["127.0.0.1"], false) else { return };
    let one = start(&switch, "one", Some(&authority.files("one")));
    let two = start(&switch, "two", Some(&authority.files("two")));
    let names: Vec<String> = (0..20_000).map(|port| format!("port of many {port:06}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let ports = one.register(&names, RegisterFlags::default(), LONG).expect("it answers");
    assert!(
        ports.iter().all(|port| matches!(port, Registered::Granted(guard) if guard.is_owner()))
    );
    let holders = two.query(&names, LONG).expect("it answers");
    let is_one = |holder: &Holder| matches!(holder, Holder::Owner(owner) if &*owner.node == "one");
    assert!(holders.len() == names.len() && holders.iter().all(is_one));
    let blob = vec![7; 100_000];
    let sent = two.send_many(&names[..20], &blob, LONG).expect("it answers");
    assert_eq!(sent.delivered, 20);
    let mut left = 20;
    while left > 0 {
        let event = one.recv(LONG).expect("it is open").expect("messages come");
        if let Event::Message { blob: got, .. } = event {
            assert_eq!(got, blob);
            left -= 1;
        }
    }
    one.close();
    let next = two.acquire(names[0], LONG).expect("it is free");
    assert!(next.is_owner());
}

#[test]
fn a_switch_of_another_authority_or_name_or_time_is_not_believed_and_it_is_said_why() {
    let (authority, other) = (Authority::new(), Authority::new());
    let Some(switch) = authority.switch(&["127.0.0.1"], false) else { return };
    let files = TlsFiles { ca: other.file("ca.pem"), ..authority.files("n") };
    assert_eq!(fault(&switch, &files), TlsFault::Issuer);

    let files = TlsFiles { server_name: Some("b.example".to_owned()), ..authority.files("n") };
    let TlsFault::Name { name, others } = fault(&switch, &files) else { panic!("a wrong name") };
    assert!(name == "b.example" && others.contains("127.0.0.1"), "{name}, {others}");

    let old = authority.switch(&["127.0.0.1"], true).expect("it was there before");
    assert_eq!(fault(&old, &authority.files("n")), TlsFault::Expired);
}

#[test]
fn a_node_whose_certificate_is_over_or_of_another_authority_is_told_so() {
    let (authority, other) = (Authority::new(), Authority::new());
    let Some(switch) = authority.switch(&["127.0.0.1"], false) else { return };
    let own = |client| TlsFiles { client: Some(client), ..authority.files("n") };
    assert_eq!(fault(&switch, &own(authority.sign(&["n"], true))), TlsFault::OwnExpired);
    assert_eq!(fault(&switch, &own(other.sign(&["n"], false))), TlsFault::OwnIssuer);
}

#[test]
fn a_certificate_is_for_the_node_that_it_names_and_for_no_other() {
    let authority = Authority::new();
    let Some(switch) = authority.switch(&["127.0.0.1"], false) else { return };
    let none = TlsFiles { client: None, ..authority.files("n") };
    for files in [authority.files("somebody"), none] {
        let error = start(&switch, "n", Some(&files)).connect(LONG).expect_err("it is not n");
        let over = RequestError::Call(CallError::Over(Over::Refused {
            code: ErrorCode::Unauthenticated,
            message: "nobody of this id and this credential may come in".to_owned(),
        }));
        assert_eq!(error, over);
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}

#[test]
fn tls_on_one_side_only_is_told_with_what_to_do() {
    let authority = Authority::new();
    let Some(switch) = authority.switch(&["127.0.0.1"], false) else { return };
    // Silence may be that of a switch which is held up, so this one takes its time.
    let silent = start(&switch, "n", None).connect(SHORT);
    let Err(RequestError::TimedOut { trouble: Some(told) }) = silent else { panic!("{silent:?}") };
    assert_eq!(told, Trouble::Silent { endpoint: switch.address.clone() });
    assert!(told.to_string().contains("TLS"), "{told}");
    let plain = Switch::dev().expect("it was there before");
    assert_eq!(fault(&plain, &authority.files("n")), TlsFault::Plain);
}

#[test]
fn files_that_are_not_what_they_should_be_are_named() {
    let authority = Authority::new();
    let files = authority.files("n");
    let refused = |files: TlsFiles| {
        let error = Client::start(Config::new("127.0.0.1:1", "n"), Some(&files));
        error.expect_err("a wrong file").to_string()
    };
    let missing = Path::new("/no/such.pem").to_owned();
    let text = refused(TlsFiles { ca: missing, ..files.clone() });
    assert!(text.contains("/no/such.pem") && text.contains("name a file"), "{text}");
    let (certificate, key) = files.client.clone().expect("it has them");
    let text = refused(TlsFiles { ca: key.clone(), ..files.clone() });
    assert!(text.contains("no certificate") && text.contains("PEM"), "{text}");
    let text = refused(TlsFiles { client: Some((key, certificate)), ..files });
    assert!(text.contains(".key"), "{text}");
}
