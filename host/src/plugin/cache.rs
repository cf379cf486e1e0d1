//! Compiled code on the disk, so that a restart does not compile again.
//!
//! A file is named after the component's digest and the engine that compiled it, and begins with the digest of its own content:
//! one that was cut short or damaged is not loaded, but made anew.

use super::engine::Engine;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::path::PathBuf;
use wasmtime::component::Component;

/// Compiles a component, or finds it compiled.
pub(super) fn compile(engine: &Engine, bytes: &[u8], digest: &str) -> Result<Component, wasmtime::Error> {
    let Some(file) = file(engine, digest) else {
        return Component::new(engine.wasmtime(), bytes);
    };
    if let Some(component) = load(engine, &file) {
        return Ok(component);
    }
    let component = Component::new(engine.wasmtime(), bytes)?;
    // A cache that cannot be written costs time, nothing else.
    if let Err(error) = store(&component, &file) {
        tracing::warn!(%error, "compiled code could not be kept");
    }
    Ok(component)
}

/// Removes what was compiled for other components than these, or by another engine.
pub(super) fn sweep(engine: &Engine, digests: &[&str]) -> std::io::Result<()> {
    let Some(cache) = engine.cache() else { return Ok(()) };
    let keep: Vec<_> = digests.iter().filter_map(|digest| file(engine, digest)).collect();
    for entry in std::fs::read_dir(cache)? {
        let path = entry?.path();
        if !keep.contains(&path) {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Removes what was compiled for a component.
pub(super) fn forget(engine: &Engine, digest: &str) {
    if let Some(file) = file(engine, digest) {
        // Where it cannot be removed now, it is swept up at a start.
        let _ = std::fs::remove_file(file);
    }
}

fn file(engine: &Engine, digest: &str) -> Option<PathBuf> {
    let mut compiler = DefaultHasher::new();
    engine.wasmtime().precompile_compatibility_hash().hash(&mut compiler);
    Some(engine.cache()?.join(format!("{digest}-{:016x}.code", compiler.finish())))
}

#[allow(unsafe_code)]
fn load(engine: &Engine, file: &std::path::Path) -> Option<Component> {
    let content = std::fs::read(file).ok()?;
    let (digest, code) = content.split_at_checked(blake3::OUT_LEN)?;
    if blake3::hash(code).as_bytes() != digest {
        return None;
    }
    // SAFETY: the code must come from `Component::serialize`. Only `store` writes such files, into a folder that is Laterna's
    // own, and the digest has just shown that this one is whole.
    unsafe { Component::deserialize(engine.wasmtime(), code) }.ok()
}

fn store(component: &Component, file: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    let code = component.serialize()?;
    // Under a name of its own: the same component may be compiled twice at once.
    let half = file.with_extension(format!("{}.half", uuid::Uuid::now_v7()));
    let mut written = std::fs::File::create(&half)?;
    written.write_all(blake3::hash(&code).as_bytes())?;
    written.write_all(&code)?;
    written.sync_all()?;
    std::fs::rename(&half, file)?;
    Ok(())
}
