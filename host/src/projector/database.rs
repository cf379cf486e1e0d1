//! A store's session as a component sees it.

use crate::plugin::{Database, DatabaseFault, Metered, Prepared};
use crate::store::{Fault, Session};
use rusqlite::types::ValueRef;

impl Database for Session {
    fn prepare(&mut self, sql: &str) -> Result<Prepared, DatabaseFault> {
        let prepared = Session::prepare(self, sql)?;
        Ok(Prepared { statement: prepared.kept, parameters: prepared.parameters, columns: prepared.columns })
    }

    fn execute(&mut self, statement: usize, parameters: &[ValueRef<'_>], steps: u64) -> Metered<u64> {
        let (steps, changes) = Session::execute(self, statement, parameters, steps);
        (steps, changes.map_err(DatabaseFault::from))
    }

    fn query(
        &mut self,
        statement: usize,
        parameters: &[ValueRef<'_>],
        steps: u64,
        cell: &mut dyn FnMut(ValueRef<'_>) -> bool,
    ) -> Metered<()> {
        let (steps, asked) = Session::query(self, statement, parameters, steps, cell);
        (steps, asked.map_err(DatabaseFault::from))
    }
}

impl From<Fault> for DatabaseFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Sql { code, message } => Self::Sql { code, message },
            Fault::OutOfSteps => Self::OutOfSteps,
            Fault::OutOfTime => Self::OutOfTime,
            Fault::Forbidden(what) => Self::Forbidden(what),
            Fault::Machine(error) => Self::Machine(error.to_string()),
        }
    }
}
