//! Laterna: a projection host.
pub mod log;
pub mod plugin;
pub mod store;
