//! Reactions of a process manager whose store holds few instances, and of one whose store holds many: each should take as long.

use super::Error;
use crate::plugin::{Batch, Envelope, Plugin};
use crate::process::Acting;
use crate::projector::{Terms, replay};
use crate::store::{Limits, Store};
use fastrand::Rng;
use std::path::Path;
use std::time::{Duration, Instant};

const SEED: u64 = 0x6c61_7465_726e_6121;

/// Events that are folded in one transaction while a store is filled.
const FILLING: usize = 10_000;

/// 2026-01-01T00:00:00Z in microseconds.
const BEGINNING_US: i64 = 1_767_225_600_000_000;

/// A process manager at work, in a store of its own.
pub struct Process<'p> {
    plugin: &'p Plugin,
    store: Store,
    event: fn(&mut Rng, u64) -> Told,
    subjects: u64,
    rng: Rng,
    head: u64,
}

/// An event about a subject.
pub struct Told {
    event_type: &'static str,
    stream: String,
    data: String,
}

/// A customer buys something: the workload of `loyalty`. A subject is a customer.
pub fn purchase(rng: &mut Rng, customer: u64) -> Told {
    let (quantity, price) = (rng.u32(1..10), rng.u32(100..5_000));
    Told {
        event_type: "OrderPlaced",
        stream: format!("order-{}", rng.u32(..)),
        data: format!(
            r#"{{"invoice_no":"{}","customer_id":"customer-{customer}","country":"France","lines":[{{"stock_code":"85123A","description":"WHITE HANGING HEART","quantity":{quantity},"unit_price_mils":{price}}}]}}"#,
            rng.u32(..)
        ),
    }
}

/// A team is made for a festival, or moves to another: the workload of `festival-cleanup`. A subject is a team, and fifty are of a festival.
pub fn team(rng: &mut Rng, team: u64) -> Told {
    let festival = team / TEAMS + if rng.u8(..) < 26 { 1 } else { 0 };
    Told {
        event_type: "TeamMoved",
        stream: format!("team-{team}"),
        data: format!(r#"{{"team_id":"{team}","festival_id":"{festival}","name":"The Larks"}}"#),
    }
}

/// An order is placed, to be paid by some day of the next years, or its time is another: the workload of `order-payment`. A subject is an
/// order, and each has a timer.
pub fn order(rng: &mut Rng, order: u64) -> Told {
    let (year, month, day) = (rng.u32(2030..2040), rng.u32(1..=12), rng.u32(1..=28));
    Told {
        event_type: "OrderPlaced",
        stream: format!("order-{order}"),
        data: format!(r#"{{"order_id":"{order}","pay_by":"{year}-{month:02}-{day:02}T00:00:00Z"}}"#),
    }
}

/// Teams of a festival.
pub const TEAMS: u64 = 50;

impl<'p> Process<'p> {
    /// Fills a new store with an event about each of so many subjects.
    ///
    /// # Errors
    /// The store cannot be written, or the component cannot apply an event.
    pub fn fill(
        plugin: &'p Plugin,
        store: &Path,
        subjects: u64,
        event: fn(&mut Rng, u64) -> Told,
    ) -> Result<Self, Error> {
        super::remove(store)?;
        let store = Store::open(store, &plugin.manifest().schema, plugin.digest(), &Limits::default())?;
        let mut process = Self { plugin, store, event, subjects, rng: Rng::with_seed(SEED), head: 0 };
        let mut subject = 0;
        while subject < subjects {
            let until = subjects.min(subject + FILLING as u64);
            process.fold((subject..until).collect(), FILLING)?;
            subject = until;
        }
        Ok(process)
    }

    /// Lets so many events come, each about a subject by lot, and so many in one transaction; answers the time from the first to the last.
    ///
    /// # Errors
    /// As of [`fill`](Self::fill).
    pub fn react(&mut self, events: usize, batch: usize) -> Result<Duration, Error> {
        let subjects = (0..events).map(|_| self.rng.u64(0..self.subjects)).collect();
        self.fold(subjects, batch)
    }

    fn fold(&mut self, subjects: Vec<u64>, size: usize) -> Result<Duration, Error> {
        let batches: Vec<(Batch, u64)> = subjects.chunks(size).map(|subjects| self.batch(subjects)).collect();
        // As where it serves: what is to be done is kept.
        let terms = Terms { acting: Acting::behind(0), ..Terms::default() };
        let started = Instant::now();
        replay(self.plugin, &terms, &self.store, batches).map_err(|halt| Error::Stopped(halt.to_string()))?;
        Ok(started.elapsed())
    }

    fn batch(&mut self, subjects: &[u64]) -> (Batch, u64) {
        let mut batch = Batch::default();
        for subject in subjects {
            self.head += 1;
            let Told { event_type, stream, data } = (self.event)(&mut self.rng, *subject);
            batch.push(&Envelope {
                position: self.head,
                revision: 0,
                schema_version: 1,
                recorded_at_us: BEGINNING_US + self.head.cast_signed(),
                internal: false,
                source: "",
                id: &self.head.to_string(),
                stream: &stream,
                event_type,
                module: "",
                occurred_at: None,
                correlation_id: "",
                causation_id: "",
                content_type: "",
                data: data.as_bytes(),
                metadata: b"",
            });
        }
        (batch, self.head)
    }
}
