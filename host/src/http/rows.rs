//! Rows as answers: in JSON, a line of JSON each, or as CSV. They are written as SQLite shows them, without anything in between.

use super::accept::Ranges;
use crate::plugin::rfc3339;
use crate::store::{Sink, cells};
use axum::http::HeaderMap;
use rusqlite::types::{Value, ValueRef};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// What rows are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `{"rows": [{column: value}], "next": …}`
    Json,
    /// An object on each line.
    Lines,
    /// RFC 4180, with a line of the columns' names.
    Csv,
}

impl Format {
    /// What these headers accept; JSON, where they name none of the others.
    pub fn by(headers: &HeaderMap) -> Self {
        let ranges = Ranges::of(headers);
        let json = ranges.weight_of_json();
        let named = |name| ranges.named(name).unwrap_or(0.0);
        let lines = named("application/x-ndjson").max(named("application/ndjson"));
        let csv = named("text/csv");
        if csv > 0.0 && csv >= json && csv >= lines {
            Self::Csv
        } else if lines > 0.0 && lines >= json {
            Self::Lines
        } else {
            Self::Json
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Lines => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    /// Its name in an `ETag`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Lines => "ndjson",
            Self::Csv => "csv",
        }
    }
}

/// Room for the text from the beginning on: a row or two take no more.
const ROOM_BYTES: usize = 512;

/// Writes rows.
pub struct Writer {
    text: Text,
    /// Rows at most; one more is not written, it says that there is a following page.
    limit: usize,
    /// Columns behind the ones that are shown: where the following page begins.
    hidden: usize,
    /// What the columns are written as, as far as that is said.
    written: Vec<Written>,
    rows: usize,
    more: bool,
    last: Vec<Value>,
}

enum Text {
    Json { body: Vec<u8>, keys: Vec<Vec<u8>>, lines: bool },
    Csv(Box<csv::Writer<Vec<u8>>>),
}

/// What a cell is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// What it is.
    AsItIs,
    /// The JSON that its text is.
    Json,
    /// The moment that its integer is, in microseconds since 1970, in RFC 3339.
    Moment,
    /// False where it is 0, otherwise true.
    Truth,
}

/// What was written.
pub struct Body {
    /// The rows. In JSON, the object that holds them is still open.
    pub body: Vec<u8>,
    /// The hidden cells of the last row, where there are more than were to be written.
    pub more: Option<Vec<Value>>,
}

impl Writer {
    /// Writes so many rows of so many columns less than there are.
    pub fn new(format: Format, limit: usize, hidden: usize) -> Self {
        let mut body = Vec::with_capacity(ROOM_BYTES);
        let text = match format {
            Format::Json => {
                body.extend_from_slice(b"{\"rows\":[");
                Text::Json { body, keys: Vec::new(), lines: false }
            }
            Format::Lines => Text::Json { body, keys: Vec::new(), lines: true },
            Format::Csv => {
                let ends = csv::Terminator::CRLF;
                Text::Csv(Box::new(csv::WriterBuilder::new().terminator(ends).from_writer(body)))
            }
        };
        Self { text, limit, hidden, written: Vec::new(), rows: 0, more: false, last: Vec::new() }
    }

    /// Has its columns written so, in their order.
    #[must_use]
    pub fn writing(self, written: Vec<Written>) -> Self {
        Self { written, ..self }
    }

    /// Ends it.
    ///
    /// # Errors
    /// The text cannot be ended.
    pub fn end(self) -> Result<Body, String> {
        let body = match self.text {
            Text::Json { body, .. } => body,
            Text::Csv(csv) => csv.into_inner().map_err(|error| error.to_string())?,
        };
        Ok(Body { body, more: self.more.then_some(self.last) })
    }
}

impl Sink for Writer {
    fn columns(&mut self, names: &[&str]) -> Result<(), String> {
        let names = &names[..names.len().saturating_sub(self.hidden)];
        match &mut self.text {
            Text::Json { keys, .. } => {
                let mut known = BTreeSet::new();
                if let Some(twice) = names.iter().find(|name| !known.insert(**name)) {
                    return Err(format!(
                        "two columns of the answer are called `{twice}`: name one of them otherwise, with AS"
                    ));
                }
                *keys = names.iter().map(|name| key(name)).collect::<Result<_, _>>()?;
                Ok(())
            }
            Text::Csv(csv) => csv.write_record(names).map_err(|error| error.to_string()),
        }
    }

    fn row(&mut self, cells: &[ValueRef<'_>]) -> Result<(), String> {
        if self.rows == self.limit {
            self.more = true;
            return Ok(());
        }
        let (shown, hidden) = cells.split_at(cells.len().saturating_sub(self.hidden));
        let written = |column: usize| self.written.get(column).copied().unwrap_or(Written::AsItIs);
        match &mut self.text {
            Text::Json { body, keys, lines } => {
                if self.rows > 0 && !*lines {
                    body.push(b',');
                }
                for (index, (key, cell)) in keys.iter().zip(shown).enumerate() {
                    body.push(if index == 0 { b'{' } else { b',' });
                    body.extend_from_slice(key);
                    written(index).json(*cell, body)?;
                }
                body.extend_from_slice(if *lines { b"}\n" } else { b"}" });
            }
            Text::Csv(csv) => {
                for (index, cell) in shown.iter().enumerate() {
                    csv.write_field(written(index).text(*cell)?.as_ref()).map_err(|error| error.to_string())?;
                }
                csv.write_record(None::<&[u8]>).map_err(|error| error.to_string())?;
            }
        }
        self.rows += 1;
        if self.rows == self.limit {
            self.last = hidden.iter().map(|cell| (*cell).try_into()).collect::<Result<_, _>>().map_err(not_utf8)?;
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        match &self.text {
            Text::Json { body, .. } => body.len(),
            Text::Csv(csv) => csv.get_ref().len(),
        }
    }
}

impl Written {
    fn json(self, cell: ValueRef<'_>, body: &mut Vec<u8>) -> Result<(), String> {
        match (self, cell) {
            (Self::Json, ValueRef::Text(json)) => body.extend_from_slice(json),
            (Self::Moment, ValueRef::Integer(us)) => cells::write_json(ValueRef::Text(rfc3339(us).as_bytes()), body)?,
            (Self::Truth, ValueRef::Integer(truth)) => {
                body.extend_from_slice(if truth == 0 { b"false" } else { b"true" });
            }
            _ => cells::write_json(cell, body)?,
        }
        Ok(())
    }

    fn text(self, cell: ValueRef<'_>) -> Result<Cow<'_, str>, String> {
        match (self, cell) {
            (Self::Moment, ValueRef::Integer(us)) => Ok(rfc3339(us).into()),
            (Self::Truth, ValueRef::Integer(truth)) => Ok(if truth == 0 { "false" } else { "true" }.into()),
            _ => cells::text(cell),
        }
    }
}

fn key(name: &str) -> Result<Vec<u8>, String> {
    let mut key = Vec::with_capacity(name.len() + 3);
    serde_json::to_writer(&mut key, name).map_err(|error| error.to_string())?;
    key.push(b':');
    Ok(key)
}

fn not_utf8(_: rusqlite::types::FromSqlError) -> String {
    cells::NOT_UTF8.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELLS: &[ValueRef<'_>] = &[
        ValueRef::Integer(9_007_199_254_740_993),
        ValueRef::Real(0.1),
        ValueRef::Text(b"a \"b\", \xc3\xa4\n"),
        ValueRef::Blob(b"\x00\xff"),
        ValueRef::Null,
        ValueRef::Real(f64::INFINITY),
    ];

    fn written(format: Format) -> String {
        let mut writer = Writer::new(format, 2, 1);
        writer.columns(&["i", "r \"x\"", "t", "b", "n", "inf", "hidden"]).expect("names");
        for hidden in 1..=3 {
            let mut cells = CELLS.to_vec();
            cells.push(ValueRef::Integer(hidden));
            writer.row(&cells).expect("a row");
        }
        let Body { body, more } = writer.end().expect("an end");
        assert_eq!(more, Some(vec![Value::Integer(2)]), "it goes on behind the last row that is shown");
        String::from_utf8(body).expect("text")
    }

    #[test]
    fn every_cell_goes_out_in_every_format() {
        let object = r#"{"i":9007199254740993,"r \"x\"":0.1,"t":"a \"b\", ä\n","b":"AP8=","n":null,"inf":null}"#;
        assert_eq!(written(Format::Json), format!("{{\"rows\":[{object},{object}"));
        assert_eq!(written(Format::Lines), format!("{object}\n{object}\n"));
        let line = "9007199254740993,0.1,\"a \"\"b\"\", ä\n\",AP8=,,\r\n";
        assert_eq!(written(Format::Csv), format!("i,\"r \"\"x\"\"\",t,b,n,inf\r\n{line}{line}"));
    }

    #[test]
    fn columns_of_one_name_and_broken_text_are_told() {
        let mut writer = Writer::new(Format::Json, 2, 0);
        assert!(
            writer.columns(&["a", "a"]).is_err_and(|words| words.contains("two columns of the answer are called `a`"))
        );
        for format in [Format::Json, Format::Lines, Format::Csv] {
            let mut writer = Writer::new(format, 2, 0);
            writer.columns(&["a"]).expect("a name");
            assert!(writer.row(&[ValueRef::Text(b"\xff")]).is_err_and(|words| words.contains("UTF-8")), "{format:?}");
        }
    }
}
