//! A row of a typed table.

use crate::value::{Cell, Value};
use crate::{Error, Result};

/// A row of a typed table; derive it.
///
/// ```
/// use laterna_sdk::Row;
///
/// #[derive(Row, Clone)]
/// #[row(table = "customers", index(country))]
/// struct Customer {
///     #[row(key)]
///     customer_id: String,
///     #[row(default = "unknown")]
///     country: String,
///     #[row(default)]
///     orders: i64,
///     last_order_at: Option<String>,
/// }
///
/// assert_eq!(
///     Customer::schema(),
///     r#"CREATE TABLE "customers" (
///     "customer_id" TEXT NOT NULL PRIMARY KEY,
///     "country" TEXT NOT NULL DEFAULT 'unknown',
///     "orders" INTEGER NOT NULL DEFAULT 0,
///     "last_order_at" TEXT
/// ) STRICT, WITHOUT ROWID;
/// CREATE INDEX "customers_by_country" ON "customers" ("country");
/// "#
/// );
/// ```
///
/// | attribute | of | what it says |
/// | --- | --- | --- |
/// | `table = "…"` | the struct | the table's name |
/// | `index(column, …)` | the struct | an index over these columns; as often as you like |
/// | `key` | a field | the primary key, or a part of it, in the order of the fields |
/// | `default` | a field | what a row that is made from its key alone holds: the default of its type |
/// | `default = …` | a field | the same, by a number, a text, `true` or `false` |
///
/// A field is a [`Column`](crate::Column); that of a key a [`KeyColumn`](crate::KeyColumn). `Option` is a column that may be NULL.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the row of a table",
    note = "write `#[derive(Row, Clone)]` and `#[row(table = \"…\")]` before it, and `#[row(key)]` before the field that is the key"
)]
pub trait Row: Clone + 'static {
    /// How a row is asked for: the key's field as it is borrowed (`&str` for `String`), or a tuple of several.
    type Key<'k>: Copy;
    /// The table's name.
    const TABLE: &'static str;
    /// The columns' names, in order.
    const COLUMNS: &'static [&'static str];
    #[doc(hidden)]
    const GET: &'static str;
    #[doc(hidden)]
    const INSERT: &'static str;
    #[doc(hidden)]
    const PUT: &'static str;
    #[doc(hidden)]
    const REMOVE: &'static str;
    #[doc(hidden)]
    const SCAN: [&'static str; 3];

    /// The table as SQL.
    fn schema() -> String;

    /// The row's key.
    fn key(&self) -> Self::Key<'_>;

    #[doc(hidden)]
    fn has_key(&self, key: Self::Key<'_>) -> bool;

    #[doc(hidden)]
    fn encode_key(key: Self::Key<'_>, bytes: &mut Vec<u8>);

    #[doc(hidden)]
    fn push_key<'k>(key: Self::Key<'k>, cells: &mut Vec<Cell<'k>>);

    #[doc(hidden)]
    fn push_cells<'a>(&'a self, cells: &mut Vec<Cell<'a>>);

    #[doc(hidden)]
    fn from_key_and_cells(key: Self::Key<'_>, cells: &mut std::vec::IntoIter<Value>) -> Result<Self>;

    #[doc(hidden)]
    fn from_cells(cells: &mut std::vec::IntoIter<Value>) -> Result<Self>;

    #[doc(hidden)]
    fn settle(&mut self) -> Result<usize>;
}

/// A row that can be made from its key alone, since every other column has a default. Derived with [`Row`].
///
/// ```
/// use laterna_sdk::{DefaultRow, Row};
///
/// #[derive(Row, Clone)]
/// #[row(table = "products")]
/// struct Product {
///     #[row(key)]
///     sku: String,
///     #[row(default)]
///     ordered: i64,
/// }
///
/// assert_eq!(Product::from_key("apple").ordered, 0);
/// ```
#[diagnostic::on_unimplemented(
    message = "a row of `{Self}` cannot be made from its key alone",
    note = "write `#[row(default)]` or `#[row(default = …)]` before every other field, or use `put` and `update`"
)]
pub trait DefaultRow: Row {
    /// A row with this key and defaults.
    fn from_key(key: Self::Key<'_>) -> Self;
}

/// Says where a value stands that cannot be there.
#[doc(hidden)]
pub fn of_column(table: &str, column: &str, error: Error) -> Error {
    Error::new(format_args!("column `{column}` of table `{table}`: {error}"))
}
