//! What Rust's standard library pulls in for `wasm32-wasip2`, and nothing more: the environment and the arguments are empty, input
//! is closed, the seed is fixed, and what is written to standard error is kept for the report of a panic.

use super::call::{Call, Stopped};
use super::fuel::{charge, offer};
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower, Resource, ResourceType, WasmList};

const OFFERED: &[&str] = &[
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:random/insecure-seed",
];

/// Bytes of standard error that are kept: the last ones, where a panic's message stands.
const STDERR_BYTES: usize = 4 << 10;

/// How much may be written at once.
const WRITE_BYTES: u64 = 4 << 10;

/// The streams that there are.
const STDOUT: u32 = 1;
const STDERR: u32 = 2;

struct Failure;
struct Pollable;
struct InputStream;
struct OutputStream;
struct TerminalInput;
struct TerminalOutput;

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    #[allow(dead_code)]
    LastOperationFailed(Resource<Failure>),
    #[component(name = "closed")]
    Closed,
}

/// The end of what a component wrote to standard error.
#[derive(Default)]
pub(super) struct Stderr(Vec<u8>);

impl Stderr {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        let surplus = self.0.len().saturating_sub(STDERR_BYTES);
        self.0.drain(..surplus);
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).trim().to_owned()
    }
}

/// Whether an import is part of the subset, in any 0.2 version.
pub(super) fn offers(import: &str) -> bool {
    import.split_once("@0.2.").is_some_and(|(name, _)| OFFERED.contains(&name))
}

pub(super) fn define(linker: &mut Linker<Call>) -> Result<(), wasmtime::Error> {
    define_io(linker)?;
    define_cli(linker)?;
    let mut seed = linker.instance("wasi:random/insecure-seed@0.2.6")?;
    offer(&mut seed, "insecure-seed", |_, ()| Ok(((0x6c61_7465_726e_6121_u64, 0x6d61_6769_6361_2121_u64),)))
}

type Store<'a> = StoreContextMut<'a, Call>;
type StreamResult<T> = Result<(Result<T, StreamError>,), wasmtime::Error>;

fn define_io(linker: &mut Linker<Call>) -> Result<(), wasmtime::Error> {
    let mut error = linker.instance("wasi:io/error@0.2.6")?;
    error.resource("error", ResourceType::host::<Failure>(), |_, _| Ok(()))?;
    offer(&mut error, "[method]error.to-debug-string", |_, (_,): (Resource<Failure>,)| Ok((String::new(),)))?;

    // Nothing here ever blocks, so everything is always ready.
    let mut poll = linker.instance("wasi:io/poll@0.2.6")?;
    poll.resource("pollable", ResourceType::host::<Pollable>(), |_, _| Ok(()))?;
    offer(&mut poll, "[method]pollable.ready", |_, (_,): (Resource<Pollable>,)| Ok((true,)))?;
    offer(&mut poll, "[method]pollable.block", |_, (_,): (Resource<Pollable>,)| Ok(()))?;
    offer(&mut poll, "poll", |mut store: Store<'_>, (all,): (Vec<Resource<Pollable>>,)| {
        charge(&mut store, all.len() as u64)?;
        Ok(((0..all.len() as u32).collect::<Vec<_>>(),))
    })?;

    let mut streams = linker.instance("wasi:io/streams@0.2.6")?;
    streams.resource("input-stream", ResourceType::host::<InputStream>(), |_, _| Ok(()))?;
    streams.resource("output-stream", ResourceType::host::<OutputStream>(), |_, _| Ok(()))?;
    for read in ["[method]input-stream.read", "[method]input-stream.blocking-read"] {
        offer(&mut streams, read, |_, (_, _): (Resource<InputStream>, u64)| -> StreamResult<Vec<u8>> {
            Ok((Err(StreamError::Closed),))
        })?;
    }
    offer(&mut streams, "[method]input-stream.subscribe", |_, (_,): (Resource<InputStream>,)| {
        Ok((Resource::<Pollable>::new_own(0),))
    })?;
    offer(&mut streams, "[method]output-stream.subscribe", |_, (_,): (Resource<OutputStream>,)| {
        Ok((Resource::<Pollable>::new_own(0),))
    })?;
    offer(
        &mut streams,
        "[method]output-stream.check-write",
        |_, (_,): (Resource<OutputStream>,)| -> StreamResult<u64> { Ok((Ok(WRITE_BYTES),)) },
    )?;
    for flush in ["[method]output-stream.flush", "[method]output-stream.blocking-flush"] {
        offer(&mut streams, flush, |_, (_,): (Resource<OutputStream>,)| -> StreamResult<()> { Ok((Ok(()),)) })?;
    }
    for write in ["[method]output-stream.write", "[method]output-stream.blocking-write-and-flush"] {
        offer(
            &mut streams,
            write,
            |mut store: Store<'_>, (stream, bytes): (Resource<OutputStream>, WasmList<u8>)| -> StreamResult<()> {
                charge(&mut store, bytes.len() as u64)?;
                if stream.rep() == STDERR {
                    let bytes = bytes.as_le_slice(&store);
                    let end = bytes[bytes.len().saturating_sub(STDERR_BYTES)..].to_vec();
                    store.data_mut().stderr.write(&end);
                }
                Ok((Ok(()),))
            },
        )?;
    }
    Ok(())
}

fn define_cli(linker: &mut Linker<Call>) -> Result<(), wasmtime::Error> {
    let mut environment = linker.instance("wasi:cli/environment@0.2.6")?;
    offer(&mut environment, "get-environment", |_, ()| Ok((Vec::<(String, String)>::new(),)))?;
    offer(&mut environment, "get-arguments", |_, ()| Ok((Vec::<String>::new(),)))?;
    offer(&mut environment, "initial-cwd", |_, ()| Ok((None::<String>,)))?;

    let mut exit = linker.instance("wasi:cli/exit@0.2.6")?;
    offer(&mut exit, "exit", |_, (_,): (Result<(), ()>,)| -> Result<(), wasmtime::Error> {
        Err(Stopped::Forbidden("it called `exit`".to_owned()).into())
    })?;

    let mut stdin = linker.instance("wasi:cli/stdin@0.2.6")?;
    offer(&mut stdin, "get-stdin", |_, ()| Ok((Resource::<InputStream>::new_own(0),)))?;
    let mut stdout = linker.instance("wasi:cli/stdout@0.2.6")?;
    offer(&mut stdout, "get-stdout", |_, ()| Ok((Resource::<OutputStream>::new_own(STDOUT),)))?;
    let mut stderr = linker.instance("wasi:cli/stderr@0.2.6")?;
    offer(&mut stderr, "get-stderr", |_, ()| Ok((Resource::<OutputStream>::new_own(STDERR),)))?;

    let mut input = linker.instance("wasi:cli/terminal-input@0.2.6")?;
    input.resource("terminal-input", ResourceType::host::<TerminalInput>(), |_, _| Ok(()))?;
    let mut output = linker.instance("wasi:cli/terminal-output@0.2.6")?;
    output.resource("terminal-output", ResourceType::host::<TerminalOutput>(), |_, _| Ok(()))?;
    let mut stdin = linker.instance("wasi:cli/terminal-stdin@0.2.6")?;
    offer(&mut stdin, "get-terminal-stdin", |_, ()| Ok((None::<Resource<TerminalInput>>,)))?;
    let mut stdout = linker.instance("wasi:cli/terminal-stdout@0.2.6")?;
    offer(&mut stdout, "get-terminal-stdout", |_, ()| Ok((None::<Resource<TerminalOutput>>,)))?;
    let mut stderr = linker.instance("wasi:cli/terminal-stderr@0.2.6")?;
    offer(&mut stderr, "get-terminal-stderr", |_, ()| Ok((None::<Resource<TerminalOutput>>,)))
}
