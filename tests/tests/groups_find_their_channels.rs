//! Groups and channels are made by two services that must not know each other; a third keeps the reference.

use laterna_tests::{Client, Data, random};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn line(stream: &str, event_type: &str, data: &Value) -> String {
    json!({ "stream": stream, "type": event_type, "data": data }).to_string()
}

fn set(values: impl IntoIterator<Item = (String, String)>) -> BTreeSet<(String, String)> {
    values.into_iter().collect()
}

/// Pairs of two members of events.
fn pairs(events: &[Value], one: &str, other: &str) -> Vec<(String, String)> {
    let text = |event: &Value, member: &str| event["data"][member].as_str().expect("an id").to_owned();
    events.iter().map(|event| (text(event, one), text(event, other))).collect()
}

fn assert_once(events: &[Value], one: &str, other: &str, expected: &BTreeSet<(String, String)>) {
    let found = pairs(events, one, other);
    assert_eq!(set(found.clone()), *expected);
    assert_eq!(found.len(), expected.len(), "some came twice: {found:?}");
}

fn rows(client: &Client, table: &str) -> Vec<Value> {
    client.rows("channel-directory", table)
}

#[test]
fn each_pair_is_linked_once_whatever_comes_first_and_members_wait_for_that() {
    // Given groups and channels with request ids, channels without a group, and members who were invited,
    let mut rng = random::seeded("groups");
    let (mut lines, mut linked, mut admitted) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for request in 0..200 {
        let (group, channel) = (format!("g{request}"), format!("c{request}"));
        let request_id = format!("r{request}");
        let has_group = request % 4 != 0;
        lines.push(line(
            &format!("channel-{channel}"),
            "ChannelCreated",
            &json!({ "channel_id": channel, "request_id": if has_group { json!(request_id) } else { Value::Null } }),
        ));
        if !has_group {
            continue;
        }
        lines.push(line(
            &format!("group-{group}"),
            "GroupCreated",
            &json!({ "group_id": group, "request_id": request_id }),
        ));
        linked.insert((group.clone(), channel));
        for member in 0..rng.usize(0..4) {
            let member = format!("m{request}.{member}");
            let data = json!({ "member_id": member, "request_id": request_id });
            lines.push(line(&format!("member-{member}"), "MemberInvited", &data));
            admitted.insert((member, group.clone()));
        }
    }
    // in any order, and some of them told twice,
    let again: Vec<String> = lines.iter().filter(|_| rng.u8(..) < 40).cloned().collect();
    lines.extend(again);
    rng.shuffle(&mut lines);

    // when they come in, and the host is killed in between,
    let data = Data::new();
    let mut server = data.serve();
    data.serve_components(&server, &["channel-groups", "channel-directory"]);
    for part in lines.chunks(lines.len().div_ceil(4)) {
        server.import(&part.join("\n")).ok();
        server.kill();
        server = data.serve();
    }
    server.wait_until_quiet(&["channel-groups"]);

    // then each pair is linked once, and each member admitted once,
    assert_once(&server.events_of(&["GroupChannelLinked"]), "group_id", "channel_id", &linked);
    assert_once(&server.events_of(&["MemberAdmitted"]), "member_id", "group_id", &admitted);
    // and the directory shows it: channels without a group are there without one.
    let channels = rows(&server, "channels");
    let with_group = channels.iter().filter(|row| !row["group_id"].is_null());
    let text = |row: &Value, column: &str| row[column].as_str().expect("an id").to_owned();
    assert_eq!(set(with_group.map(|row| (text(row, "group_id"), text(row, "channel_id")))), linked);
    assert_eq!(channels.len(), 200);
    let members = rows(&server, "members");
    assert_eq!(set(members.iter().map(|row| (text(row, "member_id"), text(row, "group_id")))), admitted);
    // Neither service wrote anything beyond its own id and the request's.
    for event in server.events_of(&["GroupCreated", "ChannelCreated"]) {
        assert!(event["data"].as_object().expect("an object").len() <= 2, "{event}");
    }
    server.verify_exact("channel-groups");
}
