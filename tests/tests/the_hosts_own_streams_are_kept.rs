//! Streams in which Laterna itself speaks to processes: nobody appends to them or closes them, and an import brings them along.

use laterna_tests::{Answer, Client, Data};
use serde_json::{Value, json};

const OWN: &str = "process:order-payment";

fn cloud_event(client: &Client, media_type: &str, event: &Value) -> Answer {
    client.try_post("/events", media_type, event.to_string()).expect("the host answers")
}

fn refused(answer: &Answer) {
    let body = answer.refused(403, "reserved-name");
    assert_eq!(body["stream"], OWN);
    assert!(body["detail"].as_str().is_some_and(|detail| detail.contains("`process:`")), "{body}");
}

#[test]
fn nobody_speaks_in_the_hosts_name() {
    let data = Data::new();
    let server = data.serve();
    let events = json!([{ "id": "1", "type": "timer.fired", "data": {} }]);

    // Whoever appends there is refused, by every door, and nothing of what comes with it is stored.
    refused(&server.post(&format!("/streams/{OWN}/events"), &json!({ "events": events })));
    let several = json!({ "streams": [{ "stream": "a", "events": events }, { "stream": OWN, "events": [] }] });
    refused(&server.post("/events", &several));
    let event = |source: &str, subject: Option<&str>| {
        let mut event = json!({ "specversion": "1.0", "id": "1", "source": source, "type": "timer.fired" });
        if let Some(subject) = subject {
            event["subject"] = subject.into();
        }
        event
    };
    let (by_subject, by_source) = (event("/till", Some(OWN)), event(OWN, None));
    let one = "application/cloudevents+json";
    refused(&cloud_event(&server, one, &by_subject));
    refused(&cloud_event(&server, one, &by_source));
    let batch = json!([event("/till", Some("a")), by_subject]);
    refused(&cloud_event(&server, "application/cloudevents-batch+json", &batch));
    let attributes = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/till"),
        ("ce-type", "timer.fired"),
        ("ce-subject", OWN),
        ("content-type", "application/json"),
    ];
    refused(&server.send("/events", &attributes, b"{}"));
    refused(&server.delete(&format!("/streams/{OWN}")));
    // Nor does anybody take an id away from what a process is to do.
    let taken = json!([{ "id": "process:order-payment:1.0:7", "type": "PaymentReceived" }]);
    server.post("/streams/a/events", &json!({ "events": taken })).refused(403, "reserved-name");
    assert_eq!(server.get("/events").position(), 0);

    // Streams that are only called alike are everybody's.
    for stream in ["process", "process-1", "processes:1", "Process:1", "a-process:1"] {
        let answer = server.post(&format!("/streams/{stream}/events"), &json!({ "events": [{ "type": "T" }] }));
        assert_eq!(answer.status, 201, "{stream}: {answer:?}");
        server.delete(&format!("/streams/{stream}")).ok();
    }
}

#[test]
fn a_history_comes_with_what_the_host_told_in_it() {
    // Given what another host told its processes,
    let data = Data::new();
    let server = data.serve();
    let line = json!({ "stream": OWN, "id": "1", "type": "timer.fired", "data": { "timer": "payment" } });
    // when it is imported,
    assert_eq!(server.import(&line.to_string()).ok()["stored"], 1);
    assert_eq!(server.import(&line.to_string()).ok()["skipped"], 1);
    // then it stands there, and is still nobody's to close.
    let page = server.get(&format!("/streams/{OWN}/events")).ok();
    assert_eq!(page["events"][0]["data"], json!({ "timer": "payment" }));
    refused(&server.delete(&format!("/streams/{OWN}")));
    refused(&server.post(&format!("/streams/{OWN}/events"), &json!({ "events": [] })));
}
