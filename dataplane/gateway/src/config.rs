//! What a gateway is made of, and what can be wrong with it.

use base::Duration;
use memory::{ArenaError, PageChoice};
use stack::{ListenerOptions, UserTimeout};
use thiserror::Error;

use crate::limits::{
    ANSWER_RATE_MIN_DEFAULT, ANSWER_TIMEOUT_DEFAULT, BODY_LEN_MAX_DEFAULT, BODY_RATE_MIN_DEFAULT,
    BODY_TIMEOUT_DEFAULT, HEAD_TIMEOUT_DEFAULT, HEADS_MAX_DEFAULT, IDLE_TIMEOUT_DEFAULT,
    LINGER_TIMEOUT_DEFAULT, SESSIONS_MAX, SESSIONS_MAX_DEFAULT, SWEEP_EVERY, TIMEOUT_MAX,
};
use crate::proto::http::Documents;

/// What a [`crate::Gateway`] is made of. Memory is taken and touched when it is made.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// Connections that may be in the middle of something at once: half a request, an answer that
    /// waits for room, the end of a connection. Idle ones take none. At most
    /// [`crate::limits::SESSIONS_MAX`]; 96 bytes each.
    pub sessions_max: u32,
    /// Request heads that may be half received at once; [`crate::limits::HEAD_LEN_MAX`] bytes each.
    pub heads_max: u32,
    /// What HTTP serves.
    pub documents: Documents,
    /// How much and how slow a client of HTTP may be.
    pub http: HttpLimits,
    /// Pages of the buffers for heads.
    pub pages: PageChoice,
}

impl GatewayConfig {
    /// The default sizes, with these documents.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self {
            sessions_max: SESSIONS_MAX_DEFAULT,
            heads_max: HEADS_MAX_DEFAULT,
            documents,
            http: HttpLimits::default(),
            pages: PageChoice::Best,
        }
    }
}

/// How much and how slow a client of HTTP may be.
///
/// A time-out with a rate is a stretch of time: at its end so much must have moved in it, or the
/// connection ends. What moved fast enough has another stretch before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// From the first byte of a head to its last; then 408.
    pub head_timeout: Duration,
    /// The stretch of a body's rate; then 408.
    pub body_timeout: Duration,
    /// Bytes of a body a second. At zero a byte a stretch will do.
    pub body_rate_min: u32,
    /// Bytes of a body, framing and all; then 413.
    pub body_len_max: u32,
    /// The stretch of an answer's rate; then the connection is reset.
    pub answer_timeout: Duration,
    /// Bytes of an answer a second. At zero a byte a stretch will do.
    pub answer_rate_min: u32,
    /// How long we wait for a client to end a connection that we have ended.
    pub linger_timeout: Duration,
    /// How long a connection is kept on which nothing is asked for, in whole seconds; zero for
    /// ever. It is looked at with the slow walk over all connections.
    pub idle_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            head_timeout: HEAD_TIMEOUT_DEFAULT,
            body_timeout: BODY_TIMEOUT_DEFAULT,
            body_rate_min: BODY_RATE_MIN_DEFAULT,
            body_len_max: BODY_LEN_MAX_DEFAULT,
            answer_timeout: ANSWER_TIMEOUT_DEFAULT,
            answer_rate_min: ANSWER_RATE_MIN_DEFAULT,
            linger_timeout: LINGER_TIMEOUT_DEFAULT,
            idle_timeout: IDLE_TIMEOUT_DEFAULT,
        }
    }
}

/// Why a gateway could not be made.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// A pool of impossible size.
    #[error("{what} = {given} is out of range: 1 to {SESSIONS_MAX}")]
    ConfigRange {
        /// The setting.
        what: &'static str,
        /// Its value.
        given: u32,
    },
    /// A time-out that is shorter than the interval at which it is looked at, or beyond all use.
    #[error(
        "{what} = {} ms is out of range: {} to {} ms", given.as_millis(), SWEEP_EVERY.as_millis(),
        TIMEOUT_MAX.as_millis()
    )]
    ConfigTimeout {
        /// The setting.
        what: &'static str,
        /// Its value.
        given: Duration,
    },
    /// The machine has not enough memory.
    #[error(transparent)]
    ResourceMemory(#[from] ArenaError),
}

impl GatewayConfig {
    pub(crate) fn check(&self) -> Result<(), GatewayError> {
        let Self { sessions_max, heads_max, documents: _, http, pages: _ } = *self;
        for (what, given) in [("sessions_max", sessions_max), ("heads_max", heads_max)] {
            if !(1..=SESSIONS_MAX).contains(&given) {
                return Err(GatewayError::ConfigRange { what, given });
            }
        }
        http.check()
    }
}

impl HttpLimits {
    /// The terms of a listener whose clients are held to these limits.
    #[must_use]
    pub fn terms(self, options: ListenerOptions) -> ListenerOptions {
        let idle_s = u32::try_from(self.idle_timeout.as_millis() / 1_000).unwrap_or(u32::MAX);
        let user_timeout =
            UserTimeout { stretch: self.answer_timeout, acked_min: self.answer_len_min() };
        ListenerOptions {
            user_timeout: Some(user_timeout),
            idle_s: (idle_s > 0).then_some(idle_s),
            ..options
        }
    }

    /// Bytes of an answer that are taken in a stretch at least.
    fn answer_len_min(self) -> u32 {
        let bytes = u64::from(self.answer_rate_min) * self.answer_timeout.as_millis() / 1_000;
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    pub(crate) fn check(self) -> Result<(), GatewayError> {
        let Self {
            head_timeout,
            body_timeout,
            body_rate_min: _,
            body_len_max: _,
            answer_timeout,
            answer_rate_min: _,
            linger_timeout,
            idle_timeout,
        } = self;
        // None at all is no time-out of zero.
        let idle_timeout = if idle_timeout == Duration::ZERO { TIMEOUT_MAX } else { idle_timeout };
        for (what, given) in [
            ("head_timeout", head_timeout),
            ("body_timeout", body_timeout),
            ("answer_timeout", answer_timeout),
            ("linger_timeout", linger_timeout),
            ("idle_timeout", idle_timeout),
        ] {
            if !(SWEEP_EVERY..=TIMEOUT_MAX).contains(&given) {
                return Err(GatewayError::ConfigTimeout { what, given });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{GatewayConfig, GatewayError};
    use crate::{Documents, Gateway};
    use base::Duration;

    #[test]
    fn a_time_out_out_of_range_is_refused() {
        for given in [Duration::ZERO, Duration::from_millis(249), Duration::from_secs(3_601)] {
            let mut config = GatewayConfig::new(Documents::new(Vec::new()).unwrap());
            config.http.body_timeout = given;
            let error = Gateway::new(config).unwrap_err();
            assert!(matches!(error, GatewayError::ConfigTimeout { what: "body_timeout", .. }));
            assert!(error.to_string().ends_with("250 to 3600000 ms"), "{error}");
        }
    }
}
