//! What rows are found by.

use super::row::Row;

/// An encoded key. Most are short, and stand where they are compared.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Short([u64; KEY_WORDS]),
    Long(Box<[u8]>),
}

const KEY_WORDS: usize = 3;

impl Key {
    /// That of a row; it is encoded in `scratch`.
    pub(super) fn of<R: Row>(key: R::Key<'_>, scratch: &mut Vec<u8>) -> Self {
        scratch.clear();
        R::encode_key(key, scratch);
        if scratch.len() > KEY_WORDS * 8 {
            return Self::Long(scratch.as_slice().into());
        }
        // Encoded keys say themselves where they end, so that zeros behind them make no two of them the same.
        scratch.resize(KEY_WORDS * 8, 0);
        let mut words = [0; KEY_WORDS];
        for (word, bytes) in words.iter_mut().zip(scratch.as_chunks().0) {
            *word = u64::from_be_bytes(*bytes);
        }
        Self::Short(words)
    }

    /// How many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Short(_) => KEY_WORDS * 8,
            Self::Long(bytes) => bytes.len(),
        }
    }
}
