//! The standard workload, as `laterna bench` measures it: `cargo bench --bench orders [-- --events N --rounds N …]`.
#![allow(clippy::expect_used)]

use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the host is a folder of the repository");
    // Cargo says `--bench` to every benchmark.
    let arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let bench = Command::new(env!("CARGO_BIN_EXE_laterna")).arg("bench").args(arguments).current_dir(root).status();
    if bench.expect("laterna runs").success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
