//! Settings of a program: one TOML file, read whole and judged whole, so that one run names
//! everything that is wrong with it.
//!
//! It knows no program's keys and no program's plan: those who use it hand it the table of their
//! keys, and a function that reads every section and makes of them what they mean.
//!
//! # Why it is built this way
//!
//! The naive reader deserializes into structs. It stops at the first error, says a name of a type
//! instead of what would be right, and knows no line of what was found wrong later. Here the file
//! is parsed into a tree with positions, every section reads its own keys from it and notes what is
//! wrong in a [`Ledger`], and only a file without a finding becomes a plan.
//!
//! ```text
//! file --read_text--> text --parse--> Section --text, number, size, choice, ...--> a plan
//!                                        |
//!                                     Ledger --> Findings: FILE:LINE:COLUMN: KEY: wrong; right
//! ```
#![forbid(unsafe_code)]

mod finding;
mod keys;
mod ledger;
mod number;
mod read;
mod section;
mod size;

pub use finding::Fault;
pub use finding::Finding;
pub use finding::Findings;
pub use finding::Place;
pub use keys::Keys;
pub use keys::nearest;
pub use ledger::At;
pub use ledger::Ledger;
pub use number::grouped;
pub use read::parse;
pub use read::read_text;
pub use section::Section;
pub use size::parse as parse_size;
pub use size::show as show_size;
