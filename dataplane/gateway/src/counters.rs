//! What the gateway counts: answers by status, and every refusal and drop by its reason.

/// Declares an enum whose values have names that tools print.
macro_rules! named {
    ($(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => $text:literal,)* }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant,)* }
        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The name that tools print.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

named! {
    /// The status of an answer.
    Status {
        /// 200: the document follows.
        Ok => "http_200",
        /// 204: what can be done, in answer to OPTIONS.
        NoContent => "http_204",
        /// 206: a part of the document follows.
        PartialContent => "http_206",
        /// 301: the path is that of a folder; it is asked for with a `/` at its end.
        MovedPermanently => "http_301",
        /// 304: the client has the document.
        NotModified => "http_304",
        /// 400: the request is malformed.
        BadRequest => "http_400",
        /// 404: no such document.
        NotFound => "http_404",
        /// 405: a method that documents do not have.
        MethodNotAllowed => "http_405",
        /// 408: the head or the body did not come in time.
        RequestTimeout => "http_408",
        /// 411: a body of HTTP/1.0 without a length.
        LengthRequired => "http_411",
        /// 412: the document is not the one that was meant.
        PreconditionFailed => "http_412",
        /// 413: a body longer than is worth reading.
        ContentTooLarge => "http_413",
        /// 414: a target longer than a head may be.
        UriTooLong => "http_414",
        /// 416: no byte of the document is in the range.
        RangeNotSatisfiable => "http_416",
        /// 417: something is expected that nobody knows.
        ExpectationFailed => "http_417",
        /// 421: a target that may be asked for over TLS alone.
        MisdirectedRequest => "http_421",
        /// 431: a head, or trailers, longer than is taken.
        HeaderFieldsTooLarge => "http_431",
        /// 501: a method nobody knows, or a transfer coding.
        NotImplemented => "http_501",
        /// 503: a pool is used up.
        ServiceUnavailable => "http_503",
        /// 505: a version of HTTP that is not spoken.
        VersionNotSupported => "http_505",
    }
}

named! {
    /// Why a request was not answered with a document, or a connection was ended.
    Refusal {
        /// The head is not one of HTTP/1.1 or 1.0.
        HeadMalformed => "http_head_malformed",
        /// A line of the head ends without a carriage return.
        LineFeedAlone => "http_line_feed_alone",
        /// A version that is neither 1.1 nor 1.0.
        VersionUnsupported => "http_version_unsupported",
        /// The head's first line alone is longer than `HEAD_LEN_MAX`.
        TargetTooLong => "http_target_too_long",
        /// The head is longer than `HEAD_LEN_MAX`.
        HeadTooLong => "http_head_too_long",
        /// The head has more than `HEADERS_MAX` fields.
        HeadersTooMany => "http_headers_too_many",
        /// HTTP/1.1 without a Host.
        HostMissing => "http_host_missing",
        /// More than one Host, or one that is no host.
        HostMalformed => "http_host_malformed",
        /// The target is no path and no absolute URI, or badly encoded.
        TargetMalformed => "http_target_malformed",
        /// A target of `https` on a connection without TLS.
        SchemeMisdirected => "http_scheme_misdirected",
        /// The path leads out of the documents by `..`.
        PathEscapes => "http_path_escapes",
        /// Content-Length is no number, or is there twice.
        ContentLengthMalformed => "http_content_length_malformed",
        /// Content of HTTP/1.0 without a length.
        LengthRequired => "http_length_required",
        /// Transfer-Encoding beside Content-Length, in HTTP/1.0, or twice: nobody knows where such
        /// a request ends.
        FramingAmbiguous => "http_framing_ambiguous",
        /// A transfer coding that is not chunked in the end: the request has no end.
        CodingUnending => "http_coding_unending",
        /// A transfer coding beside chunked: none is read here.
        TransferCoding => "http_transfer_coding",
        /// A chunk that is not as RFC 9112 has it, or a trailer that is no field.
        ChunkMalformed => "http_chunk_malformed",
        /// The trailers are longer than `TRAILERS_LEN_MAX`.
        TrailersTooLong => "http_trailers_too_long",
        /// The body is longer than `HttpLimits::body_len_max`.
        BodyTooLong => "http_body_too_long",
        /// An expectation other than 100-continue.
        ExpectationUnknown => "http_expectation_unknown",
        /// A method that is known, and not GET or HEAD.
        MethodNotAllowed => "http_method_not_allowed",
        /// A method that nobody knows.
        MethodUnknown => "http_method_unknown",
        /// No document of that name.
        NotFound => "http_not_found",
        /// If-Match or If-Unmodified-Since means another state of the document.
        PreconditionFailed => "http_precondition_failed",
        /// A range outside of the document.
        RangeUnsatisfiable => "http_range_unsatisfiable",
        /// The head did not come within `HttpLimits::head_timeout`.
        HeadTimeout => "http_head_timeout",
        /// No session was free.
        ResourceSessions => "http_no_session",
        /// No buffer for a half-received head was free.
        ResourceHeads => "http_no_head_buffer",
        /// The peer ended its direction in the middle of a head or a body.
        PeerTruncated => "http_peer_truncated",
        /// A body came slower than `HttpLimits::body_rate_min`.
        BodyTimeout => "http_body_timeout",
        /// Nothing was asked for `HttpLimits::idle_timeout`.
        IdleTimeout => "http_idle_timeout",
        /// The peer took an answer slower than `HttpLimits::answer_rate_min`.
        AnswerTimeout => "http_answer_timeout",
        /// The peer did not end a connection within `HttpLimits::linger_timeout`; it is closed without it.
        LingerTimeout => "http_linger_timeout",
        /// More than `LINGER_LEN_MAX` bytes came to a connection that lingers; it is reset.
        LingerTooLong => "http_linger_too_long",
        /// A connection that should linger could not: no session was free.
        LingerRefused => "http_linger_refused",
        /// The stack no longer sends on the connection.
        SendRefused => "http_send_refused",
        /// The connection ended with an answer under way.
        AnswerCut => "http_answer_cut",
        /// The stack reset a client that took nothing while hardly any frame was free.
        ResourceFrames => "http_no_frames",
        /// The stack had no timer for time-outs: they are late.
        ResourceTimers => "http_no_timer",
        /// A datagram: HTTP/1.1 is spoken over TCP.
        Datagram => "http_datagram",
    }
}

impl Status {
    /// Whether it tells of something that is wrong: 400 and above.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self as u8 >= Self::BadRequest as u8
    }

    /// Its three digits.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.name().strip_prefix("http_").expect("every name begins so")
    }
}

// Statuses stand in the order of their numbers.
const _: () = assert!((Status::NotModified as u8) < Status::BadRequest as u8);

/// What echo has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EchoCounters {
    /// Connections accepted.
    pub connections: u64,
    /// Connections ended.
    pub closed: u64,
    /// Of these, ended otherwise than by both sides closing.
    pub closed_early: u64,
    /// Bytes sent back over TCP.
    pub bytes: u64,
    /// Data that was offered and found no room to be sent.
    pub stalls: u64,
    /// Datagrams sent back.
    pub datagrams: u64,
    /// Their bytes.
    pub datagram_bytes: u64,
    /// Datagrams that could not be sent back.
    pub datagrams_lost: u64,
    /// Datagrams from a port of the same number: perhaps another echo service, so not answered.
    pub datagrams_looping: u64,
}

/// What HTTP has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpCounters {
    /// Connections accepted.
    pub connections: u64,
    /// Connections ended.
    pub closed: u64,
    /// Clients that were told to go on with a body: `100 Continue`.
    pub continues: u64,
    /// Bytes of heads and bodies queued to be sent.
    pub bytes_out: u64,
    /// Bytes of requests' bodies, and of what came to connections that linger, thrown away.
    pub bytes_discarded: u64,
    /// Records given to the access log.
    pub access_given: u64,
    /// Records that the access log had no room for.
    pub access_lost: u64,
    /// Sessions in use now.
    pub sessions_used: u32,
    /// Sessions in use at most until now.
    pub sessions_used_max: u32,
    /// Buffers of half-received heads in use now.
    pub heads_used: u32,
    pub(crate) answers: [u64; Status::ALL.len()],
    pub(crate) refusals: [u64; Refusal::ALL.len()],
}

impl Default for HttpCounters {
    fn default() -> Self {
        Self {
            connections: 0,
            closed: 0,
            continues: 0,
            bytes_out: 0,
            bytes_discarded: 0,
            access_given: 0,
            access_lost: 0,
            sessions_used: 0,
            sessions_used_max: 0,
            heads_used: 0,
            answers: [0; Status::ALL.len()],
            refusals: [0; Refusal::ALL.len()],
        }
    }
}

impl HttpCounters {
    /// Answers begun with `status`.
    #[must_use]
    pub fn answered(&self, status: Status) -> u64 {
        self.answers[status as usize]
    }

    /// Answers begun.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.answers.iter().sum()
    }

    /// How often something was refused or ended for `reason`.
    #[must_use]
    pub fn refused(&self, reason: Refusal) -> u64 {
        self.refusals[reason as usize]
    }

    pub(crate) fn answer_with(&mut self, status: Status) {
        self.answers[status as usize] += 1;
    }

    pub(crate) fn refuse_for(&mut self, reason: Refusal) {
        self.refusals[reason as usize] += 1;
    }
}

/// What one core's gateway has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Echo.
    pub echo: EchoCounters,
    /// HTTP.
    pub http: HttpCounters,
    /// Connections, datagrams and timers that belong to no protocol.
    pub strays: u64,
}

impl Counters {
    /// Each counter's name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let Self { echo, http, strays } = self;
        let &EchoCounters {
            connections,
            closed,
            closed_early,
            bytes,
            stalls,
            datagrams,
            datagram_bytes,
            datagrams_lost,
            datagrams_looping,
        } = echo;
        [
            ("strays", *strays),
            ("echo_connections", connections),
            ("echo_closed", closed),
            ("echo_closed_early", closed_early),
            ("echo_bytes", bytes),
            ("echo_stalls", stalls),
            ("echo_datagrams", datagrams),
            ("echo_datagram_bytes", datagram_bytes),
            ("echo_datagrams_lost", datagrams_lost),
            ("echo_datagrams_looping", datagrams_looping),
        ]
        .into_iter()
        .chain(http.iter())
    }
}

impl HttpCounters {
    fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let &Self {
            connections,
            closed,
            continues,
            bytes_out,
            bytes_discarded,
            access_given,
            access_lost,
            sessions_used,
            sessions_used_max,
            heads_used,
            answers: _,
            refusals: _,
        } = self;
        [
            ("http_connections", connections),
            ("http_closed", closed),
            ("http_100", continues),
            ("http_bytes_out", bytes_out),
            ("http_bytes_discarded", bytes_discarded),
            ("http_access_given", access_given),
            ("http_access_lost", access_lost),
            ("http_sessions_used", u64::from(sessions_used)),
            ("http_sessions_used_max", u64::from(sessions_used_max)),
            ("http_heads_used", u64::from(heads_used)),
        ]
        .into_iter()
        .chain(Status::ALL.iter().map(|&status| (status.name(), self.answered(status))))
        .chain(Refusal::ALL.iter().map(|&reason| (reason.name(), self.refused(reason))))
    }
}

#[cfg(test)]
mod tests {
    use super::{Counters, Refusal, Status};

    #[test]
    fn every_counter_has_a_name_of_its_own() {
        let mut counters = Counters::default();
        counters.http.answer_with(Status::NotFound);
        counters.http.refuse_for(Refusal::NotFound);
        let mut names: Vec<_> = counters.iter().map(|(name, _)| name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        let set: Vec<_> = counters.iter().filter(|&(_, value)| value == 1).collect();
        assert_eq!(set, [("http_404", 1), ("http_not_found", 1)]);
    }
}
