//! All of the machine that is no device.

use crate::core_list::CoreList;
use crate::cores::Cores;
use crate::kernel::Kernel;
use crate::pages::Pages;
use crate::power::Power;
use crate::process::Process;
use crate::tree::Tree;

/// All of the machine that is no device, at one moment.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Cores.
    pub cores: Cores,
    /// Their speed and their sleep.
    pub power: Power,
    /// Memory.
    pub pages: Pages,
    /// What this process is given.
    pub process: Process,
    /// The kernel.
    pub kernel: Kernel,
}

impl Machine {
    /// Reads it.
    #[must_use]
    pub fn read(tree: &Tree) -> Self {
        let cores = Cores::read(tree);
        let none = CoreList::default();
        let power = Power::read(tree, cores.online.known_value().unwrap_or(&none));
        Self {
            cores,
            power,
            pages: Pages::read(tree),
            process: Process::read(tree),
            kernel: Kernel::read(tree),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Machine;
    use crate::tree::Tree;

    #[test]
    fn this_machine_can_be_read() {
        let machine = Machine::read(&Tree::default());
        let online = machine.cores.online.known_value().expect("Linux has it");
        assert_eq!(machine.power.cores.len(), online.len());
        assert!(machine.kernel.release.value.is_ok());
    }
}
