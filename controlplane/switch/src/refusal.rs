//! The errors that the switch answers, each made in one place.

use protocol::{ErrorCode, ErrorFrame, EvictedReason};

use crate::sessions::{End, Eviction};

const fn error(code: ErrorCode, closes: bool, message: &'static str) -> ErrorFrame<'static> {
    ErrorFrame { code, closes, number: 0, hint: "", message }
}

pub(crate) const NO_SESSION: ErrorFrame<'_> =
    error(ErrorCode::NoSession, false, "the request needs a session; WAIT_MSG begins one");
pub(crate) const LAPSED: ErrorFrame<'_> =
    error(ErrorCode::Lapsed, true, "the session was silent for too long and is over");
pub(crate) const ENDED: ErrorFrame<'_> =
    error(ErrorCode::Ended, true, "the session has said BYE and is over");
pub(crate) const BUSY: ErrorFrame<'_> =
    error(ErrorCode::Busy, false, "too much is under way; try again later");
pub(crate) const FORBIDDEN: ErrorFrame<'_> =
    error(ErrorCode::Forbidden, false, "the credential does not allow it");
pub(crate) const FORBIDDEN_ROLE: ErrorFrame<'_> =
    error(ErrorCode::Forbidden, true, "the credential does not allow this role");
pub(crate) const UNAUTHENTICATED: ErrorFrame<'_> =
    error(ErrorCode::Unauthenticated, true, "nobody of this id and this credential may come in");
pub(crate) const WRONG_CLUSTER: ErrorFrame<'_> =
    error(ErrorCode::WrongCluster, true, "this is another cluster, or it was started anew");
pub(crate) const STALE: ErrorFrame<'_> =
    error(ErrorCode::NotMaster, true, "another switch was master after this one");

/// The session's connection was replaced by a newer one of the same session.
pub(crate) const NEWER_CONNECTION: ErrorFrame<'_> = ErrorFrame {
    number: EvictedReason::NewerConnection as u64,
    ..error(ErrorCode::Evicted, true, "the session goes on at another connection")
};

/// The connection that follows it came first.
pub(crate) const BEHIND: ErrorFrame<'_> = ErrorFrame {
    hint: "a connection of this index came with this generation, or a later one",
    ..NEWER_CONNECTION
};

/// The session was evicted.
pub(crate) const fn evicted(eviction: Eviction) -> ErrorFrame<'static> {
    let (reason, message) = match eviction {
        Eviction::Replaced => (EvictedReason::NewerSession, "the node has a newer session"),
        Eviction::Dropped => (EvictedReason::Dropped, "an operator dropped the node"),
    };
    ErrorFrame { number: reason as u64, ..error(ErrorCode::Evicted, true, message) }
}

/// The session ended so.
pub(crate) const fn ended(end: End) -> ErrorFrame<'static> {
    match end {
        End::Lapsed => LAPSED,
        End::Evicted(eviction) => evicted(eviction),
        End::Said => ENDED,
    }
}

/// The switch stops; another may be at `hint`.
pub(crate) const fn leaving(hint: &str) -> ErrorFrame<'_> {
    ErrorFrame { hint, ..error(ErrorCode::Leaving, true, "the switch stops") }
}

/// The request is not for this connection, or not now.
pub(crate) const fn state(hint: &'static str) -> ErrorFrame<'static> {
    let message = "the request is not for this connection, or not now";
    ErrorFrame { hint, ..error(ErrorCode::State, false, message) }
}

/// The node has as many of something as it may.
pub(crate) fn quota(limit: u32, hint: &'static str) -> ErrorFrame<'static> {
    let message = "the node has as many as it may";
    ErrorFrame { number: u64::from(limit), hint, ..error(ErrorCode::Quota, false, message) }
}

/// Earlier leases may run for so many milliseconds.
pub(crate) const fn grace(left_ms: u64) -> ErrorFrame<'static> {
    let message = "leases of an earlier switch may run: nothing is granted yet";
    ErrorFrame { number: left_ms, ..error(ErrorCode::Grace, false, message) }
}

/// The group or the map of groups is another one.
pub(crate) const fn wrong_group(map_version: u64) -> ErrorFrame<'static> {
    let message = "this switch has another group of ports";
    ErrorFrame { number: map_version, ..error(ErrorCode::WrongGroup, true, message) }
}

/// The version is not spoken.
pub(crate) fn version(version_max: u16) -> ErrorFrame<'static> {
    let message = "the version is none that the greeting names";
    ErrorFrame { number: u64::from(version_max), ..error(ErrorCode::Version, true, message) }
}

/// Features must be understood that are not known.
pub(crate) const fn features(unknown: u64) -> ErrorFrame<'static> {
    let message = "features that must be understood are not known";
    ErrorFrame { number: unknown, ..error(ErrorCode::Unsupported, true, message) }
}
