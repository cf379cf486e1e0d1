//! Following the log: a feed shows what stands there and what comes, can be taken up again at any position, and costs the host
//! little, whoever reads it and however.

use laterna_tests::feed::Feed;
use laterna_tests::{Data, PATIENCE, Server};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// Appends events of this type, each saying what number it is.
fn append(server: &Server, event_type: &str, count: usize) -> u64 {
    let events: Vec<Value> = (1..=count).map(|number| json!({ "type": event_type, "data": number })).collect();
    let answer = server.post(&format!("/streams/{event_type}-1/events"), &json!({ "events": events }));
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.position()
}

#[test]
fn from_any_position_on() {
    let data = Data::in_memory();
    let server = data.serve();
    append(&server, "Counted", 20);

    // Given twenty events, a feed shows them from the first one on, and each as a page does.
    let page = server.get("/events").ok();
    let mut feed = server.feed("/events", &[]);
    for event in page["events"].as_array().expect("events") {
        let said = feed.event();
        assert_eq!((said.name.as_str(), &said.json()), ("", event));
        assert_eq!(said.position(), event["position"]);
    }

    // It goes on with those that come.
    append(&server, "Counted", 1);
    assert_eq!(feed.event().position(), 21);

    // Another one begins behind a position, or behind the last one that was seen, which counts more.
    assert_eq!(server.feed("/events?after=5", &[]).event().position(), 6);
    assert_eq!(server.resume("/events", 12).event().position(), 13);
    assert_eq!(server.resume("/events?after=5", 12).event().position(), 13);
    assert_eq!(server.resume("/events", 0).event().position(), 1);

    // Behind the head, it shows what comes.
    let mut at_head = server.resume("/events", 21);
    let mut beyond = server.feed("/events?after=22", &[]);
    append(&server, "Counted", 2);
    assert_eq!([at_head.event().position(), at_head.event().position()], [22, 23]);
    assert_eq!(beyond.event().position(), 23);
}

#[test]
fn a_feed_that_is_taken_up_again_and_again_shows_each_event_once() {
    let data = Data::in_memory();
    let server = data.serve();
    let head = append(&server, "Counted", 1_000);
    let (mut seen, mut feeds) = (0, 0);
    while seen < head {
        let mut feed = server.resume("/events", seen);
        // Each time it breaks off a little later.
        for _ in 0..=feeds {
            if seen < head {
                let said = feed.event();
                assert_eq!((said.position(), &said.json()["data"]), (seen + 1, &json!(seen + 1)));
                seen += 1;
            }
        }
        feeds += 1;
    }
}

#[test]
fn through_a_filter_heartbeats_carry_the_position() {
    let data = Data::in_memory();
    let server = data.serve_with(&["--heartbeat-ms", "5"]);
    for (number, filter) in ["type=Signal0", "category=Signal1", "type=Signal2,Never", "type=Signal3&category=Signal3"]
        .into_iter()
        .enumerate()
    {
        // Given events that the reader has not asked for, when it follows, then a heartbeat brings it to the head all the same.
        let head = append(&server, "Noise", 700);
        let path = format!("/events?{filter}");
        let mut feed = server.feed(&path, &[]);
        let said = feed.next().expect("the feed goes on").expect("the feed does not break off");
        assert!(said.is_heartbeat(), "{said:?}");
        assert_eq!((said.position(), &said.json()), (head, &json!({ "position": head })));

        // Taken up again behind a heartbeat, the feed misses nothing and repeats nothing, and no noise is heard.
        let mut resumed = server.resume(&path, said.position());
        append(&server, &format!("Signal{number}"), 2);
        let head = append(&server, "Noise", 1);
        for feed in [&mut feed, &mut resumed] {
            assert_eq!([feed.event().position(), feed.event().position()], [head - 2, head - 1]);
            let mut beat = feed.heartbeat();
            while beat.position() < head {
                beat = feed.heartbeat();
            }
            assert_eq!(beat.position(), head);
        }
    }
}

#[test]
fn what_events_hold_does_not_disturb_the_feed() {
    let data = Data::in_memory();
    let server = data.serve();
    let pretty =
        ["{\r\n  \"a\" : [1,\r2,\n\n3],\n\"id: 7\":\t1e2}", "\"data: \\n\\nid: 9\\r\\u0000\"", "[\n\n\n]", "7.10"];
    for data in pretty {
        let body = format!("{{\"events\":[{{\"type\":\"Pretty\",\"data\":{data}}}]}}");
        let answer = server.try_post("/streams/pretty/events", "application/json", body).expect("the host answers");
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    let page = server.get("/events");
    let mut feed = server.feed("/events", &[]);
    for (event, (position, data)) in page.ok()["events"].as_array().expect("events").iter().zip((1..).zip(pretty)) {
        let said = feed.event();
        assert_eq!((said.position(), &said.json()), (position, event));
        assert_eq!(event["data"], serde_json::from_str::<Value>(data).expect("JSON"));
        assert!(page.text.contains(&format!("\"data\":{data},")), "not as it was sent: {}", page.text);
    }
}

#[test]
fn a_place_that_is_no_position_is_refused() {
    let data = Data::in_memory();
    let server = data.serve();
    append(&server, "Counted", 1);
    for place in ["one", "-1", "1.5"] {
        for refused in [
            server.try_feed("/events", &[("last-event-id", place)]).err(),
            server.try_feed(&format!("/events?after={place}"), &[]).err(),
        ] {
            let refused = refused.expect("it is not followed");
            assert_eq!((refused.status, refused.problem().as_str()), (400, "bad-parameter"));
        }
    }
}

#[test]
fn no_more_followers_than_may() {
    let data = Data::in_memory();
    let server = data.serve_with(&["--followers", "2"]);
    append(&server, "Counted", 3);
    let mut first = server.feed("/events", &[]);
    let second = server.feed("/events", &[]);

    // A third one is turned away, and nobody else is harmed.
    let refused = server.try_feed("/events", &[]).err().expect("there is no place");
    assert_eq!((refused.status, refused.problem().as_str()), (503, "too-many-followers"));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(server.get("/events").ok()["events"].as_array().map(Vec::len), Some(3));
    append(&server, "Counted", 1);
    assert_eq!([(); 4].map(|()| first.event().position()), [1, 2, 3, 4]);

    // Once one is gone, there is a place again.
    drop(second);
    let begun = Instant::now();
    let mut third = loop {
        match server.try_feed("/events", &[]) {
            Ok(feed) => break feed,
            Err(refused) => assert_eq!(refused.problem(), "too-many-followers"),
        }
        assert!(begun.elapsed() < PATIENCE, "the place is not given back");
    };
    assert_eq!(third.event().position(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn those_who_do_not_read_do_not_fill_the_memory() {
    const EVENT_BYTES: usize = 128 << 10;
    const FOLLOWERS: usize = 16;
    // Were all of it kept for each of them, it would be 16 times 48 MiB.
    const EVENTS_PER_APPEND: usize = 64;
    const APPENDS: u64 = 6;
    const ENOUGH_BYTES: u64 = 160 << 20;

    let data = Data::in_memory();
    let server = data.serve();
    let text = "x".repeat(EVENT_BYTES);
    let append = || {
        let events = vec![json!({ "type": "Large", "data": text }); EVENTS_PER_APPEND];
        server.post("/streams/large/events", &json!({ "events": events })).ok();
    };
    // Given a log that one reader has read, with all that this costs
    let read_all = |feed: &mut Feed, head: u64| {
        for position in 1..=head {
            assert_eq!(feed.event().position(), position);
        }
    };
    (0..APPENDS - 2).for_each(|_| append());
    let head = (APPENDS - 2) * EVENTS_PER_APPEND as u64;
    read_all(&mut server.feed("/events", &[]), head);
    let before = most_memory(&server);

    // when many follow it who do not read, and it goes on, as one sees who does read,
    let mut stalled: Vec<Feed> = (0..FOLLOWERS).map(|_| server.feed("/events", &[])).collect();
    let mut reader = server.feed("/events", &[]);
    (0..2).for_each(|_| append());
    let head = APPENDS * EVENTS_PER_APPEND as u64;
    read_all(&mut reader, head);

    // then the host has kept a little for each of them,
    let grown = most_memory(&server) - before;
    assert!(grown < ENOUGH_BYTES, "{} MiB more", grown >> 20);
    // and who reads on at last misses nothing.
    read_all(&mut stalled[0], head);
    read_all(&mut stalled[FOLLOWERS - 1], head);
}

/// The most memory that the host had at any time, in bytes.
#[cfg(target_os = "linux")]
fn most_memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak of its memory");
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
    kib << 10
}

#[test]
fn when_the_host_stops_feeds_end() {
    let data = Data::in_memory();
    let server = data.serve();
    append(&server, "Counted", 3);
    // Given a feed that is read, one that waits at the head, and one that waits for what never comes,
    let mut read = server.feed("/events", &[]);
    let mut at_head = server.resume("/events", 3);
    let mut filtered = server.feed("/events?type=Never", &[]);
    assert_eq!([(); 3].map(|()| read.event().position()), [1, 2, 3]);
    append(&server, "Counted", 1);
    assert_eq!([read.event().position(), at_head.event().position()], [4, 4]);

    // when the host is told to stop, it does, and each feed has come to its end and did not break off.
    server.stop();
    for feed in [&mut read, &mut at_head, &mut filtered] {
        assert!(feed.next().is_none());
    }
}

#[test]
fn the_host_stops_although_somebody_does_not_read() {
    let data = Data::in_memory();
    let server = data.serve_with(&["--grace-ms", "50"]);
    let events = vec![json!({ "type": "Large", "data": "x".repeat(1 << 19) }); 20];
    for _ in 0..4 {
        server.post("/streams/large/events", &json!({ "events": events })).ok();
    }
    // Given one who follows and does not read, one who has sent half a request, and one who has said nothing yet,
    let mut stalled = server.feed("/events", &[]);
    assert_eq!(stalled.event().position(), 1);
    let address = server.url.strip_prefix("http://").expect("an address").to_owned();
    let mut half = TcpStream::connect(&address).expect("the host listens");
    half.write_all(b"POST /events HTTP/1.1\r\nhost: laterna\r\ncontent-length: 100\r\n\r\n{").expect("it is sent");
    let mut silent = TcpStream::connect(&address).expect("the host listens");

    // when the host is told to stop, it does not wait for them for ever.
    server.stop();
    assert_eq!(silent.read(&mut [0; 1]).unwrap_or(0), 0);
    // What was appended stands there.
    assert_eq!(data.serve().get("/").ok()["head"], 80);
}
