//! CloudEvents of other systems come in, one, in batches, or as headers and a body; and whatever the log holds goes out as
//! CloudEvents that another host takes in.

use fastrand::Rng;
use laterna::config::Settings;
use laterna_tests::random::seeded;
use laterna_tests::{Answer, Client, Data, encoded};
use serde_json::{Map, Value, json};

const ONE: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

fn post_one(client: &Client, event: &str) -> Answer {
    client.try_post("/events", ONE, event).expect("the host answers")
}

fn post_batch(client: &Client, events: &Value) -> Answer {
    client.try_post("/events", BATCH, events.to_string()).expect("the host answers")
}

/// A CloudEvent with these members besides, or instead.
fn event(members: Value) -> Value {
    let mut event = json!({ "specversion": "1.0", "id": "1", "source": "/elsewhere", "type": "Happened" });
    let Value::Object(members) = members else { panic!("{members} is not an object") };
    event.as_object_mut().expect("an object").extend(members);
    event
}

/// Events of the log as CloudEvents, as they came over the wire.
fn cloud_events_text(client: &Client, path: &str) -> String {
    let answer = client.get_as(path, BATCH);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(BATCH)), "{answer:?}");
    answer.text
}

fn cloud_events(client: &Client, path: &str) -> Vec<Value> {
    serde_json::from_str(&cloud_events_text(client, path)).expect("an array")
}

/// What of an event is not about the log that it stands in.
fn without_place(event: &Value) -> Value {
    let mut event = event.clone();
    let members = event.as_object_mut().expect("an object");
    for name in ["position", "revision", "recordedtime"] {
        assert!(members.remove(name).is_some(), "no {name}: {members:?}");
    }
    event
}

fn nothing_is_stored(client: &Client) {
    assert_eq!(client.get("/events").ok()["events"], json!([]));
}

#[test]
fn one_event_finds_its_places_in_the_log_and_comes_out_as_it_went_in() {
    let data = Data::new();
    let server = data.serve();
    let sent = json!({
        "specversion": "1.0", "id": "A-1", "source": "https://shop.example/tills?no=4", "type": "com.example.sold",
        "subject": "till-4", "time": "2018-04-05T17:31:00.5+02:00", "datacontenttype": "application/json; charset=utf-8",
        "dataschema": "https://shop.example/sold.json", "correlationid": "day-1", "causationid": "A-0", "schemaversion": 3,
        "partitionkey": "north", "attempts": -2, "sampled": true, "unset": null, "subjects": "", "zero": -0,
        "data": { "cents": 990 },
    });
    let answer = post_one(&server, &sent.to_string());
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(
        answer.json(),
        json!({ "first_position": 1, "last_position": 1, "last_revision": 0, "repeated": false })
    );
    assert_eq!(answer.position(), 1);
    let stored = server.get("/streams/till-4/events").ok()["events"][0].clone();
    let recorded_at = stored["recorded_at"].clone();
    assert_eq!(
        stored,
        json!({
            "position": 1, "source": "https://shop.example/tills?no=4", "id": "A-1", "stream": "till-4", "revision": 0,
            "type": "com.example.sold", "schema_version": 3, "module": "", "visibility": "public",
            "occurred_at": "2018-04-05T17:31:00.5+02:00", "recorded_at": recorded_at, "correlation_id": "day-1",
            "causation_id": "A-0", "content_type": "application/json; charset=utf-8", "data": { "cents": 990 },
            "metadata": {
                "dataschema": "https://shop.example/sold.json", "partitionkey": "north", "attempts": -2, "sampled": true,
                "subjects": "", "zero": 0,
            },
        })
    );
    let mut expected = sent.clone();
    let members = expected.as_object_mut().expect("an object");
    members.remove("unset");
    members.extend([
        ("zero".to_owned(), json!(0)),
        ("position".to_owned(), json!("1")),
        ("revision".to_owned(), json!("0")),
        ("recordedtime".to_owned(), recorded_at),
    ]);
    for path in ["/events", "/streams/till-4/events"] {
        assert_eq!(cloud_events(&server, path), [expected.clone()]);
    }
    // A repeat is answered like the first time, whatever else the event says; elsewhere its id is taken.
    let again = post_one(&server, &sent.to_string());
    assert_eq!((again.status, &again.json()["repeated"], again.position()), (200, &json!(true), 1));
    let mut elsewhere = sent;
    elsewhere["subject"] = json!("till-5");
    post_one(&server, &elsewhere.to_string()).refused(409, "id-conflict");
    assert_eq!(server.get("/events").ok()["events"].as_array().map(Vec::len), Some(1));
}

#[test]
fn an_event_is_known_by_its_source_and_id() {
    let data = Data::new();
    let server = data.serve_with(&["--cloudevents-source", "https://here.example/log"]);
    let of = |source: &str| event(json!({ "source": source, "subject": "s-1" })).to_string();
    for (source, status) in
        [("/a", 201), ("/b", 201), ("/a", 200), ("/A", 201), ("https://here.example/log", 201), ("/b", 200)]
    {
        assert_eq!(post_one(&server, &of(source)).status, status, "{source}");
    }
    // This host's own name is the host itself, by whatever road an event comes.
    let own = json!({ "events": [{ "id": "1", "type": "Happened" }] });
    assert_eq!(server.post("/streams/s-1/events", &own).status, 200);
    let line = |source: &str| json!({ "stream": "s-1", "type": "Happened", "id": "1", "source": source }).to_string();
    let lines = ["", "https://here.example/log", "/a", "/c", "/c"].map(line).join("\n");
    let imported = server.import(&lines).ok();
    assert_eq!((&imported["stored"], &imported["skipped"]), (&json!(1), &json!(4)));
    let sources: Vec<Value> =
        server.get("/events").ok()["events"].as_array().expect("a page").iter().map(|e| e["source"].clone()).collect();
    assert_eq!(sources, ["/a", "/b", "/A", "", "/c"]);
    let sources: Vec<Value> = cloud_events(&server, "/events").iter().map(|event| event["source"].clone()).collect();
    assert_eq!(sources, ["/a", "/b", "/A", "https://here.example/log", "/c"]);
    // Without a subject, the source names the stream.
    let no_subject = event(json!({ "id": "2", "source": "urn:till:4" })).to_string();
    assert_eq!(post_one(&server, &no_subject).status, 201);
    assert_eq!(server.get("/streams/urn%3Atill%3A4/events").ok()["events"][0]["id"], "2");
}

#[test]
fn the_name_of_a_host_is_a_uri_reference() {
    let data = Data::new();
    let settings = |source: &str| Settings { cloudevents_source: Some(source.to_owned()), ..Settings::default() };
    for source in ["/laterna", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", "host-1", "//here.example"] {
        assert_eq!(settings(source).complete(data.path()).expect("a name").cloudevents_source.as_deref(), Some(source));
    }
    for source in ["", "not a name", "http://[", "%zz"] {
        let error = settings(source).complete(data.path()).expect_err("no name");
        assert!(error.to_string().contains("must be a URI-reference"), "{error}");
    }
}

#[test]
fn what_is_not_a_cloud_event_is_refused_with_its_reason() {
    let data = Data::new();
    let server = data.serve_with(&["--event-bytes", "1000", "--request-bytes", "10000"]);
    let long = "x".repeat(256);
    let mut cases: Vec<(String, &str)> = vec![
        (String::new(), "EOF"),
        ("nonsense".to_owned(), "line 1 column"),
        ("[]".to_owned(), "a CloudEvent, which is an object"),
        ("{}".to_owned(), "`specversion` is missing"),
        (r#"{"specversion": "1.0", "specversion": "1.0"}"#.to_owned(), "stands twice"),
        (format!("{} {{}}", event(json!({}))), "trailing"),
    ];
    for (members, part) in [
        (json!({ "specversion": "0.3" }), "`specversion` is `0.3`"),
        (json!({ "specversion": "1.0.2" }), "`specversion` is `1.0.2`"),
        (json!({ "specversion": 1 }), "`specversion` is 1; it must be a text"),
        (json!({ "specversion": null }), "`specversion` is missing"),
        (json!({ "id": null }), "`id` is missing"),
        (json!({ "id": "" }), "`id` is empty"),
        (json!({ "id": 7 }), "`id` is 7; it must be a text"),
        (json!({ "id": long }), "255 are allowed"),
        (json!({ "source": null }), "`source` is missing"),
        (json!({ "source": "" }), "`source` is empty"),
        (json!({ "source": "with space" }), "not a URI-reference"),
        (json!({ "source": "http://exämple.org" }), "not a URI-reference"),
        (json!({ "source": "/a%2" }), "not a URI-reference"),
        (json!({ "type": null }), "`type` is missing"),
        (json!({ "type": "" }), "`type` is empty"),
        (json!({ "type": true }), "`type` is true"),
        (json!({ "subject": "" }), "`subject` is empty"),
        (json!({ "subject": 1 }), "must be a text"),
        (json!({ "time": "yesterday" }), "`time` is `yesterday`; write RFC 3339"),
        (json!({ "time": "2018-04-05T17:31Z" }), "RFC 3339"),
        (json!({ "time": "2018-04-05T17:31:00" }), "RFC 3339"),
        (json!({ "time": 1_522_949_460 }), "must be a text"),
        (json!({ "time": "" }), "RFC 3339"),
        (json!({ "datacontenttype": "" }), "`datacontenttype` is empty"),
        (json!({ "datacontenttype": "json" }), "not a media type"),
        (json!({ "datacontenttype": "text/*" }), "not a media type"),
        (json!({ "dataschema": "" }), "an absolute URI"),
        (json!({ "dataschema": "/schemas/1" }), "an absolute URI"),
        (json!({ "dataschema": "https://example.org/schema#part" }), "an absolute URI"),
        (json!({ "dataschema": 1 }), "an absolute URI"),
        (json!({ "correlationid": "" }), "`correlationid` is empty"),
        (json!({ "causationid": 1 }), "must be a text"),
        (json!({ "schemaversion": 0 }), "versions count from 1"),
        (json!({ "schemaversion": -1 }), "versions count from 1"),
        (json!({ "schemaversion": true }), "versions count from 1"),
        (json!({ "schemaversion": "+1" }), "versions count from 1"),
        (json!({ "schemaversion": "4294967296" }), "versions count from 1"),
        (json!({ "traceParent": "x" }), "can be called `traceParent`"),
        (json!({ "trace_parent": "x" }), "can be called `trace_parent`"),
        (json!({ "trace-parent": "x" }), "can be called `trace-parent`"),
        (json!({ "träce": "x" }), "can be called `träce`"),
        (json!({ "": "x" }), "can be called ``"),
        (json!({ "Data": "x" }), "can be called `Data`"),
        (json!({ "unset_but_badly_named": null }), "can be called"),
        (json!({ "extension": {} }), "an object or an array"),
        (json!({ "extension": [1] }), "an object or an array"),
        (json!({ "position": {} }), "an object or an array"),
        (json!({ "extension": 1.5 }), "not an integer"),
        (json!({ "extension": 2_147_483_648_u32 }), "not an integer"),
        (json!({ "extension": -2_147_483_649_i64 }), "not an integer"),
        (json!({ "extension": "a\nb" }), "U+000A"),
        (json!({ "extension": "\u{7f}" }), "U+007F"),
        (json!({ "extension": "\u{9f}" }), "U+009F"),
        (json!({ "extension": "\u{fdd0}" }), "U+FDD0"),
        (json!({ "extension": "\u{ffff}" }), "U+FFFF"),
        (json!({ "extension": "\u{10fffe}" }), "U+10FFFE"),
        (json!({ "id": "a\tb" }), "U+0009"),
        (json!({ "data": 1, "data_base64": "AA==" }), "both `data` and `data_base64`"),
        (json!({ "data": null, "data_base64": "AA==" }), "both `data` and `data_base64`"),
        (json!({ "datacontenttype": "a/b", "data_base64": 1 }), "`data_base64` is not a text"),
        (json!({ "datacontenttype": "a/b", "data_base64": "AA" }), "not Base64"),
        (json!({ "datacontenttype": "a/b", "data_base64": "A A=" }), "not Base64"),
        (json!({ "datacontenttype": "a/b", "data_base64": "AA==\n" }), "not Base64"),
        (json!({ "datacontenttype": "a/b", "data_base64": "AB==" }), "not Base64"),
        (json!({ "datacontenttype": "a/b", "data_base64": "_-8=" }), "not Base64"),
        (json!({ "data_base64": "/w==" }), "the data is not JSON"),
        (json!({ "datacontenttype": "application/vnd.x+json", "data_base64": "e30s" }), "the data is not JSON"),
        (json!({ "datacontenttype": "text/plain", "data": {} }), "`data` is not a text"),
        (json!({ "datacontenttype": "text/plain", "data": null }), "`data` is not a text"),
        (json!({ "datacontenttype": "text/plain; charset=latin1", "data": "x" }), "send `data_base64`"),
    ] {
        cases.push((event(members).to_string(), part));
    }
    // What serde_json would not write.
    let written = event(json!({})).to_string();
    for (member, part) in [
        (r#""extension": 1.0"#, "not an integer"),
        (r#""extension": 1e3"#, "not an integer"),
        (r#""extension": "\ud800""#, "`extension`"),
        (r#""data": "\udead""#, "`data` cannot be read back"),
        (r#""data": 1e999"#, "`data` cannot be read back"),
        (r#""data": 01"#, "line 1 column"),
    ] {
        cases.push((written.replace('}', &format!(", {member}}}")), part));
    }
    for (body, part) in &cases {
        let problem = post_one(&server, body).refused(400, "bad-request");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(part)), "{body}: {problem}");
    }
    // In a batch, the place of the event is told, and those before it are not stored either.
    for (body, part) in cases.iter().filter(|(body, _)| serde_json::from_str::<Value>(body).is_ok()) {
        let good = event(json!({ "id": "good" })).to_string();
        let batch = server.try_post("/events", BATCH, format!("[{good}, {body}]")).expect("the host answers");
        let problem = batch.refused(400, "bad-request");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(part)), "{body}: {problem}");
        assert_eq!(problem["event"], 1, "{problem}");
    }
    let large = event(json!({ "data": "x".repeat(1_000) }));
    post_one(&server, &large.to_string()).refused(413, "event-too-large");
    assert_eq!(post_batch(&server, &json!([large])).refused(413, "event-too-large")["event"], 0);
    let large = event(json!({ "extension": "x".repeat(1_000) }));
    post_one(&server, &large.to_string()).refused(413, "event-too-large");
    post_one(&server, &event(json!({ "data": "x".repeat(10_000) })).to_string()).refused(413, "request-too-large");
    nothing_is_stored(&server);
}

#[test]
fn what_a_body_is_must_be_known() {
    let data = Data::new();
    let server = data.serve();
    let body = event(json!({})).to_string();
    for content_type in [
        "application/cloudevents+avro",
        "application/cloudevents",
        "application/cloudevents-batch",
        "application/cloudevents-batch+protobuf",
        "application/cloudevents+json; charset=iso-8859-1",
        "application/cloudevents-batch+json;charset=\"utf-16\"",
        "text/xml",
        "application/octet-stream",
    ] {
        let answer = server.try_post("/events", content_type, body.clone()).expect("the host answers");
        let problem = answer.refused(415, "unsupported-media-type");
        let detail = problem["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains(ONE) || detail.contains("UTF-8"), "{content_type}: {detail}");
    }
    // A format that is not known here is not taken for the data of an event either.
    let headers = [
        ("content-type", "application/cloudevents+avro"),
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/a"),
        ("ce-type", "T"),
    ];
    server.send("/events", &headers, "x").refused(415, "unsupported-media-type");
    nothing_is_stored(&server);
    for content_type in ["Application/CloudEvents+JSON", "application/cloudevents+json;charset=UTF-8"] {
        let answer = server.try_post("/events", content_type, body.clone()).expect("the host answers");
        assert!(answer.status == 201 || answer.status == 200, "{answer:?}");
    }
    // Headers of attributes may stand beside a whole event; the body counts.
    let headers = [("content-type", ONE), ("ce-id", "other"), ("ce-source", "/other"), ("ce-What_ever", "x")];
    assert_eq!(server.send("/events", &headers, body).status, 200);
}

#[test]
fn data_is_kept_byte_for_byte() {
    let data = Data::new();
    let server = data.serve();
    let all = ["text/plain; charset=utf-8", "text/csv", "application/xml", "application/octet-stream", "a/b+json"];
    // What stands in an event, and what stands in it when it comes out again.
    let json = [
        r#"{"n": 12345678901234567890123, "f" : 1.10e+2, "z":-0.0, "u":"\u00e9\/", "a" : [ ], "a":1}"#,
        "9007199254740993",
        r#""text""#,
        r#""{\"not\": \"JSON\"}""#,
        "0",
        "false",
        "[null]",
        "{}",
        r#""""#,
    ];
    let mut members: Vec<(String, String)> = Vec::new();
    for data in json {
        for content_type in ["", "application/json", "Application/JSON", "text/json;v=1", all[4]] {
            let out = if content_type.eq_ignore_ascii_case("application/json") || content_type.is_empty() {
                "application/json"
            } else {
                content_type
            };
            let content_type = json!(Some(content_type).filter(|text| !text.is_empty()));
            members.push((
                format!(r#""datacontenttype":{content_type},"data": {data} "#),
                format!(r#""datacontenttype":"{out}"/"data":{data}"#),
            ));
        }
    }
    for (incoming, outgoing) in [
        // Texts.
        (r#""datacontenttype":"text/csv","data":"a;b\n\"\u00e9\"\u0000""#, r#""text/csv"/"data":"a;b\n\"é\"\u0000""#),
        (r#""datacontenttype":"text/plain; charset=utf-8","data_base64":"w6k=""#, r#"utf-8"/"data":"é""#),
        (r#""datacontenttype":"text/plain","data_base64":"6Q==""#, r#""text/plain"/"data_base64":"6Q==""#),
        (r#""datacontenttype":"text/plain; charset=latin1","data_base64":"w6k=""#, r#"latin1"/"data_base64":"w6k=""#),
        // Bytes.
        (r#""datacontenttype":"application/xml","data":"<a/>""#, r#""application/xml"/"data_base64":"PGEvPg==""#),
        (
            r#""datacontenttype":"application/xml","data_base64":"PGEvPg==""#,
            r#""application/xml"/"data_base64":"PGEvPg==""#,
        ),
        (r#""datacontenttype":"image/png","data_base64":"AP8=","data2":1"#, r#""image/png"/"data_base64":"AP8=""#),
        // JSON as bytes is JSON.
        (r#""data_base64":"IHsiYSI6IDEuMH0=""#, r#""application/json"/"data":{"a": 1.0}"#),
        // There is none.
        (r#""subject":"none""#, r#""application/json"/"#),
        (r#""data":null"#, r#""application/json"/"#),
        (r#""data_base64":null"#, r#""application/json"/"#),
        (r#""data_base64":"""#, r#""application/json"/"#),
        (r#""data":1,"data_base64":null"#, r#""application/json"/"data":1"#),
        (r#""datacontenttype":"text/plain","data":"""#, r#""text/plain"/"#),
        (r#""datacontenttype":"text/plain""#, r#""text/plain"/"#),
    ] {
        members.push((incoming.to_owned(), outgoing.to_owned()));
    }
    for (index, (incoming, outgoing)) in members.iter().enumerate() {
        let body = format!(r#"{{"specversion":"1.0","id":"{index}","source":"/data","type":"T",{incoming}}}"#);
        let answer = post_one(&server, &body);
        assert_eq!(answer.status, 201, "{body}: {answer:?}");
        let out = cloud_events_text(&server, &format!("/events?after={index}&limit=1"));
        let (content_type, data) = outgoing.split_once("/\"").map_or((outgoing.as_str(), ""), |(a, b)| (a, b));
        let content_type = content_type.trim_end_matches('/');
        assert!(out.contains(content_type), "{incoming}: {out}");
        if data.is_empty() {
            assert!(!out.contains(r#""data":"#) && !out.contains("data_base64"), "{incoming}: {out}");
        } else {
            assert!(out.ends_with(&format!(",\"{data}}}]")), "{incoming}: {data}: {out}");
        }
        // In Laterna's own JSON, all that is JSON is JSON.
        let own = server.get(&format!("/events?after={index}&limit=1")).text;
        let is_json = ["application/json", "text/json;v=1", "a/b+json"].iter().any(|json| content_type.contains(json));
        assert_eq!(own.contains(r#""data":"#), is_json, "{own}");
        assert_eq!(own.contains(r#""data_base64":"#), !is_json, "{own}");
        if is_json {
            let data = if data.is_empty() { "data\":null" } else { data };
            assert!(own.contains(data), "{data}: {own}");
        }
    }
    // What was read so can be imported, and is the same.
    let read = server.get("/events?limit=1000").text;
    let copy = Data::new();
    let copy = copy.serve();
    let lines = read.trim_start_matches(r#"{"events":["#).replace(r#"},{"position":"#, "}\n{\"position\":");
    let lines = lines.trim_end_matches(r#"],"next":null}"#);
    assert_eq!(copy.import(lines).ok()["stored"], members.len());
    let places =
        |client: &Client| cloud_events(client, "/events?limit=1000").iter().map(without_place).collect::<Vec<_>>();
    assert_eq!(places(&copy), places(&server));
}

#[test]
fn a_batch_is_stored_as_a_whole_or_not_at_all() {
    let data = Data::new();
    let server = data.serve();
    let of = |source: &str, id: &str, subject: &str| event(json!({ "source": source, "id": id, "subject": subject }));
    let empty = post_batch(&server, &json!([]));
    assert_eq!((empty.status, empty.json()), (200, json!({ "stored": 0, "skipped": 0, "last_position": 0 })));
    let batch = json!([of("/a", "1", "s"), of("/b", "1", "s"), of("/a", "2", "t"), of("/a", "1", "u")]);
    let answer = post_batch(&server, &batch);
    assert_eq!((answer.status, answer.json()), (201, json!({ "stored": 3, "skipped": 1, "last_position": 3 })));
    assert_eq!(answer.position(), 3);
    let again = post_batch(&server, &batch);
    assert_eq!((again.status, again.json()), (200, json!({ "stored": 0, "skipped": 4, "last_position": 3 })));
    assert_eq!(server.get("/streams/s/events").ok()["events"][1]["source"], "/b");
    // A stream that was closed takes none, and then no stream does.
    server.delete("/streams/t").ok();
    let batch = json!([of("/new", "1", "never"), of("/a", "1", "s"), of("/a", "3", "t")]);
    assert_eq!(post_batch(&server, &batch).refused(410, "stream-closed")["stream"], "t");
    server.get("/streams/never/events").refused(404, "stream-not-found");
    post_one(&server, &of("/a", "3", "t").to_string()).refused(410, "stream-closed");
    // What it took while it was open is known, and no reason to refuse the others.
    let batch = json!([of("/a", "2", "t"), of("/new", "2", "s")]);
    assert_eq!(post_batch(&server, &batch).json(), json!({ "stored": 1, "skipped": 1, "last_position": 4 }));
    let object = server.try_post("/events", BATCH, event(json!({})).to_string()).expect("the host answers");
    object.refused(400, "bad-request");
    post_one(&server, "[]").refused(400, "bad-request");
}

#[test]
fn in_binary_mode_headers_are_attributes_and_the_body_is_data() {
    let data = Data::new();
    let server = data.serve();
    let required = [("ce-specversion", "1.0"), ("ce-source", "/elsewhere"), ("ce-type", "Happened")];
    let send = |headers: &[(&str, &str)], body: &[u8]| {
        let headers: Vec<(&str, &str)> = required.iter().chain(headers).copied().collect();
        server.send("/events", &headers, body)
    };
    let json = [("content-type", "application/json")];
    let answer = send(
        &[
            ("CE-Id", "%31"),
            ("ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
            ("ce-time", "2018-04-05T03:56:24Z"),
            ("ce-quoted", r#""say \"a\" 100%25""#),
            ("ce-number", "7"),
            ("ce-twice", "a%2562"),
            ("ce-schemaversion", "2"),
            ("ce-position", "99"),
            json[0],
        ],
        b" {\"n\": 12345678901234567890123} ",
    );
    assert_eq!((answer.status, &answer.json()["last_revision"]), (201, &json!(0)), "{answer:?}");
    let out = cloud_events_text(&server, "/events");
    assert!(out.ends_with(r#""data":{"n": 12345678901234567890123}}]"#), "{out}");
    let found = &cloud_events(&server, "/events")[0];
    let mut found = without_place(found);
    found.as_object_mut().expect("an object").remove("data");
    assert_eq!(
        found,
        json!({
            "specversion": "1.0", "id": "1", "source": "/elsewhere", "type": "Happened", "subject": "Euro € 😀",
            "time": "2018-04-05T03:56:24Z", "datacontenttype": "application/json", "quoted": "say \"a\" 100%",
            "number": "7", "twice": "a%62", "schemaversion": 2,
        })
    );
    // By mode, the same event: a repeat.
    let again = event(json!({ "subject": "Euro € 😀" })).to_string();
    assert_eq!(post_one(&server, &again).status, 200);
    for (id, content_type, body, expected) in [
        ("none", None, &b""[..], Value::Null),
        ("none-of-json", Some("application/json"), b"", Value::Null),
        ("none-of-text", Some("text/plain"), b"", Value::Null),
        ("without-a-type", None, b"[1]", json!([1])),
        ("more-json", Some("application/vnd.x+json"), b"[2]", json!([2])),
        ("text", Some("text/plain;charset=UTF-8"), "é".as_bytes(), json!("é")),
        ("lines", Some("application/x-ndjson"), b"{}\n{}\n", json!("e30Ke30K")),
        ("bytes", Some("application/octet-stream"), b"\x00\xff", json!("AP8=")),
    ] {
        let mut headers = vec![("ce-id", id), ("ce-subject", "bodies")];
        headers.extend(content_type.map(|content_type| ("content-type", content_type)));
        let answer = send(&headers, body);
        assert_eq!(answer.status, 201, "{id}: {answer:?}");
        let found = &cloud_events(&server, &format!("/events?after={}", answer.position() - 1))[0];
        let found_data = found.get("data").or_else(|| found.get("data_base64")).cloned().unwrap_or_default();
        assert_eq!(found_data, expected, "{id}: {found}");
        assert_eq!(found["datacontenttype"], content_type.unwrap_or("application/json"), "{id}");
    }
    let stored = server.get("/events").position();
    for (headers, body, part) in [
        (vec![], &b""[..], "`id` is missing"),
        (vec![("ce-id", "")], b"", "`id` is empty"),
        (vec![("ce-id", "x"), ("ce-id", "x")], b"", "`ce-id` stands twice"),
        (vec![("ce-id", "x"), ("ce-datacontenttype", "text/plain")], b"", "is the `Content-Type`"),
        (vec![("ce-id", "x"), ("ce-data", "1")], b"", "can be called `data`"),
        (vec![("ce-id", "x"), ("ce-trace-parent", "1")], b"", "can be called `trace-parent`"),
        (vec![("ce-id", "x"), ("ce-trace_parent", "1")], b"", "can be called `trace_parent`"),
        (vec![("ce-id", "x"), ("ce-", "1")], b"", "can be called ``"),
        (vec![("ce-id", "%C0%A0")], b"", "`ce-id` is not UTF-8"),
        (vec![("ce-id", "100%")], b"", "`ce-id` has a `%`"),
        (vec![("ce-id", "\"x")], b"", "stray double quote"),
        (vec![("ce-id", "x%0Ay")], b"", "U+000A"),
        (vec![("ce-id", "x%EF%BF%BF")], b"", "U+FFFF"),
        (vec![("ce-id", "x"), ("ce-time", "now")], b"", "`time` is `now`"),
        (vec![("ce-id", "x"), ("ce-schemaversion", "two")], b"", "versions count from 1"),
        (vec![("ce-id", "x"), ("content-type", "plain")], b"x", "not a media type"),
        (vec![("ce-id", "x"), json[0]], b"{", "the data is not JSON"),
        (vec![("ce-id", "x"), json[0]], b"\"\xff\"", "the data is not JSON"),
        (vec![("ce-id", "x"), json[0]], b"{} {}", "the data is not JSON"),
        (vec![("ce-id", "x"), json[0]], b"\"\\ud800\"", "cannot be read back"),
        (vec![("ce-id", "x")], b"plain text", "the data is not JSON"),
    ] {
        let problem = send(&headers, body).refused(400, "bad-request");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(part)), "{headers:?}: {problem}");
    }
    // One attribute makes it a CloudEvent, which then must be whole.
    let problem = server.send("/events", &[("ce-id", "x"), json[0]], r#"{"streams": []}"#).refused(400, "bad-request");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("`specversion` is missing")), "{problem}");
    assert_eq!(server.get("/events").position(), stored);
}

#[test]
fn the_log_goes_out_as_cloud_events() {
    let data = Data::new();
    let mut server = data.serve_with(&["--cloudevents-source", "/laterna"]);
    // Inside the module that all of it belongs to.
    server.client = server.with_token(&["append", "read"], Some("shop"));
    let events = json!([
        { "id": "1", "type": "Plain" },
        { "id": "2", "type": "Full", "schema_version": 4_000_000_000_u32, "occurred_at": "2010-12-01T08:26:00Z",
          "data": { "a": [1] }, "visibility": "internal", "correlation_id": "c", "causation_id": "b",
          "metadata": { "user": "u", "tries": 3, "dry": false, "dataschema": "urn:x:y" } },
        { "id": "3", "type": "Odd", "metadata": {
          "user": "u", "Actor": "x", "at_once": 1, "big": 2_147_483_648_u64, "none": null, "deep": { "a": "\u{85}\u{fdd0}" },
          "id": "other", "position": 7, "data": 1, "correlationid": "other", "dataschema": "relative", "metadata": "mine",
          "line": "a\nb", "": 1 } },
        { "id": "4", "type": "List", "metadata": [1, { "a": "\u{7f}" }] },
        { "id": "5", "type": "Text", "metadata": "just text" },
        { "id": "6", "type": "Own", "metadata": { "metadata": "mine" } },
        { "id": "7\n50%", "type": "T\u{1fffe}", "correlation_id": "\u{0}" },
    ]);
    server.post("/streams/order-1%0A/events", &json!({ "events": events })).ok();
    let pretty =
        "{\"stream\": \"order-1\\n\", \"id\": \"8\", \"type\": \"Spaced\", \"metadata\": {\"A\":\t[ 1,\r2 ] }}";
    server.import(pretty).ok();
    let own = server.get("/events").ok()["events"].clone();
    let out = cloud_events(&server, "/events");
    let out_with = |index: usize, more: Value| {
        let found = &own[index];
        let mut expected = json!({
            "specversion": "1.0", "source": "/laterna", "id": found["id"], "type": found["type"], "subject": "order-1%0A",
            "time": found["occurred_at"], "datacontenttype": "application/json", "schemaversion": 1,
            "position": (index + 1).to_string(), "revision": index.to_string(), "recordedtime": found["recorded_at"], "module": "shop",
        });
        expected.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        assert_eq!(out[index], expected);
    };
    out_with(0, json!({}));
    out_with(
        1,
        json!({
            "schemaversion": "4000000000", "data": { "a": [1] }, "visibility": "internal", "correlationid": "c",
            "causationid": "b", "user": "u", "tries": 3, "dry": false, "dataschema": "urn:x:y",
        }),
    );
    let rest = r#"{"Actor":"x","at_once":1,"big":2147483648,"none":null,"deep":{"a":"\u0085\ufdd0"},"id":"other","position":7,"data":1,"correlationid":"other","dataschema":"relative","line":"a\nb","":1,"metadata":"mine"}"#;
    out_with(2, json!({ "user": "u", "metadata": rest }));
    out_with(3, json!({ "metadata": r#"[1,{"a":"\u007f"}]"# }));
    out_with(4, json!({ "metadata": r#""just text""# }));
    out_with(5, json!({ "metadata": "mine" }));
    out_with(6, json!({ "id": "7%0A50%25", "type": "T%F0%9F%BF%BE", "correlationid": "%00" }));
    out_with(7, json!({ "metadata": r#"{"A":[ 1, 2 ]}"# }));
    out.iter().for_each(assert_valid);
}

#[test]
fn pages_follow_one_another_in_links() {
    let data = Data::new();
    let server = data.serve();
    let of = |id: usize| {
        event(json!({ "id": id.to_string(), "subject": if id.is_multiple_of(2) { "even €" } else { "odd" } }))
    };
    post_batch(&server, &(1..=10).map(of).collect()).ok();
    let stream = format!("/streams/{}/events", encoded("even €"));
    for (start, expected) in [
        ("/events?limit=3".to_owned(), (1..=10).collect::<Vec<u64>>()),
        ("/events?limit=4&category=odd&after=1".to_owned(), vec![3, 5, 7, 9]),
        (format!("{stream}?limit=2"), vec![2, 4, 6, 8, 10]),
        (format!("{stream}?limit=2&direction=backwards&from=3"), vec![8, 6, 4, 2]),
    ] {
        let mut found = Vec::new();
        let mut path = Some(start.clone());
        while let Some(here) = path {
            let answer = server.get_as(&here, "application/cloudevents+json;q=0.9, */*;q=0.1");
            let own = server.get_as(&here, "application/json");
            assert_eq!(answer.header("content-type"), Some(BATCH), "{answer:?}");
            assert_eq!(answer.position(), own.position());
            assert_eq!((answer.header("vary"), own.header("vary")), (Some("accept"), Some("accept")));
            let events = answer.json();
            found.extend(events.as_array().expect("an array").iter().map(|event| event["id"].clone()));
            path = answer.header("link").map(|link| {
                link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).expect("a link").to_owned()
            });
            assert_eq!(path.as_deref(), own.json()["next"].as_str());
        }
        let expected: Vec<Value> = expected.iter().map(|id| json!(id.to_string())).collect();
        assert_eq!(found, expected, "{start}");
    }
    // Who does not want it does not get it.
    for accept in ["*/*", "application/json", "application/cloudevents+json;q=0", "text/html"] {
        let page = server.get_as("/events?limit=1", accept);
        assert_eq!(page.header("content-type"), Some("application/json"), "{accept}");
        assert_eq!(page.json()["next"], "/events?after=1&limit=1");
    }
}

#[test]
fn a_feed_can_be_of_cloud_events() {
    let data = Data::new();
    let server = data.serve();
    post_batch(&server, &json!([event(json!({ "id": "1" })), event(json!({ "id": "2" }))])).ok();
    let mut followed = Vec::new();
    server.follow("/events", &[("accept", ONE)], |name, id, data| {
        if name.is_empty() {
            followed.push((id.to_owned(), serde_json::from_str::<Value>(data).expect("JSON")));
        }
        if followed.len() == 2 {
            // Written while it is followed.
            post_one(&server, &event(json!({ "id": "3" })).to_string()).ok();
        }
        followed.len() < 3
    });
    let page = cloud_events(&server, "/events");
    let expected: Vec<(String, Value)> =
        page.into_iter().map(|event| (event["position"].as_str().expect("a text").to_owned(), event)).collect();
    assert_eq!(followed, expected);
    server.follow("/events", &[("accept", "application/cloudevents+json;q=0")], |_, _, data| {
        assert_eq!(serde_json::from_str::<Value>(data).expect("JSON")["schema_version"], 1);
        false
    });
}

/// What must hold for each CloudEvent, as the specification says it.
fn assert_valid(event: &Value) {
    let members = event.as_object().unwrap_or_else(|| panic!("{event} is not an object"));
    assert_eq!(event["specversion"], "1.0");
    for name in ["id", "source", "type", "subject", "time"] {
        assert!(event[name].as_str().is_some_and(|text| !text.is_empty()), "{name}: {event}");
    }
    assert!(!(members.contains_key("data") && members.contains_key("data_base64")), "{event}");
    for (name, value) in members.iter().filter(|(name, _)| !["data", "data_base64"].contains(&name.as_str())) {
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        assert!(is_name, "{name}: {event}");
        let is_value = match value {
            Value::Bool(_) => true,
            Value::Number(number) => number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            Value::String(text) => text.chars().all(|character| {
                let code = u32::from(character);
                let is_control = code < 0x20 || (0x7f..0xa0).contains(&code);
                let is_noncharacter = (0xfdd0..=0xfdef).contains(&code) || code % 0x1_0000 >= 0xfffe;
                !is_control && !is_noncharacter
            }),
            _ => false,
        };
        assert!(is_value, "{name}: {event}");
    }
}

#[test]
fn whatever_one_host_holds_another_takes_in_and_gives_out_alike() {
    let mut rng = seeded("whatever_one_host_holds_another_takes_in_and_gives_out_alike");
    let (here, there, back) = (Data::new(), Data::new(), Data::new());
    // Inside the module that all of it belongs to, on every host.
    let serve = |data: &Data, name: &str| {
        let mut server = data.serve_with(&["--cloudevents-source", name]);
        server.client = server.with_token(&["append", "read"], Some("shop"));
        server
    };
    let (from, to, returned) = (serve(&here, "//here"), serve(&there, "//there"), serve(&back, "//here"));
    let lines: Vec<String> = (0..400).map(|number| random_line(&mut rng, number).to_string()).collect();
    assert_eq!(from.import(&lines.join("\n")).ok()["stored"], 400);
    let events: Vec<Value> = (0..400).map(|number| random_event(&mut rng, number)).collect();
    assert_eq!(post_batch(&from, &json!(events)).ok()["stored"], 400);
    let first = cloud_events_text(&from, "/events?limit=1000");
    let parsed = |text: &str| -> Vec<Value> { serde_json::from_str(text).expect("an array") };
    parsed(&first).iter().for_each(assert_valid);
    let moved = to.try_post("/events", BATCH, first.clone()).expect("the host answers");
    assert_eq!((moved.status, &moved.json()["stored"]), (201, &json!(800)), "{moved:?}");
    let second = cloud_events_text(&to, "/events?limit=1000");
    let moved = returned.try_post("/events", BATCH, second.clone()).expect("the host answers");
    assert_eq!((moved.status, &moved.json()["stored"]), (201, &json!(800)), "{moved:?}");
    let third = cloud_events_text(&returned, "/events?limit=1000");
    let without_places = |text: &str| -> Vec<Value> { parsed(text).iter().map(without_place).collect() };
    assert_eq!(without_places(&first), without_places(&second));
    assert_eq!(without_places(&first), without_places(&third));
    // What began here is of here again.
    let sources = |client: &Client| -> Vec<Value> {
        let page = client.get("/events?limit=1000").ok();
        page["events"].as_array().expect("a page").iter().map(|event| event["source"].clone()).collect()
    };
    assert_eq!(sources(&from), sources(&returned));
    assert!(sources(&to).contains(&json!("//here")));
}

const NAMES: &[&str] =
    &["a", "zone2", "user", "Actor", "metadata", "dataschema", "id", "position", "data", "a_b", "correlationid", ""];
const TEXTS: &[&str] = &[
    "x",
    "order-1",
    "100%",
    "%0A",
    "Ünï €😀",
    " a b ",
    "\"q\"",
    "line\nbreak",
    "\u{0}",
    "\u{9f}",
    "\u{fffe}",
    "urn:a:b",
];

fn random_line(rng: &mut Rng, number: usize) -> Value {
    let mut text = || TEXTS[rng.usize(..TEXTS.len())];
    let (stream, event_type, correlation, id) = (text(), text(), text(), text());
    let mut line = json!({
        "stream": stream, "type": event_type, "correlation_id": correlation, "id": format!("{id}{number}"),
        "data": random_json(rng, 2), "schema_version": if rng.bool() { rng.u32(1..) } else { 1 },
    });
    if rng.bool() {
        line["metadata"] = random_json(rng, 2);
    }
    if rng.u8(..3) == 0 {
        line["visibility"] = json!("internal");
    }
    if rng.u8(..3) == 0 {
        line["source"] = json!(["urn:a:b", "/c", "//there/d"][rng.usize(..3)]);
    }
    line
}

fn random_event(rng: &mut Rng, number: usize) -> Value {
    let allowed = &TEXTS[..7];
    let mut members = Map::new();
    for name in ["ext", "other1", "metadata", "subject", "correlationid"] {
        if rng.bool() {
            members.insert(name.to_owned(), json!(allowed[rng.usize(..allowed.len())]));
        }
    }
    members.insert("number".to_owned(), json!(rng.i32(..)));
    let length = 4 * rng.usize(..20);
    let bytes: String = std::iter::repeat_with(|| rng.alphanumeric()).take(length).collect();
    match rng.u8(..4) {
        0 => drop(members.insert("data".to_owned(), random_json(rng, 2))),
        1 => {
            members.insert("datacontenttype".to_owned(), json!("application/x-bytes"));
            members.insert("data_base64".to_owned(), json!(bytes));
        }
        2 => {
            members.insert("datacontenttype".to_owned(), json!("text/plain"));
            members.insert("data".to_owned(), json!(TEXTS[rng.usize(..TEXTS.len())]));
        }
        _ => {}
    }
    members.insert("id".to_owned(), json!(format!("e{number}")));
    members.insert("source".to_owned(), json!(["/x", "urn:y:z", "//here", "//there"][rng.usize(..4)]));
    event(Value::Object(members))
}

fn random_json(rng: &mut Rng, depth: usize) -> Value {
    match rng.u8(..if depth == 0 { 5 } else { 8 }) {
        0 => Value::Null,
        1 => json!(rng.bool()),
        2 => json!(rng.i32(..)),
        3 => json!(rng.u64(..)),
        4 => json!(TEXTS[rng.usize(..TEXTS.len())]),
        5 => (0..rng.usize(..3)).map(|_| random_json(rng, depth - 1)).collect(),
        _ => {
            let members =
                (0..rng.usize(..6)).map(|_| (NAMES[rng.usize(..NAMES.len())].to_owned(), random_json(rng, depth - 1)));
            Value::Object(members.collect())
        }
    }
}
