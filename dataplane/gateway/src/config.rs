//! What a gateway is made of, and what can be wrong with it.

use memory::{ArenaError, PageChoice};
use thiserror::Error;

use crate::limits::{HEADS_MAX_DEFAULT, SESSIONS_MAX, SESSIONS_MAX_DEFAULT};
use crate::proto::http::Documents;

/// What a [`crate::Gateway`] is made of. Memory is taken and touched when it is made.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// Connections that may be in the middle of something at once: half a request, an answer that
    /// waits for room, the end of a connection. Idle ones take none. At most
    /// [`crate::limits::SESSIONS_MAX`]; 80 bytes each.
    pub sessions_max: u32,
    /// Request heads that may be half received at once; [`crate::limits::HEAD_LEN_MAX`] bytes each.
    pub heads_max: u32,
    /// What HTTP serves.
    pub documents: Documents,
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
            pages: PageChoice::Best,
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
    /// The machine has not enough memory.
    #[error(transparent)]
    ResourceMemory(#[from] ArenaError),
}

impl GatewayConfig {
    pub(crate) fn check(&self) -> Result<(), GatewayError> {
        let Self { sessions_max, heads_max, documents: _, pages: _ } = *self;
        for (what, given) in [("sessions_max", sessions_max), ("heads_max", heads_max)] {
            if !(1..=SESSIONS_MAX).contains(&given) {
                return Err(GatewayError::ConfigRange { what, given });
            }
        }
        Ok(())
    }
}
