//! `laterna bench`

use super::{Failure, build};
use crate::bench::suite::{self, Appends, Components, Measured, Processes, Reactions, Rebuilds};
use serde::Serialize;
use std::path::{Path, PathBuf};
use tokio::runtime::Runtime;

/// The components of the standard workload, in the repository.
const TABLES: &str = "projections/orders";
const PLAIN_SQL: &str = "projections/orders-sql";

/// Process managers, in the repository.
const LOYALTY: &str = "projections/loyalty";
const FESTIVAL_CLEANUP: &str = "projections/festival-cleanup";
const ORDER_PAYMENT: &str = "projections/order-payment";

const PROCESSES: [&str; 3] = [LOYALTY, FESTIVAL_CLEANUP, ORDER_PAYMENT];

/// Instances that reactions with many are measured beside.
const FEW: u64 = 1_000;

/// Reactions are measured with fewer events.
const REACTED_PART: usize = 10;

/// Appends wait for the disk, so fewer events do.
const APPENDED_PART: usize = 10;

/// Measure this machine: rebuilds beside a hand-written native loop, durable appends beside SQLite's own group commit, reactions of process
/// managers with many instances beside those with few
#[derive(clap::Args)]
pub struct Bench {
    /// Events of the workload `orders`; a tenth of them is appended
    #[arg(long, env = "LATERNA_BENCH_EVENTS", default_value_t = 200_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(10..))]
    events: usize,
    /// Instances of the process managers whose reactions are measured, beside those with a thousand
    #[arg(long, env = "LATERNA_BENCH_INSTANCES", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(FEW..))]
    instances: u64,
    /// How often each arm has its turn
    #[arg(long, env = "LATERNA_BENCH_ROUNDS", default_value_t = 5, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000))]
    rounds: usize,
    /// Measure only this
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Where the components lie that are measured, such as `orders.wasm`; by default they are built from `projections/`
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
    Reactions,
}

/// What was measured.
#[derive(Serialize)]
struct Report {
    rounds: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    rebuild: Option<Rebuilds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    append: Option<Appends>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reactions: Option<Reactions>,
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
        let mut report = Report { rounds: self.rounds, rebuild: None, append: None, reactions: None };
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
        if wants(Part::Reactions) {
            let processes = self.processes()?;
            let events = self.events.div_ceil(REACTED_PART);
            let many = self.instances;
            says(&format!(
                "reacting to {events} events with {FEW} and {many} instances, {} rounds of two arms, four times",
                self.rounds
            ));
            report.reactions = Some(suite::reactions(scratch, &processes, (FEW, many), events, self.rounds)?);
        }
        Ok(report)
    }

    fn processes(&self) -> Result<Processes, Failure> {
        let folder = match &self.components {
            Some(folder) => folder.clone(),
            None => {
                in_repository(LOYALTY)?;
                let crates = PROCESSES.map(PathBuf::from);
                build::build(&crates, Path::new("target/components"), None)?;
                "target/components".into()
            }
        };
        let processes = Processes {
            loyalty: folder.join("loyalty.wasm"),
            festival_cleanup: folder.join("festival-cleanup.wasm"),
            order_payment: folder.join("order-payment.wasm"),
        };
        for file in [&processes.loyalty, &processes.festival_cleanup, &processes.order_payment] {
            is_there(file, &folder, &PROCESSES)?;
        }
        Ok(processes)
    }

    fn components(&self) -> Result<Components, Failure> {
        if let Some(folder) = &self.components {
            return in_folder(folder);
        }
        in_repository(TABLES)?;
        build::build(&[TABLES.into(), PLAIN_SQL.into()], Path::new("target/components"), None)?;
        in_folder(Path::new("target/components"))
    }
}

fn in_folder(folder: &Path) -> Result<Components, Failure> {
    let components = Components { tables: folder.join("orders.wasm"), plain_sql: folder.join("orders-sql.wasm") };
    is_there(&components.tables, folder, &[TABLES, PLAIN_SQL])?;
    is_there(&components.plain_sql, folder, &[TABLES, PLAIN_SQL])?;
    Ok(components)
}

fn in_repository(folder: &str) -> Result<(), Failure> {
    if Path::new(folder).is_dir() {
        return Ok(());
    }
    Err(format!("{folder} is not here: run this in the root of Laterna's repository, or say --components DIR").into())
}

fn is_there(file: &Path, folder: &Path, crates: &[&str]) -> Result<(), Failure> {
    if file.is_file() {
        return Ok(());
    }
    let (file, folder) = (file.display(), folder.display());
    Err(format!("{file} is not there: laterna build {} --out {folder}", crates.join(" ")).into())
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
    if let Some(reactions) = &report.reactions {
        let Reactions { events, few, many, one_by_one, in_batches, associations, timers } = reactions;
        let what = format!("reactions to {events} events, one by one, with {many}");
        line(&format!("{what} instances, beside those with {few}"), one_by_one);
        line(&format!("the same in batches, with {many} instances, beside those with {few}"), in_batches);
        line(&format!("{what} names by which instances are found, beside those with {few}"), associations);
        line(&format!("{what} timers that wait, beside those with {few}"), timers);
    }
}
