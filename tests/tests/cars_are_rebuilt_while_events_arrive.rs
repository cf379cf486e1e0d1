//! A projection had a fault: it ignored that customers change their names. It is mended, and history is rebuilt while new events
//! arrive; who asks meanwhile is answered all the time.

use laterna_tests::releases::{cars_events, cars_v1, cars_v2};
use laterna_tests::{Answer, Client, Data};
use serde_json::{Value, json};

/// The tables as of the head: by which release, at which position, and their rows.
fn tables(client: &Client) -> (String, u64, Value, Value) {
    let table = |name: &str| client.get(&format!("/projections/cars/tables/{name}?fresh=true"));
    let (cars, customers): (Answer, Answer) = (table("cars"), table("customers"));
    assert_eq!(cars.position(), customers.position());
    let release = cars.header("laterna-release").expect("a release").to_owned();
    (release, cars.position(), cars.ok()["rows"].clone(), customers.ok()["rows"].clone())
}

fn car(id: &str, colour: &str, customer: Option<(&str, &str)>, position: u64) -> Value {
    let (customer_id, name) = customer.unzip();
    json!({
        "car_id": id, "created_by": "Alice", "colour": colour,
        "customer_id": customer_id, "customer": name, "position": position,
    })
}

fn customers(named: &[(&str, &str)]) -> Value {
    named.iter().map(|(id, name)| json!({ "customer_id": id, "name": name })).collect()
}

#[test]
fn history_is_right_and_nobody_waits() {
    let events = cars_events();
    let data = Data::new();
    data.drop_bytes("cars", cars_v1());
    let server = data.serve();

    // Given version 1 after six events: it shows Bob, who is called Charlie by now.
    server.import(&events[..6].join("\n")).ok();
    let v1_after_6 = json!([car("hrxs21", "red", Some(("b2dhuw", "Bob")), 5), car("tye24p", "blue", None, 3)]);
    assert_eq!(tables(&server), ("1".to_owned(), 6, v1_after_6.clone(), customers(&[("b2dhuw", "Bob")])));

    // When version 2 is dropped, and its build is kept where it begins for as long as we look,
    server.post("/projections/cars/pause?builds=true", &Value::Null).ok();
    data.drop_bytes("cars", cars_v2());
    server.wait_for_release("cars", 2, "building");
    // then version 1 answers as before,
    assert_eq!(tables(&server), ("1".to_owned(), 6, v1_after_6, customers(&[("b2dhuw", "Bob")])));
    // and takes in what arrives meanwhile: who asks for the head is answered as of the head.
    server.import(&events[6..].join("\n")).ok();
    let v1_after_9 =
        json!([car("hrxs21", "orange", Some(("b2dhuw", "Bob")), 7), car("tye24p", "blue", Some(("wuionx", "Dan")), 9)]);
    let bob_and_dan = customers(&[("b2dhuw", "Bob"), ("wuionx", "Dan")]);
    assert_eq!(tables(&server), ("1".to_owned(), 9, v1_after_9.clone(), bob_and_dan.clone()));
    let shown = server.projection("cars");
    assert_eq!((&shown["live"]["release"], &shown["building"]["release"]), (&json!(1), &json!(2)), "{shown}");
    assert_eq!((&shown["building"]["checkpoint"], &shown["building"]["status"]), (&json!(0), &json!("paused")));

    // When the build goes on, version 2 takes over, with all names right, back to the first event.
    server.order("cars", "resume").ok();
    server.wait_for_release("cars", 2, "live");
    let v2_after_9 = json!([
        car("hrxs21", "orange", Some(("b2dhuw", "Charlie")), 7),
        car("tye24p", "blue", Some(("wuionx", "Dan")), 9)
    ]);
    let charlie_and_dan = customers(&[("b2dhuw", "Charlie"), ("wuionx", "Dan")]);
    assert_eq!(tables(&server), ("2".to_owned(), 9, v2_after_9.clone(), charlie_and_dan.clone()));
    // Version 1 is kept: it serves again when it is asked to, and so does version 2.
    server.order("cars", "rollback").ok();
    assert_eq!(tables(&server), ("1".to_owned(), 9, v1_after_9, bob_and_dan));
    server.order("cars", "rollback").ok();
    assert_eq!(tables(&server), ("2".to_owned(), 9, v2_after_9, charlie_and_dan));
}

#[test]
fn version_2_is_right_at_every_event_when_it_folds_them_live() {
    let data = Data::new();
    data.drop_bytes("cars", cars_v2());
    let server = data.serve();
    server.import(&cars_events()[..6].join("\n")).ok();
    let after_6 = json!([car("hrxs21", "red", Some(("b2dhuw", "Charlie")), 6), car("tye24p", "blue", None, 3)]);
    assert_eq!(tables(&server), ("1".to_owned(), 6, after_6, customers(&[("b2dhuw", "Charlie")])));
    let of_charlie = server.get("/projections/cars/queries/of_customer?customer=b2dhuw").ok();
    assert_eq!(of_charlie["rows"][0]["car_id"], "hrxs21");
}
