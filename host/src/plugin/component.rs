//! From bytes to a component that can be run: [`Compiled`], then [`Linked`], then [`Loaded`].

use super::bindings::{ProcessManagerPre, ProjectionPre, UpcasterPre};
use super::call::{self, Call, CallError, in_a_line};
use super::engine::{Engine, Limits};
use super::manifest::{Manifest, UpcasterManifest};
use super::{cache, process, sql, wasi};
use wasmtime::component::Component;

/// Why a file is not a component that Laterna runs.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is larger than a component may be.
    #[error("the file has {bytes} bytes; a component may have {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// It is something else.
    #[error("the file is not WebAssembly")]
    NotWasm,
    /// It is a core module.
    #[error("the file is a core WebAssembly module, not a component: build it with `--target wasm32-wasip2`")]
    CoreModule,
    /// It is damaged, or uses what Laterna does not run.
    #[error("the component is not valid: {0}")]
    Invalid(String),
    /// It imports what it must not.
    #[error("the component imports what Laterna does not offer: {0}")]
    Imports(String),
    /// It is of another world.
    #[error(
        "the component is no projection, no process manager and no upcaster: it exports none of `{FOLD}`, `{PROCESS}` and `{UPCAST}`"
    )]
    Exports,
    /// It is an upcaster, where one is wanted that folds.
    #[error("the component is an upcaster: it has no store of its own")]
    NoStore,
    /// It has the right names with other types.
    #[error("the component was built against another version of the contract: {0}")]
    Contract(String),
    /// It does not say what it is.
    #[error("the component does not describe itself: {0}")]
    Describe(CallError),
    /// What it says of itself does not hold.
    #[error("the component's manifest is not in order: {0}")]
    Manifest(String),
}

/// What every projection exports.
const FOLD: &str = "laterna:plugin/fold@0.1.0";
/// What every process manager exports.
const PROCESS: &str = "laterna:plugin/process@0.1.0";
/// What every upcaster exports.
const UPCAST: &str = "laterna:plugin/upcast@0.1.0";

/// Valid WebAssembly, compiled.
pub struct Compiled {
    engine: Engine,
    limits: Limits,
    component: Component,
    digest: String,
}

/// A component of the right world that imports nothing else than it may.
pub struct Linked {
    engine: Engine,
    limits: Limits,
    pre: Pre,
    digest: String,
}

/// A component of one of the worlds, ready to be made an instance of.
enum Pre {
    Folding(Folding),
    Upcaster(UpcasterPre<Call>),
}

/// A component that folds into a store of its own, by its world, ready to be made an instance of.
#[derive(Clone)]
pub(super) enum Folding {
    Projection(ProjectionPre<Call>),
    Process(ProcessManagerPre<Call>),
}

/// A component that can be run, by its world.
#[derive(Clone)]
pub enum Loaded {
    /// Folds events into a store of its own: a projection or a process manager.
    Plugin(Plugin),
    /// Brings events of older versions further.
    Upcaster(Upcaster),
}

/// An upcaster that can be run.
#[derive(Clone)]
pub struct Upcaster {
    pub(super) engine: Engine,
    pub(super) limits: Limits,
    pub(super) pre: UpcasterPre<Call>,
    manifest: UpcasterManifest,
    digest: String,
}

/// A component that can be run, and folds events into a store of its own: a projection, or a process manager.
#[derive(Clone)]
pub struct Plugin {
    pub(super) engine: Engine,
    pub(super) limits: Limits,
    pub(super) pre: Folding,
    manifest: Manifest,
    digest: String,
}

impl Compiled {
    /// Compiles a component, or finds it compiled.
    ///
    /// # Errors
    /// It is too large, or not a valid component.
    pub fn new(engine: &Engine, bytes: &[u8], limits: &Limits) -> Result<Self, LoadError> {
        let limit = limits.component_bytes;
        if bytes.len() > limit {
            return Err(LoadError::TooLarge { bytes: bytes.len(), limit });
        }
        match bytes.get(..8) {
            Some(header) if header[..4] != *b"\0asm" => return Err(LoadError::NotWasm),
            Some(header) if header[4..] == [1, 0, 0, 0] => return Err(LoadError::CoreModule),
            Some(_) => {}
            None => return Err(LoadError::NotWasm),
        }
        let digest = blake3::hash(bytes).to_hex().to_string();
        let component = cache::compile(engine, bytes, &digest)
            .map_err(|error| LoadError::Invalid(in_a_line(&error.root_cause().to_string())))?;
        Ok(Self { engine: engine.clone(), limits: limits.clone(), component, digest })
    }

    /// Checks its imports and exports against the contract.
    ///
    /// # Errors
    /// The imports that it must not have, all of them; or what its exports lack.
    pub fn link(self) -> Result<Linked, LoadError> {
        let Self { engine, limits, component, digest } = self;
        let contract = component.component_type();
        let exports = |wanted| contract.exports(engine.wasmtime()).any(|(name, _)| name == wanted);
        let (is_projection, is_process, is_upcaster) = (exports(FOLD), exports(PROCESS), exports(UPCAST));
        // The others have no SQL.
        let has_store = is_projection || !(is_process || is_upcaster);
        let foreign: Vec<String> = contract
            .imports(engine.wasmtime())
            .map(|(name, _)| name.to_owned())
            .filter(|name| !(sql::offers(name) && (has_store || sql::is_types(name))) && !wasi::offers(name))
            .collect();
        if !foreign.is_empty() {
            return Err(LoadError::Imports(in_a_line(&foreign.join(", "))));
        }
        if !is_projection && !is_process && !is_upcaster {
            return Err(LoadError::Exports);
        }
        let mismatch = |error: wasmtime::Error| LoadError::Contract(in_a_line(&format!("{error:#}")));
        let pre = engine.linker().instantiate_pre(&component).map_err(mismatch)?;
        let pre = match (is_projection, is_process) {
            (true, _) => ProjectionPre::new(pre).map(Folding::Projection).map(Pre::Folding),
            (false, true) => ProcessManagerPre::new(pre).map(Folding::Process).map(Pre::Folding),
            (false, false) => UpcasterPre::new(pre).map(Pre::Upcaster),
        };
        Ok(Linked { engine, limits, pre: pre.map_err(mismatch)?, digest })
    }
}

impl Linked {
    /// Lets it say what it is, and checks that.
    ///
    /// # Errors
    /// It fails to, or what it says does not hold.
    pub fn describe(self) -> Result<Loaded, LoadError> {
        let Self { engine, limits, pre, digest } = self;
        let wrong = |error: String| LoadError::Manifest(in_a_line(&error));
        match pre {
            Pre::Folding(pre) => {
                let manifest = match &pre {
                    Folding::Projection(pre) => {
                        let described = call::describe(&engine, &limits, pre).map_err(LoadError::Describe)?;
                        Manifest::check(described)
                    }
                    Folding::Process(pre) => {
                        let described = process::describe(&engine, &limits, pre).map_err(LoadError::Describe)?;
                        Manifest::check_process(described)
                    }
                };
                let manifest = manifest.map_err(wrong)?;
                Ok(Loaded::Plugin(Plugin { engine, limits, pre, manifest, digest }))
            }
            Pre::Upcaster(pre) => {
                let described = call::describe_upcaster(&engine, &limits, &pre).map_err(LoadError::Describe)?;
                let manifest = UpcasterManifest::check(described).map_err(wrong)?;
                Ok(Loaded::Upcaster(Upcaster { engine, limits, pre, manifest, digest }))
            }
        }
    }
}

impl Loaded {
    /// All three steps. What it may use from now on is fixed with it.
    ///
    /// # Errors
    /// As of each step.
    pub fn load(engine: &Engine, bytes: &[u8], limits: &Limits) -> Result<Self, LoadError> {
        Compiled::new(engine, bytes, limits)?.link()?.describe()
    }

    /// What it is, in words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Plugin(plugin) if plugin.is_process() => "process manager",
            Self::Plugin(_) => "projection",
            Self::Upcaster(_) => "upcaster",
        }
    }

    /// What it calls itself.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Plugin(plugin) => &plugin.manifest.name,
            Self::Upcaster(upcaster) => &upcaster.manifest.name,
        }
    }

    /// The BLAKE3 digest of its file, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        match self {
            Self::Plugin(plugin) => &plugin.digest,
            Self::Upcaster(upcaster) => &upcaster.digest,
        }
    }

    /// Its semantic version, for people.
    #[must_use]
    pub fn version(&self) -> &str {
        match self {
            Self::Plugin(plugin) => &plugin.manifest.version,
            Self::Upcaster(upcaster) => &upcaster.manifest.version,
        }
    }
}

impl Upcaster {
    /// What it says of itself.
    #[must_use]
    pub fn manifest(&self) -> &UpcasterManifest {
        &self.manifest
    }

    /// The BLAKE3 digest of its file, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

impl Plugin {
    /// Loads what must have a store of its own.
    ///
    /// # Errors
    /// As of [`Loaded::load`], or it is none.
    pub fn load(engine: &Engine, bytes: &[u8], limits: &Limits) -> Result<Self, LoadError> {
        match Loaded::load(engine, bytes, limits)? {
            Loaded::Plugin(plugin) => Ok(plugin),
            Loaded::Upcaster(_) => Err(LoadError::NoStore),
        }
    }

    /// What it says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What it may use.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The BLAKE3 digest of its file, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// Whether a file has all that its beginning announces: one that is still being written has not. What is no WebAssembly announces
/// nothing.
#[must_use]
pub fn is_whole(bytes: &[u8]) -> bool {
    const HEADER: usize = 8;
    if bytes.len() < HEADER {
        return !bytes.is_empty() && !b"\0asm".starts_with(&bytes[..bytes.len().min(4)]);
    }
    if !bytes.starts_with(b"\0asm") {
        return true;
    }
    // Each section says its size: a kind, then the size in LEB128, then so many bytes.
    let mut rest = &bytes[HEADER..];
    while let Some((_, after_kind)) = rest.split_first() {
        let Some((size, content)) = leb128(after_kind) else { return false };
        let Some(next) = content.get(size..) else { return false };
        rest = next;
    }
    true
}

/// A number of at most 32 bits, and what follows on it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(number).ok()?, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::is_whole;

    #[test]
    fn a_file_is_whole_with_its_last_byte_only() {
        let component = b"\0asm\x0d\0\x01\0\x00\x81\x00\xff\x01\x02ab";
        for half in 0..component.len() {
            // Behind the header, and behind the first section, stands a whole component, if a small one.
            assert_eq!(is_whole(&component[..half]), [8, 12].contains(&half), "{half}");
        }
        assert!(is_whole(component));
        assert!(is_whole(b"notes") && is_whole(b"no component at all"));
    }
}
