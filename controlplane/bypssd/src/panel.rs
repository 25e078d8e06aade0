//! All threads that serve, as those who order see them.

use std::sync::Arc;

use rustls::ServerConfig;

use crate::config::{Access, Ending};
use crate::worker::{Counters, Order, Orders, Told};

/// The thread that holds the switch, and the workers if they are others.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    switch: Orders,
    workers: Vec<Orders>,
}

impl Panel {
    /// A worker that holds the switch itself has no others beside it.
    pub(crate) fn new(switch: Orders, workers: Vec<Orders>) -> Self {
        Self { switch, workers }
    }

    /// Asks all what they have counted; `None` if one of them does not answer in time.
    pub(crate) fn ask(&self) -> Option<Told> {
        let mut told = self.switch.ask()?;
        for worker in &self.workers {
            let Told { counters, connections, partial_len, loads, .. } = worker.ask()?;
            told.counters.add(&counters);
            told.connections += connections;
            told.partial_len += partial_len;
            told.loads.extend(loads);
            told.each.push(counters);
        }
        Some(told)
    }

    /// Changes who comes in; whether it was done.
    pub(crate) fn change_access(
        &self,
        access: Vec<Access>,
        tls: Option<Arc<ServerConfig>>,
    ) -> bool {
        // The first worker lets in, and asks for certificates; the switch judges.
        let is_done = self.switch.change_access(access, tls.clone());
        is_done && self.workers.first().is_none_or(|first| first.change_access(Vec::new(), tls))
    }

    /// Tells all to leave; false: one has too many orders.
    pub(crate) fn leave(&self, stop: &Ending) -> bool {
        let all = std::iter::once(&self.switch).chain(&self.workers);
        all.map(|orders| orders.give(Order::Leave(stop.clone())))
            .fold(true, |all, given| all & given)
    }

    /// What threads that end have counted together.
    pub(crate) fn sum(counters: impl IntoIterator<Item = Counters>) -> Counters {
        counters.into_iter().fold(Counters::default(), |mut sum, one| {
            sum.add(&one);
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use base::Duration;

    use super::Panel;
    use crate::load::Busy;
    use crate::worker::{Counters, Order, Ordered, Told, orders};

    /// Answers one question, and gives back what it was ordered through.
    fn answer(ordered: Ordered, accepted: u64) -> Ordered {
        let told = Told {
            counters: Counters { accepted, ..Counters::default() },
            connections: 2,
            partial_len: 10,
            epoch: 7,
            grace_left: Duration::ZERO,
            is_leaving: false,
            figures: Vec::new(),
            loads: vec![Busy::default().load()],
            each: Vec::new(),
        };
        loop {
            match ordered.next() {
                Some(Order::Tell(to)) => break to.send(told).unwrap(),
                Some(other) => panic!("{other:?}"),
                None => thread::yield_now(),
            }
        }
        ordered
    }

    #[test]
    fn what_all_threads_tell_is_added_and_one_that_hangs_is_seen() {
        let ends: Vec<_> = (0..3).map(|_| orders().unwrap()).collect();
        let orders: Vec<_> = ends.iter().map(|(orders, _)| orders.clone()).collect();
        let panel = Panel::new(orders[0].clone(), orders[1..].to_vec());
        let (kept, keep) = mpsc::channel();
        let threads: Vec<_> = (1..)
            .zip(ends)
            .map(|(accepted, (_, ordered))| {
                let kept = kept.clone();
                thread::spawn(move || kept.send(answer(ordered, accepted)).unwrap())
            })
            .collect();
        let told = panel.ask().unwrap();
        assert_eq!((told.counters.accepted, told.connections, told.partial_len), (6, 6, 30));
        assert_eq!(told.loads.len(), 3);
        assert_eq!(told.each.iter().map(|each| each.accepted).collect::<Vec<_>>(), [2, 3]);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        // Only the first answers from now on.
        let first = keep.recv().unwrap();
        let thread = thread::spawn(move || answer(first, 1));
        assert!(panel.ask().is_none());
        drop(thread);
    }
}
