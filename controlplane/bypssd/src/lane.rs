//! A bounded way from one thread to another, and how each of them wakes the other.
//!
//! Neither waits in a spin. Who finds the ring full keeps what it has, and is woken when there is
//! room; who finds it empty may sleep, and is woken when there is something. Both follow the order
//! of [`Doze`]: say what you are about to do, then look once more.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use memory::{Consumer, Doze, Producer, ring};

/// What ends the sleep of a thread in the kernel.
#[derive(Clone, Debug)]
pub(crate) struct Bell(Arc<UnixStream>);

impl Bell {
    /// A bell that rings at the other end of a pair.
    pub(crate) fn new(end: UnixStream) -> Self {
        Self(Arc::new(end))
    }

    /// Wakes the thread, or keeps it from falling asleep.
    pub(crate) fn ring(&self) {
        // A bell that is full of rings rings already.
        (&*self.0).write_all(b"x").ok();
    }
}

/// A thread that others put something before.
#[derive(Clone, Debug)]
pub(crate) struct Sleeper {
    doze: Arc<Doze>,
    bell: Bell,
}

impl Sleeper {
    /// One that is awake.
    pub(crate) fn new(bell: Bell) -> Self {
        Self { doze: Arc::default(), bell }
    }

    /// The thread itself says that it will sleep, and looks into its lanes afterwards.
    pub(crate) fn lie_down(&self) {
        self.doze.lie_down();
    }

    /// The thread itself is awake.
    pub(crate) fn rise(&self) {
        self.doze.rise();
    }

    fn wake(&self) {
        if self.doze.must_be_woken() {
            self.bell.ring();
        }
    }
}

/// The end that puts in.
#[derive(Debug)]
pub(crate) struct Sender<T: Send> {
    producer: Producer<T>,
    to: Sleeper,
    /// Lain down while there is no room and this end has something.
    room: Arc<Doze>,
}

/// The end that takes out.
#[derive(Debug)]
pub(crate) struct Receiver<T: Send> {
    consumer: Consumer<T>,
    room: Arc<Doze>,
    from: Bell,
}

/// A way for `capacity` items, a power of two.
pub(crate) fn lane<T: Send>(
    capacity: usize,
    from: &Sleeper,
    to: &Sleeper,
) -> (Sender<T>, Receiver<T>) {
    let (producer, consumer) = ring(capacity);
    let room: Arc<Doze> = Arc::default();
    let receiver = Receiver { consumer, room: Arc::clone(&room), from: from.bell.clone() };
    (Sender { producer, to: to.clone(), room }, receiver)
}

impl<T: Send> Sender<T> {
    /// Puts an item in. If there is no room it comes back, and this thread's bell rings once there
    /// is some.
    pub(crate) fn push(&mut self, item: T) -> Result<(), T> {
        let item = match self.producer.push(item) {
            Ok(()) => {
                self.to.wake();
                return Ok(());
            }
            Err(item) => item,
        };
        self.room.lie_down();
        self.producer.push(item)?;
        self.room.rise();
        self.to.wake();
        Ok(())
    }

    /// Whether an item would find room. If not, this thread's bell rings once there is some.
    pub(crate) fn has_room(&mut self) -> bool {
        if self.producer.free() > 0 {
            return true;
        }
        self.room.lie_down();
        if self.producer.free() == 0 {
            return false;
        }
        self.room.rise();
        true
    }
}

impl<T: Send> Receiver<T> {
    /// Takes the oldest item. Who has taken some calls [`Receiver::rest`].
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.consumer.pop()
    }

    /// Nothing more is taken at the moment: who waits for room hears of it.
    pub(crate) fn rest(&self) {
        if self.room.must_be_woken() {
            self.from.ring();
        }
    }

    /// Whether there is nothing to take.
    pub(crate) fn is_empty(&self) -> bool {
        self.consumer.is_empty()
    }

    /// Whether the other end is gone, and nothing is left of it.
    pub(crate) fn is_over(&self) -> bool {
        self.consumer.is_abandoned() && self.consumer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    use super::{Bell, Sleeper, lane};

    fn sleeper() -> (Sleeper, UnixStream) {
        let (bell, rung) = UnixStream::pair().unwrap();
        rung.set_nonblocking(true).unwrap();
        (Sleeper::new(Bell::new(bell)), rung)
    }

    fn rings(mut rung: &UnixStream) -> usize {
        rung.read(&mut [0; 16]).unwrap_or(0)
    }

    #[test]
    fn who_sleeps_is_woken_once_and_who_is_awake_is_left_alone() {
        let ((from, _from_rung), (to, to_rung)) = (sleeper(), sleeper());
        let (mut sender, mut receiver) = lane(4, &from, &to);
        sender.push(1).unwrap();
        assert_eq!(rings(&to_rung), 0);
        to.lie_down();
        assert!(!receiver.is_empty(), "it looks after it has said so");
        sender.push(2).unwrap();
        sender.push(3).unwrap();
        assert_eq!(rings(&to_rung), 1);
        assert_eq!([receiver.pop(), receiver.pop(), receiver.pop()], [Some(1), Some(2), Some(3)]);
        to.lie_down();
        to.rise();
        sender.push(4).unwrap();
        assert_eq!(rings(&to_rung), 0);
    }

    #[test]
    fn who_found_no_room_hears_of_some_and_nobody_else_does() {
        let ((from, from_rung), (to, _to_rung)) = (sleeper(), sleeper());
        let (mut sender, mut receiver) = lane(2, &from, &to);
        sender.push(1).unwrap();
        receiver.pop();
        receiver.rest();
        assert_eq!(rings(&from_rung), 0, "nobody waited for room");
        sender.push(2).unwrap();
        sender.push(3).unwrap();
        assert_eq!((sender.push(4), sender.has_room()), (Err(4), false));
        assert_eq!(receiver.pop(), Some(2));
        receiver.rest();
        receiver.rest();
        assert_eq!(rings(&from_rung), 1);
        assert!(sender.has_room() && sender.push(4).is_ok());
        drop(sender);
        assert!(!receiver.is_over());
        assert_eq!([receiver.pop(), receiver.pop()], [Some(3), Some(4)]);
        assert!(receiver.is_over());
    }
}
