//! A module's internal events are its own affair: others see the gap in positions, and nothing else, over every door.

use laterna_tests::guests::misbehaving;
use laterna_tests::releases::variant;
use laterna_tests::{Client, Data, Server, component};
use serde_json::{Value, json};
use std::cell::RefCell;

/// Stands in each internal event: in its data, its type, its id and its stream.
const SECRET: &str = "Hush";

/// A shop with three modules' components, and events of two modules.
struct Shop {
    server: Server,
    /// Inside the module `notifications`.
    inside: Client,
    /// Everybody else: another module, no module, no token.
    outside: Vec<(&'static str, Client)>,
}

fn module_folder(data: &Data, module: &str, name: &str, bytes: &[u8]) {
    let folder = data.path().join("components").join(module);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join(format!("{name}.wasm")), bytes).expect("a file");
}

impl Shop {
    fn open(data: &Data) -> Self {
        let notifications = std::fs::read(component("notifications")).expect("a file");
        module_folder(data, "notifications", "notifications", &notifications);
        // Each of these is given all that it may see: in another module, in none, and in the module itself.
        for (module, name) in [("sales", "spy-of-sales"), ("", "spy-of-nobody"), ("notifications", "insider")] {
            module_folder(data, module, name, &misbehaving(&json!({ "name": name })));
        }
        let server = data.serve_with(&["--heartbeat-ms", "20"]);
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

    /// Positions 1 and 4 are public events of sales, 2, 3 and 5 internal ones of notifications, 6 is a public one of those.
    fn tell(&self) {
        let sales = &self.outside[0].1;
        let shipped = |number: u64| {
            json!({ "events": [{ "type": "OrderShipped",
            "data": { "order_id": format!("o{number}"), "customer_id": "c7" } }] })
        };
        let event = |of_type: &str, data: Value| {
            json!({ "events": [{ "type": of_type, "visibility": "internal", "data": data,
            "id": format!("{SECRET}-{of_type}"), "metadata": { SECRET: true } }] })
        };
        let stream = format!("/streams/notification-{SECRET}/events");
        sales.post("/streams/order-1/events", &shipped(1)).ok();
        let queued = json!({ "notification_id": SECRET, "order_id": "o1", "channel": "email" });
        self.inside.post(&stream, &event("NotificationQueued", queued)).ok();
        let attempted = json!({ "notification_id": SECRET, "error": format!("{SECRET}: mailbox full") });
        self.inside.post(&stream, &event("DeliveryAttempted", attempted)).ok();
        sales.post("/streams/order-2/events", &shipped(2)).ok();
        self.inside.post(&stream, &event(&format!("{SECRET}Reconsidered"), json!({}))).ok();
        let delivered =
            json!({ "events": [{ "type": "NotificationDelivered", "data": { "notification_id": SECRET } }] });
        self.inside.post("/streams/notification-public/events", &delivered).ok();
    }
}

fn positions(events: &Value) -> Vec<u64> {
    let events = events["events"].as_array().expect("events");
    events.iter().map(|event| event["position"].as_u64().expect("a position")).collect()
}

#[test]
fn over_every_door() {
    let data = Data::new();
    let shop = Shop::open(&data);
    shop.tell();

    // Inside, all is there.
    assert_eq!(positions(&shop.inside.get("/events").ok()), [1, 2, 3, 4, 5, 6]);
    let stream = format!("/streams/notification-{SECRET}/events");
    assert_eq!(positions(&shop.inside.get(&stream).ok()), [2, 3, 5]);
    let told = shop.inside.rows("notifications", "notifications");
    assert_eq!(told[0]["status"], "delivered");
    assert_eq!(told[0]["attempts"], 2);
    let shown = shop.inside.projection("notifications");
    assert_eq!((&shown["visibility"], shown["tables"].as_array().map(Vec::len)), (&json!("internal"), Some(2)));

    // Outside, whatever is asked, nothing of it is told.
    for (who, outside) in &shop.outside {
        let said = RefCell::new(Vec::new());
        let ask = |path: &str| {
            let answer = outside.get(path);
            said.borrow_mut().push((path.to_owned(), answer.text.clone()));
            answer
        };
        let page = ask("/events").ok();
        assert_eq!(positions(&page), [1, 4, 6], "{who}");
        // Where it is public, what it carries is for everybody.
        said.borrow_mut().clear();
        assert_eq!(positions(&ask("/events?limit=1&after=1").ok()), [4], "{who}");
        assert_eq!(ask("/events?after=4&limit=1&type=OrderShipped").position(), 6, "{who}: the gap is passed");
        for filter in ["type=NotificationQueued", "module=notifications&type=DeliveryAttempted"] {
            assert_eq!(positions(&ask(&format!("/events?{filter}")).ok()), [0; 0], "{who}: {filter}");
        }
        assert_eq!(positions(&ask("/events?category=notification&limit=100").ok()), [6], "{who}");
        // A stream of which they may see nothing is as one that is not there; nobody closes what they do not see.
        ask(&stream).refused(404, "stream-not-found");
        ask(&format!("{stream}?direction=backwards")).refused(404, "stream-not-found");
        outside.delete(&format!("/streams/notification-{SECRET}")).refused(404, "stream-not-found");
        for path in ["tables/notifications", "tables/shipments", "queries/untold", "tables/nothing"] {
            ask(&format!("/projections/notifications/{path}")).refused(403, "not-allowed");
        }
        let shown = ask("/projections/notifications").ok();
        assert_eq!((&shown["tables"], &shown["consumes"]), (&Value::Null, &Value::Null), "{who}");
        ask("/projections").ok();
        ask("/").ok();
        ask("/health/ready");
        ask("/projections/notifications/parked").refused(403, "not-allowed");
        for (path, text) in said.borrow().iter() {
            // What was asked for may stand in the address of the next page.
            let told = text.matches(SECRET).count() > 0 && !path.contains(SECRET) && !path.contains("category=");
            assert!(!told && !text.contains("mailbox"), "{who} reads at {path}: {text}");
        }

        // Who follows is carried across the gap.
        let mut seen = Vec::new();
        outside.follow("/events?after=4&type=OrderShipped", &[], |name, id, data| {
            seen.push((name.to_owned(), id.to_owned(), data.to_owned()));
            !(name == "heartbeat" && id == "6")
        });
        assert_eq!(seen.last().expect("a heartbeat").2, "{\"position\":6}", "{who}");
        assert!(seen.iter().all(|(.., data)| !data.contains(SECRET)), "{who}: {seen:?}");
        let mut followed = Vec::new();
        outside.follow("/events", &[], |name, id, _| {
            if name != "heartbeat" {
                followed.push(id.to_owned());
            }
            followed.len() < 3
        });
        assert_eq!(followed, ["1", "4", "6"], "{who}");
    }

    // Components see what their module sees.
    let seen = |name: &str| {
        let rows = shop.server.rows(name, "seen");
        rows.iter().map(|row| row["position"].as_u64().expect("a position")).collect::<Vec<_>>()
    };
    assert_eq!(seen("spy-of-sales"), [1, 4, 6]);
    assert_eq!(seen("spy-of-nobody"), [1, 4, 6]);
    assert_eq!(seen("insider"), [1, 2, 3, 4, 5, 6]);
    // It passes over the gap, so that nobody waits for what it is not given.
    assert_eq!(shop.server.get("/projections/spy-of-sales/tables/counts?min_position=6").position(), 6);

    // A stream of both kinds has gaps for others, and is closed by who sees all of it.
    let mixed = json!({ "events": [{ "type": "Public" }, { "type": "Private", "visibility": "internal" }] });
    shop.inside.post("/streams/mixed/events", &mixed).ok();
    for (who, outside) in &shop.outside {
        assert_eq!(positions(&outside.get("/streams/mixed/events").ok()), [7], "{who}");
        assert_eq!(positions(&outside.get("/streams/mixed/events?from=1").ok()), [0; 0], "{who}");
        outside.delete("/streams/mixed").refused(403, "not-allowed");
    }
    shop.inside.delete("/streams/mixed").ok();
    shop.inside.get("/streams/mixed/events").refused(410, "stream-closed");

    // A component that is moved to another module is another release, with another sight.
    let spy = variant(&misbehaving(&json!({ "name": "spy-of-sales" })), 1);
    std::fs::remove_file(data.path().join("components/sales/spy-of-sales.wasm")).expect("it was there");
    module_folder(&data, "notifications", "spy-of-sales", &spy);
    shop.server.wait_for_release("spy-of-sales", 2, "live");
    assert_eq!(seen("spy-of-sales"), [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn what_goes_wrong_with_an_internal_event_is_told_inside_only() {
    let data = Data::new();
    for (name, parks) in [("halting", false), ("parking", true)] {
        module_folder(&data, "notifications", name, &misbehaving(&json!({ "name": name, "parks": parks })));
    }
    let shop = Shop::open(&data);
    shop.tell();
    // The reason, too, is what the component makes of its content: here it quotes nothing, so the type stands for it.
    let failed =
        json!({ "events": [{ "type": "Failed", "id": format!("{SECRET}-9"), "visibility": "internal", "data": {} }] });
    shop.inside.post(&format!("/streams/{SECRET}-1/events"), &failed).ok();
    let is_halted = |answer: &laterna_tests::Answer| answer.json()["live"]["status"] == "halted";
    let halted = shop.inside.wait_for("/projections/halting", is_halted).ok();
    assert_eq!(halted["live"]["halt"]["event_id"], format!("{SECRET}-9"));
    let parked = |client: &Client| client.get("/projections/parking/parked").ok()["parked"][0].clone();
    let left = shop.inside.wait_for("/projections/parking", |answer| answer.json()["parked"] == 1).ok();
    assert_eq!(left["live"]["status"], "folding");
    assert_eq!(parked(&shop.inside)["sequence"], format!("{SECRET}-1"));

    // A release that cannot be built halts at the same event, and its record says why.
    let unbuilt = variant(&misbehaving(&json!({ "name": "halting" })), 1);
    shop.inside
        .try_post("/components?name=halting&module=notifications", "application/wasm", unbuilt)
        .expect("an answer");
    let failed =
        shop.inside.wait_for("/projections/halting", |answer| answer.json()["releases"][0]["state"] == "failed");
    assert!(failed.ok()["releases"][0]["reason"].as_str().expect("text").contains(SECRET));

    for (who, outside) in &shop.outside {
        let paths = [
            "/projections/halting",
            "/projections/parking",
            "/projections",
            "/projections/parking/parked",
            "/projections/halting/tables/seen?min_position=7&timeout=100ms",
            "/health/ready",
        ];
        for path in paths {
            let text = outside.get(path).text;
            assert!(!text.contains(SECRET) && !text.contains("Failed"), "{who} reads at {path}: {text}");
        }
        assert_eq!((parked(outside), &outside.projection("parking")["parked"]), (Value::Null, &json!(0)), "{who}");
        let shown = outside.projection("halting");
        assert_eq!(shown["live"]["halt"]["position"], 7, "{who}");
        // What is not theirs to see is not theirs to give up, and neither is what their module does not deploy.
        let discarded = outside.post(&format!("/projections/parking/parked/{SECRET}-1/discard"), &Value::Null);
        assert!([403, 404].contains(&discarded.status), "{who}: {discarded:?}");
    }
    let (_, sales) = &shop.outside[0];
    sales.order("halting", "rebuild").refused(403, "not-allowed");
    let upload =
        sales.try_post("/components?name=halting&module=notifications", "application/wasm", "x").expect("an answer");
    upload.refused(403, "not-allowed");
    let upload = sales.try_post("/components?name=halting&module=sales", "application/wasm", "x").expect("an answer");
    upload.refused(403, "not-allowed");
    shop.inside.post(&format!("/projections/parking/parked/{SECRET}-1/discard"), &Value::Null).ok();

    // Where the first of a sequence is public, others are told of it, and not what follows on it inside.
    let mixed = json!({ "events": [{ "type": "Failed" }, { "type": "Counted", "visibility": "internal" }] });
    let last = shop.inside.post("/streams/mixed/events", &mixed).position();
    shop.inside.wait_for("/projections/parking", |answer| answer.json()["live"]["checkpoint"] == last);
    let of_mixed = |client: &Client| {
        let parked = client.get("/projections/parking/parked?after=7").ok()["parked"][0].clone();
        [parked["events"].clone(), parked["positions"].clone(), client.projection("parking")["parked"].clone()]
    };
    assert_eq!(of_mixed(&shop.inside), [json!(2), json!([last - 1, last]), json!(2)]);
    for (who, outside) in &shop.outside {
        assert_eq!(of_mixed(outside), [json!(1), Value::Null, json!(1)], "{who}");
    }

    // What the machine could not do at an internal event is told inside, too.
    let consumes = json!({ "name": "deep", "consumes": ["Recursed"] });
    module_folder(&data, "notifications", "deep", &misbehaving(&consumes));
    shop.server.wait_for_release("deep", 1, "live");
    let recursed =
        json!({ "events": [{ "type": "Recursed", "id": format!("{SECRET}-deep"), "visibility": "internal" }] });
    shop.inside.post("/streams/deep/events", &recursed).ok();
    assert!(shop.inside.wait_for("/projections/deep", is_halted).text.contains(SECRET));
    for (who, outside) in &shop.outside {
        let texts = ["/projections/deep", "/projections", "/health/ready"].map(|path| outside.get(path).text);
        assert!(texts.iter().all(|text| !text.contains(SECRET)), "{who}: {texts:?}");
    }
}

#[test]
fn being_internal_can_belong_to_the_type() {
    // Given a type that its module registered as internal, with nothing else said about it,
    let data = Data::new();
    let folder = data.path().join("schemas/notifications/DeliveryAttempted");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("1.json"), "{\"x-visibility\": \"internal\"}").expect("a file");
    let shop = Shop::open(&data);
    // when it is appended without a word, or as if it were public, by every door,
    let attempted = json!({ "notification_id": SECRET, "error": SECRET });
    let event = |visibility: Value| json!({ "type": "DeliveryAttempted", "data": attempted, "visibility": visibility });
    let inside = &shop.inside;
    inside.post("/streams/n-1/events", &json!({ "events": [event(json!("public"))] })).ok();
    inside.post("/events", &json!({ "streams": [{ "stream": "n-2", "events": [event(Value::Null)] }] })).ok();
    inside.import(&json!({ "stream": "n-3", "type": "DeliveryAttempted", "data": attempted }).to_string()).ok();
    let cloud =
        json!({ "specversion": "1.0", "id": "c1", "source": "/n", "type": "DeliveryAttempted", "data": attempted });
    let posted = inside.try_post("/events", "application/cloudevents+json", cloud.to_string());
    posted.expect("an answer").ok();
    // then it is internal, in all versions, and in that module only.
    let newer = json!({ "events": [{ "type": "DeliveryAttempted", "schema_version": 2, "data": attempted }] });
    inside.post("/streams/n-1/events", &newer).ok();
    let sales = &shop.outside[0].1;
    sales.post("/streams/n-9/events", &json!({ "events": [event(Value::Null)] })).ok();
    assert_eq!(positions(&inside.get("/events").ok()), [1, 2, 3, 4, 5, 6]);
    for (who, outside) in &shop.outside {
        assert_eq!(positions(&outside.get("/events").ok()), [6], "{who}");
        let clouds =
            outside.get_with("/events", &[("accept", "application/cloudevents-batch+json")]).expect("an answer");
        assert_eq!(clouds.json().as_array().map(Vec::len), Some(1), "{who}");
        assert_eq!(
            outside.get("/schemas").ok()["schemas"],
            json!([]),
            "{who}: that there is such a type is told inside"
        );
    }
    assert_eq!(inside.get("/schemas").ok()["schemas"][0]["visibility"], "internal");
    // A component that says it consumes the type tells so inside only, even where its read model is for everybody.
    let says = json!({ "name": "teller", "consumes": ["DeliveryAttempted", "OrderShipped"] });
    module_folder(&data, "notifications", "teller", &misbehaving(&says));
    shop.server.wait_for_release("teller", 1, "live");
    let consumes = |client: &Client| client.projection("teller")["consumes"].as_array().map(Vec::len);
    assert_eq!((consumes(inside), consumes(sales), consumes(&shop.server)), (Some(2), Some(1), Some(1)));

    // Where it cannot be known whether a type is internal, it is taken for it: what is public once is public for ever.
    let Shop { server, inside, outside } = shop;
    server.stop();
    std::fs::write(folder.join("1.json"), "{\"x-visib").expect("a file");
    let server = data.serve_with(&["--heartbeat-ms", "20"]);
    let again = |client: &Client| client.moved_to(&server.url);
    again(&inside).post("/streams/n-1/events", &newer).ok();
    assert_eq!(positions(&again(&inside).get("/events?after=6").ok()), [7]);
    assert_eq!(positions(&again(&outside[0].1).get("/events?after=6").ok()), [0; 0]);
}

#[test]
fn what_a_component_says_is_internal_where_its_read_model_is() {
    // Given a component whose read model is for its module, which cannot apply a public event,
    let data = Data::new();
    for (name, parks) in [("halting", false), ("parking", true)] {
        let says = json!({ "name": name, "parks": parks, "internal": true, "consumes": ["Failed"] });
        module_folder(&data, "notifications", name, &misbehaving(&says));
    }
    let server = data.serve();
    let inside = server.with_token(&["read"], Some("notifications"));
    // Both serve, however long that takes: a first release that meets it before cannot be built.
    ["halting", "parking"].into_iter().for_each(|name| drop(server.wait_for_release(name, 1, "live")));
    server.post("/streams/a/events", &json!({ "events": [{ "type": "Failed" }] })).ok();
    let is_halted = |answer: &laterna_tests::Answer| answer.json()["live"]["status"] == "halted";
    // then why is told inside: it may quote what is in the read model.
    let halted = inside.wait_for("/projections/halting", is_halted).text;
    assert!(halted.contains("an order without a customer"), "{halted}");
    inside.wait_for("/projections/parking", |answer| answer.json()["parked"] == 1);
    let paths = [
        "/projections/halting",
        "/projections",
        "/health/ready",
        "/projections/parking/parked",
        "/projections/parking/parked?release=1",
    ];
    for path in paths {
        let text = server.get(path).text;
        assert!(!text.contains("without a customer"), "{path}: {text}");
    }
}

#[test]
fn a_feed_ends_with_its_token() {
    // Given somebody who follows by a token,
    let data = Data::new();
    let server = data.serve_with(&["--heartbeat-ms", "20"]);
    let follower = server.with_token(&["read"], Some("sales"));
    let id = server.get("/tokens").ok()["tokens"][0]["id"].as_str().expect("an id").to_owned();
    let (mut followed, mut beats) = (Vec::new(), 0);
    // when it is revoked, then the feed ends, and nothing that comes later is told.
    follower.follow("/events", &[], |name, _, data| {
        if name == "heartbeat" {
            beats += 1;
            if beats == 1 {
                server.delete(&format!("/tokens/{id}")).ok();
                server.post("/streams/a/events", &json!({ "events": [{ "type": "TooLate" }] })).ok();
            }
        } else {
            followed.push(data.to_owned());
        }
        true
    });
    assert!(beats > 0);
    assert_eq!(followed, Vec::<String>::new());
    // Who needs no token follows on.
    server.follow("/events", &[], |_, id, _| id != "1");
}

#[test]
fn who_can_read_the_data_directory_can_ask_from_inside() {
    let data = Data::new();
    let shop = Shop::open(&data);
    shop.tell();
    let folder = data.path().display().to_string();
    let untold = |more: &[&str]| {
        let ask = ["query", "notifications", "--table", "notifications", "--json", "--data", &folder];
        laterna_tests::laterna(ask.iter().chain(more))
    };
    assert!(!untold(&[]).status.success(), "it belongs to no module");
    let told = untold(&["--inside", "notifications"]);
    assert!(String::from_utf8_lossy(&told.stdout).contains(SECRET), "{told:?}");
    assert!(!untold(&["--inside", "sales"]).status.success());
    // Nobody else can say so.
    for (who, outside) in &shop.outside {
        let answer = outside.get_with("/events", &[("laterna-inside", "notifications")]).expect("an answer");
        assert_eq!(answer.refused(403, "not-allowed")["status"], 403, "{who}");
    }
}
