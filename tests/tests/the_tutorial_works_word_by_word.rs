//! `docs/tutorial.md`, as a newcomer follows it: each command is run, each file written, each change made, and what is shown is
//! what comes out.

use laterna_tests::{BREATH, PATIENCE, binary, root};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// A piece of the page that is to be followed.
#[derive(Debug)]
enum Step {
    /// In a terminal, a command and what it prints.
    Run(String, String, Vec<String>),
    /// A file is written.
    Write(PathBuf, String),
    /// Lines of a file are replaced by others.
    Change(PathBuf, String, String),
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if let Some(terminal) = info.strip_prefix("console") {
            for line in block {
                match (line.strip_prefix("$ "), steps.last_mut()) {
                    (Some(command), _) => steps.push(Step::Run(terminal.to_owned(), command.to_owned(), Vec::new())),
                    (None, Some(Step::Run(_, _, output))) => output.push(line.to_owned()),
                    (None, other) => panic!("`{line}` stands after {other:?}"),
                }
            }
        } else if info == "diff" {
            let file = block[0].strip_prefix("--- ").expect("a change says in which file");
            let side = |other: char| {
                let lines = block[1..].iter().filter(|line| !line.starts_with(other));
                lines.map(|line| format!("{}\n", &line[1..])).collect::<String>()
            };
            steps.push(Step::Change(file.into(), side('+'), side('-')));
        } else if let Some((_, file)) = info.split_once(" file=") {
            steps.push(Step::Write(file.into(), block.join("\n") + "\n"));
        }
    }
    steps
}

/// Somebody at a few terminals.
struct Newcomer {
    /// Where each terminal is opened.
    start: PathBuf,
    /// Where each terminal is by now.
    terminals: BTreeMap<String, PathBuf>,
    path: String,
    /// What runs in other terminals.
    others: Vec<Child>,
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        for other in &mut self.others {
            let _ = other.kill();
            let _ = other.wait();
        }
    }
}

impl Newcomer {
    /// Where a terminal is; the first one's name is empty.
    fn here(&self, terminal: &str) -> &Path {
        self.terminals.get(terminal).unwrap_or(&self.start)
    }

    fn shell(&self, terminal: &str, command: &str) -> Command {
        let mut shell = Command::new("bash");
        shell.args(["-c", command]).current_dir(self.here(terminal)).env("PATH", &self.path).stdin(Stdio::null());
        // Another host may serve on the usual port.
        shell.env("LATERNA_LISTEN", "127.0.0.1:0").env_remove("CARGO_TARGET_DIR");
        shell
    }

    fn follow(&mut self, step: Step) {
        match step {
            Step::Write(file, content) => std::fs::write(self.here("").join(file), content).expect("it can be written"),
            Step::Change(file, old, new) => {
                let file = self.here("").join(file);
                let content = std::fs::read_to_string(&file).expect("it is there");
                assert_eq!(content.matches(&old).count(), 1, "{old} must stand in {}:\n{content}", file.display());
                std::fs::write(&file, content.replace(&old, &new)).expect("it can be written");
            }
            Step::Run(terminal, command, output) => {
                let goes_on = command.starts_with("laterna serve") || command.contains("--watch");
                if goes_on { self.start(&terminal, &command, &output) } else { self.run(&terminal, &command, &output) }
            }
        }
    }

    fn run(&mut self, terminal: &str, command: &str, expected: &[String]) {
        let begun = Instant::now();
        loop {
            let output =
                self.shell(terminal, &format!("{command} 2>&1 && pwd > \"$HERE\"")).env("HERE", self.note()).output();
            let output = output.expect("bash runs");
            let text = String::from_utf8_lossy(&output.stdout);
            if is_as_told(&text, expected) {
                break;
            }
            // A save is a release a little later.
            let may_take_a_moment = command.starts_with("laterna query") && begun.elapsed() < PATIENCE;
            assert!(may_take_a_moment, "$ {command}\n{text}\nexpected:\n{}", expected.join("\n"));
            std::thread::sleep(BREATH);
        }
        if let Ok(here) = std::fs::read_to_string(self.note()) {
            self.terminals.insert(terminal.to_owned(), here.trim().into());
        }
        if command.starts_with("laterna new") {
            // The versions that everything else here is tested with.
            let name = command.split(' ').next_back().expect("a name");
            std::fs::copy(root().join("Cargo.lock"), self.here(terminal).join(name).join("Cargo.lock"))
                .expect("a file");
        }
    }

    /// Starts what goes on in another terminal, and waits until it says what it should.
    fn start(&mut self, terminal: &str, command: &str, expected: &[String]) {
        let mut other =
            self.shell(terminal, &format!("exec {command}")).stdout(Stdio::piped()).spawn().expect("bash runs");
        let mut lines = BufReader::new(other.stdout.take().expect("it is piped")).lines();
        for expected in expected {
            let line = lines.next().expect("it goes on").expect("text");
            assert!(is_as_told(&line, std::slice::from_ref(expected)), "$ {command}\n{line}\nexpected:\n{expected}");
        }
        // It must not be stopped by nobody listening.
        std::thread::spawn(move || lines.for_each(drop));
        self.others.push(other);
    }

    /// Where a command leaves word of the folder that it ended in.
    fn note(&self) -> PathBuf {
        self.start.join("here")
    }
}

/// Whether what was printed is what the page shows, but for times, ports, what is built first, and space at the end of a line.
fn is_as_told(printed: &str, told: &[String]) -> bool {
    let plain = |line: &str| {
        let words = line.trim_end().split(' ').map(|word| match word.parse::<f64>() {
            Ok(_) if word.contains('.') && line.ends_with(" s") => "N",
            _ if word.starts_with("http://127.0.0.1:") => "http://127.0.0.1:N",
            _ => word,
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let told: Vec<String> = told.iter().map(|line| plain(line)).filter(|line| !line.is_empty()).collect();
    let noise = |line: &str| line.is_empty() || line.starts_with("building ");
    let printed: Vec<String> = printed.lines().map(plain).filter(|line| !noise(line)).collect();
    told.is_empty() || told == printed
}

#[test]
fn from_an_empty_folder_to_a_hot_swap() {
    let page = std::fs::read_to_string(root().join("docs/tutorial.md")).expect("the page");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let start = folder.path().canonicalize().expect("it is there");
    let path = std::env::var("PATH").expect("a path");
    let path = format!("{}:{path}", binary().parent().map(Path::display).expect("a folder"));
    let mut newcomer = Newcomer { start, terminals: BTreeMap::new(), path, others: Vec::new() };
    for step in steps(&page) {
        newcomer.follow(step);
    }
}

/// What the page quotes of the code is what the code says.
#[test]
fn what_is_quoted_is_there() {
    let page = std::fs::read_to_string(root().join("docs/tutorial.md")).expect("the page");
    let code = std::fs::read_to_string(root().join("host/templates/projection/src/lib.rs")).expect("the template");
    let lines: Vec<&str> = code.lines().map(str::trim).collect();
    let mut quoted = 0;
    for block in page.split("```rust\n").skip(1) {
        let block = block.split("```").next().expect("it ends").trim_end();
        let block: Vec<&str> = block.lines().map(str::trim).collect();
        assert!(lines.windows(block.len()).any(|window| window == block), "not in the template:\n{}", block.join("\n"));
        quoted += 1;
    }
    assert_eq!(quoted, 3);
}
