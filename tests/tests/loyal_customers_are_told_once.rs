//! A shop's customers become loyal ones, and cease to be: each crossing of real purchases is told once, in order, whatever happens to the host.

use laterna_tests::{Client, Data, online_retail_events, online_retail_reference, random};
use serde_json::{Value, json};

/// What the process manager did, as the reference has it.
fn crossings(client: &Client, positions: &dyn Fn(&str) -> Value) -> Value {
    let told = |event: &Value| {
        let command = match event["type"].as_str() {
            Some("LoyaltyGranted") => "GrantLoyalty",
            _ => "RevokeLoyalty",
        };
        let (customer_id, net_mils) = (&event["data"]["customer_id"], &event["data"]["net_mils"]);
        assert_eq!(event["stream"], format!("loyalty-{}", customer_id.as_str().expect("an id")));
        let led_to_by = positions(event["causation_id"].as_str().expect("an event led to it"));
        json!({ "position": led_to_by, "command": command, "customer_id": customer_id, "net_mils": net_mils })
    };
    client.events_of(&["LoyaltyGranted", "LoyaltyRevoked"]).iter().map(told).collect()
}

#[test]
fn each_crossing_is_told_once_with_the_host_killed_again_and_again() {
    let (events, reference) = (online_retail_events(), online_retail_reference());
    let lines: Vec<&str> = events.lines().collect();
    let ids: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["id"].clone()).collect();
    // The reference counts the events of the shop alone.
    let place = |id: &str| json!(ids.iter().position(|known| known == id).expect("an event of the shop") + 1);

    // Given a shop with its figures, and who tells of loyal customers,
    let data = Data::new();
    let mut server = data.serve();
    data.serve_components(&server, &["retail", "loyalty"]);

    // when purchases come in, and the host is killed after each few of them, at any moment of what follows from them,
    let mut rng = random::seeded("loyalty");
    let mut imported = 0;
    while imported < lines.len() {
        let next = lines.len().min(imported + rng.usize(50..400));
        server.import(&lines[imported..next].join("\n")).ok();
        imported = next;
        if rng.bool() {
            server.get("/processes/loyalty/instances?limit=1&fresh=true").ok();
        }
        server.kill();
        server = data.serve();
    }

    // then each crossing is told once, in the order of the purchases,
    server.wait_until_quiet(&["loyalty"]);
    let expected = &reference["process_manager"]["commands"];
    assert_eq!(crossings(&server, &place), *expected);
    // and what is kept is what a rebuild would keep.
    for component in ["loyalty", "retail"] {
        server.verify_exact(component);
    }

    // When all of it is built anew, nothing is told once more.
    server.order("loyalty", "rebuild").ok();
    server.wait_for_release("loyalty", 2, "live");
    server.wait_until_quiet(&["loyalty"]);
    assert_eq!(crossings(&server, &place), *expected);
    let replay = &server.get("/projections/loyalty/diff").ok()["replay"];
    let done = expected.as_array().expect("a list").len();
    assert_eq!((&replay["same"], &replay["new"]["count"]), (&json!(done), &json!(0)), "{replay}");
    assert_eq!((&replay["missing"]["count"], &replay["different"]["count"]), (&json!(0), &json!(0)), "{replay}");
}
