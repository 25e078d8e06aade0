//! Every counter of a client, and every reason for which something was dropped.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a client has counted since it began.
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Each counter with its name.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Connections that were welcomed.
    connections_welcomed,
    /// Connections that ended without being asked to.
    connections_lost,
    /// Dials that failed, and connections that ended before they were welcomed.
    connections_failed,
    /// Connections of a switch that is, or was, not the latest master.
    connections_stale,
    /// Bytes received.
    bytes_received,
    /// Frames with items that were sent.
    batches_sent,
    /// Items in them.
    items_sent,
    /// `RELET`s that were sent.
    relets_sent,
    /// Their answers that gave authority.
    relets_answered,
    /// Requests that were sent again, since their connection was lost before the answer.
    requests_resent,
    /// Requests that wait because the switch was busy or in its grace.
    requests_deferred,
    /// Sessions that lapsed.
    sessions_lapsed,
    /// New epochs.
    epochs_new,
    /// Ports that were granted.
    grants,
    /// Grants that nobody awaited, and that were released again.
    grants_released,
    /// Owners that were answered from the cache.
    cache_hits,
    /// Owners that were not in it.
    cache_misses,
    /// Owners that left the cache for others.
    cache_evicted,
    /// Owners that left the cache because their port went away.
    cache_gone,
    /// Times that the whole cache was emptied.
    cache_flushes,
    /// Owners that were not kept because the node may have no more subscriptions.
    cache_refused,
    /// Answers that a notice overtook, and that were asked for again.
    queries_overtaken,
    /// Notices that were missing in their count.
    notice_gaps,
    /// Messages for ports of this session, and broadcasts.
    messages_received,
    /// Messages that waited for the answer that grants their port.
    messages_early,
    /// Drop: a message of a grant that was not known, and there was no place to keep it.
    messages_early_dropped,
    /// Drop: a message of a grant that is over, or of which the client never came to know.
    messages_stale,
    /// Drop: a message that the application took too long to take others for.
    messages_dropped,
    /// Drop: other events that did not fit.
    events_dropped,
    /// Messages of this client that were delivered.
    sent_delivered,
    /// Drop: messages of this client to ports that nobody holds.
    sent_nobody,
    /// Drop: messages of this client whose receiver's queue was full.
    sent_dropped,
    /// Drop: messages of this client whose connection was lost before they were answered, or that were
    /// not answered or had not left when the client ended; they may have arrived. A broadcast counts
    /// once here and below.
    sent_lost,
    /// Drop: messages of this client in requests that the switch refused.
    sent_refused,
    /// Drop: releases of dropped guards that did not fit; their ports end with the session.
    releases_dropped,
    /// Drop: answers to requests that are not known.
    answers_unknown,
    /// Drop: frames that are not what the protocol says; the connection was closed.
    frames_malformed,
    /// Drop: pushes of a later version.
    pushes_unknown,
}
