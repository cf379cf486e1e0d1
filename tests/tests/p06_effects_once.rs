//! Promise P6, effects once: whatever crashes, is rebuilt, or is swapped, one (process, instance, triggering position, ordinal) has its
//! effect in the log at most once, and at least once unless it was suppressed as history.

use laterna_tests::guests::dutiful;
use laterna_tests::processes::{Effect, Logged, append, tells};
use laterna_tests::{BREATH, Client, Data, PATIENCE, Server, encoded};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A version of the process manager that bears this tag.
fn version(tag: &str, more: Value) -> Vec<u8> {
    let mut says = json!({ "name": "errands", "tag": tag, "version": format!("{}.0.0", &tag[1..]), "begins": "start" });
    for (name, value) in more.as_object().into_iter().flatten() {
        says[name] = value.clone();
    }
    dutiful(&says)
}

/// Tells instances of their own to append, each to a stream of its own; answers the positions.
fn errands(client: &Client, numbers: Range<usize>) -> Vec<u64> {
    let each = numbers.map(|number| {
        let event = tells(&format!("errand-{number}"), &[append(&format!("door-{number}"))]);
        client.tell(&format!("errand-{number}"), &event)
    });
    each.collect()
}

/// Effects of instances that are not there to [`settle`](Client::settle).
fn done(data: &Data) -> Vec<Effect> {
    let effects = data.effects("errands");
    let ids: BTreeSet<&str> = effects.iter().map(|effect| effect.event.id.as_str()).collect();
    assert_eq!(ids.len(), effects.len(), "an id stands there twice");
    effects.into_iter().filter(|effect| !effect.instance.starts_with("settled")).collect()
}

/// The positions that led to effects, by the tag of the version that did them.
fn by_version(effects: &[Effect]) -> BTreeMap<String, Vec<u64>> {
    let mut by = BTreeMap::<String, Vec<u64>>::new();
    for effect in effects {
        by.entry(effect.by().to_owned()).or_default().push(effect.trigger);
    }
    by
}

fn deploy(client: &Client, component: &[u8], release: u64) {
    client.deploy("errands", component).ok();
    client.wait_for_release("errands", release, "live");
}

/// What deploying a version would come to.
fn plan(client: &Client, component: &[u8], more: &str) -> Value {
    let path = format!("/components?name=errands&plan=true{more}");
    client.try_post(&path, "application/wasm", component).expect("it answers").ok()
}

/// Why a release is held.
fn held(client: &Client, release: u64) -> String {
    client.wait_for_release("errands", release, "held")["reason"].as_str().expect("a reason").to_owned()
}

#[test]
fn each_event_has_one_effect_by_the_version_that_was_live() {
    // given: half of the first twelve events come before version 1, which begins at the start, and half after it
    let data = Data::new();
    let server = data.serve();
    let mut first = errands(&server, 0..6);
    deploy(&server, &version("v1", json!({})), 1);
    first.extend(errands(&server, 6..12));
    server.settle("settled-1");
    assert_eq!(by_version(&done(&data)), BTreeMap::from([("v1".to_owned(), first.clone())]));

    // when: version 2 is built, then it says that it would have done all of it otherwise
    server.deploy("errands", &version("v2", json!({ "policy": "hold" }))).ok();
    assert!(held(&server, 2).contains("13 effects that it decides otherwise"), "{}", held(&server, 2));
    let replay = data.replay("errands", 2);
    let counts = ["missing", "new", "different"].map(|kind| replay[kind]["count"].as_u64().expect("a count"));
    assert_eq!((replay["same"].as_u64(), counts), (Some(0), [0, 0, 13]), "{replay}");
    assert_eq!(done(&data).len(), 12, "nothing is done by who does not serve");

    // and when it takes over, then the next eight are its own, and the first are done by nobody once more
    server.order("errands", "promote?release=2&timeout=60").ok();
    let second = errands(&server, 12..20);
    server.settle("settled-2");
    let both = BTreeMap::from([("v1".to_owned(), first.clone()), ("v2".to_owned(), second.clone())]);
    assert_eq!(by_version(&done(&data)), both);
    for (position, effect) in done(&data).iter().map(|effect| (effect.trigger, effect)) {
        assert_eq!(effect.event.id, format!("process:errands:{position}.0:{}", effect.instance));
    }

    // when: version 1 comes back, then it is a new release, built from the start, that does what comes next and nothing else
    server.order("errands", "rollback?timeout=60").ok();
    server.wait_for_release("errands", 3, "live");
    let third = errands(&server, 20..25);
    server.settle("settled-3");
    let mut v1 = first;
    v1.extend(&third);
    let all = BTreeMap::from([("v1".to_owned(), v1), ("v2".to_owned(), second)]);
    assert_eq!(by_version(&done(&data)), all);

    // and when the same is built anew, then nothing is done again, and what stands there is the fold of the log
    server.order("errands", "rebuild").ok();
    server.wait_for_release("errands", 4, "live");
    server.settle("settled-4");
    assert_eq!(by_version(&done(&data)), all);
    server.verify_exact("errands");

    // and when the host is killed and started again, too
    server.kill();
    let server = data.serve();
    server.settle("settled-5");
    assert_eq!(by_version(&done(&data)), all);
    server.verify_exact("errands");
}

/// Waits until the log is as wanted; answers it.
fn wait_for_log(data: &Data, wanted: impl Fn(&[Logged]) -> bool) -> Vec<Logged> {
    let begun = Instant::now();
    loop {
        let logged = data.logged();
        if wanted(&logged) {
            return logged;
        }
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}; in the end the log is {logged:#?}");
        std::thread::sleep(BREATH);
    }
}

fn of_type<'l>(logged: &'l [Logged], event_type: &str) -> Vec<&'l Logged> {
    logged.iter().filter(|event| event.event_type == event_type).collect()
}

/// What an instance saw, as its state tells.
fn saw(client: &Client, instance: &str) -> Vec<String> {
    let rows =
        client.get(&format!("/projections/errands/tables/instances?key=eq.{}&fresh=true", encoded(instance))).ok();
    let state: Value = match rows["rows"][0]["state"].as_str() {
        Some(text) => serde_json::from_str(text).expect("JSON"),
        None => return Vec::new(),
    };
    state["saw"].as_array().expect("a list").iter().map(|seen| seen.as_str().expect("text").to_owned()).collect()
}

#[test]
fn what_a_version_would_have_done_is_told_beside_what_was_done() {
    // given: what both versions do alike, what each does in its way, and what only one of them does
    let data = Data::new();
    let server = data.serve();
    deploy(&server, &version("v1", json!({})), 1);
    let order = |only: Option<&str>, untagged: bool| {
        let mut order = json!({ "append": { "stream": "door", "untagged": untagged } });
        if let Some(only) = only {
            order["only"] = only.into();
        }
        server.tell("errands", &tells("all", &[order]))
    };
    let (same, different) = (order(None, true), order(None, false));
    let (missing, new) = (order(Some("v1"), false), order(Some("v2"), false));
    // A timer that only one of them sets before it does the same changes nothing of that.
    let besides = tells(
        "all",
        &[timer(Some("v2"), "later", 1_000_000, "door"), json!({ "append": { "stream": "door", "untagged": true } })],
    );
    let besides = server.tell("errands", &besides);
    server.settle("settled-1");
    let before = done(&data);
    assert_eq!(before.iter().map(|effect| effect.trigger).collect::<Vec<_>>(), [same, different, missing, besides]);

    // when: version 2 is planned, then that is told before anything is built
    let second = version("v2", json!({ "policy": "hold-if-different" }));
    let planned = plan(&server, &second, "");
    assert_eq!(server.projection("errands")["releases"].as_array().map(Vec::len), Some(1));

    // and when it is compared
    server.deploy("errands", &second).ok();
    let reason = held(&server, 2);
    assert_eq!(planned["replay"], data.replay("errands", 2));

    // then: each is told as what it is
    for part in ["1 effect that was done and it does not decide", "1 effect that was not done"] {
        assert!(reason.contains(part), "{reason}");
    }
    let replay = data.replay("errands", 2);
    let positions = |kind: &str| -> Vec<u64> {
        let samples = replay[kind]["samples"].as_array().expect("samples").iter();
        samples
            .filter(|sample| sample["instance"] == "all")
            .map(|sample| sample["position"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(replay["same"], 2, "{replay}");
    assert_eq!(
        (positions("different"), positions("missing"), positions("new")),
        (vec![different], vec![missing], vec![new])
    );
    let sample = &replay["different"]["samples"][0];
    assert_eq!((&sample["done"]["data"]["by"], &sample["decided"]["data"]["by"]), (&json!("v1"), &json!("v2")));
    assert_eq!(replay["new"]["samples"][0].get("done"), None);
    assert_eq!(replay["missing"]["samples"][0].get("decided"), None);

    // and nothing of it is done, or done again, when it takes over
    server.order("errands", "promote?release=2&timeout=60").ok();
    server.settle("settled-2");
    assert_eq!(done(&data), before);

    // when: version 1 comes back, then what it did itself is what it would do
    server.order("errands", "rollback?timeout=60").ok();
    let replay = data.replay("errands", 3);
    assert_eq!(
        (&replay["same"], &replay["missing"]["count"], &replay["new"]["count"]),
        (&json!(5), &json!(0), &json!(0))
    );
    assert_eq!(replay["different"]["count"], 1, "what settled at version 2: {replay}");
    server.settle("settled-3");
    assert_eq!(done(&data), before);
    server.verify_exact("errands");
}

/// Tells writers to stop, also where a test fails.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn versions_change_while_events_keep_coming() {
    const WRITERS: usize = 4;
    // given: writers that do not rest
    let data = Data::new();
    let server = data.serve();
    deploy(&server, &version("v1", json!({})), 1);
    let stop = AtomicBool::new(false);
    let mut told = BTreeSet::new();
    std::thread::scope(|scope| {
        let stops = Stops(&stop);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (client, stop) = (server.client.clone(), &stop);
                scope.spawn(move || {
                    let mut told = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let number = told.len();
                        let event = tells(&format!("w{writer}-{}", number % 7), &[append(&format!("door-{writer}"))]);
                        told.push(client.tell(&format!("writer-{writer}"), &event));
                    }
                    told
                })
            })
            .collect();
        // when: versions are dropped one after the other
        for (release, tag) in [(2, "v2"), (3, "v3"), (4, "v4")] {
            data.drop_whole("errands", &version(tag, json!({})));
            server.wait_for_release("errands", release, "live");
        }
        server.order("errands", "rollback?timeout=60").ok();
        drop(stops);
        for writer in writers {
            told.extend(writer.join().expect("a writer"));
        }
    });
    server.settle("settled");

    // then: each event has one effect, by the version that had come to serve before it
    let effects = done(&data);
    assert_eq!(effects.iter().map(|effect| effect.trigger).collect::<BTreeSet<_>>(), told);
    assert_eq!(effects.len(), told.len());
    let shifts = server.shifts("errands");
    let versions: Vec<&str> = shifts.iter().map(|(_, version)| version.as_str()).collect();
    assert_eq!(versions, ["v1", "v2", "v3", "v4", "v3"]);
    assert!(shifts.is_sorted_by_key(|(behind, _)| *behind), "{shifts:?}");
    for effect in &effects {
        let by = shifts.iter().rfind(|(behind, _)| *behind < effect.trigger).expect("somebody serves");
        assert_eq!(effect.by(), by.1, "{effect:?} in {shifts:?}");
    }
    server.verify_exact("errands");
}

#[test]
fn what_comes_while_the_first_version_comes_to_serve_is_its_own_to_do() {
    // given: a first version that is to do nothing about the history, at the moment when it is recorded that it serves
    let data = Data::new();
    let (server, waits) = data.serve_waiting("flip-records:1", &[]);
    let history = errands(&server, 0..3);
    let component = version("v1", json!({}));
    server.try_post("/components?name=errands&from=now", "application/wasm", component).expect("it answers").ok();
    waits.is_there();

    // when: it folds more before that is done
    let meanwhile = errands(&server, 3..6);
    let folded = |answer: &Value| answer["building"]["checkpoint"].as_u64() >= meanwhile.last().copied();
    server.wait_for("/projections/errands", |answer| folded(&answer.json()));
    drop(waits);
    server.wait_for_release("errands", 1, "live");
    server.settle("settled");

    // then: it does that
    assert_eq!(server.shifts("errands"), [(history[2], "v1".to_owned())]);
    assert_eq!(by_version(&done(&data)), BTreeMap::from([("v1".to_owned(), meanwhile)]));
    server.verify_exact("errands");
}

#[test]
fn what_one_version_halts_at_the_next_does() {
    // given: version 1 cannot react to an event, and others come behind it
    let data = Data::new();
    let server = data.serve();
    deploy(&server, &version("v1", json!({})), 1);
    let before = errands(&server, 0..3);
    let bad = tells("errand-3", &[json!({ "only": "v1", "fail": "no door" }), append("door-3")]);
    let mut behind = vec![server.tell("errand-3", &bad)];
    behind.extend(errands(&server, 4..8));
    server.wait_for("/projections/errands", |answer| answer.json()["live"]["status"] == "halted");
    wait_for_log(&data, |logged| of_type(logged, "Done").len() >= 3);
    // What it decided is done, and no timer fires, as is said.
    let halted = server.get("/processes/errands").ok();
    assert_eq!((&halted["effects"]["status"], &halted["timers"]["status"]), (&json!("going-on"), &json!("resting")));

    // when: version 2 mends it
    server.deploy("errands", &version("v2", json!({}))).ok();
    server.wait_for_release("errands", 2, "live");
    server.settle("settled");

    // then: what version 1 had done is its own, and from the bad event on all is version 2's
    let by = BTreeMap::from([("v1".to_owned(), before), ("v2".to_owned(), behind.clone())]);
    assert_eq!(by_version(&done(&data)), by);
    assert_eq!(server.shifts("errands")[1].0, behind[0] - 1);
    server.verify_exact("errands");
}

#[test]
fn somebody_says_what_becomes_of_the_history() {
    let data = Data::new();
    let server = data.serve();
    let history = errands(&server, 0..3);
    let of_release = |begins: &str, from: &str| {
        let component = version("v1", json!({ "begins": begins }));
        server.try_post(&format!("/components?name=errands{from}"), "application/wasm", component).expect("it answers")
    };

    // when nobody says it, then it is refused, and served as it was: not at all
    let refused = of_release("", "").refused(422, "component-refused");
    assert_eq!(refused["code"], "no-beginning", "{refused}");
    assert_eq!(server.get("/errors/no-beginning").status, 200);

    // when it is planned, then it is told what of the history it would react to, and what that would be
    let planned = |from: &str| {
        let plan = plan(&server, &version("v1", json!({ "begins": "" })), from);
        (plan["begins"].clone(), plan["replay"]["new"]["count"].clone(), plan["replay"]["same"].clone())
    };
    for (from, begins) in [("", Value::Null), ("&from=start", json!("start")), ("&from=now", json!("now"))] {
        assert_eq!(planned(from), (begins, json!(3), json!(0)), "{from}");
    }

    // when it is told to begin now, then it knows the history, and does nothing about it
    of_release("", "&from=now").ok();
    server.wait_for_release("errands", 2, "live");
    let later = errands(&server, 0..3);
    server.settle("settled-1");
    assert_eq!(by_version(&done(&data)), BTreeMap::from([("v1".to_owned(), later.clone())]));
    assert_eq!(saw(&server, "errand-0"), [history[0].to_string(), later[0].to_string()]);

    // and that stays so when it is built anew, and when the manifest says another thing by then
    server.order("errands", "rebuild").ok();
    server.wait_for_release("errands", 3, "live");
    server.deploy("errands", &version("v2", json!({ "begins": "start" }))).ok();
    server.wait_for_release("errands", 4, "live");
    server.settle("settled-2");
    assert_eq!(by_version(&done(&data)), BTreeMap::from([("v1".to_owned(), later)]));
    server.verify_exact("errands");

    // given: another host, whose manager says it in its manifest; the deploy has the last word
    let data = Data::new();
    let server = data.serve();
    errands(&server, 0..3);
    let component = version("v1", json!({ "begins": "start" }));
    server.try_post("/components?name=errands&from=now", "application/wasm", component).expect("it answers").ok();
    server.wait_for_release("errands", 1, "live");
    server.settle("settled-1");
    assert_eq!(done(&data), []);
}

#[test]
fn what_the_log_refuses_comes_back_once_and_the_others_go_on() {
    const REFUSED: [&str; 4] = ["stream-closed", "wrong-expected-revision", "schema-violation", "event-too-large"];
    // given: a closed stream, one that has events, and a schema
    let data = Data::new();
    let schemas = data.path().join("schemas/Checked");
    std::fs::create_dir_all(&schemas).expect("a folder");
    std::fs::write(schemas.join("1.json"), r#"{ "required": ["stamp"] }"#).expect("a file");
    let flags = ["--event-bytes", "4096"];
    let server = data.serve_with(&flags);
    server.tell("closed", &json!({ "type": "Opened" }));
    server.delete("/streams/closed").ok();
    server.tell("full", &json!({ "type": "Opened" }));
    deploy(&server, &version("v1", json!({})), 1);

    // when: an instance wants what cannot be, and something else before, between and behind it
    let orders = [
        json!({ "otherwise": [append("complaints")] }),
        append("door"),
        append("closed"),
        json!({ "append": { "stream": "full", "expected": "no-stream" } }),
        append("door"),
        json!({ "append": { "stream": "checked", "type": "Checked" } }),
        json!({ "append": { "stream": "large", "padding": 5_000 } }),
        json!({ "append": { "stream": "checked", "type": "Checked", "data": { "stamp": 1 } } }),
        append("door"),
    ];
    let position = server.tell("errands", &tells("careless", &orders));
    let complete =
        |logged: &[Logged]| of_type(logged, "Done").iter().filter(|done| done.stream == "complaints").count() == 4;
    wait_for_log(&data, complete);

    // then: the effects stand in their order, each as what became of it
    let look = || {
        let effects = done(&data);
        let first: Vec<_> = effects.iter().filter(|effect| effect.trigger == position).collect();
        let ordinals: Vec<usize> = first.iter().map(|effect| effect.ordinal).collect();
        assert_eq!(ordinals, (0..8).collect::<Vec<_>>());
        let refused: Vec<_> = first.iter().filter(|effect| effect.event.event_type == "effect.refused").collect();
        let codes: Vec<_> = refused.iter().map(|effect| effect.event.data["code"].as_str().expect("a code")).collect();
        assert_eq!(codes, REFUSED);
        let told: Vec<_> = refused.iter().map(|effect| &effect.event).collect();
        for event in &told {
            assert_eq!(event.stream, "process:errands-careless");
            assert_eq!((&event.data["process"], &event.data["instance"]), (&json!("errands"), &json!("careless")));
            assert_eq!(event.data["position"], position);
        }
        assert_eq!(told[1].data["effect"]["stream"], "full");
        // The instance heard of each once, in order, and complained of each once.
        let mut seen = vec![position.to_string()];
        let heard = told.iter().zip([1, 2, 4, 5]).zip(REFUSED);
        seen.extend(heard.map(|((event, at), code)| format!("{} {position}.{at} {code}", event.position)));
        assert_eq!(saw(&server, "careless"), seen);
        (effects.len(), first.len())
    };
    assert_eq!(look(), (12, 8));
    server.verify_exact("errands");

    // and when it is killed, and started again; and when the component is built anew: nothing comes once more
    let before = data.logged();
    server.kill();
    let server = data.serve_with(&flags);
    server.order("errands", "rebuild").ok();
    server.wait_for_release("errands", 2, "live");
    server.settle("settled");
    let fresh = |event: &&Logged| event.stream.starts_with("settl");
    assert_eq!(data.logged().iter().filter(|event| !fresh(event)).count(), before.len());
    assert_eq!(data.replay("errands", 2)["same"], 12);
    server.verify_exact("errands");
}

#[test]
fn a_process_sees_its_own_effects_where_it_asks_for_them_and_goes_round_only_so_often() {
    const DEPTH: usize = 5;
    let round = tells("dog", &[json!({ "append": { "stream": "tail", "again": true } })]);

    // given: a process that does not consume what it does
    let data = Data::new();
    let server = data.serve();
    deploy(&server, &version("v1", json!({})), 1);
    let position = server.tell("dogs", &round);
    server.settle("settled");
    assert_eq!(saw(&server, "dog"), [position.to_string()]);
    assert_eq!(of_type(&data.logged(), "Done").iter().filter(|done| done.stream == "tail").count(), 1);

    // given: one that does
    let data = Data::new();
    let server = data.serve_with(&["--causation-depth", "5"]);
    deploy(&server, &version("v1", json!({ "consumes": ["Told", "Done"] })), 1);
    let mut orders = round;
    orders["data"]["do"].as_array_mut().expect("orders").push(json!({ "otherwise": [append("complaints")] }));
    server.tell("dogs", &orders);

    // then: it goes round until the circle is cut, and hears of that
    let logged = wait_for_log(&data, |logged| !of_type(logged, "effect.refused").is_empty());
    let refused = &of_type(&logged, "effect.refused")[0];
    assert_eq!(refused.data["code"], "causation-too-deep");
    assert!(refused.data["reason"].as_str().expect("a reason").contains("`causation_depth`"), "{refused:?}");
    assert_eq!(server.get("/errors/causation-too-deep").status, 200);
    let chain: Vec<&Logged> = logged.iter().collect();
    assert_eq!(chain.len(), 1 + DEPTH + 1);
    assert_eq!(chain[0].causation_id, None);
    for pair in chain.windows(2) {
        // Each was led to by the one before, and all of them belong together with the first.
        assert_eq!(pair[1].causation_id.as_deref(), Some(&*pair[0].id));
        assert_eq!(pair[1].correlation_id.as_deref(), Some(&*chain[0].id));
    }
    // And what it would do about it is not done, or a circle of complaints would go on.
    server.settle("settled");
    assert_eq!(saw(&server, "dog").len(), 1 + DEPTH + 1);
    assert!(done(&data).iter().all(|effect| effect.event.stream != "complaints"));
    server.verify_exact("errands");
    assert_eq!(server.rows("errands", "decisions").iter().filter(|row| row["actions"] == "[]").count(), 0);
}

/// A timer, and an errand when it fires.
fn timer(only: Option<&str>, name: &str, after_s: u64, door: &str) -> Value {
    let mut order = json!({ "schedule": { "timer": name, "after_s": after_s, "then": [append(door)] } });
    if let Some(only) = only {
        order["only"] = only.into();
    }
    order
}

/// Starts a host whose clock stands still.
fn still(data: &Data) -> Server {
    data.serve_with(&["--clock", "manual"])
}

/// Timers that fired: instance and name, in the order of the log.
fn fired(logged: &[Logged]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    of_type(logged, "timer.fired")
        .iter()
        .map(|event| (text(&event.data["instance"]), text(&event.data["timer"])))
        .collect()
}

/// Waits until so many timers have fired and all is done that follows from it.
fn wait_for_timers(server: &Server, data: &Data, count: usize, name: &str) -> Vec<(String, String)> {
    wait_for_log(data, |logged| of_type(logged, "timer.fired").len() >= count);
    // Waits until they are folded, and done with.
    server.rows("errands", "timers");
    server.settle(name);
    fired(&data.logged())
}

#[test]
fn a_timer_fires_once_whoever_serves_by_then() {
    // given: timers that both versions set, one that only version 1 sets, and one that fires before the change
    let data = Data::new();
    let server = still(&data);
    deploy(&server, &version("v1", json!({})), 1);
    for number in 0..10 {
        server.tell("clocks", &tells(&format!("clock-{number}"), &[timer(None, "both", 60, "door")]));
    }
    server.tell(
        "clocks",
        &tells("old", &[timer(Some("v1"), "early", 10, "door"), timer(Some("v1"), "late", 60, "door")]),
    );
    server.advance(10);
    assert_eq!(wait_for_timers(&server, &data, 1, "settled-1"), [("old".to_owned(), "early".to_owned())]);

    // It was led to by the event that set it, and belongs together with that one.
    let logged = data.logged();
    let (set_by, early) = (&logged[10], of_type(&logged, "timer.fired")[0]);
    assert_eq!(early.data["set_by"], set_by.position);
    assert_eq!((early.causation_id.as_ref(), early.correlation_id.as_ref()), (Some(&set_by.id), Some(&set_by.id)));

    // when: version 2 takes over, and the time comes
    deploy(&server, &version("v2", json!({})), 2);
    server.advance(50);
    let all = wait_for_timers(&server, &data, 11, "settled-2");

    // then: each has fired once, and the errands are version 2's; one that it does not know does not fire, and is nothing to it
    let both: Vec<(String, String)> = (0..10).map(|number| (format!("clock-{number}"), "both".to_owned())).collect();
    assert_eq!(all[1..].iter().cloned().collect::<BTreeSet<_>>(), both.into_iter().collect());
    assert_eq!(all.len(), 11);
    let tags: Vec<String> = done(&data).iter().map(|effect| effect.by().to_owned()).collect();
    assert_eq!(tags, [vec!["v1"], vec!["v2"; 10]].concat());
    assert_eq!(saw(&server, "old").len(), 1, "version 2 set no timer, so none fires for it");

    // and when it is killed and started again, and when time goes on, nothing fires twice
    server.verify_exact("errands");
    server.kill();
    let server = still(&data);
    server.advance(1_000);
    server.settle("settled-3");
    server.verify_exact("errands");
    assert_eq!(fired(&data.logged()), all);
    let tags: Vec<String> = done(&data).iter().map(|effect| effect.by().to_owned()).collect();
    assert_eq!(tags.len(), 11);
}

#[test]
fn a_timer_that_was_due_before_its_version_waits_for_a_yes() {
    // given: a timer that only version 2 sets, and that is due when version 2 comes
    let data = Data::new();
    let server = still(&data);
    deploy(&server, &version("v1", json!({})), 1);
    let set_by = server.tell(
        "clocks",
        &tells("clock", &[timer(Some("v2"), "overdue", 10, "door"), timer(None, "later", 100, "door")]),
    );
    server.advance(60);
    server.settle("settled-1");

    // when: version 2 is compared, then it says so
    server.deploy("errands", &version("v2", json!({ "policy": "hold-if-different" }))).ok();
    assert!(held(&server, 2).contains("1 timer that is overdue"), "{}", held(&server, 2));
    let overdue = &data.replay("errands", 2)["overdue"];
    assert_eq!(overdue["count"], 1);
    let sample = &overdue["samples"][0];
    assert_eq!(
        (&sample["instance"], &sample["timer"], &sample["set_by"]),
        (&json!("clock"), &json!("overdue"), &json!(set_by))
    );

    // and when it takes over, then the timer does not fire, but those do that are due later; also after a restart
    server.order("errands", "promote?release=2&timeout=60").ok();
    server.advance(40);
    let later = vec![("clock".to_owned(), "later".to_owned())];
    assert_eq!(wait_for_timers(&server, &data, 1, "settled-2"), later);
    server.kill();
    let server = still(&data);
    server.tell("clocks", &tells("another", &[timer(None, "other", 0, "door")]));
    let both = vec![later[0].clone(), ("another".to_owned(), "other".to_owned())];
    assert_eq!(wait_for_timers(&server, &data, 2, "settled-3"), both);

    // and when it is built anew, it still waits
    server.order("errands", "rebuild").ok();
    server.promote_held("errands", 3);
    server.tell("clocks", &tells("third", &[timer(None, "other", 0, "door")]));
    assert_eq!(wait_for_timers(&server, &data, 3, "settled-4")[..2], both);
    assert_eq!(server.rows("errands", "timers").len(), 1);

    // and when the instance sets it anew, it is another one, and waits for nobody
    server.tell("clocks", &tells("clock", &[timer(None, "overdue", 5, "door")]));
    server.advance(5);
    assert_eq!(wait_for_timers(&server, &data, 4, "settled-5")[3], ("clock".to_owned(), "overdue".to_owned()));
    server.verify_exact("errands");
}

#[test]
fn what_a_recurring_timer_missed_comes_once() {
    const EVERY_S: u64 = 60;
    // given: a timer each minute
    let data = Data::new();
    let server = still(&data);
    deploy(&server, &version("v1", json!({})), 1);
    let order =
        json!({ "schedule": { "timer": "tick", "after_s": EVERY_S, "every_s": EVERY_S, "then": [append("door")] } });
    server.tell("clocks", &tells("clock", &[order]));
    let ticks = || -> Vec<(u64, u64)> {
        let logged = data.logged();
        let ticks = of_type(&logged, "timer.fired").into_iter().map(|event| {
            (event.data["occurrence"].as_u64().expect("a number"), event.data["missed"].as_u64().expect("a number"))
        });
        ticks.collect()
    };
    // when: the clock goes on step by step, jumps, and jumps while the host is down
    server.advance(EVERY_S);
    wait_for_timers(&server, &data, 1, "settled-1");
    server.advance(10 * EVERY_S + 1);
    wait_for_timers(&server, &data, 2, "settled-2");
    assert_eq!(ticks(), [(1, 0), (2, 9)]);
    server.advance(EVERY_S - 1);
    wait_for_timers(&server, &data, 3, "settled-3");
    server.kill();
    let server = still(&data);
    server.advance(5 * EVERY_S);
    wait_for_timers(&server, &data, 4, "settled-4");
    // then: each jump comes once, and says what was missed; in between the beat is kept
    assert_eq!(ticks(), [(1, 0), (2, 9), (3, 0), (4, 4)]);
    // and another version keeps the beat, too
    deploy(&server, &version("v2", json!({})), 2);
    server.advance(EVERY_S);
    wait_for_timers(&server, &data, 5, "settled-5");
    assert_eq!(ticks()[4], (5, 0));
    assert_eq!(done(&data).iter().map(Effect::by).collect::<Vec<_>>(), ["v1", "v1", "v1", "v1", "v2"]);
    server.verify_exact("errands");
}

#[test]
fn what_the_next_version_consumes_besides_is_its_own_from_where_it_serves() {
    // given: version 1 has passed over events that it does not consume, which is written down from time to time only,
    let data = Data::new();
    let server = data.serve();
    deploy(&server, &version("v1", json!({})), 1);
    let told = errands(&server, 0..1);
    server.settle("settled-1");
    let mut echoed = tells("errand-1", &[append("door-1")]);
    echoed["type"] = "Echoed".into();
    let echoed = server.tell("errand-1", &echoed);
    server.rows("errands", "instances");
    server.kill();
    // and version 2, which does consume them, is about to serve when the host dies.
    let mut server = data.serve_until("flip-records:1", &[]).expect("it listens");
    server.rows("errands", "instances");
    data.drop_whole("errands", &version("v2", json!({ "consumes": ["Told", "Echoed"] })));
    let begun = Instant::now();
    while !server.is_dead() {
        assert!(begun.elapsed() < PATIENCE, "it does not die");
        std::thread::sleep(BREATH);
    }
    // when: it is started again, and version 2 takes over where version 1 is found again
    let server = data.serve();
    server.wait_for_release("errands", 2, "live");
    server.settle("settled-2");
    // then: what stands behind that place is done by version 2
    let behind = server.shifts("errands")[1].0;
    assert_eq!(behind < echoed, done(&data).iter().any(|effect| effect.trigger == echoed), "it acts behind {behind}");
    assert!(behind >= told[0]);
    server.verify_exact("errands");
}

#[test]
fn what_one_version_has_not_done_yet_is_done_before_the_next_serves() {
    const EVENTS: usize = 1_000;
    // given: version 2 is ready to serve, and version 1 is about to do the first of many things
    let data = Data::in_memory();
    let (server, waits) = data.serve_waiting("effects-enter:1", &[]);
    deploy(&server, &version("v1", json!({})), 1);
    server.deploy("errands", &version("v2", json!({ "policy": "hold" }))).ok();
    held(&server, 2);
    let lines = (0..EVENTS).map(|number| {
        let mut event = tells(&format!("errand-{number}"), &[append("door")]);
        event["stream"] = "errands".into();
        event.to_string()
    });
    assert_eq!(server.import(&lines.collect::<Vec<_>>().join("\n")).ok()["stored"], EVENTS);
    waits.is_there();

    // when: version 2 is promoted, then it does not take over before all of it is done
    server.order("errands", "promote?release=2&timeout=1");
    let begun = Instant::now();
    while !data.told().contains("not close enough for a cutover yet") {
        assert!(begun.elapsed() < PATIENCE, "nobody tries to cut over within {PATIENCE:?}");
        assert_eq!(server.projection("errands")["live"]["release"], 1);
        std::thread::sleep(BREATH);
    }
    drop(waits);
    server.wait_for_release("errands", 2, "live");
    server.settle("settled");
    // then: all of it is done, each by the version that served
    let effects = done(&data);
    assert_eq!(
        effects.iter().map(|effect| effect.trigger).collect::<Vec<_>>(),
        (1..=EVENTS as u64).collect::<Vec<_>>()
    );
    let behind = server.shifts("errands")[1].0;
    for effect in &effects {
        assert_eq!(effect.by(), if effect.trigger <= behind { "v1" } else { "v2" }, "{effect:?} at {behind}");
    }
}

#[test]
fn what_a_store_cannot_say_holds_up_its_effects_until_it_is_folded_anew() {
    // given: a store that says that something is to be done, and not what
    let data = Data::new();
    let server = data.serve();
    deploy(&server, &version("v1", json!({})), 1);
    let mut told = errands(&server, 0..3);
    server.settle("settled-1");
    server.stop();
    let file = data.path().join("stores/errands/1.db");
    let store = rusqlite::Connection::open(&file).expect("a store");
    store.execute("INSERT INTO laterna_outbox VALUES (1, 'nobody', 0)", []).expect("it is written");
    drop(store);

    // when: it is to be done, then that is said, and nothing is passed over
    let server = data.serve_telling("warn", &[]);
    told.extend(errands(&server, 3..6));
    server.wait_for("/processes/errands", |answer| answer.json()["effects"]["status"] == "failing");
    let shown = laterna_tests::laterna(["status", "--url", &server.url]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("its effects are not done for now"), "{shown:?}");
    assert_eq!(done(&data).len(), 3);
    assert!(data.told().contains("instance `nobody`") && data.told().contains("folded anew"), "{}", data.told());

    // and when the store is removed, as that says, then it is folded anew, and each is done once
    server.kill();
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", file.display()));
    }
    let server = data.serve();
    server.settle("settled-2");
    assert_eq!(by_version(&done(&data)), BTreeMap::from([("v1".to_owned(), told)]));
    assert_eq!(server.get("/processes/errands").ok()["effects"]["status"], "going-on");
    server.verify_exact("errands");
}
