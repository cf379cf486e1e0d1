//! `/openapi.json` says what the host takes and answers: its routes, and the read models that serve.

use laterna_tests::{Answer, Client, Data, Server, component, encoded, online_retail_events};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A host of the shop, whose events are folded.
fn shop() -> (Data, Server) {
    let data = Data::new();
    data.drop_component(&component("retail"));
    let server = data.serve();
    server.import(&online_retail_events()).ok();
    server.get("/projections/retail/queries/top_customers?fresh=true&timeout=30").ok();
    (data, server)
}

fn description(client: &Client) -> Value {
    client.get("/openapi.json").ok()
}

/// A parameter as it is described, wherever that stands.
fn resolved<'a>(document: &'a Value, parameter: &'a Value) -> &'a Value {
    let Some(reference) = parameter["$ref"].as_str() else { return parameter };
    document.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("nothing is at {reference}"))
}

/// Every operation: its method, its path and its parameters.
fn operations(document: &Value) -> Vec<(String, String, Vec<&Value>)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an object").iter().filter(|(key, _)| *key != "parameters") {
            let of_item = item["parameters"].as_array().into_iter().flatten();
            let parameters = of_item.chain(operation["parameters"].as_array().into_iter().flatten());
            let parameters = parameters.map(|parameter| resolved(document, parameter)).collect();
            found.push((method.to_ascii_uppercase(), path.clone(), parameters));
        }
    }
    found
}

/// The names of the parameters in this place.
fn named(parameters: &[&Value], place: &str) -> BTreeSet<String> {
    let there = parameters.iter().filter(|parameter| parameter["in"] == place);
    there.map(|parameter| parameter["name"].as_str().expect("a name").to_owned()).collect()
}

fn ask(client: &Client, method: &str, path: &str) -> Answer {
    match method {
        "GET" => client.get(path),
        "POST" => client.try_post(path, "application/json", "null").expect("the host answers"),
        "DELETE" => client.delete(path),
        other => panic!("{other} {path}"),
    }
}

/// The path of an operation, with the examples of its parameters.
fn filled(path: &str, parameters: &[&Value]) -> String {
    let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path");
    in_path.fold(path.to_owned(), |path, parameter| {
        let name = parameter["name"].as_str().expect("a name");
        path.replace(&format!("{{{name}}}"), &encoded(parameter["example"].as_str().unwrap_or("nothing")))
    })
}

#[test]
fn the_parameters_that_are_described_are_those_that_are_taken() {
    // Given a host, and what it says that it takes.
    let (_data, server) = shop();
    let document = description(&server);
    let mut looked_at = 0;
    for (method, path, parameters) in operations(&document) {
        // When it is asked for what nobody knows,
        let needed = parameters.iter().filter(|parameter| {
            // One of two must be said of what is followed.
            parameter["in"] == "query" && (parameter["required"] == true || parameter["name"] == "query")
        });
        let needed: Vec<String> = needed
            .map(|parameter| {
                let name = parameter["name"].as_str().expect("a name");
                format!("&{name}={}", parameter["example"].as_str().unwrap_or("1"))
            })
            .collect();
        let address = format!("{}?nobody_knows=1{}", filled(&path, &parameters), needed.concat());
        let answer = ask(&server, &method, &address);
        // then whoever takes parameters says which there are,
        let what = format!("{method} {path}");
        if answer.status != 400 {
            // (nothing is said of them where none is looked at, or what is asked for is not there)
            assert!(named(&parameters, "query").is_empty() || answer.status == 404, "{what}: {answer:?}");
            continue;
        }
        let detail = answer.refused(400, "bad-parameter")["detail"].as_str().expect("text").to_owned();
        let (_, known) = detail.rsplit_once(": ").unwrap_or_else(|| panic!("{what}: {detail}"));
        let known: BTreeSet<String> = known.split(", ").filter(|name| *name != "none").map(str::to_owned).collect();
        let mut described = named(&parameters, "query");
        // and these are the described ones: at a table, its columns; where any is taken, that is one word.
        if detail.contains("has no column") {
            let is_general = described.remove("filters");
            assert!(is_general || known.is_subset(&described), "{what}: {known:?} and {described:?}");
        } else {
            if described.remove("arguments") {
                described.extend(["count".to_owned(), "at_least".to_owned()]);
            }
            // Of a feed, the question says which are its own.
            assert!(known == described || path.ends_with("/live") && known.is_subset(&described), "{what}: {known:?}");
        }
        looked_at += 1;
    }
    assert!(looked_at > 30, "only {looked_at} operations said what they take");
}

#[test]
fn what_is_given_as_an_example_works() {
    let (_data, server) = shop();
    let document = description(&server);
    for (method, path, parameters) in operations(&document) {
        let operation = &document["paths"][&path][method.to_ascii_lowercase()];
        // Given every example of an operation that answers something that ends, and can be read,
        let answers = &operation["responses"]["200"]["content"];
        if answers.is_object() && answers.get("application/json").or(answers.get("text/markdown")).is_none() {
            continue;
        }
        let needs = parameters.iter().filter(|parameter| parameter["in"] == "path" || parameter["required"] == true);
        if needs.clone().any(|parameter| parameter.get("example").is_none()) {
            continue;
        }
        let mut query = Vec::new();
        for parameter in parameters.iter().filter(|parameter| parameter["in"] == "query") {
            let name = parameter["name"].as_str().expect("a name");
            match &parameter["example"] {
                Value::Null => {}
                Value::Object(members) => query.extend(members.iter().map(|(name, value)| (name.clone(), text(value)))),
                value => query.push((name.to_owned(), text(value))),
            }
        }
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let address = format!("{}?{}", filled(&path, &parameters), query.join("&"));
        let bodies = operation["requestBody"]["content"].as_object();
        let examples: Vec<(String, String)> = bodies
            .into_iter()
            .flatten()
            .filter_map(|(media_type, content)| Some((media_type.clone(), text(content.get("example")?))))
            .collect();
        // when it is asked so,
        let answers: Vec<Answer> = match method.as_str() {
            "GET" => vec![server.get(&address)],
            "POST" if bodies.is_some() => examples
                .into_iter()
                .map(|(media_type, body)| server.try_post(&address, &media_type, body).expect("the host answers"))
                .collect(),
            // What operators ask depends on how things stand.
            _ => Vec::new(),
        };
        for answer in answers {
            // then it is answered, unless what the demo lacks is asked for.
            let lacks = ["/parked/", "/diff", "/releases"].iter().any(|part| path.contains(part));
            assert!(answer.status < 400 || lacks && answer.status == 404, "{method} {address}: {answer:?}");
            let described = &operation["responses"][answer.status.to_string()];
            assert!(described.is_object(), "{method} {address} answers {}", answer.status);
        }
    }
}

/// A value as it stands in an address or a body.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().map(text).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

#[test]
fn read_models_are_described_as_they_serve() {
    // Given a host on which nothing serves.
    let data = Data::new();
    let server = data.serve();
    let before = server.get("/openapi.json");
    let tag = before.header("etag").expect("a tag").to_owned();
    let unchanged = |tag: &str| server.get_with("/openapi.json", &[("if-none-match", tag)]).expect("an answer");
    assert_eq!((unchanged(&tag).status, unchanged(&tag).text.as_str()), (304, ""));
    assert_eq!(unchanged("W/\"another\", *").status, 304);
    let server_paths = |document: &Value| -> BTreeSet<String> {
        let paths = document["paths"].as_object().expect("paths").keys();
        paths.filter(|path| path.starts_with("/projections/cars/")).cloned().collect()
    };
    assert_eq!(server_paths(&before.json()), BTreeSet::new());

    // When a component comes to serve,
    data.drop_component(&component("cars"));
    server.wait_for("/projections/cars", |answer| answer.status == 200 && !answer.json()["live"].is_null());
    // then its tables and queries are there, each with its types.
    let after = unchanged(&tag);
    assert_eq!(after.status, 200);
    let document = after.json();
    let expected = ["tables/cars", "tables/customers", "queries/of_customer"];
    assert_eq!(server_paths(&document), expected.map(|path| format!("/projections/cars/{path}")).into());
    let table = &document["paths"]["/projections/cars/tables/cars"]["get"];
    assert_eq!(table["operationId"], "cars.tables.cars");
    assert_eq!(table["x-roles"], json!(["read"]));
    let row = &table["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["rows"]["items"];
    assert_eq!(row["x-primary-key"], json!(["car_id"]));
    assert_eq!(row["properties"]["car_id"], json!({ "type": "string" }));
    assert_eq!(row["properties"]["customer_id"], json!({ "type": ["string", "null"] }), "a car that nobody bought");
    assert_eq!(row["properties"]["position"], json!({ "type": "integer", "format": "int64" }));
    let parameter = |operation: &Value, name: &str| -> Value {
        let parameters = operation["parameters"].as_array().expect("a list").iter();
        let mut parameters = parameters.map(|parameter| resolved(&document, parameter));
        parameters.find(|parameter| parameter["name"] == name).unwrap_or_else(|| panic!("no {name}")).clone()
    };
    let pattern = parameter(table, "position")["schema"]["items"]["pattern"].as_str().expect("a pattern").to_owned();
    assert!(pattern.starts_with("^(not\\.)?((eq|neq|") && pattern.contains("-?[0-9]+"), "{pattern}");
    assert!(
        parameter(table, "order")["schema"]["items"]["enum"]
            .as_array()
            .expect("a list")
            .contains(&json!("colour.desc"))
    );
    let query = &document["paths"]["/projections/cars/queries/of_customer"]["get"];
    assert_eq!(query["operationId"], "cars.queries.of_customer");
    let customer = parameter(query, "customer");
    assert_eq!((&customer["required"], &customer["schema"]["type"]), (&json!(true), &json!("string")));

    // When it is withdrawn, then they are gone, and it is described as before.
    server.post("/projections/cars/remove", &Value::Null).ok();
    assert_eq!(unchanged(&tag).status, 304);
}

#[test]
fn nobody_is_told_of_what_is_not_for_them() {
    // Given a read model that is internal to a module, one that is not, and an upcaster, which has none.
    let data = Data::new();
    let folder = data.path().join("components/shop");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::copy(component("notifications"), folder.join("notifications.wasm")).expect("the component is copied");
    data.drop_component(&component("retail"));
    data.drop_component(&component("accounts-v1"));
    let server = data.serve();
    for name in ["notifications", "retail", "accounts-v1"] {
        let path = format!("/projections/{name}");
        server.wait_for(&path, |answer| answer.status == 200 && !answer.json()["live"].is_null());
    }
    let told = |client: &Client| -> BTreeSet<String> {
        let answer = client.get("/openapi.json");
        assert_eq!(answer.header("vary"), Some("Authorization"));
        let document = answer.ok();
        let tags = document["tags"].as_array().expect("a list").iter();
        tags.filter_map(|tag| tag["name"].as_str()).map(str::to_owned).collect()
    };
    // When several ask, then each is told of what is for them.
    for (roles, module, sees_retail, sees_notifications) in [
        (&["read"][..], None, true, false),
        (&["read"], Some("stock"), true, false),
        (&["read"], Some("shop"), true, true),
        (&["admin"], Some("shop"), true, true),
        (&["append"], Some("shop"), false, false),
        (&["deploy"], Some("shop"), false, false),
    ] {
        let told = told(&server.with_token(roles, module));
        let sees = |name: &str| told.contains(name);
        assert_eq!(
            (sees("retail"), sees("notifications"), sees("accounts-v1")),
            (sees_retail, sees_notifications, false),
            "{roles:?} of {module:?}"
        );
    }
    // Nor by any other word.
    let stranger = server.with_token(&["read"], None).get("/openapi.json").text;
    assert!(!stranger.contains("notifications"), "{stranger}");
}
