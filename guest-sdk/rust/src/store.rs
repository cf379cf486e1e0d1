use crate::bindings::laterna::plugin::sql;
use crate::value::{FromRow, Parameters};
use crate::{Error, Result};
use std::cell::RefCell;
use std::fmt;

/// The component's read store, through SQL.
///
/// Statements are prepared once for a batch: pass the same `&'static str` each time, as a literal or a constant does.
#[derive(Default)]
pub struct Store {
    // A handful of statements: walking them by address is faster than hashing their text.
    statements: RefCell<Vec<(&'static str, Statement)>>,
}

#[derive(Clone, Copy)]
struct Statement {
    handle: u32,
    columns: usize,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self::default()
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
        let statement = self.statement(sql)?;
        parameters.with(|cells| sql::execute(statement.handle, cells)).map_err(SqlError)
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
        let statement = self.statement(sql)?;
        crate::value::with_all(items, |cells| sql::execute_many(statement.handle, cells)).map_err(SqlError)
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
        let statement = self.statement(sql)?;
        let cells = parameters.with(|cells| sql::query(statement.handle, cells)).map_err(SqlError)?;
        let mut cells = cells.into_iter();
        let mut rows = Vec::with_capacity(cells.len() / statement.columns.max(1));
        while cells.len() > 0 {
            rows.push(R::from_row(&mut cells.by_ref().take(statement.columns))?);
        }
        Ok(rows)
    }

    /// Runs a query and answers its first row, if there is one.
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
        let prepared = sql::prepare(sql).map_err(SqlError)?;
        let statement = Statement { handle: prepared.statement, columns: prepared.columns.len() };
        statements.push((sql, statement));
        Ok(statement)
    }
}

/// What SQLite says against a statement or its data.
pub struct SqlError(sql::Error);

impl SqlError {
    /// SQLite's [extended result code](https://sqlite.org/rescode.html).
    pub fn code(&self) -> i32 {
        self.0.code
    }

    /// A constraint (primary key, NOT NULL, CHECK, type …) would have been broken.
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
