//! `laterna test`: scenarios beside a component, run without a host, and told so that one sees what is wrong.

use laterna_tests::guests::misbehaving;
use laterna_tests::scenarios::{Beside, story};
use laterna_tests::{binary, component, laterna, root};
use quick_junit::{NonSuccessKind, Report, TestCaseStatus};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

const PLACED_1: &str =
    "{type: OrderPlaced, stream: order-1, data: {order_id: order-1, customer_id: c7, total_cents: 990, items: []}}";
const PAID_1: &str = "{type: OrderPaid, stream: order-1, data: {order_id: order-1, customer_id: c7, total_cents: 990}}";

/// Orders that commute, but for the payment of the last one.
fn eight_orders() -> Vec<String> {
    let placed = |order: u32| {
        format!(
            "{{type: OrderPlaced, stream: order-{order}, data: {{order_id: order-{order}, customer_id: c7, total_cents: 990, items: []}}}}"
        )
    };
    (1..=7).map(placed).chain([PAID_1.to_owned()]).collect()
}

#[test]
fn the_examples_do_what_their_scenarios_tell() {
    let output = laterna(["test"]);
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    assert!(output.status.success(), "{output:?}");
    let mut told = 0;
    for example in std::fs::read_dir(root().join("projections")).expect("a folder") {
        let example = example.expect("a folder").path();
        let name = example.file_name().expect("it has one").to_string_lossy();
        // An upcaster's stories are those of what it feeds.
        let Ok(scenarios) = std::fs::read_dir(example.join("scenarios")) else { continue };
        let count = scenarios.count();
        assert_eq!(text.lines().filter(|line| line.starts_with(&format!("ok    {name}: "))).count(), count, "{text}");
        told += count;
    }
    assert!(text.contains("however their events cross (3 batch sizes, 20 orders)"), "{text}");
    assert!(told >= 30 && text.contains(&format!("\n{told} scenarios passed; seed ")), "{told}: {text}");
}

#[test]
fn what_the_docs_tell_is_true() {
    let (orders, accounts) = (Beside::of_example("orders"), Beside::of_example("accounts"));
    let order_payment = Beside::of_example("order-payment");
    std::fs::copy(component("accounts-v1"), accounts.path("accounts-v1.wasm")).expect("it is copied");
    let page = std::fs::read_to_string(root().join("docs/scenarios.md")).expect("the page is part of the repository");
    let told = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let (of_accounts, others): (Vec<_>, Vec<_>) =
        told.map(|(scenario, _)| scenario).partition(|scenario| scenario.contains("UserCreated"));
    let (of_order_payment, of_orders): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|scenario| scenario.contains("PaymentReceived"));
    for (component, told) in [(&orders, &of_orders), (&accounts, &of_accounts), (&order_payment, &of_order_payment)] {
        for (number, scenario) in told.iter().enumerate() {
            component.tell(&format!("{number}.yaml"), scenario);
        }
    }
    let passed = orders.passes(&[]);
    let told = of_orders.len();
    assert!(told >= 4 && passed.ends_with(&format!("{told} scenarios passed\n")), "{told}: {passed}");
    assert!(accounts.passes(&[]).ends_with("1 scenario passed\n") && of_accounts.len() == 1);
    let (passed, told) = (order_payment.passes(&[]), of_order_payment.len());
    assert!(told >= 2 && passed.contains(&format!("\n{told} scenarios passed; seed ")), "{told}: {passed}");
}

#[test]
fn what_is_not_as_expected_is_told_by_table_row_and_column() {
    let orders = Beside::of_example("orders");
    orders.tell(
        "wrong.yaml",
        &story(
            "",
            &[PLACED_1, PAID_1],
            "  tables:
    orders: [{order_id: order-1, status: shipped}, {order_id: order-2}]
    customers: []
  queries:
    - {query: order, with: {id: order-1}, rows: [{total_cents: 991}]}
    - {query: order, with: {id: order-1}, refused: closed on Sundays}",
        ),
    );
    orders.fails(
        &[],
        &[
            "FAIL  orders: A story",
            "wrong.yaml",
            "table `orders`, row order_id \"order-1\": `status` is \"paid\", expected \"shipped\"",
            "table `orders` has no row order_id \"order-2\"",
            "table `customers` has a row that is not expected: {\"customer_id\":\"c7\",\"orders\":1,\"spent_cents\":990}",
            "query `order`, row 1: `total_cents` is 990, expected 991",
            "query `order` answers [{",
            "expected to be refused",
        ],
    );
}

#[test]
fn two_orders_that_end_otherwise_stand_side_by_side() {
    let orders = Beside::of_example("orders");
    let head = "order: any\nduplicates: false\nignore: {orders: [updated_position]}";
    orders.tell("paid.yaml", &story(head, &[PLACED_1, PAID_1], "  tables: {}"));
    let text = orders.fails(&["--seed", "42"], &["the outcome depends on the order of the events (seed 42)"]);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let side_by_side = |left: &str, right: &str| {
        lines.iter().any(|line| line.split_once(left).is_some_and(|(_, rest)| rest.trim_start().starts_with(right)))
    };
    for (left, right) in [
        ("order 1, as given", "order 2"),
        ("1  #1 OrderPlaced order-1", "1  #2 OrderPaid order-1"),
        ("2  #2 OrderPaid order-1", "2  #1 OrderPlaced order-1"),
        ("customers customer_id \"c7\": spent_cents", "990"),
        ("orders order_id \"order-1\": status", "\"paid\""),
        ("\"paid\"", "\"placed\""),
    ] {
        assert!(side_by_side(left, right), "`{left}` has no `{right}` beside it:\n{text}");
    }
    let longest = text.lines().filter(|line| !line.contains(".yaml")).map(|line| line.chars().count()).max();
    assert!(longest <= Some(100), "{text}");
}

#[test]
fn events_of_one_type_and_stream_are_told_apart_by_their_numbers() {
    let clumsy = Beside::new("clumsy", &misbehaving(&json!({ "name": "clumsy" })));
    // What was seen has each event's position, so that no two orders come to the same.
    let given = ["{type: Good, stream: s-1}"; 3];
    clumsy.tell("alike.yaml", &story("order: any\nduplicates: false", &given, "  {}"));
    let text = clumsy.fails(&[], &["order 1, as given", "order 2"]);
    let (left, right) = (["#1", "#2", "#3"], ["#1", "#3", "#2"]);
    for (index, (left, right)) in left.into_iter().zip(right).enumerate() {
        let side = |number: &str| format!("{}  {number} Good s-1", index + 1);
        let beside = |line: &str| line.split_once(&side(left)).is_some_and(|(_, rest)| rest.trim() == side(right));
        assert!(text.lines().any(beside), "{} | {} is missing:\n{text}", side(left), side(right));
    }
}

#[test]
fn a_seed_gives_the_same_orders_again() {
    let orders = Beside::of_example("orders");
    let events = eight_orders();
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let head = "order: any\nduplicates: false\nignore: {orders: [updated_position]}";
    orders.tell("eight.yaml", &story(head, &events, "  tables: {}"));
    let told = |seed: &str| orders.fails(&["--seed", seed], &["seed ", "OrderPaid order-1"]);
    assert_eq!(told("42"), told("42"));
    assert!((43..50).any(|seed: u64| told(&seed.to_string()).replace(&seed.to_string(), "42") != told("42")));
    // Within its stream the payment comes after its order, whatever else crosses: a choice of the orders holds.
    orders.tell("eight.yaml", &story(&head.replace("any", "interleaved"), &events, "  tables: {}"));
    let passed = orders.passes(&["--seed", "42", "--orders", "50"]);
    assert!(passed.contains("(3 batch sizes, 50 orders)") && passed.contains("seed 42"), "{passed}");
}

#[test]
fn what_comes_a_second_time_is_noticed() {
    let orders = Beside::of_example("orders");
    orders.tell("twice.yaml", &story("order: interleaved", &[PLACED_1], "  tables: {orders: [{order_id: order-1}]}"));
    orders
        .fails(&[], &["depends on what comes a second time", "2  #1 OrderPlaced order-1  (again)", "halted", "UNIQUE"]);
    // Which event comes twice is by lot; that the order is not shipped any more only follows from the halt.
    let shipped = "{type: OrderShipped, stream: order-1, data: {order_id: order-1}}";
    let head = "order: interleaved\nignore: {orders: [updated_position]}";
    orders.tell("twice.yaml", &story(head, &[PLACED_1, shipped], "  {}"));
    let told = |seed: u8| String::from_utf8(orders.test(&["--seed", &seed.to_string()]).stdout).expect("text");
    let told: Vec<String> = (0..12).map(told).filter(|text| text.contains("FAIL")).collect();
    assert!(told.iter().any(|text| text.contains("UNIQUE") && text.contains("… and 1 more\n")), "{told:?}");
    assert!(told.iter().all(|text| !text.contains("\"shipped\"")), "{told:?}");
    // Of what a component does not consume, it may come as often as it likes.
    orders.tell("twice.yaml", &story("order: any", &["{type: Noise, stream: a}", "{type: Noise, stream: b}"], "  {}"));
    let passed = orders.passes(&["--seed", "7"]);
    assert!(passed.contains("2 orders, each with duplicates, too"), "{passed}");
    // What came twice was chosen by lot: a failure of another scenario does not hide by what.
    assert!(passed.ends_with("1 scenario passed; seed 7\n"), "{passed}");
    orders.tell("wrong.yaml", &story("", &[PLACED_1], "  tables: {orders: []}"));
    let output = orders.test(&["--seed", "7"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("1 of 2 scenarios failed; seed 7"), "{said}");
}

#[test]
fn a_halt_is_told_and_may_be_expected() {
    let queries = json!([{ "name": "failed" }, { "name": "events" }]);
    let bytes = misbehaving(&json!({ "name": "clumsy", "queries": queries }));
    let clumsy = Beside::new("clumsy", &bytes);
    let given = ["{type: Good, stream: a}", "{type: Failed, stream: a, id: bad}", "{type: Good, stream: a}"];
    clumsy.tell(
        "expected.yaml",
        &story(
            "",
            &given,
            "  halts: {at: 2, because: without a customer}
  tables:
    seen: [{position: 1, id: event-1}]
    counts: [{type: Good, events: 1}]
  queries:
    - {query: events, answer: {events: 1}}
    - {query: failed, refused: nobody ever asked me}",
        ),
    );
    clumsy.passes(&[]);
    clumsy.tell("expected.yaml", &story("", &given, "  tables: {seen: [{position: 1}]}"));
    clumsy.fails(&[], &["it halted: event bad (Failed) at position 2: an order without a customer"]);
    // What only follows from it is not told.
    clumsy.tell("expected.yaml", &story("", &given, "  tables: {seen: [{position: 1}, {position: 2}, {position: 3}]}"));
    let text = clumsy.fails(&[], &["an order without a customer,\n      and what was expected is not there\n"]);
    assert!(!text.contains("position: 2") && !text.contains("has no row"), "{text}");
    let then = "  halts: {at: 2}\n  tables: {seen: [{position: 2}]}";
    clumsy.fails_so(&story("", &given, then), &["table `seen` has no row position 2"]);
}

#[test]
fn a_failure_names_what_the_component_does_not_consume() {
    let orders = Beside::of_example("orders");
    let misspelled = PLACED_1.replace("OrderPlaced", "OrderPlacd");
    let noise = "{type: Noise, stream: a}";
    let given = [PAID_1, noise, misspelled.as_str(), noise, noise];
    let text = orders.fails_so(
        &story("", &given, "  tables: {orders: [{order_id: order-1}]}"),
        &[
            "has no row",
            "\n\n      not consumed: Noise (event 2 and 2 more)\n      not consumed: OrderPlacd (event 3)\n",
        ],
    );
    assert!(!text.contains("OrderPaid"), "{text}");
    let head = "order: any\nduplicates: false\nignore: {orders: [updated_position]}";
    orders
        .fails_so(&story(head, &[PLACED_1, PAID_1, noise], "  {}"), &["what differs", "not consumed: Noise (event 3)"]);
    // Of what comes after the step that fails, nothing was to be seen yet.
    let step =
        |event: &str, status: &str| format!("  - given: [{event}]\n    then: {{tables: {{orders: {status}}}}}\n");
    let steps = [step(PLACED_1, "[]"), step(noise, "[]")].concat();
    let text = orders.fails_so(&format!("scenario: s\nsteps:\n{steps}"), &["step 1: "]);
    assert!(!text.contains("not consumed"), "{text}");
}

#[test]
fn who_goes_by_the_batch_is_found_out() {
    let clumsy = Beside::new("clumsy", &misbehaving(&json!({ "name": "clumsy" })));
    let given = ["{type: Good, stream: a}", "{type: Compared, stream: a}"];
    clumsy.tell("batches.yaml", &story("", &given, "  tables: {seen: [{position: 1}, {position: 2}]}"));
    clumsy.fails(
        &[],
        &["depends on the size of the batches: 1 and 7 differ", "number 1 of its batch", "number 2 of its batch"],
    );
    clumsy.passes(&["--batch-sizes", "2,5"]);
    // One that fails only in company is no fault of the events.
    let given = ["{type: Good, stream: a}", "{type: ShiedAway, stream: a}"];
    clumsy.tell("batches.yaml", &story("", &given, "  tables: {seen: [{position: 1}, {position: 2}]}"));
    clumsy.passes(&[]);
}

#[test]
fn results_are_written_for_programs() {
    let orders = Beside::of_example("orders");
    orders.tell("a_right.yaml", &story("", &[PLACED_1], "  tables: {orders: [{status: placed}]}"));
    orders.tell(
        "b_wrong.yaml",
        "scenario: \"<wrong> & \\e[1m\"\ngiven: []\nthen: {tables: {orders: [{status: \"<paid> & \\e[1m\"}]}}",
    );
    let file = orders.path("results.xml");
    let output = orders.test(&["--json", "--seed", "7", "--junit", file.to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");

    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&told["passed"], &told["failed"], &told["seed"]), (&json!(1), &json!(1), &json!(7)));
    let scenarios = &told["components"][0]["scenarios"];
    assert_eq!((&scenarios[0]["ok"], &scenarios[0]["tried"]["batch_sizes"]), (&json!(true), &json!(3)));
    assert_eq!((&scenarios[1]["ok"], &scenarios[1]["kind"]), (&json!(false), &json!("expectation")));
    assert!(scenarios[1]["failure"].as_str().expect("text").contains("has only 0 rows"), "{scenarios}");

    let xml = std::fs::read_to_string(file).expect("the results");
    let report = Report::deserialize_from_str(&xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
    assert_eq!((report.tests, report.failures, report.test_suites.len()), (2, 1, 1), "{xml}");
    let suite = &report.test_suites[0];
    assert_eq!((suite.name.as_str(), suite.tests, suite.failures), ("orders", 2, 1));
    assert_eq!(suite.test_cases[0].name.as_str(), "A story");
    assert!(matches!(suite.test_cases[0].status, TestCaseStatus::Success { .. }));
    let TestCaseStatus::NonSuccess { kind: NonSuccessKind::Failure, message: Some(message), .. } =
        &suite.test_cases[1].status
    else {
        panic!("{xml}")
    };
    assert!(message.as_str().contains("has only 0 rows") && message.as_str().contains("<paid> &"), "{xml}");
}

#[test]
fn a_mistake_in_a_scenario_is_told_with_its_place_and_what_is_allowed() {
    let orders = Beside::of_example("orders");
    let scenario = orders.scenario("mistake.yaml");
    let place = |at: &str| format!("{}:{at}", scenario.display());
    for (mistake, words) in [
        (
            "scenario: s\norder: sideways\ngiven: []\n",
            &[place("2:8").as_str(), "`sideways`", "given, any, interleaved"][..],
        ),
        ("scenario: s\ngiven:\n  - {type: A, stream: a, dta: 1}\n", &[place("3:26").as_str(), "`dta`", "data"]),
        ("scenario: s\ngiven: []\n steps: []\n", &["line 3", "mistake.yaml"]),
        (
            "scenario: s\ngiven: []\nthen: {tables: {order: []}}",
            &["no table `order`; it has: customers, orders, products"],
        ),
        (
            "scenario: s\ngiven: []\nthen: {tables: {products: [{qty: 1}]}}",
            &["table `products` has no column `qty`; it has: sku, ordered_qty"],
        ),
        (
            "scenario: s\norder: any\nignore: {orders: [place]}\ngiven: []\nthen: {tables: {orders: []}}",
            &["has no column `place`"],
        ),
        ("scenario: s\ngiven: []\nthen: {queries: [{query: all, rows: []}]}", &["no query `all`; it has: order"]),
        (
            "scenario: s\ngiven: []\nthen: {queries: [{query: order, with: {order: 1}, rows: []}]}",
            &["query `order` has no parameter `order`; it has: id"],
        ),
        ("scenario: s\ngiven: []\nthen: {queries: [{query: order, rows: []}]}", &["query `order` needs `id`"]),
        ("scenario: s\ngiven: []\nthen: {queries: [{query: order, answer: 1}]}", &["say `rows` in place of `answer`"]),
        (
            "scenario: s\ngiven: []\nthen: {tables: {}}",
            &["`then` expects nothing", "{orders: [{status: paid}]}", "`halts`"],
        ),
        ("scenario: s\ngiven: [{type: A, stream: a}]", &["`then` expects nothing"]),
        ("scenario: s\norder: any\ngiven: [{type: A, stream: a}]\nthen: {}", &["expects nothing", "give two"]),
    ] {
        orders.tell("mistake.yaml", mistake).fails(&[], words);
    }
    // The others are run all the same.
    orders.tell("right.yaml", &story("", &[PLACED_1], "  tables: {orders: [{}]}"));
    let text = orders.fails(&[], &["ok    orders: A story", "FAIL  orders: "]);
    assert!(!text.contains("passed"), "{text}");
}

#[test]
fn who_runs_nothing_is_told_what_to_do() {
    let says = |output: &Output, code: i32, words: &str| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(code) && said.contains(words), "no `{words}` in {output:?}");
    };
    let orders = Beside::of_example("orders");
    says(&orders.test(&[]), 1, "there is no scenario: write one as `scenarios/<name>.yaml`");
    orders.tell("one.yaml", &story("", &[PLACED_1], "  tables: {orders: [{}]}"));
    says(&orders.test(&["--only", "another"]), 1, "there is no scenario with `another` in it");
    assert!(orders.passes(&["--only", "story"]).contains("1 scenario passed"));
    std::fs::rename(orders.path("scenarios"), orders.path("stories")).expect("it is ours");
    says(&orders.test(&[]), 1, "has no scenarios: write one as");
    let stories = orders.path("stories");
    orders.passes(&["--scenarios", stories.to_str().expect("text")]);
    let one = stories.join("one.yaml");
    orders.passes(&["--scenarios", one.to_str().expect("text"), one.to_str().expect("text")]);
    says(&orders.test(&["--scenarios", "no/such.yaml"]), 1, "1 of 1 scenarios failed");
    says(&laterna(["test", "no/such/crate"]), 1, "no/such/crate is not there");
    says(&laterna(["test", "--scenarios", "a.yaml"]), 2, "--scenarios is for one component");
    says(&laterna(["test", "--batch-sizes", "0"]), 2, "batch-sizes");
    says(&laterna(["test", "--no-such-flag"]), 2, "--no-such-flag");
    let wasm = orders.path("renamed.wasm");
    std::fs::copy(Path::new(&orders.component), &wasm).expect("it is copied");
    let refused = laterna(["test".as_ref(), wasm.as_os_str(), "--scenarios".as_ref(), one.as_os_str()]);
    says(&refused, 1, "1 of 1 scenarios failed");
    let told = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(told.contains("FAIL  renamed: It can be deployed") && told.contains("refused (wrong-name)"), "{told}");
    let nowhere = Command::new(binary()).arg("test").current_dir(&stories).output().expect("laterna runs");
    says(&nowhere, 1, "here is nothing to test: go into a crate's folder, or name a crate or a .wasm file");
}

#[test]
fn a_crate_that_is_refused_is_told_by_its_folder() {
    // As it is built it says nothing of itself.
    let (crate_, story) = ("tests/guests/misbehaving", "projections/cars/scenarios/a_stream_that_names_nothing.yaml");
    let told = |folder: &Path, arguments: &[&str]| {
        let story = root().join(story);
        let mut test = Command::new(binary());
        test.current_dir(folder).arg("test").args(arguments).arg("--scenarios").arg(story);
        let output = test.output().expect("laterna runs");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let text = told(root(), &[crate_]);
    assert!(text.starts_with(&format!("FAIL  misbehaving: It can be deployed\n      in {crate_}\n")), "{text}");
    let text = told(&root().join(crate_), &["."]);
    assert!(text.contains(&format!("      in {}\n", root().join(crate_).display())), "{text}");
}

#[test]
fn the_schema_is_printed_for_editors() {
    let output = laterna(["test", "--schema"]);
    let schema: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(schema["properties"]["scenario"]["type"], "string");
    let written = std::fs::read_to_string(root().join("docs/scenario.schema.json")).expect("it is written");
    assert_eq!(String::from_utf8_lossy(&output.stdout), written);
}

#[test]
fn what_is_left_out_must_be_expected() {
    let parking = Beside::new("parking", &misbehaving(&json!({ "name": "parking", "parks": true })));
    let given = ["{type: Counted, stream: a}", "{type: Failed, stream: b}", "{type: Counted, stream: b}"];
    let told = |then: &str| story("", &given, then);
    let seen = "  tables: {seen: [{position: 1}]}\n";
    parking.fails_so(&told(seen), &["`b` is parked at position 2: an order without a customer"]);
    for (parked, words) in [
        ("{sequence: b, at: 3}", "is parked at position 2, expected 3"),
        ("{sequence: b, events: 1}", "of `b` 2 events are parked, expected 1"),
        ("{sequence: b, because: nothing}", "because \"an order without a customer\", expected \"nothing\""),
        ("{sequence: b}, {sequence: c}", "nothing of `c` is parked"),
    ] {
        parking.fails_so(&told(&format!("{seen}  parked: [{parked}]\n")), &[words]);
    }
    let right = "  parked: [{sequence: b, at: 2, events: 2, because: without a customer}]\n";
    parking.tell("only.yaml", &told(&format!("{seen}{right}"))).passes(&[]);
    // In other orders which of them is left out, and how much, hangs on the order: here the good one may come first.
    let streams = story("order: any\nduplicates: false", &given, "  parked: [{sequence: b}]\n");
    parking.fails_so(&streams, &["the outcome depends on the order of the events"]);
    parking
        .fails_so(&story("upcasters: [nobody]", &given, seen), &["there is no upcaster `nobody` beside the component"]);
}

#[test]
fn a_component_is_given_what_its_module_sees() {
    let curious = Beside::new("curious", &misbehaving(&json!({ "name": "curious" })));
    let given = ["{type: A, stream: a}", "{type: B, stream: b, module: sales, visibility: internal}"];
    let tell = |module: &str, then: &str| story(module, &given, then);
    curious.tell("inside.yaml", &tell("module: sales", "  tables: {seen: [{position: 1}, {position: 2}]}\n"));
    curious.tell("outside.yaml", &tell("module: stock", "  tables: {seen: [{position: 1}]}\n"));
    curious.tell("nowhere.yaml", &tell("", "  tables: {seen: [{position: 1}]}\n"));
    curious.passes(&[]);
}
