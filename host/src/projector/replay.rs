//! Events that stand in no log, folded here and now: for who tries a component.

use super::Terms;
use super::feed::Piece;
use super::fold::{Folder, Halt};
use crate::plugin::{Batch, Plugin};
use crate::store::{self, Durability, Store};
use std::sync::Arc;

/// Folds batches into a store as a host does, each up to the position beside it, on this thread. Goes on where the store
/// stands.
///
/// # Errors
/// The component halted: everything before the event at fault is in the store.
pub fn replay(
    plugin: &Plugin,
    terms: &Terms,
    store: &Store,
    batches: impl IntoIterator<Item = (Batch, u64)>,
) -> Result<(), Halt> {
    let machine = |error: store::Error| Halt::machine(store.progress().applied, error.to_string());
    let mut folder =
        Folder::new(plugin.clone(), terms, store.clone(), Durability::Building, u64::MAX).map_err(machine)?;
    for (batch, through) in batches {
        folder.fold(&Piece { batch: Arc::new(batch), through, at_head: false })?;
    }
    folder.flush().map_err(machine)
}
