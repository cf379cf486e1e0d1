//! The contract of `wit/` as Rust. Only the exports are called through it; `sql` and `wasi` define the imports by hand.
#![allow(missing_docs)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "projection",
});

pub use self::exports::laterna::plugin::fold;
pub use self::laterna::plugin::types;
