//! Bulk import: one event a line, streamed. Stored chunk by chunk, so that what came before a bad line is kept.

use super::event_json::ImportLine;
use super::problem::{Code, Problem};
use super::{App, answer, body, incoming};
use crate::access::Caller;
use crate::log::{Import as ImportEvent, Imported};
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::StreamExt;
use serde_json::json;

/// Events that one transaction takes.
const CHUNK_EVENTS: usize = 1_000;
/// Bytes that one transaction takes, give or take a line.
const CHUNK_BYTES: usize = 4 << 20;
/// Bytes that a line may have besides its event's data and metadata.
const ENVELOPE_BYTES: usize = 64 << 10;

/// Takes a body of NDJSON; answers what was stored and what was known.
pub async fn import(app: &App, caller: &Caller, body: Body) -> Result<Response, Problem> {
    let _place = body::place(app, CHUNK_BYTES + app.config().event_bytes + ENVELOPE_BYTES).await?;
    let mut import = Import {
        app,
        caller,
        chunk: Vec::new(),
        chunk_lines: Vec::new(),
        chunk_bytes: 0,
        done: Imported::default(),
        line: 0,
    };
    let read = import.read(body).await;
    // What came before a fault is stored before the fault is told; where that meets a fault itself, it was the first one.
    let stored = import.store().await;
    if let Err(problem) = stored.and(read) {
        let Import { done, .. } = import;
        let position = if done.last_position == 0 { app.host.log.head() } else { done.last_position };
        return Err(problem.with("stored", done.stored).with("skipped", done.skipped).with("last_position", position));
    }
    let Imported { stored, skipped, .. } = import.done;
    let last_position = if import.done.last_position == 0 { app.host.log.head() } else { import.done.last_position };
    let answer = json!({ "stored": stored, "skipped": skipped, "last_position": last_position });
    Ok(answer::at_position(StatusCode::OK, last_position, &answer))
}

struct Import<'a> {
    app: &'a App,
    caller: &'a Caller,
    chunk: Vec<ImportEvent>,
    /// The line of each event of the chunk, from 1.
    chunk_lines: Vec<u64>,
    chunk_bytes: usize,
    done: Imported,
    /// The line that is read, from 1.
    line: u64,
}

impl Import<'_> {
    async fn read(&mut self, sent: Body) -> Result<(), Problem> {
        let line_bytes = self.app.config().event_bytes + ENVELOPE_BYTES;
        let mut pieces = sent.into_data_stream();
        let mut begun: Vec<u8> = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| {
                let then = "Send it again from where it stopped: events that have ids and were stored are skipped.";
                body::broken_off(self.app, incoming::is_late(&error), then)
            })?;
            let mut rest = &piece[..];
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                begun.extend_from_slice(&rest[..end]);
                rest = &rest[end + 1..];
                self.line(&begun).await?;
                begun.clear();
            }
            begun.extend_from_slice(rest);
            if begun.len() > line_bytes {
                return Err(self.bad_line(&format!("it has more than {line_bytes} bytes")));
            }
        }
        self.line(&begun).await
    }

    async fn line(&mut self, line: &[u8]) -> Result<(), Problem> {
        self.line += 1;
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let parsed: ImportLine = serde_json::from_slice(line).map_err(|error| {
            let why = error.to_string();
            let why = why.rsplit_once(" at line ").map_or(why.as_str(), |(why, _)| why);
            self.bad_line(&format!("column {}: {why}", error.column()))
        })?;
        let limit = self.app.config().event_bytes;
        let checked = parsed.check(self.caller, limit, self.app.host.source());
        let (stream, mut event) = checked.map_err(|problem| problem.in_line(self.line))?;
        self.chunk_bytes += event.bytes();
        let fault = self.app.admit(&stream, None, &mut event);
        self.chunk.push(ImportEvent { stream, event, fault });
        self.chunk_lines.push(self.line);
        if self.chunk.len() >= CHUNK_EVENTS || self.chunk_bytes >= CHUNK_BYTES {
            self.store().await?;
        }
        Ok(())
    }

    async fn store(&mut self) -> Result<(), Problem> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        self.chunk_bytes = 0;
        let lines = std::mem::take(&mut self.chunk_lines);
        let imported = self.app.host.log.import(std::mem::take(&mut self.chunk)).await??;
        self.done.stored += imported.stored;
        self.done.skipped += imported.skipped;
        self.done.last_position = imported.last_position;
        match imported.refused {
            Some(refusal) => {
                let taken = usize::try_from(imported.stored + imported.skipped).unwrap_or(usize::MAX);
                Err(Problem::from(refusal).in_line(lines.get(taken).copied().unwrap_or_default()))
            }
            None => Ok(()),
        }
    }

    fn bad_line(&self, why: &str) -> Problem {
        Problem::new(Code::BadImportLine, why).in_line(self.line)
    }
}
