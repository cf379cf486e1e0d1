//! Waiting for a release on its way to serve, with a bar on a terminal and plain lines elsewhere.

use super::connect::{Client, segment};
use super::{Failure, show};
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use serde_json::Value;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How often it is asked how far the release is.
const PAUSE: Duration = Duration::from_millis(100);

/// How often a plain line says so.
const LINE: Duration = Duration::from_secs(5);

/// Waits until the release of an order serves, or is held, and says so; or says why it does not.
///
/// # Errors
/// It does not serve: it never will, or builds are paused.
pub fn wait(client: &Client, order: &Value, json: bool) -> Result<(), Failure> {
    let (name, release) = (order["name"].as_str().unwrap_or_default(), order["release"].as_u64().unwrap_or(0));
    let says = |line: &str| -> Result<(), Failure> {
        if !json {
            super::say!("{line}");
        }
        Ok(())
    };
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("{prefix} {bar:40} {pos} of {len} events, {msg}")?);
    let (mut said, mut said_at) = (String::new(), Instant::now());
    let ended = loop {
        let projection = client.get(&format!("/projections/{}", segment(name)))?.body;
        let found = projection["releases"]
            .as_array()
            .and_then(|releases| releases.iter().find(|record| record["release"].as_u64() == Some(release)).cloned());
        let Some(record) = found else {
            return Err(format!("release {release} of `{name}` is not there any more").into());
        };
        let building = &projection["building"];
        let state = record["state"].as_str().unwrap_or_default().to_owned();
        if !["received", "checked", "building", "verifying", "returning"].contains(&state.as_str()) {
            break (projection, record);
        }
        if building["status"] == "paused" {
            bar.finish_and_clear();
            return Err(format!(
                "release {release} of `{name}` waits: builds are paused; `laterna resume {name}` lets them go on"
            )
            .into());
        }
        let progress = progress(building);
        if let (Some(checkpoint), Some(lag)) = (building["checkpoint"].as_u64(), building["lag_events"].as_u64()) {
            bar.set_length(checkpoint + lag);
            bar.set_position(checkpoint);
            bar.set_prefix(state.clone());
            bar.set_message(progress.clone());
        }
        if !std::io::stderr().is_terminal() && !json && (state != said || said_at.elapsed() >= LINE) {
            super::say!(
                "release {release} of `{name}`: {state}{}",
                if progress.is_empty() { progress } else { format!(", {progress}") }
            );
            (said, said_at) = (state, Instant::now());
        }
        std::thread::sleep(PAUSE);
    };
    bar.finish_and_clear();
    let (projection, record) = ended;
    let reason = show::cell(&record["reason"]);
    match record["state"].as_str() {
        Some("live") => {
            says(&format!("release {release} of `{name}` ({}) serves: {reason}", show::cell(&record["version"])))?;
            if json {
                super::say!("{projection}");
            }
            Ok(())
        }
        Some("held") => {
            says(&format!("release {release} of `{name}` ({}) is held: {reason}", show::cell(&record["version"])))?;
            if !projection["live"].is_null() {
                says(&format!("  see what it changes: laterna diff {name}"))?;
            }
            says(&format!(
                "  let it serve:        laterna promote {name} --release {release}\n  give it up:          laterna abort {name} --release {release}"
            ))?;
            if json {
                super::say!("{projection}");
            }
            Ok(())
        }
        state => {
            let code = record["code"].as_str().filter(|code| !code.is_empty());
            let page = code
                .map_or(String::new(), |code| format!("\n  what to do: docs/errors/{code}.md, or GET /errors/{code}"));
            let serves = match projection["live"]["release"].as_u64() {
                Some(live) => format!("; release {live} goes on serving"),
                None => String::new(),
            };
            Err(format!("release {release} of `{name}` is {}: {reason}{serves}{page}", state.unwrap_or_default())
                .into())
        }
    }
}

/// How fast a build goes, and how long it still takes.
pub fn progress(building: &Value) -> String {
    let Some(rate) = building["rate"].as_f64().filter(|rate| *rate > 0.0) else { return String::new() };
    let left = building["seconds_left"].as_f64().map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 1e9)));
    let left = left.map_or(String::new(), |left| match left.as_secs() {
        0 => ", less than a second left".to_owned(),
        _ => format!(", {} left", HumanDuration(left)),
    });
    format!("{rate} a second{left}")
}
