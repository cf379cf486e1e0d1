//! JSON Schema: of the draft that `$schema` names, or 2020-12. Formats are checked; references lead nowhere but into the same file.
//!
//! * `reach`: how far a schema leads on while it stays at one value

mod reach;

use super::violation::{FAULTS, Fault, if_short, shortened};
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

/// What says nothing about the data.
const ANNOTATIONS: &[&str] = &["$schema", "$id", "$comment", "title", "description", "x-visibility"];

/// Data up to so many bytes is searched for all its faults; in larger data, only the first is. Each fault that is found takes memory, and
/// there can be as many as there are values.
const SEARCHED_BYTES: usize = 64 << 10;

/// Bytes of a value that is shown in the words about it.
const SHOWN_BYTES: usize = 80;

/// Steps back that a pattern may take over one text. Patterns without lookaround never take any.
const BACKTRACKS: usize = 100_000;

/// A JSON Schema, compiled.
pub(super) struct Json {
    validator: Validator,
    takes_anything: bool,
}

impl Json {
    /// Compiles a schema.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn compile(schema: &Value) -> Result<Self, String> {
        reach::check(schema)?;
        let validator = jsonschema::options()
            .offline()
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(BACKTRACKS))
            .build(schema)
            .map_err(|error| match error.instance_path().as_str() {
                "" => format!("it is not a JSON Schema: {}", words(&error)),
                pointer => format!("it is not a JSON Schema: at `{pointer}`, {}", words(&error)),
            })?;
        let is_annotation = |(name, _): (&String, &Value)| ANNOTATIONS.contains(&name.as_str());
        let takes_anything = schema.as_object().is_some_and(|schema| schema.iter().all(is_annotation));
        Ok(Self { validator, takes_anything })
    }

    /// It says nothing about the data, so that the data need not even be JSON.
    pub(super) fn takes_anything(&self) -> bool {
        self.takes_anything
    }

    /// Looks for what does not fit, in data of so many bytes.
    ///
    /// # Errors
    /// The first faults, and how many more there are.
    pub(super) fn check(&self, data: &Value, bytes: usize) -> Result<(), (Vec<Fault>, usize)> {
        let Err(first) = self.validator.validate(data) else { return Ok(()) };
        if bytes > SEARCHED_BYTES {
            return Err((vec![fault(&first)], 0));
        }
        let mut errors = self.validator.iter_errors(data);
        let faults: Vec<Fault> = errors.by_ref().take(FAULTS).map(|error| fault(&error)).collect();
        Err((faults, errors.count()))
    }
}

fn fault(error: &ValidationError<'_>) -> Fault {
    Fault::at(error.instance_path().as_str(), words(error)).by(error.schema_path().as_str())
}

/// The validator's words, which show the value at fault where it is short.
fn words(error: &ValidationError<'_>) -> String {
    match if_short(error.instance(), SHOWN_BYTES) {
        Some(_) => shortened(error),
        None => shortened(error.masked_with("the value")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn faults(schema: &Value, data: &Value) -> Vec<(String, String)> {
        let schema = Json::compile(schema).expect("a schema");
        let checked = schema.check(data, data.to_string().len());
        let faults = checked.err().map_or_else(Vec::new, |(faults, _)| faults);
        faults.into_iter().map(|fault| (fault.pointer, fault.schema_pointer.unwrap_or_default())).collect()
    }

    #[test]
    fn a_fault_is_told_by_its_place_in_the_data_and_in_the_schema() {
        let schema = json!({
            "type": "object",
            "properties": {
                "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
                "a/b": {"type": "integer"},
                "a~b": {"type": "integer"},
                "mail": {"format": "email"},
                "at": {"format": "date-time"},
            },
            "required": ["lines"],
            "$defs": {"line": {"type": "object", "properties": {"quantity": {"type": "integer", "minimum": 1}}}},
        });
        for (data, pointer, schema_pointer) in [
            (json!([]), "", "/type"),
            (json!({}), "", "/required"),
            (
                json!({"lines": [{"quantity": 1}, {}, {"quantity": 0}]}),
                "/lines/2/quantity",
                "/$defs/line/properties/quantity/minimum",
            ),
            (json!({"lines": [], "a/b": "x"}), "/a~1b", "/properties/a~1b/type"),
            (json!({"lines": [], "a~b": "x"}), "/a~0b", "/properties/a~0b/type"),
            (json!({"lines": [], "mail": "nobody"}), "/mail", "/properties/mail/format"),
            (json!({"lines": [], "at": "yesterday"}), "/at", "/properties/at/format"),
        ] {
            assert_eq!(faults(&schema, &data), [(pointer.to_owned(), schema_pointer.to_owned())], "{data}");
        }
        assert!(faults(&schema, &json!({"lines": [{"quantity": 1.0}], "mail": "a@example.com"})).is_empty());
    }

    #[test]
    fn what_is_told_is_bounded() {
        let schema = Json::compile(&json!({"items": {"type": "string"}, "maxItems": 5})).expect("a schema");
        let data: Value = (0..40).collect();
        let (faults, more) = schema.check(&data, 100).expect_err("they are numbers");
        assert_eq!((faults.len(), more), (FAULTS, 31));
        let (faults, more) = schema.check(&data, SEARCHED_BYTES + 1).expect_err("they are numbers");
        assert_eq!((faults.len(), more), (1, 0));
        let long = Json::compile(&json!({"type": "integer"})).expect("a schema");
        let (faults, _) = long.check(&json!("x".repeat(1_000_000)), 100).expect_err("it is a text");
        assert_eq!(faults[0].message, r#"the value is not of type "integer""#);
        let (faults, _) = long.check(&json!("x"), 100).expect_err("it is a text");
        assert_eq!(faults[0].message, r#""x" is not of type "integer""#);
    }

    #[test]
    fn a_file_that_is_no_schema_or_leads_elsewhere_is_refused() {
        for schema in [
            json!(5),
            json!({"type": "number of things"}),
            json!({"properties": {"a": {"minimum": "1"}}}),
            json!({"pattern": "("}),
            json!({"$schema": "https://example.com/my-own"}),
            json!({"$ref": "https://example.com/other.json"}),
            json!({"$ref": "other.json"}),
            json!({"$ref": "file:///etc/passwd"}),
            json!({"properties": {"a": {"$ref": "#/$defs/none"}}}),
        ] {
            let refused = Json::compile(&schema);
            assert!(refused.is_err(), "{schema}");
        }
        let draft_4 =
            json!({"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": true});
        assert_eq!(faults(&draft_4, &json!(1)).len(), 1);
    }

    #[test]
    fn a_schema_that_leads_back_to_itself_ends() {
        let cycles = [
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#"}]}),
            json!({"anyOf": [{"$ref": "#"}, {"type": "string"}]}),
            json!({"not": {"$ref": "#"}}),
            json!({"if": {"$ref": "#"}, "then": {"$ref": "#"}}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
            json!({"oneOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"if": {"$ref": "#/$defs/a"}}}}),
            json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}], "unevaluatedProperties": false}),
            json!({"dependentSchemas": {"a": {"$ref": "#"}}}),
            json!({"$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveAnchor": true, "allOf": [{"$recursiveRef": "#"}]}),
            json!({"$id": "https://example.com/x", "anyOf": [{"$ref": "https://example.com/x"}]}),
            json!({"$dynamicAnchor": "x", "allOf": [{"$dynamicRef": "#x"}]}),
        ];
        for schema in cycles {
            // Whatever the verdict.
            let compiled = Json::compile(&schema);
            println!("{schema}: {:?}", compiled.map(|compiled| compiled.check(&json!({"a": [1]}), 1)));
        }
    }
}
