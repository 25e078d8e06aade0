//! What a service does with what it receives: it checks it, and takes some.

use memory::Frame;
use stack::{Conn, Context, Data};

use super::{Player, Timer};
use crate::limits::HOARD_MAX;
use crate::run::Sabotage;
use crate::stream;

impl Player {
    /// Checks what is offered and takes as much of it as the appetite says.
    pub(super) fn read(
        &mut self,
        cx: &mut Context<'_>,
        id: u32,
        conn: Conn,
        data: &mut Data,
    ) -> usize {
        let side = &self.sides[id as usize];
        let (offset, key) = (side.received, side.keys[1]);
        let (is_void, is_paused) = (side.has_closed || side.has_end, side.is_read_paused);
        let is_echo = side.plan.is_echo;
        let bytes = data.bytes(cx);
        let len = bytes.len();
        let wrong = stream::first_wrong(key, offset, bytes);
        if let Some(place) = wrong {
            let at = offset + place as u64;
            self.complain(format!("a wrong byte at {at} of connection {id} ({len} from {offset})"));
        }
        if is_void || len == 0 {
            self.complain(format!("{len} bytes after the end, or none, on connection {id}"));
        }
        if is_paused {
            return 0;
        }
        let taken =
            if is_echo { self.echo(cx, id, conn, data) } else { self.eat(cx, id, len, data) };
        self.bytes_checked += taken as u64;
        self.side_mut(id).received += taken as u64;
        taken
    }

    /// Sends it back in its frame, if there is room.
    fn echo(&mut self, cx: &mut Context<'_>, id: u32, conn: Conn, data: &mut Data) -> usize {
        let taken = cx.send_data(conn, data);
        let side = self.side_mut(id);
        side.sent += taken as u64;
        side.is_blocked = taken == 0;
        taken
    }

    fn eat(&mut self, cx: &mut Context<'_>, id: u32, len: usize, data: &mut Data) -> usize {
        let plan = &self.sides[id as usize].plan;
        let (pause_ppm, pause_max) = (plan.read_pause_ppm, plan.read_pause_max);
        let hoards = plan.hoards;
        if self.rng.chance_ppm(pause_ppm) {
            let pause = self.pause(pause_max);
            self.side_mut(id).is_read_paused = true;
            self.set_timer(cx, id, Timer::Read, pause);
            return usize::try_from(self.rng.below(len as u64 + 1)).expect("at most `len`");
        }
        if hoards && self.hoard.len() < HOARD_MAX {
            self.keep(cx, id, data.take());
        }
        len
    }

    /// Keeps a frame for up to two seconds.
    fn keep(&mut self, cx: &mut Context<'_>, id: u32, frame: Option<Frame>) {
        let Some(frame) = frame else { return };
        if self.hoard.is_empty() && self.sabotage != Some(Sabotage::Leak) {
            let pause = self.pause(base::Duration::from_secs(2));
            self.set_timer(cx, id, Timer::Hoard, pause);
        }
        self.hoard.push(frame);
    }
}
