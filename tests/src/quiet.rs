//! Waiting until nothing more follows from what stands in the log.

use crate::{Client, Data, component};
use serde_json::Value;

impl Data {
    /// Drops these components, and waits until all of them serve.
    pub fn serve_components(&self, server: &Client, names: &[&str]) {
        names.iter().for_each(|name| self.drop_component(&component(name)));
        for name in names {
            server.wait_for(&format!("/projections/{name}"), |answer| {
                answer.status == 200 && !answer.json()["live"].is_null()
            });
        }
    }
}

impl Client {
    /// The log's last position.
    pub fn last_position(&self) -> u64 {
        self.get("/processes").ok()["head"].as_u64().expect("a position")
    }

    /// Waits until these process managers have nothing more to do about what stands in the log; answers the log's last position.
    pub fn wait_until_quiet(&self, processes: &[&str]) -> u64 {
        loop {
            let head = self.last_position();
            for process in processes {
                self.wait_for(&format!("/processes/{process}"), |answer| {
                    let shown = answer.json();
                    shown["live"]["checkpoint"].as_u64() >= Some(head) && shown["effects"]["pending"]["count"] == 0
                });
            }
            // What they did may concern one of them.
            if self.last_position() == head {
                return head;
            }
        }
    }

    /// The events of these types, in order.
    pub fn events_of(&self, types: &[&str]) -> Vec<Value> {
        let (mut events, mut path) = (Vec::new(), format!("/events?type={}&limit=1000", types.join(",")));
        loop {
            let page = self.get(&path).ok();
            events.extend(page["events"].as_array().expect("events").iter().cloned());
            match page["next"].as_str() {
                Some(next) => path = next.to_owned(),
                None => return events,
            }
        }
    }
}
