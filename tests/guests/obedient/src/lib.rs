//! A process manager that does what its events say, and remembers what it was told, in the order in which that came.

use laterna_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Turns since this memory was made. Nobody should have one.
static TURNS: AtomicU64 = AtomicU64::new(0);

pub struct Obedient;

#[derive(Deserialize)]
pub enum Order {
    /// An instance does something.
    Told {
        to: String,
        #[serde(default)]
        does: Vec<Deed>,
        /// Remembered in place of the type.
        #[serde(default)]
        note: Option<String>,
    },
    /// An instance answers with the same, so that this goes on for ever.
    Echoed { to: String },
    /// An instance remembers how many turns there were before this one.
    Counted { to: String },
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deed {
    Does {
        stream: String,
        #[serde(default)]
        what: Json,
        #[serde(default)]
        internal: bool,
        /// There is no such stream.
        #[serde(default)]
        first: bool,
    },
    Echoes,
    /// The timer `again` is set anew whenever it fires.
    Waits {
        timer: String,
        seconds: u64,
        #[serde(default)]
        every: Option<u64>,
    },
    Cancels(String),
    Answers(String),
    Ends,
}

#[derive(Serialize)]
enum Effect<'a> {
    Done { what: &'a Json },
    Echoed { to: &'a str },
}

#[derive(Default, Serialize, Deserialize)]
pub struct Memory {
    told: Vec<String>,
}

impl ProcessManager for Obedient {
    type Event = Order;
    type State = Memory;

    fn manifest() -> ProcessManifest {
        ProcessManifest::new("obedient", "1.0.0")
            .describe("Does what it is told.")
            .consume_type("Told", "an order")
            .consume_type("Echoed", "an order to answer")
            .consume_type("Counted", "an order to count")
            .produce("Done", "it was told so")
            .produce("Echoed", "it heard one")
            .from_start()
    }

    fn correlate(order: &Order, _: &Event<'_>) -> Vec<Key> {
        let (Order::Told { to, .. } | Order::Echoed { to } | Order::Counted { to }) = order;
        vec![Key::starts(to)]
    }

    fn react(memory: &mut Memory, turn: &Turn<'_, Order>) -> Result<Vec<Action>> {
        let turns = TURNS.fetch_add(1, Ordering::Relaxed);
        let (told, deeds) = match turn.happened() {
            Happened::Event(Order::Told { does, note, .. }) => {
                (note.clone().unwrap_or_else(|| "told".into()), does.clone())
            }
            Happened::Event(Order::Echoed { .. }) => ("echoed".into(), vec![Deed::Echoes]),
            Happened::Event(Order::Counted { .. }) => (turns.to_string(), vec![]),
            Happened::Fired(fired) => (
                format!("{} at {}, {} missed", fired.timer, fired.due_at, fired.missed),
                match fired.timer.as_str() {
                    "again" => vec![Deed::Waits { timer: "again".into(), seconds: 0, every: None }],
                    timer => vec![Deed::Does {
                        stream: format!("timer-{timer}"),
                        what: Json::from(timer),
                        internal: false,
                        first: false,
                    }],
                },
            ),
            Happened::Refused(refused) => {
                (format!("{} {}: {}", refused.effect.stream, refused.code, refused.reason), vec![])
            }
        };
        // What never ends would be remembered for ever.
        if turn.fired("again").is_none() {
            memory.told.push(told);
        }
        let act = |deed| match deed {
            Deed::Does { stream, what, internal, first } => {
                let mut effect = laterna_sdk::Effect::new(stream, &Effect::Done { what: &what });
                if internal {
                    effect = effect.internal();
                }
                if first {
                    effect = effect.expected(Expected::NoStream);
                }
                effect.into()
            }
            Deed::Echoes => {
                Action::append(format!("echo-{}", turn.instance()), &Effect::Echoed { to: turn.instance() })
            }
            Deed::Waits { timer, seconds, every } => {
                let timer = Timer::after(timer, Duration::from_secs(seconds));
                match every {
                    Some(every) => timer.every(Duration::from_secs(every)).into(),
                    None => timer.into(),
                }
            }
            Deed::Cancels(timer) => Action::cancel(timer),
            Deed::Answers(name) => Action::associate(name),
            Deed::Ends => Action::End,
        };
        Ok(deeds.into_iter().map(act).collect())
    }
}

laterna_sdk::export_process_manager!(Obedient);
