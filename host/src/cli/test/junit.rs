//! Results as JUnit XML, which build servers read.

use super::{Case, Suite};
use crate::cli::{Failure, show};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// Writes a suite for each component, with a case for each scenario.
pub fn write(file: &Path, suites: &[Suite]) -> Result<(), Failure> {
    let mut report = Report::new("laterna test");
    report.set_time(suites.iter().map(took).sum());
    report.add_test_suites(suites.iter().map(suite));
    Ok(report.serialize(File::create(file)?)?)
}

fn suite(told: &Suite) -> TestSuite {
    let mut suite = TestSuite::new(told.component.as_str());
    suite.set_time(took(told));
    suite.add_test_cases(told.cases.iter().map(|case| test_case(&told.component, case)));
    suite
}

fn test_case(component: &str, Case { name, file, trial }: &Case) -> TestCase {
    let status = match &trial.verdict {
        Ok(_) => TestCaseStatus::success(),
        Err(failed) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let text = show::plain(&failed.text);
            status.set_type(failed.kind.name()).set_message(text.lines().next().unwrap_or_default());
            status.set_description(format!("in {}\n\n{text}", file.display()));
            status
        }
    };
    let mut case = TestCase::new(name.as_str(), status);
    case.set_classname(component).set_time(trial.took);
    case
}

fn took(suite: &Suite) -> Duration {
    suite.cases.iter().map(|case| case.trial.took).sum()
}
