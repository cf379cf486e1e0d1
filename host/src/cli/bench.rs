//! `laterna bench`

use super::{Failure, build};
use crate::bench::suite::{self, Appends, Components, Measured, Rebuilds};
use serde::Serialize;
use std::path::{Path, PathBuf};
use tokio::runtime::Runtime;

/// The components of the standard workload, in the repository.
const TABLES: &str = "projections/orders";
const PLAIN_SQL: &str = "projections/orders-sql";

/// Appends wait for the disk, so fewer events do.
const APPENDED_PART: usize = 10;

/// Measure this machine: rebuilds beside a hand-written native loop, durable appends beside SQLite's own group commit
#[derive(clap::Args)]
pub struct Bench {
    /// Events of the workload `orders`; a tenth of them is appended
    #[arg(long, env = "LATERNA_BENCH_EVENTS", default_value_t = 200_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(10..))]
    events: usize,
    /// How often each arm has its turn
    #[arg(long, env = "LATERNA_BENCH_ROUNDS", default_value_t = 5, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000))]
    rounds: usize,
    /// Measure only this
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Where `orders.wasm` and `orders-sql.wasm` lie; by default they are built from `projections/`
    #[arg(long, value_name = "DIR")]
    components: Option<PathBuf>,
    /// Where the databases are made; removed in the end
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    scratch: PathBuf,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Rebuild,
    Append,
}

/// What was measured.
#[derive(Serialize)]
struct Report {
    rounds: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    rebuild: Option<Rebuilds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    append: Option<Appends>,
}

impl Bench {
    pub fn run(self) -> Result<(), Failure> {
        let runtime = Runtime::new()?;
        let scratch = self.scratch.join(std::process::id().to_string());
        std::fs::create_dir_all(&scratch)?;
        let report = self.measure(&runtime, &scratch);
        std::fs::remove_dir_all(&scratch)?;
        let report = report?;
        if self.json {
            println!("{}", serde_json::to_string(&report)?);
        } else {
            print(&report);
        }
        Ok(())
    }

    fn measure(&self, runtime: &Runtime, scratch: &Path) -> Result<Report, Failure> {
        let wants = |part| self.only.is_none_or(|only| only == part);
        let says = |what: &str| {
            if !self.json {
                eprintln!("{what} …");
            }
        };
        let mut report = Report { rounds: self.rounds, rebuild: None, append: None };
        if wants(Part::Rebuild) {
            let components = self.components()?;
            says(&format!("rebuilding {} events, {} rounds of three arms", self.events, self.rounds));
            report.rebuild = Some(suite::rebuilds(scratch, runtime, &components, self.events, self.rounds)?);
        }
        if wants(Part::Append) {
            let events = self.events.div_ceil(APPENDED_PART);
            says(&format!("appending {events} events, {} rounds of two arms", self.rounds));
            report.append = Some(suite::appends(scratch, runtime, events, self.rounds)?);
        }
        Ok(report)
    }

    fn components(&self) -> Result<Components, Failure> {
        if let Some(folder) = &self.components {
            return in_folder(folder);
        }
        if !Path::new(TABLES).is_dir() {
            let what =
                format!("{TABLES} is not here: run this in the root of Laterna's repository, or say --components DIR");
            return Err(what.into());
        }
        build::build(&[TABLES.into(), PLAIN_SQL.into()], Path::new("target/components"), None)?;
        in_folder(Path::new("target/components"))
    }
}

fn in_folder(folder: &Path) -> Result<Components, Failure> {
    let components = Components { tables: folder.join("orders.wasm"), plain_sql: folder.join("orders-sql.wasm") };
    for file in [&components.tables, &components.plain_sql] {
        if !file.is_file() {
            let (file, folder) = (file.display(), folder.display());
            return Err(format!("{file} is not there: laterna build {TABLES} {PLAIN_SQL} --out {folder}").into());
        }
    }
    Ok(components)
}

fn print(report: &Report) {
    println!(
        "Times as fast as the reference, median (worst to best) of {} rounds; only ratios of one run mean anything.",
        report.rounds
    );
    let line = |what: &str, measured: &Measured| {
        println!("\n{what}: {}", measured.ratio);
        for (seconds, reference) in measured.seconds.iter().zip(&measured.reference_seconds) {
            println!("  laterna {seconds:>8.3} s   reference {reference:>8.3} s");
        }
    };
    if let Some(rebuild) = &report.rebuild {
        let events = rebuild.events;
        line(&format!("rebuild of {events} events with typed tables, beside the native loop"), &rebuild.tables);
        line(&format!("rebuild of {events} events in plain SQL, beside the native loop"), &rebuild.plain_sql);
    }
    if let Some(append) = &report.append {
        let Appends { events, writers, events_per_group, durable } = append;
        let what = format!("durable append of {events} events by {writers} writers, {events_per_group:.1} a group");
        line(&format!("{what}, beside SQLite's own group commit"), durable);
    }
}
