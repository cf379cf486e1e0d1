//! How far a JSON Schema leads on from rule to rule while it stays at one value of the data. The validator goes that way on the stack, and
//! a stack that is full ends the host.

use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::collections::HashMap;

/// Schemas that one value may be led through, each by the one before.
const REACH: usize = 64;

/// What leads to another schema for the same value, or to several.
const LEADS_ON: &[&str] = &["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"];
const REFERENCES: &[&str] = &["$ref", "$dynamicRef", "$recursiveRef"];

/// Makes sure that a schema leads on no further than it may.
///
/// # Errors
/// It does.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    let mut reach = Reach { root: schema, names: HashMap::new(), known: HashMap::new() };
    let mut all = Vec::new();
    collect(schema, &mut all);
    for schema in &all {
        let names =
            ["$anchor", "$dynamicAnchor", "$id", "id"].into_iter().filter_map(|name| schema.get(name)?.as_str());
        reach.names.extend(names.map(|name| (name, *schema)));
    }
    match all.into_iter().try_for_each(|schema| reach.from(schema, 0).map(drop)) {
        Some(()) => Ok(()),
        None => Err(format!(
            "a value is led through more than {REACH} schemas, each by the one before, by `$ref`, `allOf` and the like"
        )),
    }
}

struct Reach<'s> {
    root: &'s Value,
    /// Schemas that have a name of their own.
    names: HashMap<&'s str, &'s Value>,
    /// How far the schema at this address leads; 0 while that is being found out, so that a circle ends.
    known: HashMap<*const Value, usize>,
}

impl<'s> Reach<'s> {
    /// How far a schema leads that was come to by so many others; `None`: too far.
    fn from(&mut self, schema: &'s Value, before: usize) -> Option<usize> {
        let address: *const Value = schema;
        if let Some(known) = self.known.get(&address) {
            return Some(*known).filter(|known| before + known <= REACH);
        }
        if before >= REACH {
            return None;
        }
        self.known.insert(address, 0);
        let mut furthest = 0;
        for next in self.next(schema) {
            furthest = furthest.max(self.from(next, before + 1)? + 1);
        }
        self.known.insert(address, furthest);
        Some(furthest).filter(|furthest| before + furthest <= REACH)
    }

    fn next(&self, schema: &'s Value) -> Vec<&'s Value> {
        let mut next = Vec::new();
        for name in LEADS_ON {
            match schema.get(*name) {
                Some(Value::Array(schemas)) => next.extend(schemas),
                Some(Value::Object(members)) if name.starts_with("depend") => next.extend(members.values()),
                Some(one) => next.push(one),
                None => {}
            }
        }
        let references = REFERENCES.iter().filter_map(|name| schema.get(*name)?.as_str());
        next.extend(references.filter_map(|reference| self.target(reference)));
        next
    }

    /// Where a reference leads; what it does not lead to, the validator does not find either.
    fn target(&self, reference: &str) -> Option<&'s Value> {
        let (document, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let document = if document.is_empty() { self.root } else { self.names.get(document)? };
        if fragment.is_empty() || fragment.starts_with('/') {
            return document.pointer(&percent_decode_str(fragment).decode_utf8().ok()?);
        }
        self.names.get(fragment).copied()
    }
}

/// Everything that could be a schema.
fn collect<'s>(value: &'s Value, all: &mut Vec<&'s Value>) {
    match value {
        Value::Object(members) => {
            all.push(value);
            members.values().for_each(|value| collect(value, all));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, all)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schemas::json::Json;
    use serde_json::json;

    /// A schema that leads a value through so many others, in two ways, and then on to a member of it, and so on.
    fn chain(length: usize) -> Value {
        let mut schemas = serde_json::Map::new();
        for number in 0..length {
            schemas.insert(format!("s{number}"), json!({"allOf": [{"$ref": format!("#/$defs/s{}", number + 1)}]}));
        }
        schemas.insert(format!("s{length}"), json!({"properties": {"a": {"$ref": "#/$defs/s0"}}, "type": "object"}));
        json!({"$ref": "#/$defs/s0", "$defs": schemas})
    }

    #[test]
    fn a_schema_that_leads_on_too_far_is_refused_and_no_other_fills_the_stack() {
        for length in [40, 1_000, 25_000] {
            assert!(Json::compile(&chain(length)).is_err(), "{length}");
        }
        let schema = Json::compile(&chain(31)).expect("it is short enough");
        let deep = (0..120).fold(json!("x"), |inner, _| json!({"a": inner}));
        let (faults, _) = schema.check(&deep, 1_000).expect_err("the innermost is no object");
        assert_eq!(faults[0].pointer, "/a".repeat(120));
        let by_name = json!({"$ref": "#x", "$defs": {"x": {"$anchor": "x", "anyOf": [{"$ref": "#/$defs/y%25"}]}, "y%": {"$ref": "#"}}});
        assert_eq!(check(&by_name), Ok(()));
    }
}
