use crate::bindings::laterna::plugin::sql;
use crate::database::{Database, Statement};
use crate::table::{Row, Table, Tables};
use crate::value::{FromRow, Parameters};
use crate::{Error, Manifest, Projection, Result};
use std::cell::{OnceCell, RefCell};
use std::fmt;

/// The component's read store, through SQL.
///
/// Statements are prepared once for a batch: pass the same `&'static str` each time, as a literal or a constant does.
///
/// ```
/// use laterna_sdk::prelude::*;
///
/// fn count(store: &Store, customer_id: &str) -> Result<i64> {
///     store.execute(
///         "INSERT INTO customers VALUES (?1, 1) ON CONFLICT DO UPDATE SET orders = orders + 1",
///         (customer_id,),
///     )?;
///     let row: Option<(i64,)> = store.query_one("SELECT orders FROM customers WHERE customer_id = ?1", (customer_id,))?;
///     Ok(row.map_or(0, |(orders,)| orders))
/// }
/// ```
pub struct Store {
    database: Database,
    // A handful of statements: walking them by address is faster than hashing their text.
    statements: RefCell<Vec<(&'static str, Statement)>>,
    tables: Tables,
    /// The component's own word on its typed tables, asked once.
    manifest: fn() -> Manifest,
    typed_tables: OnceCell<Vec<String>>,
    is_read_only: bool,
    /// Why the batch must fail, whatever the component makes of it.
    failed: RefCell<Option<Error>>,
}

impl Store {
    /// A store that a batch is folded into.
    pub(crate) fn folding<P: Projection>(database: Database) -> Self {
        Self {
            database,
            statements: RefCell::default(),
            tables: Tables::default(),
            manifest: P::manifest,
            typed_tables: OnceCell::new(),
            is_read_only: false,
            failed: RefCell::default(),
        }
    }

    /// A store that a query reads.
    pub(crate) fn reading<P: Projection>(database: Database) -> Self {
        Self { is_read_only: true, ..Self::folding::<P>(database) }
    }

    /// The typed table with these rows.
    ///
    /// ```no_run
    /// # use laterna_sdk::prelude::*;
    /// # #[derive(Row, Clone)] #[row(table = "orders")] struct Order { #[row(key)] order_id: String, status: String }
    /// # fn example(store: &Store) -> Result<()> {
    /// let orders = store.table::<Order>();
    /// orders.update("order-1042", |order| order.status = "paid".into())?;
    /// # Ok(()) }
    /// ```
    pub fn table<R: Row>(&self) -> Table<'_, R> {
        self.tables.open(self)
    }

    /// Writes what typed tables hold, and says what went wrong first.
    pub(crate) fn finish(self) -> Result<()> {
        let finished = self.check().and_then(|()| Ok(self.tables.write(&self)?)).and_then(|()| self.check());
        if cfg!(target_arch = "wasm32") {
            // The instance ends with the batch: giving its memory back piece by piece would be for nothing.
            std::mem::forget(self);
        }
        finished
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Makes the batch fail.
    pub(crate) fn fail(&self, why: &dyn fmt::Display) {
        self.failed.borrow_mut().get_or_insert_with(|| Error::new(why));
    }

    /// Whether a batch that must fail does so already.
    pub(crate) fn check(&self) -> Result<()> {
        self.failed.borrow().as_ref().map_or(Ok(()), |why| Err(Error::new(why)))
    }

    pub(crate) fn is_typed(&self, table: &str) -> bool {
        self.typed_tables.get_or_init(|| (self.manifest)().into_typed_tables()).iter().any(|typed| typed == table)
    }

    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.is_read_only { Err(Error::new("a query cannot write")) } else { Ok(()) }
    }

    /// Nothing but the row itself can be touched while it is changed: what is written would be half of it.
    pub(crate) fn fail_if_busy(&self) {
        if let Some(table) = self.tables.busy() {
            self.fail(&format_args!("the store cannot be used within a change of a row of `{table}`"));
        }
    }

    pub(crate) fn write_tables(&self) -> Result<(), SqlError> {
        self.fail_if_busy();
        self.tables.write(self).inspect_err(|error| self.fail(error))?;
        self.tables.note_written();
        Ok(())
    }

    /// Runs a statement and answers how many rows it changed.
    ///
    /// ```no_run
    /// # fn example(store: &laterna_sdk::Store) -> laterna_sdk::Result<()> {
    /// store.execute("UPDATE orders SET status = ?2 WHERE order_id = ?1", ("1042", "paid"))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// What SQLite says against the SQL or the data: a broken constraint, say. What the failed statement did is undone.
    pub fn execute(&self, sql: &'static str, parameters: impl Parameters) -> Result<u64, SqlError> {
        self.write_tables()?;
        let statement = self.statement(sql)?;
        let executed = parameters.with(|cells| self.database.execute(statement, cells));
        self.tables.forget();
        executed
    }

    /// Runs a statement once for each item, which crosses to the host in one call.
    ///
    /// ```no_run
    /// # fn example(store: &laterna_sdk::Store) -> laterna_sdk::Result<()> {
    /// let lines = [("apple", 3), ("pear", 1)];
    /// store.execute_many("UPDATE products SET ordered = ordered + ?2 WHERE sku = ?1", lines)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As of [`execute`](Self::execute), for the first item that fails; what earlier items did stands.
    pub fn execute_many<P: Parameters>(
        &self,
        sql: &'static str,
        items: impl IntoIterator<Item = P>,
    ) -> Result<u64, SqlError> {
        // Whatever the items do while they are made up stands before the statement.
        let items: Vec<P> = items.into_iter().collect();
        self.write_tables()?;
        let statement = self.statement(sql)?;
        let executed = crate::value::with_all(&items, |cells| self.database.execute_many(statement, cells));
        self.tables.forget();
        executed
    }

    /// Runs a query and answers its rows.
    ///
    /// ```no_run
    /// # fn example(store: &laterna_sdk::Store) -> laterna_sdk::Result<()> {
    /// let big: Vec<(String, i64)> =
    ///     store.query("SELECT customer_id, orders FROM customers WHERE orders > ?1", (100,))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// What SQLite says, or a cell that is not of its column's Rust type.
    pub fn query<R: FromRow>(&self, sql: &'static str, parameters: impl Parameters) -> Result<Vec<R>> {
        self.write_tables()?;
        let statement = self.statement(sql)?;
        let queried = parameters.with(|cells| self.database.query(statement, cells));
        if !is_plain_reading(sql) {
            self.tables.forget();
        }
        let mut cells = queried?.into_iter();
        let mut rows = Vec::with_capacity(cells.len() / statement.columns.max(1));
        while cells.len() > 0 {
            rows.push(R::from_row(&mut cells.by_ref().take(statement.columns))?);
        }
        Ok(rows)
    }

    /// Runs a query and answers its first row, if there is one.
    ///
    /// ```no_run
    /// # fn example(store: &laterna_sdk::Store) -> laterna_sdk::Result<()> {
    /// let all: Option<(i64,)> = store.query_one("SELECT count(*) FROM customers", ())?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As of [`query`](Self::query).
    pub fn query_one<R: FromRow>(&self, sql: &'static str, parameters: impl Parameters) -> Result<Option<R>> {
        Ok(self.query(sql, parameters)?.into_iter().next())
    }

    fn statement(&self, sql: &'static str) -> Result<Statement, SqlError> {
        let mut statements = self.statements.borrow_mut();
        let known = statements.iter().find(|(known, _)| std::ptr::eq(*known, sql));
        if let Some((_, statement)) = known {
            return Ok(*statement);
        }
        let statement = self.database.prepare(sql)?;
        statements.push((sql, statement));
        Ok(statement)
    }
}

/// Whether a statement surely writes nothing.
fn is_plain_reading(sql: &str) -> bool {
    let sql = sql.trim_start();
    let starts_with = |word: &str| sql.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    starts_with("SELECT") || starts_with("VALUES")
}

/// What SQLite says against a statement or its data.
///
/// ```no_run
/// # fn example(store: &laterna_sdk::Store) -> laterna_sdk::Result<()> {
/// match store.execute("INSERT INTO orders VALUES (?1, 'placed')", ("1042",)) {
///     Err(error) if error.is_constraint() => println!("placed twice: {error}, {}", error.code()),
///     other => drop(other?),
/// }
/// # Ok(()) }
/// ```
pub struct SqlError(pub(crate) sql::Error);

impl SqlError {
    /// SQLite's [extended result code](https://sqlite.org/rescode.html).
    ///
    /// ```
    /// fn is_primary_key(error: &laterna_sdk::SqlError) -> bool {
    ///     error.code() == 1555
    /// }
    /// ```
    pub fn code(&self) -> i32 {
        self.0.code
    }

    /// A constraint (primary key, NOT NULL, CHECK, type …) would have been broken.
    ///
    /// ```
    /// use laterna_sdk::prelude::*;
    ///
    /// fn once(store: &Store, order_id: &str) -> Result<()> {
    ///     match store.execute("INSERT INTO seen VALUES (?1)", (order_id,)) {
    ///         Err(error) if error.is_constraint() => Ok(()),
    ///         other => Ok(drop(other?)),
    ///     }
    /// }
    /// ```
    pub fn is_constraint(&self) -> bool {
        const SQLITE_CONSTRAINT: i32 = 19;
        self.0.code & 0xff == SQLITE_CONSTRAINT
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLite code {})", self.0.message, self.0.code)
    }
}

impl fmt::Debug for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for SqlError {}

impl From<SqlError> for String {
    fn from(error: SqlError) -> Self {
        Error::from(error).to_string()
    }
}
