//! Laterna: a projection host. It owns an append-only event log and SQLite read stores, and runs projections as sandboxed
//! WebAssembly components.
//!
//! # Layout
//!
//! Data flows one way: `http → log → projector → plugin → store → http`.
//!
//! * [`log`]: the event log
//! * [`plugin`]: components, checked, compiled, and called within limits
//! * [`store`]: read stores
//! * [`projector`]: folds the log into the stores
//! * [`process`]: components that react to events
//! * [`access`]: who may do what
//! * [`release`]: components in the drop folder become releases that serve
//! * [`schemas`]: what events are checked against on append
//! * [`clock`]: the time by which the log is written
//! * [`watch`]: a folder that is looked at again whenever something changes in it
//! * [`scenario`]: stories about a component, told without a host
//! * [`host`]: all of it, opened and closed as one; [`config`] and [`data_dir`] are what it is opened with
//! * [`http`]: the host over HTTP
//! * [`cli`]: the command line
//! * [`failpoint`]: where tests have it die, or wait
//! * [`mod@bench`]: measuring, beside what one would write without Laterna

pub mod access;
pub mod bench;
pub mod cli;
pub mod clock;
pub mod config;
pub mod data_dir;
pub mod failpoint;
pub mod host;
pub mod http;
pub mod log;
pub mod plugin;
pub mod process;
pub mod projector;
pub mod release;
pub mod scenario;
pub mod schemas;
pub mod store;
pub mod watch;
