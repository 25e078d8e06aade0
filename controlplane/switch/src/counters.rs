//! Every counter of the switch, and every reason for which something was refused or dropped.

use protocol::{ErrorCode, RegisterCode, UnregisterCode};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $field:ident,)*) => {
        /// What the switch has counted since it started.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[doc = $doc])+ pub $field: u64,)*
        }
        impl Counters {
            /// Each counter's name and value.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
                [$((stringify!($field), self.$field),)*].into_iter()
            }

            /// Each counter's name, and what it counts.
            pub fn meanings() -> impl Iterator<Item = (&'static str, &'static str)> {
                [$((stringify!($field), concat!($($doc),+)),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Connections that were opened.
    connections_opened,
    /// Connections that are gone.
    connections_closed,
    /// Connections that were closed because their `HELLO` did not come in time.
    hello_timeouts,
    /// Connections that ended and did not take what waited for them in time.
    linger_timeouts,
    /// Connections that were let in.
    welcomes,
    /// Bytes of whole frames that were taken.
    bytes_in,
    /// Bytes that left.
    bytes_out,
    /// Frames that were taken.
    frames_in,
    /// Times that a connection's requests had to wait until its answers had left.
    held_back,

    /// Sessions that began.
    sessions_begun,
    /// Connections that were closed because the one that follows them came.
    connections_followed,
    /// Sessions that went on at another connection.
    sessions_resumed,
    /// Sessions that were evicted by a newer one of their node.
    sessions_replaced,
    /// Sessions that an operator dropped.
    sessions_dropped,
    /// Sessions that were silent for too long.
    sessions_lapsed,
    /// Sessions that ended themselves.
    sessions_ended,
    /// Renewals of leases.
    relets,
    /// Sessions that gave all of their ports back at once.
    yields,

    /// Ports that were granted to who asked.
    ports_granted,
    /// Ports that were given back one by one.
    ports_released,
    /// Names that were looked up by queries.
    ports_queried,
    /// Ports that were granted to who waited.
    grants_told,
    /// Ports that were taken back because the session that waited could not be told.
    grants_taken_back,
    /// Sessions that were told that a port went away.
    gone_told,
    /// Notices that a `FLUSH` stands for, because they did not fit the queue.
    notices_overflowed,
    /// Notices that a `FLUSH` stands for, because there was no receive connection.
    notices_away,
    /// Sessions that were told to forget everything.
    flushes,

    /// Registrations refused: another session holds the port.
    register_held,
    /// Registrations refused: the session holds the port already.
    register_mine,
    /// Registrations refused: the port's holder was evicted and may still act.
    register_draining,
    /// Registrations that were put into a queue.
    register_waiting,
    /// Registrations refused: the node holds as many ports as it may.
    register_quota,
    /// Registrations refused: the credential does not allow the name.
    register_forbidden,
    /// Registrations refused: the switch has no room.
    register_full,
    /// Registrations refused, and a place that was asked for was not given.
    register_subscriptions,
    /// Releases refused: nobody holds the port.
    unregister_free,
    /// Releases refused: another session holds the port.
    unregister_not_mine,
    /// Releases refused: the session holds the port under another sequence.
    unregister_stale,

    /// Messages that were put into the queue of their receiver.
    messages_delivered,
    /// Messages to ports that nobody holds.
    messages_nobody,
    /// Messages dropped: the receiver's queue was full.
    messages_queue_full,
    /// Messages dropped: the receiver had no receive connection.
    messages_no_receiver,
    /// Messages that were delivered and lost: their receive connection ended before they had left.
    messages_receiver_gone,
    /// Messages dropped: the sender had sent as many as it may.
    messages_over_rate,

    /// Events that were put into the queue of one who watches.
    events_told,
    /// Events that did not fit it.
    events_missing,

    /// Errors answered: the session was replaced or dropped.
    error_evicted,
    /// Errors answered: the session was silent and is over.
    error_lapsed,
    /// Errors answered: the session has ended itself.
    error_ended,
    /// Errors answered: another cluster.
    error_wrong_cluster,
    /// Errors answered: another group or map.
    error_wrong_group,
    /// Errors answered: a version that is not spoken.
    error_version,
    /// Errors answered: a kind, flag or feature that is not known.
    error_unsupported,
    /// Errors answered: no or a wrong credential.
    error_unauthenticated,
    /// Errors answered: not allowed.
    error_forbidden,
    /// Errors answered: a limit was exceeded.
    error_too_large,
    /// Errors answered: a frame that is wrong.
    error_malformed,
    /// Errors answered: a name that is none.
    error_bad_name,
    /// Errors answered: the request needs a session.
    error_no_session,
    /// Errors answered: as many as the node may have.
    error_quota,
    /// Errors answered: not for this connection, or not now.
    error_state,
    /// Errors answered: too much under way.
    error_busy,
    /// Errors answered: the switch stops.
    error_leaving,
    /// Errors answered: there is, or was, a later master.
    error_not_master,
    /// Errors answered: earlier leases may still run.
    error_grace,
    /// Errors answered: the session has to wait first.
    error_quarantine,
    /// Errors answered for any other reason.
    error_other,
}

impl Counters {
    /// Counts an error that was answered.
    pub(crate) fn error(&mut self, code: ErrorCode) {
        let counter = match code {
            ErrorCode::Evicted => &mut self.error_evicted,
            ErrorCode::Lapsed => &mut self.error_lapsed,
            ErrorCode::Ended => &mut self.error_ended,
            ErrorCode::WrongCluster => &mut self.error_wrong_cluster,
            ErrorCode::WrongGroup => &mut self.error_wrong_group,
            ErrorCode::Version => &mut self.error_version,
            ErrorCode::Unsupported => &mut self.error_unsupported,
            ErrorCode::Unauthenticated => &mut self.error_unauthenticated,
            ErrorCode::Forbidden => &mut self.error_forbidden,
            ErrorCode::TooLarge => &mut self.error_too_large,
            ErrorCode::Malformed => &mut self.error_malformed,
            ErrorCode::BadName => &mut self.error_bad_name,
            ErrorCode::NoSession => &mut self.error_no_session,
            ErrorCode::Quota => &mut self.error_quota,
            ErrorCode::State => &mut self.error_state,
            ErrorCode::Busy => &mut self.error_busy,
            ErrorCode::Leaving => &mut self.error_leaving,
            ErrorCode::NotMaster => &mut self.error_not_master,
            ErrorCode::Grace => &mut self.error_grace,
            ErrorCode::Quarantine => &mut self.error_quarantine,
            ErrorCode::Other(_) => &mut self.error_other,
        };
        *counter += 1;
    }

    /// Counts a port that was not granted.
    pub(crate) fn not_granted(&mut self, code: RegisterCode) {
        let counter = match code {
            RegisterCode::Held => &mut self.register_held,
            RegisterCode::Mine => &mut self.register_mine,
            RegisterCode::Draining => &mut self.register_draining,
            RegisterCode::Waiting => &mut self.register_waiting,
            RegisterCode::Quota => &mut self.register_quota,
            RegisterCode::Forbidden => &mut self.register_forbidden,
            RegisterCode::Full => &mut self.register_full,
            RegisterCode::Subscriptions | RegisterCode::Other(_) => {
                &mut self.register_subscriptions
            }
        };
        *counter += 1;
    }

    /// Counts a port that was not released.
    pub(crate) fn not_released(&mut self, code: UnregisterCode) {
        let counter = match code {
            UnregisterCode::Free => &mut self.unregister_free,
            UnregisterCode::NotMine => &mut self.unregister_not_mine,
            UnregisterCode::Stale | UnregisterCode::Other(_) => &mut self.unregister_stale,
        };
        *counter += 1;
    }
}

#[cfg(test)]
mod tests {
    use protocol::{ErrorCode, RegisterCode, UnregisterCode};

    use super::Counters;

    #[test]
    fn every_refusal_has_a_counter_of_its_own() {
        let mut counters = Counters::default();
        (4..=20).for_each(|code: u16| counters.error(ErrorCode::from(code)));
        (1..=8).for_each(|code: u8| counters.not_granted(RegisterCode::from(code)));
        (1..=3).for_each(|code: u8| counters.not_released(UnregisterCode::from(code)));
        let counted: Vec<_> = counters.iter().filter(|(_, value)| *value > 0).collect();
        assert_eq!(counted.len(), 17 + 8 + 3, "{counted:?}");
        assert!(counted.iter().all(|(_, value)| *value == 1));
    }

    #[test]
    fn no_two_counters_share_a_name() {
        let counters = Counters::default();
        let mut names: Vec<_> = counters.iter().map(|(name, _)| name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
