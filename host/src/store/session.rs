//! The one writer of a store: a transaction in which a component's statements and the checkpoint commit together.

use super::authorizer::{Author, Pen};
use super::changes::{Changes, Tables};
use super::connection::Guarded;
use super::meter::Meter;
use super::schema::{MADE_UP, is_made_up};
use super::{Error, Limits, files};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, Statement, StatementStatus, ToSql};
use self_cell::self_cell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What is wrong with a component's statement.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The SQL or the data; the component may see it and go on.
    #[error("{message} (SQLite code {code})")]
    Sql {
        /// SQLite's extended result code.
        code: i32,
        /// SQLite's words.
        message: String,
    },
    /// It took more steps than it was allowed.
    #[error("the statement took more steps than were left of the call's budget")]
    OutOfSteps,
    /// It took more time than a question may.
    #[error("the statement took too long")]
    OutOfTime,
    /// It broke a rule that holds for the whole call: the call cannot go on.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The machine: a full or broken disk, say. Never the component's fault, and never shown to it.
    #[error(transparent)]
    Machine(#[from] Error),
}

/// A prepared statement as a component sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Where the session keeps it.
    pub kept: usize,
    /// How many parameters it takes.
    pub parameters: usize,
    /// The names of its result columns.
    pub columns: Vec<String>,
}

/// What came of an execution, with the steps of SQLite's virtual machine that it took, also where it failed. They are the same
/// for the same statement over the same content.
pub type Metered<T> = (u64, Result<T, Fault>);

/// A connection on which a component's statements run, each kept prepared by its text.
pub struct Session {
    kept: Kept,
    pen: Pen,
    meter: Meter,
    author: Author,
    kept_statements: usize,
    batch_time: Duration,
    changes: Arc<Changes>,
    /// What the batch may have written until now.
    written: Tables,
    /// What any of its statements reads.
    read: Tables,
}

self_cell!(
    struct Kept {
        owner: Connection,

        #[not_covariant]
        dependent: Statements,
    }
);

#[derive(Default)]
struct Statements<'c> {
    by_text: HashMap<String, usize>,
    statements: Vec<Known<'c>>,
}

struct Known<'c> {
    statement: Statement<'c>,
    writes: Tables,
}

impl Session {
    pub(super) fn new(guarded: Guarded, author: Author, limits: &Limits, changes: Arc<Changes>) -> Self {
        let Guarded { connection, pen, meter } = guarded;
        let kept = Kept::new(connection, |_| Statements::default());
        Self {
            kept,
            pen,
            meter,
            author,
            kept_statements: limits.kept_statements,
            batch_time: limits.batch,
            changes,
            written: Tables::default(),
            read: Tables::default(),
        }
    }

    /// Gives the connection back, without its statements, and the tables that they read.
    pub(super) fn into_guarded(self) -> (Guarded, Tables) {
        (Guarded { connection: self.kept.into_owner(), pen: self.pen, meter: self.meter }, self.read)
    }

    pub(super) fn connection(&self) -> &Connection {
        self.kept.borrow_owner()
    }

    /// Laterna's own hand on the batch, for a read model that it keeps itself. Every table counts as written.
    pub fn by_hand(&mut self) -> &Connection {
        self.written = self.changes.all();
        self.connection()
    }

    /// Begins the transaction of a batch.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn begin(&mut self) -> Result<(), Error> {
        // Only between batches, since a component's handles point at what is kept.
        self.kept.with_dependent_mut(|_, statements| {
            if statements.statements.len() > self.kept_statements {
                *statements = Statements::default();
            }
        });
        self.host("BEGIN IMMEDIATE")?;
        self.meter.allow_time(Some(self.batch_time));
        Ok(())
    }

    /// Commits what the component did together with the checkpoint.
    ///
    /// # Errors
    /// The store cannot be written; nothing of the batch is kept.
    pub fn commit(&mut self, checkpoint: u64) -> Result<(), Error> {
        self.meter.allow_time(None);
        let written = self
            .connection()
            .prepare_cached("UPDATE laterna_checkpoint SET position = ?1")
            .and_then(|mut statement| statement.execute([checkpoint.cast_signed()]));
        let committed = written.map_err(Error::from).and_then(|_| self.host("COMMIT"));
        match committed {
            // Before anybody hears of the checkpoint.
            Ok(()) => self.changes.tell(&std::mem::take(&mut self.written), checkpoint),
            Err(_) => self.roll_back(),
        }
        committed
    }

    /// Undoes the batch.
    pub fn roll_back(&mut self) {
        self.meter.allow_time(None);
        self.written = Tables::default();
        if !self.connection().is_autocommit() {
            // Where even this fails, SQLite rolls back when the file is opened again.
            if let Err(error) = self.host("ROLLBACK") {
                tracing::warn!(%error, "a batch could not be rolled back");
            }
        }
    }

    /// Writes the checkpoint alone: over events that the component does not consume.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn advance(&mut self, checkpoint: u64) -> Result<(), Error> {
        self.host("BEGIN IMMEDIATE")?;
        self.commit(checkpoint)
    }

    /// Makes everything durable that was written without waiting for the disk, and waits for it from now on as far as a store that
    /// serves has to.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn seal(&mut self) -> Result<(), Error> {
        let connection = self.connection();
        // Where somebody looks into the file, part of it stays in the write-ahead log, which is as good.
        connection.query_one("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        // Both: frames of the log that are older than the file, or were never written, must not be found after a power loss.
        let path = connection.path().map(PathBuf::from).unwrap_or_default();
        for suffix in ["", "-wal"] {
            files::sync(&files::beside(&path, suffix))?;
        }
        files::sync(path.parent().unwrap_or(&path))?;
        connection.execute_batch("PRAGMA synchronous = NORMAL")?;
        Ok(())
    }

    fn host(&self, sql: &str) -> Result<(), Error> {
        self.connection().prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// Prepares a component's statement, or finds it kept.
    ///
    /// # Errors
    /// SQLite or the authorizer refuses it.
    pub fn prepare(&mut self, sql: &str) -> Result<Prepared, Fault> {
        let Self { pen, author, changes, read, .. } = self;
        self.kept.with_dependent_mut(|connection, statements| {
            let kept = match statements.by_text.get(sql) {
                Some(kept) => *kept,
                None => {
                    pen.hand_to(*author);
                    let prepared = connection.prepare(sql);
                    pen.hand_to(Author::Host);
                    let prepared = prepared.map_err(fault)?;
                    if prepared.is_explain() != 0 {
                        return Err(Fault::Sql { code: rusqlite::ffi::SQLITE_AUTH, message: "not authorized".into() });
                    }
                    if prepared.column_names().any(is_made_up) {
                        let message = format!("the statement {MADE_UP}");
                        return Err(Fault::Sql { code: rusqlite::ffi::SQLITE_ERROR, message });
                    }
                    // Of nothing but space and comments SQLite makes no statement, and there is nothing to run.
                    if prepared.readonly() && prepared.column_count() == 0 {
                        return Err(Fault::Sql {
                            code: rusqlite::ffi::SQLITE_ERROR,
                            message: "there is no statement".into(),
                        });
                    }
                    let touched = pen.take_touched();
                    read.extend(&changes.tables(&touched.read));
                    let writes = changes.tables(&touched.written);
                    statements.statements.push(Known { statement: prepared, writes });
                    statements.by_text.insert(sql.to_owned(), statements.statements.len() - 1);
                    statements.statements.len() - 1
                }
            };
            let statement = &statements.statements[kept].statement;
            Ok(Prepared {
                kept,
                parameters: statement.parameter_count(),
                columns: statement.column_names().map(str::to_owned).collect(),
            })
        })
    }

    /// Runs a kept statement once; answers the rows changed. What a failed statement did is undone, but for
    /// [`Fault::Forbidden`], after which the transaction must be rolled back.
    pub fn execute(&mut self, kept: usize, parameters: &[ValueRef<'_>], steps: u64) -> Metered<u64> {
        self.run(kept, parameters, steps, |statement| {
            if statement.column_count() == 0 {
                return Ok(statement.raw_execute()? as u64);
            }
            // A statement that answers rows, such as INSERT … RETURNING, is run to its end.
            let mut rows = statement.raw_query();
            while rows.next()?.is_some() {}
            Ok(0)
        })
    }

    /// Runs a kept statement and shows each cell of its rows to `cell`, which answers false when it has enough. Faults are as of
    /// [`execute`](Self::execute).
    pub fn query(
        &mut self,
        kept: usize,
        parameters: &[ValueRef<'_>],
        steps: u64,
        cell: &mut dyn FnMut(ValueRef<'_>) -> bool,
    ) -> Metered<()> {
        self.run(kept, parameters, steps, |statement| {
            let columns = statement.column_count();
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next()? {
                for column in 0..columns {
                    if !cell(row.get_ref(column)?) {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
    }

    /// Runs a kept statement within a budget of steps.
    fn run<T>(
        &mut self,
        kept: usize,
        parameters: &[ValueRef<'_>],
        steps: u64,
        run: impl FnOnce(&mut Statement<'_>) -> Result<T, rusqlite::Error>,
    ) -> Metered<T> {
        let (meter, written) = (&self.meter, &mut self.written);
        let (spent, ran) = self.kept.with_dependent_mut(|connection, statements| {
            let Some(Known { statement, writes }) = statements.statements.get_mut(kept) else {
                return (0, Err(Fault::Forbidden("the statement was not prepared in this call")));
            };
            if let Err(fault) = bind(statement, parameters) {
                return (0, Err(fault));
            }
            written.extend(writes);
            let in_transaction = !connection.is_autocommit();
            meter.allow_steps(steps);
            statement.reset_status(StatementStatus::VmStep);
            let ran = run(statement).map_err(fault);
            meter.allow_steps(u64::MAX);
            let spent = u64::from(statement.get_status(StatementStatus::VmStep).cast_unsigned());
            let rolled_back = in_transaction && connection.is_autocommit();
            match ran {
                // Said before SQLite's own error, since all that the batch did is gone.
                Ok(_) | Err(Fault::Sql { .. }) if rolled_back => (spent, Err(Fault::Forbidden(ROLLED_BACK))),
                ran => (spent, ran),
            }
        });
        match ran {
            Err(Fault::OutOfSteps) if self.meter.is_late() => (spent, Err(Fault::OutOfTime)),
            ran => (spent, ran),
        }
    }
}

const ROLLED_BACK: &str = "a statement rolled the batch's transaction back: OR ROLLBACK is not allowed";

fn bind(statement: &mut Statement<'_>, parameters: &[ValueRef<'_>]) -> Result<(), Fault> {
    let takes = statement.parameter_count();
    // With fewer, a parameter would keep what an earlier run bound to it.
    if parameters.len() != takes {
        let message = format!("{} parameters were given, the statement takes {takes}", parameters.len());
        return Err(Fault::Sql { code: rusqlite::ffi::SQLITE_RANGE, message });
    }
    for (index, value) in parameters.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, Borrowed(*value)).map_err(fault)?;
    }
    Ok(())
}

struct Borrowed<'v>(ValueRef<'v>);

impl ToSql for Borrowed<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.0))
    }
}

/// Tells the component's faults from the machine's.
pub(super) fn fault(error: rusqlite::Error) -> Fault {
    let failure = match &error {
        rusqlite::Error::SqliteFailure(failure, _) => *failure,
        // SQLite's, too, where it can tell the place in the SQL.
        rusqlite::Error::SqlInputError { error, .. } => *error,
        // rusqlite itself refuses: several statements, a wrong number of parameters.
        other => return Fault::Sql { code: rusqlite::ffi::SQLITE_ERROR, message: other.to_string() },
    };
    match failure.code {
        ErrorCode::OperationInterrupted => Fault::OutOfSteps,
        ErrorCode::ConstraintViolation
        | ErrorCode::TypeMismatch
        | ErrorCode::TooBig
        | ErrorCode::ParameterOutOfRange
        | ErrorCode::AuthorizationForStatementDenied
        | ErrorCode::Unknown => {
            let message = match error {
                rusqlite::Error::SqliteFailure(_, Some(message)) => message,
                rusqlite::Error::SqlInputError { msg, .. } => msg,
                other => other.to_string(),
            };
            Fault::Sql { code: failure.extended_code, message }
        }
        _ => Fault::Machine(error.into()),
    }
}
