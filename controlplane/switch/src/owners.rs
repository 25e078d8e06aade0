//! The owners of one answer: each once, by the place that it has in the answer's list.

/// See the file's first words. It is kept from one answer to the next.
#[derive(Debug)]
pub(crate) struct Owners {
    /// By session: in which answer it was named last, and where.
    marks: Vec<(u64, u32)>,
    answer: u64,
    sessions: Vec<u32>,
}

impl Owners {
    pub(crate) fn new(sessions_max: u32) -> Self {
        Self { marks: vec![(0, 0); sessions_max as usize], answer: 0, sessions: Vec::new() }
    }

    /// Begins another answer.
    pub(crate) fn begin(&mut self) {
        self.answer += 1;
        self.sessions.clear();
    }

    /// The place of a session that owns something in the answer's list.
    #[inline]
    pub(crate) fn place(&mut self, session: u32) -> u32 {
        let mark = &mut self.marks[session as usize];
        if mark.0 != self.answer {
            let place = u32::try_from(self.sessions.len()).expect("no more than sessions");
            *mark = (self.answer, place);
            self.sessions.push(session);
        }
        mark.1
    }

    /// The answer's owners so far.
    pub(crate) fn sessions(&self) -> &[u32] {
        &self.sessions
    }
}

#[cfg(test)]
mod tests {
    use super::Owners;

    #[test]
    fn each_owner_has_one_place_in_each_answer() {
        let mut owners = Owners::new(4);
        for _ in 0..2 {
            owners.begin();
            let places = [3, 1, 3, 2, 1].map(|session| owners.place(session));
            assert_eq!(places, [0, 1, 0, 2, 1]);
            assert_eq!(owners.sessions(), [3, 1, 2]);
        }
    }
}
