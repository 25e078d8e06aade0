//! A set of cores as the kernel writes it: `0-3,8`.

use std::collections::BTreeSet;
use std::fmt;

use crate::limits::CORES_MAX;

/// A set of cores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoreList(BTreeSet<usize>);

impl CoreList {
    /// Reads what the kernel writes, `0-3,8`; the empty text is the empty set. Words among the
    /// ranges, as `isolcpus=domain,2-3` has them, and strides (`0-31:1/2`) are not understood.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut cores = BTreeSet::new();
        let text = text.trim();
        // The kernel writes this where the set is of no use, as for a thread of its own.
        if text.is_empty() || text == "(null)" {
            return Some(Self(cores));
        }
        for range in text.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (usize, usize) =
                (first.trim().parse().ok()?, last.trim().parse().ok()?);
            if first > last || last >= CORES_MAX {
                return None;
            }
            cores.extend(first..=last);
        }
        Some(Self(cores))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `core` is one of them.
    #[must_use]
    pub fn contains(&self, core: usize) -> bool {
        self.0.contains(&core)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        self.0.iter().copied()
    }

    /// Those that are not in `others`.
    #[must_use]
    pub fn without(&self, others: &Self) -> Self {
        Self(self.0.difference(&others.0).copied().collect())
    }

    /// Those that are in both.
    #[must_use]
    pub fn common(&self, others: &Self) -> Self {
        Self(self.0.intersection(&others.0).copied().collect())
    }

    /// Those that are in either.
    #[must_use]
    pub fn joined(&self, others: &Self) -> Self {
        Self(self.0.union(&others.0).copied().collect())
    }
}

impl FromIterator<usize> for CoreList {
    fn from_iter<I: IntoIterator<Item = usize>>(cores: I) -> Self {
        Self(cores.into_iter().collect())
    }
}

impl fmt::Display for CoreList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cores = self.iter().peekable();
        let mut comma = "";
        while let Some(first) = cores.next() {
            let mut last = first;
            while cores.next_if_eq(&(last + 1)).is_some() {
                last += 1;
            }
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::CoreList;

    #[test]
    fn lists_are_read_and_written_as_the_kernel_does() {
        for text in ["", "0", "0-3", "0-3,8", "1,3,5-6"] {
            assert_eq!(CoreList::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(CoreList::parse(" 3,1-2\n").unwrap().to_string(), "1-3");
        assert!(CoreList::parse("(null)").unwrap().is_empty());
        for wrong in ["x", "3-1", "1,,2", "0-8192", "domain,1", "0-31:1/2", "-1"] {
            assert_eq!(CoreList::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sets_are_compared() {
        let set = |text| CoreList::parse(text).unwrap();
        assert_eq!(set("0-3").without(&set("1,9")), set("0,2-3"));
        assert_eq!(set("0-3").common(&set("3-9")), set("3"));
        assert_eq!(set("0").joined(&set("2")), set("0,2"));
        assert!(set("0-3").contains(3) && !set("0-3").contains(4));
        assert_eq!(set("0-3").len(), 4);
    }
}
