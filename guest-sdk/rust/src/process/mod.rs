//! Process managers: components that react to events by appending events and setting timers.
//!
//! In reading order: [`manager`] is what an author implements, [`key`] by what an event finds its instances, [`turn`] what an
//! instance is told, [`action`] what it answers; [`machine`] and [`once`] are what larger ones are built from; [`manifest`] is what a
//! process manager says of itself; [`exported`] carries all of it over to the contract.

mod action;
pub(crate) mod exported;
mod key;
mod machine;
mod manager;
mod manifest;
mod once;
mod turn;

pub use action::{Action, Effect, Expected, Timer};
pub use exported::ExportedProcessManager;
pub use key::Key;
pub use machine::{Machine, together};
pub use manager::ProcessManager;
pub use manifest::ProcessManifest;
pub use once::Once;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use turn::{FIRED, REFUSED};
pub use turn::{Fired, Happened, Refused, RefusedEffect, Turn};
