use super::avro::Avro;
use super::files::Format;
use super::json::Json;
use super::violation::{Fault, shortened};
use serde_json::{Map, Value};

/// A schema that can be used.
pub struct Schema {
    /// Whatever the event says of itself, it is internal.
    pub is_internal: bool,
    rules: Rules,
}

/// What it demands, in the language that it is written in.
enum Rules {
    Json(Json),
    Avro(Avro),
}

/// How the data of an event is written.
pub(super) enum Encoding {
    Json,
    Avro,
    Other,
}

impl Schema {
    /// Reads a schema.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(format: Format, text: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|error| format!("it is not UTF-8: {error}"))?;
        let value: Value = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
        let is_internal = is_internal(value.as_object())?;
        // What is wrong may be told with a large part of the file.
        let rules = match format {
            Format::Json => Json::compile(&value).map(Rules::Json),
            Format::Avro => Avro::compile(&value).map(Rules::Avro),
        };
        Ok(Self { is_internal, rules: rules.map_err(shortened)? })
    }

    /// Looks for what does not fit: the first faults, and how many more there are.
    ///
    /// # Errors
    /// There is a fault at least.
    pub(super) fn check(&self, content_type: &str, data: &[u8]) -> Result<(), (Vec<Fault>, usize)> {
        let one = |fault| (vec![fault], 0);
        let encoding = Encoding::of(content_type);
        match (&self.rules, encoding) {
            (Rules::Json(rules), _) if rules.takes_anything() => Ok(()),
            (Rules::Json(rules), Encoding::Json) => rules.check(&parsed(data).map_err(one)?, data.len()),
            (Rules::Avro(rules), Encoding::Json) => {
                rules.check_json(&parsed(data).map_err(one)?, data.len()).map_err(one)
            }
            (Rules::Avro(rules), Encoding::Avro) => rules.check_binary(data).map_err(one),
            (Rules::Json(_), Encoding::Avro | Encoding::Other) => {
                Err(one(Fault::of_all(format_args!("the schema is for JSON, and the data is `{content_type}`"))))
            }
            (Rules::Avro(_), Encoding::Other) => Err(one(Fault::of_all(format_args!(
                "the schema is for JSON or `application/avro`, and the data is `{content_type}`"
            )))),
        }
    }
}

impl Encoding {
    /// By a media type, whatever its parameters; empty means JSON.
    fn of(content_type: &str) -> Self {
        let name = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match name.as_str() {
            "" | "application/json" | "text/json" => Self::Json,
            "application/avro" | "avro/binary" => Self::Avro,
            suffixed if suffixed.ends_with("+json") => Self::Json,
            _ => Self::Other,
        }
    }
}

fn parsed(data: &[u8]) -> Result<Value, Fault> {
    serde_json::from_slice(data).map_err(|error| Fault::of_all(format_args!("the data is not JSON: {error}")))
}

fn is_internal(schema: Option<&Map<String, Value>>) -> Result<bool, String> {
    match schema.and_then(|schema| schema.get("x-visibility")) {
        None => Ok(false),
        Some(Value::String(word)) if word == "public" => Ok(false),
        Some(Value::String(word)) if word == "internal" => Ok(true),
        Some(other) => Err(shortened(format_args!("`x-visibility` is {other}: it can be \"internal\" or \"public\""))),
    }
}
