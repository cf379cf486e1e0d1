//! Write Laterna components in Rust.
//!
//! A projection is an enum of events, a struct for each table, and a trait:
//!
//! ```
//! use laterna_sdk::prelude::*;
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! enum Shop {
//!     OrderPlaced { customer_id: String, total_cents: i64 },
//! }
//!
//! #[derive(Row, Clone)]
//! #[row(table = "customers")]
//! struct Customer {
//!     #[row(key)]
//!     customer_id: String,
//!     #[row(default)]
//!     orders: i64,
//!     #[row(default)]
//!     spent_cents: i64,
//! }
//!
//! #[derive(Default)]
//! struct Customers;
//!
//! impl Projection for Customers {
//!     fn manifest() -> Manifest {
//!         Manifest::new("customers", "1.0.0")
//!             .describe("How many orders each customer placed, and for how much.")
//!             .consume_type("OrderPlaced", "counts it for its customer")
//!             .table::<Customer>()
//!     }
//!
//!     fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
//!         match event.decode()? {
//!             Shop::OrderPlaced { customer_id, total_cents } => {
//!                 store.table::<Customer>().upsert(&customer_id, |customer| {
//!                     customer.orders += 1;
//!                     customer.spent_cents += total_cents;
//!                 })
//!             }
//!         }
//!     }
//! }
//!
//! laterna_sdk::export!(Customers);
//! # fn main() {}
//! ```
//!
//! Build it with `cargo build --target wasm32-wasip2 --release` and copy the `.wasm` file into the host's `components/`.
//!
//! # What to keep in mind
//!
//! A component has no memory but its store: the struct is made anew for each batch. What an event does may depend on that
//! event and on the store alone; there is no clock, randomness, file or network, and results must not hang on the
//! iteration order of a `HashMap` (use `BTreeMap`).
//!
//! Typed tables are the fast way: rows that a batch touches are kept in memory, and each is written once. SQL is the free way:
//! whatever SQLite can do with a read model. Both go together.
//!
//! # Layout
//!
//! * [`Projection`]: what an author implements, and [`export!`]
//! * [`Event`]: a borrowed view of one event
//! * [`Row`], [`Table`]: typed tables, with [`Column`], [`KeyColumn`] and [`DefaultRow`]
//! * [`Store`]: typed tables and SQL on the component's own read store, with [`Value`], [`Parameters`] and [`FromRow`]
//! * [`Manifest`]: what the component says of itself, with [`NamedQuery`]
//! * [`ProcessManager`]: reacts to events with [`Action`]s, and [`export_process_manager!`]; with [`ProcessManifest`], [`Key`] and
//!   [`Turn`]; larger ones are built from [`Machine`]s and [`Once`]
//! * [`Upcaster`]: brings events of older versions further, and [`export_upcaster!`]
//! * [`dates`]: days and moments
//! * [`Error`]: why an event cannot be applied
//! * `native`: the same process manager with a clock of its own, and, with the feature `native`, the same projection over rusqlite, in a
//!   plain `cargo test`

#[doc(hidden)]
pub mod bindings;
mod database;
pub mod dates;
mod decode;
mod encode;
mod error;
mod event;
mod head;
mod manifest;
#[cfg(not(target_arch = "wasm32"))]
pub mod native;
mod process;
mod projection;
mod store;
mod table;
mod upcaster;
mod value;

pub use error::{Error, Result};
pub use event::Event;
pub use manifest::{Manifest, NamedQuery, ParameterType};
pub use process::{
    Action, Effect, Expected, Fired, Happened, Key, Machine, Once, ProcessManager, ProcessManifest, Refused,
    RefusedEffect, Timer, Turn, together,
};
pub use projection::{Arguments, Projection};
pub use store::{SqlError, Store};
pub use table::{Column, DefaultRow, KeyColumn, Row, Table};
pub use upcaster::{Upcast, Upcaster, UpcasterManifest};
pub use value::{Cell, FromCell, FromRow, Parameter, Parameters, Value};

/// Makes a struct the [row](trait@Row) of a typed table.
///
/// ```
/// use laterna_sdk::Row;
///
/// #[derive(Row, Clone)]
/// #[row(table = "customers")]
/// struct Customer {
///     #[row(key)]
///     customer_id: String,
///     #[row(default)]
///     orders: i64,
/// }
/// assert_eq!(Customer::COLUMNS, ["customer_id", "orders"]);
/// ```
pub use laterna_sdk_macros::Row;

/// JSON: what a computed query answers, and what an event holds in a test. See [`json!`].
///
/// ```
/// use laterna_sdk::{Json, json};
///
/// let answer: Json = json!({ "country": "France", "net_mils": 1200 });
/// assert_eq!(answer["net_mils"], 1200);
/// ```
pub type Json = serde_json::Value;

/// Makes [`Json`], as it is written.
///
/// ```
/// let name = "ann";
/// assert_eq!(laterna_sdk::json!([name, 3, null]).to_string(), r#"["ann",3,null]"#);
/// ```
pub use serde_json::json;

/// Everything that a projection usually needs.
///
/// ```
/// use laterna_sdk::prelude::*;
///
/// fn answer(store: &Store) -> Result<Json> {
///     let row: Option<(i64,)> = store.query_one("SELECT count(*) FROM orders", ())?;
///     Ok(json!({ "orders": row.map(|(orders,)| orders) }))
/// }
/// ```
pub mod prelude {
    pub use crate::{
        Action, Arguments, DefaultRow, Effect, Error, Event, Expected, Happened, Json, Key, Machine, Manifest,
        NamedQuery, Once, ParameterType, ProcessManager, ProcessManifest, Projection, Result, Row, Store, Table, Timer,
        Turn, Upcast, Upcaster, UpcasterManifest, json, together,
    };
}

/// What [`export!`] expands to; not for direct use.
#[doc(hidden)]
pub mod __private {
    pub use crate::bindings;
    pub use crate::process::ExportedProcessManager;
    #[cfg(not(all(feature = "native", not(target_arch = "wasm32"))))]
    pub use crate::projection::Exported;
    pub use crate::table::of_column;
    pub use crate::upcaster::ExportedUpcaster;
    pub use crate::value::Cell;

    /// On other targets than WebAssembly there is nothing to export to, and the type is only checked.
    pub const fn check<P: crate::Projection>() {}

    /// The same, of a process manager.
    pub const fn check_process_manager<P: crate::ProcessManager>() {}

    /// The same, of an upcaster.
    pub const fn check_upcaster<U: crate::Upcaster>() {}
}

/// Makes a type that implements [`Projection`] the component of this crate. Once in a crate.
///
/// ```
/// use laterna_sdk::prelude::*;
///
/// #[derive(Default)]
/// struct Nothing;
///
/// impl Projection for Nothing {
///     fn manifest() -> Manifest {
///         Manifest::new("nothing", "1.0.0")
///     }
///
///     fn apply(&mut self, _: &Event<'_>, _: &Store) -> Result<()> {
///         Ok(())
///     }
/// }
///
/// laterna_sdk::export!(Nothing);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export {
    ($projection:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Component = $crate::__private::Exported<$projection>;
            $crate::__private::bindings::export_projection! { Component with_types_in $crate::__private::bindings }
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = $crate::__private::check::<$projection>();
    };
}

/// Makes a type that implements [`Upcaster`] the component of this crate. Once in a crate.
///
/// ```
/// use laterna_sdk::prelude::*;
///
/// struct Nothing;
///
/// impl Upcaster for Nothing {
///     fn manifest() -> UpcasterManifest {
///         UpcasterManifest::new("nothing", "1.0.0").step("NothingHappened", 1, "nobody wants to know")
///     }
///
///     fn upcast(_: &Event<'_>) -> Result<Upcast> {
///         Ok(Upcast::Drop)
///     }
/// }
///
/// laterna_sdk::export_upcaster!(Nothing);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_upcaster {
    ($upcaster:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Component = $crate::__private::ExportedUpcaster<$upcaster>;
            $crate::__private::bindings::upcaster::export_upcaster! {
                Component with_types_in $crate::__private::bindings::upcaster
            }
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = $crate::__private::check_upcaster::<$upcaster>();
    };
}

/// Makes a type that implements [`ProcessManager`] the component of this crate. Once in a crate.
///
/// ```
/// use laterna_sdk::prelude::*;
/// use serde::Deserialize;
///
/// struct Nothing;
///
/// #[derive(Deserialize)]
/// enum Anything {
///     #[serde(other)]
///     Something,
/// }
///
/// impl ProcessManager for Nothing {
///     type Event = Anything;
///     type State = ();
///
///     fn manifest() -> ProcessManifest {
///         ProcessManifest::new("nothing", "1.0.0").consume_type("SomethingHappened", "to do nothing about it")
///     }
///
///     fn correlate(_: &Anything, _: &Event<'_>) -> Vec<Key> {
///         vec![]
///     }
///
///     fn react(_: &mut (), _: &Turn<'_, Anything>) -> Result<Vec<Action>> {
///         Ok(vec![])
///     }
/// }
///
/// laterna_sdk::export_process_manager!(Nothing);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_process_manager {
    ($manager:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Component = $crate::__private::ExportedProcessManager<$manager>;
            $crate::__private::bindings::process::export_process_manager! {
                Component with_types_in $crate::__private::bindings::process
            }
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = $crate::__private::check_process_manager::<$manager>();
    };
}
