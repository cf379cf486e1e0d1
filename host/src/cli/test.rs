//! `laterna test`

mod find;
mod junit;

use super::{Failure, show};
use crate::plugin::{Engine, Limits};
use crate::release;
use crate::scenario::{self, Failed, Options, Passed, Stage, Story, Trial, story, trial};
use find::Found;
use serde_json::{Value, json};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Run the scenarios of components, without a host
#[derive(clap::Args)]
pub struct Test {
    /// Components, as folders of crates, which are built first, or as .wasm files [default: all of projections/ that have a
    /// folder `scenarios`]
    paths: Vec<PathBuf>,
    /// Where the scenarios are, as folders or files, for one component [default: the folder `scenarios` in the crate, or beside
    /// the file]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    scenarios: Vec<PathBuf>,
    /// Only scenarios with this text in their sentence or in the name of their file
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Events in a batch: every scenario is run with each, and must come out the same
    #[arg(long, value_name = "SIZES", value_delimiter = ',', default_value = "1,7,1000")]
    batch_sizes: Vec<NonZeroUsize>,
    /// Orders that are run where a scenario has more of them: a random choice
    #[arg(long, default_value = "720")]
    orders: NonZeroUsize,
    /// What random choices follow from; a failure names it [default: by lot]
    #[arg(long)]
    seed: Option<u64>,
    /// Write the results to a file, as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
    /// Print the JSON Schema of scenarios, for editors, and nothing else
    #[arg(long)]
    schema: bool,
}

/// What came of the scenarios of one component.
struct Suite {
    component: String,
    cases: Vec<Case>,
}

/// What came of one scenario.
struct Case {
    /// Its sentence, or the name of its file where that is no scenario.
    name: String,
    file: PathBuf,
    trial: Trial,
}

impl Test {
    pub fn run(self) -> Result<(), Failure> {
        if self.schema {
            println!("{:#}", scenario::json_schema());
            return Ok(());
        }
        let options = Options {
            batch_sizes: self.batch_sizes.iter().map(|size| size.get()).collect(),
            orders: self.orders.get(),
            // Short enough to be typed again.
            seed: self.seed.unwrap_or_else(|| fastrand::u64(..1_000_000)),
        };
        let built = tempfile::tempdir()?;
        let engine = Engine::new(None).map_err(|error| format!("{error:#}"))?;
        let mut suites = Vec::new();
        for found in find::find(&self.paths, &self.scenarios, built.path())? {
            suites.push(self.run_suite(&engine, &found, &options)?);
        }
        self.report(&suites, options.seed)
    }

    fn run_suite(&self, engine: &Engine, found: &Found, options: &Options) -> Result<Suite, Failure> {
        let component = found.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let limits = Limits::default();
        let checked = release::read(&found.file, &limits)
            .and_then(|bytes| release::check(engine, &component, &bytes, &limits))
            .map_err(|error| format!("{} is refused ({}): {error}", found.file.display(), error.code()))?;
        let stage = Stage::new(checked.plugin)?;
        let mut cases = Vec::new();
        for file in &found.scenarios {
            let story = Story::read(file);
            if self.is_wanted(&story, file) {
                let case = case(&stage, story, file, options);
                if !self.json {
                    print(&component, &case);
                }
                cases.push(case);
            }
        }
        Ok(Suite { component, cases })
    }

    fn is_wanted(&self, story: &Result<Story, story::Error>, file: &Path) -> bool {
        self.only.as_ref().is_none_or(|text| {
            let in_file = file.file_name().is_some_and(|name| name.to_string_lossy().contains(text.as_str()));
            in_file || story.as_ref().is_ok_and(|story| story.name.contains(text.as_str()))
        })
    }

    /// Sums up what was not told yet.
    fn report(&self, suites: &[Suite], seed: u64) -> Result<(), Failure> {
        let cases = || suites.iter().flat_map(|suite| &suite.cases);
        if let Some(file) = &self.junit {
            junit::write(file, suites).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        let (all, failed) = (cases().count(), cases().filter(|case| case.trial.verdict.is_err()).count());
        if self.json {
            println!("{}", as_json(suites, seed, all - failed, failed));
        }
        if all == 0 {
            let only = self.only.as_ref().map(|text| format!(" with `{text}` in it")).unwrap_or_default();
            return Err(format!(
                "there is no scenario{only}: write one as `scenarios/<name>.yaml` beside the component; docs/scenarios.md says how"
            )
            .into());
        }
        if failed > 0 {
            return Err(format!("{failed} of {all} scenarios failed").into());
        }
        if !self.json {
            let random = cases().any(|case| case.trial.verdict.as_ref().is_ok_and(|passed| passed.random));
            let seed = if random { format!("; seed {seed}") } else { String::new() };
            println!("{all} scenarios passed{seed}");
        }
        Ok(())
    }
}

fn case(stage: &Stage, story: Result<Story, story::Error>, file: &Path, options: &Options) -> Case {
    match story {
        Ok(story) => {
            let trial = scenario::judge(stage, &story, options);
            Case { name: story.name, file: file.to_owned(), trial }
        }
        Err(error) => {
            let failed = Failed { kind: trial::Kind::Scenario, text: error.to_string() };
            let trial = Trial { took: Duration::ZERO, verdict: Err(failed) };
            let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
            Case { name, file: file.to_owned(), trial }
        }
    }
}

fn print(component: &str, Case { name, file, trial }: &Case) {
    let name = show::plain(name);
    match &trial.verdict {
        Ok(passed) => println!("ok    {component}: {name} ({})", tried(passed)),
        Err(Failed { text, .. }) => {
            println!("FAIL  {component}: {name}\n      in {}\n", file.display());
            for line in show::plain(text).lines() {
                println!("{}", format!("      {line}").trim_end());
            }
            println!();
        }
    }
}

/// What was tried of a scenario that holds.
fn tried(passed: &Passed) -> String {
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let mut tried = counted(passed.batch_sizes, "batch size");
    if passed.orders > 0 {
        let twice = if passed.duplicates { ", each with duplicates, too" } else { "" };
        tried = format!("{tried}, {}{twice}", counted(passed.orders, "order"));
    }
    tried
}

fn as_json(suites: &[Suite], seed: u64, passed: usize, failed: usize) -> Value {
    let case = |Case { name, file, trial }: &Case| {
        let seconds = trial.took.as_secs_f64();
        match &trial.verdict {
            Ok(tried) => json!({ "scenario": name, "file": file, "ok": true, "seconds": seconds, "tried": tried }),
            Err(Failed { kind, text }) => {
                json!({ "scenario": name, "file": file, "ok": false, "seconds": seconds, "kind": kind.name(), "failure": text })
            }
        }
    };
    let suite = |Suite { component, cases }: &Suite| json!({ "component": component, "scenarios": cases.iter().map(case).collect::<Vec<_>>() });
    let components: Vec<Value> = suites.iter().map(suite).collect();
    json!({ "passed": passed, "failed": failed, "seed": seed, "components": components })
}
