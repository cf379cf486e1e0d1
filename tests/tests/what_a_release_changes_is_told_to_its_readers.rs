//! What a release changes, what is proved of it and why it is held is told to those who may read what that tells of; and only those
//! who may deploy a component of a module steer it.

use laterna_tests::guests::misbehaving;
use laterna_tests::releases::recorded;
use laterna_tests::{Answer, Client, Data, Server};
use serde_json::{Value, json};

/// Stands in each internal event, and in each row of a read model that is internal.
const SECRET: &str = "Hush";

/// What is said in place of a reason that is for others.
const HIDDEN: &str = "the reason is internal to its module: ask with a token of that one";

/// A host, and who asks.
struct Shop {
    server: Server,
    /// Inside the module `notifications`.
    inside: Client,
    /// Everybody else: another module, no module, no token.
    outside: Vec<(&'static str, Client)>,
}

impl Shop {
    fn open(data: &Data, flags: &[&str]) -> Self {
        let server = data.serve_with(&[&["--heartbeat-ms", "20"], flags].concat());
        let roles = ["append", "read", "deploy"];
        let inside = server.with_token(&roles, Some("notifications"));
        let sales = server.with_token(&roles, Some("sales"));
        let outside = vec![
            ("another module", sales),
            ("no module", server.with_token(&["admin"], None)),
            ("no token", (*server).clone()),
        ];
        Self { server, inside, outside }
    }

    /// Deploys a component of `notifications`.
    fn deploy(&self, says: &Value) -> Answer {
        let name = says["name"].as_str().expect("a name");
        let path = format!("/components?name={name}&module=notifications");
        self.inside.try_post(&path, "application/wasm", misbehaving(says)).expect("the host answers")
    }
}

fn event(stream: &str, event_type: &str, visibility: &str) -> Value {
    json!({ "stream": stream, "type": event_type, "data": { "way": stream }, "visibility": visibility })
}

/// Appends events of the module `notifications`.
fn append(shop: &Shop, events: &[Value]) {
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    shop.inside.import(&lines.join("\n")).ok();
}

/// The reason of a release's step into a state, as each answer tells it that tells of it.
fn reasons(client: &Client, name: &str, release: u64, state: &str) -> Vec<Value> {
    let record = |answer: Value| recorded(&answer, release).expect("a record");
    let is_in_state = |step: &Value| step["state"] == state;
    let of_steps = |record: &Value| {
        let steps = record["steps"].as_array().expect("steps").clone();
        steps.into_iter().rfind(is_in_state).expect("it was in that state")["reason"].clone()
    };
    let shown = record(client.projection(name));
    let listed = record(client.get(&format!("/projections/{name}/releases")).ok());
    let until = shown["state"].as_str().expect("text");
    let feed = client.feed(&format!("/projections/{name}/releases?release={release}&until={until}"), &[]);
    let followed: Vec<Value> = feed.map(|said| said.expect("it does not break off").json()).collect();
    let mut reasons = vec![of_steps(&shown), of_steps(&listed), of_steps(&json!({ "steps": followed }))];
    if shown["state"] == state {
        let all = client.get("/projections").ok();
        let named = all["projections"].as_array().expect("a list").iter().find(|shown| shown["name"] == name).cloned();
        reasons.extend([shown["reason"].clone(), record(named.expect("it is there"))["reason"].clone()]);
    }
    reasons
}

#[test]
fn of_an_internal_read_model() {
    // Given a component whose read model is for its module, and a release of it that is held,
    let data = Data::new();
    let shop = Shop::open(&data, &[]);
    let Shop { inside, outside, .. } = &shop;
    let says = |version: &str, internal: bool, consumes: &[&str]| {
        let policy = if version == "1.0.0" { "" } else { "hold" };
        json!({ "name": "teller", "internal": internal, "policy": policy, "version": version, "consumes": consumes })
    };
    append(&shop, &[event(SECRET, "Shifted", "public"), event(SECRET, "Counted", "public")]);
    shop.deploy(&says("1.0.0", true, &["Shifted"])).ok();
    inside.wait_for_release("teller", 1, "live");
    shop.deploy(&says("2.0.0", true, &["Shifted", "Counted"])).ok();
    inside.wait_for_release("teller", 2, "held");
    inside.order("teller", "verify").ok();
    let told = |path: &str| inside.get(path).ok().to_string();
    let paths = ["/projections/teller/diff", "/projections/teller/diff?release=2", "/projections/teller/verify"];
    for reason in reasons(inside, "teller", 2, "held") {
        assert_eq!(reason, "policy `hold` of its manifest; what differs: 2 rows");
    }
    assert!(told(paths[0]).contains("\"changed\"") && told(paths[2]).contains("\"compared\""));

    // then what differs, how much of it, and what is proved is told inside.
    for (who, outside) in outside {
        for path in paths {
            let refused = outside.get(path).refused(403, "not-allowed");
            assert!(refused["detail"].as_str().expect("text").contains("internal to module"), "{who}: {refused}");
        }
        outside.order("teller", "verify").refused(403, "not-allowed");
        let reasons = reasons(outside, "teller", 2, "held");
        assert!(reasons.len() == 5 && reasons.iter().all(|reason| reason == HIDDEN), "{who}: {reasons:?}");
    }

    // When a release serves that is for everybody, then what was found before is as internal as it was, and so is the difference to it.
    inside.order("teller", "promote").ok();
    inside.order("teller", "verify").ok();
    shop.deploy(&says("3.0.0", false, &["Shifted", "Counted"])).ok();
    inside.wait_for_release("teller", 3, "held");
    inside.order("teller", "promote").ok();
    for (who, outside) in outside {
        outside.get("/projections/teller/tables/seen").ok();
        for path in ["diff", "diff?release=3", "diff?release=2", "verify"] {
            let refused = outside.get(&format!("/projections/teller/{path}"));
            assert_eq!((refused.status, refused.problem().as_str()), (403, "not-allowed"), "{who}: {path}");
        }
        let reasons = reasons(outside, "teller", 3, "held");
        assert!(reasons.iter().all(|reason| reason == HIDDEN), "{who}: {reasons:?}");
    }
    // What is found of that one is for everybody.
    inside.order("teller", "verify").ok();
    for (who, outside) in outside {
        let proof = outside.get("/projections/teller/verify").ok();
        assert_eq!((&proof["same"], &proof["release"]), (&json!(true), &json!(3)), "{who}");
    }
}

#[test]
fn of_internal_events_that_are_newly_left_out() {
    // Given a read model for everybody, and a release that leaves out internal events and a public one, which comes last,
    let data = Data::new();
    let shop = Shop::open(&data, &[]);
    let Shop { inside, outside, .. } = &shop;
    let says = |version: &str, consumes: &[&str]| json!({ "name": "parking", "parks": true, "version": version, "consumes": consumes });
    let secrets: Vec<Value> =
        (0..120).map(|number| event(&format!("{SECRET}-{number}"), "Failed", "internal")).collect();
    append(&shop, &secrets);
    append(&shop, &[event("b", "Failed", "public"), event("c", "Shifted", "public")]);
    shop.deploy(&says("1.0.0", &["Shifted"])).ok();
    inside.wait_for_release("parking", 1, "live");
    shop.deploy(&says("2.0.0", &["Shifted", "Failed"])).ok();
    let held = inside.wait_for_release("parking", 2, "held");
    // then inside it is told of all of them,
    let parked = |client: &Client| {
        let parked = client.get("/projections/parking/diff").ok()["parked"].clone();
        (
            parked["newly"].as_array().map(Vec::len),
            parked["newly_sequences"].clone(),
            parked["no_longer_sequences"].clone(),
        )
    };
    assert_eq!(parked(inside), (Some(100), json!(121), json!(0)));
    let reason = held["reason"].as_str().expect("text");
    assert!(reason.contains("events of 121 sequences") && reason.contains(SECRET), "{reason}");
    for (who, outside) in outside {
        // and outside of the public one: not how many others there are, either.
        assert_eq!(parked(outside).1, 1, "{who}");
        assert_eq!(parked(outside).2, 0, "{who}");
        let reasons = reasons(outside, "parking", 2, "held");
        assert!(reasons.iter().all(|reason| reason == HIDDEN), "{who}: {reasons:?}");
        for path in ["", "/diff", "/releases", "/verify"] {
            let text = outside.get(&format!("/projections/parking{path}")).text;
            assert!(!text.contains(SECRET) && !text.contains("121 sequences"), "{who} reads at {path}: {text}");
        }
        assert_eq!(outside.projection("parking")["building"]["parked"], 1, "{who}");
    }
    // The same where it leaves out no longer what the one before did.
    inside.order("parking", "promote").ok();
    shop.deploy(&says("3.0.0", &["Shifted"])).ok();
    inside.wait_for_release("parking", 3, "live");
    assert_eq!(parked(inside), (Some(0), json!(0), json!(121)));
    for (who, outside) in outside {
        assert_eq!(parked(outside), (Some(0), json!(0), json!(1)), "{who}");
    }
}

#[test]
fn of_a_public_event_that_hides_internal_ones_behind_it() {
    // Given more public sequences than are listed, and one more that is internal and comes last,
    let data = Data::new();
    let shop = Shop::open(&data, &[]);
    let Shop { inside, outside, .. } = &shop;
    let says = |version: &str, consumes: &[&str]| json!({ "name": "parking", "parks": true, "version": version, "consumes": consumes });
    let mut events: Vec<Value> = (0..101).map(|number| event(&format!("b-{number}"), "Failed", "public")).collect();
    events.push(event(SECRET, "Failed", "internal"));
    append(&shop, &events);
    shop.deploy(&says("1.0.0", &["Shifted"])).ok();
    inside.wait_for_release("parking", 1, "live");
    shop.deploy(&says("2.0.0", &["Shifted", "Failed"])).ok();
    inside.wait_for_release("parking", 2, "held");
    // then others are not told that there is one more.
    let counted = |client: &Client| client.get("/projections/parking/diff").ok()["parked"]["newly_sequences"].clone();
    assert_eq!(counted(inside), 102);
    for (who, outside) in outside {
        assert_eq!(counted(outside), 101, "{who}");
        let reasons = reasons(outside, "parking", 2, "held");
        assert!(reasons.iter().all(|reason| reason == HIDDEN), "{who}: {reasons:?}");
    }
}

#[test]
fn who_may_look_and_who_may_steer() {
    let data = Data::new();
    let shop = Shop::open(&data, &["--policy", "hold"]);
    let says = |version: &str| json!({ "name": "teller", "version": version, "consumes": ["Shifted"] });
    append(&shop, &[event("a", "Shifted", "public")]);
    shop.deploy(&says("1.0.0")).ok();
    shop.inside.wait_for_release("teller", 1, "held");
    shop.inside.order("teller", "promote").ok();
    shop.deploy(&says("2.0.0")).ok();
    shop.inside.wait_for_release("teller", 2, "held");
    let orders = ["promote", "promote?release=2", "abort", "abort?release=2", "verify"];
    // A token of another module looks on and steers nothing; so does one that is good for reading only.
    let (_, sales) = &shop.outside[0];
    let reader = shop.server.with_token(&["read"], Some("notifications"));
    let appender = shop.server.with_token(&["append"], Some("notifications"));
    for order in orders {
        for stranger in [sales, &reader, &appender] {
            stranger.order("teller", order).refused(403, "not-allowed");
        }
    }
    for path in ["diff", "releases", "verify"] {
        let path = format!("/projections/teller/{path}");
        [sales, &reader].into_iter().for_each(|looking| drop(looking.get(&path).ok()));
        appender.get(&path).refused(403, "not-allowed");
    }
    assert_eq!(
        shop.inside.wait_for_release("teller", 2, "held")["reason"],
        "policy `hold` of the host; nothing differs"
    );
    // Those of the module steer it, and those that belong to none.
    assert_eq!(shop.inside.order("teller", "verify").ok()["same"], true);
    assert_eq!(shop.inside.order("teller", "promote?release=2").ok()["state"], "live");
    shop.deploy(&says("3.0.0")).ok();
    shop.inside.wait_for_release("teller", 3, "held");
    let anywhere = shop.server.with_token(&["deploy"], None);
    assert_eq!(anywhere.order("teller", "verify").ok()["same"], true);
    assert_eq!(anywhere.order("teller", "abort").ok()["state"], "retired");
}
