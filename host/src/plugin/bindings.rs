//! The contract of `wit/` as Rust. Only the exports are called through it; `sql` and `wasi` define the imports by hand.
#![allow(missing_docs)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "projection",
});

mod manager {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "process-manager",
        with: { "laterna:plugin/types@0.1.0": super::laterna::plugin::types },
    });
}

mod upcaster {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "upcaster",
        with: { "laterna:plugin/types@0.1.0": super::laterna::plugin::types },
    });
}

pub use self::exports::laterna::plugin::fold;
pub use self::laterna::plugin::types;
pub use self::manager::exports::laterna::plugin::process;
pub use self::manager::{ProcessManager, ProcessManagerPre};
pub use self::upcaster::UpcasterPre;
pub use self::upcaster::exports::laterna::plugin::upcast;
