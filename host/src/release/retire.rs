//! What is kept of releases that served: how many, and for how long.

use super::control::Record;
use super::machine::{Event, State};
use super::releases::Component;
use super::serving::Serving;
use super::steward::{Happening, Message, Steward, discard};
use super::{Error, control};
use std::sync::Arc;
use std::time::Duration;

/// What is kept of releases that served: the ones that served last, so many, each for so long.
#[derive(Debug, Clone)]
pub struct Warm {
    /// How many.
    pub releases: usize,
    /// How long, from when it ceased to serve.
    pub age: Duration,
}

impl Warm {
    /// The rule in words.
    pub(super) fn told(&self) -> String {
        match self.releases {
            0 => "none is".to_owned(),
            1 => "one is".to_owned(),
            more => format!("{more} are"),
        }
    }

    /// When a release is retired at the latest, in microseconds since 1970, where nothing else happens to it; `None` where it is not
    /// warm.
    #[must_use]
    pub fn retires_at_us(&self, record: &Record) -> Option<i64> {
        let displaced = record.displaced().filter(|_| record.state == State::Warm)?;
        Some(displaced.at_us.saturating_add(i64::try_from(self.age.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl Steward {
    /// Looks at what is kept of a component again once the first of it is to be retired.
    pub(super) fn retire_later(&mut self, name: &str) {
        let Some(component) = self.components.get(name).filter(|component| is_served(component)) else { return };
        let warm = &self.parts.config.warm;
        let beyond = component.kept_warm().skip(warm.releases).any(|record| record.state == State::Warm);
        let due = component.kept_warm().filter_map(|record| warm.retires_at_us(record)).min();
        let Some(due) = due.map(|due| if beyond { 0 } else { due }) else { return };
        let left = Duration::from_micros(due.saturating_sub(control::now_us()).max(0).cast_unsigned());
        let (of, inbox) = (name.to_owned(), self.inbox.clone());
        let timer = self.runtime.spawn(async move {
            tokio::time::sleep(left).await;
            // Where nobody listens any more, the host is being stopped.
            let _ = inbox.send(Message::Retire(of)).await;
        });
        // One for each component, whatever it goes through meanwhile.
        if let Some(before) = self.retiring.insert(name.to_owned(), timer.abort_handle()) {
            before.abort();
        }
    }

    /// Retires what was kept for long enough. Of a component that was removed everything stays until its operator says so.
    pub(super) fn retire_overdue(&mut self, name: &str) {
        match self.expire_overdue(name) {
            Ok(()) => self.retire_later(name),
            Err(error) => tracing::error!(component = name, %error, "a release could not be retired"),
        }
    }

    fn expire_overdue(&mut self, name: &str) -> Result<(), Error> {
        let Some(component) = self.components.get(name).filter(|component| is_served(component)) else { return Ok(()) };
        let (warm, now) = (&self.parts.config.warm, control::now_us());
        let mut expired = Vec::new();
        for (place, record) in component.kept_warm().enumerate() {
            let reason = match warm.retires_at_us(record) {
                // The setting was another one when it ceased to serve.
                Some(_) if place >= warm.releases => format!("{} kept behind the one that serves", warm.told()),
                Some(due) if due <= now => {
                    format!("it was kept for {} s, which is as long as a release is", warm.age.as_secs())
                }
                _ => continue,
            };
            expired.push(Happening::new(record.release, Event::Expired, reason));
        }
        if expired.is_empty() {
            return Ok(());
        }
        let overdue: Vec<u64> = expired.iter().map(|happening| happening.release).collect();
        self.happen(name, &expired)?;
        let Some(mut component) = self.components.get(name).cloned() else { return Ok(()) };
        let (gone, kept) = component.warm.into_iter().partition(|warm| overdue.contains(&warm.release));
        component.warm = kept;
        self.show(component);
        tracing::info!(component = name, releases = ?overdue, "they are retired");
        let gone: Vec<_> = gone;
        self.keep_nothing(name, &overdue, &gone);
        Ok(())
    }

    /// Removes the bytes and the stores of releases that have ended; of those that ran once nobody reads them any more.
    pub(super) fn keep_nothing(&self, name: &str, ended: &[u64], ran: &[Arc<Serving>]) {
        for release in ended {
            self.forget(name, *release);
            match ran.iter().find(|serving| serving.release == *release) {
                Some(serving) => discard(serving),
                // Of one that does not run, nobody else removes it.
                None => self.parts.remove_store(name, *release),
            }
        }
    }
}

/// Whether something serves that a release would be kept behind: where nothing does, it is all that there is.
fn is_served(component: &Component) -> bool {
    !component.removed && component.live.is_some()
}

/// The releases that are kept behind `next` once that serves, `at_most` so many: the one that serves until then, then those before.
pub(super) fn kept_behind(component: &Component, next: u64, blue: Option<u64>, at_most: usize) -> Vec<u64> {
    let before = component.kept_warm().map(|record| record.release).filter(|release| *release != next);
    blue.into_iter().chain(before).take(at_most).collect()
}
