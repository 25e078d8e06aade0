//! The thread beside the cores that is asked to change something, or what there is: by SIGHUP, and
//! by `abelectl` over a socket.
//!
//! # The socket
//!
//! `control`, beside the tools' file: `/run/abele/INSTANCE/control`, for the gateway's user, its group
//! and root. The group is that of the process, or what the folder hands on (setgid), as ever; root's
//! own is given nothing.
//! Whoever asks sends one line and reads until the end: the first line is the exit code of the
//! asker, `0` done, `1` done in part, `2` the file is wrong, `3` the machine lacks something. After
//! `reload` all that follows is for people; after `addresses`, `routes`, `neighbours`, `listeners`
//! and `access` it is one line of JSON where the code is `0` or `1` (see `inquiry`), as it is after
//! `echo ...`; after `capture` it is packets (see `capture`). A request that is not known is answered with `2`.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signals::Hangup;
use tracing::{info, warn};

use crate::capture::{self, Captures};
use crate::clock::Clock;
use crate::echo;
use crate::error::Error;
use crate::inquiry;
use crate::limits::{ASKER_PATIENCE, COLLECT_EVERY, REQUEST_LEN_MAX};
use crate::reload::Reloader;
use crate::stop::Stop;

/// Whoever is in it is not meant to be an operator by that alone.
const ROOT_GROUP: u32 = 0;

/// The socket. It goes with the value.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Makes it beside the tools' file, which says that no other gateway has the instance.
    pub(crate) fn beside(tools: &Path) -> Result<Self, Error> {
        let path = tools.with_file_name(counters::CONTROL_NAME);
        // One that was killed has left its own.
        fs::remove_file(&path).ok();
        let failed = || Error::io("make the control socket");
        let listener = UnixListener::bind(&path).map_err(failed())?;
        let group = fs::symlink_metadata(&path).map_err(failed())?.gid();
        let mode = if group == ROOT_GROUP { 0o600 } else { 0o660 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(failed())?;
        listener.set_nonblocking(true).map_err(failed())?;
        Ok(Self { listener, path })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Whoever asks then is told that there is no gateway, with it or without.
        fs::remove_file(&self.path).ok();
    }
}

/// Who asks, and who does it.
#[derive(Debug)]
pub(crate) struct Control<'a> {
    pub(crate) reloader: Reloader<'a>,
    pub(crate) hangup: &'a Hangup,
    pub(crate) socket: Option<&'a ControlSocket>,
    pub(crate) clock: Clock,
}

impl Control<'_> {
    /// Serves those who ask until the stop flag is raised.
    pub(crate) fn serve(self, stop: &Stop) -> Result<(), Error> {
        let Self { mut reloader, hangup, socket, clock } = self;
        thread::scope(|scope| {
            let mut captures = Captures::default();
            loop {
                let has_rest = reloader.has_older || captures.has_taps();
                wait(stop, hangup, socket, has_rest.then_some(COLLECT_EVERY))?;
                if stop.is_raised() {
                    return Ok(());
                }
                if hangup.take() {
                    tell(&reloader.reload());
                }
                let asker = socket.and_then(|socket| socket.listener.accept().ok());
                if let Some((stream, _)) = asker {
                    let asker = asked(stream, &mut reloader);
                    let terms = (clock, stop);
                    let refused =
                        asker.and_then(|asker| captures.start(scope, &mut reloader, terms, asker));
                    refused.into_iter().for_each(|(stream, answer)| send(stream, &answer));
                }
                reloader.collect();
                captures.collect(&mut reloader);
            }
        })
    }
}

fn wait(
    stop: &Stop,
    hangup: &Hangup,
    socket: Option<&ControlSocket>,
    pause: Option<std::time::Duration>,
) -> Result<(), Error> {
    let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
    let mut fds = vec![readable(stop.wake_fd()), readable(hangup.wake_fd())];
    fds.extend(socket.map(|socket| readable(socket.listener.as_fd())));
    let timeout = pause.map_or(PollTimeout::NONE, |pause| {
        PollTimeout::try_from(pause.as_millis()).unwrap_or(PollTimeout::MAX)
    });
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(Error::errno("wait for who asks")(errno)),
    }
}

/// What came of a request: the exit code of the asker, and what people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) code: u8,
    pub(crate) text: String,
}

/// For who asked by a signal.
fn tell(answer: &Answer) {
    for line in answer.text.lines() {
        if answer.code == 0 { info!("{line}") } else { warn!("{line}") }
    }
}

/// Answers who asks, unless he asks for a capture: then he, and what he wants captured.
fn asked(mut stream: UnixStream, reloader: &mut Reloader<'_>) -> Option<(String, UnixStream)> {
    let request = request(&mut stream)?;
    let capture = request.strip_prefix(capture::REQUEST);
    if let Some(terms) = capture.filter(|terms| terms.is_empty() || terms.starts_with(' ')) {
        return Some((terms.to_owned(), stream));
    }
    send(stream, &answer(&request, reloader));
    None
}

fn answer(request: &str, reloader: &mut Reloader<'_>) -> Answer {
    if request == "reload" {
        let answer = reloader.reload();
        tell(&answer);
        return answer;
    }
    if let Some(text) = request.strip_prefix(echo::REQUEST) {
        return echo::answer(text, reloader);
    }
    inquiry::answer(request, reloader).unwrap_or_else(|| unknown(request))
}

fn send(mut stream: UnixStream, answer: &Answer) {
    // Who has gone meanwhile finds it in the log.
    writeln!(stream, "{}\n{}", answer.code, answer.text.trim_end()).ok();
}

fn unknown(request: &str) -> Answer {
    let known = inquiry::REQUESTS.join(", ");
    let text = format!(
        "this gateway does not know the request {request:?}; it knows reload, capture, echo, {known}"
    );
    warn!("{text}");
    Answer { code: 2, text }
}

/// The line that somebody sends; `None` if none comes soon.
fn request(stream: &mut UnixStream) -> Option<String> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(ASKER_PATIENCE)).ok()?;
    stream.set_write_timeout(Some(ASKER_PATIENCE)).ok()?;
    let mut line = Vec::new();
    let mut byte = [0];
    let begun = Instant::now();
    while line.len() < REQUEST_LEN_MAX && begun.elapsed() < 2 * ASKER_PATIENCE {
        match stream.read(&mut byte) {
            Ok(1) if byte != *b"\n" => line.push(byte[0]),
            Ok(_) => break,
            Err(_late) => return None,
        }
    }
    String::from_utf8(line).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mode and group of the socket in a folder of that group, which it hands on.
    fn made_below(group: u32) -> (u32, u32) {
        let folder = tempfile::tempdir().expect("a folder for the test");
        std::os::unix::fs::chown(folder.path(), None, Some(group)).expect("the group is ours");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o2750)).expect("it is ours");
        let socket = ControlSocket::beside(&folder.path().join("stats")).expect("it is free");
        let made = fs::symlink_metadata(&socket.path).expect("it was made");
        (made.permissions().mode() & 0o7777, made.gid())
    }

    #[test]
    fn whoever_is_in_the_group_of_the_folder_may_ask() {
        let is_root = nix::unistd::geteuid().is_root();
        let group = if is_root { 65_534 } else { nix::unistd::getegid().as_raw() };
        assert_eq!(made_below(group), (0o660, group));
    }

    #[test]
    fn the_group_of_root_is_given_nothing() {
        if !nix::unistd::geteuid().is_root() {
            let required = std::env::var("ABELE_REQUIRE").unwrap_or_default();
            assert!(!required.split(',').any(|one| one == "root"), "root is required");
            println!("SKIPPED: only root can make a socket of root's group");
            return;
        }
        assert_eq!(made_below(ROOT_GROUP), (0o600, ROOT_GROUP));
    }
}
