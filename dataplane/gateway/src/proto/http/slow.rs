//! Clients that are too slow: what ends with them, and what is counted.

use stack::{CloseReason, Conn, Context};

use super::Http;
use super::request::Rejection;
use super::session::Phase;
use crate::counters::Refusal;

impl Http {
    /// Ends what has had its time.
    pub(super) fn expire(&mut self, cx: &mut Context<'_>, conn: Conn, index: u32, phase: Phase) {
        // Each of these ends the phase or the session, so that the next look finds another.
        match phase {
            //= https://www.rfc-editor.org/rfc/rfc9110#section-15.5.9
            //# the server did not receive a complete request message within the time that it was
            //# prepared to wait
            Phase::Head { buffer, len } => {
                self.note_buffered(index, len as usize, None);
                let is_head = self.sessions.head(buffer).starts_with(b"HEAD ");
                let rejection = Rejection { refusal: Refusal::HeadTimeout, is_head };
                self.refuse(cx, conn, Some(index), rejection)
            }
            Phase::Body { answer, .. } => {
                let is_head = answer.is_head;
                let rejection = Rejection { refusal: Refusal::BodyTimeout, is_head };
                self.refuse(cx, conn, Some(index), rejection)
            }
            Phase::Answer(_) => self.drop_for(cx, conn, Refusal::AnswerTimeout),
            Phase::Linger { .. } => {
                self.counters.refuse_for(Refusal::LingerTimeout);
                self.log_drop(cx, conn, Refusal::LingerTimeout);
                self.close(cx, conn)
            }
        };
    }

    /// A connection has ended in the middle of `phase`, or between two requests.
    pub(super) fn closed(&mut self, phase: Option<Phase>, why: CloseReason) {
        self.counters.closed += 1;
        match (why, phase) {
            // The last bytes of an answer wait in the stack, which holds the client to its rate.
            (CloseReason::UserTimeout, _) => self.counters.refuse_for(Refusal::AnswerTimeout),
            (CloseReason::FramesScarce, _) => self.counters.refuse_for(Refusal::ResourceFrames),
            (_, Some(Phase::Answer(_))) => self.counters.refuse_for(Refusal::AnswerCut),
            _ => {}
        }
    }
}
