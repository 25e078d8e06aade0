//! The attachment: where the program runs, and that it goes with the process.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;

use crate::config::Mode;
use crate::error::{LoadError, refused};
use crate::foreign::Foreign;
use crate::machine::Machine;
use crate::steering::Steering;
use crate::sys;

/// Where the program runs, as read back from the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    /// In the driver.
    Native,
    /// Behind the driver.
    Generic {
        /// Why not in the driver, where that was tried.
        native_refused: Option<Errno>,
    },
}

impl fmt::Display for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native => f.write_str("native"),
            Self::Generic { native_refused: None } => f.write_str("generic"),
            Self::Generic { native_refused: Some(errno) } => {
                write!(f, "generic (the driver refuses native: {errno})")
            }
        }
    }
}

impl Steering {
    /// Attaches the program for as long as this value and the process live. Afterwards the
    /// gateway's packets no longer reach the kernel; without a socket they are dropped.
    ///
    /// # Errors
    /// See [`LoadError`]. What is attached already stays.
    pub fn attach(&mut self) -> Result<Attached, LoadError> {
        if let Some((_link, attached)) = &self.attached {
            return Ok(*attached);
        }
        self.check_free()?;
        let (link, native_refused) = match self.wanted {
            Mode::Native => (self.link(Mode::Native)?, None),
            Mode::Generic => (self.link(Mode::Generic)?, None),
            Mode::Auto => self.link_anywhere()?,
        };
        let attached = match self.read_back()? {
            Some(Attached::Native) => Attached::Native,
            Some(Attached::Generic { .. }) => Attached::Generic { native_refused },
            None => return Err(LoadError::ResourceDetached { interface: self.interface.clone() }),
        };
        self.attached = Some((link, attached));
        Ok(attached)
    }

    /// Takes the program off the interface.
    pub fn detach(&mut self) {
        self.attached = None;
    }

    /// Where it runs; none while it is not attached.
    #[must_use]
    pub fn attached(&self) -> Option<Attached> {
        self.attached.as_ref().map(|(_link, attached)| *attached)
    }

    /// The kernel's number of the program, by which others know it.
    #[must_use]
    pub fn program(&self) -> u32 {
        self.loaded.program.id()
    }

    /// Asks the kernel where our program runs on the interface now; none if it does not, because
    /// it was never attached, was taken off, or the interface is gone.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn read_back(&self) -> Result<Option<Attached>, LoadError> {
        let attachment = match sys::attachment(self.index) {
            Ok(attachment) => attachment,
            Err(Errno::ENODEV) => None,
            Err(errno) => return Err(refused("asking for the XDP program", errno)),
        };
        let ours = attachment.filter(|found| found.program == self.loaded.program.id());
        Ok(ours.map(|found| match found.mode {
            libbpf_sys::XDP_ATTACHED_DRV => Attached::Native,
            _behind => Attached::Generic { native_refused: None },
        }))
    }

    fn check_free(&self) -> Result<(), LoadError> {
        let found = sys::attachment(self.index).map_err(|errno| {
            LoadError::of_attach(&self.interface, Mode::Generic, errno, &Machine::read())
        })?;
        match found {
            None => Ok(()),
            Some(found) => {
                let interface = self.interface.clone();
                let foreign = Box::new(Foreign::find(&interface, self.index, found));
                Err(LoadError::ResourceTaken { interface, foreign })
            }
        }
    }

    fn link(&self, mode: Mode) -> Result<OwnedFd, LoadError> {
        self.try_link(mode).map_err(|errno| {
            // Somebody may have been quicker since it was looked at.
            let is_taken = matches!(errno, Errno::EBUSY | Errno::EEXIST);
            let by = if is_taken { self.check_free().err() } else { None };
            by.unwrap_or_else(|| {
                LoadError::of_attach(&self.interface, mode, errno, &Machine::read())
            })
        })
    }

    fn try_link(&self, mode: Mode) -> Result<OwnedFd, Errno> {
        let flags = match mode {
            Mode::Native => libbpf_sys::XDP_FLAGS_DRV_MODE,
            Mode::Generic | Mode::Auto => libbpf_sys::XDP_FLAGS_SKB_MODE,
        };
        sys::link(self.loaded.program.as_fd(), self.index, flags)
    }

    /// In the driver, else behind it; with the driver's reason.
    fn link_anywhere(&self) -> Result<(OwnedFd, Option<Errno>), LoadError> {
        match self.try_link(Mode::Native) {
            Ok(link) => Ok((link, None)),
            Err(refused) => Ok((self.link(Mode::Generic)?, Some(refused))),
        }
    }
}
