//! The `laterna` binary.
fn main() {}
