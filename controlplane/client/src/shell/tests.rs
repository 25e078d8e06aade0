//! What the thread wakes for, what it takes in, and what a copy of the process may do.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use base::Duration;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{Releases, Shared, Socket, sleep_until, take_in};
use crate::authority::{Authority, Ended};
use crate::config::Config;
use crate::core::Action;
use crate::error::{CallError, Over};
use crate::event::Grant;
use crate::guard::{Home, PortGuard};
use crate::limits::{CONNECT_MAX, READS_PER_TURN};
use crate::lot::{Lot, PortName};
use crate::tls::{Tls, TlsFiles};
use crate::{clock, link};

const LEN: usize = 10_000;

/// A TLS server that says `LEN` bytes in one record, and the files of its client.
fn talker(listener: TcpListener) -> (thread::JoinHandle<()>, TlsFiles, tempfile::TempDir) {
    let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("it signs");
    let folder = tempfile::tempdir().expect("a folder for the test");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, signed.cert.pem()).expect("the folder is ours");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).expect("it has it");
    let builder = builder.with_no_client_auth();
    let config = builder.with_single_cert(vec![signed.cert.der().clone()], key).expect("they fit");
    let talk = move || {
        let (stream, _address) = listener.accept().expect("a client comes");
        let session = ServerConnection::new(Arc::new(config)).expect("the configuration is right");
        let mut stream = StreamOwned::new(session, stream);
        stream.write_all(&[7; LEN]).expect("it is read");
        stream.flush().expect("it is read");
        // Until the client goes.
        std::io::copy(&mut stream, &mut std::io::sink()).ok();
    };
    (thread::spawn(talk), TlsFiles { ca, ..TlsFiles::default() }, folder)
}

#[test]
fn what_tls_has_deciphered_and_nobody_has_read_is_not_slept_over() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let (server, files, _folder) = talker(listener);
    let shared = Shared::new(Config::new(&address, "n"), Some(&files)).expect("it is right");
    let Some(Action::Connect { conn, endpoint }) = ({
        let mut state = shared.lock();
        state.core.poll(clock::now());
        state.core.next_action()
    }) else {
        panic!("it dials")
    };
    let tls = Tls::load(&files).expect("the files are right");
    let timeout = std::time::Duration::from_nanos(CONNECT_MAX.as_nanos());
    let mut link = link::dial(endpoint, Some(&tls), timeout).expect("it listens");
    let (mut buffer, mut len) = ([0; 100], 0);
    let minute = Duration::from_secs(60);
    while len == 0 {
        link.write(&[]).expect("it is there");
        sleep_until(&shared, &[Socket::of((&conn, &link))], minute);
        len += link.read(&mut buffer).expect("it is there").unwrap_or(0);
    }
    let begun = clock::now();
    while len < LEN {
        for _turn in 0..READS_PER_TURN {
            len += link.read(&mut buffer).expect("it is there").unwrap_or(0);
        }
        if len < LEN {
            assert!(link.has_plain(), "one record holds all of it");
            let ready = sleep_until(&shared, &[Socket::of((&conn, &link))], minute);
            assert_eq!(ready, [conn], "the kernel knows of nothing more");
        }
    }
    assert!(clock::now().saturating_since(begun) < minute, "it did not sleep");
    assert!(!link.has_plain());
    drop(link);
    server.join().expect("no panic");
}

fn guard(shared: &Arc<Shared>, pid: u32, authority: &Authority) -> PortGuard {
    let name = PortName::new(Lot::of_one("a", authority.clone()), 0);
    let grant = Grant { name, token: protocol::Token::default() };
    PortGuard::new(grant, &Home { pid, shared: Arc::downgrade(shared) })
}

#[test]
fn releases_that_do_not_fit_are_counted() {
    let shared = Shared::new(Config::new("127.0.0.1:1", "n"), None).expect("it is right");
    *shared.releases.lock().expect("no panic") = Releases { ports_max: 2, ..Releases::default() };
    let authority = Authority::until(clock::now() + Duration::from_secs(60));
    for _guard in 0..3 {
        drop(guard(&shared, shared.pid, &authority));
    }
    let mut state = shared.lock();
    take_in(&shared, &mut state);
    assert_eq!(state.core.counters().releases_dropped, 1);
    assert_eq!(Releases::default().ports_max, crate::limits::RELEASES_MAX);
    drop(state);
    drop(guard(&shared, shared.pid, &authority));
    assert_eq!(shared.releases.lock().expect("no panic").ports.len(), 1, "there is room again");
}

#[test]
fn guards_of_a_session_that_is_over_take_no_place_of_releases() {
    let shared = Shared::new(Config::new("127.0.0.1:1", "n"), None).expect("it is right");
    let authority = Authority::until(clock::now() + Duration::from_secs(60));
    let old = guard(&shared, shared.pid, &authority);
    authority.end(Ended::NewEpoch);
    drop(old);
    assert!(shared.releases.lock().expect("no panic").ports.is_empty());
}

#[test]
fn a_copy_of_the_process_is_no_owner_and_does_nothing_on_the_sockets_of_the_other() {
    let mut shared = Shared::new(Config::new("127.0.0.1:1", "n"), None).expect("it is right");
    let authority = Authority::until(clock::now() + Duration::from_secs(60));
    assert!(guard(&shared, shared.pid, &authority).is_owner());
    // What it left names who it is to be released by.
    shared.releases.lock().expect("no panic").ports.clear();
    // As it is for a forked child: its number is another than that of who began.
    let parent = std::process::id() + 1;
    Arc::get_mut(&mut shared).expect("the guard is gone").pid = parent;
    let copy = guard(&shared, parent, &authority);
    assert!(!copy.is_owner() && copy.remaining().is_zero());
    drop(copy);
    assert!(shared.releases.lock().expect("no panic").ports.is_empty());
    // Another thread of the parent may have had the lock for ever.
    let locked = shared.lock();
    let copied = CallError::Over(Over::Copied);
    assert_eq!(shared.call(|core, _now| core.ping()).map(|_call| ()), Err(copied.clone()));
    assert_eq!(shared.acquire("a").map(|_call| ()), Err(copied.clone()));
    assert_eq!(shared.tell(|core, now| core.send(&[("a", b"")], now)), Err(copied.clone()));
    assert_eq!(shared.cancel_wait(&["a"]), Err(copied));
    shared.abandon(1);
    assert_eq!(shared.look(|core| core.cached("a")), None);
    drop(locked);
}
