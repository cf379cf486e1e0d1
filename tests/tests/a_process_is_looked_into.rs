//! Process managers are looked into: which instances there are, what each of them did, what became of that, and what waits for a yes.

use laterna_tests::releases::variant;
use laterna_tests::{Answer, Client, Data, Server, component, encoded, laterna, online_retail_events};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const MORNING: &str = "2030-01-01T08:00:00Z";
const PAY_BY: &str = "2030-01-02T08:00:00Z";
const IN_TIME: &str = "2030-01-01T07:59:00Z";

/// A host with a clock that stands still, in the morning.
fn morning(data: &Data) -> Server {
    let server = data.serve_with(&["--clock", "manual"]);
    server.post("/clock/advance", &json!({ "to": MORNING })).ok();
    server
}

/// Drops a component, and waits until it serves.
fn serve(data: &Data, server: &Client, name: &str) {
    data.drop_component(&component(name));
    server.wait_for(&format!("/projections/{name}"), |answer| answer.status == 200 && !answer.json()["live"].is_null());
}

fn append(client: &Client, stream: &str, event_type: &str, data: Value) -> u64 {
    let events = json!({ "events": [{ "type": event_type, "data": data }] });
    let answer = client.post(&format!("/streams/{}/events", encoded(stream)), &events);
    answer.ok();
    answer.position()
}

fn place(client: &Client, order: &str) -> u64 {
    append(client, &format!("order-{order}"), "OrderPlaced", json!({ "order_id": order, "pay_by": PAY_BY }))
}

fn pay(client: &Client, order: &str, amount_cents: i64) -> u64 {
    let data = json!({ "order_id": order, "amount_cents": amount_cents, "paid_at": IN_TIME });
    append(client, &format!("payment-{order}"), "PaymentReceived", data)
}

fn cancel(client: &Client, order: &str) -> u64 {
    append(client, &format!("cancellation-{order}"), "OrderCancelled", json!({ "order_id": order }))
}

/// An instance of order-payment, at the head as of now.
fn instance(client: &Client, key: &str) -> Value {
    client.get(&format!("/processes/order-payment/instances/{key}?fresh=true")).ok()
}

/// The first effect of the decision about an event.
fn action(instance: &Value, position: u64) -> &Value {
    let history = instance["history"].as_array().expect("a history");
    let decision = history.iter().find(|decision| decision["position"] == position);
    let decision = decision.unwrap_or_else(|| panic!("nothing about {position}: {instance}"));
    let mut actions = decision["actions"].as_array().expect("actions").iter();
    actions.find(|action| action["append"].is_object()).unwrap_or(&Value::Null)
}

/// Waits until the effect of an instance that follows from an event is no longer pending; answers what became of it.
fn became(client: &Client, key: &str, position: u64) -> Value {
    let path = format!("/processes/order-payment/instances/{key}?fresh=true");
    let answer = client.wait_for(&path, |answer| {
        answer.status == 200 && !["pending", "null"].contains(&state(action(&answer.json(), position)).as_str())
    });
    action(&answer.json(), position)["became"].clone()
}

fn state(action: &Value) -> String {
    action["became"]["state"].as_str().unwrap_or("null").to_owned()
}

/// The keys of the instances that are asked for so.
fn keys(client: &Client, asked: &str) -> Vec<String> {
    let fresh = if asked.contains("fresh=") { "" } else { "&fresh=true" };
    let page = client.get(&format!("/processes/order-payment/instances?{asked}{fresh}")).ok();
    let rows = page["rows"].as_array().expect("rows").iter();
    rows.map(|row| row["key"].as_str().expect("a key").to_owned()).collect()
}

#[test]
fn an_instance_shows_what_it_did_and_what_became_of_that() {
    // Given an order that was paid and cancelled before its process manager came, which reacts from then on,
    let data = Data::new();
    let server = morning(&data);
    place(&server, "5");
    cancel(&server, "5");
    let paid_before = pay(&server, "5", 500);
    serve(&data, &server, "order-payment");
    // one that is paid in time,
    let placed = place(&server, "7");
    let paid = pay(&server, "7", 990);

    // then its state stands there as JSON, with its timers,
    let order = instance(&server, "7");
    assert_eq!(order["state"]["settlement"]["payment"]["amount_cents"], 990, "{order}");
    assert_eq!((&order["began_position"], &order["changed_position"]), (&json!(placed), &json!(paid)));
    assert_eq!(order["began_at"], "2030-01-01T08:00:00.000000Z");
    let dispatch = json!({
        "instance": "7", "name": "dispatch", "due_at": "2030-01-01T08:15:00.000000Z", "set_by": paid, "occurrence": 1, "every_us": null,
        "held": false,
    });
    assert_eq!(order["timers"], json!([dispatch]));
    // and what it did about each event, newest first, with the event.
    let positions: Vec<&Value> =
        order["history"].as_array().expect("a history").iter().map(|past| &past["position"]).collect();
    assert_eq!(positions, [&json!(paid), &json!(placed)]);
    assert_eq!(order["history"][1]["event"]["type"], "OrderPlaced");
    assert_eq!(order["history"][1]["event"]["stream"], "order-7");
    assert_eq!(order["history"][1]["event"]["recorded_at"], "2030-01-01T08:00:00.000000Z");
    assert_eq!(order["history"][1]["outcome"], "became");
    assert_eq!(order["history"][1]["actions"][0]["schedule"]["timer"], "payment");
    assert_eq!(order["history"][0]["actions"][0]["cancel"]["timer"], "payment");

    // When the dispatch window is over, then the shipment is requested, and is found where it stands in the log.
    server.post("/clock/advance", &json!({ "by_seconds": 15 * 60 })).ok();
    server.wait_for("/events?type=ShipmentRequested", |answer| !answer.json()["events"][0].is_null());
    let shipped = server.get("/events?type=ShipmentRequested").ok()["events"][0].clone();
    let order = instance(&server, "7");
    let fired = order["history"][0]["position"].as_u64().expect("a position");
    assert_eq!(became(&server, "7", fired), json!({ "state": "done", "position": shipped["position"] }));
    assert_eq!(order["history"][0]["event"]["timer"], json!({ "name": "dispatch", "occurrence": 1, "missed": 0 }));
    assert_eq!(order["timers"], json!([]));

    // When the log refuses an effect, then that stands there, with the reason; what came before is no hindrance.
    place(&server, "8");
    server.delete("/streams/order-8").ok();
    cancel(&server, "8");
    let paid = pay(&server, "8", 800);
    let order = instance(&server, "8");
    let actions = order["history"][0]["actions"].as_array().expect("actions").clone();
    let refund = actions.iter().find(|action| action["append"]["type"] == "RefundRequested").expect("a refund");
    assert_eq!(refund["append"]["data"], json!({ "order_id": "8", "amount_cents": 800 }));
    let refused = server.wait_for("/processes/order-payment/instances/8", |answer| {
        answer.json()["history"].to_string().contains("\"refused\"")
    });
    let refused = refused.json();
    let history = refused["history"].as_array().expect("a history");
    let decision = history.iter().find(|past| past["position"] == paid).expect("a decision");
    let became = decision["actions"].as_array().expect("actions").iter().map(|action| &action["became"]);
    let became = became.into_iter().find(|became| became["state"] == "refused").expect("it was refused");
    assert_eq!(became["code"], "stream-closed");
    assert!(became["reason"].as_str().is_some_and(|reason| reason.contains("order-8")), "{became}");
    assert!(became["position"].as_u64() > Some(paid), "{became}");
    // The example sets that aside, and it belongs to no module: so everybody sees why, and that it is left out.
    let aside = |answer: &Answer| !answer.json()["parked"][0].is_null();
    let aside = server.wait_for("/projections/order-payment/parked", aside).json()["parked"][0].clone();
    assert_eq!((&aside["sequence"], &aside["position"]), (&json!("process:order.payment-8"), &became["position"]));
    assert!(aside["reason"].as_str().is_some_and(|reason| reason.contains("stream-closed")), "{aside}");
    let live = server.get("/processes/order-payment").ok()["live"].clone();
    assert_eq!(live["parked"], 1, "{live}");

    // And what followed from history was not done, and never will be.
    let order = instance(&server, "5");
    let history = order["history"].as_array().expect("a history").iter();
    let about = history.filter(|past| past["position"] == paid_before).flat_map(|past| past["actions"].as_array());
    let states: Vec<Value> = about.flatten().map(|action| action["became"].clone()).collect();
    assert!(states.contains(&json!({ "state": "suppressed" })), "{order}");
    let refunds = server.get("/events?type=RefundRequested").ok();
    assert_eq!(refunds["events"], json!([]));
}

#[test]
fn a_history_is_read_in_pages() {
    // Given an order whose payment is told again and again.
    let data = Data::new();
    let server = morning(&data);
    serve(&data, &server, "order-payment");
    let facts: Vec<u64> = (0..5).map(|_| pay(&server, "9/a b", 100)).collect();
    let path = format!("/processes/order-payment/instances/{}", encoded("9/a b"));

    // When its history is read in pages, then each decision is there once, newest first.
    let mut next = Some(format!("{path}?limit=2&fresh=true"));
    let (mut positions, mut pages) = (Vec::new(), 0);
    while let Some(page) = next {
        let answer = server.get(&page).ok();
        let history = answer["history"].as_array().expect("a history").iter();
        positions.extend(history.map(|past| past["position"].as_u64().expect("a position")));
        next = answer["next"].as_str().map(str::to_owned);
        pages += 1;
    }
    assert_eq!(positions, facts.iter().rev().copied().collect::<Vec<_>>());
    assert_eq!(pages, 3);
    // What is not there is told of.
    let unknown = server.get("/processes/order-payment/instances/nobody?fresh=true");
    let position = unknown.refused(404, "instance-not-found")["position"].clone();
    assert_eq!(position, *facts.last().expect("facts"));
    assert_eq!(server.get("/errors/instance-not-found").status, 200);

    // Who asks again with the tag is told that nothing changed; and the answer once something did.
    let answer = server.get(&path);
    let tag = answer.header("etag").expect("a tag").to_owned();
    let asked = |tag: &str| server.get_with(&path, &[("if-none-match", tag)]).expect("an answer");
    assert_eq!((asked(&tag).status, asked(&tag).position()), (304, answer.position()));
    let paid = pay(&server, "9/a b", 100);
    let fresh = server.get_with(&format!("{path}?min_position={paid}"), &[("if-none-match", &tag)]).expect("an answer");
    assert_eq!((fresh.status, fresh.position() >= paid), (200, true));
    assert_eq!(fresh.header("laterna-release"), Some("1"));
}

#[test]
fn an_effect_is_pending_until_it_is_done_and_an_instance_that_ended_has_a_history() {
    // Given a process manager that was stopped between what it decided and what it did: both are written into its store by hand.
    let data = Data::new();
    let server = morning(&data);
    serve(&data, &server, "order-payment");
    place(&server, "7");
    let before = instance(&server, "7");
    server.post("/projections/order-payment/pause", &Value::Null).ok();
    let position = append(&server, "elsewhere-1", "NothingOfInterest", json!({}));
    let effect = json!({
        "stream": "order-7", "type": "ShipmentRequested", "schema_version": 1, "visibility": "public", "expected": "any", "data": {},
    });
    let store = Connection::open(data.path().join("stores/order-payment/1.db")).expect("a store");
    let actions = json!([{ "append": effect }]).to_string();
    let decided = "INSERT INTO decisions VALUES ('7', ?1, 'ended', ?2)";
    store.execute(decided, (position.cast_signed(), actions)).expect("it is written");
    store.execute("INSERT INTO laterna_outbox VALUES (?1, '7', 0)", [position.cast_signed()]).expect("it is written");
    store.execute_batch("DELETE FROM instances; DELETE FROM timers").expect("it is written");

    // Then the instance has ended, and has a history, in which the effect is pending.
    let path = "/processes/order-payment/instances/7";
    let ended = server.get(path);
    let tag = ended.header("etag").expect("a tag").to_owned();
    let ended = ended.ok();
    assert_eq!((&ended["state"], &ended["began_at"], &ended["timers"]), (&Value::Null, &Value::Null, &json!([])));
    assert_eq!(ended["history"].as_array().expect("a history").len(), 2);
    assert_eq!(ended["history"][1], before["history"][0]);
    assert_eq!(ended["history"][0]["outcome"], "ended");
    assert_eq!(ended["history"][0]["event"]["type"], "NothingOfInterest");
    assert_eq!(
        ended["history"][0]["actions"],
        json!([{ "append": effect, "ordinal": 0, "became": { "state": "pending" } }])
    );
    assert_eq!(ended["outbox"], json!([{ "position": position, "ordinal": 0 }]));
    let shown = server.get("/processes/order-payment").ok();
    assert_eq!(shown["effects"]["pending"], json!({ "count": 1, "more": false }));
    assert_eq!(shown["effects"]["next"], json!({ "position": position, "instance": "7", "ordinal": 0 }));
    assert_eq!(keys(&server, "fresh=false"), [] as [&str; 0]);

    // When it goes on, then it is done, and nobody is told that nothing changed.
    server.post("/projections/order-payment/resume", &Value::Null).ok();
    let done = json!({ "state": "done", "position": position + 1 });
    assert_eq!(became(&server, "7", position), done);
    let asked = server.get_with(path, &[("if-none-match", &tag)]).expect("an answer").ok();
    assert_eq!((&asked["history"][0]["actions"][0]["became"], &asked["outbox"]), (&done, &json!([])));
}

#[test]
fn an_instance_shows_the_names_that_it_is_found_by() {
    // Given a festival with two teams, of which one moves to another.
    let data = Data::new();
    let server = data.serve();
    serve(&data, &server, "festival-cleanup");
    let team = |team: &str, event_type: &str, festival: &str| {
        append(&server, &format!("team-{team}"), event_type, json!({ "team_id": team, "festival_id": festival }))
    };
    team("b", "TeamCreated", "summer");
    team("a", "TeamCreated", "summer");
    let moved = team("b", "TeamMoved", "winter");
    // Then each festival is found by the teams that it has.
    let found_by = |festival: &str| {
        let path = format!("/processes/festival-cleanup/instances/festival-{festival}?min_position={moved}");
        server.get(&path).ok()["associations"].clone()
    };
    assert_eq!((found_by("summer"), found_by("winter")), (json!(["team-a"]), json!(["team-b"])));
}

#[test]
fn instances_are_found_by_their_keys_states_and_times() {
    // Given orders that stand differently, placed an hour apart.
    let data = Data::new();
    let server = morning(&data);
    serve(&data, &server, "order-payment");
    let hour = json!({ "by_seconds": 3_600 });
    place(&server, "a-1");
    server.post("/clock/advance", &hour).ok();
    place(&server, "a-2");
    cancel(&server, "a-2");
    server.post("/clock/advance", &hour).ok();
    pay(&server, "b-1", 990);
    pay(&server, "b-2", 1_200);

    // Then they are found by what they are called,
    let all = ["a-1", "a-2", "b-1", "b-2"];
    assert_eq!(keys(&server, ""), all);
    assert_eq!(keys(&server, "key=eq.b-1"), ["b-1"]);
    assert_eq!(keys(&server, "key=like.a-*&order=key.desc"), ["a-2", "a-1"]);
    // by what is in their states, whatever it is,
    assert_eq!(keys(&server, "state.settlement.is_cancelled=eq.true"), ["a-2"]);
    assert_eq!(keys(&server, "state.settlement.is_cancelled=is.false"), ["a-1", "b-1", "b-2"]);
    assert_eq!(keys(&server, "state.settlement.payment.amount_cents=gt.1000"), ["b-2"]);
    assert_eq!(keys(&server, "state.settlement.payment.amount_cents=in.(990,1)"), ["b-1"]);
    assert_eq!(keys(&server, "state.settlement.payment=is.null"), ["a-1", "a-2"]);
    assert_eq!(keys(&server, "state.settlement.payment=is.null&state.settlement.is_cancelled=eq.false"), ["a-1"]);
    assert_eq!(keys(&server, "state.nothing.like.that=is.not_null"), [] as [&str; 0]);
    assert_eq!(keys(&server, "order=state.settlement.payment.amount_cents.desc,key&limit=2"), ["b-2", "b-1"]);
    // by their times,
    assert_eq!(keys(&server, "began_at=lt.2030-01-01T09:00:00Z"), ["a-1"]);
    assert_eq!(keys(&server, "changed_at=gte.2030-01-01T10:00:00%2B00:00"), ["b-1", "b-2"]);
    // and by when they changed last, by the host's clock.
    assert_eq!(keys(&server, "idle_for=3600"), ["a-1", "a-2"]);
    assert_eq!(keys(&server, "idle_for=7200s"), ["a-1"]);
    assert_eq!(keys(&server, "idle_for=7200001ms"), [] as [&str; 0]);
    // Their timers are counted.
    assert_eq!(keys(&server, "timers=gt.0"), ["a-1"]);
    let row = server.get("/processes/order-payment/instances?key=eq.a-1").ok()["rows"][0].clone();
    assert_eq!((&row["timers"], &row["next_due_at"]), (&json!(1), &json!("2030-01-02T08:00:00.000000Z")));
    assert_eq!(row["state"]["settlement"]["is_cancelled"], false, "it is JSON, and no text");

    // What changes with the clock is never said to be the same.
    let path = "/processes/order-payment/instances?idle_for=10800";
    let before = server.get(path);
    assert_eq!((before.json()["rows"].clone(), before.header("etag")), (json!([]), None));
    server.post("/clock/advance", &hour).ok();
    let any = server.get_with(path, &[("if-none-match", "*")]).expect("an answer");
    assert_eq!(any.ok()["rows"][0]["key"], "a-1");
    // What does not is.
    let plain = server.get("/processes/order-payment/instances");
    let tag = plain.header("etag").expect("a tag");
    let again = server.get_with("/processes/order-payment/instances", &[("if-none-match", tag)]).expect("an answer");
    assert_eq!(again.status, 304);

    // In pages, each is there once, also where the pages go by what is in the state, and by how long ago it changed.
    for asked in ["limit=1", "limit=3&order=state.settlement.is_cancelled.desc", "limit=1&idle_for=1&count=true"] {
        let (mut seen, mut next) = (Vec::new(), Some(format!("/processes/order-payment/instances?{asked}")));
        while let Some(path) = next {
            let page = server.get(&path).ok();
            seen.extend(page["rows"].as_array().expect("rows").iter().map(|row| row["key"].clone()));
            assert!(!asked.contains("count") || page["count"] == 4, "{page}");
            next = page["next"].as_str().map(str::to_owned);
            // The clock goes on; the pages are as of one moment.
            server.post("/clock/advance", &json!({ "by_seconds": 1 })).ok();
        }
        let once: BTreeSet<&str> = seen.iter().map(|key| key.as_str().expect("a key")).collect();
        assert_eq!((seen.len(), once), (4, all.into()), "{asked}");
    }
    // As CSV, too.
    let csv =
        server.get_with("/processes/order-payment/instances?key=eq.a-1", &[("accept", "text/csv")]).expect("rows");
    assert!(csv.text.starts_with("key,state,began_position,began_at,"), "{}", csv.text);
    assert!(csv.text.contains(",2030-01-01T08:00:00.000000Z,"), "{}", csv.text);

    // What is not as it should be is refused, with the reason.
    for (asked, why) in [
        ("colour=eq.red", "colour"),
        ("state.=eq.1", "names of members"),
        ("state..a=eq.1", "names of members"),
        ("state.a=1", "a filter"),
        ("began_at=gt.yesterday", "a moment"),
        ("idle_for=long", "seconds"),
        ("order=colour", "colour"),
        ("limit=0", "limit"),
        ("after=nowhere", "next"),
    ] {
        let answer = server.get(&format!("/processes/order-payment/instances?{asked}"));
        let body = answer.refused(400, "bad-parameter");
        assert!(body["detail"].as_str().is_some_and(|detail| detail.contains(why)), "{asked}: {body}");
    }
    // Whatever stands in a name is a name.
    for name in ["state.\" FROM x; --", "state.'", "state.a\\\"b", "state.$[0]"] {
        assert_eq!(keys(&server, &format!("{}=is.not_null", encoded(name))), [] as [&str; 0], "{name}");
    }
}

#[test]
fn timers_that_are_overdue_wait_for_a_yes() {
    // Given orders from long before their process manager came: their payments are overdue, but for one.
    let data = Data::new();
    let server = morning(&data);
    let placed = [place(&server, "1"), place(&server, "2")];
    server.post("/clock/advance", &json!({ "to": "2030-06-01T00:00:00Z" })).ok();
    let later = json!({ "order_id": "3", "pay_by": "2030-07-01T00:00:00Z" });
    append(&server, "order-3", "OrderPlaced", later);
    serve(&data, &server, "order-payment");

    // Then nothing fires, and it is told what waits,
    let shown = server.get("/processes/order-payment").ok();
    assert_eq!(shown["acts_behind"], 3);
    assert_eq!(shown["instances"], json!({ "count": 3, "more": false }));
    assert_eq!(shown["timers"]["waiting"]["count"], 3);
    assert_eq!(shown["timers"]["next"]["instance"], "3");
    assert_eq!((&shown["overdue"]["count"], &shown["overdue"]["more"]), (&json!(2), &json!(false)));
    let samples = shown["overdue"]["samples"].as_array().expect("samples").iter();
    let samples: Vec<(&Value, &Value)> = samples.map(|timer| (&timer["instance"], &timer["set_by"])).collect();
    assert_eq!(samples, [(&json!("1"), &json!(placed[0])), (&json!("2"), &json!(placed[1]))]);
    let held = |held: bool| -> Vec<Value> {
        let page = server.get(&format!("/processes/order-payment/timers?held=eq.{held}&order=due_at")).ok();
        page["rows"].as_array().expect("rows").iter().map(|timer| timer["instance"].clone()).collect()
    };
    assert_eq!((held(true), held(false)), (vec![json!("1"), json!("2")], vec![json!("3")]));
    let first = instance(&server, "1");
    assert_eq!(
        (&first["timers"][0]["held"], &first["timers"][0]["due_at"]),
        (&json!(true), &json!("2030-01-02T08:00:00.000000Z"))
    );
    let tag = server.get("/processes/order-payment/instances/1").header("etag").expect("a tag").to_owned();
    // also on the command line.
    let data_at = data.path().display().to_string();
    let told = said(&["timers", "order-payment", "--data", &data_at]);
    assert!(
        told.contains("overdue") && told.contains("--fire-overdue") && told.contains("2030-07-01 00:00:00"),
        "{told}"
    );

    // Who may only read gives no yes.
    let reader = server.with_token(&["read"], None);
    reader.post("/processes/order-payment/timers/fire-overdue", &Value::Null).refused(403, "not-allowed");
    assert_eq!(held(true).len(), 2);

    // When the yes comes, then they fire, and what follows from them is done,
    let told = said(&["timers", "order-payment", "--fire-overdue", "--data", &data_at]);
    assert!(told.contains("2 timers"), "{told}");
    server.wait_for("/events?type=PaymentTimedOut", |answer| {
        answer.json()["events"].as_array().expect("events").len() == 2
    });
    assert_eq!((held(true), held(false)), (vec![], vec![json!("3")]));
    let asked = server.get_with("/processes/order-payment/instances/1?fresh=true", &[("if-none-match", &tag)]);
    assert_eq!(asked.expect("an answer").ok()["timers"], json!([]));
    // and a second yes is one to nothing.
    let again = server.post("/processes/order-payment/timers/fire-overdue", &Value::Null).ok();
    assert_eq!(again, json!({ "name": "order-payment", "release": 1, "timers": 0 }));
    let done = server.wait_for("/processes/order-payment", |answer| answer.json()["effects"]["pending"]["count"] == 0);
    assert_eq!(
        done.json()["effects"],
        json!({ "status": "going-on", "pending": { "count": 0, "more": false }, "next": null })
    );

    // When it rests, then that is told.
    server.post("/projections/order-payment/pause", &Value::Null).ok();
    let resting = server.get("/processes/order-payment").ok();
    assert_eq!((&resting["effects"]["status"], &resting["timers"]["status"]), (&json!("resting"), &json!("resting")));
    assert_eq!(resting["effects"]["pending"]["count"], 0, "what was done is not pending: {resting}");
}

#[test]
fn what_a_release_would_have_done_is_read_beside_what_was_done() {
    // Given a process manager that reacted from the middle of its history on, and did one thing since; every release is held.
    let data = Data::new();
    std::fs::write(data.path().join("laterna.toml"), "policy = \"hold\"\n").expect("a file");
    let server = morning(&data);
    place(&server, "1");
    cancel(&server, "5");
    let before = pay(&server, "5", 500);
    server.post("/clock/advance", &json!({ "to": "2030-06-01T00:00:00Z" })).ok();
    let offer = |bytes: Vec<u8>| {
        server.send("/components?name=order-payment", &[("content-type", "application/wasm")], bytes).ok();
        server.wait_for("/projections/order-payment", |answer| answer.json()["building"]["state"] == "held");
    };
    let bytes = std::fs::read(component("order-payment")).expect("a component");
    offer(bytes.clone());
    server.post("/projections/order-payment/promote?timeout=30", &Value::Null).ok();
    cancel(&server, "6");
    let since = pay(&server, "6", 600);
    assert_eq!(became(&server, "6", since)["state"], "done");

    // When another release is held that does the same, then it is told what it would have done besides, and what waits for a yes.
    offer(variant(&bytes, 2));
    let told = said(&["diff", "order-payment", "--data", &data.path().display().to_string()]);
    assert!(told.contains("1 effect was done; it would have done") && told.contains("     1  the same"), "{told}");
    assert!(told.contains(&format!("+ position {before}, instance 5: RefundRequested to order-5")), "{told}");
    assert!(told.contains("overdue timers") && told.contains("2030-01-02 08:00:00  1 "), "{told}");
    let told = said(&["status", "--data", &data.path().display().to_string()]);
    assert!(
        told.contains("1 timer is overdue and waits for your yes; `laterna timers order-payment` shows which"),
        "{told}"
    );
}

#[test]
fn process_managers_are_told_apart_from_projections() {
    // Given a process manager that reacts to everything, and a projection.
    let data = Data::new();
    let server = data.serve();
    server.get("/processes/loyalty").refused(404, "process-not-found");
    serve(&data, &server, "retail");
    serve(&data, &server, "loyalty");
    server.import(&online_retail_events()).ok();

    // Then the one is among the process managers, with what it did, and the other is not.
    let granted =
        server.get("/processes/loyalty/instances?fresh=true&timeout=30&state.net_mils=gte.1000000&count=true");
    let loyal = granted.ok()["count"].as_u64().expect("a number");
    assert!(loyal > 0, "{granted:?}");
    let shown = server.get("/processes").ok();
    let names: Vec<&Value> = shown["processes"].as_array().expect("a list").iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["loyalty"]);
    assert_eq!(shown["processes"][0]["live"]["release"], 1);
    for path in ["", "/instances", "/instances/x", "/timers"] {
        let body = server.get(&format!("/processes/retail{path}")).refused(404, "process-not-found");
        assert!(body["detail"].as_str().is_some_and(|detail| detail.contains("GET /projections/retail")), "{body}");
        let body = server.get(&format!("/processes/nobody{path}")).refused(404, "process-not-found");
        assert!(body["detail"].as_str().is_some_and(|detail| detail.contains("loyalty")), "{body}");
    }
    server.post("/processes/retail/timers/fire-overdue", &Value::Null).refused(404, "process-not-found");
    assert_eq!(server.get("/errors/process-not-found").status, 200);

    // When an instance is looked into, then each of its effects is found, and said on the command line, too.
    let row = server.get("/processes/loyalty/instances?state.net_mils=gte.1000000&limit=1").ok()["rows"][0].clone();
    let key = row["key"].as_str().expect("a key");
    let path = format!("/processes/loyalty/instances/{key}");
    let done = server.wait_for(&path, |answer| !answer.text.contains("\"pending\"")).json();
    let actions = done["history"].as_array().expect("a history").iter().flat_map(|past| past["actions"].as_array());
    let effect = actions.flatten().find(|action| action["append"].is_object()).expect("it was granted");
    let position = effect["became"]["position"].as_u64().expect("it was done");
    let event = server.get(&format!("/events?after={}&limit=1", position - 1)).ok()["events"][0].clone();
    assert_eq!((&event["type"], &event["stream"]), (&effect["append"]["type"], &effect["append"]["stream"]));
    let data_at = data.path().display().to_string();
    let told = said(&["instances", "loyalty", key, "--data", &data_at]);
    assert!(told.contains(&format!("done, position {position}")), "{told}");
    let told =
        said(&["instances", "loyalty", "state.net_mils=gte.1000000", "limit=1", "count=true", "--data", &data_at]);
    assert!(told.contains(key) && told.contains(&format!("{loyal} in all")) && told.contains("after="), "{told}");
    let json: Value =
        serde_json::from_str(&said(&["instances", "loyalty", key, "--json", "--data", &data_at])).expect("JSON");
    assert_eq!(json["key"], key);
}

#[test]
fn nobody_sees_what_is_inside_a_module() {
    // Given a process manager of a module, of which an effect was refused, and a timer fired.
    let data = Data::new();
    let server = morning(&data);
    let folder = data.path().join("components/shop");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::copy(component("order-payment"), folder.join("order-payment.wasm")).expect("it is copied");
    server.wait_for("/projections/order-payment", |answer| answer.status == 200 && !answer.json()["live"].is_null());
    place(&server, "7");
    server.delete("/streams/order-7").ok();
    cancel(&server, "7");
    pay(&server, "7", 700);
    place(&server, "8");
    server.post("/clock/advance", &json!({ "to": PAY_BY })).ok();
    server.wait_for("/events?type=PaymentTimedOut", |answer| !answer.json()["events"][0].is_null());
    let head = server.get("/").ok()["head"].as_u64().expect("a position");
    let shown = |client: &Client, key: &str| -> Value {
        let path = format!("/processes/order-payment/instances/{key}?min_position={head}");
        client.get(&path).ok()
    };
    let refusal = |shown: &Value| -> Value {
        let history = shown["history"].as_array().expect("a history").iter();
        let actions = history.flat_map(|past| past["actions"].as_array()).flatten();
        let mut refused = actions.filter(|action| action["became"]["state"] == "refused");
        refused.next().unwrap_or_else(|| panic!("nothing was refused: {shown}"))["became"].clone()
    };
    let hidden = |shown: &Value| -> Vec<bool> {
        let history = shown["history"].as_array().expect("a history").iter();
        history.map(|past| past["event"].is_null()).collect()
    };
    // Then inside the module it is told why, and by which event,
    let inside = server.with_token(&["read"], Some("shop"));
    assert_eq!(refusal(&shown(&inside, "7"))["code"], "stream-closed");
    assert!(!hidden(&shown(&inside, "8")).contains(&true));
    // and elsewhere only where that stands.
    for outside in [server.with_token(&["read"], None), server.with_token(&["read"], Some("stock"))] {
        let refused = refusal(&shown(&outside, "7"));
        assert!(refused["position"].is_u64() && refused["code"].is_null() && refused["reason"].is_null(), "{refused}");
        let order = shown(&outside, "8");
        assert!(hidden(&order).contains(&true) && hidden(&order).contains(&false), "{order}");
        let text: &Answer = &outside.get("/processes/order-payment/instances/8");
        assert!(!text.text.contains("timer.fired"), "{text:?}");
    }
    // A token of another module gives no yes.
    let stranger = server.with_token(&["deploy"], Some("stock"));
    stranger.post("/processes/order-payment/timers/fire-overdue", &Value::Null).refused(403, "not-allowed");
}

/// What the command line says; it must succeed.
fn said(arguments: &[&str]) -> String {
    let ran = laterna(arguments);
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("text")
}
