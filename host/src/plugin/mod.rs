//! Components: checked, compiled, described, and called within limits.
//!
//! The only folder that names wasmtime. It knows nothing of the log, of the read stores or of HTTP: what a component may reach
//! is behind [`Database`], which its caller hands in for each call.
//!
//! A component passes through three types, so that one that was not checked cannot be run:
//! bytes → [`Compiled`] → [`Linked`] → [`Loaded`]: a projection ([`Plugin`]) or an [`Upcaster`].
//!
//! In reading order:
//! * [`engine`]: WebAssembly as Laterna runs it, deterministic and metered
//! * [`component`]: from bytes to what can be run
//! * `cache`: compiled code on the disk
//! * [`manifest`]: what a component says of itself, checked
//! * `arguments`: what is said for a query's parameters, checked
//! * `bindings`: the contract of `wit/` as Rust
//! * [`batch`]: events as they cross
//! * [`call`]: one call in a fresh instance, and why it failed
//! * [`upcasting`]: older versions of events led to the one that a component handles
//! * [`process`]: calls of a process manager
//! * `fuel`: what a call of the host costs
//! * `sql`: the host's side of `laterna:plugin/sql`
//! * `wasi`: what Rust's standard library needs, and nothing more

mod arguments;
pub mod batch;
mod bindings;
mod cache;
pub mod call;
pub mod component;
pub mod engine;
mod fuel;
pub mod manifest;
pub mod process;
mod sql;
pub mod upcasting;
mod wasi;

pub use arguments::ArgumentError;
pub use batch::{Batch, Envelope, as_rfc3339, rfc3339};
pub use call::{CallError, Database, DatabaseFault, Metered, Prepared, Verdict};
pub use component::{Compiled, Linked, LoadError, Loaded, Plugin, Upcaster, is_whole};
pub use engine::{Engine, Limits};
pub use manifest::{
    Manifest, NamedQuery, OnFailure, Parameter, ParameterType, Policy, Selector, Sequence, UpcasterManifest,
    Visibility, is_name,
};
pub use upcasting::Upcasting;

/// Counts up with whatever can change what a component makes of the same events: the engine's settings, the price of a host
/// call, SQLite's version. A store made under another number is made anew.
pub const ABI: u32 = 3;
