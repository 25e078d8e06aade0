//! Why a switch is not reached: what is wrong, and what would be right.

use protocol::ErrorCode;
use rustls::{AlertDescription, CertificateError, Error};

/// What stands between a client and the switch. It may pass, so the client tries again; a call that
/// ends without an answer tells the latest. Of some [`Trouble::is_final`] says that trying alone does
/// not mend them, and then `connect` does not wait for the end of its time.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Trouble {
    /// There is no connection.
    #[error("cannot connect to {endpoint}: {why}")]
    Unreachable {
        /// Where.
        endpoint: String,
        /// What the kernel says of it.
        why: String,
    },
    /// The connection broke.
    #[error("the connection to {endpoint} broke: {why}")]
    Broken {
        /// Where.
        endpoint: String,
        /// What the kernel says of it.
        why: String,
    },
    /// The switch closed the connection without a reason.
    #[error("the switch at {endpoint} closed the connection")]
    Closed {
        /// Where.
        endpoint: String,
    },
    /// TLS failed.
    #[error("TLS with {endpoint}: {fault}")]
    Tls {
        /// Where.
        endpoint: String,
        /// What is wrong.
        fault: TlsFault,
    },
    /// A connection stands, and no greeting came on it: a switch is the first to speak.
    #[error(
        "{endpoint} takes connections and says nothing; if that is a listener for TLS and this client \
         speaks none, name the authority (CA) of its certificate; else it hangs, or is no BYPSS switch"
    )]
    Silent {
        /// Where.
        endpoint: String,
    },
    /// The switch is not the master, or was it before another.
    #[error("the switch is not the latest master; name every switch that may be the master")]
    Stale,
    /// The switch said why.
    #[error("{code:?}: {message}")]
    Refused {
        /// The reason.
        code: ErrorCode,
        /// The switch's words.
        message: String,
    },
    /// The switch answers no heartbeat.
    #[error("the switch answers no RELET")]
    Unanswered,
    /// What comes is not what a switch says.
    #[error("{endpoint} does not speak as a BYPSS switch does: {what}")]
    Nonsense {
        /// Where.
        endpoint: String,
        /// What came.
        what: String,
    },
}

impl Trouble {
    /// Whether it stays until somebody changes a file, an argument or the switch.
    ///
    /// Final are certificates that are not believed, on either side, a side that speaks no TLS where
    /// the other does, and an endpoint that speaks another protocol. Not final is what ends when a
    /// switch starts, is reached or becomes the master, and silence, for a switch that is held up is
    /// silent too. What a switch refuses for good (who is asking, another cluster, another version)
    /// is no trouble: it ends the client, by [`Over`](crate::Over).
    ///
    /// A client goes on trying in any case: a certificate may be renewed at the switch. Its own files
    /// are read when it starts, and not again.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Tls { fault, .. } => fault.is_final(),
            Self::Nonsense { .. } => true,
            Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::Closed { .. }
            | Self::Silent { .. }
            | Self::Stale
            | Self::Refused { .. }
            | Self::Unanswered => false,
        }
    }
}

/// What is wrong with TLS.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TlsFault {
    /// The switch's certificate is signed by somebody else.
    #[error(
        "the switch's certificate is not signed by the authority that this client believes; name \
         the authority (CA) that has signed it"
    )]
    Issuer,
    /// It is over.
    #[error("the switch's certificate is over; renew it, or set this machine's clock")]
    Expired,
    /// It has not begun.
    #[error("the switch's certificate is not valid yet; set this machine's clock, or wait")]
    Early,
    /// It is for another name.
    #[error(
        "the switch's certificate is not for {name:?} but for {others}; use such a name in the \
         endpoint, or as the name in the switch's certificate"
    )]
    Name {
        /// The name that it should have.
        name: String,
        /// Those that it has.
        others: String,
    },
    /// It is wrong in another way.
    #[error("the switch's certificate is not believed: {0}; give the switch another")]
    Certificate(String),
    /// The other side speaks no TLS.
    #[error("there is no TLS; use the switch's listener for TLS, or name no authority (CA)")]
    Plain,
    /// This node's certificate is over.
    #[error("the switch refuses this node's certificate, which is over; renew it")]
    OwnExpired,
    /// This node's certificate is signed by somebody else.
    #[error(
        "the switch refuses this node's certificate, whose authority it does not believe; use one \
         that is signed by the switch's client_ca_file"
    )]
    OwnIssuer,
    /// This node has shown none.
    #[error("the switch wants a certificate of this node; name one and its key")]
    OwnMissing,
    /// This node's certificate is wrong in another way.
    #[error("the switch refuses this node's certificate ({0}); use another")]
    Own(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl TlsFault {
    /// See [`Trouble::is_final`]. A certificate that has not begun begins.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Issuer
            | Self::Expired
            | Self::Name { .. }
            | Self::Certificate(_)
            | Self::Plain
            | Self::OwnExpired
            | Self::OwnIssuer
            | Self::OwnMissing
            | Self::Own(_) => true,
            Self::Early | Self::Other(_) => false,
        }
    }

    /// What an error of the library means to who has to mend it.
    #[expect(clippy::wildcard_enum_match_arm, reason = "foreign enums, which may grow")]
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(wrong) => Self::of_certificate(wrong),
            Error::InvalidMessage(_) => Self::Plain,
            Error::AlertReceived(alert) => Self::of_alert(*alert),
            other => Self::Other(other.to_string()),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum, which may grow")]
    fn of_certificate(wrong: &CertificateError) -> Self {
        use CertificateError as Wrong;
        match wrong {
            // An authority of the same name with another key signs otherwise.
            Wrong::UnknownIssuer | Wrong::BadSignature => Self::Issuer,
            Wrong::Expired | Wrong::ExpiredContext { .. } => Self::Expired,
            Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => Self::Early,
            Wrong::NotValidForNameContext { expected, presented } => {
                let names: Vec<_> = presented.iter().map(|name| plain_name(name)).collect();
                let others = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
                Self::Name { name: expected.to_str().into_owned(), others }
            }
            other => Self::Certificate(other.to_string()),
        }
    }

    /// The switch sends an alert in a handshake because of what this node has shown.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum, which may grow")]
    fn of_alert(alert: AlertDescription) -> Self {
        use AlertDescription as Alert;
        match alert {
            Alert::CertificateExpired => Self::OwnExpired,
            Alert::UnknownCA | Alert::DecryptError => Self::OwnIssuer,
            Alert::CertificateRequired => Self::OwnMissing,
            Alert::BadCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::UnsupportedCertificate => Self::Own(format!("{alert:?}")),
            other => Self::Other(format!("the switch ends the handshake with {other:?}")),
        }
    }
}

/// A name of a certificate without the kind that the library writes around it, as in
/// `DnsName("localhost")`.
fn plain_name(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_kind, rest)| rest.strip_suffix(')'));
    inner.map_or(name, |inner| inner.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_certificate_are_told_as_they_are_written() {
        for (told, name) in [
            ("DnsName(\"localhost\")", "localhost"),
            ("IpAddress(127.0.0.1)", "127.0.0.1"),
            ("sw-1.example", "sw-1.example"),
        ] {
            assert_eq!(plain_name(told), name);
        }
    }
}
