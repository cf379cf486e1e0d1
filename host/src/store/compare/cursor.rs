//! One side's rows of a table, in the order of its key, one at a time.

use super::super::{Error, Relation, quoted};
use super::Content;
use blake3::Hasher;
use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Rows, Statement};

/// Encoded rows that are hashed at once; the hash is much faster over many bytes.
const HASHED_BYTES: usize = 64 << 10;

/// A table on one side.
#[derive(Clone, Copy)]
pub(super) struct Side<'s> {
    pub(super) connection: &'s Connection,
    pub(super) relation: &'s Relation,
}

impl<'s> Side<'s> {
    pub(super) fn prepare(&self) -> Result<Statement<'s>, Error> {
        Ok(self.connection.prepare(&self.sql())?)
    }

    /// Every key's column says its order, whatever the schema says: for most keys it is that of the table's own tree, and others are
    /// sorted.
    pub(super) fn sql(&self) -> String {
        let Relation { name, key, .. } = self.relation;
        let order: Vec<String> = key.iter().map(|column| format!("{} COLLATE BINARY ASC", quoted(column))).collect();
        format!("SELECT * FROM {} ORDER BY {}", quoted(name), order.join(", "))
    }

    /// Where a column stands among the table's.
    pub(super) fn place(&self, column: &str) -> Option<usize> {
        self.relation.columns.iter().position(|candidate| candidate.name == column)
    }
}

/// Stands on a row of a table, or behind the last one. Nothing is allocated for a row: its cells are borrowed from SQLite, and
/// encoded into a buffer that is used again.
pub(super) struct Cursor<'s> {
    rows: Rows<'s>,
    /// The places of the columns in the order of their names, in which cells are encoded.
    by_name: Vec<usize>,
    hasher: Hasher,
    /// Rows that are not hashed yet, the one on which the cursor stands as the last of them.
    encoded: Vec<u8>,
    /// Where that row begins.
    start: usize,
    /// Where its cells begin and end, by their place in the table.
    cells: Vec<(usize, usize)>,
    count: u64,
}

impl<'s> Cursor<'s> {
    /// Stands on the first row.
    pub(super) fn open(statement: &'s mut Statement<'_>, relation: &Relation) -> Result<Self, Error> {
        let columns = &relation.columns;
        let mut by_name: Vec<usize> = (0..columns.len()).collect();
        by_name.sort_by_key(|place| &columns[*place].name);
        let mut encoded = Vec::new();
        encode_length(columns.len(), &mut encoded);
        for place in &by_name {
            encode(ValueRef::Text(columns[*place].name.as_bytes()), &mut encoded);
        }
        let cells = vec![(0, 0); columns.len()];
        let rows = statement.raw_query();
        let mut cursor = Self { rows, by_name, hasher: Hasher::new(), encoded, start: 0, cells, count: 0 };
        cursor.advance()?;
        Ok(cursor)
    }

    /// Moves to the next row.
    pub(super) fn advance(&mut self) -> Result<(), Error> {
        self.rows.advance()?;
        if self.encoded.len() >= HASHED_BYTES {
            self.hash();
        }
        self.start = self.encoded.len();
        let Some(row) = self.rows.get() else { return Ok(()) };
        self.count += 1;
        for place in &self.by_name {
            let start = self.encoded.len();
            encode(row.get_ref(*place)?, &mut self.encoded);
            self.cells[*place] = (start, self.encoded.len());
        }
        Ok(())
    }

    /// The row on which it stands; `None` behind the last one.
    pub(super) fn row(&self) -> Option<&Row<'s>> {
        self.rows.get()
    }

    /// The row as bytes, which are the same exactly where the names of the columns and the cells are.
    pub(super) fn encoded(&self) -> &[u8] {
        &self.encoded[self.start..]
    }

    /// A cell of the row as bytes, which are the same exactly where the cells are.
    pub(super) fn encoded_cell(&self, place: usize) -> &[u8] {
        let (start, end) = self.cells[place];
        &self.encoded[start..end]
    }

    /// What the rows hold that it came past: the whole table, once it stands behind the last one.
    pub(super) fn content(mut self) -> Content {
        self.hash();
        Content { rows: self.count, digest: self.hasher.finalize().to_hex().to_string() }
    }

    fn hash(&mut self) {
        self.hasher.update(&self.encoded);
        self.encoded.clear();
    }
}

/// Appends a cell: its storage class, then its content, of which the length is known.
fn encode(cell: ValueRef<'_>, bytes: &mut Vec<u8>) {
    match cell {
        ValueRef::Null => bytes.push(0),
        ValueRef::Integer(integer) => encode_number(1, integer.to_le_bytes(), bytes),
        ValueRef::Real(real) => encode_number(2, real.to_bits().to_le_bytes(), bytes),
        ValueRef::Text(text) => {
            bytes.push(3);
            encode_length(text.len(), bytes);
            bytes.extend_from_slice(text);
        }
        ValueRef::Blob(blob) => {
            bytes.push(4);
            encode_length(blob.len(), bytes);
            bytes.extend_from_slice(blob);
        }
    }
}

fn encode_number(class: u8, number: [u8; 8], bytes: &mut Vec<u8>) {
    bytes.push(class);
    bytes.extend_from_slice(&number);
}

fn encode_length(length: usize, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&(length as u64).to_le_bytes());
}
