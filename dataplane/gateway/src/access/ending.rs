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
        /// The client ended its direction, or the connection, before its time.
        Client => 'C',
        /// The client reset the connection.
        Reset => 'X',
        /// The client was too slow for a time-out or a least rate.
        Timeout => 'T',
        /// The client is not there any more: retransmissions or keep-alive probes went unanswered.
        Vanished => 'V',
        /// The request is not HTTP as it is spoken here, or nobody knows where it ends.
        Protocol => 'P',
        /// The request, or what came after it, is larger than is taken.
        Limit => 'M',
        /// The gateway lacked something: a session, a buffer, frames.
        Resource => 'R',
        /// The gateway was asked to end.
        Drain => 'D',
        /// The gateway's own stack ended it, or would send no more on it.
        Stack => 'S',
    }
}

lettered! {
    /// What was under way: the second letter.
    Place {
        /// Nothing any more.
        None => '-',
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
    /// The answer is whole, and nothing was wrong.
    pub const WHOLE: Self = Self { cause: Cause::None, place: Place::None };

    pub(crate) const fn new(cause: Cause, place: Place) -> Self {
        Self { cause, place }
    }

    /// The two letters.
    #[must_use]
    pub const fn code(self) -> [char; 2] {
        [self.cause.letter(), self.place.letter()]
    }

    /// Whether it ended otherwise than it should. A drain is meant.
    #[must_use]
    pub const fn is_error(self) -> bool {
        !matches!(self.cause, Cause::None | Cause::Drain)
    }

    /// An answer was sent whole: of a document, or of what was wrong with the request.
    pub(crate) fn of_answer(refusal: Option<Refusal>) -> Self {
        refusal.map_or(Self::WHOLE, Self::of_refusal)
    }

    /// What a refusal ends, and why.
    pub(crate) const fn of_refusal(refusal: Refusal) -> Self {
        match refusal {
            Refusal::HeadMalformed
            | Refusal::LineFeedAlone
            | Refusal::VersionUnsupported
            | Refusal::HostMissing
            | Refusal::HostMalformed
            | Refusal::TargetMalformed
            | Refusal::SchemeMisdirected
            | Refusal::PathEscapes
            | Refusal::ContentLengthMalformed
            | Refusal::LengthRequired
            | Refusal::FramingAmbiguous
            | Refusal::CodingUnending
            | Refusal::TransferCoding
            | Refusal::MethodUnknown => Self::new(Cause::Protocol, Place::Head),
            Refusal::ChunkMalformed => Self::new(Cause::Protocol, Place::Body),
            Refusal::TargetTooLong | Refusal::HeadTooLong | Refusal::HeadersTooMany => {
                Self::new(Cause::Limit, Place::Head)
            }
            Refusal::TrailersTooLong | Refusal::BodyTooLong => Self::new(Cause::Limit, Place::Body),
            Refusal::LingerTooLong => Self::new(Cause::Limit, Place::Linger),
            Refusal::HeadTimeout => Self::new(Cause::Timeout, Place::Head),
            Refusal::BodyTimeout => Self::new(Cause::Timeout, Place::Body),
            Refusal::AnswerTimeout => Self::new(Cause::Timeout, Place::Answer),
            Refusal::IdleTimeout => Self::new(Cause::Timeout, Place::Idle),
            Refusal::LingerTimeout => Self::new(Cause::Timeout, Place::Linger),
            Refusal::ResourceHeads => Self::new(Cause::Resource, Place::Head),
            Refusal::ResourceSessions | Refusal::ResourceFrames | Refusal::ResourceTimers => {
                Self::new(Cause::Resource, Place::Answer)
            }
            Refusal::LingerRefused => Self::new(Cause::Resource, Place::Linger),
            Refusal::PeerTruncated => Self::new(Cause::Client, Place::Head),
            Refusal::AnswerCut => Self::new(Cause::Client, Place::Answer),
            Refusal::SendRefused => Self::new(Cause::Stack, Place::Answer),
            // The status says all there is, and the connection goes on.
            Refusal::ExpectationUnknown
            | Refusal::MethodNotAllowed
            | Refusal::NotFound
            | Refusal::PreconditionFailed
            | Refusal::RangeUnsatisfiable
            | Refusal::Datagram => Self::WHOLE,
        }
    }
}

impl Cause {
    /// Who ended a connection, as the stack says it.
    pub(crate) const fn of_close(why: CloseReason, is_draining: bool) -> Self {
        match why {
            CloseReason::Finished | CloseReason::DataAfterClose => Self::Client,
            CloseReason::PeerReset | CloseReason::PeerRefused => Self::Reset,
            CloseReason::TimedOut | CloseReason::KeepAlive => Self::Vanished,
            CloseReason::UserTimeout => Self::Timeout,
            CloseReason::FramesScarce => Self::Resource,
            CloseReason::Aborted if is_draining => Self::Drain,
            CloseReason::Aborted => Self::Stack,
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn a_refusal_that_ends_a_connection_is_an_error() {
        for &refusal in Refusal::ALL {
            let ending = Ending::of_refusal(refusal);
            assert_eq!(ending.is_error(), ending.cause != Cause::None, "{refusal:?}");
            assert_eq!(ending.cause == Cause::None, ending.place == Place::None, "{refusal:?}");
        }
    }
}
