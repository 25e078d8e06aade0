//! A device on its bus: its node of memory and its interrupts.
//!
//! It is found by its place on the bus, which is the same in every network namespace, as what
//! `/sys/class/net` shows is not.

use crate::core_list::CoreList;
use crate::interrupts::{Interrupt, interrupts};
use crate::tree::{Reading, Tree, Unread};

/// What there is to know of a device.
#[derive(Clone, Debug)]
pub struct BusDevice {
    /// Its node of memory; below zero there is none that is known.
    pub node: Reading<i64>,
    /// The cores beside it.
    pub cores: Reading<CoreList>,
    /// Its interrupts.
    pub interrupts: Reading<Vec<Interrupt>>,
}

impl BusDevice {
    /// Reads it. `place` is what a driver says of its bus: `0000:00:03.0`. `None` if it is not on
    /// the bus of the kind that is known here (PCI).
    #[must_use]
    pub fn read(tree: &Tree, place: &str) -> Option<Self> {
        let folder = format!("/sys/bus/pci/devices/{place}");
        if place.is_empty() || place.contains('/') || !tree.exists(&folder) {
            return None;
        }
        let source = format!("{folder}/msi_irqs");
        let numbers = tree
            .names(&source)
            .map(|names| names.iter().filter_map(|name| name.parse().ok()).collect::<Vec<u32>>());
        let interrupts = match numbers.value {
            Ok(numbers) => {
                let mut found = interrupts(tree, &numbers);
                found.source = format!("{source}, {}, /proc/irq/*", found.source);
                found
            }
            // Without interrupts of its own kind it has one line, which others may share.
            Err(Unread::Missing) => Reading::unread(source, Unread::Missing),
            Err(why) => Reading::unread(source, why),
        };
        Some(Self {
            node: tree.number(&format!("{folder}/numa_node")),
            cores: tree.text(&format!("{folder}/local_cpulist")).parse(CoreList::parse),
            interrupts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::BusDevice;
    use crate::made_up::tree;

    #[test]
    fn a_card_has_a_node_and_interrupts() {
        const CARD: &str = "sys/bus/pci/devices/0000:01:00.0";
        let files = [
            (format!("{CARD}/numa_node"), "1\n"),
            (format!("{CARD}/local_cpulist"), "4-7\n"),
            (format!("{CARD}/msi_irqs/40"), "msix\n"),
            (
                "proc/interrupts".to_owned(),
                " CPU0\n 40: 1 PCI-MSI 0-edge eth0-TxRx-0\n 41: 0 x y\n",
            ),
            ("proc/irq/40/smp_affinity_list".to_owned(), "4\n"),
        ];
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let (_folder, tree) = tree(&files);
        let card = BusDevice::read(&tree, "0000:01:00.0").unwrap();
        assert_eq!(card.node.value, Ok(1));
        assert_eq!(card.cores.known_value().unwrap().to_string(), "4-7");
        let found = card.interrupts.known_value().unwrap();
        assert_eq!((found.len(), found[0].name.as_str()), (1, "eth0-TxRx-0"));
        for other in ["", "0000:02:00.0", "../x"] {
            assert!(BusDevice::read(&tree, other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_card_without_messages_says_that_they_are_missing() {
        let (_folder, tree) = tree(&[("sys/bus/pci/devices/a/numa_node", "-1\n")]);
        let card = BusDevice::read(&tree, "a").unwrap();
        assert_eq!(card.node.value, Ok(-1));
        assert!(card.interrupts.is_missing());
    }
}
