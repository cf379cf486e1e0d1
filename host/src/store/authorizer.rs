//! What SQL may do, by who wrote it. Everything that is not named here is refused when the statement is prepared.

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Who wrote the SQL that is being prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Author {
    /// Laterna itself: anything.
    Host = 0,
    /// A component's schema: tables, indexes and views.
    Schema = 1,
    /// A component that folds: reads and writes its own tables.
    Fold = 2,
    /// A question: reads a component's tables.
    Question = 3,
}

/// Tells a connection's authorizer who writes.
#[derive(Clone)]
pub(super) struct Pen(Arc<Inner>);

struct Inner {
    holder: AtomicU8,
    touched: Mutex<Touched>,
}

/// The tables that statements read and write which were prepared since this was taken last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Touched {
    pub(super) read: BTreeSet<String>,
    pub(super) written: BTreeSet<String>,
}

impl Touched {
    fn note(&mut self, action: &AuthAction<'_>) {
        match action {
            AuthAction::Read { table_name, .. } => note(&mut self.read, table_name),
            AuthAction::Insert { table_name }
            | AuthAction::Update { table_name, .. }
            | AuthAction::Delete { table_name } => note(&mut self.written, table_name),
            _ => {}
        }
    }
}

fn note(names: &mut BTreeSet<String>, name: &str) {
    if !names.contains(name) {
        names.insert(name.to_owned());
    }
}

impl Pen {
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner { holder: AtomicU8::new(Author::Host as u8), touched: Mutex::default() }))
    }

    pub(super) fn hand_to(&self, author: Author) {
        if author != Author::Host {
            drop(self.take_touched());
        }
        self.0.holder.store(author as u8, Ordering::Relaxed);
    }

    /// What was touched since the pen was handed to somebody else.
    pub(super) fn take_touched(&self) -> Touched {
        std::mem::take(&mut self.0.touched.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn holder(&self) -> Author {
        match self.0.holder.load(Ordering::Relaxed) {
            0 => Author::Host,
            1 => Author::Schema,
            2 => Author::Fold,
            _ => Author::Question,
        }
    }

    /// The authorizer's verdict.
    pub(super) fn judge(&self, context: &AuthContext<'_>) -> Authorization {
        let holder = self.holder();
        if matches!(holder, Author::Fold | Author::Question) {
            self.0.touched.lock().unwrap_or_else(PoisonError::into_inner).note(&context.action);
        }
        let allowed = match holder {
            Author::Host => true,
            Author::Schema => may_declare(&context.action),
            Author::Fold => may_fold(&context.action),
            Author::Question => may_ask(&context.action),
        };
        if allowed { Authorization::Allow } else { Authorization::Deny }
    }
}

fn may_declare(action: &AuthAction<'_>) -> bool {
    match action {
        AuthAction::CreateTable { table_name: name } | AuthAction::CreateView { view_name: name } => !is_laternas(name),
        AuthAction::CreateIndex { index_name, table_name } => !is_laternas(index_name) && !is_laternas(table_name),
        AuthAction::Reindex { .. } => true,
        // How SQLite itself records what is created. SQL that names this table is refused before it comes here.
        AuthAction::Insert { table_name: "sqlite_master" }
        | AuthAction::Update { table_name: "sqlite_master", .. }
        | AuthAction::Read { table_name: "sqlite_master", .. } => true,
        // A table made of what a query answers would run that query, for as long as it takes.
        AuthAction::Select | AuthAction::Recursive => false,
        other => may_ask(other),
    }
}

fn may_fold(action: &AuthAction<'_>) -> bool {
    match action {
        AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name } => is_own(table_name),
        other => may_ask(other),
    }
}

fn may_ask(action: &AuthAction<'_>) -> bool {
    match action {
        AuthAction::Select | AuthAction::Recursive => true,
        AuthAction::Read { table_name, .. } => is_own(table_name),
        AuthAction::Function { function_name } => FUNCTIONS.contains(&function_name.to_ascii_lowercase().as_str()),
        _ => false,
    }
}

/// Whether a name that SQL reads or writes can be a component's own table: not Laterna's, and not one of those that SQLite
/// conjures up (its catalogue, pragmas as tables, statistics).
fn is_own(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !is_laternas(&name)
        && !name.starts_with("sqlite_")
        && !name.starts_with("pragma_")
        && !name.starts_with("fts3")
        && !name.starts_with("fts5")
        && name != "dbstat"
}

pub(super) fn is_laternas(name: &str) -> bool {
    name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("laterna_"))
}

/// Functions whose answer hangs on their arguments and the read tables alone: no dates, no randomness, nothing of the
/// connection's state.
const FUNCTIONS: &[&str] = &[
    "->",
    "->>",
    "abs",
    "avg",
    "char",
    "coalesce",
    "concat",
    "concat_ws",
    "count",
    "cume_dist",
    "dense_rank",
    "first_value",
    "format",
    "glob",
    "group_concat",
    "hex",
    "if",
    "ifnull",
    "iif",
    "instr",
    "json",
    "json_array",
    "json_array_length",
    "json_each",
    "json_error_position",
    "json_extract",
    "json_group_array",
    "json_group_object",
    "json_insert",
    "json_object",
    "json_pretty",
    "json_quote",
    "json_remove",
    "json_replace",
    "json_set",
    "json_tree",
    "json_type",
    "json_valid",
    "jsonb",
    "jsonb_array",
    "jsonb_extract",
    "jsonb_group_array",
    "jsonb_group_object",
    "jsonb_insert",
    "jsonb_object",
    "jsonb_remove",
    "jsonb_replace",
    "jsonb_set",
    "lag",
    "last_value",
    "lead",
    "length",
    "like",
    "likelihood",
    "likely",
    "lower",
    "ltrim",
    "max",
    "min",
    "nth_value",
    "ntile",
    "nullif",
    "octet_length",
    "percent_rank",
    "printf",
    "quote",
    "rank",
    "replace",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "string_agg",
    "substr",
    "substring",
    "sum",
    "total",
    "trim",
    "typeof",
    "unhex",
    "unicode",
    "unlikely",
    "upper",
    "zeroblob",
];
