//! Memory: nodes, the pools of huge pages, transparent huge pages.

use crate::core_list::CoreList;
use crate::tree::{Reading, Tree};

/// A pool of huge pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Pages of it.
    pub total: u64,
    /// Those that nobody has.
    pub free: u64,
}

/// A node of memory with its cores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub node: usize,
    /// Its cores.
    pub cores: CoreList,
}

/// What there is to know of memory.
#[derive(Clone, Debug)]
pub struct Pages {
    /// The pool of pages of 2 MiB. Missing: the kernel has no such pages.
    pub huge_2m: Reading<Pool>,
    /// The pool of pages of 1 GiB.
    pub huge_1g: Reading<Pool>,
    /// When anonymous memory gets huge pages by itself: `always`, `madvise`, `never`.
    pub transparent: Reading<String>,
    /// The nodes with memory. Missing: the kernel knows of none, so there is one.
    pub nodes: Reading<Vec<Node>>,
    /// Whether the kernel moves pages after the cores that use them. Missing: it cannot.
    pub balancing: Reading<bool>,
}

const NODES: &str = "/sys/devices/system/node";

impl Pages {
    /// Reads it.
    #[must_use]
    pub fn read(tree: &Tree) -> Self {
        Self {
            huge_2m: pool(tree, 2_048),
            huge_1g: pool(tree, 1_048_576),
            transparent: tree
                .text("/sys/kernel/mm/transparent_hugepage/enabled")
                .parse(|text| Some(text.split_once('[')?.1.split_once(']')?.0.to_owned())),
            nodes: nodes(tree),
            balancing: tree.number("/proc/sys/kernel/numa_balancing").map(|value| value != 0),
        }
    }
}

fn pool(tree: &Tree, kib: u32) -> Reading<Pool> {
    let folder = format!("/sys/kernel/mm/hugepages/hugepages-{kib}kB");
    let count = |name: &str| {
        tree.text(&format!("{folder}/{name}")).parse(|text| text.parse::<u64>().ok()).value
    };
    let value =
        count("nr_hugepages").and_then(|total| Ok(Pool { total, free: count("free_hugepages")? }));
    Reading { source: format!("{folder}/free_hugepages"), value }
}

fn nodes(tree: &Tree) -> Reading<Vec<Node>> {
    let online = tree.text(&format!("{NODES}/online")).parse(CoreList::parse);
    let node = |node: usize| {
        let cores = tree.text(&format!("{NODES}/node{node}/cpulist")).parse(CoreList::parse);
        Some(Node { node, cores: cores.value.ok()? })
    };
    online.map(|numbers| numbers.iter().filter_map(node).collect())
}

#[cfg(test)]
mod tests {
    use super::{Node, Pages, Pool};
    use crate::core_list::CoreList;
    use crate::made_up::tree;

    #[test]
    fn pools_nodes_and_transparent_pages_are_read() {
        let (_folder, tree) = tree(&[
            ("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "64\n"),
            ("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "60\n"),
            ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
            ("sys/devices/system/node/online", "0-1\n"),
            ("sys/devices/system/node/node0/cpulist", "0-3\n"),
            ("sys/devices/system/node/node1/cpulist", "4-7\n"),
            ("proc/sys/kernel/numa_balancing", "1\n"),
        ]);
        let pages = Pages::read(&tree);
        assert_eq!(pages.huge_2m.value, Ok(Pool { total: 64, free: 60 }));
        assert!(pages.huge_1g.is_missing());
        assert_eq!(pages.transparent.value.as_deref(), Ok("madvise"));
        let nodes = pages.nodes.known_value().unwrap();
        let second = Node { node: 1, cores: CoreList::parse("4-7").unwrap() };
        assert_eq!((nodes.len(), &nodes[1]), (2, &second));
        assert_eq!(pages.balancing.value, Ok(true));
    }

    #[test]
    fn an_empty_tree_has_nothing() {
        let (_folder, tree) = tree(&[]);
        let pages = Pages::read(&tree);
        assert!(pages.huge_2m.is_missing() && pages.transparent.is_missing());
        assert!(pages.nodes.is_missing() && pages.balancing.is_missing());
    }
}
