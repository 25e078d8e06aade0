//! The end of serving: who waits for an answer gets it, with the word that it was the last.

use stack::{Conn, Context};

use super::{Http, session_of};
use crate::access::Cause;
use crate::counters::Refusal;

impl Http {
    /// From now on every answer says that it is its connection's last, and is.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-9.6
    //# A server that sends a "close" connection option MUST initiate closure of the connection
    //# after it sends the response containing the "close" connection option.
    pub(crate) fn begin_drain(&mut self) {
        self.is_draining = true;
    }

    /// Ends a connection that is between two requests; whether it was.
    pub(crate) fn end_idle(&mut self, cx: &mut Context<'_>, conn: Conn) -> bool {
        if session_of(cx, conn).is_some() {
            return false;
        }
        if self.is_draining {
            self.log_left(cx, conn, Cause::Drain);
        } else {
            self.log_drop(cx, conn, Refusal::IdleTimeout);
        }
        // A request that crosses our end is thrown away, so that the client reads the end and no
        // reset: it may ask again elsewhere either way, and of an end it knows that it may.
        if self.sessions.has_free() {
            self.linger(cx, conn, None);
        } else {
            self.close(cx, conn);
        }
        true
    }
}
