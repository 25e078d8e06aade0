//! How a request or a connection ended, as two letters.

use stack::CloseReason;

use crate::counters::Refusal;

/// Declares an enum whose values have a letter and a meaning.
macro_rules! lettered {
    ($(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => $letter:literal,)* }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant,)* }
        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// Its letter in the log.
            #[must_use]
            pub const fn letter(self) -> char {
                match self { $(Self::$variant => $letter,)* }
            }
        }
    };
}

lettered! {
    /// Who or what ended it: the first letter.
    Cause {
        /// Nobody: the answer is whole, and the connection goes on or ends as was agreed.
        None => '-',
        /// The client ended its direction before its time.
        Client => 'C',
        /// The client reset the connection.
        Reset => 'X',
        /// The client was too slow for a time-out or a least rate.
        Timeout => 'T',
        /// The client is not there any more: retransmissions or keep-alive probes went unanswered.
        Vanished => 'V',
        /// The request is not HTTP as it is spoken here.
        Protocol => 'P',
        /// Nobody can say where the request ends: it may hide another one.
        Smuggling => 'G',
        /// The request, or what came after it, is larger than is taken.
        Limit => 'M',
        /// The gateway lacked something: a session, a buffer, frames.
        Resource => 'R',
        /// The gateway was asked to end, and nothing was under way.
        Drain => 'D',
        /// The time of the drain was over: it was cut.
        Cut => 'K',
        /// The gateway ended at once, as it stood.
        Stop => 'E',
        /// The network device vanished.
        Device => 'N',
        /// The gateway's own stack would send no more on it.
        Stack => 'S',
    }
}

lettered! {
    /// What was under way, or what comes next: the second letter.
    Place {
        /// Nothing any more: the connection stays.
        Kept => 'K',
        /// Nothing any more: the connection ends, as the client wished.
        Closed => 'C',
        /// Nothing any more: the connection ends, as the client has ended its direction.
        HalfClosed => 'E',
        /// Nothing any more: the connection ends, as the gateway does.
        Draining => 'D',
        /// The head of a request.
        Head => 'H',
        /// The content of a request.
        Body => 'B',
        /// The answer.
        Answer => 'A',
        /// Nothing: the connection was between two requests.
        Idle => 'I',
        /// What the client sends after an answer that is the connection's last.
        Linger => 'L',
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Who or what ended it.
    pub cause: Cause,
    /// What was under way.
    pub place: Place,
}

impl Ending {
    pub(crate) const fn new(cause: Cause, place: Place) -> Self {
        Self { cause, place }
    }

    /// The two letters.
    #[must_use]
    pub const fn code(self) -> [char; 2] {
        [self.cause.letter(), self.place.letter()]
    }

    /// Whether it ended otherwise than it should. A drain is meant, and so is the end of a
    /// connection on which nothing was asked any more.
    #[must_use]
    pub const fn is_error(self) -> bool {
        let Self { cause, place } = self;
        match cause {
            Cause::None | Cause::Drain => false,
            Cause::Client | Cause::Timeout => !matches!(place, Place::Idle),
            Cause::Reset
            | Cause::Vanished
            | Cause::Protocol
            | Cause::Smuggling
            | Cause::Limit
            | Cause::Resource
            | Cause::Cut
            | Cause::Stop
            | Cause::Device
            | Cause::Stack => true,
        }
    }

    /// What a refusal ends, and why; `None` where it is an answer like any other, and where nothing
    /// ends.
    pub(crate) const fn of_refusal(refusal: Refusal) -> Option<Self> {
        let (cause, place) = match refusal {
            Refusal::HeadMalformed
            | Refusal::VersionUnsupported
            | Refusal::HostMissing
            | Refusal::HostMalformed
            | Refusal::TargetMalformed
            | Refusal::PathEscapes
            | Refusal::LengthRequired => (Cause::Protocol, Place::Head),
            Refusal::LineFeedAlone
            | Refusal::ContentLengthMalformed
            | Refusal::FramingAmbiguous
            | Refusal::CodingUnending
            | Refusal::TransferCoding => (Cause::Smuggling, Place::Head),
            Refusal::ChunkMalformed => (Cause::Smuggling, Place::Body),
            Refusal::TargetTooLong | Refusal::HeadTooLong | Refusal::HeadersTooMany => {
                (Cause::Limit, Place::Head)
            }
            Refusal::TrailersTooLong | Refusal::BodyTooLong => (Cause::Limit, Place::Body),
            Refusal::LingerTooLong => (Cause::Limit, Place::Linger),
            Refusal::HeadTimeout => (Cause::Timeout, Place::Head),
            Refusal::BodyTimeout => (Cause::Timeout, Place::Body),
            Refusal::AnswerTimeout => (Cause::Timeout, Place::Answer),
            Refusal::IdleTimeout => (Cause::Timeout, Place::Idle),
            Refusal::LingerTimeout => (Cause::Timeout, Place::Linger),
            Refusal::ResourceHeads | Refusal::ResourceSessions => (Cause::Resource, Place::Head),
            Refusal::ResourceFrames => (Cause::Resource, Place::Answer),
            Refusal::LingerRefused => (Cause::Resource, Place::Linger),
            Refusal::PeerTruncated => (Cause::Client, Place::Body),
            Refusal::AnswerCut => (Cause::Reset, Place::Answer),
            Refusal::SendRefused => (Cause::Stack, Place::Answer),
            // The status says all there is.
            Refusal::ExpectationUnknown
            | Refusal::SchemeMisdirected
            | Refusal::MethodUnknown
            | Refusal::MethodNotAllowed
            | Refusal::NotFound
            | Refusal::PreconditionFailed
            | Refusal::RangeUnsatisfiable => return None,
            // Late time-outs, and a datagram, are no end of anything.
            Refusal::ResourceTimers | Refusal::Datagram => return None,
        };
        Some(Self::new(cause, place))
    }

    /// How a connection ended that the stack has ended for `why`, in the middle of `place`; `None`
    /// where whoever ended it has told of it.
    pub(crate) fn of_close(why: CloseReason, place: Place) -> Option<(Self, Option<Refusal>)> {
        let cut = (place == Place::Answer).then_some(Refusal::AnswerCut);
        let (cause, place, refusal) = match why {
            CloseReason::Finished | CloseReason::Aborted => return None,
            CloseReason::PeerReset | CloseReason::PeerRefused => (Cause::Reset, place, cut),
            CloseReason::TimedOut | CloseReason::KeepAlive => (Cause::Vanished, place, cut),
            CloseReason::DataAfterClose => (Cause::Limit, Place::Linger, None),
            // The last bytes of an answer wait in the stack, where no session holds them any more.
            CloseReason::UserTimeout => {
                (Cause::Timeout, Place::Answer, Some(Refusal::AnswerTimeout))
            }
            CloseReason::FramesScarce => {
                (Cause::Resource, Place::Answer, Some(Refusal::ResourceFrames))
            }
        };
        Some((Self::new(cause, place), refusal))
    }
}

#[cfg(test)]
mod tests {
    use stack::CloseReason;

    use super::{Cause, Ending, Place};
    use crate::counters::Refusal;

    #[test]
    fn every_letter_means_one_thing() {
        let mut causes: Vec<_> = Cause::ALL.iter().map(|cause| cause.letter()).collect();
        let mut places: Vec<_> = Place::ALL.iter().map(|place| place.letter()).collect();
        for letters in [&mut causes, &mut places] {
            let count = letters.len();
            letters.sort_unstable();
            letters.dedup();
            assert_eq!(letters.len(), count);
        }
    }

    #[test]
    fn a_refusal_ends_something_unless_its_status_says_all() {
        let silent = [
            Refusal::SchemeMisdirected,
            Refusal::ExpectationUnknown,
            Refusal::MethodNotAllowed,
            Refusal::MethodUnknown,
            Refusal::NotFound,
            Refusal::PreconditionFailed,
            Refusal::RangeUnsatisfiable,
            Refusal::ResourceTimers,
            Refusal::Datagram,
        ];
        for &refusal in Refusal::ALL {
            let ending = Ending::of_refusal(refusal);
            assert_eq!(ending.is_none(), silent.contains(&refusal), "{refusal:?}");
            let is_error = ending.is_some_and(Ending::is_error);
            let is_idle = refusal == Refusal::IdleTimeout;
            assert_eq!(is_error, ending.is_some() && !is_idle, "{refusal:?}");
        }
    }

    #[test]
    fn what_the_stack_ends_is_told_unless_somebody_has() {
        let code = |why, place| Ending::of_close(why, place).map(|(ending, _)| ending.code());
        assert_eq!(code(CloseReason::Finished, Place::Idle), None);
        assert_eq!(code(CloseReason::Aborted, Place::Answer), None);
        assert_eq!(code(CloseReason::PeerReset, Place::Body), Some(['X', 'B']));
        assert_eq!(code(CloseReason::TimedOut, Place::Answer), Some(['V', 'A']));
        assert_eq!(code(CloseReason::KeepAlive, Place::Idle), Some(['V', 'I']));
        assert_eq!(code(CloseReason::UserTimeout, Place::Idle), Some(['T', 'A']));
        assert_eq!(code(CloseReason::FramesScarce, Place::Idle), Some(['R', 'A']));
        assert_eq!(code(CloseReason::DataAfterClose, Place::Idle), Some(['M', 'L']));
    }
}
