//! What a component says of itself, checked.

use super::bindings::types::Value;
use super::bindings::{fold, process, upcast};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
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
    /// Who may query it.
    pub visibility: Visibility,
    /// What becomes of an event that it cannot apply.
    pub on_failure: OnFailure,
    /// Which events keep their order among each other.
    pub sequence: Sequence,
    /// What becomes of its releases once they could serve, where the operator does not say.
    pub policy: Policy,
    /// What it says besides where it is a process manager.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
}

/// What a process manager says of itself, besides what everything says that has a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Process {
    /// What it appends; nothing else.
    pub produces: Vec<Product>,
    /// To what of the history a first release reacts, where it says.
    pub begins: Option<Beginning>,
}

/// Events that a process manager appends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// The type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Why.
    pub why: String,
}

/// To what of the history the first release of a process manager reacts. It folds all of it either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Beginning {
    /// To all of it: what follows from it is done
    Start,
    /// To none of it: what would have followed from it is not done
    Now,
}

/// Who may query a read model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Visibility {
    /// Every reader.
    Public,
    /// Readers of its component's module.
    Internal,
}

/// What becomes of an event that a component cannot apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// The projection halts before it.
    Halt,
    /// It is set aside with the later ones of its sequence.
    Park,
}

/// Which events keep their order among each other. Where an event has nothing of the kind, its stream counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sequence {
    /// Those of a stream.
    Stream,
    /// Those with the same correlation id.
    Correlation,
    /// Those with the same value at this JSON pointer (RFC 6901) into their data.
    Data(String),
}

/// What becomes of a release that could take the place of the one that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// It does.
    Auto,
    /// It waits until its operator promotes it.
    Hold,
    /// It waits where anything in its read model differs from the one that serves.
    HoldIfDifferent,
}

impl Policy {
    /// Its name, as it is written and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Hold => "hold",
            Self::HoldIfDifferent => "hold-if-different",
        }
    }
}

impl Beginning {
    /// Its name, as it is written and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Now => "now",
        }
    }
}

/// An upcaster's manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UpcasterManifest {
    /// The component's name.
    pub name: String,
    /// Its semantic version, for people.
    pub version: String,
    /// What it is for.
    pub description: String,
    /// What it brings further.
    pub steps: Vec<Step>,
}

/// Events of one type and version that an upcaster makes the next version of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version that it takes; it gives the next one.
    pub from_version: u32,
    /// What changed between the two.
    pub why: String,
}

/// Events that a component consumes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Which.
    #[serde(flatten)]
    pub what: Selector,
    /// The version of the type that the component handles; `None`: as far as upcasters lead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Why.
    pub why: String,
}

/// Which events are consumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
/// The read model of every process manager.
const PROCESS_SCHEMA: &str = include_str!("../process/schema.sql");

impl Manifest {
    /// Takes over what a component described.
    pub(super) fn check(described: fold::Manifest) -> Result<Self, String> {
        let fold::Manifest {
            name,
            version,
            description,
            consumes,
            schema,
            typed_tables,
            queries,
            visibility,
            on_failure,
            sequence,
            policy,
        } = described;
        check_name("the component's name", &name)?;
        check_version(&version)?;
        check_size("the description", &description, TEXT_BYTES)?;
        check_size("the schema", &schema, SCHEMA_BYTES)?;
        if consumes.len() > LIST || queries.len() > LIST || typed_tables.len() > LIST {
            return Err(format!("it lists more than {LIST} subscriptions, queries or typed tables"));
        }
        typed_tables.iter().try_for_each(|table| check_size("a typed table's name", table, TEXT_BYTES))?;
        let queries = queries.into_iter().map(check_query).collect::<Result<Vec<_>, _>>()?;
        check_distinct("query", queries.iter().map(|query| &query.name))?;
        Ok(Self {
            name,
            version,
            description,
            consumes: check_subscriptions(consumes)?,
            schema,
            typed_tables,
            queries,
            visibility: visibility.into(),
            on_failure: on_failure.into(),
            sequence: check_sequence(sequence)?,
            policy: policy.into(),
            process: None,
        })
    }

    /// Takes over what a process manager described. Its read model is the same for all of them: Laterna's own account of it.
    pub(super) fn check_process(described: process::Manifest) -> Result<Self, String> {
        let process::Manifest {
            name,
            version,
            description,
            consumes,
            produces,
            begins,
            visibility,
            on_failure,
            sequence,
            policy,
        } = described;
        check_name("the component's name", &name)?;
        check_version(&version)?;
        check_size("the description", &description, TEXT_BYTES)?;
        if consumes.is_empty() {
            return Err("it consumes nothing: name the types that it reacts to".to_owned());
        }
        if consumes.len() > LIST || produces.len() > LIST {
            return Err(format!("it lists more than {LIST} types that it consumes or produces"));
        }
        let produces = produces.into_iter().map(check_product).collect::<Result<Vec<_>, _>>()?;
        check_distinct("product", produces.iter().map(|product| &product.event_type))?;
        let begins = begins.map(|begins| match begins {
            process::Beginning::Start => Beginning::Start,
            process::Beginning::Now => Beginning::Now,
        });
        Ok(Self {
            name,
            version,
            description,
            consumes: check_subscriptions(consumes)?,
            schema: PROCESS_SCHEMA.to_owned(),
            typed_tables: Vec::new(),
            queries: Vec::new(),
            visibility: visibility.into(),
            on_failure: on_failure.into(),
            sequence: check_sequence(sequence)?,
            policy: policy.into(),
            process: Some(Process { produces, begins }),
        })
    }

    /// The version of a type that the component handles, where it says.
    #[must_use]
    pub fn handles(&self, event_type: &str) -> Option<u32> {
        let mut subscriptions = self.consumes.iter();
        subscriptions
            .find(|subscription| matches!(&subscription.what, Selector::Type(name) if name == event_type))?
            .version
    }
}

impl UpcasterManifest {
    /// Takes over what a component described.
    pub(super) fn check(described: upcast::Manifest) -> Result<Self, String> {
        let upcast::Manifest { name, version, description, steps } = described;
        check_name("the component's name", &name)?;
        check_version(&version)?;
        check_size("the description", &description, TEXT_BYTES)?;
        if steps.is_empty() || steps.len() > LIST {
            return Err(format!("it has {} steps; it must have from 1 to {LIST}", steps.len()));
        }
        let mut seen = BTreeSet::new();
        for upcast::Step { event_type, from_version, why } in &steps {
            if event_type.is_empty() {
                return Err("a step has a type without a name".to_owned());
            }
            check_size("a step's type", event_type, TEXT_BYTES)?;
            check_size("a step's reason", why, TEXT_BYTES)?;
            if *from_version == 0 || *from_version == u32::MAX {
                return Err(format!("a step of {event_type} is from version {from_version}: versions count from 1"));
            }
            if !seen.insert((event_type, from_version)) {
                return Err(format!("it has two steps from version {from_version} of {event_type}"));
            }
        }
        let steps = steps.into_iter().map(|upcast::Step { event_type, from_version, why }| Step {
            event_type,
            from_version,
            why,
        });
        Ok(Self { name, version, description, steps: steps.collect() })
    }

    /// Whether it could bring events further that a component with this manifest consumes.
    #[must_use]
    pub fn feeds(&self, consumer: &Manifest) -> bool {
        let mut by_name = consumer.consumes.iter().map(|subscription| match &subscription.what {
            Selector::Type(name) => Some(name),
            // Which types its streams hold, nobody knows.
            Selector::Category(_) => None,
        });
        consumer.consumes.is_empty()
            || by_name.any(|name| name.is_none_or(|name| self.steps.iter().any(|step| step.event_type == *name)))
    }
}

impl From<fold::Visibility> for Visibility {
    fn from(visibility: fold::Visibility) -> Self {
        match visibility {
            fold::Visibility::Public => Self::Public,
            fold::Visibility::Internal => Self::Internal,
        }
    }
}

impl From<fold::OnFailure> for OnFailure {
    fn from(on_failure: fold::OnFailure) -> Self {
        match on_failure {
            fold::OnFailure::Halt => Self::Halt,
            fold::OnFailure::Park => Self::Park,
        }
    }
}

impl From<fold::Policy> for Policy {
    fn from(policy: fold::Policy) -> Self {
        match policy {
            fold::Policy::Auto => Self::Auto,
            fold::Policy::Hold => Self::Hold,
            fold::Policy::HoldIfDifferent => Self::HoldIfDifferent,
        }
    }
}

fn check_sequence(sequence: fold::Sequence) -> Result<Sequence, String> {
    match sequence {
        fold::Sequence::ByStream => Ok(Sequence::Stream),
        fold::Sequence::ByCorrelation => Ok(Sequence::Correlation),
        fold::Sequence::ByData(pointer) => {
            check_size("its sequence's pointer", &pointer, TEXT_BYTES)?;
            if pointer.starts_with('/') {
                return Ok(Sequence::Data(pointer));
            }
            Err(format!("its sequence is by `{pointer}`: write a JSON pointer into the data, such as `/customer_id`"))
        }
    }
}

fn check_subscriptions(subscriptions: Vec<fold::Subscription>) -> Result<Vec<Subscription>, String> {
    let subscriptions = subscriptions.into_iter().map(check_subscription).collect::<Result<Vec<_>, _>>()?;
    let types = subscriptions.iter().filter_map(|subscription| match &subscription.what {
        Selector::Type(name) => Some(name),
        Selector::Category(_) => None,
    });
    check_distinct("subscription to type", types)?;
    Ok(subscriptions)
}

fn check_product(product: process::Product) -> Result<Product, String> {
    let process::Product { event_type, why } = product;
    if event_type.is_empty() {
        return Err("it produces a type without a name".to_owned());
    }
    check_size("a product's type", &event_type, TEXT_BYTES)?;
    check_size("a product's reason", &why, TEXT_BYTES)?;
    Ok(Product { event_type, why })
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
    match (&what, subscription.version) {
        (Selector::Category(name), Some(_)) => {
            return Err(format!("it handles a version of the category `{name}`: only types have versions"));
        }
        (_, Some(0)) => return Err(format!("it handles version 0 of {name}: versions count from 1")),
        _ => {}
    }
    Ok(Subscription { version: subscription.version, what, why: subscription.why })
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
