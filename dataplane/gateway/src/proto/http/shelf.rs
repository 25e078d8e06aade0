//! The documents that are served now, and those that were until lately and of which answers are
//! still under way.
//!
//! An answer names its document by a number, so that a session stays plain. A new set of documents
//! must not change what a number means: the number says the set as well, and a set stays until no
//! session names a document of it.

use base::NIL;

use super::Http;
use super::documents::Documents;
use super::stored::Stored;
use crate::HttpLimits;
use crate::limits::{DOCUMENT_SETS_MAX, DOCUMENTS_MAX};

/// Bits of a number that say the document; the ones above say the set.
const DOCUMENT_BITS: u32 = DOCUMENTS_MAX.trailing_zeros();
const _: () = assert!(DOCUMENTS_MAX.is_power_of_two());
// No number is NIL, which names no document.
const _: () = assert!(DOCUMENT_SETS_MAX < 1 << (u32::BITS - DOCUMENT_BITS));

/// How many sessions name a document of each set.
pub(crate) type Users = [u32; DOCUMENT_SETS_MAX];

/// The sets of a core.
#[derive(Debug)]
pub(crate) struct Shelf {
    sets: [Option<Documents>; DOCUMENT_SETS_MAX],
    current: usize,
}

/// The set of a document's number; `None` for [`NIL`].
pub(crate) fn set_of(number: u32) -> Option<usize> {
    (number != NIL).then_some((number >> DOCUMENT_BITS) as usize)
}

impl Shelf {
    pub(crate) fn new(documents: Documents) -> Self {
        let mut sets = [const { None }; DOCUMENT_SETS_MAX];
        sets[0] = Some(documents);
        Self { sets, current: 0 }
    }

    /// The number of the document with this path, among those that are served now.
    pub(crate) fn find(&self, path: &[u8]) -> Option<u32> {
        self.current().find(path).map(|number| self.number(number))
    }

    /// The same of a folder's index: the document with `/index.html` behind this path.
    pub(crate) fn find_index(&self, path: &[u8]) -> Option<u32> {
        self.current().find_index(path).map(|number| self.number(number))
    }

    fn current(&self) -> &Documents {
        self.sets[self.current].as_ref().expect("one set is served")
    }

    /// The number of a document of the current set, with the set.
    fn number(&self, document: u32) -> u32 {
        let set = u32::try_from(self.current).expect("a few sets");
        set << DOCUMENT_BITS | document
    }

    /// The document of a number that [`Self::find`] gave, for as long as a session names it.
    pub(crate) fn document(&self, number: u32) -> &Stored {
        let set = set_of(number).expect("it names a document");
        let documents = self.sets[set].as_ref().expect("a set stays while it is named");
        documents.document(number & ((1 << DOCUMENT_BITS) - 1))
    }

    /// Whether there is a place for another set.
    pub(crate) fn has_room(&self) -> bool {
        self.sets.iter().any(Option::is_none)
    }

    /// Serves this set from now on; without a place for it, gives it back.
    pub(crate) fn replace(&mut self, documents: Documents) -> Result<(), Documents> {
        let Some(free) = self.sets.iter().position(Option::is_none) else { return Err(documents) };
        self.sets[free] = Some(documents);
        self.current = free;
        Ok(())
    }

    /// A set that is served no more and that nobody names any more.
    pub(crate) fn take_retired(&mut self, users: &Users) -> Option<Documents> {
        let retired = (0..DOCUMENT_SETS_MAX)
            .find(|&set| set != self.current && users[set] == 0 && self.sets[set].is_some())?;
        self.sets[retired].take()
    }

    /// Sets besides the one that is served.
    pub(crate) fn older(&self) -> usize {
        self.sets.iter().flatten().count() - 1
    }
}

impl Http {
    /// Serves other documents from the next request on; answers under way go on with the bytes
    /// that they began with. Gives them back if too many older sets are still being sent.
    pub(crate) fn replace_documents(&mut self, documents: Documents) -> Result<(), Documents> {
        self.documents.replace(documents)
    }

    /// Documents that are served no more and of which no answer is under way.
    pub(crate) fn take_retired(&mut self) -> Option<Documents> {
        self.documents.take_retired(self.sessions.document_users())
    }

    /// Whether [`Self::replace_documents`] would take another set.
    pub(crate) fn has_room_for_documents(&self) -> bool {
        self.documents.has_room()
    }

    /// Sets of documents that are only kept for answers under way.
    pub(crate) fn older_documents(&self) -> usize {
        self.documents.older()
    }

    /// Holds all clients to other bounds from now on.
    pub(crate) fn set_limits(&mut self, limits: HttpLimits) {
        self.body_len_max = limits.body_len_max;
        self.sessions.set_limits(limits);
    }
}

#[cfg(test)]
mod tests {
    use super::super::documents::Document;
    use super::{Documents, Shelf, Users, set_of};
    use crate::limits::DOCUMENT_SETS_MAX;

    fn documents(body: &str) -> Documents {
        let (path, content_type) = ("/a".to_owned(), "text/plain".to_owned());
        Documents::new(vec![Document { path, content_type, body: body.into(), modified: None }])
            .unwrap()
    }

    #[test]
    fn a_number_means_the_same_document_whatever_is_served_since() {
        let mut shelf = Shelf::new(documents("old"));
        let old = shelf.find(b"/a").unwrap();
        shelf.replace(documents("new")).unwrap();
        let new = shelf.find(b"/a").unwrap();
        assert_ne!(old, new);
        assert_eq!(shelf.document(old).body, b"old");
        assert_eq!(shelf.document(new).body, b"new");
    }

    #[test]
    fn a_set_goes_when_its_last_user_has_and_never_while_it_is_served() {
        let mut shelf = Shelf::new(documents("first"));
        let mut users = Users::default();
        users[0] = 1;
        shelf.replace(documents("second")).unwrap();
        assert!(shelf.take_retired(&users).is_none(), "an answer is under way");
        users[0] = 0;
        assert_eq!(shelf.older(), 1);
        let retired = shelf.take_retired(&users).unwrap();
        assert_eq!(retired.document(0).body, b"first");
        assert!(shelf.take_retired(&users).is_none(), "the second is served");
        assert_eq!(shelf.older(), 0);
    }

    #[test]
    fn more_sets_than_there_is_room_for_are_given_back() {
        let mut shelf = Shelf::new(documents("first"));
        for _ in 1..DOCUMENT_SETS_MAX {
            assert!(shelf.has_room());
            shelf.replace(documents("more")).unwrap();
        }
        let current = shelf.find(b"/a").unwrap();
        assert!(!shelf.has_room() && shelf.replace(documents("too many")).is_err());
        assert_eq!(shelf.find(b"/a"), Some(current), "what is served is served still");
        assert_eq!(set_of(current), Some(DOCUMENT_SETS_MAX - 1));
        assert_eq!(set_of(base::NIL), None);
    }
}
