//! Laterna: a projection host.
pub mod log;
pub mod store;
