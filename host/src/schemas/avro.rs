//! Avro: a schema is read by `apache-avro`, and then turned into [`Shape`]s, which the data is compared with as it comes: JSON value by
//! value, Avro's own encoding byte by byte. So a fault has a place, nothing is made of data that may be hostile, and however data and
//! schema nest, it ends soon.
//!
//! * `shape`: a schema, as far as data is compared with it
//! * `text`: JSON
//! * `binary`: Avro's own encoding

mod binary;
mod shape;
mod text;

use super::violation::Fault;
use apache_avro::Schema;
use serde_json::Value;
use shape::Shapes;

/// Fields that may have an object as a default, and are not plainly maps. Reading the schema follows such defaults from record to record,
/// each time anew, and does not come back from a long way.
const OBJECT_DEFAULTS: usize = 16;

/// An Avro schema, compiled.
pub(super) struct Avro {
    shapes: Shapes,
}

impl Avro {
    /// Compiles a schema.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn compile(schema: &Value) -> Result<Self, String> {
        if object_defaults(schema) > OBJECT_DEFAULTS {
            return Err(format!(
                "more than {OBJECT_DEFAULTS} fields have an object as a default, and are not plainly maps"
            ));
        }
        let schema = Schema::parse(schema).map_err(|error| format!("it is not an Avro schema: {error}"))?;
        Ok(Self { shapes: Shapes::of(&schema)? })
    }

    /// Looks for what does not fit in JSON, read from so many bytes.
    ///
    /// # Errors
    /// The first fault.
    pub(super) fn check_json(&self, data: &Value, bytes: usize) -> Result<(), Fault> {
        text::check(&self.shapes, data, bytes)
    }

    /// Looks for what does not fit in Avro's own encoding, without a header: one datum, and nothing behind it.
    ///
    /// # Errors
    /// The first fault.
    pub(super) fn check_binary(&self, data: &[u8]) -> Result<(), Fault> {
        binary::check(&self.shapes, data)
    }
}

fn object_defaults(schema: &Value) -> usize {
    match schema {
        Value::Array(values) => values.iter().map(object_defaults).sum(),
        Value::Object(members) => {
            let is_map = members.get("type").and_then(|kind| kind.get("type")).is_some_and(|kind| kind == "map");
            let has_object = members.get("default").is_some_and(Value::is_object);
            members.values().map(object_defaults).sum::<usize>() + usize::from(has_object && !is_map)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apache_avro::types::Value as AvroValue;
    use apache_avro::writer::datum::GenericDatumWriter;
    use fastrand::Rng;
    use serde_json::json;

    fn avro(schema: &Value) -> Avro {
        Avro::compile(schema).unwrap_or_else(|error| panic!("{schema}: {error}"))
    }

    /// Where the data does not fit; `None` where it does.
    fn place(schema: &Value, data: &Value) -> Option<String> {
        avro(schema).check_json(data, data.to_string().len()).err().map(|fault| fault.pointer)
    }

    #[test]
    fn json_fits_or_is_at_fault_at_a_place() {
        let address = json!({"type": "record", "name": "Address", "fields": [{"name": "zip", "type": "string"}]});
        let order = json!({"type": "record", "name": "Order", "namespace": "shop", "fields": [
            {"name": "id", "type": "long"},
            {"name": "note", "type": ["null", "string"], "default": null},
            {"name": "ship", "type": address},
            {"name": "bill", "type": ["null", "Address"], "default": null},
            {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []},
            {"name": "sizes", "type": {"type": "map", "values": "int"}, "default": {}},
        ]});
        let list = json!({"type": "record", "name": "List", "fields": [
            {"name": "value", "type": "int"}, {"name": "next", "type": ["null", "List"]}]});
        let two = json!([
            {"type": "record", "name": "A", "fields": [{"name": "a", "type": "int"}]},
            {"type": "record", "name": "B", "fields": [{"name": "b", "type": "int"}]},
            {"type": "map", "values": "string"},
        ]);
        let suit = json!({"type": "enum", "name": "Suit", "symbols": ["HEARTS", "SPADES"]});
        let pair = json!({"type": "fixed", "name": "Pair", "size": 2});
        let date = json!({"type": "int", "logicalType": "date"});
        let moment = json!({"type": "long", "logicalType": "timestamp-micros"});
        let price = json!({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2});
        let uuid = json!({"type": "string", "logicalType": "uuid"});
        let plain = |name: &str| json!(name);
        let fits = None;
        for (schema, data, wanted) in [
            (plain("null"), json!(null), fits),
            (plain("null"), json!(0), Some("")),
            (plain("boolean"), json!(true), fits),
            (plain("boolean"), json!("true"), Some("")),
            (plain("int"), json!(2_147_483_647), fits),
            (plain("int"), json!(2_147_483_648_i64), Some("")),
            (plain("int"), json!(-2_147_483_648), fits),
            (plain("int"), json!(1.0), Some("")),
            (plain("long"), json!(i64::MIN), fits),
            (plain("long"), json!(u64::MAX), Some("")),
            (plain("long"), json!(1e300), Some("")),
            (plain("float"), json!(1.5), fits),
            (plain("float"), json!(1), fits),
            (plain("float"), json!(1e39), Some("")),
            (plain("float"), json!("NaN"), fits),
            (plain("double"), json!(1e39), fits),
            (plain("double"), json!("-Infinity"), fits),
            (plain("double"), json!("infinite"), Some("")),
            (plain("string"), json!("ü"), fits),
            (plain("string"), json!(1), Some("")),
            (plain("bytes"), json!("\u{0}\u{ff}"), fits),
            (plain("bytes"), json!("\u{100}"), Some("")),
            (suit.clone(), json!("SPADES"), fits),
            (suit.clone(), json!("CLUBS"), Some("")),
            (suit, json!(1), Some("")),
            (pair.clone(), json!("é\u{0}"), fits),
            (pair.clone(), json!("abc"), Some("")),
            (pair, json!("a€"), Some("")),
            (date.clone(), json!(19_000), fits),
            (date, json!("2022-01-08"), Some("")),
            (moment, json!(1_600_000_000_000_000_i64), fits),
            (price, json!("\u{4}\u{d2}"), fits),
            (uuid, json!("not looked into"), fits),
            (order.clone(), json!({"id": 1, "ship": {"zip": "1"}}), fits),
            (order.clone(), json!({"id": 1, "ship": {"zip": "1"}, "note": "x", "bill": {"zip": "2"}}), fits),
            (order.clone(), json!({"id": 1, "ship": {"zip": "1"}, "note": {"string": "x"}}), fits),
            (order.clone(), json!({"id": 1, "ship": {"zip": "1"}, "bill": {"shop.Address": {"zip": "2"}}}), fits),
            (order.clone(), json!({"id": 1}), Some("")),
            (order.clone(), json!({"id": 1, "ship": {}}), Some("/ship")),
            (order.clone(), json!({"id": 1, "ship": {"zip": 1}}), Some("/ship/zip")),
            (order.clone(), json!({"id": 1, "ship": {"zip": "1"}, "a/b~": 1}), Some("/a~1b~0")),
            (order.clone(), json!({"id": 1, "ship": {"zip": "1"}, "note": 1}), Some("/note")),
            (order.clone(), json!({"id": 1, "ship": {"zip": "1"}, "bill": {"zip": 2}}), Some("/bill/zip")),
            (order.clone(), json!({"id": 1, "ship": {"zip": "1"}, "tags": ["a", "b", 3]}), Some("/tags/2")),
            (
                order.clone(),
                json!({"id": 1, "ship": {"zip": "1"}, "sizes": {"a/b": 1, "a~b": "x"}}),
                Some("/sizes/a~0b"),
            ),
            (order, json!([]), Some("")),
            (list.clone(), json!({"value": 1, "next": {"value": 2, "next": null}}), fits),
            (list.clone(), json!({"value": 1, "next": {"List": {"value": 2, "next": null}}}), fits),
            (list.clone(), json!({"value": 1, "next": {"value": 2, "next": {"value": ""}}}), Some("/next/next/value")),
            (list, json!({"value": 1, "next": {"List": {"value": "", "next": null}}}), Some("/next/List/value")),
            (two.clone(), json!({"a": 1}), fits),
            (two.clone(), json!({"b": 1}), fits),
            (two.clone(), json!({"b": "1"}), fits),
            (two.clone(), json!({"B": {"b": 1}}), fits),
            (two.clone(), json!({"B": {"b": "x"}}), Some("/B/b")),
            (two.clone(), json!({"map": {"c": "x"}}), fits),
            (two.clone(), json!({"c": 1}), Some("")),
            (two, json!(1), Some("")),
        ] {
            assert_eq!(place(&schema, &data).as_deref(), wanted, "{data} and {schema}");
        }
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        for schema in [
            json!(5),
            json!("number"),
            json!({"type": "record", "name": "A"}),
            json!({"type": "record", "name": "A", "fields": [{"name": "a", "type": "B"}]}),
            json!({"type": "enum", "name": "E", "symbols": ["a", "a"]}),
            json!([["null"], "string"]),
            json!(["int", "int"]),
            json!({"type": "record", "name": "A", "fields": [{"name": "a", "type": "int", "default": "x"}]}),
        ] {
            assert!(Avro::compile(&schema).is_err(), "{schema}");
        }
    }

    #[test]
    fn a_schema_that_has_no_end_ends() {
        // Nothing can be written by these; whether they count as schemas is not ours to say.
        for schema in [
            json!({"type": "record", "name": "A", "fields": [{"name": "a", "type": "A"}]}),
            json!({"type": "record", "name": "A", "fields": [{"name": "a", "type": "A", "default": {}}]}),
            json!({"type": "record", "name": "A", "fields": [{"name": "a", "type": ["A", "null"], "default": {}}]}),
            json!({"type": "record", "name": "A", "fields": [{"name": "b", "type":
                {"type": "record", "name": "B", "fields": [{"name": "a", "type": "A", "default": {}}]}, "default": {}}]}),
            json!([{"type": "record", "name": "A", "fields": [{"name": "a", "type": ["null", "A"], "default": null}]},
                {"type": "record", "name": "B", "fields": [{"name": "a", "type": "A", "default": {}}]}]),
        ] {
            if let Ok(avro) = Avro::compile(&schema) {
                println!("{schema}: {:?}, {:?}", avro.check_json(&json!({}), 2), avro.check_binary(&[0, 0]));
            }
        }
    }

    #[test]
    fn defaults_that_lead_from_record_to_record_do_not_take_for_ever() {
        // Each has its predecessor twice, so that reading them takes twice as long for each.
        let chain = |length: usize| {
            let record = |number: usize| {
                let before = number.checked_sub(1).map_or(json!("int"), |before| json!(format!("R{before}")));
                let default = if number == 0 { json!(0) } else { json!({}) };
                let field = |name: &str| json!({"name": name, "type": before, "default": default});
                json!({"type": "record", "name": format!("R{number}"), "fields": [field("a"), field("b")]})
            };
            Value::Array((0..length).map(record).collect())
        };
        assert_eq!(avro(&chain(9)).check_json(&json!({}), 2), Ok(()));
        for length in [10, 60, 10_000] {
            assert!(Avro::compile(&chain(length)).is_err(), "{length}");
        }
        let maps: Vec<Value> = (0..100)
            .map(
                |number| json!({"name": format!("m{number}"), "type": {"type": "map", "values": "int"}, "default": {}}),
            )
            .collect();
        avro(&json!({"type": "record", "name": "A", "fields": maps}));
    }

    #[test]
    fn hostile_bytes_are_refused_and_soon() {
        let list =
            avro(&json!({"type": "record", "name": "List", "fields": [{"name": "next", "type": ["null", "List"]}]}));
        let deep = list.check_binary(&vec![2; 1 << 20]).expect_err("it is too deep");
        assert!(deep.message.contains("nests deeper"), "{deep:?}");
        // 2^40 values that take no byte.
        let nulls = avro(&json!({"type": "array", "items": "null"}));
        let many = nulls.check_binary(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 0]).expect_err("they are too many");
        assert!(many.message.contains("too many"), "{many:?}");
        assert!(nulls.check_binary(&[0x06, 0]).is_ok());
        let text = avro(&json!("string"));
        for bytes in [&b"\x04a"[..], b"\x01", b"\x02\xff", b"\x02ab", b"", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01a"]
        {
            assert!(text.check_binary(bytes).is_err(), "{bytes:?}");
        }
        // JSON whose unions could be taken in 2^100 ways.
        let fields = json!([{"name": "v", "type": ["null", "A", "B"]}, {"name": "w", "type": "int", "default": 0}]);
        let twins = avro(&json!([
            {"type": "record", "name": "A", "fields": [{"name": "v", "type": ["null", "A", {"type": "record", "name": "B", "fields": fields}]}]},
        ]));
        let deep = (0..50).fold(json!("x"), |inner, _| json!({"v": inner}));
        assert!(twins.check_json(&deep, 1_000).is_err());
    }

    /// A schema, and a value that fits it.
    fn generated(rng: &mut Rng, depth: usize, names: &mut usize) -> (Value, AvroValue) {
        let leaf = depth == 0;
        match rng.usize(..if leaf { 8 } else { 12 }) {
            0 => (json!("null"), AvroValue::Null),
            1 => (json!("boolean"), AvroValue::Boolean(rng.bool())),
            2 => (json!("int"), AvroValue::Int(rng.i32(..))),
            3 => (json!("long"), AvroValue::Long(rng.i64(..))),
            4 => (json!("double"), AvroValue::Double(rng.f64())),
            5 => (json!("string"), AvroValue::String("ab/ü".chars().take(rng.usize(..5)).collect())),
            6 => (json!("bytes"), AvroValue::Bytes((0..rng.usize(..5)).map(|_| rng.u8(..)).collect())),
            7 => {
                *names += 1;
                let symbols = ["X", "Y", "Z"];
                let symbol = rng.usize(..3);
                let schema = json!({"type": "enum", "name": format!("E{names}"), "symbols": symbols});
                (schema, AvroValue::Enum(u32::try_from(symbol).expect("small"), symbols[symbol].to_owned()))
            }
            8 => {
                let (items, value) = generated(rng, depth - 1, names);
                (json!({"type": "array", "items": items}), AvroValue::Array(vec![value; rng.usize(..3)]))
            }
            9 => {
                let (values, value) = generated(rng, depth - 1, names);
                let members = (0..rng.usize(..3)).map(|number| (format!("m{number}"), value.clone()));
                (json!({"type": "map", "values": values}), AvroValue::Map(members.collect()))
            }
            10 => {
                let (branch, value) = loop {
                    let (branch, value) = generated(rng, depth - 1, names);
                    if branch != json!("null") && !branch.is_array() {
                        break (branch, value);
                    }
                };
                let union = json!(["null", branch]);
                let filled = rng.bool();
                let value = if filled { value } else { AvroValue::Null };
                (union, AvroValue::Union(u32::from(filled), Box::new(value)))
            }
            _ => {
                *names += 1;
                let name = format!("R{names}");
                let fields: Vec<_> = (0..rng.usize(..4))
                    .map(|number| (format!("f{number}"), generated(rng, depth - 1, names)))
                    .collect();
                let shapes: Vec<Value> =
                    fields.iter().map(|(name, (schema, _))| json!({"name": name, "type": schema})).collect();
                let values = fields.into_iter().map(|(name, (_, value))| (name, value)).collect();
                (json!({"type": "record", "name": name, "fields": shapes}), AvroValue::Record(values))
            }
        }
    }

    /// As JSON, plainly.
    fn written(value: &AvroValue) -> Value {
        match value {
            AvroValue::Null => Value::Null,
            AvroValue::Boolean(boolean) => json!(boolean),
            AvroValue::Int(number) => json!(number),
            AvroValue::Long(number) => json!(number),
            AvroValue::Double(number) => json!(number),
            AvroValue::String(text) | AvroValue::Enum(_, text) => json!(text),
            AvroValue::Bytes(bytes) => bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into(),
            AvroValue::Array(values) => values.iter().map(written).collect(),
            AvroValue::Map(members) => {
                Value::Object(members.iter().map(|(name, value)| (name.clone(), written(value))).collect())
            }
            AvroValue::Union(_, value) => written(value),
            AvroValue::Record(fields) => {
                Value::Object(fields.iter().map(|(name, value)| (name.clone(), written(value))).collect())
            }
            other => panic!("{other:?} is not generated"),
        }
    }

    #[test]
    fn it_agrees_with_what_writes_avro() {
        let seed =
            std::env::var("LATERNA_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
        println!("LATERNA_SEED={seed}");
        let mut rng = Rng::with_seed(seed);
        let mut refused = 0;
        for _ in 0..2_000 {
            let (schema, value) = generated(&mut rng, 3, &mut 0);
            let parsed = Schema::parse(&schema).expect("a schema");
            assert!(value.validate(&parsed), "{schema} {value:?}");
            let bytes = GenericDatumWriter::builder(&parsed).build().expect("a writer");
            let bytes = bytes.write_value_to_vec(value.clone()).expect("it fits");
            // What fits is taken, in both encodings, and not a byte less or more.
            let (ours, json) = (avro(&schema), written(&value));
            assert_eq!(ours.check_json(&json, json.to_string().len()), Ok(()), "{schema} {json}");
            assert_eq!(ours.check_binary(&bytes), Ok(()), "{schema} {json} {bytes:?}");
            if let Some((_, shorter)) = bytes.split_last() {
                assert!(ours.check_binary(shorter).is_err(), "{schema} {shorter:?}");
            }
            assert!(ours.check_binary(&[&bytes[..], &[0]].concat()).is_err(), "{schema} {bytes:?}");
            // What fits another schema fits this one as far as its author says so.
            let (other_schema, other) = generated(&mut rng, 3, &mut 0);
            let other_json = written(&other);
            let theirs = AvroValue::try_from(other_json.clone()).expect("JSON").resolve(&parsed).is_ok();
            if ours.check_json(&other_json, 1_000).is_ok() {
                assert!(theirs, "{other_json} of {other_schema} fits {schema}");
            } else {
                refused += 1;
            }
        }
        assert!(refused > 100, "{refused} were refused");
    }
}
