//! The command line: one file for each subcommand.
//!
//! Commands that talk to a host do so over HTTP, whether the host runs elsewhere (`--url`), on this data directory, or not at
//! all: then `connect` opens the directory for as long as the command takes.

mod abort;
mod append;
mod bench;
mod build;
mod check;
mod connect;
mod demo;
mod deploy;
mod destination;
mod diff;
mod import;
mod instances;
mod new;
mod parked;
mod pause;
mod plan;
mod promote;
mod query;
mod rebuild;
mod remove;
mod replay;
mod resume;
mod rollback;
mod serve;
mod show;
mod snapshot;
mod status;
mod swap;
mod tail;
mod test;
mod timers;
mod token;
mod verify;
mod watch;

use clap::{Args, Parser, Subcommand};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{ErrorKind, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// A projection host: an append-only event log, SQLite read stores, and projections as sandboxed WebAssembly components.
#[derive(Parser)]
#[command(name = "laterna", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Serve),
    Demo(demo::Demo),
    New(new::New),
    Build(build::Build),
    Check(check::Check),
    Test(test::Test),
    Status(status::Status),
    Plan(plan::Plan),
    Deploy(deploy::Deploy),
    Diff(diff::Diff),
    Promote(promote::Promote),
    Abort(abort::Abort),
    Rebuild(rebuild::Rebuild),
    Verify(verify::Verify),
    Rollback(rollback::Rollback),
    Pause(pause::Pause),
    Resume(resume::Resume),
    Remove(remove::Remove),
    Append(append::Append),
    Tail(tail::Tail),
    Query(query::Query),
    Snapshot(snapshot::Snapshot),
    Import(import::Import),
    Parked(parked::Parked),
    Instances(instances::Instances),
    Timers(timers::Timers),
    Token(token::Token),
    Bench(bench::Bench),
}

/// Which host a command talks to, and how it answers.
#[derive(Args)]
struct Host {
    /// The data directory of the host [env: LATERNA_DATA] [default: data]
    #[arg(long, conflicts_with = "url")]
    data: Option<PathBuf>,
    /// The address of a running host, such as http://127.0.0.1:7070 [env: LATERNA_URL]
    #[arg(long)]
    url: Option<String>,
    /// The token to show; who names the data directory needs none [env, with --url: LATERNA_TOKEN]
    #[arg(long)]
    token: Option<String>,
    /// Ask from inside this module, with --data: who can read the data directory may
    #[arg(long, value_name = "MODULE", conflicts_with_all = ["url", "token"])]
    inside: Option<String>,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

impl Host {
    /// The address, where that is what is meant: what is said with the command counts before what the environment says.
    fn url(&self) -> Option<String> {
        let elsewhere = || std::env::var("LATERNA_URL").ok().filter(|url| !url.is_empty() && self.data.is_none());
        self.url.clone().or_else(elsewhere)
    }

    /// The data directory.
    fn data(&self) -> PathBuf {
        let environment = || std::env::var_os("LATERNA_DATA").map(PathBuf::from);
        self.data.clone().or_else(environment).unwrap_or_else(|| "data".into())
    }
}

/// Says a line on standard output. Fails where nobody reads it any more.
macro_rules! say {
    ($($said:tt)*) => {
        std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($said)*)))?
    };
}
use say;

/// Fails where nobody reads standard output any more, for a command that waits with nothing to say: only writing would tell it.
fn check_reader() -> Result<(), Failure> {
    let out = std::io::stdout();
    let mut looked = PollFd::new(&out, PollFlags::empty());
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(std::slice::from_mut(&mut looked), Some(&now))?;
    if looked.revents().intersects(PollFlags::ERR | PollFlags::HUP) {
        return Err(std::io::Error::from(ErrorKind::BrokenPipe).into());
    }
    Ok(())
}

/// What a command ends with when it cannot do its work: a line for people, with what to do next.
type Failure = Box<dyn std::error::Error>;

/// Runs the command line; answers the exit code: 0 done, 1 failed, 2 misuse.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let level = match cli.command {
        Command::Serve(_) => "info",
        // Whether there is an access log, the settings say.
        Command::Demo(_) => "warn,laterna::access=info",
        _ => "warn",
    };
    // A watched folder that goes away is told in our own words.
    let level = format!("{level},notify=error");
    let filter = EnvFilter::try_from_env("LATERNA_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
    let outcome = match cli.command {
        Command::Serve(command) => command.run(),
        Command::Demo(command) => command.run(),
        Command::New(command) => command.run(),
        Command::Build(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Test(command) => command.run(),
        Command::Status(command) => command.run(),
        Command::Plan(command) => command.run(),
        Command::Deploy(command) => command.run(),
        Command::Diff(command) => command.run(),
        Command::Promote(command) => command.run(),
        Command::Abort(command) => command.run(),
        Command::Rebuild(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::Rollback(command) => command.run(),
        Command::Pause(command) => command.run(),
        Command::Resume(command) => command.run(),
        Command::Remove(command) => command.run(),
        Command::Append(command) => command.run(),
        Command::Tail(command) => command.run(),
        Command::Query(command) => command.run(),
        Command::Snapshot(command) => command.run(),
        Command::Import(command) => command.run(),
        Command::Parked(command) => command.run(),
        Command::Instances(command) => command.run(),
        Command::Timers(command) => command.run(),
        Command::Token(command) => command.run(),
        Command::Bench(command) => command.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if is_closed_pipe(&*failure) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Whoever read our output has enough, as `head` does.
fn is_closed_pipe(failure: &(dyn std::error::Error + 'static)) -> bool {
    let io = failure.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
