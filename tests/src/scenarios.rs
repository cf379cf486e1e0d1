//! Scenarios beside a component in a folder of its own, run by `laterna test`.

use crate::{component, laterna};
use std::path::PathBuf;
use std::process::Output;
use tempfile::TempDir;

/// A component's file in a folder of its own, with a scenario beside it.
pub struct Beside {
    folder: TempDir,
    /// The component's file.
    pub component: PathBuf,
}

impl Beside {
    /// A component of this name with these bytes.
    pub fn new(name: &str, bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let component = folder.path().join(format!("{name}.wasm"));
        std::fs::write(&component, bytes).expect("the component is written");
        std::fs::create_dir(folder.path().join("scenarios")).expect("a folder");
        Self { folder, component }
    }

    /// One of `projections/`.
    pub fn of_example(name: &str) -> Self {
        Self::new(name, &std::fs::read(component(name)).expect("it was built"))
    }

    /// Writes a scenario beside it.
    pub fn tell(&self, file: &str, scenario: &str) -> &Self {
        std::fs::write(self.scenario(file), scenario).expect("the scenario is written");
        self
    }

    /// Where a scenario is.
    pub fn scenario(&self, file: &str) -> PathBuf {
        self.folder.path().join("scenarios").join(file)
    }

    /// A file beside the component.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Runs its scenarios.
    pub fn test(&self, flags: &[&str]) -> Output {
        laterna(["test".as_ref(), self.component.as_os_str()].into_iter().chain(flags.iter().map(AsRef::as_ref)))
    }

    /// All of them pass; answers what is said.
    #[track_caller]
    pub fn passes(&self, flags: &[&str]) -> String {
        let output = self.test(flags);
        let text = String::from_utf8(output.stdout.clone()).expect("text");
        assert!(output.status.success(), "{text}\n{output:?}");
        text
    }

    /// Fails with exit code 1, in a text that holds all of these words and is readable on a terminal.
    #[track_caller]
    pub fn fails(&self, flags: &[&str], words: &[&str]) -> String {
        let output = self.test(flags);
        let text = String::from_utf8(output.stdout.clone()).expect("text");
        assert_eq!(output.status.code(), Some(1), "{text}\n{output:?}");
        for word in words {
            assert!(text.contains(word), "no `{word}` in:\n{text}");
        }
        text
    }

    /// Fails where this is the only scenario.
    #[track_caller]
    pub fn fails_so(&self, scenario: &str, words: &[&str]) -> String {
        let file = self.scenario("only.yaml");
        self.tell("only.yaml", scenario).fails(&["--scenarios", file.to_str().expect("text")], words)
    }
}

/// A scenario: its first lines, the items of `given`, and the lines of `then`.
#[must_use]
pub fn story(head: &str, given: &[&str], then: &str) -> String {
    let given: String = given.iter().map(|event| format!("  - {event}\n")).collect();
    format!("scenario: A story\n{head}\ngiven:\n{given}then:\n{then}\n")
}
