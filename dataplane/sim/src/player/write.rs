//! What a service sends: its stream in pieces, with rests, and the end of it.

use stack::{Conn, Context, SendError};

use super::{Player, Stage, Timer};
use crate::plan::Ending;
use crate::run::Sabotage;
use crate::stream;

impl Player {
    /// Writes on, until all is written, there is no room, or a rest is due.
    pub(super) fn write(&mut self, cx: &mut Context<'_>, id: u32) {
        loop {
            let side = &self.sides[id as usize];
            let (true, Some(conn)) = (side.is_alive(), side.conn) else { return };
            if side.has_finished || side.is_write_paused || side.is_blocked || side.plan.is_echo {
                return;
            }
            if side.sent >= side.plan.send_len {
                // A connection that is not open yet ends when it is.
                if side.stage == Stage::Open {
                    self.finish(cx, id, conn);
                }
                return;
            }
            if !self.write_piece(cx, id, conn) {
                return;
            }
            let plan = &self.sides[id as usize].plan;
            let (pause_ppm, pause_max) = (plan.write_pause_ppm, plan.write_pause_max);
            if self.rng.chance_ppm(pause_ppm) {
                let pause = self.pause(pause_max);
                self.side_mut(id).is_write_paused = true;
                self.set_timer(cx, id, Timer::Write, pause);
                return;
            }
        }
    }

    /// Writes one piece. False if not all of it was taken.
    fn write_piece(&mut self, cx: &mut Context<'_>, id: u32, conn: Conn) -> bool {
        let side = &self.sides[id as usize];
        let (key, offset) = (side.keys[0], side.sent);
        let left = side.plan.send_len - offset;
        let wanted = 1 + self.rng.below(side.plan.piece_max as u64);
        let len = usize::try_from(wanted.min(left)).expect("at most a piece");
        let piece = &mut self.piece[..len];
        stream::fill(key, offset, piece);
        let taken = match self.sabotage {
            Some(Sabotage::WrongByte)
                if offset + len as u64 == self.sides[id as usize].plan.send_len =>
            {
                piece[len - 1] ^= 0x10;
                cx.send(conn, piece)
            }
            Some(Sabotage::MissingTail) if wanted > left => Ok(len),
            _ => cx.send(conn, piece),
        };
        match taken {
            Ok(taken) => {
                let side = self.side_mut(id);
                side.sent += taken as u64;
                side.is_blocked = taken < len;
                taken == len
            }
            // It has ended, and `on_close` is on its way.
            Err(SendError::Ended) => false,
            Err(error) => {
                self.complain(format!("send on connection {id}: {error}"));
                false
            }
        }
    }

    /// All is sent: our direction ends.
    fn finish(&mut self, cx: &mut Context<'_>, id: u32, conn: Conn) {
        let side = self.side_mut(id);
        match side.plan.ending {
            Ending::Finish | Ending::Close | Ending::Abort(_) | Ending::CloseEarly(_) => {
                side.has_finished = true;
                cx.finish(conn);
                self.close_if_done(cx, id);
            }
            Ending::CloseAtEnd => {
                if side.has_end {
                    side.has_finished = true;
                    cx.finish(conn);
                }
            }
            Ending::Refuse => {}
        }
    }

    /// Closes where both directions have ended and the plan says so: nothing is left to be lost.
    pub(super) fn close_if_done(&mut self, cx: &mut Context<'_>, id: u32) {
        let side = self.side_mut(id);
        let is_done = side.has_finished && side.has_end && !side.has_closed;
        if let (true, Ending::Close, Some(conn)) = (is_done, side.plan.ending, side.conn) {
            side.has_closed = true;
            cx.close(conn);
        }
    }
}
