//! Where SQL goes: in a component to the host, in a test on the machine that builds it to rusqlite.

#[cfg(not(all(feature = "native", not(target_arch = "wasm32"))))]
mod imports;
#[cfg(all(feature = "native", not(target_arch = "wasm32")))]
mod native;

#[cfg(not(all(feature = "native", not(target_arch = "wasm32"))))]
pub(crate) use imports::Database;
#[cfg(all(feature = "native", not(target_arch = "wasm32")))]
pub(crate) use native::Database;

/// A prepared statement.
#[derive(Clone, Copy)]
pub(crate) struct Statement {
    pub(crate) handle: u32,
    pub(crate) columns: usize,
}
