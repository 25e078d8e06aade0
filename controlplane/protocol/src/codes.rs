//! How a code on the wire becomes an enum, with a place for codes of later versions.

/// An enum of codes that keeps one that it does not know, for whom must bear with it.
macro_rules! open_codes {
    ($(#[$doc:meta])* $name:ident: $raw:ty { $($(#[$text:meta])* $variant:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum $name {
            $($(#[$text])* $variant,)*
            /// A code of a later version.
            Other($raw),
        }

        impl From<$raw> for $name {
            #[inline]
            fn from(raw: $raw) -> Self {
                match raw {
                    $($value => Self::$variant,)*
                    other => Self::Other(other),
                }
            }
        }

        impl From<$name> for $raw {
            #[inline]
            fn from(code: $name) -> Self {
                match code {
                    $($name::$variant => $value,)*
                    $name::Other(other) => other,
                }
            }
        }
    };
}

/// An enum of codes of which no other has a meaning; the error is the code that has none.
macro_rules! closed_codes {
    ($(#[$doc:meta])* $name:ident: $raw:ty { $($(#[$text:meta])* $variant:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[repr($raw)]
        pub enum $name {
            $($(#[$text])* $variant = $value,)*
        }

        impl TryFrom<$raw> for $name {
            type Error = $raw;

            #[inline]
            fn try_from(raw: $raw) -> Result<Self, $raw> {
                match raw {
                    $($value => Ok(Self::$variant),)*
                    other => Err(other),
                }
            }
        }

        impl From<$name> for $raw {
            #[inline]
            fn from(code: $name) -> Self {
                code as Self
            }
        }
    };
}

pub(crate) use closed_codes;
pub(crate) use open_codes;
