//! P7: a component that fails, traps, loops, grows, floods the host, lies or writes hostile SQL harms only itself.

use laterna_tests::guests::misbehaving;
use laterna_tests::{Answer, Client, Data, Server, component, laterna, online_retail_events, online_retail_reference};
use serde_json::{Value, json};

/// An event that a component of its own cannot apply: its type, the code that the component halts with, and what the reason says.
struct Bad {
    event_type: &'static str,
    code: &'static str,
    reason: &'static str,
}

const fn convicted(event_type: &'static str, reason: &'static str) -> Bad {
    Bad { event_type, code: "event-failed", reason }
}

/// No event is convicted where another machine might have gone on.
const fn machine(event_type: &'static str, reason: &'static str) -> Bad {
    Bad { event_type, code: "machine", reason }
}

const OUT_OF_FUEL: &str = "it used up its budget of 30000000 units of fuel";
const OUT_OF_MEMORY: &str = "it wanted more than its 16777216 bytes of memory";
const LIMITS: &[&str] = &["--fuel", "30000000", "--memory-bytes", "16777216", "--store-pages", "2000"];

const BAD: &[Bad] = &[
    convicted("Failed", "an order without a customer"),
    convicted("Trapped", "the warehouse is on fire"),
    convicted("Overflowed", "attempt to add with overflow"),
    convicted("Exited", "it called `exit`"),
    convicted("Looped", OUT_OF_FUEL),
    convicted("Grew", OUT_OF_MEMORY),
    convicted("GrewAndLooped", OUT_OF_FUEL),
    convicted("Sank", "out of bounds memory access"),
    convicted("Chattered", OUT_OF_FUEL),
    convicted("Shouted", OUT_OF_FUEL),
    convicted("Flooded", OUT_OF_FUEL),
    convicted("FloodedInVain", OUT_OF_FUEL),
    convicted("Prepared", "it prepared more than 1000 statements in one call"),
    convicted("Burned", OUT_OF_FUEL),
    convicted("Searched", "instr of 2000000 and 1000001 bytes would take too long"),
    convicted("Answered", "a query of it answered more than 16777216 bytes"),
    convicted("Violated", "CHECK constraint failed: id = 1 (SQLite code 275)"),
    convicted("RolledBack", "OR ROLLBACK is not allowed"),
    convicted("Forged", "it used statement 12345, which it did not prepare"),
    convicted("BlamedTheFirst", "it was the first one"),
    convicted("BlamedNobodyThere", "it was one that you never gave me"),
    machine("Recursed", "it used up its call stack"),
    machine("GrewAndRecursed", "it used up its call stack"),
    machine("Hoarded", "full"),
];

/// Events that look bad, and are not: a failed statement undoes itself alone, and only a batch of one convicts.
const HARMLESS: &[&str] = &["Forgave", "ShiedAway"];

fn name(event_type: &str) -> String {
    event_type.to_lowercase()
}

/// A log: a shop's purchases, good events all over between them, and each bad one somewhere in the middle.
struct Story {
    lines: Vec<String>,
    /// Lines that are in the log before a component is there.
    history: usize,
}

impl Story {
    fn new() -> Self {
        let retail = online_retail_events();
        let mut odd = BAD.iter().map(|bad| bad.event_type).chain(HARMLESS.iter().copied());
        let mut lines = Vec::new();
        for (index, purchase) in retail.lines().enumerate() {
            lines.push(purchase.to_owned());
            if index % 3 == 0 {
                lines.push(event(&format!("good-{index}"), "Counted"));
            }
            // Each behind a purchase or behind a good one, 37 purchases after the one before.
            if index > 200
                && index % 37 == 0
                && let Some(event_type) = odd.next()
            {
                lines.push(event(&format!("odd-{event_type}"), event_type));
            }
        }
        assert_eq!(odd.next(), None, "every one has its place");
        let history = lines.len() - 300;
        Self { lines, history }
    }

    fn position_of(&self, id: &str) -> u64 {
        let id = format!("\"id\":\"{id}\"");
        self.lines.iter().position(|line| line.contains(&id)).expect("it is there") as u64 + 1
    }

    /// The good events before a position.
    fn good_before(&self, position: u64) -> Vec<u64> {
        let lines = self.lines.iter().zip(1..position);
        lines.filter(|(line, _)| line.contains("\"Counted\"")).map(|(_, position)| position).collect()
    }
}

fn event(id: &str, event_type: &str) -> String {
    json!({ "id": id, "stream": "things-1", "type": event_type, "data": {} }).to_string()
}

fn consuming(event_type: &str) -> Vec<u8> {
    let queries = json!([{ "name": "events" }, { "name": "noted", "sql": "SELECT note FROM notes" }]);
    misbehaving(&json!({ "name": name(event_type), "consumes": ["Counted", event_type], "queries": queries }))
}

fn positions(client: &Client, projection: &str) -> Vec<u64> {
    let mut positions = Vec::new();
    let mut page = Some(format!("/projections/{projection}/tables/seen?limit=1000"));
    while let Some(path) = page {
        let answer = client.get(&path).ok();
        positions.extend(
            answer["rows"].as_array().expect("rows").iter().map(|row| row["position"].as_u64().expect("a position")),
        );
        page = answer["next"].as_str().map(str::to_owned);
    }
    positions
}

/// How it stands with each bad projection: the same at any time.
fn assert_halted(server: &Server, story: &Story) {
    let all_halted = |answer: &Answer| {
        answer.status == 200 && answer.json()["halted"].as_array().is_some_and(|halted| halted.len() == BAD.len())
    };
    let ready = server.wait_for("/health/ready", all_halted).ok();
    assert_eq!(ready["status"], "ready");
    let halted = ready["halted"].as_array().expect("a list");
    let status = laterna(["status", "--url", &server.url]);
    let status = String::from_utf8(status.stdout).expect("text");

    for Bad { event_type, code, reason } in BAD {
        let (name, id) = (name(event_type), format!("odd-{event_type}"));
        let position = story.position_of(&id);
        let good = story.good_before(position);
        let what = format!("{event_type} at {position}");

        // It says where it halted, and why,
        let shown = server.get(&format!("/projections/{name}"));
        let live = shown.ok()["live"].clone();
        assert_eq!((&live["status"], &live["checkpoint"]), (&json!("halted"), &json!(position - 1)), "{what}: {live}");
        let halt = &live["halt"];
        assert_eq!(halt["code"], *code, "{what}: {halt}");
        let why = halt["reason"].as_str().expect("a reason");
        assert!(why.contains(reason), "{what}: {why}");
        let detail = halt["detail"].as_str().expect("a detail");
        assert!(detail.contains(&format!("event {id} ({event_type}) at position {position}")), "{what}: {detail}");
        assert!(!detail.contains('\n') && detail.len() < 5_000, "{what}: {detail}");
        if *code == "event-failed" {
            assert_eq!(halt["position"], position, "{what}");
            assert_eq!((&halt["event_id"], &halt["event_type"]), (&json!(id), &json!(event_type)), "{what}");
        } else {
            assert_eq!(halt["position"], position - 1, "{what}: the checkpoint, since no event is to blame");
        }
        // in every place,
        let named = halted.iter().find(|halted| halted["projection"] == name.as_str()).expect("it is named");
        assert_eq!((&named["position"], &named["reason"]), (&json!(position - 1), &json!(detail)), "{what}");
        assert!(status.contains(&format!("\n{name}: halted: {detail}\n")), "{what}: {status}");
        // and what it made is exactly the fold up to the event before, and is answered as that.
        assert_eq!(positions(server, &name), good, "{what}");
        let counts = server.get(&format!("/projections/{name}/tables/counts"));
        assert_eq!(counts.ok()["rows"], json!([{ "type": "Counted", "events": good.len() }]), "{what}");
        assert_eq!(counts.position(), position - 1, "{what}");
        let computed = server.get(&format!("/projections/{name}/queries/events?min_position={}", position - 1));
        assert_eq!(computed.ok(), json!({ "events": good.len() }), "{what}");
        for table in ["notes", "ones", "heap"] {
            let left = server.get(&format!("/projections/{name}/tables/{table}")).ok();
            assert_eq!(left["rows"], json!([]), "{what}: nothing of it is in {table}");
        }
        // Who waits for more is not kept waiting.
        let later = server.get(&format!("/projections/{name}/tables/counts?min_position={position}"));
        let problem = later.refused(503, "not-caught-up");
        assert_eq!((&problem["position"], &problem["wanted"]), (&json!(position - 1), &json!(position)), "{what}");
        assert!(problem["detail"].as_str().expect("text").contains(detail), "{what}: {problem}");
    }
}

/// How it stands with everything else: it goes on.
fn assert_goes_on(server: &Server, story: &Story, head: u64) {
    for event_type in HARMLESS {
        let name = name(event_type);
        let shown = server.get(&format!("/projections/{name}/queries/events?fresh=true&timeout=30"));
        let mut good = story.good_before(story.lines.len() as u64 + 1).len() as u64;
        good += 1 + head - story.lines.len() as u64;
        assert_eq!((shown.ok(), shown.position()), (json!({ "events": good }), head), "{name}");
    }
    let noted = server.get("/projections/forgave/queries/noted").ok();
    assert_eq!(noted["rows"], json!([{ "note": "true" }]));
    assert_eq!(server.rows("forgave", "ones"), Vec::<Value>::new());

    let mut totals = server.rows("retail", "totals").remove(0);
    totals.as_object_mut().expect("a row is an object").remove("id");
    assert_eq!(totals, online_retail_reference()["totals"]);
}

#[test]
fn what_a_component_does_to_an_event_halts_it_there_and_nothing_else() {
    let story = Story::new();
    for batch in ["10000", "7", "1"] {
        // Given components that each serve, until an event comes that is bad for it,
        let data = Data::new();
        data.drop_component(&component("retail"));
        for event_type in BAD.iter().map(|bad| bad.event_type).chain(HARMLESS.iter().copied()) {
            data.drop_bytes(&name(event_type), &consuming(event_type));
        }
        let flags = [LIMITS, &["--batch-events", batch, "--start-ms", "60000"]].concat();
        let server = data.serve_logging("off", &flags);
        // when events come in, and are folded in batches of any size,
        server.import(&story.lines[..story.history].join("\n")).ok();
        // then each halts where it must,
        assert_halted(&server, &story);
        // and events are taken in and folded all the same.
        server.import(&story.lines.join("\n")).ok();
        let appended = server.post("/streams/things-1/events", &json!({ "events": [{ "type": "Counted" }] }));
        let head = story.lines.len() as u64 + 1;
        assert_eq!(appended.position(), head);
        assert_goes_on(&server, &story, head);
        server.stop();
        // After a restart it is the same again.
        let server = data.serve_logging("off", &flags);
        assert_halted(&server, &story);
        assert_goes_on(&server, &story, head);
        server.stop();
    }
}

/// Runs SQL as an event of a component that stays well; answers what became of each statement.
fn ask(server: &Server, statements: &[&str]) -> Vec<String> {
    let asked = json!({ "events": [{ "type": "Asked", "data": { "sql": statements } }] });
    let position = server.post("/streams/things-1/events", &asked).position();
    let notes = server
        .get(&format!("/projections/asked/tables/notes?position=eq.{position}&limit=1000&min_position={position}"));
    let notes = notes.ok();
    let notes = notes["rows"].as_array().expect("rows");
    notes.iter().map(|row| row["note"].as_str().expect("a note").to_owned()).collect()
}

#[test]
fn sql_reaches_nothing_but_the_components_own_tables() {
    let data = Data::new();
    data.drop_bytes("asked", &misbehaving(&json!({ "name": "asked", "consumes": ["Asked"] })));
    let server = data.serve();
    let statements = [
        // Laterna's own, and SQLite's
        "SELECT position FROM laterna_checkpoint",
        "SELECT count(*) FROM LATERNA_checkpoint",
        "UPDATE laterna_checkpoint SET position = 0",
        "DELETE FROM laterna_checkpoint",
        "INSERT INTO laterna_checkpoint VALUES (2, 0, '')",
        "SELECT * FROM sqlite_schema",
        "SELECT name FROM sqlite_master",
        "SELECT name FROM main.sqlite_schema",
        "SELECT * FROM sqlite_temp_schema",
        "SELECT name FROM pragma_table_list",
        "SELECT * FROM pragma_table_info('laterna_checkpoint')",
        "SELECT * FROM pragma_database_list",
        "SELECT * FROM dbstat",
        "SELECT * FROM fts3tokenize",
        // The connection and the file
        "PRAGMA user_version",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA writable_schema = ON",
        "ATTACH 'other.db' AS other",
        "DETACH main",
        "VACUUM",
        "VACUUM INTO 'copy.db'",
        "ANALYZE",
        "REINDEX",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT mine",
        "RELEASE mine",
        "SELECT load_extension('evil')",
        "SELECT readfile('/etc/passwd')",
        // The schema
        "CREATE TABLE mine (id INTEGER PRIMARY KEY) STRICT",
        "CREATE TEMP TABLE mine (id INTEGER PRIMARY KEY)",
        "CREATE VIEW mine AS SELECT 1",
        "CREATE INDEX mine ON seen (id)",
        "CREATE TRIGGER mine AFTER INSERT ON seen BEGIN DELETE FROM counts; END",
        "CREATE VIRTUAL TABLE mine USING fts5 (text)",
        "DROP TABLE counts",
        "ALTER TABLE counts ADD COLUMN more TEXT",
        "EXPLAIN SELECT 1",
        "EXPLAIN QUERY PLAN SELECT 1",
        // What hangs on more than the store
        "SELECT random()",
        "SELECT hex(randomblob(8))",
        "SELECT date()",
        "SELECT datetime('now')",
        "SELECT unixepoch()",
        "SELECT strftime('%s')",
        "SELECT CURRENT_TIMESTAMP",
        "SELECT CURRENT_DATE",
        "SELECT julianday('now')",
        "SELECT changes()",
        "SELECT total_changes()",
        "SELECT last_insert_rowid()",
        "SELECT sqlite_version()",
        "SELECT sqlite_source_id()",
        "SELECT sqlite_compileoption_used('THREADSAFE')",
        "SELECT count(*) FROM seen ORDER BY RANDOM()",
    ];
    let answers = ask(&server, &statements);
    assert_eq!(answers.len(), statements.len());
    let refusals = ["not authorized", "prohibited", "no such function", "cannot VACUUM from within a transaction"];
    for (statement, answer) in statements.iter().zip(answers) {
        let refused = answer.starts_with("1: ") || answer.starts_with("23: ");
        assert!(refused && refusals.iter().any(|words| answer.contains(words)), "{statement}: {answer}");
    }
    let seen = server.get("/projections/asked/tables/seen?fresh=true");
    assert_eq!((seen.ok()["rows"].as_array().map(Vec::len), seen.position()), (Some(1), 1));
}

#[test]
fn what_is_wrong_with_its_sql_is_told_to_the_component_and_it_goes_on() {
    let data = Data::new();
    data.drop_bytes("asked", &misbehaving(&json!({ "name": "asked", "consumes": ["Asked"] })));
    let server = data.serve();
    let statements_and_answers = [
        ("", "1: there is no statement"),
        (" -- nothing", "1: there is no statement"),
        ("SELECT", "1: incomplete input"),
        ("SELEC 1", "1: near \"SELEC\": syntax error"),
        ("SELECT 1; SELECT 2", "1: Multiple statements provided"),
        ("SELECT colour FROM counts", "1: no such column: colour"),
        ("INSERT INTO nowhere VALUES (1)", "1: no such table: nowhere"),
        ("SELECT ?1", "25: 0 parameters were given, the statement takes 1"),
        ("SELECT zeroblob(5000000)", "18: string or blob too big"),
        ("SELECT length(replace(hex(zeroblob(2000000)), '0', 'ab'))", "18: string or blob too big"),
        ("SELECT printf('%.*c', 2000000000, 'x')", "18: string or blob too big"),
        ("SELECT 'a' LIKE printf('%.*c', 200, '%')", "1: LIKE or GLOB pattern too complex"),
        ("SELECT abs(-9223372036854775808)", "1: integer overflow"),
        ("SELECT json('{')", "1: malformed JSON"),
        ("INSERT INTO counts VALUES (NULL, 1)", "1299: NOT NULL constraint failed: counts.type"),
        ("INSERT INTO counts VALUES ('x', 'y')", "3091: cannot store TEXT value in INTEGER column counts.events"),
        ("SELECT 6 * 7", "answered [ValueResult::Integer(42)]"),
        ("SELECT CAST(x'ff' AS TEXT)", "answered [ValueResult::Text(\"\u{fffd}\")]"),
    ];
    let answers = ask(&server, &statements_and_answers.map(|(statement, _)| statement));
    assert_eq!(answers, statements_and_answers.map(|(_, answer)| answer.to_owned()));
    let long = ask(&server, &[&format!("SELECT '{}'", "a".repeat(70_000))]);
    assert_eq!(long, ["18: statement too long"]);
}

#[test]
fn a_question_that_a_component_cannot_answer_is_told_so_and_harms_nothing() {
    let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";
    let refused = [
        ("failed", 422, "query-failed", "nobody ever asked me that"),
        ("trapped", 422, "query-failed", "not before breakfast"),
        ("looped", 422, "query-failed", OUT_OF_FUEL),
        ("burned", 422, "query-failed", OUT_OF_FUEL),
        ("grew", 422, "query-failed", OUT_OF_MEMORY),
        ("recursed", 422, "query-failed", "it used up its call stack"),
        ("wrote", 422, "query-failed", "not authorized"),
        ("spied", 422, "query-failed", "access to laterna_checkpoint.position is prohibited"),
        ("garbled", 422, "query-failed", "the component's answer is not JSON"),
        ("two_answers", 422, "query-failed", "the component's answer is not JSON"),
        ("silent", 422, "query-failed", "the component's answer is not JSON"),
        ("endless", 422, "query-failed", "its answer has more than 1000000 bytes"),
        ("forgotten", 422, "query-failed", "no code answers the query `forgotten`"),
        ("slow", 503, "query-too-slow", "the answer took longer than 2s"),
        ("long", 422, "answer-too-large", "the answer has more than 10000 rows"),
        ("wide", 422, "answer-too-large", "the answer has more than 1000000 bytes"),
        ("wrong", 422, "query-failed", "integer overflow"),
    ];
    let sql = |name: &str| match name {
        "slow" => Some(format!("{endless} SELECT count(*) FROM n")),
        "long" => Some(format!("{endless} SELECT i FROM n")),
        "wide" => Some(format!("{endless} SELECT hex(zeroblob(1000)) FROM n")),
        "wrong" => Some("SELECT abs(-9223372036854775808)".to_owned()),
        _ => None,
    };
    let names = refused.iter().map(|(name, ..)| *name).chain(["events"]);
    let queries: Vec<Value> = names.map(|name| json!({ "name": name, "sql": sql(name) })).collect();

    // Given a component that answers one question well and all others badly,
    let data = Data::new();
    data.drop_bytes("asked", &misbehaving(&json!({ "name": "asked", "queries": queries })));
    let flags = ["--fuel", "30000000", "--memory-bytes", "16777216", "--answer-bytes", "1000000", "--query-ms", "2000"];
    let server = data.serve_logging("off", &flags);
    let append = || server.post("/streams/things-1/events", &json!({ "events": [{ "type": "Counted" }] })).position();

    // when it is asked the others, then they are refused, each with its reason; it goes on folding, and answers the good one.
    for (name, status, code, detail) in refused {
        let position = append();
        let problem = server.get(&format!("/projections/asked/queries/{name}")).refused(status, code);
        let said = problem["detail"].as_str().expect("text");
        assert!(said.contains(detail), "{name}: {said}");
        let good = server.get(&format!("/projections/asked/queries/events?min_position={position}"));
        assert_eq!(good.ok(), json!({ "events": position }), "after {name}");
    }
}
