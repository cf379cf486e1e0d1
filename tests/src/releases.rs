//! Components to swap, and how a host says where their releases stand.

use crate::{Answer, Client, laterna, root, target_folder};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::OnceLock;

/// Cars as they were, without `customer.renamed`.
pub fn cars_v1() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| cars("v1", &["--features", "v1"]))
}

/// Cars as they are.
pub fn cars_v2() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| cars("v2", &[]))
}

/// One crate, built with these flags into a folder of its own.
fn cars(version: &str, flags: &[&str]) -> Vec<u8> {
    let (folder, out) = (root().join("projections/cars"), target_folder().join("components").join(version));
    let arguments: Vec<PathBuf> = vec!["build".into(), folder, "--out".into(), out.clone()];
    let built = laterna(arguments.into_iter().chain(flags.iter().map(PathBuf::from)));
    assert!(built.status.success(), "cars does not build: {}", String::from_utf8_lossy(&built.stderr));
    std::fs::read(out.join("cars.wasm")).expect("it was built")
}

/// The same component with other bytes: it behaves as before, and is another release. Each number gives other bytes.
#[must_use]
pub fn variant(component: &[u8], number: u64) -> Vec<u8> {
    // A custom section: its kind, its size, its name with the length before it, and anything.
    let mut section = vec![7];
    section.extend_from_slice(b"variant");
    section.extend_from_slice(&number.to_le_bytes());
    let mut variant = component.to_vec();
    variant.extend_from_slice(&[0, u8::try_from(section.len()).expect("it is short")]);
    variant.extend_from_slice(&section);
    variant
}

/// The events of a small trade with cars, each a line to import: six, then three more.
#[must_use]
pub fn cars_events() -> Vec<String> {
    let event = |id: usize, stream: &str, event_type: &str, data: Value| {
        json!({ "id": format!("cars-{id}"), "stream": stream, "type": event_type, "data": data }).to_string()
    };
    vec![
        event(1, "car-hrxs21", "car.created", json!({ "by": "Alice", "colour": "blue" })),
        event(2, "car-hrxs21", "car.repainted", json!({ "colour": "red" })),
        event(3, "car-tye24p", "car.created", json!({ "by": "Alice", "colour": "blue" })),
        event(4, "customer-b2dhuw", "customer.created", json!({ "name": "Bob" })),
        event(5, "car-hrxs21", "car.sold", json!({ "to": "b2dhuw" })),
        event(6, "customer-b2dhuw", "customer.renamed", json!({ "name": "Charlie" })),
        event(7, "car-hrxs21", "car.repainted", json!({ "colour": "orange" })),
        event(8, "customer-wuionx", "customer.created", json!({ "name": "Dan" })),
        event(9, "car-tye24p", "car.sold", json!({ "to": "wuionx" })),
    ]
}

impl Client {
    /// A projection as the host shows it.
    pub fn projection(&self, name: &str) -> Value {
        self.get(&format!("/projections/{name}")).ok()
    }

    /// Waits until a release of a projection is in this state; answers what is recorded of it.
    pub fn wait_for_release(&self, projection: &str, release: u64, state: &str) -> Value {
        let answer = self.wait_for(&format!("/projections/{projection}"), |answer| {
            answer.status == 200 && recorded(&answer.json(), release).is_some_and(|record| record["state"] == state)
        });
        recorded(&answer.json(), release).expect("it was there")
    }

    /// Waits until a release serves, and promotes it where it is held.
    pub fn promote_held(&self, projection: &str, release: u64) {
        let answer = self.wait_for(&format!("/projections/{projection}"), |answer| {
            let state = |record: Value| record["state"] == "live" || record["state"] == "held";
            answer.status == 200 && recorded(&answer.json(), release).is_some_and(state)
        });
        if recorded(&answer.json(), release).expect("it was there")["state"] == "held" {
            self.order(projection, &format!("promote?release={release}")).ok();
        }
    }

    /// Gives an order about a projection. All of it stands in the path.
    pub fn order(&self, projection: &str, order: &str) -> Answer {
        let path = format!("/projections/{projection}/{order}");
        self.try_post(&path, "application/json", "").expect("the host answers")
    }

    /// Uploads a component.
    pub fn deploy(&self, name: &str, component: &[u8]) -> Answer {
        self.try_post(&format!("/components?name={name}"), "application/wasm", component).expect("the host answers")
    }
}

/// What is recorded of a release in a projection as the host shows it.
#[must_use]
pub fn recorded(projection: &Value, release: u64) -> Option<Value> {
    let releases = projection["releases"].as_array()?;
    releases.iter().find(|record| record["release"].as_u64() == Some(release)).cloned()
}
