//! The contract as Rust, generated from `wit/`.
#![allow(missing_docs, unsafe_code)]

wit_bindgen::generate!({
    path: "wit",
    world: "projection",
    pub_export_macro: true,
    export_macro_name: "export_projection",
    ownership: Borrowing { duplicate_if_necessary: true },
    default_bindings_module: "laterna_sdk::__private::bindings",
});

/// The world of upcasters. What it shares with that of projections is the same type.
pub mod upcaster {
    wit_bindgen::generate!({
        path: "wit",
        world: "upcaster",
        pub_export_macro: true,
        export_macro_name: "export_upcaster",
        ownership: Borrowing { duplicate_if_necessary: true },
        default_bindings_module: "laterna_sdk::__private::bindings::upcaster",
        with: { "laterna:plugin/types@0.1.0": super::laterna::plugin::types },
    });
}

/// The world of process managers. What it shares with that of projections is the same type.
pub mod process {
    wit_bindgen::generate!({
        path: "wit",
        world: "process-manager",
        pub_export_macro: true,
        export_macro_name: "export_process_manager",
        ownership: Borrowing { duplicate_if_necessary: true },
        default_bindings_module: "laterna_sdk::__private::bindings::process",
        with: { "laterna:plugin/types@0.1.0": super::laterna::plugin::types },
    });
}
