//! Interrupts: what they are called, which cores they may go to and where they go.

use crate::core_list::CoreList;
use crate::tree::{Reading, Tree};

/// An interrupt that has a number.
#[derive(Clone, Debug)]
pub struct Interrupt {
    /// Its number.
    pub number: u32,
    /// What its driver calls it: `eth0-TxRx-0`, `virtio2-input.0`.
    pub name: String,
    /// How often each core that is online has taken it, in their order.
    pub counts: Vec<u64>,
    /// The cores that it may go to.
    pub allowed: Reading<CoreList>,
    /// The cores that it goes to.
    pub effective: Reading<CoreList>,
}

impl Interrupt {
    /// Where it goes: what the kernel says of that, else what is allowed.
    #[must_use]
    pub fn cores(&self) -> Option<&CoreList> {
        let effective = self.effective.known_value().filter(|cores| !cores.is_empty());
        effective.or_else(|| self.allowed.known_value())
    }

    /// Whether it is of a device's queue, and not of its configuration or its faults; drivers have
    /// no common way to say so but the name.
    #[must_use]
    pub fn is_of_queue(&self) -> bool {
        const QUEUE: [&str; 6] = ["rx", "tx", "input", "output", "comp", "queue"];
        const OTHER: [&str; 5] = ["config", "async", "mgmnt", "misc", "ctrl"];
        let name = self.name.to_lowercase();
        QUEUE.iter().any(|word| name.contains(word)) && !OTHER.iter().any(|it| name.contains(it))
    }
}

/// Reads these interrupts.
#[must_use]
pub fn interrupts(tree: &Tree, numbers: &[u32]) -> Reading<Vec<Interrupt>> {
    let list = |path: &str| tree.text(path).parse(CoreList::parse);
    tree.text("/proc/interrupts").parse(|text| {
        let cores = text.lines().next()?.split_whitespace().count();
        let rows = text.lines().skip(1).filter_map(|line| {
            let (number, rest) = line.split_once(':')?;
            let number = number.trim().parse().ok()?;
            numbers.contains(&number).then_some((number, rest))
        });
        let found = rows.map(|(number, rest)| Interrupt {
            number,
            // The controller, the line and the driver's name, which has no spaces as a rule.
            name: rest.split_whitespace().last().unwrap_or_default().to_owned(),
            counts: rest.split_whitespace().take(cores).map_while(|it| it.parse().ok()).collect(),
            allowed: list(&format!("/proc/irq/{number}/smp_affinity_list")),
            effective: list(&format!("/proc/irq/{number}/effective_affinity_list")),
        });
        Some(found.collect())
    })
}

#[cfg(test)]
mod tests {
    use super::interrupts;
    use crate::made_up::tree;

    #[test]
    fn interrupts_have_names_counts_and_cores() {
        let (_folder, tree) = tree(&[
            (
                "proc/interrupts",
                "           CPU0       CPU1\n  9:  1  0  IO-APIC   5-edge      acpi\n\
                 \x2038:          2      29347  PCI-MSIX-0000:00:03.0   1-edge      virtio2-input.0\n\
                 \x2037:          0          0  PCI-MSIX-0000:00:03.0   0-edge      virtio2-config\n\
                 NMI:          0          0   Non-maskable interrupts\n",
            ),
            ("proc/irq/38/smp_affinity_list", "0-1\n"),
            ("proc/irq/38/effective_affinity_list", "1\n"),
        ]);
        let reading = interrupts(&tree, &[37, 38]);
        let found = reading.known_value().unwrap();
        assert_eq!((found.len(), found[0].number), (2, 38));
        assert_eq!(
            (found[0].name.as_str(), &*found[0].counts),
            ("virtio2-input.0", &[2, 29347][..])
        );
        assert_eq!(found[0].cores().unwrap().to_string(), "1");
        assert!(found[0].is_of_queue() && !found[1].is_of_queue());
        assert_eq!(found[1].cores(), None);
    }

    #[test]
    fn without_the_kernels_word_what_is_allowed_counts() {
        let (_folder, tree) = tree(&[
            ("proc/interrupts", " CPU0\n 5:  7  x  mlx5_comp0@pci:0000:01:00.0\n"),
            ("proc/irq/5/smp_affinity_list", "0-3\n"),
            ("proc/irq/5/effective_affinity_list", "\n"),
        ]);
        let reading = interrupts(&tree, &[5]);
        let found = &reading.known_value().unwrap()[0];
        assert!(found.is_of_queue());
        assert_eq!(found.cores().unwrap().to_string(), "0-3");
        let (_folder, empty) = crate::made_up::tree(&[]);
        assert!(interrupts(&empty, &[5]).is_missing());
    }
}
