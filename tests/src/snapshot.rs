//! Files that are downloaded, whole or in parts.

use crate::{Answer, Client, answer};
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, OpenFlags};
use std::io::Read;
use std::path::Path;
use ureq::http::Response;

/// What came back: its status and headers, without a body, and the bytes of that.
#[derive(Debug, Clone)]
pub struct Download {
    /// The status and the headers.
    pub answer: Answer,
    /// The body.
    pub bytes: Vec<u8>,
}

impl Download {
    /// A header that must be there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.answer.header(name).unwrap_or_else(|| panic!("no {name}: {:?}", self.answer))
    }

    /// The release that it is of.
    #[must_use]
    pub fn release(&self) -> u64 {
        self.header("laterna-release").parse().expect("a number")
    }

    /// The body of a problem.
    pub fn refused(&self, status: u16, code: &str) -> serde_json::Value {
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        Answer { text, ..self.answer.clone() }.refused(status, code)
    }
}

impl Client {
    /// GET of a file, with these headers.
    pub fn download(&self, path: &str, headers: &[(&str, &str)]) -> Download {
        let (answer, mut reader) = self.begin_download(path, headers);
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).expect("all of it");
        Download { answer, bytes }
    }

    /// The same, and the body is read by who asks.
    pub fn begin_download(&self, path: &str, headers: &[(&str, &str)]) -> (Answer, impl Read + use<>) {
        let mut request = self.show(self.agent.get(format!("{}{path}", self.url)));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, body) = request.call().expect("the host answers").into_parts();
        let answer = answer(Response::from_parts(head, ureq::Body::builder().data(""))).expect("its headers");
        (answer, body.into_reader())
    }

    /// HEAD of a file.
    pub fn head(&self, path: &str) -> Answer {
        let asked = self.show(self.agent.head(format!("{}{path}", self.url))).call();
        asked.and_then(answer).expect("the host answers")
    }
}

/// Opens a file as anybody would who only reads it.
#[must_use]
pub fn open(file: &Path) -> Connection {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database")
}

/// All rows of a table, by its first column.
#[must_use]
pub fn cells(connection: &Connection, table: &str) -> Vec<Vec<Cell>> {
    let mut statement = connection.prepare(&format!("SELECT * FROM {table} ORDER BY 1")).expect("a question");
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect());
    rows.expect("rows").collect::<Result<_, _>>().expect("rows")
}
