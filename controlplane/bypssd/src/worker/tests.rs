//! A worker between real sockets and a service that only knows lengths: in its own thread, and held
//! by another.

/// Tests that are made twice: the worker has the service itself, or another thread has it.
macro_rules! both_ways {
    ($($name:ident)+) => {
        mod alone_tests {
            $(#[test]
            fn $name() {
                super::$name(crate::worker::tests::served::alone);
            })+
        }

        mod kept_tests {
            $(#[test]
            fn $name() {
                super::$name(crate::worker::tests::served::kept);
            })+
        }
    };
}

mod bounds;
mod echo;
mod ending;
mod frames;
mod lanes;
mod served;
mod tls;
