//! Following the log over server-sent events: what stands there, then what comes, for as long as somebody reads.

use super::App;
use super::accept::Format;
use super::cloud_events::CloudEvent;
use super::event_json::EventJson;
use super::feed::{Source, feed};
use super::problem::Problem;
use crate::access::Caller;
use crate::log::{Filter, StoredEvent};
use axum::response::{Response, sse::Event};
use std::collections::VecDeque;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// Events that are read from the log at once, and wait in memory for a slow reader.
const AHEAD: usize = 256;
/// Bytes of them, give or take one event.
const AHEAD_BYTES: usize = 1 << 20;

/// The events behind `after`, each with its position as its id. A heartbeat carries the position reached where nothing was to be
/// shown, so that a reader can come back to it.
pub fn follow(app: &App, caller: Caller, after: u64, filter: Filter, format: Format) -> Result<Response, Problem> {
    let head = app.host.log.watch_head();
    let events = Events { app: app.clone(), filter, format, through: after, waiting: VecDeque::new(), head };
    feed(app, caller, events)
}

struct Events {
    app: App,
    filter: Filter,
    format: Format,
    /// The position up to which the log was looked at.
    through: u64,
    waiting: VecDeque<StoredEvent>,
    head: watch::Receiver<u64>,
}

impl Source for Events {
    async fn next(&mut self, heartbeat: Instant) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                let position = event.position.to_string();
                let said = Event::default().id(position);
                return match self.format {
                    Format::Json => said.json_data(EventJson::from(&event)).ok(),
                    Format::CloudEvents => said.json_data(CloudEvent::new(&event, self.app.host.source())).ok(),
                };
            }
            let visible = *self.head.borrow_and_update();
            if self.through < visible {
                self.read_ahead(visible).await?;
                if self.waiting.is_empty() && Instant::now() >= heartbeat {
                    return self.heartbeat();
                }
                continue;
            }
            match timeout_at(heartbeat, self.head.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => return self.heartbeat(),
            }
        }
    }
}

impl Events {
    async fn read_ahead(&mut self, visible: u64) -> Option<()> {
        let (after, filter) = (self.through, self.filter.clone());
        let read = self.app.host.log.read(move |reader| reader.page(after, visible, &filter, AHEAD, AHEAD_BYTES)).await;
        let page = read.inspect_err(|error| tracing::error!(%error, "a feed ends: the log cannot be read")).ok()?;
        self.through = page.through;
        self.waiting.extend(page.events);
        Some(())
    }

    fn heartbeat(&self) -> Option<Event> {
        let position = self.through;
        let beat = serde_json::json!({ "position": position });
        Event::default().event("heartbeat").id(position.to_string()).json_data(beat).ok()
    }
}
