//! The steps of releases are followed: a feed shows each step that a component's releases took and take, once and in order, can be
//! taken up again behind any of them, and ends where it is told to. A pipeline needs no more than that.

use laterna_tests::feed::{Feed, Said};
use laterna_tests::guests::misbehaving;
use laterna_tests::releases::{cars_events, cars_v1, cars_v2, variant};
use laterna_tests::{Client, Data};
use serde_json::{Value, json};

const STEPS: &str = "/projections/cars/releases";

/// Deploys another release; answers its number.
fn deploy(client: &Client, component: &[u8]) -> u64 {
    client.deploy("cars", component).ok()["release"].as_u64().expect("a number")
}

/// The steps that a feed shows up to one of this release to this state.
fn up_to(feed: &mut Feed, release: u64, state: &str) -> Vec<Said> {
    let mut steps = Vec::new();
    loop {
        let said = feed.event();
        let step = said.json();
        steps.push(said);
        if step["release"] == release && step["state"] == state {
            return steps;
        }
    }
}

/// All that a feed shows until it ends, heartbeats passed over.
fn to_the_end(feed: Feed) -> Vec<Said> {
    let said = feed.map(|said| said.expect("the feed does not break off"));
    said.filter(|said| !said.is_heartbeat()).collect()
}

fn states(steps: &[Said]) -> Vec<(u64, String)> {
    let state = |said: &Said| {
        let step = said.json();
        (step["release"].as_u64().expect("a number"), step["state"].as_str().expect("text").to_owned())
    };
    steps.iter().map(state).collect()
}

/// What the list of releases says of their steps, in the order of their numbers, as the feed shows them.
fn listed(client: &Client, query: &str) -> Vec<Value> {
    let answer = client.get(&format!("{STEPS}{query}")).ok();
    let mut steps = Vec::new();
    for record in answer["releases"].as_array().expect("releases") {
        for step in record["steps"].as_array().expect("steps") {
            let mut step = step.clone();
            (step["name"], step["release"]) = ("cars".into(), record["release"].clone());
            steps.push(step);
        }
    }
    steps.sort_by_key(|step| step["id"].as_u64());
    steps
}

/// What a feed showed, but for versions: they are not known before a release is checked, and told with each of its steps from then on.
fn shown(steps: &[Said]) -> Vec<Value> {
    let step = |said: &Said| {
        let mut step = said.json();
        assert!(step.as_object_mut().expect("a step").remove("version").is_some(), "{said:?}");
        step
    };
    steps.iter().map(step).collect()
}

fn assert_ids_count_up(steps: &[Said]) {
    let ids: Vec<u64> = steps.iter().map(Said::position).collect();
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
    assert!(steps.iter().all(|said| said.name == "step" && said.json()["id"] == said.position()), "{steps:?}");
}

#[test]
fn each_step_in_its_order_with_its_number() {
    let data = Data::new();
    let server = data.serve();
    assert_eq!(server.try_feed(STEPS, &[]).err().expect("no feed").problem(), "projection-not-found");
    server.get(STEPS).refused(404, "projection-not-found");
    server.import(&cars_events()[..6].join("\n")).ok();
    let first = deploy(&server, cars_v1());
    // It can be followed from the moment on that the upload is answered.
    let mut feed = server.feed(STEPS, &[]);
    let mut steps = up_to(&mut feed, first, "live");
    let path = ["received", "checked", "building", "verifying", "live"];
    assert_eq!(states(&steps), path.map(|state| (1, state.to_owned())));
    deploy(&server, cars_v2());
    steps.extend(up_to(&mut feed, 2, "live"));
    let path = path[..4].iter().map(|state| (2, *state)).chain([(1, "warm"), (2, "live")]);
    assert_eq!(states(&steps)[5..], path.map(|(release, state)| (release, state.to_owned())).collect::<Vec<_>>());
    assert_ids_count_up(&steps);
    // What it shows is what the list says; of one release only where it is asked for.
    assert_eq!(shown(&steps), listed(&server, ""));
    let of_2 = to_the_end(server.feed(&format!("{STEPS}?release=2&until=live"), &[]));
    assert_eq!(shown(&of_2), listed(&server, "?release=2"));
    server.get(&format!("{STEPS}?release=7")).refused(404, "not-found");

    // After a restart the numbers count on, and who comes back misses and repeats nothing.
    let last = steps.last().expect("a step").clone();
    server.stop();
    assert!(feed.all(|said| said.expect("it does not break off").is_heartbeat()), "the feed ends with its host");
    let server = data.serve();
    let mut feed = server.resume(STEPS, last.position());
    deploy(&server, &variant(cars_v2(), 1));
    let new = up_to(&mut feed, 3, "live");
    assert_eq!(states(&new)[0], (3, "received".to_owned()));
    steps.extend(new);
    assert_ids_count_up(&steps);
    let again = up_to(&mut server.feed(STEPS, &[]), 3, "live");
    assert_eq!(shown(&again), shown(&steps));
}

#[test]
fn a_number_is_given_once_also_where_its_component_is_forgotten() {
    // Given files that are refused, of which nothing is kept once they are gone,
    let data = Data::new();
    let server = data.serve();
    deploy(&server, cars_v1());
    let seen = up_to(&mut server.feed(STEPS, &[]), 1, "live");
    let mut newest = seen.last().expect("a step").position();
    for junk in ["junk", "rubbish"] {
        data.drop_bytes(junk, &misbehaving(&json!({ "name": "another" })));
        let path = format!("/projections/{junk}/releases?until=rejected");
        server.wait_for(&path, |answer| answer.status == 200);
        let refused = to_the_end(server.feed(&path, &[]));
        let last = refused.last().expect("a step").position();
        assert!(last > newest, "{last} after {newest}");
        newest = last;
        std::fs::remove_file(data.path().join(format!("components/{junk}.wasm"))).expect("it was there");
        server.wait_for(&path, |answer| answer.status == 404);
    }
    // when the host is started again, then what comes has other numbers all the same.
    server.stop();
    let server = data.serve();
    let mut feed = server.resume(STEPS, newest);
    deploy(&server, &variant(cars_v1(), 1));
    let steps = up_to(&mut feed, 2, "live");
    assert_eq!(steps.len(), 6, "{steps:?}");
}

#[test]
fn taken_up_again_behind_each_step_while_releases_come() {
    let data = Data::new();
    let server = data.serve_with(&["--heartbeat-ms", "50"]);
    server.import(&cars_events()[..6].join("\n")).ok();
    deploy(&server, cars_v1());
    let steps = std::thread::scope(|scope| {
        let swapping = scope.spawn(|| {
            for number in 2..=4 {
                deploy(&server, &variant(cars_v1(), number));
                server.wait_for_release("cars", number, "live");
            }
        });
        // Each time it breaks off behind one step, or two, or a heartbeat, and is taken up again behind what was said last.
        let (mut steps, mut seen, mut feeds) = (Vec::new(), String::new(), 0);
        while states(&steps).last() != Some(&(4, "live".to_owned())) {
            let mut feed = server.feed(STEPS, &[("last-event-id", &seen)]);
            for _ in 0..=feeds % 2 {
                if states(&steps).last() != Some(&(4, "live".to_owned())) {
                    let said = feed.next().expect("the feed goes on").expect("it does not break off");
                    seen.clone_from(&said.id);
                    steps.extend((!said.is_heartbeat()).then_some(said));
                }
            }
            assert_ids_count_up(&steps);
            feeds += 1;
        }
        swapping.join().expect("it swapped");
        steps
    });
    assert_ids_count_up(&steps);
    assert_eq!(shown(&steps), listed(&server, ""));
}

#[test]
fn it_ends_behind_the_state_that_is_waited_for() {
    let data = Data::new();
    let server = data.serve_with(&["--policy", "hold"]);
    server.import(&cars_events()[..6].join("\n")).ok();
    deploy(&server, cars_v1());
    let until = |until: &str, last: &str| {
        to_the_end(server.feed(&format!("{STEPS}?until={until}"), &[("last-event-id", last)]))
    };
    let first = until("held,live", "");
    assert_eq!(states(&first).last(), Some(&(1, "held".to_owned())));
    server.order("cars", "promote").ok();
    // It was held, and is not any longer: that is no end.
    let then = until("held,live", &first.last().expect("a step").id);
    assert_eq!(states(&then), [(1, "verifying".to_owned()), (1, "live".to_owned())]);
    assert_eq!(until("held,live", ""), [first, then.clone()].concat());
    // Of one release nothing is waited for that is there already, or cannot come any more.
    let seen = &then.last().expect("a step").id;
    assert_eq!(to_the_end(server.feed(&format!("{STEPS}?release=1&until=live"), &[("last-event-id", seen)])), []);
    deploy(&server, cars_v2());
    server.wait_for_release("cars", 2, "held");
    server.order("cars", "abort").ok();
    let given_up = to_the_end(server.feed(&format!("{STEPS}?release=2&until=live"), &[]));
    assert_eq!(states(&given_up).last(), Some(&(2, "retired".to_owned())));
    let gone = server.try_feed(&format!("{STEPS}?release=9"), &[]).err().expect("no feed");
    gone.refused(404, "not-found");

    for query in ["until=nothing", "until=held,nothing", "until=Live", "release=one", "what=ever"] {
        let path = format!("{STEPS}?{query}");
        let feed = server.try_feed(&path, &[]).err().expect("no feed");
        for refused in [feed, server.get(&path)] {
            refused.refused(400, "bad-parameter");
        }
    }
    for seen in ["one", "-1", "1.5", "18446744073709551616"] {
        let refused = server.try_feed(STEPS, &[("last-event-id", seen)]).err().expect("no feed");
        refused.refused(400, "bad-parameter");
    }
}

#[test]
fn heartbeats_say_how_far_the_one_is_that_is_on_its_way() {
    let data = Data::new();
    let server = data.serve_with(&["--heartbeat-ms", "50"]);
    server.import(&cars_events()[..6].join("\n")).ok();
    deploy(&server, cars_v1());
    let steps = up_to(&mut server.feed(STEPS, &[]), 1, "live");
    let mut feed = server.feed(STEPS, &[]);
    // Builds rest, so that there is time to look at one.
    server.order("cars", "pause?builds=true").ok();
    deploy(&server, cars_v2());
    up_to(&mut feed, 2, "building");
    let beat = feed.heartbeat();
    let building = beat.json()["building"].clone();
    assert_eq!(
        ["release", "state", "status", "checkpoint", "lag_events"].map(|member| building[member].clone()),
        [json!(2), json!("building"), json!("paused"), json!(0), json!(6)]
    );
    assert!(beat.position() > steps.last().expect("a step").position());
    // Taken up again behind a heartbeat, it goes on with what comes.
    let mut resumed = server.resume(STEPS, beat.position());
    server.order("cars", "resume").ok();
    for feed in [&mut feed, &mut resumed] {
        let path = [(2, "verifying"), (1, "warm"), (2, "live")];
        assert_eq!(states(&up_to(feed, 2, "live")), path.map(|(release, state)| (release, state.to_owned())));
        assert_eq!(feed.heartbeat().json(), json!({ "building": null }));
    }
    // A component that is removed says so, and is not told of any more.
    server.order("cars", "remove").ok();
    let last = feed.event().json();
    assert_eq!((&last["release"], &last["state"]), (&json!(1), &json!("retired")));
    server.get(STEPS).refused(404, "projection-not-found");
}

#[test]
fn it_ends_with_its_token_and_there_are_so_many_places() {
    let data = Data::new();
    let server = data.serve_with(&["--followers", "1", "--heartbeat-ms", "50"]);
    deploy(&server, cars_v1());
    let reader = server.with_token(&["read"], None);
    let id = server.get("/tokens").ok()["tokens"][0]["id"].as_str().expect("an id").to_owned();
    let mut feed = reader.feed(STEPS, &[]);
    up_to(&mut feed, 1, "live");
    for path in [STEPS, "/events"] {
        let refused = server.try_feed(path, &[]).err().expect("there is no place");
        refused.refused(503, "too-many-followers");
    }
    assert_eq!(listed(&server, "").len(), 5);
    server.delete(&format!("/tokens/{id}")).ok();
    let after = feed.map(|said| said.expect("it does not break off"));
    assert!(after.into_iter().all(|said| said.is_heartbeat()));
    // Its place is free again.
    to_the_end(
        (0..)
            .find_map(|_| server.try_feed(&format!("{STEPS}?until=live"), &[]).ok())
            .expect("there is a place at some time"),
    );
}

#[test]
fn a_pipeline_waits_for_nothing_but_the_feed() {
    let data = Data::new();
    let server = data.serve_with(&["--policy", "hold"]);
    server.import(&cars_events()[..6].join("\n")).ok();
    let ended = "held,live,retired,rejected,failed";
    for (component, differs) in
        [(cars_v1().to_vec(), None), (cars_v2().to_vec(), Some(2)), (variant(cars_v2(), 1), Some(0))]
    {
        // It uploads, follows that release until it is held, looks at what it changes, promotes it, and follows it until it serves.
        let release = deploy(&server, &component);
        let path = format!("{STEPS}?release={release}");
        let steps = to_the_end(server.feed(&format!("{path}&until={ended}"), &[]));
        assert_eq!(states(&steps).last(), Some(&(release, "held".to_owned())));
        let difference = server.get(&format!("/projections/cars/diff?release={release}"));
        match differs {
            None => drop(difference.refused(404, "difference-not-found")),
            Some(rows) => {
                let tables = difference.ok()["tables"].as_array().expect("tables").clone();
                let changed: u64 = tables.iter().map(|table| table["changed"].as_u64().expect("a number")).sum();
                assert_eq!(changed, rows);
            }
        }
        let promoted = server.order("cars", &format!("promote?release={release}&timeout=0"));
        assert!([200, 202].contains(&promoted.status), "{promoted:?}");
        let held = steps.last().expect("a step").id.clone();
        let steps = to_the_end(server.feed(&format!("{path}&until=live,held,failed"), &[("last-event-id", &held)]));
        assert_eq!(states(&steps), [(release, "verifying".to_owned()), (release, "live".to_owned())]);
        assert_eq!(server.projection("cars")["live"]["release"], release);
    }
    // One that is refused ends its feed, too.
    let refused = server.deploy("cars", &misbehaving(&json!({ "name": "another" })));
    refused.refused(422, "component-refused");
    let steps = to_the_end(server.feed(&format!("{STEPS}?release=4&until={ended}"), &[]));
    assert_eq!(states(&steps), [(4, "received".to_owned()), (4, "rejected".to_owned())]);
}
