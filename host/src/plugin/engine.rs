//! WebAssembly as Laterna runs it.

use super::call::Call;
use super::{sql, wasi};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmtime::component::Linker;
use wasmtime::{Config, OptLevel};

/// What one component, and one call of it, may use. Recorded with a release, since verdicts follow from them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of a component's file.
    pub component_bytes: usize,
    /// Bytes of linear memory in an instance.
    pub memory_bytes: usize,
    /// Fuel of one call, whether it carries one event or ten thousand: about one unit for an instruction of WebAssembly;
    /// SQLite's steps, host calls and bytes are charged to it too.
    pub fuel: u64,
    /// Bytes that a query may answer, to the component from SQL, or by it to a person; and of the state of an instance.
    pub answer_bytes: usize,
    /// Instances of a process manager that one event may concern.
    pub reach: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            component_bytes: 64 << 20,
            memory_bytes: 64 << 20,
            fuel: 4_000_000_000,
            answer_bytes: 16 << 20,
            reach: 10_000,
        }
    }
}

/// The WebAssembly engine, shared by all components. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    engine: wasmtime::Engine,
    linker: Linker<Call>,
    cache: Option<PathBuf>,
}

impl Engine {
    /// An engine that keeps compiled code in the folder `cache`, if there is one.
    ///
    /// # Errors
    /// This machine cannot run WebAssembly.
    pub fn new(cache: Option<&Path>) -> Result<Self, wasmtime::Error> {
        let engine = wasmtime::Engine::new(&config())?;
        let mut linker = Linker::new(&engine);
        sql::define(&mut linker)?;
        wasi::define(&mut linker)?;
        Ok(Self { inner: Arc::new(Inner { engine, linker, cache: cache.map(Path::to_owned) }) })
    }

    /// Removes compiled code of other components than those with these digests.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn sweep_cache(&self, digests: &[&str]) -> std::io::Result<()> {
        super::cache::sweep(self, digests)
    }

    /// Removes compiled code of the component with this digest.
    pub fn forget(&self, digest: &str) {
        super::cache::forget(self, digest);
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner.engine
    }

    pub(super) fn linker(&self) -> &Linker<Call> {
        &self.inner.linker
    }

    pub(super) fn cache(&self) -> Option<&Path> {
        self.inner.cache.as_deref()
    }
}

/// Deterministic on every machine: one bit pattern for NaN, relaxed SIMD pinned down, no threads; what runs is counted, not
/// timed.
fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .consume_fuel(true)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(1 << 20);
    config
}
