//! The same component on the machine that builds it: for a plain `cargo test`, with a debugger if need be.
//!
//! A process manager runs in a [`Process`], with a log of its own, and a clock that stands until it is advanced. A projection runs over
//! rusqlite, in a `ReadModel`, with the feature `native`:
//!
//! ```toml
//! [dev-dependencies]
//! laterna-sdk = { path = "…", features = ["native"] }
//! ```
//!
//! ```
//! # #[cfg(feature = "native")] {
//! use laterna_sdk::native::{NewEvent, ReadModel};
//! use laterna_sdk::prelude::*;
//!
//! #[derive(Row, Clone)]
//! #[row(table = "customers")]
//! struct Customer {
//!     #[row(key)]
//!     customer_id: String,
//!     #[row(default)]
//!     orders: i64,
//! }
//!
//! #[derive(Default)]
//! struct Customers;
//!
//! impl Projection for Customers {
//!     fn manifest() -> Manifest {
//!         Manifest::new("customers", "1.0.0")
//!             .table::<Customer>()
//!             .query(NamedQuery::sql("best", "SELECT customer_id FROM customers ORDER BY orders DESC LIMIT 1"))
//!     }
//!
//!     fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
//!         store.table::<Customer>().upsert(event.stream(), |customer| customer.orders += 1)
//!     }
//! }
//!
//! let mut model = ReadModel::<Customers>::new()?;
//! model.apply([NewEvent::new("customer-7", "OrderPlaced", json!({}))])?;
//! assert_eq!(model.table("customers")?, [json!({"customer_id": "customer-7", "orders": 1})]);
//! assert_eq!(model.query("best", &[])?, json!([{"customer_id": "customer-7"}]));
//! # }
//! # Ok::<(), laterna_sdk::Error>(())
//! ```
//!
//! What a host does besides is not here: limits, the rules of schemas, and subscriptions (an event that the manifest does not
//! consume is skipped here, too). `laterna test` runs the component itself.

mod new_event;
mod process;
#[cfg(feature = "native")]
mod read_model;

pub use new_event::NewEvent;
pub use process::{Appended, Process};
#[cfg(feature = "native")]
pub use read_model::ReadModel;
