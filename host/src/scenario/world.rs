//! The world of a process manager in a run: what it decides is done in the log of the run, by a clock that goes on when the story says so.
//!
//! What is appended, and under which ids, is what a host's outbox and clockwork append. Only who waits for whom is fixed here: effects come
//! behind all that was there when they were decided, and timers behind all effects, so that the size of the batches changes nothing.

use super::format::{Code, Refused};
use super::history::History;
use super::stage::Error;
use super::story::Story;
use crate::log::{Entered, NewEvent, Refusal};
use crate::process::outbox::{self, Cursor, Due};
use crate::process::{Options, clockwork};
use crate::store::Store;

/// Who acts, and how far that has come.
pub(super) struct World {
    process: String,
    module: String,
    options: Options,
    now_us: i64,
    /// Behind the last effect that is done.
    cursor: Cursor,
    /// Effects that are still to be refused.
    refusals: Vec<Refused>,
}

impl World {
    pub(super) fn new(process: &str, story: &Story) -> Self {
        Self {
            process: process.to_owned(),
            module: story.module.clone(),
            options: Options::default(),
            now_us: i64::MIN,
            cursor: Cursor::behind(0),
            refusals: Vec::new(),
        }
    }

    /// The clock stands at this moment, or later.
    pub(super) fn reach(&mut self, at_us: i64) {
        self.now_us = self.now_us.max(at_us);
    }

    /// The next such effect is refused.
    pub(super) fn refuse(&mut self, refused: &Refused) {
        self.refusals.push(refused.clone());
    }

    /// What is to be refused, and did not come yet.
    pub(super) fn unrefused(&self) -> &[Refused] {
        &self.refusals
    }

    /// All that was done is to be done again: nobody knows that it was.
    pub(super) fn forget(&mut self) {
        self.cursor = Cursor::behind(0);
    }

    /// Does what was decided and is not done yet, so much of it at most; answers how much that was.
    pub(super) fn deliver(&mut self, store: &Store, history: &mut History, most: usize) -> Result<usize, Error> {
        let cursor = self.cursor.clone();
        let due: Vec<Due> = store.read_here(|snapshot| outbox::due(snapshot.by_hand()?, &cursor))?;
        let mut done = 0;
        for due in due.into_iter().take(most) {
            self.cursor = Cursor::after(&due);
            self.append(due, history)?;
            done += 1;
        }
        Ok(done)
    }

    /// How many effects are to be done.
    pub(super) fn waiting(&self, store: &Store) -> Result<usize, Error> {
        Ok(store.read_here(|snapshot| outbox::due(snapshot.by_hand()?, &self.cursor))?.len())
    }

    fn append(&mut self, due: Due, history: &mut History) -> Result<(), Error> {
        let Some(trigger) = history.at(due.position).cloned() else {
            return Err(Error::Machine(format!("an effect was led to by position {}, where nothing is", due.position)));
        };
        let by_id = |id: &str| Ok::<_, Error>(history.by_id(id).cloned());
        let depth = outbox::depth(&trigger, self.options.causation_depth, by_id)?;
        let place = self.refusals.iter().position(|refused| due.is_so(&refused.event_type, refused.stream.as_deref()));
        let refused = place.and_then(|place| self.refusals.get(place));
        let look_over = |stream: &str, event: &mut NewEvent| {
            refused.map(|refused| refusal(refused, stream)).or_else(|| self.options.barred(event, depth))
        };
        let entry = due.entry(&self.process, &self.module, &trigger, look_over)?;
        let entered = history.enter(entry, self.now_us);
        // What is known already is not refused once more.
        if let (Entered::Refused { .. }, Some(place)) = (entered, place) {
            self.refusals.remove(place);
        }
        Ok(())
    }

    /// When the next timer is due.
    pub(super) fn next_us(&self, store: &Store) -> Result<Option<i64>, Error> {
        Ok(store.read_here(|snapshot| clockwork::next(snapshot.by_hand()?, i64::MIN))?)
    }

    /// Lets the timers fire that are due; answers how many.
    pub(super) fn fire(&mut self, store: &Store, history: &mut History) -> Result<usize, Error> {
        let now_us = self.now_us;
        let due = store.read_here(|snapshot| clockwork::due(snapshot.by_hand()?, now_us, clockwork::CHUNK))?;
        for due in &due {
            let entry = due.entry(&self.process, &self.module, history.at(due.set_by()), now_us)?;
            if let Entered::Known(place) = history.enter(entry, now_us) {
                return Err(Error::Machine(format!(
                    "a timer fired at position {} already, and still waits",
                    place.position
                )));
            }
        }
        Ok(due.len())
    }
}

/// What the log says to an effect that the story has it refuse.
fn refusal(refused: &Refused, stream: &str) -> Refusal {
    let words = || match refused.code {
        Code::StreamClosed => format!("stream `{stream}` is closed"),
        Code::WrongExpectedRevision => format!("stream `{stream}` is not as it was expected to be"),
        Code::SchemaViolation => "its data are not as its schema says".to_owned(),
        Code::EventTooLarge => "it is too large".to_owned(),
        Code::CausationTooDeep => "too many events led to it, one by another".to_owned(),
    };
    Refusal::Barred { code: refused.code.name(), reason: refused.reason.clone().unwrap_or_else(words) }
}
