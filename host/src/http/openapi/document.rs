//! The files as one document, with what follows from the routes, the codes of problems and the settings of a host.

use super::super::problem::Code;
use super::super::routes::{self, Route};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;

const FILES: &[(&str, &str)] = &[
    ("about.yaml", include_str!("about.yaml")),
    ("events.yaml", include_str!("events.yaml")),
    ("read_models.yaml", include_str!("read_models.yaml")),
    ("processes.yaml", include_str!("processes.yaml")),
    ("components.yaml", include_str!("components.yaml")),
    ("host.yaml", include_str!("host.yaml")),
];

/// The member of an operation that lists the names of its own problems. Made into responses, it is no part of what goes out.
const PROBLEMS: &str = "problems";

/// What is the same on every host.
static COMMON: LazyLock<Value> = LazyLock::new(|| {
    let mut document = read();
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    for route in routes::all() {
        let operation = &mut document["paths"][route.path][method(&route)];
        operation["x-roles"] = json!(route.roles);
        add_problems(operation, route.roles.is_empty());
    }
    document
});

/// The description of a host whose pages have so many rows at most. Where it is open, nobody has to show a token.
pub fn of_host(page_rows: usize, is_open: bool) -> Value {
    let mut document = COMMON.clone();
    let limit = &mut document["components"]["parameters"]["limit"]["schema"];
    limit["maximum"] = page_rows.into();
    limit["default"] = page_rows.min(100).into();
    let token = json!({ "token": [] });
    for route in routes::all() {
        document["paths"][route.path][method(&route)]["security"] = match (route.roles.is_empty(), is_open) {
            (true, _) => json!([]),
            (false, true) => json!([{}, token]),
            (false, false) => json!([token]),
        };
    }
    document
}

/// The files, put together.
fn read() -> Value {
    let mut document = Map::new();
    for (file, text) in FILES {
        // They are part of the binary, and a test reads them.
        let part: Value = serde_saphyr::from_str(text).unwrap_or_else(|error| unreachable!("{file}: {error}"));
        merge(&mut document, part);
    }
    Value::Object(document)
}

/// Adds the members of a part. Where both have an object, these are put together in the same way.
fn merge(whole: &mut Map<String, Value>, part: Value) {
    let Value::Object(part) = part else { return };
    for (name, value) in part {
        match whole.get_mut(&name) {
            Some(Value::Object(known)) => merge(known, value),
            _ => drop(whole.insert(name, value)),
        }
    }
}

fn method(route: &Route) -> String {
    route.method.as_str().to_ascii_lowercase()
}

/// Describes the problems of an operation, by status: its own, and those that every operation has, or every one that takes roles.
fn add_problems(operation: &mut Value, is_for_anybody: bool) {
    let own = operation.as_object_mut().and_then(|operation| operation.remove(PROBLEMS)).unwrap_or_default();
    let own = own.as_array().into_iter().flatten().filter_map(|name| code(name.as_str()?));
    // An address that is not UTF-8 is no good anywhere, and a host may be at fault with any request.
    let mut codes = vec![Code::BadParameter, Code::InternalError];
    if !is_for_anybody {
        codes.extend([Code::TokenNeeded, Code::NotAllowed]);
    }
    if operation.get("requestBody").is_some() {
        codes.push(Code::RequestTooSlow);
    }
    codes.extend(own);
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.status().as_u16()).or_default().push(code);
    }
    for (status, codes) in by_status {
        operation["responses"][status.to_string()] = response(status, &codes);
    }
}

fn code(name: &str) -> Option<Code> {
    Code::ALL.iter().copied().find(|code| code.name() == name)
}

/// What is answered where one of these problems, all of this status, comes up.
fn response(status: u16, codes: &[Code]) -> Value {
    let types: Vec<String> = codes.iter().map(|code| format!("/errors/{}", code.name())).collect();
    let titles: Vec<&str> = codes.iter().map(|code| code.title()).collect();
    let mut response = json!({
        "description": format!("{}.", titles.join(". ")),
        "content": { "application/problem+json": { "schema": {
            "allOf": [{ "$ref": "#/components/schemas/Problem" }],
            "properties": { "type": { "enum": types }, "status": { "const": status } },
        } } },
    });
    match status {
        401 => response["headers"] = json!({ "WWW-Authenticate": { "$ref": "#/components/headers/WWWAuthenticate" } }),
        503 => response["headers"] = json!({ "Retry-After": { "$ref": "#/components/headers/RetryAfter" } }),
        _ => {}
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeSet, HashSet};

    /// Every operation that is written, with its method and path.
    fn operations(document: &Value) -> Vec<(String, &Value, &Value)> {
        let mut found = Vec::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            let operations = item.as_object().expect("an object").iter().filter(|(key, _)| *key != "parameters");
            found.extend(
                operations
                    .map(|(method, operation)| (format!("{} {path}", method.to_ascii_uppercase()), item, operation)),
            );
        }
        found
    }

    /// What a reference leads to, or the value itself.
    fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
        let Some(reference) = value["$ref"].as_str() else { return value };
        let pointer = reference.strip_prefix('#').expect("within the document");
        document.pointer(pointer).unwrap_or_else(|| panic!("nothing is at {reference}"))
    }

    fn each<'a>(value: &'a Value, place: &str, look: &mut dyn FnMut(&str, &'a Value)) {
        look(place, value);
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(name, member)| each(member, &format!("{place}/{name}"), look));
            }
            Value::Array(items) => items.iter().for_each(|item| each(item, place, look)),
            _ => {}
        }
    }

    #[test]
    fn exactly_the_routes_are_described() {
        let written = read();
        let written: BTreeSet<String> = operations(&written).into_iter().map(|(what, ..)| what).collect();
        let routes: BTreeSet<String> =
            routes::all().iter().map(|route| format!("{} {}", route.method, route.path)).collect();
        assert_eq!(written, routes);
    }

    #[test]
    fn every_operation_has_its_names() {
        let document = of_host(10_000, true);
        let mut ids = HashSet::new();
        for (what, item, operation) in operations(&document) {
            let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{what} has no operationId"));
            assert!(ids.insert(id), "{id} stands twice");
            assert!(operation["summary"].is_string() && operation["tags"].is_array(), "{what}");
            let of_item = item["parameters"].as_array().into_iter().flatten();
            let parameters = of_item.chain(operation["parameters"].as_array().into_iter().flatten());
            let parameters: Vec<&Value> = parameters.map(|parameter| resolved(&document, parameter)).collect();
            let named = |place: &str| -> BTreeSet<&str> {
                let there = parameters.iter().filter(|parameter| parameter["in"] == place);
                there.map(|parameter| parameter["name"].as_str().expect("a name")).collect()
            };
            let in_path: BTreeSet<&str> =
                what.split(['{', '}']).enumerate().filter(|(place, _)| place % 2 == 1).map(|(_, name)| name).collect();
            assert_eq!(named("path"), in_path, "{what}");
            // Those that `GET /` names, and more where several routes have them in common.
            let all = routes::all();
            let route = all.iter().find(|route| what == format!("{} {}", route.method, route.path)).expect("a route");
            let shown = route.parameters.split('&').filter_map(|shown| shown.split_once('='));
            let shown: BTreeSet<&str> = shown
                .map(|(name, _)| match name {
                    "column" => "filters",
                    "parameter" => "arguments",
                    name => name,
                })
                .collect();
            assert!(shown.is_subset(&named("query")), "{what} takes {shown:?}; described are {:?}", named("query"));
        }
    }

    #[test]
    fn every_problem_is_described_where_it_comes_up() {
        let written = read();
        let mut named = HashSet::from([Code::BadParameter.name(), Code::TokenNeeded.name(), Code::NotAllowed.name()]);
        // No operation is at an address that takes another method.
        named.extend([Code::InternalError, Code::RequestTooSlow, Code::MethodNotAllowed].map(Code::name));
        for (what, _, operation) in operations(&written) {
            for name in operation[PROBLEMS].as_array().into_iter().flatten() {
                let name = name.as_str().expect("a name");
                assert!(code(name).is_some(), "{what}: no problem is called {name}");
                named.insert(name);
            }
        }
        let missing: Vec<&str> =
            Code::ALL.iter().map(|code| code.name()).filter(|name| !named.contains(name)).collect();
        assert!(missing.is_empty(), "no operation has {missing:?}");
    }

    #[test]
    fn what_is_written_is_whole() {
        let document = of_host(10_000, false);
        each(&document, "", &mut |place, value| {
            if value.get("$ref").is_some() {
                resolved(&document, value);
            }
            // A comma in a text without quotes ends it, and what is behind it is a name without a value.
            let may_be_null = place.ends_with("/enum") || place.ends_with("/metadata");
            assert!(!value.is_null() || may_be_null, "{place} is null");
        });
    }

    #[test]
    fn examples_of_bodies_fit() {
        let document = of_host(10_000, true);
        for (what, _, operation) in operations(&document) {
            for (media_type, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
                let Some(example) = content.get("example") else { continue };
                let mut schema = content["schema"].clone();
                schema["components"] = document["components"].clone();
                let fits = jsonschema::validator_for(&schema).expect("a schema").validate(example);
                assert!(fits.is_ok(), "{what} of {media_type}: {fits:?}");
            }
        }
    }
}
