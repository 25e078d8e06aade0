//! The configuration is read again, and what may change while the gateway serves is changed.
//!
//! The file is judged whole, its documents are read, and every core is asked whether it could; only
//! then does anything change. So a file that is wrong changes nothing, and no core is ahead of the
//! others for longer than they need to look at their orders. No connection is touched.

mod difference;

use std::path::Path;
use std::thread;
use std::time::Instant;

use gateway::{Documents, HttpLimits};
use loader::Steering;

use crate::access_log::{Ends, Scribe};
use crate::bell::Bell;
use crate::config;
use crate::control::Answer;
use crate::documents;
use crate::error::Error;
use crate::limits::{CORE_PATIENCE, LOOK_EVERY};
use crate::order::{Clerk, Order, Step};
use crate::plan::Plan;
use crate::serving::{Change, Refusal};
pub(crate) use difference::Digests;
use difference::{Difference, difference};

/// What reads the configuration again. It belongs to the control thread.
#[derive(Debug)]
pub(crate) struct Reloader<'a> {
    pub(crate) file: &'a Path,
    /// What is served now.
    pub(crate) plan: Plan,
    /// Of the documents that are served now.
    pub(crate) digests: Digests,
    /// One for each core, and its bell.
    pub(crate) clerks: Vec<Clerk>,
    pub(crate) bells: &'a [Bell],
    /// The XDP program, if there is one.
    pub(crate) steering: Option<&'a Steering>,
    /// Who writes the access log.
    pub(crate) scribe: Scribe,
    /// Whether a core keeps documents that are served no more.
    pub(crate) has_older: bool,
}

/// Why nothing was changed, or not all.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error("{0}")]
    Refused(#[from] Error),
    #[error("core {core} cannot: {}", refusal_text(*refusal))]
    Core { core: usize, refusal: Refusal },
    #[error("core {core} has not answered within {} s: it hangs", CORE_PATIENCE.as_secs())]
    Silent { core: usize },
    #[error("{0}; other cores may have changed: start the gateway again")]
    HalfWay(Box<ReloadError>),
}

impl ReloadError {
    fn code(&self) -> u8 {
        match self {
            Self::Refused(error) => error.code(),
            Self::Core { .. } => 3,
            Self::Silent { .. } | Self::HalfWay(_) => 1,
        }
    }
}

fn refusal_text(refusal: Refusal) -> String {
    match refusal {
        Refusal::ListenersFull => {
            "listeners that were closed have too many connections left for new ones; try again \
             when some have ended"
                .to_owned()
        }
        Refusal::DocumentsFull => "answers of many older sets of documents are still under way; \
                                   try again when some have ended"
            .to_owned(),
        Refusal::Port(port) => format!("port {port} is not as it was thought to be"),
        Refusal::Limits => "a limit of HTTP is out of range".to_owned(),
        Refusal::Ends => "the gateway ends".to_owned(),
    }
}

impl Reloader<'_> {
    /// Reads the file again and changes what differs. Says what came of it.
    pub(crate) fn reload(&mut self) -> Answer {
        let file = self.file.display().to_string();
        match self.try_reload() {
            Ok(difference) => Answer { code: 0, text: difference.show(&file) },
            Err(error) => {
                let half = matches!(error, ReloadError::HalfWay(_));
                let kept = if half { "" } else { "\nnothing has changed" };
                Answer { code: error.code(), text: format!("{error}{kept}") }
            }
        }
    }

    fn try_reload(&mut self) -> Result<Difference, ReloadError> {
        let plan = config::read_again(self.file)?;
        let loaded = documents::load(&plan.catalogue)?;
        let digests = Digests::of(&loaded);
        let difference = difference(&self.plan, &plan, &self.digests, &digests);
        let documents = if difference.has_documents {
            Some(Documents::new(loaded).map_err(Error::from)?)
        } else {
            None
        };
        let limits = plan.http;
        let changes = &difference.listeners;
        self.order(Step::Rehearse, changes, documents.as_ref(), limits, Vec::new())?;
        // The old plan says how many cores there are, and how large.
        let settings = plan.access_log.as_ref();
        let is_other = self.plan.access_log.as_ref() != settings;
        let log = is_other.then(|| self.scribe.begin(&self.plan, settings)).transpose()?;
        let (ends, thread) = log.map_or((Vec::new(), None), |(ends, thread)| (ends, Some(thread)));
        self.steer(&plan)?;
        let done = self.order(Step::CarryOut, changes, documents.as_ref(), limits, ends);
        if self.plan.log != plan.log {
            logging::change(plan.log);
        }
        match thread {
            Some(thread) => self.scribe.take_on(thread),
            None => self.scribe.reopen(),
        }
        done.map_err(|error| ReloadError::HalfWay(Box::new(error)))?;
        difference.keep_what_stays(&mut self.plan, plan);
        self.digests = digests;
        Ok(difference)
    }

    /// Changes the access list and the budgets in the XDP program; what fails is undone.
    fn steer(&self, plan: &Plan) -> Result<(), Error> {
        let Some(steering) = self.steering else { return Ok(()) };
        let done = difference::steer(steering, &self.plan, plan);
        if done.is_err() {
            // The kernel took these before.
            difference::steer(steering, plan, &self.plan).ok();
        }
        Ok(done?)
    }

    /// Gives back to the machine what cores have done with.
    pub(crate) fn collect(&mut self) {
        if self.has_older {
            let limits = self.plan.http;
            // A core that hangs is told of by who watches it.
            self.order(Step::Collect, &[], None, limits, Vec::new()).ok();
        }
    }

    /// Gives every core the same order, and its end of another access log where there are `ends`,
    /// and waits for all of them.
    fn order(
        &mut self,
        step: Step,
        changes: &[Change],
        documents: Option<&Documents>,
        limits: HttpLimits,
        ends: Ends,
    ) -> Result<(), ReloadError> {
        let mut ends = ends.into_iter();
        // One that did not answer the last time may have done so since.
        self.clerks.iter_mut().for_each(|clerk| drop(clerk.take()));
        if let Some(core) = self.clerks.iter().position(Clerk::is_waiting) {
            return Err(ReloadError::Silent { core });
        }
        for (clerk, bell) in self.clerks.iter_mut().zip(self.bells) {
            let mut order = Order::new(changes.to_vec(), documents.cloned(), limits);
            (order.step, order.access_log) = (step, ends.next());
            clerk.give(order).expect("none is out");
            bell.ring();
        }
        self.has_older = false;
        let begun = Instant::now();
        let mut refused = Ok(());
        for (core, clerk) in self.clerks.iter_mut().enumerate() {
            let order = loop {
                if let Some(order) = clerk.take() {
                    break order;
                }
                if begun.elapsed() > CORE_PATIENCE {
                    return Err(ReloadError::Silent { core });
                }
                thread::sleep(LOOK_EVERY);
            };
            self.has_older |= order.older > 0;
            if let Err(refusal) = order.outcome {
                refused = Err(ReloadError::Core { core, refusal });
            }
        }
        refused
    }
}
