use super::files::{Format, Key};
use super::schema::Schema;
use super::violation::{Fault, Violation};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is in force: one value that never changes.
#[derive(Default)]
pub struct Registry {
    /// By module, by type, and by version.
    modules: BTreeMap<String, BTreeMap<String, BTreeMap<u32, Entry>>>,
    problems: Vec<Problem>,
}

/// The schema of a module's type in a version.
#[derive(Clone)]
pub struct Entry {
    /// Its file's path within the folder.
    pub file: String,
    /// The language that it is written in.
    pub format: Format,
    state: State,
}

#[derive(Clone)]
enum State {
    InForce(Arc<Schema>),
    /// There is a file and it cannot be used, for this reason: no event fits.
    Broken(String),
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Its path within the folder; empty for the folder itself.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Registry {
    pub(super) fn new(entries: impl IntoIterator<Item = (Key, Entry)>, problems: Vec<Problem>) -> Self {
        let mut modules: BTreeMap<_, BTreeMap<_, BTreeMap<_, _>>> = BTreeMap::new();
        for (Key { module, event_type, version }, entry) in entries {
            modules.entry(module).or_default().entry(event_type).or_default().insert(version, entry);
        }
        Self { modules, problems }
    }

    /// Checks an event's data by the schema of its module, type and version. Where there is none, it fits.
    ///
    /// JSON is read as `serde_json` reads it: a whole number from -2^63 to 2^64-1 is exact, any other number is the double that is
    /// nearest to it. So two numbers that differ only beyond a double's 53 bits are the same to a schema. What is stored is what was
    /// sent.
    ///
    /// # Errors
    /// It does not fit, or nobody can say, since the schema cannot be used.
    pub fn check(
        &self,
        module: &str,
        event_type: &str,
        version: u32,
        content_type: &str,
        data: &[u8],
    ) -> Result<(), Violation> {
        let Some(Entry { file, state, .. }) = self.of_type(module, event_type).and_then(|of| of.get(&version)) else {
            return Ok(());
        };
        let checked = match state {
            State::InForce(schema) => schema.check(content_type, data),
            State::Broken(reason) => {
                let message = format!("the schema cannot be used, and nothing is taken unchecked: {reason}");
                Err((vec![Fault::of_all(message)], 0))
            }
        };
        checked.map_err(|(faults, more)| Violation { file: file.clone(), faults, more })
    }

    /// Whether events of this type are internal, whatever they say of themselves: where the schema of any version of it says so.
    #[must_use]
    pub fn is_internal(&self, module: &str, event_type: &str) -> bool {
        let versions = self.of_type(module, event_type).into_iter().flat_map(BTreeMap::values);
        versions.filter_map(Entry::schema).any(|schema| schema.is_internal)
    }

    /// Whether an event of this type is to be internal: where it is, and also where that cannot be known, since the schema of a version
    /// of it cannot be used. What is public once is public for ever.
    #[must_use]
    pub fn is_to_be_internal(&self, module: &str, event_type: &str) -> bool {
        let mut versions = self.of_type(module, event_type).into_iter().flat_map(BTreeMap::values);
        versions.any(|entry| entry.schema().is_none_or(|schema| schema.is_internal))
    }

    /// Every schema that there is a file for, by module, type and version.
    pub fn entries(&self) -> impl Iterator<Item = (Key, &Entry)> {
        self.modules.iter().flat_map(|(module, types)| {
            types.iter().flat_map(move |(event_type, versions)| {
                let key = |version| Key { module: module.clone(), event_type: event_type.clone(), version };
                versions.iter().map(move |(version, entry)| (key(*version), entry))
            })
        })
    }

    /// What is wrong with files in the folder.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    pub(super) fn entry(&self, key: &Key) -> Option<&Entry> {
        self.of_type(&key.module, &key.event_type)?.get(&key.version)
    }

    fn of_type(&self, module: &str, event_type: &str) -> Option<&BTreeMap<u32, Entry>> {
        self.modules.get(module)?.get(event_type)
    }
}

impl Entry {
    pub(super) fn in_force(file: &str, format: Format, schema: &Arc<Schema>) -> Self {
        Self { file: file.to_owned(), format, state: State::InForce(Arc::clone(schema)) }
    }

    pub(super) fn broken(file: &str, format: Format, reason: &str) -> Self {
        Self { file: file.to_owned(), format, state: State::Broken(reason.to_owned()) }
    }

    /// The schema, if it is in force; otherwise no event fits.
    #[must_use]
    pub fn schema(&self) -> Option<&Schema> {
        match &self.state {
            State::InForce(schema) => Some(schema),
            State::Broken(_) => None,
        }
    }
}
