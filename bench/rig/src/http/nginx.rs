//! The peer: nginx as its own people set it up for a small document.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use core_affinity::CoreId;
use nix::sys::signal::Signal;

use super::document;
use super::site::Site;
use crate::error::Error;
use crate::lab;
use crate::limits::NGINX_SENDFILE_MIN;
use crate::process::Running;
use crate::stop::Stop;

const PATIENCE: Duration = Duration::from_secs(30);
/// A try to connect takes no longer.
const CONNECT_PATIENCE: Duration = Duration::from_millis(200);
/// Where it tells its counters.
const STATUS: &str = "status";

/// The program, and what it can do.
#[derive(Clone, Debug)]
pub(super) struct Program {
    path: PathBuf,
    pub(super) version: String,
    /// Whether it tells how many requests it has answered.
    counts: bool,
}

/// The running nginx.
#[derive(Debug)]
pub(super) struct Nginx {
    running: Running,
    address: SocketAddr,
    counts: bool,
}

impl Program {
    /// Looks for it.
    pub(super) fn find() -> Result<Self, Error> {
        let path = lab::find_program("nginx", "nginx-light")?;
        let output = Command::new(&path).arg("-V").output().map_err(Error::io("start nginx"))?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let version = text.lines().find_map(|line| line.strip_prefix("nginx version: nginx/"));
        let version = version.unwrap_or("unknown").trim().to_owned();
        Ok(Self { path, version, counts: text.contains("http_stub_status_module") })
    }

    /// What the report says about how it runs.
    pub(super) fn flags(&self, site: &Site) -> String {
        let workers = site.place.servers.len();
        format!(
            "{workers} worker(s) pinned to the serving core(s), multi_accept, access_log off, {}, \
             tcp_nodelay, open_file_cache, endless keep-alive, no ETag, somaxconn 16384; offloads on \
             at its end of the veth pair",
            sending(site.document.len())
        )
    }
}

impl Nginx {
    /// Starts it and waits until it serves.
    pub(super) fn start(
        program: &Program,
        site: &Site,
        connections: u32,
        stop: &Stop,
    ) -> Result<Self, Error> {
        let file = site.write("nginx.conf", &configuration(program, site, connections))?;
        let mut command = Command::new(&program.path);
        // Nothing of the machine's own nginx: neither its configuration nor its log.
        command.args(["-e", "stderr", "-p"]).arg(lab::folder()).arg("-c").arg(file);
        let mut running = site.start("nginx", &mut command)?;
        let address = site.nginx();
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect_timeout(&address, CONNECT_PATIENCE).is_err() {
            if let Some(status) = running.ended()? {
                return Err(running.failed(&format!("{status}; its own message stands above")));
            }
            running.look(deadline, stop)?;
        }
        Ok(Self { running, address, counts: program.counts })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn id(&self) -> u32 {
        self.running.id()
    }

    /// Ends it; the requests that it has answered, if it counts them.
    pub(super) fn end(self, stop: &Stop) -> Result<Option<u64>, Error> {
        let mut requests = None;
        if self.counts {
            let answer = document::ask(self.address, STATUS)
                .map_err(Error::io("ask nginx for its counters"))?;
            let status = document::body(&answer).map(String::from_utf8_lossy).unwrap_or_default();
            // The question itself is one of them.
            requests = requests_in(&status).map(|requests| requests.saturating_sub(1));
        }
        self.running.end(Signal::SIGTERM, PATIENCE, stop)?;
        Ok(requests)
    }
}

/// The third number of the line of three.
fn requests_in(status: &str) -> Option<u64> {
    let line = status.lines().skip_while(|line| !line.starts_with("server accepts")).nth(1)?;
    line.split_whitespace().nth(2)?.parse().ok()
}

fn configuration(program: &Program, site: &Site, connections: u32) -> String {
    let cores = &site.place.servers;
    let masks: Vec<_> = cores.iter().map(|&core| affinity(core)).collect();
    let (workers, masks) = (cores.len(), masks.join(" "));
    // The clients of the warm-up may still be closing as those of the round open; beside them, the
    // listener, the document, the channel to the master.
    let descriptors = 2 * connections + 256;
    let folder = lab::folder().display();
    let (root, address) = (site.root.display(), site.nginx());
    let sending = sending(site.document.len());
    // Each worker with a queue of its own, so that they share the connections evenly.
    let reuseport = if workers > 1 { " reuseport" } else { "" };
    let status = if program.counts {
        format!("location = /{STATUS} {{ stub_status; }}")
    } else {
        String::new()
    };
    format!(
        "daemon off;\nuser root;\npid {folder}/nginx.pid;\nerror_log stderr crit;\n\
         worker_processes {workers};\nworker_cpu_affinity {masks};\n\
         worker_rlimit_nofile {descriptors};\n\
         events {{ worker_connections {descriptors}; multi_accept on; use epoll; }}\n\
         http {{\n\
         access_log off;\n{sending};\ntcp_nodelay on;\n\
         etag off;\nserver_tokens off;\nif_modified_since off;\n\
         keepalive_timeout 3600s;\nkeepalive_requests 1000000000;\n\
         open_file_cache max=64 inactive=3600s;\nopen_file_cache_valid 3600s;\n\
         client_body_temp_path {folder}/body;\n\
         types {{ text/plain txt; }}\n\
         server {{ listen {address} backlog=16384{reuseport};\nroot {root};\n{status} }}\n\
         }}\n"
    )
}

/// How nginx sends a document of `len` bytes best: a small one is cheaper to copy, together with its
/// head, than to send by a second call.
fn sending(len: usize) -> &'static str {
    if len < NGINX_SENDFILE_MIN { "sendfile off" } else { "sendfile on; tcp_nopush on" }
}

/// A core as nginx writes sets of them: a binary number.
fn affinity(core: CoreId) -> String {
    format!("1{}", "0".repeat(core.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_the_third_of_its_counters() {
        let status = "Active connections: 1 \nserver accepts handled requests\n 95 95 83316 \n\
                      Reading: 0 Writing: 1 Waiting: 0 \n";
        assert_eq!(requests_in(status), Some(83_316));
        assert_eq!(requests_in("Not Found"), None);
    }

    #[test]
    fn small_documents_are_copied_and_large_ones_sent_as_files() {
        assert_eq!(sending(100), "sendfile off");
        assert_eq!(sending(1 << 20), "sendfile on; tcp_nopush on");
    }

    #[test]
    fn affinity_is_a_binary_number_with_one_digit_per_core() {
        let mask = |id| affinity(CoreId { id });
        assert_eq!((mask(0), mask(1), mask(3)), ("1".into(), "10".into(), "1000".into()));
    }
}
