//! Where the time of a core goes: the stages of a turn, for whoever measures them.

/// A part of a core's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The device is asked for a burst.
    Receive,
    /// The burst is handled, and what others own is handed over.
    Handle,
    /// What others have received for this core is handled.
    TakeOver,
    /// What is due by the clock.
    Timers,
    /// The service's share.
    Service,
    /// Segments are made, and the burst is given to the device.
    Egress,
    /// A tool is shown what it asked for. The owner of the core marks it.
    Tools,
    /// Between two turns: asleep, or about to ask again. The owner of the core marks it.
    Idle,
}

impl Stage {
    /// Every one, in the order of a turn.
    pub const ALL: [Self; 8] = [
        Self::Receive,
        Self::Handle,
        Self::TakeOver,
        Self::Timers,
        Self::Service,
        Self::Egress,
        Self::Tools,
        Self::Idle,
    ];

    /// The name that tools print.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Handle => "handle",
            Self::TakeOver => "take_over",
            Self::Timers => "timers",
            Self::Service => "service",
            Self::Egress => "egress",
            Self::Tools => "tools",
            Self::Idle => "idle",
        }
    }
}

/// Who is told when a stage ends. An engine reads no clock; a meter may.
pub trait Meter {
    /// `stage` has ended now: what passed since the last mark was its own.
    fn mark(&mut self, stage: Stage);
}

/// Measures nothing, and costs nothing.
impl Meter for () {
    #[inline(always)]
    fn mark(&mut self, _stage: Stage) {}
}
