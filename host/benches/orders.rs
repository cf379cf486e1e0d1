//! The standard workload: rebuild by Laterna beside the native loop, durable append beside SQLite's own group commit.
//!
//! `cargo bench --bench orders [-- EVENTS [ROUNDS]]`; `LATERNA_BENCH_EVENTS` and `LATERNA_BENCH_ROUNDS` say the same. The arms take
//! turns in one run, and only their ratio is a result: the seconds hang on the machine and on what else it does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use laterna::bench::ratio::{Ratio, Round, alternate};
use laterna::bench::{Error, append, compare, native, rebuild, workload};
use laterna::log::{Log, Options};
use laterna::plugin::{Engine, Limits, Plugin};
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::runtime::Runtime;

/// Appends wait for the disk, so fewer events do.
const APPENDED_PART: usize = 10;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let mut setting = |name, default| {
        let variable = || std::env::var(name).ok().and_then(|value| value.parse().ok());
        numbers.next().or_else(variable).unwrap_or(default)
    };
    let events: usize = setting("LATERNA_BENCH_EVENTS", 200_000);
    let rounds: usize = setting("LATERNA_BENCH_ROUNDS", 5);

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("orders");
    std::fs::create_dir_all(&folder).expect("cargo's own folder can be written");
    let runtime = Runtime::new().expect("this machine has threads");
    rebuild_rounds(&folder, &runtime, events, rounds).expect("the rebuilds run");
    append_rounds(&folder, &runtime, events.div_ceil(APPENDED_PART), rounds).expect("the appends run");
    std::fs::remove_dir_all(&folder).expect("what was made can be removed");
}

fn rebuild_rounds(folder: &Path, runtime: &Runtime, events: usize, rounds: usize) -> Result<(), Error> {
    let log_file = folder.join(format!("log-{events}.db"));
    let log = Log::open(&log_file, &Options::default())?;
    runtime.block_on(workload::write(&log, events))?;
    let engine = Engine::new(None).expect("this machine runs WebAssembly");
    let wasm = std::fs::read(component("orders")).expect("the component was built");
    let plugin = Plugin::load(&engine, &wasm, &Limits::default()).expect("the component is in order");

    let (reference, ours) = (folder.join("native.db"), folder.join("laterna.db"));
    let measured = alternate(
        rounds,
        || native::rebuild(&log_file, &reference),
        || runtime.block_on(rebuild::rebuild(&log, &plugin, &ours)),
    )?;
    compare::same_tables(&reference, &ours, &["orders", "customers", "products"])?;
    log.close();
    report(&format!("rebuild of {events} events, plain SQL, beside the native loop"), &measured);
    Ok(())
}

fn append_rounds(folder: &Path, runtime: &Runtime, events: usize, rounds: usize) -> Result<(), Error> {
    let (reference, ours) = (folder.join("sqlite.db"), folder.join("laterna-log.db"));
    let append = || runtime.block_on(append::laterna(&ours, events));
    // The first one warms up, and says how large the groups are.
    let groups = std::cell::Cell::new(append()?.groups);
    let rows = append::Rows::of(&ours)?;
    let measured = alternate(
        rounds,
        || append::sqlite(&reference, &rows, groups.get()),
        || {
            let appended = append()?;
            groups.set(appended.groups);
            Ok::<_, Error>(appended.took)
        },
    )?;
    compare::same_number(&reference, &ours, "events")?;
    let per_group = events as f64 / groups.get() as f64;
    report(
        &format!(
            "durable append of {events} events by {} writers, {per_group:.1} a group, beside SQLite's own group commit",
            append::WRITERS
        ),
        &measured,
    );
    Ok(())
}

/// Builds an example component, as `laterna build` does.
fn component(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the host is a folder of the repository");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("components");
    let build = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--release", "--bin", "laterna", "--", "build", "--out"])
        .arg(&out)
        .arg(root.join("projections").join(name))
        .current_dir(root)
        .output()
        .expect("cargo runs");
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    out.join(format!("{name}.wasm"))
}

fn report(what: &str, measured: &[Round]) {
    let ratio = Ratio::of(measured).expect("there are rounds");
    println!("\n{what}: {ratio}");
    for Round { reference, laterna } in measured {
        println!("  reference {reference:>9.2?}   laterna {laterna:>9.2?}");
    }
}
