//! What a component says of itself, checked.

use super::bindings::fold;
use super::bindings::types::Value;
use serde::Serialize;
use std::collections::BTreeSet;

/// A component's manifest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifest {
    /// The component's name.
    pub name: String,
    /// Its semantic version, for people.
    pub version: String,
    /// What it is for.
    pub description: String,
    /// What it consumes; nothing here means every event.
    pub consumes: Vec<Subscription>,
    /// Its tables, indexes and views, as SQL.
    pub schema: String,
    /// Tables of the schema whose rows it writes once for a batch.
    pub typed_tables: Vec<String>,
    /// What can be asked of it by name.
    pub queries: Vec<NamedQuery>,
}

/// Events that a component consumes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subscription {
    /// Which.
    #[serde(flatten)]
    pub what: Selector,
    /// Why.
    pub why: String,
}

/// Which events are consumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// Those of a type.
    Type(String),
    /// Those of the streams of a category.
    Category(String),
}

/// A question with a name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NamedQuery {
    /// Its name.
    pub name: String,
    /// What is answered.
    pub description: String,
    /// What it takes.
    pub parameters: Vec<Parameter>,
    /// The SQL that answers it; `None`: the component's code does.
    pub sql: Option<String>,
}

/// A parameter of a [`NamedQuery`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its type.
    pub of_type: ParameterType,
    /// What it is where the caller says nothing; `None`: the caller must say.
    #[serde(serialize_with = "as_json")]
    pub default: Option<rusqlite::types::Value>,
    /// What it means.
    pub description: String,
}

/// The type of a [`Parameter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterType {
    /// A 64-bit integer.
    Integer,
    /// A 64-bit floating point number.
    Real,
    /// Text.
    Text,
    /// `true` or `false`; SQL sees 1 or 0.
    Boolean,
}

const NAME_BYTES: usize = 64;
const TEXT_BYTES: usize = 4 << 10;
/// As much SQL as a read store takes at once.
const SCHEMA_BYTES: usize = 64 << 10;
const LIST: usize = 1_000;

impl Manifest {
    /// Takes over what a component described.
    pub(super) fn check(described: fold::Manifest) -> Result<Self, String> {
        let fold::Manifest { name, version, description, consumes, schema, typed_tables, queries } = described;
        check_name("the component's name", &name)?;
        check_version(&version)?;
        check_size("the description", &description, TEXT_BYTES)?;
        check_size("the schema", &schema, SCHEMA_BYTES)?;
        if consumes.len() > LIST || queries.len() > LIST || typed_tables.len() > LIST {
            return Err(format!("it lists more than {LIST} subscriptions, queries or typed tables"));
        }
        typed_tables.iter().try_for_each(|table| check_size("a typed table's name", table, TEXT_BYTES))?;
        let consumes = consumes.into_iter().map(check_subscription).collect::<Result<Vec<_>, _>>()?;
        let queries = queries.into_iter().map(check_query).collect::<Result<Vec<_>, _>>()?;
        check_distinct("query", queries.iter().map(|query| &query.name))?;
        Ok(Self { name, version, description, consumes, schema, typed_tables, queries })
    }
}

fn check_subscription(subscription: fold::Subscription) -> Result<Subscription, String> {
    let what = match subscription.what {
        fold::Selector::EventType(name) => Selector::Type(name),
        fold::Selector::Category(name) => Selector::Category(name),
    };
    let (Selector::Type(name) | Selector::Category(name)) = &what;
    if name.is_empty() {
        return Err("it consumes a type or category without a name".to_owned());
    }
    check_size("a subscription's name", name, TEXT_BYTES)?;
    check_size("a subscription's reason", &subscription.why, TEXT_BYTES)?;
    Ok(Subscription { what, why: subscription.why })
}

fn check_query(query: fold::NamedQuery) -> Result<NamedQuery, String> {
    let fold::NamedQuery { name, description, parameters, answer } = query;
    check_name("a query's name", &name)?;
    check_size("a query's description", &description, TEXT_BYTES)?;
    if parameters.len() > LIST {
        return Err(format!("query `{name}` has more than {LIST} parameters"));
    }
    let parameters = parameters.into_iter().map(check_parameter).collect::<Result<Vec<_>, _>>()?;
    check_distinct("parameter", parameters.iter().map(|parameter| &parameter.name))?;
    let sql = match answer {
        fold::Answer::Sql(sql) => Some(sql),
        fold::Answer::Computed => None,
    };
    Ok(NamedQuery { name, description, parameters, sql })
}

fn check_parameter(parameter: fold::Parameter) -> Result<Parameter, String> {
    let fold::Parameter { name, of_type, default, description } = parameter;
    check_name("a parameter's name", &name)?;
    check_size("a parameter's description", &description, TEXT_BYTES)?;
    if CONTROLS.contains(&name.as_str()) {
        return Err(format!("a parameter cannot be called `{name}`: every query takes that one already"));
    }
    let of_type = match of_type {
        fold::ParameterType::Integer => ParameterType::Integer,
        fold::ParameterType::Real => ParameterType::Real,
        fold::ParameterType::Text => ParameterType::Text,
        fold::ParameterType::Boolean => ParameterType::Boolean,
    };
    let default = match (of_type, default) {
        (_, None) => None,
        (_, Some(Value::Null)) => Some(rusqlite::types::Value::Null),
        (ParameterType::Integer | ParameterType::Boolean, Some(Value::Integer(integer))) => Some(integer.into()),
        (ParameterType::Real, Some(Value::Real(real))) => Some(real.into()),
        (ParameterType::Text, Some(Value::Text(text))) => Some(text.into()),
        _ => return Err(format!("the default of parameter `{name}` is not of its type")),
    };
    Ok(Parameter { name, of_type, default, description })
}

/// What every query takes besides its own parameters.
const CONTROLS: &[&str] = &["min_position", "fresh", "timeout", "as_of"];

/// Whether something may be called so: a letter, then letters, digits, `-` or `_`.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic());
    let goes_on_well = name.chars().all(|next| next.is_ascii_alphanumeric() || next == '-' || next == '_');
    starts_well && goes_on_well && name.len() <= NAME_BYTES
}

fn check_name(what: &str, name: &str) -> Result<(), String> {
    if is_name(name) {
        return Ok(());
    }
    let name: String = name.chars().take(NAME_BYTES).collect();
    Err(format!("{what} is `{name}`: write a letter, then up to {} letters, digits, `-` or `_`", NAME_BYTES - 1))
}

fn check_version(version: &str) -> Result<(), String> {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    if numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u64>().is_ok()) && version.len() <= NAME_BYTES {
        return Ok(());
    }
    let version: String = version.chars().take(NAME_BYTES).collect();
    Err(format!("its version is `{version}`: write a semantic version, such as `1.0.0`"))
}

fn check_size(what: &str, text: &str, limit: usize) -> Result<(), String> {
    if text.len() > limit {
        return Err(format!("{what} has {} bytes; {limit} are allowed", text.len()));
    }
    // They are printed on terminals.
    if text.contains(|next: char| next.is_control() && !next.is_whitespace()) {
        return Err(format!("{what} holds control characters"));
    }
    Ok(())
}

fn check_distinct<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(format!("it has two of {what} `{name}`"));
        }
    }
    Ok(())
}

fn as_json<S: serde::Serializer>(default: &Option<rusqlite::types::Value>, serializer: S) -> Result<S::Ok, S::Error> {
    match default {
        Some(rusqlite::types::Value::Integer(integer)) => serializer.serialize_i64(*integer),
        Some(rusqlite::types::Value::Real(real)) => serializer.serialize_f64(*real),
        Some(rusqlite::types::Value::Text(text)) => serializer.serialize_str(text),
        _ => serializer.serialize_none(),
    }
}
