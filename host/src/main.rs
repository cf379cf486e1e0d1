//! The `laterna` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    laterna::cli::run()
}
