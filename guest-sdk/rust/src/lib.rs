//! Write Laterna components in Rust.
//!
//! A projection is a struct, a schema and a trait:
//!
//! ```no_run
//! use laterna_sdk::prelude::*;
//!
//! #[derive(Default)]
//! struct Orders;
//!
//! impl Projection for Orders {
//!     fn manifest() -> Manifest {
//!         Manifest::new("orders", "1.0.0")
//!             .describe("How many orders each customer placed.")
//!             .consume_type("OrderPlaced", "counts it for its customer")
//!             .schema("CREATE TABLE customers (customer_id TEXT PRIMARY KEY, orders INTEGER NOT NULL) STRICT, WITHOUT ROWID")
//!     }
//!
//!     fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
//!         #[derive(serde::Deserialize)]
//!         struct Placed<'a> {
//!             customer_id: &'a str,
//!         }
//!         let placed: Placed = event.json()?;
//!         store.execute(
//!             "INSERT INTO customers VALUES (?1, 1) ON CONFLICT DO UPDATE SET orders = orders + 1",
//!             (placed.customer_id,),
//!         )?;
//!         Ok(())
//!     }
//! }
//!
//! laterna_sdk::export!(Orders);
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
//! # Layout
//!
//! * [`Projection`]: what an author implements, and [`export!`]
//! * [`Event`]: a borrowed view of one event
//! * [`Store`]: SQL on the component's own read store, with [`Value`], [`Parameters`] and [`FromRow`]
//! * [`Manifest`]: what the component says of itself, with [`NamedQuery`]
//! * [`Error`]: why an event cannot be applied

#[doc(hidden)]
pub mod bindings;
mod error;
mod event;
mod manifest;
mod projection;
mod store;
mod value;

pub use error::{Error, Result};
pub use event::Event;
pub use manifest::{Manifest, NamedQuery, ParameterType};
pub use projection::{Arguments, Projection};
pub use store::{SqlError, Store};
pub use value::{FromCell, FromRow, Parameter, Parameters, Value};

/// Everything that a projection usually needs.
pub mod prelude {
    pub use crate::{Arguments, Error, Event, Manifest, NamedQuery, ParameterType, Projection, Result, Store};
}

/// What [`export!`] expands to; not for direct use.
#[doc(hidden)]
pub mod __private {
    pub use crate::bindings;
    pub use crate::projection::Exported;

    /// On other targets than WebAssembly there is nothing to export to, and the type is only checked.
    pub const fn check<P: crate::Projection>() {}
}

/// Makes a type that implements [`Projection`] the component of this crate. Once in a crate.
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
