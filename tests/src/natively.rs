//! The same fold twice: by a component in a host, and by its code over rusqlite.

use crate::files::{self, Rows};
use crate::{Client, Data};
use laterna_sdk::Projection;
use laterna_sdk::native::{NewEvent, ReadModel};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Everything in a read store, and the SQL of its tables, indexes and views.
#[derive(Debug, PartialEq)]
pub struct Content {
    schema: Vec<String>,
    tables: BTreeMap<String, Rows>,
}

impl Content {
    fn of(store: &Path) -> Self {
        Self { schema: files::schema(store), tables: files::contents(store) }
    }

    /// The rows of a table.
    #[must_use]
    pub fn rows(&self, table: &str) -> &Rows {
        &self.tables[table]
    }
}

/// Folds events by a projection's code, in batches of this size.
#[must_use]
pub fn natively<P: Projection>(events: &[Value], batch: usize) -> Content {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = folder.path().join("native.db");
    let mut model = ReadModel::<P>::create(&store).expect("the manifest is in order");
    for batch in events.chunks(batch) {
        model.apply(batch.iter().map(new_event)).expect("the events can be applied");
    }
    drop(model);
    Content::of(&store)
}

/// Folds events by a component, in a host with batches of each of these sizes; answers what came of each.
#[must_use]
pub fn by_component(component: &Path, events: &[Value], batches: &[usize]) -> Vec<Content> {
    let name = component.file_stem().expect("a file").to_string_lossy().into_owned();
    let data = Data::in_memory();
    data.drop_component(component);
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    let server = data.serve();
    assert_eq!(server.import(&lines.join("\n")).ok()["stored"], events.len());
    server.stop();
    let fold = |batch: &usize| {
        std::fs::remove_dir_all(data.path().join("stores")).expect("it is there");
        let server = data.serve_with(&["--batch-events", &batch.to_string()]);
        wait(&server, &name, events.len());
        let release = server.get(&format!("/projections/{name}")).ok()["live"]["release"].to_string();
        server.stop();
        Content::of(&data.path().join(format!("stores/{name}/{release}.db")))
    };
    batches.iter().map(fold).collect()
}

fn wait(server: &Client, name: &str, events: usize) {
    let path = format!("/projections/{name}");
    server.wait_for(&path, |answer| answer.ok()["live"]["checkpoint"].as_u64() == Some(events as u64));
}

fn new_event(line: &Value) -> NewEvent {
    let text = |name: &str| line[name].as_str().unwrap_or_else(|| panic!("no {name} in {line}"));
    let event = NewEvent::new(text("stream"), text("type"), line["data"].clone());
    match line["occurred_at"].as_str() {
        Some(at) => event.occurred_at(at),
        None => event,
    }
}
