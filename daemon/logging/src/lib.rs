//! The log of a program: lines on standard error, of what happens once.
//!
//! It is no log of requests and counts nothing: what happens per packet, per connection or per
//! request is a counter or an access log.
//!
//! # Why it is built this way
//!
//! Whoever reads the log may stop to: a pipe to a program that hangs, a terminal that is held, a
//! disk that is full. In the naive log a thread writes there itself; it then hangs with the reader,
//! and with it what it looks after: a device, the watchdog, everybody's leases, the end. Here all put
//! their lines before one thread that does nothing else, in a bounded queue; what does not fit is
//! counted, and told when there is room. Level and format may change while all of them tell.
//!
//! ```text
//! tracing's info!, warn!, ... --> a line --> queue --> thread `log` --> standard error
//!                                    |
//!                              full: counted, told later
//! ```
#![forbid(unsafe_code)]

mod limits;
mod log;

pub use log::FORMATS;
pub use log::Format;
pub use log::LEVELS;
pub use log::Log;
pub use log::LogError;
pub use log::change;
pub use log::flush;
pub use log::install;
