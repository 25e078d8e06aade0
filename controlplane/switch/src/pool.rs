//! The connections of a session by their indices, and which one is the latest of each.
//!
//! What a client sent on a connection that it has given up may be read after all that it sent on the one
//! that followed: a registration that was sent again and released by then would be granted to nobody.

use std::collections::BTreeMap;

use crate::connection::ConnId;

/// See the file's first words.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    latest: BTreeMap<u16, Latest>,
}

/// The latest connection of an index.
#[derive(Clone, Copy, Debug)]
struct Latest {
    generation: u64,
    /// None: it is gone.
    conn: Option<ConnId>,
}

/// Another connection of the same index came with the same generation, or a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behind;

impl Pool {
    /// A connection comes in; the one that it follows is given if it is still there.
    pub(crate) fn enter(
        &mut self,
        index: u16,
        generation: u64,
        conn: ConnId,
    ) -> Result<Option<ConnId>, Behind> {
        let before = self.latest.get(&index);
        if before.is_some_and(|before| before.generation >= generation) {
            return Err(Behind);
        }
        let before = self.latest.insert(index, Latest { generation, conn: Some(conn) });
        Ok(before.and_then(|before| before.conn))
    }

    /// A connection is gone, and its number may be another's.
    pub(crate) fn leave(&mut self, index: u16, conn: ConnId) {
        if let Some(latest) = self.latest.get_mut(&index) {
            latest.conn = latest.conn.filter(|&latest| latest != conn);
        }
    }

    /// Another session's connections come.
    pub(crate) fn clear(&mut self) {
        self.latest.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_takes_the_place_of_an_earlier_one_of_its_index() {
        let mut pool = Pool::default();
        assert_eq!(pool.enter(1, 5, ConnId(10)), Ok(None));
        assert_eq!(pool.enter(0, 1, ConnId(11)), Ok(None));
        assert_eq!(pool.enter(1, 7, ConnId(12)), Ok(Some(ConnId(10))));
        assert_eq!(pool.enter(1, 6, ConnId(13)), Err(Behind));
        assert_eq!(pool.enter(1, 7, ConnId(13)), Err(Behind));
        assert_eq!(pool.enter(1, 8, ConnId(14)), Ok(Some(ConnId(12))));
    }

    #[test]
    fn connection_that_is_gone_is_followed_and_not_given() {
        let mut pool = Pool::default();
        pool.leave(3, ConnId(1));
        assert_eq!(pool.enter(3, 0, ConnId(1)), Ok(None));
        assert_eq!(pool.enter(3, 1, ConnId(2)), Ok(Some(ConnId(1))));
        // Its number is another's by now.
        pool.leave(3, ConnId(1));
        assert_eq!(pool.enter(3, 2, ConnId(3)), Ok(Some(ConnId(2))));
        pool.leave(3, ConnId(3));
        assert_eq!(pool.enter(3, 2, ConnId(4)), Err(Behind));
        assert_eq!(pool.enter(3, 3, ConnId(4)), Ok(None));
        pool.clear();
        assert_eq!(pool.enter(3, 0, ConnId(5)), Ok(None));
    }
}
