//! WASI's standard error, without Rust's standard library in between, which writes in small pieces.

#[link(wasm_import_module = "wasi:cli/stderr@0.2.6")]
unsafe extern "C" {
    #[link_name = "get-stderr"]
    fn get_stderr() -> u32;
}

#[link(wasm_import_module = "wasi:io/streams@0.2.6")]
unsafe extern "C" {
    #[link_name = "[method]output-stream.blocking-write-and-flush"]
    fn blocking_write_and_flush(stream: u32, bytes: *const u8, len: usize, result: *mut Outcome);
}

/// A `result<_, stream-error>` in memory.
#[repr(C, align(4))]
struct Outcome([u8; 12]);

/// A handle of standard error, which is never given back.
pub fn stderr() -> u32 {
    // SAFETY: it takes nothing and answers a number.
    unsafe { get_stderr() }
}

/// Writes all of this in one call.
pub fn write(stream: u32, bytes: &[u8]) {
    let mut outcome = Outcome([0; 12]);
    // SAFETY: the bytes are ours and stay where they are, and the outcome has its place.
    unsafe { blocking_write_and_flush(stream, bytes.as_ptr(), bytes.len(), &raw mut outcome) }
}
