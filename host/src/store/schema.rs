//! What a read model may hold: STRICT tables with a primary key, `WITHOUT ROWID` or INTEGER; indexes; views.

use super::authorizer::{Author, is_laternas};
use super::connection::{Guarded, open_scratch};
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, Connection};

/// Laterna's own table in a store. One row.
const LATERNA_TABLES: &str = "
CREATE TABLE laterna_checkpoint (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    position INTEGER NOT NULL,
    identity TEXT NOT NULL
) STRICT;
";

/// Why a component's schema, or a query over it, is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// SQLite or the authorizer refuses a statement.
    #[error("{what}: {why}")]
    Refused {
        /// The statement, or which part of the component it is.
        what: String,
        /// What SQLite says.
        why: String,
    },
    /// A table is not of the kind that a read model may hold.
    #[error("table `{table}` {problem}")]
    Table {
        /// The table's name.
        table: String,
        /// What is wrong with it, and what to write instead.
        problem: &'static str,
    },
}

/// A table or view of a read model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The columns of its primary key, in order; empty for a view.
    pub key: Vec<String>,
}

/// A column of a [`Relation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its declared type: INTEGER, REAL, TEXT, BLOB or ANY; empty where a view computes it.
    pub of_type: String,
}

/// A named query that SQL answers.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// Its name.
    pub name: &'a str,
    /// The SQL.
    pub sql: &'a str,
    /// The names of the parameters that it declares.
    pub parameters: Vec<&'a str>,
}

/// Tries a schema, and the SQL of named queries over it, in a store that nobody keeps.
///
/// # Errors
/// The first thing that a read model may not hold, or that SQLite refuses.
pub fn check_schema(ddl: &str, queries: &[Asked<'_>]) -> Result<Vec<Relation>, SchemaError> {
    let store = open_scratch().map_err(|error| refused("an empty store", &error))?;
    let relations = create(&store, ddl)?;
    store.pen.hand_to(Author::Question);
    for Asked { name, sql, parameters } in queries {
        let what = || format!("query `{name}`");
        let statement = store.connection.prepare(sql).map_err(|error| refused(&what(), &error))?;
        if !statement.readonly() || statement.column_count() == 0 {
            return Err(SchemaError::Refused { what: what(), why: "it does not read".to_owned() });
        }
        let taken: Vec<&str> =
            (1..=statement.parameter_count()).map(|index| statement.parameter_name(index).unwrap_or("?")).collect();
        if let Some(undeclared) =
            taken.iter().find(|taken| !parameters.iter().any(|name| **taken == format!(":{name}")))
        {
            let why = format!("its SQL has the parameter `{undeclared}`, which the manifest does not declare");
            return Err(SchemaError::Refused { what: what(), why });
        }
        if let Some(unused) = parameters.iter().find(|name| !taken.contains(&format!(":{name}").as_str())) {
            let why =
                format!("the manifest declares the parameter `{unused}`, which its SQL does not have as `:{unused}`");
            return Err(SchemaError::Refused { what: what(), why });
        }
    }
    Ok(relations)
}

/// Makes the component's tables and Laterna's own, in the transaction that is open.
pub(super) fn create(store: &Guarded, ddl: &str) -> Result<Vec<Relation>, SchemaError> {
    let Guarded { connection, pen, .. } = store;
    connection.execute_batch(LATERNA_TABLES).map_err(|error| refused("Laterna's own tables", &error))?;
    pen.hand_to(Author::Schema);
    let created = run_ddl(connection, ddl);
    pen.hand_to(Author::Host);
    created?;
    let relations = relations(connection).map_err(|error| refused("the schema", &error))?;
    for relation in &relations {
        check_relation(store, relation)?;
    }
    Ok(relations)
}

fn run_ddl(connection: &Connection, ddl: &str) -> Result<(), SchemaError> {
    let mut batch = Batch::new(connection, ddl);
    let mut last = None;
    loop {
        match batch.next() {
            Ok(None) => return Ok(()),
            Ok(Some(mut statement)) => {
                let sql = statement.expanded_sql().unwrap_or_default();
                if statement.readonly() {
                    let why = "only CREATE TABLE, CREATE INDEX and CREATE VIEW belong into a schema".to_owned();
                    return Err(SchemaError::Refused { what: sql, why });
                }
                statement.execute([]).map_err(|error| refused(&sql, &error))?;
                last = Some(sql);
            }
            Err(error) => {
                let what = last
                    .map_or("the schema's first statement".to_owned(), |last| format!("the statement after `{last}`"));
                return Err(refused(&what, &error));
            }
        }
    }
}

fn check_relation(store: &Guarded, relation: &Relation) -> Result<(), SchemaError> {
    let Guarded { connection, pen, .. } = store;
    let Relation { name, columns, key } = relation;
    let ask = |sql: &str| -> Result<i64, SchemaError> {
        connection.query_one(sql, [name], |row| row.get(0)).map_err(|error| refused(name, &error))
    };
    let table = |problem| Err(SchemaError::Table { table: name.clone(), problem });
    let quoted = name.replace('"', "\"\"");
    // Expressions that SQLite looks at only when a row is written or read: defaults, checks, generated columns, a view's body.
    let trial = if is_view(connection, name).map_err(|error| refused(name, &error))? {
        format!("SELECT * FROM \"{quoted}\"")
    } else {
        if ask("SELECT strict FROM pragma_table_list WHERE schema = 'main' AND name = ?1")? == 0 {
            return table("is not STRICT: write `CREATE TABLE … (…) STRICT`");
        }
        if key.is_empty() {
            return table("has no primary key");
        }
        let without_rowid = ask("SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1")? == 1;
        let integer_key = key.len() == 1
            && columns.iter().any(|column| column.name == key[0] && column.of_type.eq_ignore_ascii_case("INTEGER"));
        if !without_rowid && !integer_key {
            return table("has neither an INTEGER PRIMARY KEY nor WITHOUT ROWID: write `… STRICT, WITHOUT ROWID`");
        }
        if ask("SELECT count(*) FROM pragma_foreign_key_list(?1)")? > 0 {
            return table("has a foreign key, which would be judged at the end of a batch: leave REFERENCES out");
        }
        format!("INSERT INTO \"{quoted}\" DEFAULT VALUES")
    };
    pen.hand_to(Author::Fold);
    let tried = connection.prepare(&trial).map(drop);
    pen.hand_to(Author::Host);
    tried.map_err(|error| refused(name, &error))
}

fn is_view(connection: &Connection, name: &str) -> Result<bool, rusqlite::Error> {
    connection.query_one("SELECT type = 'view' FROM sqlite_schema WHERE name = ?1", [name], |row| row.get(0))
}

/// The tables and views that a component made, by name.
pub(super) fn relations(connection: &Connection) -> Result<Vec<Relation>, rusqlite::Error> {
    let mut names =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name")?;
    let names = names.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    let mut relations = Vec::new();
    for name in names.into_iter().filter(|name| !is_laternas(name)) {
        let mut info = connection.prepare("SELECT name, type, pk FROM pragma_table_xinfo(?1) ORDER BY cid")?;
        let columns = info
            .query_map([&name], |row| Ok((Column { name: row.get(0)?, of_type: row.get(1)? }, row.get::<_, i64>(2)?)))?
            .collect::<Result<Vec<_>, _>>()?;
        let mut key: Vec<_> = columns.iter().filter(|(_, place)| *place > 0).collect();
        key.sort_by_key(|(_, place)| *place);
        let key = key.into_iter().map(|(column, _)| column.name.clone()).collect();
        relations.push(Relation { name, key, columns: columns.into_iter().map(|(column, _)| column).collect() });
    }
    Ok(relations)
}

/// SQLite's words, with what the authorizer's refusals mean.
fn refused(what: &str, error: &rusqlite::Error) -> SchemaError {
    let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
    let what = match what.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &what[..end]),
        None => what,
    };
    let why = match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::AuthorizationForStatementDenied) => {
            format!("{error}: a read model may hold tables, indexes and views, with functions that are deterministic")
        }
        _ => error.to_string(),
    };
    SchemaError::Refused { what, why }
}
