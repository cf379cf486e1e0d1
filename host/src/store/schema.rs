//! What a read model may hold: STRICT tables with a primary key, `WITHOUT ROWID` or INTEGER; indexes; views.

use super::authorizer::{Author, is_laternas};
use super::connection::{Guarded, open_scratch};
use super::parked;
use super::query::quoted;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, Connection};

/// Laterna's own table in a store, besides those of what is left out. One row.
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
    /// What it is.
    pub kind: RelationKind,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The columns of its primary key, in order; empty for a view.
    pub key: Vec<String>,
    /// The SQL that it was made by.
    pub sql: String,
    /// The indexes that its component made for it, by name.
    pub indexes: Vec<Index>,
}

/// What a [`Relation`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationKind {
    /// It holds rows.
    Table,
    /// Its rows follow from those of tables.
    View,
}

/// An index of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// The SQL that it was made by.
    pub sql: String,
}

/// A column of a [`Relation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its declared type: INTEGER, REAL, TEXT, BLOB or ANY; empty where a view computes it.
    pub of_type: String,
    /// Whether its cells may be NULL; those of a view may.
    pub nullable: bool,
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

/// Tries a schema with its typed tables, and the SQL of named queries over it, in a store that nobody keeps.
///
/// # Errors
/// The first thing that a read model may not hold, or that SQLite refuses.
pub fn check_schema(ddl: &str, typed_tables: &[String], queries: &[Asked<'_>]) -> Result<Vec<Relation>, SchemaError> {
    let store = open_scratch().map_err(|error| refused("an empty store", &error))?;
    let relations = create(&store, ddl)?;
    typed_tables.iter().try_for_each(|table| check_typed(&store.connection, table))?;
    store.pen.hand_to(Author::Question);
    for Asked { name, sql, parameters } in queries {
        let what = || format!("query `{name}`");
        let statement = store.connection.prepare(sql).map_err(|error| refused(&what(), &error))?;
        if !statement.readonly() || statement.column_count() == 0 || statement.is_explain() != 0 {
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
        if statement.column_names().any(is_made_up) {
            return Err(SchemaError::Refused { what: what(), why: format!("it {MADE_UP}") });
        }
    }
    Ok(relations)
}

/// Makes the component's tables and Laterna's own, in the transaction that is open.
pub(super) fn create(store: &Guarded, ddl: &str) -> Result<Vec<Relation>, SchemaError> {
    let Guarded { connection, .. } = store;
    let own = [LATERNA_TABLES, parked::TABLES].concat();
    connection.execute_batch(&own).map_err(|error| refused("Laterna's own tables", &error))?;
    run_ddl(store, ddl)?;
    let relations = relations(connection).map_err(|error| refused("the schema", &error))?;
    for relation in &relations {
        check_relation(store, relation)?;
    }
    Ok(relations)
}

/// Runs SQL that makes what a component's schema may make, in the transaction that is open.
pub(super) fn run_ddl(store: &Guarded, ddl: &str) -> Result<(), SchemaError> {
    store.pen.hand_to(Author::Schema);
    let ran = run_each(store, ddl);
    store.pen.hand_to(Author::Host);
    ran
}

fn run_each(store: &Guarded, ddl: &str) -> Result<(), SchemaError> {
    let Guarded { connection, .. } = store;
    if ddl.contains('\0') {
        // SQLite would stop there and say nothing of the rest.
        return Err(SchemaError::Refused { what: "the schema".to_owned(), why: "it holds a zero byte".to_owned() });
    }
    let mut batch = Batch::new(connection, ddl);
    let mut rest = ddl;
    loop {
        match batch.next() {
            Ok(None) => return Ok(()),
            Ok(Some(mut statement)) => {
                let text = statement.expanded_sql().unwrap_or_default();
                rest = rest.trim_start().strip_prefix(text.trim()).unwrap_or(rest);
                let misplaced = || SchemaError::Refused {
                    what: shortened(&text),
                    why: "only CREATE TABLE, CREATE INDEX and CREATE VIEW belong into a schema".to_owned(),
                };
                if statement.readonly() || statement.column_count() > 0 {
                    return Err(misplaced());
                }
                let before = version(store).map_err(|error| refused(&text, &error))?;
                statement.execute([]).map_err(|error| refused(&text, &error))?;
                // What is allowed besides, as REINDEX is within CREATE INDEX, makes nothing.
                if version(store).map_err(|error| refused(&text, &error))? == before {
                    return Err(misplaced());
                }
            }
            Err(error) => return Err(refused(rest, &error)),
        }
    }
}

/// Counts up with each object that is made.
fn version(store: &Guarded) -> Result<i64, rusqlite::Error> {
    store.pen.hand_to(Author::Host);
    let version = store.connection.query_one("PRAGMA schema_version", [], |row| row.get(0));
    store.pen.hand_to(Author::Schema);
    version
}

fn check_relation(store: &Guarded, relation: &Relation) -> Result<(), SchemaError> {
    let Guarded { connection, pen, .. } = store;
    let Relation { name, columns, key, .. } = relation;
    let ask = |sql: &str| -> Result<i64, SchemaError> {
        connection.query_one(sql, [name], |row| row.get(0)).map_err(|error| refused(name, &error))
    };
    let table = |problem| Err(SchemaError::Table { table: name.clone(), problem });
    if name == "sqlite_sequence" {
        return table("comes of AUTOINCREMENT: leave it out, an INTEGER PRIMARY KEY counts without it");
    }
    if columns.iter().any(|column| is_made_up(&column.name)) {
        return table(MADE_UP);
    }
    let quoted = quoted(name);
    // Expressions that SQLite looks at only when a row is written or read: defaults, checks, generated columns, a view's body.
    let trial = if is_view(connection, name).map_err(|error| refused(name, &error))? {
        format!("SELECT * FROM {quoted}")
    } else {
        if ask("SELECT strict FROM pragma_table_list(?1) WHERE schema = 'main'")? == 0 {
            return table("is not STRICT: write `CREATE TABLE … (…) STRICT`");
        }
        if key.is_empty() {
            return table("has no primary key");
        }
        let without_rowid = ask("SELECT wr FROM pragma_table_list(?1) WHERE schema = 'main'")? == 1;
        // A key that is not the rowid itself has an index of its own.
        let key_indexes = ask("SELECT count(*) FROM pragma_index_list(?1) WHERE origin = 'pk'")?;
        if !without_rowid && key_indexes > 0 {
            return table("has neither an INTEGER PRIMARY KEY nor WITHOUT ROWID: write `… STRICT, WITHOUT ROWID`");
        }
        if ask("SELECT count(*) FROM pragma_foreign_key_list(?1)")? > 0 {
            return table("has a foreign key, which would be judged at the end of a batch: leave REFERENCES out");
        }
        format!("INSERT INTO {quoted} DEFAULT VALUES")
    };
    pen.hand_to(Author::Fold);
    let tried = connection.prepare(&trial).map(drop);
    pen.hand_to(Author::Host);
    tried.map_err(|error| refused(name, &error))
}

/// Each row of a typed table is written once for a batch, so that nothing but its key may judge it: what it was in between is seen by
/// nobody.
fn check_typed(connection: &Connection, name: &str) -> Result<(), SchemaError> {
    let has = |sql: &str| -> Result<bool, SchemaError> {
        connection.query_one(sql, [name], |row| row.get(0)).map_err(|error| refused(name, &error))
    };
    let table = |problem| Err(SchemaError::Table { table: name.to_owned(), problem });
    if !has("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1")? {
        return table("is said to be typed, and is not in the schema");
    }
    if has("SELECT count(*) FROM pragma_index_list(?1) WHERE \"unique\" AND origin <> 'pk'")? {
        return table(
            "is typed, so it can have no unique index: make the columns the key of a table, or write the table by SQL",
        );
    }
    if has("SELECT count(*) FROM pragma_index_list(?1) WHERE partial")? {
        return table("is typed, so it can have no partial index: leave the WHERE out, or write the table by SQL");
    }
    if has("SELECT count(*) FROM pragma_index_list(?1) AS list, pragma_index_xinfo(list.name) WHERE cid = -2")? {
        return table(
            "is typed, so it can have no index over an expression: index its columns, or write the table by SQL",
        );
    }
    Ok(())
}

/// Whether SQLite may have made up the name of a column: where several in a subquery have the same, it numbers them, and beyond
/// a few it draws the number by lot.
pub(super) fn is_made_up(column: &str) -> bool {
    column
        .rsplit_once(':')
        .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What is wrong with such a column.
pub(super) const MADE_UP: &str = "takes over columns of one name from a subquery: name each with AS";

fn is_view(connection: &Connection, name: &str) -> Result<bool, rusqlite::Error> {
    connection.query_one("SELECT type = 'view' FROM sqlite_schema WHERE name = ?1", [name], |row| row.get(0))
}

/// The tables and views that a component made, by name.
pub(super) fn relations(connection: &Connection) -> Result<Vec<Relation>, rusqlite::Error> {
    let mut made = connection
        .prepare("SELECT name, type = 'view', sql FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name")?;
    let made = made
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<Vec<(String, bool, String)>, _>>()?;
    let mut relations = Vec::new();
    for (name, is_view, sql) in made.into_iter().filter(|(name, ..)| !is_laternas(name)) {
        // A key's columns are never NULL in a STRICT table, and one that counts its rows does not say so.
        let mut info = connection
            .prepare("SELECT name, type, NOT \"notnull\" AND pk = 0, pk FROM pragma_table_xinfo(?1) ORDER BY cid")?;
        let column = |row: &rusqlite::Row<'_>| {
            Ok((Column { name: row.get(0)?, of_type: row.get(1)?, nullable: row.get(2)? }, row.get::<_, i64>(3)?))
        };
        let columns = info.query_map([&name], column)?.collect::<Result<Vec<_>, _>>()?;
        let mut key: Vec<_> = columns.iter().filter(|(_, place)| *place > 0).collect();
        key.sort_by_key(|(_, place)| *place);
        let key = key.into_iter().map(|(column, _)| column.name.clone()).collect();
        let columns = columns.into_iter().map(|(column, _)| column).collect();
        let kind = if is_view { RelationKind::View } else { RelationKind::Table };
        let indexes = indexes(connection, &name)?;
        relations.push(Relation { name, kind, columns, key, sql, indexes });
    }
    Ok(relations)
}

/// The indexes that a component made for a table; those of keys have no SQL.
fn indexes(connection: &Connection, table: &str) -> Result<Vec<Index>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?1 AND sql IS NOT NULL ORDER BY name",
    )?;
    let indexes = statement.query_map([table], |row| Ok(Index { name: row.get(0)?, sql: row.get(1)? }))?;
    indexes.collect()
}

/// SQLite's words, with what the authorizer's refusals mean.
fn refused(what: &str, error: &rusqlite::Error) -> SchemaError {
    let why = match error {
        // Without the SQL, which `what` says.
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    };
    let denied = ["not authorized", "authorization denied", "prohibited"].iter().any(|words| why.contains(words));
    let why = if denied {
        format!("{why}: a read model may hold tables, indexes and views, with functions that are deterministic")
    } else {
        why
    };
    SchemaError::Refused { what: shortened(what), why }
}

/// SQL in a line, cut short.
fn shortened(sql: &str) -> String {
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL) STRICT;";

    /// Queries that declare no parameter.
    fn asked<'a>(queries: &[(&'a str, &'a str)]) -> Vec<Asked<'a>> {
        queries.iter().map(|(name, sql)| Asked { name, sql, parameters: Vec::new() }).collect()
    }

    #[track_caller]
    fn refuses(schema: &str, queries: &[(&str, &str)], why: &str) {
        match check_schema(schema, &[], &asked(queries)) {
            Ok(_) => unreachable!("it takes {schema} with {queries:?}"),
            Err(error) => assert!(error.to_string().contains(why), "{schema}: {error}"),
        }
    }

    #[test]
    fn tables_are_strict_and_have_a_key_that_is_all_their_order() {
        refuses("CREATE TABLE t (id INTEGER PRIMARY KEY)", &[], "table `t` is not STRICT");
        refuses("CREATE TABLE t (id INTEGER) STRICT", &[], "table `t` has no primary key");
        for keyed in [
            "id TEXT PRIMARY KEY",
            "id INTEGER PRIMARY KEY DESC",
            "a INTEGER, b INTEGER, PRIMARY KEY (a, b)",
            "id INT PRIMARY KEY",
        ] {
            refuses(
                &format!("CREATE TABLE t ({keyed}) STRICT"),
                &[],
                "neither an INTEGER PRIMARY KEY nor WITHOUT ROWID",
            );
        }
        refuses("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT) STRICT", &[], "AUTOINCREMENT");
        refuses("CREATE TABLE t (id INTEGER PRIMARY KEY, o INTEGER REFERENCES t (id)) STRICT", &[], "foreign key");
        for ddl in [
            TABLE,
            "CREATE TABLE t (id INTEGER, PRIMARY KEY (id)) STRICT",
            "CREATE TABLE t (a INTEGER, b TEXT, PRIMARY KEY (a, b)) STRICT, WITHOUT ROWID",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER DEFAULT (abs(-7)) CHECK (n > 0), m INTEGER AS (n + 1)) STRICT",
        ] {
            assert!(check_schema(ddl, &[], &[]).is_ok(), "{ddl}: {:?}", check_schema(ddl, &[], &[]));
        }
        let views = format!("{TABLE} CREATE INDEX i ON t (n) WHERE n > 0; CREATE VIEW v AS SELECT sum(n) AS n FROM t");
        let queries = asked(&[("q", "SELECT * FROM v")]);
        assert_eq!(check_schema(&views, &[], &queries).map(|relations| relations.len()), Ok(2));
    }

    #[test]
    fn a_query_has_the_parameters_that_it_declares() {
        let check = |sql, parameters| check_schema(TABLE, &[], &[Asked { name: "q", sql, parameters }]).map(drop);
        assert_eq!(check("SELECT n FROM t WHERE id = :id LIMIT :count", vec!["count", "id"]), Ok(()));
        for (sql, parameters) in [
            ("SELECT n FROM t LIMIT :cuont", vec!["count"]),
            ("SELECT n FROM t", vec!["count"]),
            ("SELECT n FROM t LIMIT ?1", vec!["count"]),
            ("SELECT n FROM t LIMIT @count", vec!["count"]),
        ] {
            assert!(matches!(check(sql, parameters), Err(SchemaError::Refused { .. })), "{sql}");
        }
    }

    #[test]
    fn nothing_in_it_hangs_on_more_than_its_arguments() {
        for function in ["random()", "datetime('now')", "CURRENT_TIMESTAMP", "last_insert_rowid()", "sqlite_version()"]
        {
            for (place, ddl) in [
                ("a default", "CREATE TABLE t (id INTEGER PRIMARY KEY, x ANY DEFAULT (FUNCTION)) STRICT"),
                ("a key's default", "CREATE TABLE t (x ANY PRIMARY KEY DEFAULT (FUNCTION)) STRICT, WITHOUT ROWID"),
                ("a check", "CREATE TABLE t (id INTEGER PRIMARY KEY, x ANY CHECK (x <> FUNCTION)) STRICT"),
                ("a computed column", "CREATE TABLE t (id INTEGER PRIMARY KEY, x ANY AS (FUNCTION)) STRICT"),
                ("a stored column", "CREATE TABLE t (id INTEGER PRIMARY KEY, x ANY AS (FUNCTION) STORED) STRICT"),
                ("a view", "CREATE VIEW v AS SELECT FUNCTION AS x"),
                ("an index", "CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT; CREATE INDEX i ON t (FUNCTION)"),
                (
                    "a part",
                    "CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT; CREATE INDEX i ON t (id) WHERE id > FUNCTION",
                ),
            ] {
                let ddl = ddl.replace("FUNCTION", function);
                assert!(check_schema(&ddl, &[], &[]).is_err(), "{function} in {place}");
            }
        }
    }

    #[test]
    fn no_column_has_a_name_that_sqlite_draws_by_lot() {
        let sql = "SELECT * FROM (SELECT 1 AS a, 2 AS a, 3 AS a, 4 AS a, 5 AS a)";
        refuses(&format!("CREATE VIEW v AS {sql}"), &[], "name each with AS");
        refuses("", &[("q", sql)], "name each with AS");
    }

    #[test]
    fn only_tables_indexes_and_views_are_made() {
        let not_authorized = "not authorized";
        for (ddl, why) in [
            ("CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END", not_authorized),
            ("CREATE VIRTUAL TABLE v USING fts5 (text)", not_authorized),
            ("CREATE TEMP TABLE u (id INTEGER PRIMARY KEY) STRICT", not_authorized),
            ("CREATE TEMP VIEW v AS SELECT 1", not_authorized),
            ("CREATE TABLE u AS SELECT * FROM t", not_authorized),
            // Would never end.
            (
                "CREATE TABLE u AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i FROM n",
                not_authorized,
            ),
            ("INSERT INTO t VALUES (1, 2)", not_authorized),
            ("UPDATE t SET n = 1", not_authorized),
            ("DELETE FROM t", not_authorized),
            ("DROP TABLE t", not_authorized),
            ("ALTER TABLE t RENAME TO u", not_authorized),
            ("PRAGMA user_version = 1", not_authorized),
            ("ATTACH 'other.db' AS other", not_authorized),
            ("VACUUM INTO 'other.db'", "authorization denied"),
            ("ANALYZE", not_authorized),
            ("BEGIN", not_authorized),
            ("COMMIT", not_authorized),
            ("SELECT 1", "not authorized"),
            ("REINDEX", "only CREATE TABLE, CREATE INDEX and CREATE VIEW"),
            ("EXPLAIN CREATE TABLE u (id INTEGER PRIMARY KEY) STRICT", "only CREATE TABLE"),
            ("CREATE", "incomplete input"),
            ("CREATE TABLE u (id INTEGER PRIMARY KEY) STRICT\0; DROP TABLE t", "zero byte"),
        ] {
            refuses(&format!("{TABLE}\n {ddl}"), &[], why);
        }
        // It says which statement it is.
        refuses(&format!("{TABLE}\n DROP  TABLE t"), &[], "DROP TABLE t: not authorized");
    }

    #[test]
    fn laternas_and_sqlites_own_tables_are_out_of_reach() {
        for ddl in [
            "CREATE TABLE laterna_t (id INTEGER PRIMARY KEY) STRICT",
            "CREATE TABLE \"LATERNA_t\" (id INTEGER PRIMARY KEY) STRICT",
            "CREATE TABLE IF NOT EXISTS laterna_checkpoint (id INTEGER PRIMARY KEY) STRICT",
            "CREATE TABLE sqlite_t (id INTEGER PRIMARY KEY) STRICT",
            "CREATE VIEW laterna_v AS SELECT 1",
            "CREATE VIEW v AS SELECT * FROM laterna_checkpoint",
            "CREATE VIEW v AS SELECT * FROM sqlite_schema",
            "CREATE VIEW v AS SELECT * FROM pragma_table_list",
            "CREATE INDEX laterna_i ON t (n)",
            "CREATE INDEX i ON laterna_checkpoint (position)",
            "CREATE INDEX i ON laterna_checkpoint (abs(1))",
            "CREATE INDEX i ON sqlite_schema (name)",
            "CREATE TRIGGER g AFTER UPDATE ON laterna_checkpoint BEGIN SELECT 1; END",
            "DROP TABLE laterna_checkpoint",
            "ALTER TABLE laterna_checkpoint RENAME TO mine",
            "UPDATE sqlite_master SET sql = ''",
        ] {
            refuses(&format!("{TABLE} {ddl}"), &[], "");
        }
    }

    #[test]
    fn queries_read_and_compile() {
        for (sql, why) in [
            ("INSERT INTO t VALUES (1, 1)", "query `q`: not authorized"),
            ("INSERT INTO t VALUES (1, 1) RETURNING id", "query `q`: not authorized"),
            ("SELECT colour FROM t", "query `q`: no such column: colour"),
            ("SELECT * FROM nowhere", "query `q`: no such table: nowhere"),
            ("SELECT 1; SELECT 2", "query `q`: Multiple statements provided"),
            ("SELECT * FROM laterna_checkpoint", "query `q`: access to laterna_checkpoint"),
            ("SELECT random()", "query `q`: not authorized to use function: random"),
            ("PRAGMA user_version", "query `q`: not authorized"),
            ("EXPLAIN SELECT 1", "query `q`: it does not read"),
            ("VACUUM", "query `q`: it does not read"),
            ("", "query `q`: it does not read"),
        ] {
            refuses(TABLE, &[("q", sql)], why);
        }
    }

    #[test]
    fn nothing_but_its_key_judges_a_typed_table() {
        let check = |index: &str| {
            let ddl = format!("CREATE TABLE t (id INTEGER PRIMARY KEY, json TEXT NOT NULL) STRICT; {index}");
            check_schema(&ddl, &["t".to_owned()], &[]).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(check("CREATE INDEX plain ON t (json DESC)"), Ok(()));
        for (index, problem) in [
            ("-- one each\nCREATE UNIQUE/**/INDEX u ON t (json)", "unique index"),
            ("CREATE INDEX p ON t (id) WHERE json_extract(json, '$.a') = 1", "partial index"),
            ("CREATE INDEX e ON t (json_extract(json, '$.a'))", "index over an expression"),
        ] {
            let said = check(index);
            assert!(said.as_ref().is_err_and(|said| said.contains(problem)), "{index}: {said:?}");
        }
        let missing = check_schema("", &["t".to_owned()], &[]).map(drop);
        assert!(missing.is_err_and(|error| error.to_string().contains("is not in the schema")));
    }
}
