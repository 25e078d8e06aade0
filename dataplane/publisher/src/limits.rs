//! Every bound of what is shown, with its derivation.

use base::Duration;

/// The longest that a sleeping core lets a tool wait for its rows: people take it for at once, and
/// four wakings a second cost nothing.
pub(crate) const SEEN_WITHIN: Duration = Duration::from_millis(250);
