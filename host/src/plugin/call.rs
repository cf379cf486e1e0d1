//! One call of a component: a fresh instance, one budget, and a verdict that tells the component's faults from the machine's.

use super::batch::{self, Batch};
use super::bindings::types::Value as Cell;
use super::bindings::{Projection, ProjectionPre, UpcasterPre, fold, upcast};
use super::component::{Folding, Plugin, Upcaster};
use super::engine::{Engine, Limits};
use super::wasi::Stderr;
use rusqlite::types::{Value, ValueRef};
use std::any::Any;
use wasmtime::{Store, StoreLimits, StoreLimitsBuilder, Trap};

/// What a component reaches through `laterna:plugin/sql`. The one who calls a component implements it.
pub trait Database: Any {
    /// Prepares a statement, or finds it.
    ///
    /// # Errors
    /// The statement's, or the machine's.
    fn prepare(&mut self, sql: &str) -> Result<Prepared, DatabaseFault>;

    /// Runs a statement within this many steps; answers the rows changed.
    fn execute(&mut self, statement: usize, parameters: &[ValueRef<'_>], steps: u64) -> Metered<u64>;

    /// Runs a statement within this many steps and shows its rows' cells, one by one, until `cell` has enough and answers
    /// false.
    fn query(
        &mut self,
        statement: usize,
        parameters: &[ValueRef<'_>],
        steps: u64,
        cell: &mut dyn FnMut(ValueRef<'_>) -> bool,
    ) -> Metered<()>;
}

/// A prepared statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// What the database calls it.
    pub statement: usize,
    /// How many parameters it takes.
    pub parameters: usize,
    /// The names of its result columns.
    pub columns: Vec<String>,
}

/// What came of an execution, with the steps of SQLite's virtual machine that it took, also where it failed.
pub type Metered<T> = (u64, Result<T, DatabaseFault>);

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseFault {
    /// The SQL or the data: the component is told, and may go on.
    #[error("{message} (SQLite code {code})")]
    Sql {
        /// SQLite's extended result code.
        code: i32,
        /// SQLite's words.
        message: String,
    },
    /// More steps than allowed: the call ends.
    #[error("it ran out of its budget in SQLite")]
    OutOfSteps,
    /// More time than a question may take: the call ends.
    #[error("it took too long")]
    OutOfTime,
    /// A rule that holds for the whole call was broken: the call ends.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The machine's fault: the call ends, and nobody is convicted.
    #[error("{0}")]
    Machine(String),
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The component's doing, the same on every machine.
    #[error(transparent)]
    Verdict(#[from] Verdict),
    /// The machine's, such as a full disk: says nothing about the component or the event.
    #[error("{0}")]
    Machine(String),
    /// More of the native stack than there is. How deep one may go hangs on the compiler and the processor, so it is no verdict.
    #[error("it used up its call stack: it recurses too deeply")]
    OutOfStack,
    /// More time than a question may take.
    #[error("it took too long")]
    OutOfTime,
}

/// What a component did wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Verdict {
    /// It said so itself.
    #[error("{message}")]
    Failed {
        /// The event that it names.
        position: Option<u64>,
        /// Its words.
        message: String,
    },
    /// It panicked, or did what WebAssembly forbids.
    #[error("it trapped: {trap}{}", after_colon(stderr))]
    Trapped {
        /// WebAssembly's words.
        trap: String,
        /// What it wrote to standard error.
        stderr: String,
    },
    /// It ran longer than its budget.
    #[error("it used up its budget of {fuel} units of fuel")]
    OutOfFuel {
        /// The budget.
        fuel: u64,
    },
    /// It wanted more memory than it may have.
    #[error("it wanted more than its {bytes} bytes of memory")]
    OutOfMemory {
        /// The limit.
        bytes: usize,
    },
    /// It did through SQL what it must not, or answered what it must not.
    #[error("{0}")]
    Forbidden(String),
    /// An event is of a version that the component does not handle, and no upcaster leads to the one that it does.
    #[error("{event_type} has version {version}, and the component handles version {handled}: {}", if version < handled {
        "no upcaster leads from there. Drop one that does"
    } else {
        "versions are not led back. Drop a release of the component that handles it"
    })]
    UnknownVersion {
        /// The event's position.
        position: u64,
        /// Its type.
        event_type: String,
        /// Its version, as far as upcasters led it.
        version: u32,
        /// The version that the component's manifest names.
        handled: u32,
    },
    /// An upcaster could not bring an event further.
    #[error("the upcaster `{upcaster}`: {verdict}")]
    Upcaster {
        /// Its name.
        upcaster: String,
        /// What it did wrong.
        verdict: Box<Verdict>,
    },
}

impl Verdict {
    /// All that [`code`](Self::code) answers.
    pub const CODES: &[&str] = &["event-failed", "unknown-version"];

    /// Its stable name, with a page in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownVersion { .. } => "unknown-version",
            _ => "event-failed",
        }
    }

    /// The event that is named as the one at fault: a hint, since a component may name any.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        match self {
            Self::Failed { position, .. } => *position,
            Self::UnknownVersion { position, .. } => Some(*position),
            Self::Upcaster { verdict, .. } => verdict.position(),
            _ => None,
        }
    }
}

fn after_colon(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// What a store holds for the length of one call.
pub(super) struct Call {
    /// `None` in `describe`, which runs without a store, and while a statement runs.
    pub(super) database: Option<Box<dyn Database>>,
    /// The statements that this call prepared. A component sees their places here, which depend on nothing before the call.
    pub(super) statements: Vec<Prepared>,
    pub(super) stderr: Stderr,
    pub(super) answer_bytes: usize,
    memory: Memory,
}

/// Refuses memory beyond the limit, and remembers that it did: the trap that follows says only `unreachable`.
struct Memory {
    limits: StoreLimits,
    refused: bool,
}

impl wasmtime::ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = self.limits.memory_growing(current, desired, maximum)?;
        self.refused |= !allowed;
        Ok(allowed)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.limits.table_growing(current, desired, maximum)
    }

    fn instances(&self) -> usize {
        self.limits.instances()
    }

    fn tables(&self) -> usize {
        self.limits.tables()
    }

    fn memories(&self) -> usize {
        self.limits.memories()
    }
}

impl Call {
    fn new(database: Option<Box<dyn Database>>, limits: &Limits) -> Self {
        let memory = StoreLimitsBuilder::new()
            .memory_size(limits.memory_bytes)
            .table_elements(100_000)
            .instances(64)
            .tables(64)
            .memories(4)
            .build();
        Self {
            database,
            statements: Vec::new(),
            stderr: Stderr::default(),
            answer_bytes: limits.answer_bytes,
            memory: Memory { limits: memory, refused: false },
        }
    }
}

/// Asks a projection what it is.
pub(super) fn describe(
    engine: &Engine,
    limits: &Limits,
    pre: &ProjectionPre<Call>,
) -> Result<fold::Manifest, CallError> {
    let ask = |mut store: &mut Store<Call>| {
        let component = pre.instantiate(&mut store)?;
        component.laterna_plugin_fold().call_describe(store)
    };
    run(engine, limits, None, ask).1
}

/// Asks an upcaster what it is.
pub(super) fn describe_upcaster(
    engine: &Engine,
    limits: &Limits,
    pre: &UpcasterPre<Call>,
) -> Result<upcast::Manifest, CallError> {
    let ask = |mut store: &mut Store<Call>| {
        let component = pre.instantiate(&mut store)?;
        component.laterna_plugin_upcast().call_describe(store)
    };
    run(engine, limits, None, ask).1
}

impl Upcaster {
    /// Brings each event of a batch one version further; answers for each its new data, or `None` where it is dropped.
    ///
    /// # Errors
    /// What the component or the machine did wrong.
    pub fn upcast(&self, batch: &Batch) -> Result<Vec<Option<Vec<u8>>>, CallError> {
        let ask = |mut store: &mut Store<Call>| {
            let component = self.pre.instantiate(&mut store)?;
            component.laterna_plugin_upcast().call_upcast(store, &batch.wit)
        };
        let answered = run(&self.engine, &self.limits, None, ask).1.and_then(|answered| {
            answered.map_err(|failure| {
                Verdict::Failed { position: failure.position, message: in_a_line(&failure.message) }.into()
            })
        });
        let upcasted = answered.and_then(|upcast::Upcasted { data, bytes }| {
            batch::pieces(&data, &bytes, batch.len()).map_err(|wrong| Verdict::Forbidden(wrong).into())
        });
        upcasted.map_err(|error| match error {
            CallError::Verdict(verdict) => {
                Verdict::Upcaster { upcaster: self.manifest().name.clone(), verdict: Box::new(verdict) }.into()
            }
            other => other,
        })
    }
}

impl Plugin {
    /// Applies a batch to the store behind `database`, which is handed back.
    ///
    /// # Errors
    /// What the component or the machine did wrong. The caller must roll back what was done.
    pub fn apply<D: Database>(&self, batch: &Batch, database: D) -> (D, Result<(), CallError>) {
        let Folding::Projection(pre) = &self.pre else { return (database, Err(no_projection())) };
        let (database, applied) =
            self.call(pre, database, |component, store| component.laterna_plugin_fold().call_apply(store, &batch.wit));
        let applied = applied.and_then(|applied| {
            applied.map_err(|failure| {
                Verdict::Failed { position: failure.position, message: in_a_line(&failure.message) }.into()
            })
        });
        (database, applied)
    }

    /// Asks a computed query; the arguments must be those of the manifest. Answers JSON.
    ///
    /// # Errors
    /// What the component or the machine did wrong.
    pub fn query<D: Database>(
        &self,
        name: &str,
        arguments: &[(String, Value)],
        database: D,
    ) -> (D, Result<String, CallError>) {
        let arguments: Vec<fold::Argument> = arguments
            .iter()
            .map(|(name, value)| fold::Argument { name: name.clone(), value: to_cell(value.into()) })
            .collect();
        let Folding::Projection(pre) = &self.pre else { return (database, Err(no_projection())) };
        let (database, answered) = self.call(pre, database, |component, store| {
            component.laterna_plugin_fold().call_query(store, name, &arguments)
        });
        let answered = answered.and_then(|answered| match answered {
            Ok(json) if json.len() > self.limits.answer_bytes => {
                let limit = self.limits.answer_bytes;
                Err(Verdict::Forbidden(format!("its answer has more than {limit} bytes")).into())
            }
            Ok(json) => Ok(json),
            Err(failure) => Err(Verdict::Failed { position: None, message: in_a_line(&failure.message) }.into()),
        });
        (database, answered)
    }

    fn call<D: Database, T>(
        &self,
        pre: &ProjectionPre<Call>,
        database: D,
        call: impl FnOnce(&Projection, &mut Store<Call>) -> wasmtime::Result<T>,
    ) -> (D, Result<T, CallError>) {
        let ask = |mut store: &mut Store<Call>| {
            let component = pre.instantiate(&mut store)?;
            call(&component, store)
        };
        let (state, outcome) = run(&self.engine, &self.limits, Some(Box::new(database)), ask);
        let database: Option<Box<dyn Any>> = state.database.map(|database| database as _);
        match database.and_then(|database| database.downcast().ok()) {
            Some(database) => (*database, outcome),
            None => unreachable!("a call gives back the database that it was given"),
        }
    }
}

/// A process manager is never called so: who calls a component knows its world.
fn no_projection() -> CallError {
    CallError::Machine("a process manager was called as if it were a projection".to_owned())
}

/// Calls a component in a fresh instance, and takes the database out again whatever came of it.
pub(super) fn run<T>(
    engine: &Engine,
    limits: &Limits,
    database: Option<Box<dyn Database>>,
    call: impl FnOnce(&mut Store<Call>) -> wasmtime::Result<T>,
) -> (Call, Result<T, CallError>) {
    let mut store = Store::new(engine.wasmtime(), Call::new(database, limits));
    store.limiter(|call| &mut call.memory);
    let outcome = store.set_fuel(limits.fuel).and_then(|()| call(&mut store));
    let state = store.into_data();
    let outcome = outcome.map_err(|error| judge(&error, &state, limits));
    (state, outcome)
}

/// Tells the component's faults from the machine's.
fn judge(error: &wasmtime::Error, call: &Call, limits: &Limits) -> CallError {
    if let Some(stopped) = error.downcast_ref::<Stopped>() {
        return match stopped {
            Stopped::OutOfFuel => Verdict::OutOfFuel { fuel: limits.fuel }.into(),
            Stopped::OutOfTime => CallError::OutOfTime,
            Stopped::Forbidden(what) => Verdict::Forbidden(what.clone()).into(),
            Stopped::Machine(what) => CallError::Machine(what.clone()),
        };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => Verdict::OutOfFuel { fuel: limits.fuel }.into(),
        Some(Trap::StackOverflow) => CallError::OutOfStack,
        // Any other trap of one whose wish was refused is how it took that; what it says of it itself is worth little.
        _ if call.memory.refused => Verdict::OutOfMemory { bytes: limits.memory_bytes }.into(),
        trap => {
            let trap = trap.map_or_else(|| error.root_cause().to_string(), ToString::to_string);
            Verdict::Trapped { trap, stderr: in_a_line(&call.stderr.text()) }.into()
        }
    }
}

/// Bytes of a component's words, or of words about it, that are passed on.
const WORDS_BYTES: usize = 4 << 10;

/// Words as they are kept and shown: one line of bounded length, without what could steer a terminal.
pub(super) fn in_a_line(words: &str) -> String {
    let kept = &words[..words.floor_char_boundary(WORDS_BYTES)];
    // Rust says it behind every panic; here there is no environment to set it in.
    let lines = kept.lines().map(str::trim).filter(|line| !line.starts_with("note: run with `RUST_BACKTRACE"));
    let line = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let line = line.replace(char::is_control, "\u{fffd}");
    if kept.len() < words.len() { line + " …" } else { line }
}

/// Why a host function ends the call it was called in.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    #[error("out of fuel")]
    OutOfFuel,
    #[error("out of time")]
    OutOfTime,
    #[error("{0}")]
    Forbidden(String),
    #[error("{0}")]
    Machine(String),
}

fn to_cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(integer) => Cell::Integer(integer),
        ValueRef::Real(real) => Cell::Real(real),
        ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(blob) => Cell::Blob(blob.to_vec()),
    }
}
