//! What readers can ask of a release: its tables, views and queries; and how that changes from one release to the next.

use crate::plugin::{Manifest, NamedQuery};
use crate::store::{Relation, RelationKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Changes that are told of a part.
const CHANGES: usize = 20;

/// How what readers can ask changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SurfaceDifference {
    /// What was not there before.
    pub added: Vec<Part>,
    /// What is not there any more.
    pub removed: Vec<Part>,
    /// What is another one under the same name.
    pub changed: Vec<Changed>,
}

/// Something that readers can ask, or that makes it fast.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Its name.
    pub name: String,
}

/// What a [`Part`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartKind {
    /// A table.
    Table,
    /// A view.
    View,
    /// An index: it changes no answer.
    Index,
    /// A named query.
    Query,
}

/// A part that is another one now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Which.
    #[serde(flatten)]
    pub part: Part,
    /// What of it, in words.
    pub changes: Vec<String>,
}

/// What a release lets readers ask.
#[derive(Debug, Clone, Copy)]
pub struct Surface<'a> {
    /// Its component's manifest.
    pub manifest: &'a Manifest,
    /// The tables and views that it makes.
    pub relations: &'a [Relation],
}

impl SurfaceDifference {
    /// From one release to the next.
    #[must_use]
    pub fn between(before: Surface<'_>, after: Surface<'_>) -> Self {
        let (before, after) = (parts(before), parts(after));
        let only = |one: &BTreeMap<Part, Shape<'_>>, other: &BTreeMap<Part, Shape<'_>>| {
            one.keys().filter(|part| !other.contains_key(part)).cloned().collect()
        };
        let changed = after.iter().filter_map(|(part, shape)| {
            let changes = first_of(before.get(part)?.changes(shape));
            (!changes.is_empty()).then(|| Changed { part: part.clone(), changes })
        });
        Self { added: only(&after, &before), removed: only(&before, &after), changed: changed.collect() }
    }

    /// Of a first release: everything is new.
    #[must_use]
    pub fn first(of: Surface<'_>) -> Self {
        Self { added: parts(of).into_keys().collect(), ..Self::default() }
    }

    /// Nothing at all was added, removed or changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    /// Whether readers can ask the same, and are answered alike where the rows are the same. An index changes no answer; what the code of
    /// a computed query does is not looked at.
    #[must_use]
    pub fn is_same(&self) -> bool {
        let changed = self.changed.iter().map(|changed| &changed.part);
        self.added.iter().chain(&self.removed).chain(changed).all(|part| part.kind == PartKind::Index)
    }
}

/// As many of the changes of a part as are told.
fn first_of(mut changes: Vec<String>) -> Vec<String> {
    let more = changes.len().saturating_sub(CHANGES);
    if more > 0 {
        changes.truncate(CHANGES);
        changes.push(format!("and {more} more"));
    }
    changes
}

/// What a part looks like.
enum Shape<'a> {
    Relation(&'a Relation),
    Index(&'a str),
    Query(&'a NamedQuery),
}

fn parts<'a>(surface: Surface<'a>) -> BTreeMap<Part, Shape<'a>> {
    let mut parts = BTreeMap::new();
    for relation in surface.relations {
        let kind = match relation.kind {
            RelationKind::Table => PartKind::Table,
            RelationKind::View => PartKind::View,
        };
        parts.insert(Part { kind, name: relation.name.clone() }, Shape::Relation(relation));
        for index in &relation.indexes {
            parts.insert(Part { kind: PartKind::Index, name: index.name.clone() }, Shape::Index(&index.sql));
        }
    }
    for query in &surface.manifest.queries {
        parts.insert(Part { kind: PartKind::Query, name: query.name.clone() }, Shape::Query(query));
    }
    parts
}

impl Shape<'_> {
    /// What is different in words; empty where nothing is.
    fn changes(&self, after: &Self) -> Vec<String> {
        match (self, after) {
            (Self::Relation(before), Self::Relation(after)) => relation_changes(before, after),
            (Self::Index(before), Self::Index(after)) => definition_changes(before, after),
            (Self::Query(before), Self::Query(after)) => query_changes(before, after),
            // Two of one name are of one kind, since the kind is part of what they are found by.
            _ => Vec::new(),
        }
    }
}

fn relation_changes(before: &Relation, after: &Relation) -> Vec<String> {
    let of = |relation: &Relation| -> BTreeMap<String, String> {
        relation.columns.iter().map(|column| (column.name.clone(), column.of_type.clone())).collect()
    };
    let mut changes = changes_by_name("column", &of(before), &of(after));
    if before.key != after.key {
        changes.push(format!("the key was ({}), and is ({})", before.key.join(", "), after.key.join(", ")));
    }
    if changes.is_empty() {
        changes = definition_changes(&before.sql, &after.sql);
    }
    changes
}

fn query_changes(before: &NamedQuery, after: &NamedQuery) -> Vec<String> {
    let of = |query: &NamedQuery| -> BTreeMap<String, String> {
        let described = |parameter: &crate::plugin::Parameter| {
            let default = parameter.default.as_ref().map_or(String::new(), |default| format!(" = {default:?}"));
            (parameter.name.clone(), format!("{:?}{default}", parameter.of_type).to_lowercase())
        };
        query.parameters.iter().map(described).collect()
    };
    let mut changes = changes_by_name("parameter", &of(before), &of(after));
    match (&before.sql, &after.sql) {
        (Some(before), Some(after)) => changes.extend(definition_changes(before, after)),
        (Some(_), None) => changes.push("it was answered by SQL, and is by code".to_owned()),
        (None, Some(_)) => changes.push("it was answered by code, and is by SQL".to_owned()),
        (None, None) => {}
    }
    changes
}

/// What was added, removed and changed among things with names and types.
fn changes_by_name(what: &str, before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let added = after.iter().filter(|(name, _)| !before.contains_key(*name));
    let added = added.map(|(name, of_type)| format!("{what} `{name}` {of_type} is added"));
    let removed = before.keys().filter(|name| !after.contains_key(*name));
    let removed = removed.map(|name| format!("{what} `{name}` is removed"));
    let changed = after.iter().filter_map(|(name, of_type)| {
        let was = before.get(name).filter(|was| *was != of_type)?;
        Some(format!("{what} `{name}` was {was}, and is {of_type}"))
    });
    added.chain(removed).chain(changed).collect()
}

/// Whether two pieces of SQL say something else, but for the space between words.
fn definition_changes(before: &str, after: &str) -> Vec<String> {
    if before.split_whitespace().eq(after.split_whitespace()) {
        return Vec::new();
    }
    vec!["it is defined otherwise".to_owned()]
}
