//! A component that misbehaves in every way there is. What it does to an event follows from the event's type, what it answers to a
//! computed query from the query's name.
//!
//! What it says of itself is written into its file after it was built (`laterna_tests::misbehaving`): so one build gives any
//! number of components, each with a name, a schema and queries of its own.
#![cfg(target_arch = "wasm32")]

mod deeds;
mod queries;
mod says;
mod streams;

use deeds::Company;
use laterna_sdk::bindings::exports::laterna::plugin::fold::{self, Guest};
use laterna_sdk::prelude::*;
use says::Says;

#[derive(Default)]
struct Misbehaving {
    /// Events of this batch so far: nothing should follow from it.
    company: u64,
}

impl Projection for Misbehaving {
    fn manifest() -> Manifest {
        let says = Says::read();
        deeds::while_describing(&says);
        says.manifest()
    }

    fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
        // Whatever an event does besides, it is noted first: of one that cannot be applied nothing of this may be left.
        store.execute("INSERT INTO seen VALUES (?1, ?2)", (event.position() as i64, event.id()))?;
        store.execute(
            "INSERT INTO counts VALUES (?1, 1) ON CONFLICT DO UPDATE SET events = events + 1",
            (event.event_type(),),
        )?;
        self.company += 1;
        deeds::apply(event, store, self.company)
    }

    fn query(&self, name: &str, _: &Arguments, store: &Store) -> Result<serde_json::Value> {
        queries::answer(name, store)
    }
}

/// What the SDK makes of [`Misbehaving`], but for what no author can do by means of the SDK.
struct Raw;

type Sdk = laterna_sdk::__private::Exported<Misbehaving>;

impl Guest for Raw {
    fn describe() -> fold::Manifest {
        Sdk::describe()
    }

    fn apply(batch: fold::Batch) -> Result<(), fold::Failure> {
        match Company::of(&batch) {
            Company::Good => Sdk::apply(batch),
            Company::Bad(position, message) => Err(fold::Failure { position, message: message.to_owned() }),
        }
    }

    fn query(name: String, arguments: Vec<fold::Argument>) -> Result<String, fold::Failure> {
        queries::answer_raw(&name).map_or_else(|| Sdk::query(name, arguments), Ok)
    }
}

laterna_sdk::bindings::export_projection!(Raw with_types_in laterna_sdk::bindings);
