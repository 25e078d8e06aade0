//! The program nginx with the documents of the tests, on a loopback address, while it is held.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, UNIX_EPOCH};
use std::{env, thread};

use gateway::Document;

use crate::bed::MODIFIED;

const PATIENCE: Duration = Duration::from_secs(20);

/// A running nginx.
#[derive(Debug)]
pub(crate) struct Nginx {
    child: Child,
    address: SocketAddr,
    documents: Vec<(String, usize)>,
    version: String,
    _folder: tempfile::TempDir,
}

fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join("nginx")).find(|file| file.is_file())
}

impl Nginx {
    /// Starts it; `None` if the machine has none.
    pub(crate) fn start(documents: &[Document]) -> Option<Self> {
        let program = program()?;
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("www");
        for Document { path, body, .. } in documents {
            let file = root.join(&path[1..]);
            fs::create_dir_all(file.parent().expect("it is below the root")).expect("a folder");
            fs::write(&file, body).expect("a file");
            let at = UNIX_EPOCH + Duration::from_secs(MODIFIED);
            let opened = File::options().write(true).open(&file);
            opened.and_then(|file| file.set_modified(at)).expect("a file with a date");
        }
        // A port that is free now; nobody else on this machine is likely to take it in between.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        drop(listener);
        let place = folder.path().display();
        let configuration = format!(
            "daemon off;\nmaster_process off;\npid {place}/pid;\nerror_log stderr crit;\n\
             events {{ worker_connections 64; }}\n\
             http {{\naccess_log off;\nserver_tokens off;\nclient_max_body_size 1m;\n\
             client_body_temp_path {place}/body;\nproxy_temp_path {place}/proxy;\n\
             fastcgi_temp_path {place}/fastcgi;\nuwsgi_temp_path {place}/uwsgi;\n\
             scgi_temp_path {place}/scgi;\nlarge_client_header_buffers 4 8k;\n\
             default_type text/plain;\ntypes {{ text/html html; }}\n\
             server {{ listen {address};\nserver_name a;\nroot {place}/www;\n\
             absolute_redirect off; }}\n}}\n"
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, configuration).expect("a file");
        let told = Command::new(&program).arg("-v").output().expect("nginx tells its version");
        let told = String::from_utf8_lossy(&told.stderr).into_owned();
        let version = told.trim().rsplit('/').next().unwrap_or_default().to_owned();
        let mut command = Command::new(program);
        command.args(["-e", "stderr", "-p"]).arg(folder.path()).arg("-c").arg(file);
        let child = command.stdin(Stdio::null()).spawn().expect("nginx starts");
        let documents = documents.iter().map(|it| (it.path.clone(), it.body.len())).collect();
        let nginx = Self { child, address, documents, version, _folder: folder };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "nginx does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Some(nginx)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// The entity tag of a document, as nginx makes it: its date and its length.
    pub(crate) fn etag(&self, path: &str) -> String {
        let document = self.documents.iter().find(|document| document.0 == path);
        let (_, len) = document.expect("the documents have it");
        format!("\"{MODIFIED:x}-{len:x}\"")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It is ours alone, and has nothing to save.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}
