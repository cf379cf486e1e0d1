//! The tables of both sides, walked side by side in the order of their keys.

use super::super::schema::{self, Relation};
use super::super::{Error, Snapshot};
use super::cursor::{Cursor, Side};
use super::sample::{self, Sampled};
use super::{ChangedRow, Comparison, Content, SampleRows, Samples, TableComparison, order};
use rusqlite::{Connection, Row};
use serde_json::{Map, Value};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Rows from one word of how far it is to the next.
const TOLD_ROWS: u64 = 1_000;

/// Compares all tables. `tell` hears how many rows of both sides were looked at; what it answers ends the comparison.
pub(super) fn tables(
    before: &Snapshot,
    after: &Snapshot,
    samples: &Samples,
    tell: &mut dyn FnMut(u64) -> Result<(), Error>,
) -> Result<Comparison, Error> {
    let (before, after) = (before.connection()?, after.connection()?);
    let (tables_before, tables_after) = (tables_of(before)?, tables_of(after)?);
    let names: BTreeSet<&String> = tables_before.iter().chain(&tables_after).map(|table| &table.name).collect();
    let mut looking = Looking { samples, bytes_left: samples.bytes, rows: 0, tell };
    let mut tables = Vec::new();
    for name in names {
        let (before, after) = (side(before, &tables_before, name), side(after, &tables_after, name));
        tables.extend(looking.table(before, after)?);
        (looking.tell)(looking.rows)?;
    }
    Ok(Comparison { tables })
}

fn tables_of(connection: &Connection) -> Result<Vec<Relation>, Error> {
    let mut relations = schema::relations(connection)?;
    // All tables have a key, and no view does.
    relations.retain(|relation| !relation.key.is_empty());
    Ok(relations)
}

fn side<'s>(connection: &'s Connection, relations: &'s [Relation], name: &str) -> Option<Side<'s>> {
    let relation = relations.iter().find(|relation| relation.name == name)?;
    Some(Side { connection, relation })
}

/// What goes through the whole comparison.
struct Looking<'l> {
    samples: &'l Samples,
    /// What samples may still take.
    bytes_left: usize,
    /// Of both sides, so far.
    rows: u64,
    tell: &'l mut dyn FnMut(u64) -> Result<(), Error>,
}

impl Looking<'_> {
    /// Compares a table that is on one side or on both.
    fn table(&mut self, before: Option<Side<'_>>, after: Option<Side<'_>>) -> Result<Option<TableComparison>, Error> {
        match (before, after) {
            (None, None) => Ok(None),
            (Some(before), None) => self.only_before(before).map(Some),
            (None, Some(after)) => self.only_after(after).map(Some),
            (Some(before), Some(after)) if before.relation.key == after.relation.key => {
                self.matched(before, after).map(Some)
            }
            (Some(before), Some(after)) => self.unmatched(before, after).map(Some),
        }
    }

    /// A table that is gone.
    fn only_before(&mut self, side: Side<'_>) -> Result<TableComparison, Error> {
        let (content, rows) = self.all_of(side)?;
        let samples = SampleRows { removed: rows, ..SampleRows::default() };
        let mut table = of(side);
        (table.removed, table.before, table.samples) = (content.rows, Some(content), samples);
        Ok(table)
    }

    /// A table that is new.
    fn only_after(&mut self, side: Side<'_>) -> Result<TableComparison, Error> {
        let (content, rows) = self.all_of(side)?;
        let samples = SampleRows { added: rows, ..SampleRows::default() };
        let mut table = of(side);
        (table.added, table.after, table.samples) = (content.rows, Some(content), samples);
        Ok(table)
    }

    /// A table's content, with its first rows as samples.
    fn all_of(&mut self, side: Side<'_>) -> Result<(Content, Vec<Map<String, Value>>), Error> {
        let mut rows = Sampled::new(self.samples);
        let content = self.walk(side, |looking, row| looking.sample(&mut rows, side, row))?;
        Ok((content, rows.items))
    }

    /// Two tables of one name whose rows cannot be matched.
    fn unmatched(&mut self, before: Side<'_>, after: Side<'_>) -> Result<TableComparison, Error> {
        let content_before = self.walk(before, |_, _| Ok(()))?;
        let content_after = self.walk(after, |_, _| Ok(()))?;
        let table = TableComparison { comparable: false, ..of(after) };
        Ok(TableComparison { before: Some(content_before), after: Some(content_after), ..table }
            .with_columns(before, after))
    }

    /// Walks one side alone.
    fn walk(
        &mut self,
        side: Side<'_>,
        mut each: impl FnMut(&mut Self, &Row<'_>) -> Result<(), Error>,
    ) -> Result<Content, Error> {
        let mut statement = side.prepare()?;
        let mut cursor = Cursor::open(&mut statement, side.relation)?;
        while let Some(row) = cursor.row() {
            each(self, row)?;
            self.pass(&mut cursor)?;
        }
        Ok(cursor.content())
    }

    /// Walks both sides, always on with the one whose key is less.
    fn matched(&mut self, before: Side<'_>, after: Side<'_>) -> Result<TableComparison, Error> {
        let mut table = of(after).with_columns(before, after);
        let common = Common::of(before, after);
        let mut statements = (before.prepare()?, after.prepare()?);
        let mut left = Cursor::open(&mut statements.0, before.relation)?;
        let mut right = Cursor::open(&mut statements.1, after.relation)?;
        let (mut added, mut removed) = (Sampled::new(self.samples), Sampled::new(self.samples));
        let mut changed = Sampled::new(self.samples);
        loop {
            let order = match (left.row(), right.row()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(left), Some(right)) => common.order(left, right)?,
            };
            match order {
                Ordering::Less => {
                    table.removed += 1;
                    left.row().map_or(Ok(()), |row| self.sample(&mut removed, before, row))?;
                    self.pass(&mut left)?;
                }
                Ordering::Greater => {
                    table.added += 1;
                    right.row().map_or(Ok(()), |row| self.sample(&mut added, after, row))?;
                    self.pass(&mut right)?;
                }
                Ordering::Equal => {
                    if common.differ(&left, &right) {
                        table.changed += 1;
                        let (most, left, right) = (self.samples.cell_bytes, &left, &right);
                        changed.add(&mut self.bytes_left, || common.changed(left, right, most))?;
                    }
                    self.pass(&mut left)?;
                    self.pass(&mut right)?;
                }
            }
        }
        let samples = SampleRows { added: added.items, removed: removed.items, changed: changed.items };
        Ok(TableComparison { before: Some(left.content()), after: Some(right.content()), samples, ..table })
    }

    fn sample(&mut self, rows: &mut Sampled<Map<String, Value>>, side: Side<'_>, row: &Row<'_>) -> Result<(), Error> {
        let columns = side.relation.columns.iter().enumerate().map(|(place, column)| (&column.name, place));
        rows.add(&mut self.bytes_left, || sample::object(row, columns, self.samples.cell_bytes))
    }

    /// Leaves a row behind.
    fn pass(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        cursor.advance()?;
        self.rows += 1;
        if self.rows.is_multiple_of(TOLD_ROWS) { (self.tell)(self.rows) } else { Ok(()) }
    }
}

/// A table of which nothing was looked at yet.
fn of(side: Side<'_>) -> TableComparison {
    TableComparison {
        table: side.relation.name.clone(),
        key: side.relation.key.clone(),
        before: None,
        after: None,
        added: 0,
        removed: 0,
        changed: 0,
        comparable: true,
        columns_only_before: Vec::new(),
        columns_only_after: Vec::new(),
        samples: SampleRows::default(),
    }
}

impl TableComparison {
    fn with_columns(mut self, before: Side<'_>, after: Side<'_>) -> Self {
        let only = |one: Side<'_>, other: Side<'_>| {
            let names = one.relation.columns.iter().map(|column| &column.name);
            names.filter(|name| other.place(name).is_none()).cloned().collect()
        };
        self.columns_only_before = only(before, after);
        self.columns_only_after = only(after, before);
        self
    }
}

/// The columns that both sides of a table have, each with its places before and after.
struct Common<'c> {
    columns: Vec<(&'c String, usize, usize)>,
    /// Those of the key among them, in its order.
    key: Vec<(&'c String, usize, usize)>,
    /// There are no others.
    all: bool,
}

impl<'c> Common<'c> {
    fn of(before: Side<'c>, after: Side<'c>) -> Self {
        let places = |name: &'c String| Some((name, before.place(name)?, after.place(name)?));
        let columns: Vec<_> = after.relation.columns.iter().filter_map(|column| places(&column.name)).collect();
        let all = columns.len() == before.relation.columns.len() && columns.len() == after.relation.columns.len();
        Self { columns, key: after.relation.key.iter().filter_map(places).collect(), all }
    }

    fn order(&self, before: &Row<'_>, after: &Row<'_>) -> Result<Ordering, Error> {
        for (_, place_before, place_after) in &self.key {
            let order = order::compare(before.get_ref(*place_before)?, after.get_ref(*place_after)?);
            if order.is_ne() {
                return Ok(order);
            }
        }
        Ok(Ordering::Equal)
    }

    fn differ(&self, before: &Cursor<'_>, after: &Cursor<'_>) -> bool {
        if self.all { before.encoded() != after.encoded() } else { self.differing(before, after).next().is_some() }
    }

    fn differing(&self, before: &Cursor<'_>, after: &Cursor<'_>) -> impl Iterator<Item = &(&'c String, usize, usize)> {
        self.columns.iter().filter(|(_, place_before, place_after)| {
            before.encoded_cell(*place_before) != after.encoded_cell(*place_after)
        })
    }

    fn changed(
        &self,
        before: &Cursor<'_>,
        after: &Cursor<'_>,
        cell_bytes: usize,
    ) -> Result<ChangedRow, rusqlite::Error> {
        let (Some(row_before), Some(row_after)) = (before.row(), after.row()) else {
            return Err(rusqlite::Error::QueryReturnedNoRows);
        };
        let key = self.key.iter().map(|(name, _, place)| (*name, *place));
        let columns = self.differing(before, after).map(|(name, place_before, place_after)| {
            let (before, after) = (row_before.get_ref(*place_before)?, row_after.get_ref(*place_after)?);
            Ok(((*name).clone(), sample::changed(before, after, cell_bytes)))
        });
        Ok(ChangedRow {
            key: sample::object(row_after, key, cell_bytes)?,
            columns: columns.collect::<Result<_, rusqlite::Error>>()?,
        })
    }
}
