//! Which tables were written when: so that who keeps an answer knows whether it may still be the same.

use super::schema::Relation;
use smallvec::SmallVec;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tables of a read model: a bit for each, by its place among the relations. Adding to it is all that a write costs.
#[derive(Debug, Clone, Default)]
pub struct Tables(SmallVec<[u64; 1]>);

/// The position at which each table was written last, as far as is known since the store was opened.
pub(super) struct Changes {
    names: Vec<String>,
    written_at: Vec<AtomicU64>,
}

impl Changes {
    pub(super) fn of(relations: &[Relation]) -> Self {
        let names: Vec<String> = relations.iter().map(|relation| relation.name.clone()).collect();
        let written_at = names.iter().map(|_| AtomicU64::new(0)).collect();
        Self { names, written_at }
    }

    /// The tables of these names. Others are not the read model's, and never change.
    pub(super) fn tables(&self, names: &BTreeSet<String>) -> Tables {
        let mut tables = Tables::default();
        let named = self.names.iter().enumerate().filter(|(_, name)| names.contains(*name));
        named.for_each(|(place, _)| tables.insert(place));
        tables
    }

    /// All of them.
    pub(super) fn all(&self) -> Tables {
        let mut tables = Tables::default();
        (0..self.names.len()).for_each(|place| tables.insert(place));
        tables
    }

    /// Tells that these were written by a transaction that was committed with this checkpoint. Whoever hears of that checkpoint
    /// later knows.
    pub(super) fn tell(&self, written: &Tables, checkpoint: u64) {
        let named = self.written_at.iter().enumerate().filter(|(place, _)| written.contains(*place));
        named.for_each(|(_, at)| at.store(checkpoint, Ordering::Release));
    }

    /// Whether one of these was written behind a position.
    pub(super) fn is_behind(&self, tables: &Tables, position: u64) -> bool {
        let mut named = self.written_at.iter().enumerate().filter(|(place, _)| tables.contains(*place));
        named.any(|(_, at)| at.load(Ordering::Acquire) > position)
    }
}

impl Tables {
    fn insert(&mut self, place: usize) {
        let word = place / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (place % 64);
    }

    fn contains(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word & (1 << (place % 64)) != 0)
    }

    /// Takes these in, too.
    pub(super) fn extend(&mut self, others: &Self) {
        if self.0.len() < others.0.len() {
            self.0.resize(others.0.len(), 0);
        }
        self.0.iter_mut().zip(&others.0).for_each(|(word, other)| *word |= other);
    }
}
