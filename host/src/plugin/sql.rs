//! The host's side of `laterna:plugin/sql`.
//!
//! Written by hand, not generated, so that cells are read straight from the component's memory, and each call can charge what it
//! took to the call's fuel.

use super::call::{Call, Database, DatabaseFault, Stopped};
use super::fuel::{charge, offer};
use rusqlite::types::ValueRef;
use smallvec::SmallVec;
use std::borrow::Cow;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower, WasmList, WasmStr};

const SQL: &str = "laterna:plugin/sql@0.1.0";
const TYPES: &str = "laterna:plugin/types@0.1.0";

/// Fuel that a step of SQLite's virtual machine costs.
const STEP_FUEL: u64 = 20;
/// Fuel that preparing a byte of SQL costs, whether or not the statement was kept.
const SQL_BYTE_FUEL: u64 = 20;
/// Statements that one call may prepare.
const STATEMENTS: usize = 1_000;

/// Cells of one call that need no memory of their own: most statements have fewer, and each call would ask for it thrice.
const CELLS: usize = 16;

type Answer<T> = Result<(Result<T, SqlError>,), wasmtime::Error>;

/// A cell that the component hands over, read when it is needed.
#[derive(ComponentType, Lift)]
#[component(variant)]
enum Given {
    #[component(name = "null")]
    Null,
    #[component(name = "integer")]
    Integer(i64),
    #[component(name = "real")]
    Real(f64),
    #[component(name = "text")]
    Text(WasmStr),
    #[component(name = "blob")]
    Blob(WasmList<u8>),
}

/// A cell that the component is given.
#[derive(ComponentType, Lower)]
#[component(variant)]
enum Returned {
    #[component(name = "null")]
    Null,
    #[component(name = "integer")]
    Integer(i64),
    #[component(name = "real")]
    Real(f64),
    #[component(name = "text")]
    Text(String),
    #[component(name = "blob")]
    Blob(Vec<u8>),
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct SqlError {
    code: i32,
    message: String,
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct Handle {
    statement: u32,
    parameters: u32,
    columns: Vec<String>,
}

/// Whether an import is one of the contract's.
pub(super) fn offers(import: &str) -> bool {
    import == SQL || import == TYPES
}

/// Whether an import is of the contract's types alone, which every world shares.
pub(super) fn is_types(import: &str) -> bool {
    import == TYPES
}

pub(super) fn define(linker: &mut Linker<Call>) -> Result<(), wasmtime::Error> {
    linker.instance(TYPES)?;
    let mut sql = linker.instance(SQL)?;
    offer(&mut sql, "prepare", |store, (text,): (WasmStr,)| prepare(store, &text))?;
    offer(&mut sql, "execute", |store, (statement, cells): (u32, WasmList<Given>)| execute(store, statement, &cells))?;
    offer(&mut sql, "execute-many", |store, (statement, cells): (u32, WasmList<Given>)| {
        execute_many(store, statement, &cells)
    })?;
    offer(&mut sql, "query", |store, (statement, cells): (u32, WasmList<Given>)| query(store, statement, &cells))?;
    Ok(())
}

fn prepare(mut store: StoreContextMut<'_, Call>, text: &WasmStr) -> Answer<Handle> {
    let text = text.to_str(&store)?.into_owned();
    let mut database = lend(&mut store)?;
    let prepared = database.prepare(&text);
    store.data_mut().database = Some(database);
    charge(&mut store, SQL_BYTE_FUEL * text.len() as u64)?;
    if store.data().statements.len() >= STATEMENTS {
        return Err(Stopped::Forbidden(format!("it prepared more than {STATEMENTS} statements in one call")).into());
    }
    answer(prepared.map(|prepared| {
        let handle = Handle {
            statement: store.data().statements.len() as u32,
            parameters: prepared.parameters as u32,
            columns: prepared.columns.clone(),
        };
        store.data_mut().statements.push(prepared);
        handle
    }))
}

fn execute(mut store: StoreContextMut<'_, Call>, statement: u32, cells: &WasmList<Given>) -> Answer<u64> {
    let (statement, _) = find(&store, statement)?;
    let budget = store.get_fuel()? / STEP_FUEL;
    let (bytes, (steps, changes)) =
        with_cells(&mut store, cells, |database, cells| database.execute(statement, cells, budget))?;
    charge(&mut store, bytes + STEP_FUEL * steps)?;
    answer(changes)
}

fn execute_many(mut store: StoreContextMut<'_, Call>, statement: u32, cells: &WasmList<Given>) -> Answer<u64> {
    let (statement, parameters) = find(&store, statement)?;
    if parameters == 0 || !cells.len().is_multiple_of(parameters) {
        let message = format!("{} cells are not rows of {parameters} parameters", cells.len());
        return Ok((Err(SqlError { code: rusqlite::ffi::SQLITE_RANGE, message }),));
    }
    let mut database = lend(&mut store)?;
    let ran = execute_rows(&mut store, &mut *database, statement, parameters, cells);
    store.data_mut().database = Some(database);
    answer(ran?)
}

/// Runs a statement for each row, each charged as it is run.
fn execute_rows(
    store: &mut StoreContextMut<'_, Call>,
    database: &mut dyn Database,
    statement: usize,
    parameters: usize,
    cells: &WasmList<Given>,
) -> Result<Result<u64, DatabaseFault>, wasmtime::Error> {
    let mut changes = 0;
    let mut row = SmallVec::<[Given; CELLS]>::new();
    for first in (0..cells.len()).step_by(parameters) {
        row.clear();
        for index in first..first + parameters {
            row.extend(cells.get(&mut *store, index).transpose()?);
        }
        let budget = store.get_fuel()? / STEP_FUEL;
        let (bytes, (steps, changed)) = {
            let borrowed = borrow(store, &row)?;
            (borrowed.bytes(), database.execute(statement, &borrowed.cells(), budget))
        };
        charge(store, bytes + STEP_FUEL * steps)?;
        match changed {
            Ok(changed) => changes += changed,
            Err(fault) => return Ok(Err(fault)),
        }
    }
    Ok(Ok(changes))
}

fn query(mut store: StoreContextMut<'_, Call>, statement: u32, cells: &WasmList<Given>) -> Answer<Vec<Returned>> {
    let (statement, _) = find(&store, statement)?;
    let budget = store.get_fuel()? / STEP_FUEL;
    let limit = store.data().answer_bytes;
    let (mut rows, mut answered) = (Vec::new(), 0);
    let (bytes, (steps, asked)) = with_cells(&mut store, cells, |database, cells| {
        database.query(statement, cells, budget, &mut |cell| {
            let (cell, size) = match cell {
                ValueRef::Null => (Returned::Null, 0),
                ValueRef::Integer(integer) => (Returned::Integer(integer), 0),
                ValueRef::Real(real) => (Returned::Real(real), 0),
                ValueRef::Text(text) => (Returned::Text(String::from_utf8_lossy(text).into_owned()), text.len()),
                ValueRef::Blob(blob) => (Returned::Blob(blob.to_vec()), blob.len()),
            };
            answered += size + size_of::<Returned>();
            rows.push(cell);
            answered <= limit
        })
    })?;
    charge(&mut store, bytes + answered as u64 + STEP_FUEL * steps)?;
    if answered > limit {
        return Err(Stopped::Forbidden(format!("a query of it answered more than {limit} bytes")).into());
    }
    answer(asked.map(|()| rows))
}

/// Runs a statement with cells that are borrowed from the component's memory; answers their bytes, too.
///
/// The database is taken out of the store meanwhile, so that the memory beside it can be borrowed.
fn with_cells<T>(
    store: &mut StoreContextMut<'_, Call>,
    cells: &WasmList<Given>,
    run: impl FnOnce(&mut dyn Database, &[ValueRef<'_>]) -> T,
) -> Result<(u64, T), wasmtime::Error> {
    let mut given = SmallVec::<[Given; CELLS]>::new();
    for cell in cells.iter(&mut *store)? {
        given.push(cell?);
    }
    let mut database = lend(store)?;
    let ran = borrow(store, &given).map(|borrowed| (borrowed.bytes(), run(&mut *database, &borrowed.cells())));
    store.data_mut().database = Some(database);
    ran
}

/// Takes the database out of the store. Whoever does puts it back, whatever happens.
fn lend(store: &mut StoreContextMut<'_, Call>) -> Result<Box<dyn Database>, wasmtime::Error> {
    let database = store.data_mut().database.take();
    database.ok_or_else(|| Stopped::Forbidden("it used SQL in `describe`, where it has no store".to_owned()).into())
}

fn find(store: &StoreContextMut<'_, Call>, statement: u32) -> Result<(usize, usize), wasmtime::Error> {
    let prepared = store.data().statements.get(statement as usize);
    prepared
        .map(|prepared| (prepared.statement, prepared.parameters))
        .ok_or_else(|| Stopped::Forbidden(format!("it used statement {statement}, which it did not prepare")).into())
}

/// Cells that borrow from the component's memory.
struct Borrowed<'m>(SmallVec<[Part<'m>; CELLS]>);

enum Part<'m> {
    Cell(ValueRef<'m>),
    Text(Cow<'m, str>),
}

fn borrow<'m>(store: &'m StoreContextMut<'_, Call>, given: &[Given]) -> Result<Borrowed<'m>, wasmtime::Error> {
    let mut parts = SmallVec::new();
    for cell in given {
        parts.push(match cell {
            Given::Null => Part::Cell(ValueRef::Null),
            Given::Integer(integer) => Part::Cell(ValueRef::Integer(*integer)),
            Given::Real(real) => Part::Cell(ValueRef::Real(*real)),
            Given::Text(text) => Part::Text(text.to_str(store)?),
            Given::Blob(blob) => Part::Cell(ValueRef::Blob(blob.as_le_slice(store))),
        });
    }
    Ok(Borrowed(parts))
}

impl Borrowed<'_> {
    fn cells(&self) -> SmallVec<[ValueRef<'_>; CELLS]> {
        let cell = |part| match part {
            &Part::Cell(cell) => cell,
            Part::Text(text) => ValueRef::Text(text.as_bytes()),
        };
        self.0.iter().map(cell).collect()
    }

    fn bytes(&self) -> u64 {
        let size = |part: &Part<'_>| match part {
            Part::Text(text) => text.len(),
            Part::Cell(ValueRef::Blob(blob)) => blob.len(),
            Part::Cell(_) => 8,
        };
        self.0.iter().map(size).sum::<usize>() as u64
    }
}

/// The component is told what is wrong with its SQL or its data; anything else ends the call.
fn answer<T>(outcome: Result<T, DatabaseFault>) -> Answer<T> {
    match outcome {
        Ok(value) => Ok((Ok(value),)),
        Err(DatabaseFault::Sql { code, message }) => Ok((Err(SqlError { code, message }),)),
        Err(DatabaseFault::OutOfSteps) => Err(Stopped::OutOfFuel.into()),
        Err(DatabaseFault::OutOfTime) => Err(Stopped::OutOfTime.into()),
        Err(DatabaseFault::Forbidden(what)) => Err(Stopped::Forbidden(what.to_owned()).into()),
        Err(DatabaseFault::Machine(what)) => Err(Stopped::Machine(what).into()),
    }
}
