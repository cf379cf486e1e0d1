//! `laterna test`

mod find;
mod junit;

use super::{Failure, show};
use crate::plugin::{Engine, Limits, Loaded};
use crate::release::{self, Checked};
use crate::scenario::{self, Failed, Kind, Options, Passed, Stage, Story, Trial, story};
use find::Found;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Run the scenarios of components, without a host
#[derive(clap::Args)]
pub struct Test {
    /// Components, as folders of crates, which are built first, or as .wasm files [default: the crate here, or all
    /// of projections/ that have a folder `scenarios`]
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

impl Case {
    /// One that could not be tried.
    fn failed(name: String, file: &Path, kind: Kind, text: String) -> Self {
        let trial = Trial { took: Duration::ZERO, verdict: Err(Failed { kind, text }) };
        Self { name, file: file.to_owned(), trial }
    }
}

impl Test {
    pub fn run(self) -> Result<(), Failure> {
        if self.schema {
            return say(&format!("{:#}\n", scenario::json_schema()));
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
        let mut cases = Vec::new();
        let checked =
            release::read(&found.file, &limits).and_then(|bytes| release::check(engine, &component, &bytes, &limits));
        let checked = checked.and_then(Checked::projection);
        let plugin = match checked {
            Ok(plugin) => plugin,
            Err(error) => {
                let text = format!("it is refused ({}): {error}", error.code());
                cases.push(Case::failed("It can be deployed".to_owned(), &found.source, Kind::Component, text));
                self.tell(&component, &cases)?;
                return Ok(Suite { component, cases });
            }
        };
        let stories: Vec<_> = found.scenarios.iter().map(|file| (file, Story::read(file))).collect();
        let named = stories.iter().filter_map(|(_, story)| story.as_ref().ok()).flat_map(|story| &story.upcasters);
        let mut upcasters = BTreeMap::new();
        for name in named.collect::<BTreeSet<_>>() {
            // Where there is none, each story that names it says so.
            let Some(file) = found.beside(name)? else { continue };
            match Loaded::load(engine, &release::read(&file, &limits)?, &limits)? {
                Loaded::Upcaster(upcaster) => drop(upcasters.insert(name.clone(), upcaster)),
                other @ Loaded::Plugin(_) => {
                    return Err(format!("`{name}` is a {}, and no upcaster", other.kind()).into());
                }
            }
        }
        let stage = Stage::new(plugin, upcasters)?;
        for (file, story) in stories {
            if self.is_wanted(&story, file) {
                cases.push(case(&stage, story, file, options));
                self.tell(&component, &cases)?;
            }
        }
        Ok(Suite { component, cases })
    }

    /// Tells people of the last case, as soon as it is known.
    fn tell(&self, component: &str, cases: &[Case]) -> Result<(), Failure> {
        cases.last().filter(|_| !self.json).map_or(Ok(()), |case| say(&told(component, case)))
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
            say(&format!("{}\n", as_json(suites, seed, all - failed, failed)))?;
        }
        if all == 0 {
            let only = self.only.as_ref().map(|text| format!(" with `{text}` in it")).unwrap_or_default();
            return Err(format!(
                "there is no scenario{only}: write one as `scenarios/<name>.yaml` beside the component; docs/scenarios.md says how"
            )
            .into());
        }
        let random = cases().any(|case| case.trial.verdict.as_ref().is_ok_and(|passed| passed.random));
        let seed = if random { format!("; seed {seed}") } else { String::new() };
        if failed > 0 {
            return Err(format!("{failed} of {all} scenarios failed{seed}").into());
        }
        if !self.json {
            say(&format!("{} passed{seed}\n", counted(all, "scenario")))?;
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
            let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
            Case::failed(name, file, Kind::Scenario, error.to_string())
        }
    }
}

/// Writes to standard output. Whoever reads it may have enough of it, which is told by an error, as of everything else.
fn say(text: &str) -> Result<(), Failure> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// A case as people read it.
fn told(component: &str, Case { name, file, trial }: &Case) -> String {
    let name = show::plain(name);
    match &trial.verdict {
        Ok(passed) => format!("ok    {component}: {name} ({})\n", tried(passed)),
        Err(Failed { text, .. }) => {
            let lines = show::plain(text);
            let lines = lines.lines().map(|line| format!("      {line}").trim_end().to_owned() + "\n");
            format!("FAIL  {component}: {name}\n      in {}\n\n{}\n", file.display(), lines.collect::<String>())
        }
    }
}

/// What was tried of a scenario that holds.
fn tried(passed: &Passed) -> String {
    let mut tried = counted(passed.batch_sizes, "batch size");
    if passed.orders > 0 {
        let twice = if passed.duplicates { ", each with duplicates, too" } else { "" };
        tried = format!("{tried}, {}{twice}", counted(passed.orders, "order"));
    }
    tried
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
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
