//! Rows over HTTP: every filter, order, page and format, against a model that knows nothing of SQL.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fastrand::Rng;
use laterna_tests::guests::misbehaving;
use laterna_tests::{Data, Server, encoded, random};
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What every release of `misbehaving` writes besides.
const NOTED: &str = "CREATE TABLE seen (position INTEGER PRIMARY KEY, id TEXT NOT NULL) STRICT;
    CREATE TABLE counts (type TEXT PRIMARY KEY, events INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE notes (position INTEGER, line INTEGER, note TEXT NOT NULL, PRIMARY KEY (position, line)) STRICT, WITHOUT ROWID;";

const SHELF: &str =
    "CREATE TABLE shelf (room INTEGER, label TEXT, n INTEGER, r REAL, t TEXT, b BLOB, a ANY, big INTEGER NOT NULL,
        PRIMARY KEY (room, label)) STRICT, WITHOUT ROWID;
    CREATE INDEX by_t ON shelf (t);
    CREATE VIEW rooms AS SELECT room, count(*) AS labels, sum(n) AS total FROM shelf GROUP BY room;";

const COLUMNS: [&str; 8] = ["room", "label", "n", "r", "t", "b", "a", "big"];

#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

type Row = BTreeMap<&'static str, Cell>;

impl Cell {
    fn sql(&self) -> String {
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Integer(integer) => integer.to_string(),
            Self::Real(real) => format!("{real:?}"),
            Self::Text(text) => format!("'{}'", text.replace('\'', "''")),
            Self::Blob(blob) => format!("x'{}'", blob.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Integer(integer) => json!(integer),
            Self::Real(real) => json!(real),
            Self::Text(text) => json!(text),
            Self::Blob(blob) => json!(BASE64_STANDARD.encode(blob)),
        }
    }

    /// As it stands in a URL.
    fn said(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Integer(integer) => integer.to_string(),
            Self::Real(real) => format!("{real:?}"),
            Self::Text(text) => text.clone(),
            Self::Blob(blob) => BASE64_STANDARD.encode(blob),
        }
    }

    /// Null, then numbers, then texts, then blobs.
    fn order(&self, other: &Self) -> Ordering {
        let rank = |cell: &Self| match cell {
            Self::Null => 0,
            Self::Integer(_) | Self::Real(_) => 1,
            Self::Text(_) => 2,
            Self::Blob(_) => 3,
        };
        match (self, other) {
            (Self::Integer(one), Self::Integer(other)) => one.cmp(other),
            (Self::Real(one), Self::Real(other)) => one.total_cmp(other),
            (Self::Integer(one), Self::Real(other)) => (*one as f64).total_cmp(other),
            (Self::Real(one), Self::Integer(other)) => one.total_cmp(&(*other as f64)),
            (Self::Text(one), Self::Text(other)) => one.as_bytes().cmp(other.as_bytes()),
            (Self::Blob(one), Self::Blob(other)) => one.cmp(other),
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

fn cell(rng: &mut Rng, column: &str) -> Cell {
    let texts = ["", "a", "A", "ab", "b,c", "\"q\"", "ä", "10", "9", "2.5", "true", "null", "x y&z=1"];
    let nullable = !matches!(column, "room" | "label" | "big");
    if nullable && rng.u8(..5) == 0 {
        return Cell::Null;
    }
    let text = |rng: &mut Rng| Cell::Text(texts[rng.usize(..texts.len())].to_owned());
    match column {
        "room" => Cell::Integer(rng.i64(1..4)),
        "label" | "t" => text(rng),
        "n" => Cell::Integer(rng.i64(-3..12)),
        "r" => Cell::Real(f64::from(rng.i32(-8..8)) / 4.0),
        "b" => Cell::Blob((0..rng.usize(..3)).map(|_| rng.u8(..)).collect()),
        "big" => Cell::Integer(rng.i64(..)),
        _ => match rng.u8(..3) {
            0 => Cell::Integer(rng.i64(-3..12)),
            1 => Cell::Real(f64::from(rng.i32(-8..8)) / 4.0 + 0.125),
            _ => text(rng),
        },
    }
}

fn shelf(rng: &mut Rng) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for _ in 0..120 {
        let row: Row = COLUMNS.iter().map(|column| (*column, cell(rng, column))).collect();
        if rows.iter().all(|known| (&known["room"], &known["label"]) != (&row["room"], &row["label"])) {
            rows.push(row);
        }
    }
    rows
}

/// A host whose projection `shelf` has these rows.
fn serve(rows: &[Row]) -> (Data, Server) {
    let data = Data::new();
    let schema = [NOTED, SHELF].concat();
    let queries = json!([{ "name": "in_room", "sql": "SELECT * FROM shelf WHERE room = :room ORDER BY label",
                           "parameters": [{ "name": "room", "type": "integer" }] },
                         { "name": "measured", "sql": "SELECT :of AS of", "parameters": [{ "name": "of", "type": "real" }] }]);
    data.drop_bytes("shelf", &misbehaving(&json!({ "name": "shelf", "schema": schema, "queries": queries })));
    let server = data.serve();
    for rows in rows.chunks(20) {
        let values = rows.iter().map(|row| {
            let cells: Vec<String> = COLUMNS.iter().map(|column| row[column].sql()).collect();
            format!("({})", cells.join(", "))
        });
        let sql =
            format!("INSERT INTO shelf ({}) VALUES {}", COLUMNS.join(", "), values.collect::<Vec<_>>().join(", "));
        server.post("/streams/s/events", &json!({ "events": [{ "type": "Asked", "data": { "sql": [sql] } }] })).ok();
    }
    let notes = server.rows("shelf", "notes");
    assert!(notes.iter().all(|note| note["note"] == "answered []"), "{notes:?}");
    (data, server)
}

/// A filter as it stands in a URL, and what it means.
struct Filter {
    said: String,
    holds: Box<dyn Fn(&Row) -> bool>,
}

/// Whether a cell is as wanted, as far as is known.
type Holds = Box<dyn Fn(&Cell) -> Option<bool>>;

/// What a filter may be for one cell: unknown where the cell is null, and unknown is not true, negated or not.
fn filter(rng: &mut Rng, rows: &[Row]) -> Filter {
    let column = COLUMNS[rng.usize(..COLUMNS.len())];
    let wanted = |rng: &mut Rng| loop {
        let row = &rows[rng.usize(..rows.len())];
        let wanted = if rng.bool() { row[column].clone() } else { cell(rng, column) };
        // What a number means in a column of any type has a test of its own.
        let is_open = column == "a" && !matches!(&wanted, Cell::Text(text) if text.parse::<f64>().is_err());
        if wanted != Cell::Null && !is_open {
            return wanted;
        }
    };
    let negated = rng.u8(..4) == 0;
    let not = if negated { "not." } else { "" };
    let (op, said, holds): (_, _, Holds) = match rng.u8(..9) {
        op @ 0..=5 => {
            let wanted = wanted(rng);
            let is_equality = op < 2;
            let said = wanted.said();
            let (op, means): (_, fn(Ordering) -> bool) = match op {
                0 => ("eq", Ordering::is_eq),
                1 => ("neq", Ordering::is_ne),
                2 => ("gt", Ordering::is_gt),
                3 => ("gte", Ordering::is_ge),
                4 => ("lt", Ordering::is_lt),
                _ => ("lte", Ordering::is_le),
            };
            // Where any type may stand, only texts are before or behind a text.
            let compares = move |cell: &Cell| {
                *cell != Cell::Null && (column != "a" || is_equality || matches!(cell, Cell::Text(_)))
            };
            (op, said, Box::new(move |cell| compares(cell).then(|| means(cell.order(&wanted)))))
        }
        6 => {
            let wanted: Vec<Cell> = (0..rng.usize(1..4)).map(|_| wanted(rng)).collect();
            let said: Vec<String> = wanted
                .iter()
                .map(|cell| format!("\"{}\"", cell.said().replace('\\', "\\\\").replace('"', "\\\"")))
                .collect();
            let holds = move |cell: &Cell| {
                (*cell != Cell::Null).then(|| wanted.iter().any(|wanted| cell.order(wanted).is_eq()))
            };
            ("in", format!("({})", said.join(",")), Box::new(holds))
        }
        7 => {
            let (said, means): (_, fn(&Cell) -> bool) = match rng.bool() {
                true => ("null", |cell| *cell == Cell::Null),
                false => ("not_null", |cell| *cell != Cell::Null),
            };
            ("is", said.to_owned(), Box::new(move |cell| Some(means(cell))))
        }
        _ if column == "b" => return filter(rng, rows),
        _ => {
            let holds = |cell: &Cell| match cell {
                Cell::Null => None,
                Cell::Text(text) => Some(text.to_ascii_lowercase().starts_with('a')),
                _ => Some(false),
            };
            ("like", "a*".to_owned(), Box::new(holds))
        }
    };
    let said = format!("{column}={}", encoded(&format!("{not}{op}.{said}")));
    Filter { said, holds: Box::new(move |row| holds(&row[column]).is_some_and(|holds| holds != negated)) }
}

#[test]
fn every_filter_order_page_and_format() {
    let mut rng = random::seeded("every_filter_order_page_and_format");
    let rows = shelf(&mut rng);
    let (_data, server) = serve(&rows);
    for round in 0..150 {
        // Given a question that is made up,
        let filters: Vec<Filter> = (0..rng.usize(..3)).map(|_| filter(&mut rng, &rows)).collect();
        let mut order: Vec<(&str, bool)> = Vec::new();
        for _ in 0..rng.usize(..3) {
            let column = COLUMNS[rng.usize(..COLUMNS.len())];
            if order.iter().all(|(known, _)| *known != column) {
                order.push((column, rng.bool()));
            }
        }
        let said_order: Vec<String> =
            order.iter().map(|(column, down)| format!("{column}.{}", if *down { "desc" } else { "asc" })).collect();
        let selected: Vec<&str> = COLUMNS.iter().copied().filter(|_| rng.bool()).collect();
        let selected = if selected.is_empty() { vec!["big"] } else { selected };
        let limit = rng.usize(1..40);
        let mut said: Vec<String> = filters.iter().map(|filter| filter.said.clone()).collect();
        said.push(format!("limit={limit}&count=true&order={}&select={}", said_order.join(","), selected.join(",")));
        let first = format!("/projections/shelf/tables/shelf?{}", said.join("&"));

        // and what it comes to by the model,
        let mut wanted: Vec<&Row> =
            rows.iter().filter(|row| filters.iter().all(|filter| (filter.holds)(row))).collect();
        wanted.sort_by(|one, other| {
            let key = ["room", "label"].map(|column| (column, false));
            order.iter().chain(&key).fold(Ordering::Equal, |found, (column, down)| {
                let by = one[column].order(&other[column]);
                found.then(if *down { by.reverse() } else { by })
            })
        });
        let wanted: Vec<Value> = wanted
            .iter()
            .map(|row| {
                Value::Object(selected.iter().map(|column| ((*column).to_owned(), row[column].json())).collect())
            })
            .collect();

        // when its pages are read one after the other, then they are that.
        let mut read = Vec::new();
        let mut next = Some(first.clone());
        while let Some(page) = next {
            let answer = server.get(&page);
            let body = answer.ok();
            let rows = body["rows"].as_array().expect("rows");
            assert!(rows.len() <= limit, "{page}");
            assert_eq!(body["count"], wanted.len(), "round {round}: {page}");
            assert_eq!(answer.header("laterna-count"), Some(wanted.len().to_string().as_str()), "{page}");
            read.extend(rows.iter().cloned());
            next = body["next"].as_str().map(str::to_owned);
            let link = next.as_ref().map(|next| format!("<{next}>; rel=\"next\""));
            assert_eq!(answer.header("link"), link.as_deref(), "{page}");
        }
        assert_eq!(read, wanted, "round {round}: {first}");

        // The other formats hold the first page of it.
        let page = &wanted[..limit.min(wanted.len())];
        let lines = server.get_as(&first, "application/x-ndjson");
        assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
        let lines: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines, page, "{first}");
        let csv = server.get_as(&first, "text/csv");
        assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
        let mut csv = csv::Reader::from_reader(csv.text.as_bytes());
        assert_eq!(csv.headers().expect("a line of names"), selected, "{first}");
        let told: Vec<Vec<String>> =
            csv.records().map(|record| record.expect("a record").iter().map(str::to_owned).collect()).collect();
        let as_text = |cell: &Value| {
            cell.as_str().map_or_else(|| if cell.is_null() { String::new() } else { cell.to_string() }, str::to_owned)
        };
        let expected: Vec<Vec<String>> =
            page.iter().map(|row| selected.iter().map(|column| as_text(&row[column])).collect()).collect();
        assert_eq!(told, expected, "{first}");
    }
}

#[test]
fn a_page_begins_behind_a_row_whatever_comes_before_it() {
    // Given a reader in the middle of a table,
    let row = |label: &str, n| -> Row {
        let mut row: Row = COLUMNS.iter().map(|column| (*column, Cell::Null)).collect();
        row.extend([
            ("room", Cell::Integer(1)),
            ("label", Cell::Text(label.to_owned())),
            ("n", Cell::Integer(n)),
            ("big", Cell::Integer(0)),
        ]);
        row
    };
    let rows: Vec<Row> = (0..10).map(|n| row(&format!("row {n}"), n)).collect();
    let (_data, server) = serve(&rows);
    let page = server.get("/projections/shelf/tables/shelf?order=n.desc&limit=4&select=n").ok();
    assert_eq!(page["rows"], json!([{ "n": 9 }, { "n": 8 }, { "n": 7 }, { "n": 6 }]));

    // when rows are added and removed before it, then nothing is read twice, and nothing is left out.
    let sql = [
        "DELETE FROM shelf WHERE n = 9",
        "INSERT INTO shelf (room, label, n, big) VALUES (2, 'new', 8, 0), (2, 'newer', 20, 0)",
    ];
    server.post("/streams/s/events", &json!({ "events": [{ "type": "Asked", "data": { "sql": sql } }] })).ok();
    let next = format!("{}&fresh=true", page["next"].as_str().expect("there is more"));
    assert_eq!(server.get(&next).ok()["rows"], json!([{ "n": 5 }, { "n": 4 }, { "n": 3 }, { "n": 2 }]));

    // A cursor of another order is none, and neither is one with an offset, or one that somebody made up.
    for (order, more) in [("n.asc", ""), ("label", ""), ("n.desc", "&offset=1")] {
        let after = next.split("after=").nth(1).expect("a cursor").replace("&fresh=true", "");
        let path = format!("/projections/shelf/tables/shelf?order={order}&after={after}{more}");
        server.get(&path).refused(400, "bad-parameter");
    }
    for made_up in ["x", "eyJieSI6IiIsImF0IjpbXX0", "%00", "ä"] {
        server.get(&format!("/projections/shelf/tables/shelf?after={made_up}")).refused(400, "bad-parameter");
    }
}

#[test]
fn numbers_are_exact_and_what_has_no_type_is_compared_as_what_it_is() {
    let mut row: Row = COLUMNS.iter().map(|column| (*column, Cell::Null)).collect();
    let big = 9_007_199_254_740_993;
    row.extend([("room", Cell::Integer(1)), ("label", Cell::Text("x".to_owned())), ("big", Cell::Integer(big))]);
    let mut other = row.clone();
    other.extend([
        ("room", Cell::Integer(2)),
        ("a", Cell::Text("10".to_owned())),
        ("n", Cell::Integer(3)),
        ("big", Cell::Integer(i64::MIN)),
    ]);
    let mut third = other.clone();
    third.extend([
        ("room", Cell::Integer(3)),
        ("a", Cell::Integer(10)),
        ("n", Cell::Integer(4)),
        ("big", Cell::Integer(i64::MAX)),
    ]);
    let (_data, server) = serve(&[row, other, third]);
    let table = "/projections/shelf/tables/shelf";

    // All digits stand in the JSON; who cannot read them asks for text.
    let text = server.get(&format!("{table}?room=eq.1&select=big")).text;
    assert!(text.starts_with(r#"{"rows":[{"big":9007199254740993}]"#), "{text}");
    let answer = server.get(&format!("{table}?select=big::text&order=big")).ok();
    let texts = [i64::MIN, big, i64::MAX].map(|big| json!({ "big": big.to_string() }));
    assert_eq!(answer["rows"], json!(texts), "ordered by the number, shown as a text");
    assert_eq!(server.get(&format!("{table}?big=gt.{big}&select=room")).ok()["rows"], json!([{ "room": 3 }]));
    assert_eq!(server.get(&format!("{table}?big=gt.2.5&select=room&count=true")).ok()["count"], 2);

    // In a column of any type, 10 may be the number or the text.
    let both = json!([{ "room": 2 }, { "room": 3 }]);
    assert_eq!(server.get(&format!("{table}?a=eq.10&select=room")).ok()["rows"], both);
    assert_eq!(server.get(&format!("{table}?a=gt.1&select=room")).ok()["rows"], both);
    assert_eq!(
        server.get(&format!("{table}?a=gt.9&select=room")).ok()["rows"],
        json!([{ "room": 3 }]),
        "'10' is before '9'"
    );

    assert_eq!(
        server.get(&format!("{table}?a=lt.zzz&select=room")).ok()["rows"],
        json!([{ "room": 2 }]),
        "texts alone"
    );

    // Names may stand in quotes, and everything may be asked for.
    let quoted = encoded("\"room\",\"n\"");
    let page = server.get(&format!("{table}?select={quoted}&order={}&limit=1", encoded("\"n\".desc"))).ok();
    assert_eq!(page["rows"], json!([{ "room": 3, "n": 4 }]));
    assert_eq!(server.get(&format!("{table}?select=*")).ok(), server.get(table).ok());

    // A view has no key: it is cut by counting.
    let page = server.get("/projections/shelf/tables/rooms?limit=2&order=labels,room&total=not.is.null").ok();
    assert_eq!(page["rows"], json!([{ "room": 2, "labels": 1, "total": 3 }, { "room": 3, "labels": 1, "total": 4 }]));
    let page = server.get("/projections/shelf/tables/rooms?limit=2&order=room").ok();
    assert!(page["next"].as_str().is_some_and(|next| next.contains("offset=2")), "{page}");
    let last = server.get(page["next"].as_str().expect("there is more")).ok();
    assert_eq!((last["rows"].as_array().expect("rows").len(), &last["next"]), (1, &Value::Null));
}

#[test]
fn what_is_wrong_with_a_question_is_said_with_what_there_is() {
    let (_data, server) = serve(&[]);
    let many = vec!["n=gt.0"; 65].join("&");
    for (path, words) in [
        (format!("tables/shelf?{many}").as_str(), "64 may hold together"),
        ("tables/shelf?select=n,n::text", "names `n` twice"),
        ("tables/shelf?select=%22n", "not closed"),
        ("queries/measured?of=NaN", "it should be a number"),
        ("queries/measured?of=1e400", "it should be a number"),
        ("tables/shelf?colour=eq.1", "it has: room, label, n, r, t, b, a, big"),
        ("tables/shelf?n=1", "a filter: `eq.value`"),
        ("tables/shelf?n=is.nothing", "`null`, `not_null`, `true` or `false`"),
        ("tables/shelf?n=eq.one", "`eq.` with a number behind it"),
        ("tables/shelf?n=in.1,2", "values in parentheses"),
        ("tables/shelf?b=eq.%25", "`eq.` with base64 behind it"),
        ("tables/shelf?order=colour.desc", "it has: room, label"),
        ("tables/shelf?select=n::real", "it has: room, label"),
        ("tables/shelf?limit=0", "a number from 1 to 10000"),
        ("tables/shelf?count=perhaps", "true or false"),
        ("queries/in_room", "needs `room`"),
        ("queries/in_room?room=one", "it should be"),
        ("queries/in_room?room=1&rooms=2", "there is no parameter `rooms` here"),
    ] {
        let refused = server.get(&format!("/projections/shelf/{path}")).refused(400, "bad-parameter");
        assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains(words)), "{path}: {refused}");
    }
    let refused = server.get("/projections/shelf/tables/shelves").refused(404, "table-not-found");
    assert!(
        refused["detail"].as_str().is_some_and(|detail| detail.contains("counts, notes, rooms, seen, shelf")),
        "{refused}"
    );
    server.get("/projections/shelf/queries/nobody").refused(404, "query-not-found");
    let many: Vec<String> = (0..501).map(|n| n.to_string()).collect();
    let refused =
        server.get(&format!("/projections/shelf/tables/shelf?n=in.({})", many.join(","))).refused(400, "bad-parameter");
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("500 values at most")), "{refused}");
}

#[test]
fn who_has_the_answer_is_not_given_it_again() {
    let rows = shelf(&mut random::seeded("who_has_the_answer_is_not_given_it_again"));
    let (_data, server) = serve(&rows);
    for path in ["tables/shelf?limit=5", "queries/in_room?room=1"] {
        // Given an answer in one format,
        let path = format!("/projections/shelf/{path}");
        let answer = server.get(&path);
        let tag = answer.header("etag").expect("a tag").to_owned();
        assert!(tag.starts_with("W/\""), "{tag}");

        // when it is asked for again, then only its tag comes back, among whatever others;
        for known in [tag.clone(), format!("\"other\", {tag}"), tag.trim_start_matches("W/").to_owned(), "*".to_owned()]
        {
            let again = server.get_with(&path, &[("if-none-match", &known)]).expect("an answer");
            assert_eq!((again.status, again.text.as_str()), (304, ""), "{known}");
            assert_eq!(again.header("etag"), Some(tag.as_str()));
            assert_eq!(again.position(), answer.position());
        }
        // in another format it is another answer.
        let csv = server.get_with(&path, &[("if-none-match", &tag), ("accept", "text/csv")]).expect("an answer");
        assert_eq!(csv.status, 200);
    }
    // After another event it is another one, too; and another data directory has none of these answers.
    let tag = server.get("/projections/shelf/tables/shelf").header("etag").expect("a tag").to_owned();
    let head = server.post("/streams/s/events", &json!({ "events": [{ "type": "Good", "data": {} }] })).position();
    let path = format!("/projections/shelf/tables/shelf?min_position={head}");
    assert_eq!(server.get_with(&path, &[("if-none-match", &tag)]).expect("an answer").status, 200);
    let (_other, elsewhere) = serve(&rows);
    assert_ne!(elsewhere.get("/projections/shelf/tables/shelf").header("etag"), Some(tag.as_str()));
}
