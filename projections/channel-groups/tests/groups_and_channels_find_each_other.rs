//! Groups, channels and members find each other, whatever the order in which they come, and however often.

use channel_groups::ChannelGroups;
use laterna_sdk::native::{NewEvent, Process};
use laterna_sdk::{Json, Result, json};
use std::collections::BTreeSet;

fn group(group_id: &str, request_id: Option<&str>) -> NewEvent {
    NewEvent::new(
        &format!("group-{group_id}"),
        "GroupCreated",
        json!({ "group_id": group_id, "request_id": request_id }),
    )
}

fn channel(channel_id: &str, request_id: Option<&str>) -> NewEvent {
    let data = json!({ "channel_id": channel_id, "request_id": request_id });
    NewEvent::new(&format!("channel-{channel_id}"), "ChannelCreated", data)
}

fn invited(member_id: &str, request_id: &str) -> NewEvent {
    let data = json!({ "member_id": member_id, "request_id": request_id });
    NewEvent::new(&format!("invitation-{member_id}"), "MemberInvited", data)
}

/// Type and data of what was appended, in an order that does not hang on that of the events.
fn told(process: &Process<ChannelGroups>) -> Vec<(String, Json)> {
    let mut told: Vec<(String, Json)> =
        process.effects().iter().map(|effect| (effect.event_type.clone(), effect.data.clone())).collect();
    told.sort_by_key(|(event_type, data)| (event_type.clone(), data.to_string()));
    told
}

/// All sequences of these events of this length.
fn sequences(of: &[NewEvent], length: usize) -> Vec<Vec<NewEvent>> {
    (0..length).fold(vec![vec![]], |shorter, _| {
        let longer = |sequence: Vec<NewEvent>| {
            of.iter().map(move |next| sequence.iter().chain([next]).cloned().collect::<Vec<_>>())
        };
        shorter.into_iter().flat_map(longer).collect()
    })
}

#[test]
fn a_request_ends_the_same_in_every_order_and_with_repeats() -> Result<()> {
    let facts = [group("g1", Some("r1")), channel("c1", Some("r1")), invited("ann", "r1"), invited("bob", "r1")];
    let expected = vec![
        ("GroupChannelLinked".to_owned(), json!({ "group_id": "g1", "channel_id": "c1", "request_id": "r1" })),
        ("MemberAdmitted".to_owned(), json!({ "member_id": "ann", "group_id": "g1", "channel_id": "c1" })),
        ("MemberAdmitted".to_owned(), json!({ "member_id": "bob", "group_id": "g1", "channel_id": "c1" })),
    ];
    let types = |sequence: &[NewEvent]| sequence.iter().map(|fact| fact.data.to_string()).collect::<BTreeSet<_>>();
    let complete = |sequence: &Vec<NewEvent>| types(sequence).len() == facts.len();
    for sequence in (4..=6).flat_map(|length| sequences(&facts, length)).filter(complete) {
        // given: all facts, one by one
        let mut one_by_one = Process::<ChannelGroups>::new();
        sequence.iter().try_for_each(|fact| one_by_one.give([fact.clone()]))?;
        // and all at once, so that what it appends comes behind them
        let mut at_once = Process::<ChannelGroups>::new();
        at_once.give(sequence.clone())?;
        // then
        for process in [one_by_one, at_once] {
            assert_eq!(told(&process), expected, "{sequence:?}");
        }
    }
    Ok(())
}

#[test]
fn what_has_no_request_stands_for_itself() -> Result<()> {
    let mut process = Process::<ChannelGroups>::new();
    process.give([group("g1", None), channel("c1", None), channel("c2", Some("r2"))])?;
    assert!(process.effects().is_empty());
    assert_eq!(process.instances().collect::<Vec<_>>(), ["r2"]);
    Ok(())
}

#[test]
fn requests_are_kept_apart() -> Result<()> {
    let mut process = Process::<ChannelGroups>::new();
    process.give([
        group("g1", Some("r1")),
        channel("c2", Some("r2")),
        group("g2", Some("r2")),
        invited("ann", "r1"),
    ])?;
    let linked = ("GroupChannelLinked".to_owned(), json!({ "group_id": "g2", "channel_id": "c2", "request_id": "r2" }));
    assert_eq!(told(&process), [linked]);
    Ok(())
}
