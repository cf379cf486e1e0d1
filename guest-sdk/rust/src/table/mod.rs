//! Typed tables: rows as Rust structs, kept in memory for a batch, each written once at its end.
//!
//! In reading order:
//! * `column`: what can stand in a column
//! * `key_column`: what can be part of a key
//! * `row`: what `#[derive(Row)]` implements
//! * `key`: what rows are found by
//! * `rows`: the touched rows of one table
//! * here: [`Table`], as an author sees it, and `Tables`, all those of a store

mod column;
mod key;
mod key_column;
mod row;
mod rows;

pub use column::Column;
pub use key_column::KeyColumn;
pub use row::{DefaultRow, Row, of_column};

use crate::database::Database;
use crate::{Error, Result, SqlError, Store};
use rows::Rows;
use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::ops::{Bound, RangeBounds};
use std::rc::Rc;

/// Bytes of rows that are kept; beyond it all are written, and read again where they are needed.
const KEPT_BYTES: usize = 16 << 20;

/// A typed table of the read store; from [`Store::table`].
///
/// Rows that a batch touches are kept in memory, and each is written once at the batch's end, however often it changed. Reading
/// sees what was put before it; SQL sees it, too, since everything is written before a statement of the author's own runs.
///
/// ```
/// # #[cfg(feature = "native")] {
/// use laterna_sdk::native::{NewEvent, ReadModel};
/// use laterna_sdk::prelude::*;
///
/// #[derive(Row, Clone)]
/// #[row(table = "customers")]
/// struct Customer {
///     #[row(key)]
///     customer_id: String,
///     #[row(default)]
///     orders: i64,
/// }
///
/// #[derive(Default)]
/// struct Customers;
///
/// impl Projection for Customers {
///     fn manifest() -> Manifest {
///         Manifest::new("customers", "1.0.0").table::<Customer>()
///     }
///
///     fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
///         store.table::<Customer>().upsert(event.stream(), |customer| customer.orders += 1)
///     }
/// }
///
/// let mut model = ReadModel::<Customers>::new()?;
/// model.apply([NewEvent::new("ann", "OrderPlaced", json!({})), NewEvent::new("ann", "OrderPlaced", json!({}))])?;
/// assert_eq!(model.table("customers")?, [json!({"customer_id": "ann", "orders": 2})]);
/// # }
/// # Ok::<(), laterna_sdk::Error>(())
/// ```
///
/// A typed table holds to its key, its types and NOT NULL, which are checked where a row is put. It can have no other constraint: a
/// row is written once for a batch, so what it was in between is seen by nobody.
pub struct Table<'s, R: Row> {
    store: &'s Store,
    rows: Rc<RefCell<Rows<R>>>,
}

impl<R: Row> Table<'_, R> {
    /// The row with this key.
    ///
    /// ```no_run
    /// # use laterna_sdk::prelude::*;
    /// # #[derive(Row, Clone)] #[row(table = "orders")] struct Order { #[row(key)] order_id: String, status: String }
    /// # fn example(store: &Store) -> Result<()> {
    /// if let Some(order) = store.table::<Order>().get("order-1042")? {
    ///     println!("{}", order.status);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The store says something against it; the batch fails then.
    pub fn get(&self, key: R::Key<'_>) -> Result<Option<R>> {
        self.with(|rows, database| Ok(rows.get(database, key)?.cloned()))
    }

    /// Writes a row, whether or not one with its key is there.
    ///
    /// ```no_run
    /// # use laterna_sdk::prelude::*;
    /// # #[derive(Row, Clone)] #[row(table = "orders")] struct Order { #[row(key)] order_id: String, status: String }
    /// # fn example(store: &Store) -> Result<()> {
    /// store.table::<Order>().put(Order { order_id: "order-1042".into(), status: "placed".into() })?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// A value cannot be stored: a number beyond SQLite's, a row of more than 1 MiB. Nothing is written then.
    pub fn put(&self, row: R) -> Result<()> {
        self.store.check_writable()?;
        let mut rows = self.borrow()?;
        rows.put(row)?;
        self.bound(&mut rows)
    }

    /// Writes a row that must not be there yet.
    ///
    /// ```no_run
    /// # use laterna_sdk::prelude::*;
    /// # #[derive(Row, Clone)] #[row(table = "orders")] struct Order { #[row(key)] order_id: String, status: String }
    /// # fn example(store: &Store) -> Result<()> {
    /// store.table::<Order>().insert(Order { order_id: "order-1042".into(), status: "placed".into() })?;
    /// # Ok(()) }
    /// ```
    ///
    /// Where it is there, the event cannot be applied, and it is no use to go on: whether it is, may come out only when the row is
    /// written. Who wants to know asks [`get`](Self::get) first.
    ///
    /// # Errors
    /// A row with its key is there, or a value cannot be stored; the batch fails then.
    pub fn insert(&self, row: R) -> Result<()> {
        self.store.check_writable()?;
        self.with(|rows, _| rows.insert(row))
    }

    /// Changes the row with this key, and answers whether it is there.
    ///
    /// ```no_run
    /// # use laterna_sdk::prelude::*;
    /// # #[derive(Row, Clone)] #[row(table = "orders")] struct Order { #[row(key)] order_id: String, status: String }
    /// # fn example(store: &Store) -> Result<()> {
    /// let is_there = store.table::<Order>().update("order-1042", |order| order.status = "paid".into())?;
    /// if !is_there {
    ///     return Err(Error::new("an order was paid that nobody placed"));
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The change puts what cannot be stored into the row, or changes its key; the batch fails then.
    pub fn update(&self, key: R::Key<'_>, change: impl FnOnce(&mut R)) -> Result<bool> {
        self.store.check_writable()?;
        self.with(|rows, database| rows.update(database, key, change))
    }

    /// Changes the row with this key; where it is not there, it is made from its key and defaults first.
    ///
    /// ```no_run
    /// # use laterna_sdk::prelude::*;
    /// # #[derive(Row, Clone)] #[row(table = "products")] struct Product { #[row(key)] sku: String, #[row(default)] ordered: i64 }
    /// # fn example(store: &Store) -> Result<()> {
    /// store.table::<Product>().upsert("apple", |product| product.ordered += 3)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As of [`update`](Self::update).
    pub fn upsert(&self, key: R::Key<'_>, change: impl FnOnce(&mut R)) -> Result<()>
    where
        R: DefaultRow,
    {
        self.store.check_writable()?;
        self.with(|rows, database| rows.upsert(database, key, || R::from_key(key), change))
    }

    /// Removes the row with this key, and answers it.
    ///
    /// ```no_run
    /// # use laterna_sdk::prelude::*;
    /// # #[derive(Row, Clone)] #[row(table = "orders")] struct Order { #[row(key)] order_id: String, status: String }
    /// # fn example(store: &Store) -> Result<()> {
    /// store.table::<Order>().remove("order-1042")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The store says something against it; the batch fails then.
    pub fn remove(&self, key: R::Key<'_>) -> Result<Option<R>> {
        self.store.check_writable()?;
        self.with(|rows, database| rows.remove(database, key))
    }

    /// The rows whose keys are in this range, in the order of the keys. What is pending in the table is written first.
    ///
    /// ```no_run
    /// # use laterna_sdk::prelude::*;
    /// # #[derive(Row, Clone)] #[row(table = "lines")] struct Line { #[row(key)] order_id: String, #[row(key)] line: u32, sku: String }
    /// # fn example(store: &Store) -> Result<()> {
    /// let lines = store.table::<Line>();
    /// for line in lines.scan(("order-1042", 0)..=("order-1042", u32::MAX))? {
    ///     lines.remove(line.key())?;
    /// }
    /// let all = lines.scan(..)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The store says something against it; the batch fails then. An answer beyond the host's limit (16 MiB) ends the call.
    pub fn scan<'k>(&self, range: impl RangeBounds<R::Key<'k>>) -> Result<Vec<R>> {
        let (from, to) = (copied(range.start_bound()), copied(range.end_bound()));
        // Whether or not anything is pending, so that it is the same at any batch size.
        self.store.fail_if_busy();
        if self.borrow()?.is_pending() {
            self.store.write_tables()?;
        }
        self.with(|rows, database| rows.scan(database, from, to))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Rows<R>, &Database) -> Result<T>) -> Result<T> {
        let done = self.borrow().and_then(|mut rows| {
            let done = work(&mut rows, self.store.database())?;
            self.bound(&mut rows)?;
            Ok(done)
        });
        // What was half done must not be kept, whether or not the author passes the error on.
        done.inspect_err(|error| self.store.fail(error))
    }

    fn borrow(&self) -> Result<std::cell::RefMut<'_, Rows<R>>> {
        self.store.check()?;
        self.rows.try_borrow_mut().map_err(|_| {
            let table = R::TABLE;
            Error::new(format_args!("table `{table}` cannot be used within a change of one of its rows"))
        })
    }

    /// Keeps what is kept within its limit.
    fn bound(&self, rows: &mut Rows<R>) -> Result<()> {
        if rows.bytes() > KEPT_BYTES {
            rows.write(self.store.database()).inspect_err(|error| self.store.fail(error))?;
            rows.forget();
        }
        Ok(())
    }
}

fn copied<K: Copy>(bound: Bound<&K>) -> Bound<K> {
    bound.map(|key| *key)
}

/// The typed tables that a store was asked for.
#[derive(Default)]
pub(crate) struct Tables(RefCell<Vec<(TypeId, Rc<dyn Touched>)>>);

/// The rows of a table, whatever their type.
trait Touched: Any {
    fn table(&self) -> &'static str;
    fn is_at_rest(&self) -> bool;
    fn write(&self, store: &Store) -> Result<(), SqlError>;
    fn note_written(&self);
    fn forget(&self);
}

impl<R: Row> Touched for RefCell<Rows<R>> {
    fn table(&self) -> &'static str {
        R::TABLE
    }

    fn is_at_rest(&self) -> bool {
        self.try_borrow_mut().is_ok()
    }

    fn write(&self, store: &Store) -> Result<(), SqlError> {
        // What is being changed is not at rest, and the batch fails for that.
        self.try_borrow_mut().map_or(Ok(()), |mut rows| rows.write(store.database()))
    }

    fn note_written(&self) {
        if let Ok(mut rows) = self.try_borrow_mut() {
            rows.note_written();
        }
    }

    fn forget(&self) {
        if let Ok(mut rows) = self.try_borrow_mut() {
            rows.forget();
        }
    }
}

impl Tables {
    pub(crate) fn open<'s, R: Row>(&self, store: &'s Store) -> Table<'s, R> {
        let mut tables = self.0.borrow_mut();
        let known = tables.iter().find(|(row, _)| *row == TypeId::of::<R>());
        if let Some(Ok(rows)) = known.map(|(_, table)| (Rc::clone(table) as Rc<dyn Any>).downcast()) {
            return Table { store, rows };
        }
        let name = R::TABLE;
        if tables.iter().any(|(_, table)| table.table() == name) {
            store.fail(&format_args!("two types are rows of table `{name}`: neither would see what the other puts"));
        }
        // One that was made by other means could have constraints that see each change of a row.
        if !store.is_typed(name) {
            let row = std::any::type_name::<R>().rsplit("::").next().unwrap_or_default();
            store.fail(&format_args!("table `{name}` is not in the manifest: add `.table::<{row}>()`"));
        }
        let rows = Rc::new(RefCell::new(Rows::<R>::new()));
        tables.push((TypeId::of::<R>(), Rc::clone(&rows) as _));
        Table { store, rows }
    }

    /// The table, if any, of which a row is being changed.
    pub(crate) fn busy(&self) -> Option<&'static str> {
        let tables = self.0.borrow();
        tables.iter().find(|(_, table)| !table.is_at_rest()).map(|(_, table)| table.table())
    }

    /// Writes what is pending in every table.
    pub(crate) fn write(&self, store: &Store) -> Result<(), SqlError> {
        self.0.borrow().iter().try_for_each(|(_, table)| table.write(store))
    }

    /// What was pending is written.
    pub(crate) fn note_written(&self) {
        self.0.borrow().iter().for_each(|(_, table)| table.note_written());
    }

    /// Forgets all rows: SQL may have changed them.
    pub(crate) fn forget(&self) {
        self.0.borrow().iter().for_each(|(_, table)| table.forget());
    }
}
