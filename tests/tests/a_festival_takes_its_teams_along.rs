//! Teams belong to exactly one festival. One that is deleted takes its teams along, each once, also those that move in meanwhile.

use laterna_tests::{Client, Data, random};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn line(stream: &str, event_type: &str, data: &Value) -> String {
    json!({ "stream": stream, "type": event_type, "data": data }).to_string()
}

fn festival(id: usize) -> String {
    line(&format!("festival-{id}"), "FestivalCreated", &json!({ "festival_id": id.to_string(), "name": "Larks" }))
}

fn team(id: usize, festival: usize) -> String {
    let data = json!({ "team_id": id.to_string(), "festival_id": festival.to_string(), "name": "Owls" });
    line(&format!("team-{id}"), "TeamCreated", &data)
}

fn moved(id: usize, festival: usize) -> String {
    let data = json!({ "team_id": id.to_string(), "festival_id": festival.to_string() });
    line(&format!("team-{id}"), "TeamMoved", &data)
}

fn deleted(festival: usize) -> String {
    line(&format!("festival-{festival}"), "FestivalDeleted", &json!({ "festival_id": festival.to_string() }))
}

/// The teams that were deleted, each as often as it was.
fn deletions(client: &Client) -> Vec<usize> {
    let events = client.events_of(&["TeamDeleted"]);
    let id = |event: &Value| event["data"]["team_id"].as_str().expect("an id").parse().expect("a number");
    events.iter().map(id).collect()
}

#[test]
fn every_team_goes_once_also_those_that_move_in_while_the_host_is_killed() {
    const FESTIVALS: usize = 20;
    const TEAMS: usize = 400;
    let mut rng = random::seeded("festivals");
    let data = Data::new();
    let mut server = data.serve();
    data.serve_components(&server, &["festival", "festival-cleanup"]);

    // Given festivals with their teams, some of which move,
    let mut home: BTreeMap<usize, usize> = BTreeMap::new();
    let mut lines: Vec<String> = (0..FESTIVALS).map(festival).collect();
    for id in 0..TEAMS {
        home.insert(id, rng.usize(0..FESTIVALS));
        lines.push(team(id, home[&id]));
    }
    for _ in 0..TEAMS / 4 {
        let (id, to) = (rng.usize(0..TEAMS), rng.usize(0..FESTIVALS));
        home.insert(id, to);
        lines.push(moved(id, to));
    }
    server.import(&lines.join("\n")).ok();

    // when half of the festivals are deleted, teams of the others move in while that goes on, and the host is killed in between,
    let gone: BTreeSet<usize> = (0..FESTIVALS / 2).collect();
    let mut expected: BTreeSet<usize> =
        home.iter().filter(|(_, festival)| gone.contains(festival)).map(|(id, _)| *id).collect();
    for festival in &gone {
        let mut lines = vec![deleted(*festival)];
        let stays = |(id, festival): (&usize, &usize)| (!gone.contains(festival)).then_some(*id);
        let others: Vec<usize> = home.iter().filter_map(stays).collect();
        let moving = others[rng.usize(0..others.len())];
        home.insert(moving, *festival);
        expected.insert(moving);
        lines.push(moved(moving, *festival));
        server.import(&lines.join("\n")).ok();
        server.kill();
        server = data.serve();
    }
    server.wait_until_quiet(&["festival-cleanup"]);

    // then every team of a festival that is gone is deleted once, and no other,
    let mut found = deletions(&server);
    found.sort_unstable();
    assert_eq!(found, expected.iter().copied().collect::<Vec<_>>());
    // and the read model answers both ways: the teams of a festival, and a team's festival.
    for (id, festival) in &home {
        let team = server.get(&format!("/projections/festival/tables/teams?team_id=eq.{id}&fresh=true")).ok();
        let shown = team["rows"].as_array().expect("rows");
        match expected.contains(id) {
            true => assert!(shown.is_empty(), "{team}"),
            false => assert_eq!(shown[0]["festival_id"], festival.to_string()),
        }
    }
    for festival in 0..FESTIVALS {
        let path = format!("/projections/festival/tables/teams?festival_id=eq.{festival}&limit=1000");
        let teams = server.get(&path).ok();
        let stay = home.iter().filter(|(id, home)| **home == festival && !expected.contains(id)).count();
        assert_eq!(teams["rows"].as_array().expect("rows").len(), stay, "{teams}");
    }
    // One instance is a festival; there is none for a pair.
    let instances = server.get("/processes/festival-cleanup").ok()["instances"]["count"].clone();
    assert!(instances.as_u64() <= Some(FESTIVALS as u64), "{instances}");
    server.verify_exact("festival-cleanup");
}

#[test]
fn a_team_is_made_only_for_a_festival_that_is_there() {
    // Given one festival,
    let data = Data::new();
    let server = data.serve();
    data.serve_components(&server, &["festival", "festival-cleanup"]);
    server.import(&festival(1)).ok();
    // whoever makes a team asks for its festival, as of now, and appends taking for granted that there is no such team.
    let exists = |festival: usize| {
        let path = format!("/projections/festival/tables/festivals?festival_id=eq.{festival}&fresh=true");
        !server.get(&path).ok()["rows"].as_array().expect("rows").is_empty()
    };
    let make = |id: usize, festival: usize| {
        let event = json!({ "type": "TeamCreated", "data": {
            "team_id": id.to_string(), "festival_id": festival.to_string(), "name": "Owls" } });
        let append = json!({ "expected": "no-stream", "events": [event] });
        exists(festival).then(|| server.post(&format!("/streams/team-{id}/events"), &append))
    };
    // Then there is no team for a festival that is not there,
    assert!(make(1, 7).is_none());
    // one for one that is, and not a second one.
    make(1, 1).expect("it is there").ok();
    make(1, 1).expect("it is there").refused(409, "wrong-expected-revision");
    // Where the festival is deleted between the two, the team is, too.
    assert!(exists(1));
    server.import(&deleted(1)).ok();
    server.import(&team(2, 1)).ok();
    server.wait_until_quiet(&["festival-cleanup"]);
    assert_eq!(deletions(&server).into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([1, 2]));
    assert_eq!(deletions(&server).len(), 2);
}
