//! A read model that a test folds and looks into.

use super::NewEvent;
use crate::bindings::exports::laterna::plugin::fold::{self, Answer, Selector};
use crate::database::Database;
use crate::event::category;
use crate::value::Cell;
use crate::{Arguments, Error, Projection, Result, Store, Value};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::Path;
use std::rc::Rc;

/// The read model of a projection, over rusqlite. The [module's page](super) has an example, and each of its functions.
pub struct ReadModel<P> {
    connection: Rc<Connection>,
    manifest: fold::Manifest,
    position: u64,
    revisions: BTreeMap<String, u64>,
    projection: PhantomData<P>,
}

impl<P: Projection> ReadModel<P> {
    /// An empty one in memory.
    ///
    /// ```
    /// # use laterna_sdk::{native::{NewEvent, ReadModel}, prelude::*};
    /// # #[derive(Row, Clone)] #[row(table = "customers")] struct Customer { #[row(key)] id: String, #[row(default)] orders: i64 }
    /// # #[derive(Default)] struct Customers;
    /// # impl Projection for Customers {
    /// #     fn manifest() -> Manifest {
    /// #         Manifest::new("customers", "1.0.0").table::<Customer>()
    /// #             .query(NamedQuery::sql("of", "SELECT orders FROM customers WHERE id = :id").required("id", ParameterType::Text, ""))
    /// #     }
    /// #     fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
    /// #         store.table::<Customer>().upsert(event.stream(), |customer| customer.orders += 1)
    /// #     }
    /// # }
    /// let model = ReadModel::<Customers>::new()?;
    /// assert!(model.table("customers")?.is_empty());
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The manifest is not in order, or SQLite refuses its schema.
    pub fn new() -> Result<Self> {
        Self::over(Connection::open_in_memory()?)
    }

    /// An empty one in a new file, to be looked at with other tools.
    ///
    /// ```
    /// # use laterna_sdk::{native::{NewEvent, ReadModel}, prelude::*};
    /// # #[derive(Row, Clone)] #[row(table = "customers")] struct Customer { #[row(key)] id: String, #[row(default)] orders: i64 }
    /// # #[derive(Default)] struct Customers;
    /// # impl Projection for Customers {
    /// #     fn manifest() -> Manifest {
    /// #         Manifest::new("customers", "1.0.0").table::<Customer>()
    /// #             .query(NamedQuery::sql("of", "SELECT orders FROM customers WHERE id = :id").required("id", ParameterType::Text, ""))
    /// #     }
    /// #     fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
    /// #         store.table::<Customer>().upsert(event.stream(), |customer| customer.orders += 1)
    /// #     }
    /// # }
    /// let model = ReadModel::<Customers>::create(":memory:")?;
    /// assert!(model.table("customers")?.is_empty());
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As of [`new`](Self::new); or there is something in the file.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        Self::over(Connection::open(path)?)
    }

    fn over(connection: Connection) -> Result<Self> {
        let manifest = P::manifest().into_wit();
        connection.set_prepared_statement_cache_capacity(1_000);
        connection.execute_batch(&manifest.schema)?;
        manifest.typed_tables.iter().try_for_each(|table| check_typed(&connection, table))?;
        Ok(Self {
            connection: Rc::new(connection),
            manifest,
            position: 0,
            revisions: BTreeMap::new(),
            projection: PhantomData,
        })
    }

    /// Folds events, as one batch in one transaction. A host would narrow a batch that fails down to its event; here it is all or
    /// nothing.
    ///
    /// ```
    /// # use laterna_sdk::{native::{NewEvent, ReadModel}, prelude::*};
    /// # #[derive(Row, Clone)] #[row(table = "customers")] struct Customer { #[row(key)] id: String, #[row(default)] orders: i64 }
    /// # #[derive(Default)] struct Customers;
    /// # impl Projection for Customers {
    /// #     fn manifest() -> Manifest {
    /// #         Manifest::new("customers", "1.0.0").table::<Customer>()
    /// #             .query(NamedQuery::sql("of", "SELECT orders FROM customers WHERE id = :id").required("id", ParameterType::Text, ""))
    /// #     }
    /// #     fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
    /// #         store.table::<Customer>().upsert(event.stream(), |customer| customer.orders += 1)
    /// #     }
    /// # }
    /// let mut model = ReadModel::<Customers>::new()?;
    /// model.apply([NewEvent::new("ann", "OrderPlaced", json!({})), NewEvent::new("bob", "OrderPlaced", json!({}))])?;
    /// assert_eq!(model.table("customers")?.len(), 2);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// One of them cannot be applied; then none of them was.
    pub fn apply(&mut self, events: impl IntoIterator<Item = NewEvent>) -> Result<()> {
        let (mut heads, mut bytes) = (Vec::new(), Vec::new());
        // Where one cannot be applied, it is as if none had come.
        let (mut position, mut revisions) = (self.position, self.revisions.clone());
        for event in events {
            position += 1;
            let next = revisions.entry(event.stream.clone()).or_default();
            let revision = *next;
            *next += 1;
            if self.consumes(&event) {
                heads.push(event.write(position, revision, &mut bytes));
            }
        }
        self.connection.execute_batch("BEGIN")?;
        let store = Store::folding::<P>(Database::new(Rc::clone(&self.connection)));
        match crate::projection::fold::<P>(&heads, &bytes, store) {
            Ok(()) => {
                self.connection.execute_batch("COMMIT")?;
                (self.position, self.revisions) = (position, revisions);
                Ok(())
            }
            Err(failure) => {
                self.connection.execute_batch("ROLLBACK")?;
                let position = failure.position.map_or(String::new(), |position| format!(" at position {position}"));
                Err(Error::new(format_args!("the event{position} cannot be applied: {}", failure.message)))
            }
        }
    }

    /// The rows of a table or view, in the order of its columns, as JSON objects.
    ///
    /// ```
    /// # use laterna_sdk::{native::{NewEvent, ReadModel}, prelude::*};
    /// # #[derive(Row, Clone)] #[row(table = "customers")] struct Customer { #[row(key)] id: String, #[row(default)] orders: i64 }
    /// # #[derive(Default)] struct Customers;
    /// # impl Projection for Customers {
    /// #     fn manifest() -> Manifest {
    /// #         Manifest::new("customers", "1.0.0").table::<Customer>()
    /// #             .query(NamedQuery::sql("of", "SELECT orders FROM customers WHERE id = :id").required("id", ParameterType::Text, ""))
    /// #     }
    /// #     fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
    /// #         store.table::<Customer>().upsert(event.stream(), |customer| customer.orders += 1)
    /// #     }
    /// # }
    /// let mut model = ReadModel::<Customers>::new()?;
    /// model.apply([NewEvent::new("ann", "OrderPlaced", json!({}))])?;
    /// assert_eq!(model.table("customers")?, [json!({ "id": "ann", "orders": 1 })]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such table.
    pub fn table(&self, name: &str) -> Result<Vec<Json>> {
        let table = format!("\"{}\"", name.replace('"', "\"\""));
        let columns = self.connection.prepare(&format!("SELECT * FROM {table}"))?.column_count();
        let order: Vec<String> = (1..=columns).map(|column| column.to_string()).collect();
        self.rows(&format!("SELECT * FROM {table} ORDER BY {}", order.join(", ")), &[])
    }

    /// The answer to a named query: rows of one that is answered by SQL, or what the projection's code answers.
    ///
    /// ```
    /// # use laterna_sdk::{native::{NewEvent, ReadModel}, prelude::*};
    /// # #[derive(Row, Clone)] #[row(table = "customers")] struct Customer { #[row(key)] id: String, #[row(default)] orders: i64 }
    /// # #[derive(Default)] struct Customers;
    /// # impl Projection for Customers {
    /// #     fn manifest() -> Manifest {
    /// #         Manifest::new("customers", "1.0.0").table::<Customer>()
    /// #             .query(NamedQuery::sql("of", "SELECT orders FROM customers WHERE id = :id").required("id", ParameterType::Text, ""))
    /// #     }
    /// #     fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
    /// #         store.table::<Customer>().upsert(event.stream(), |customer| customer.orders += 1)
    /// #     }
    /// # }
    /// let mut model = ReadModel::<Customers>::new()?;
    /// model.apply([NewEvent::new("ann", "OrderPlaced", json!({}))])?;
    /// assert_eq!(model.query("of", &[("id", "ann".into())])?, json!([{ "orders": 1 }]));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such query, an argument is missing or unknown, or it cannot be answered.
    pub fn query(&self, name: &str, arguments: &[(&str, Value)]) -> Result<Json> {
        let query = self.manifest.queries.iter().find(|query| query.name == name);
        let query = query.ok_or_else(|| Error::new(format_args!("there is no query `{name}`")))?;
        if let Some((unknown, _)) =
            arguments.iter().find(|(given, _)| query.parameters.iter().all(|known| known.name != *given))
        {
            return Err(Error::new(format_args!("query `{name}` has no parameter `{unknown}`")));
        }
        let mut filled = Vec::new();
        for parameter in &query.parameters {
            let given = arguments.iter().find(|(given, _)| *given == parameter.name).map(|(_, value)| value.clone());
            let value = given.or_else(|| parameter.default.clone());
            let value = value.ok_or_else(|| Error::new(format_args!("query `{name}` needs `{}`", parameter.name)))?;
            filled.push(fold::Argument { name: parameter.name.clone(), value });
        }
        match &query.answer {
            Answer::Sql(sql) => Ok(self.rows(sql, &filled)?.into()),
            Answer::Computed => {
                let store = Store::reading::<P>(Database::new(Rc::clone(&self.connection)));
                P::default().query(name, &Arguments::new(filled), &store)
            }
        }
    }

    /// The connection, for whatever else a test wants to know.
    ///
    /// ```
    /// # use laterna_sdk::{native::{NewEvent, ReadModel}, prelude::*};
    /// # #[derive(Row, Clone)] #[row(table = "customers")] struct Customer { #[row(key)] id: String, #[row(default)] orders: i64 }
    /// # #[derive(Default)] struct Customers;
    /// # impl Projection for Customers {
    /// #     fn manifest() -> Manifest {
    /// #         Manifest::new("customers", "1.0.0").table::<Customer>()
    /// #             .query(NamedQuery::sql("of", "SELECT orders FROM customers WHERE id = :id").required("id", ParameterType::Text, ""))
    /// #     }
    /// #     fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
    /// #         store.table::<Customer>().upsert(event.stream(), |customer| customer.orders += 1)
    /// #     }
    /// # }
    /// let model = ReadModel::<Customers>::new()?;
    /// let tables: i64 = model.connection().query_one("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    /// assert_eq!(tables, 1);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    fn consumes(&self, event: &NewEvent) -> bool {
        let consumes = &self.manifest.consumes;
        consumes.is_empty()
            || consumes.iter().any(|subscription| match &subscription.what {
                Selector::EventType(name) => *name == event.event_type,
                Selector::Category(name) => name == category(&event.stream),
            })
    }

    fn rows(&self, sql: &str, arguments: &[fold::Argument]) -> Result<Vec<Json>> {
        let mut statement = self.connection.prepare(sql)?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        for argument in arguments {
            // A query need not use all that it takes.
            if let Some(place) = statement.parameter_index(&format!(":{}", argument.name))? {
                statement.raw_bind_parameter(place, cell(&argument.value))?;
            }
        }
        let mut rows = statement.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let mut object = serde_json::Map::new();
            for (place, column) in columns.iter().enumerate() {
                object.insert(column.clone(), json(row.get_ref(place)?));
            }
            found.push(object.into());
        }
        Ok(found)
    }
}

/// As a host checks it: nothing but its key may judge a row that is written once for a batch.
fn check_typed(connection: &Connection, table: &str) -> Result<()> {
    let judges = "SELECT count(*) FROM pragma_index_list(?1) AS list, pragma_index_xinfo(list.name)
         WHERE list.origin <> 'pk' AND (list.\"unique\" OR list.partial OR cid = -2)";
    if connection.query_one(judges, [table], |row| row.get::<_, i64>(0))? > 0 {
        let what = "can have no index that is unique, partial or over an expression";
        return Err(Error::new(format_args!("table `{table}` is typed, so it {what}")));
    }
    Ok(())
}

fn cell(value: &Value) -> rusqlite::types::Value {
    match crate::Parameter::cell(value) {
        Cell::Null => rusqlite::types::Value::Null,
        Cell::Integer(integer) => integer.into(),
        Cell::Real(real) => real.into(),
        Cell::Text(text) => text.to_owned().into(),
        Cell::Blob(blob) => blob.to_vec().into(),
    }
}

fn json(cell: ValueRef<'_>) -> Json {
    match cell {
        ValueRef::Null => Json::Null,
        ValueRef::Integer(integer) => integer.into(),
        ValueRef::Real(real) => real.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(blob) => blob.into(),
    }
}
