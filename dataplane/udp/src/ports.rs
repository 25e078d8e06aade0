//! The ports that are bound: a bit each.

use thiserror::Error;

use crate::limits::PORTS_MAX;

/// Why a port could not be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BindError {
    /// Port zero names no port.
    #[error("UDP port 0 cannot be bound: choose 1 to 65535")]
    ConfigPortZero,
    /// The port is bound already.
    #[error("UDP port {0} is bound already")]
    ConfigTaken(u16),
    /// Too many.
    #[error("more than {PORTS_MAX} UDP ports")]
    ResourcePorts,
}

#[derive(Debug)]
pub(crate) struct Ports {
    bound: Box<[u64]>,
    count: usize,
}

impl Ports {
    pub(crate) fn new() -> Self {
        Self { bound: vec![0; 1 << 10].into_boxed_slice(), count: 0 }
    }

    pub(crate) fn bind(&mut self, port: u16) -> Result<(), BindError> {
        if port == 0 {
            return Err(BindError::ConfigPortZero);
        }
        if self.has(port) {
            return Err(BindError::ConfigTaken(port));
        }
        if self.count == PORTS_MAX {
            return Err(BindError::ResourcePorts);
        }
        self.bound[usize::from(port) / 64] |= 1 << (port % 64);
        self.count += 1;
        Ok(())
    }

    /// Gives a port back; whether it was bound.
    pub(crate) fn unbind(&mut self, port: u16) -> bool {
        let was_bound = self.has(port);
        if was_bound {
            self.bound[usize::from(port) / 64] &= !(1 << (port % 64));
            self.count -= 1;
        }
        was_bound
    }

    pub(crate) fn has(&self, port: u16) -> bool {
        self.bound[usize::from(port) / 64] & (1 << (port % 64)) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::{BindError, Ports};
    use crate::limits::PORTS_MAX;

    #[test]
    fn a_port_that_was_given_back_can_be_bound_again_and_counts_no_more() {
        let mut ports = Ports::new();
        let most = u16::try_from(PORTS_MAX).unwrap();
        for port in 1..=most {
            ports.bind(port).unwrap();
        }
        assert_eq!(ports.bind(most + 1), Err(BindError::ResourcePorts));
        assert!(ports.unbind(7) && !ports.has(7) && ports.has(6) && ports.has(8));
        assert!(!ports.unbind(7), "it was given back before");
        assert_eq!(ports.bind(most + 1), Ok(()));
        assert_eq!(ports.bind(7), Err(BindError::ResourcePorts));
    }
}
