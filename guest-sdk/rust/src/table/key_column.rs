//! What can be part of a key: how it is asked for, and in which order.

use super::column::Column;
use crate::value::Cell;

/// What can be part of a key: integers, `bool`, `String`, `Vec<u8>`.
///
/// ```
/// use laterna_sdk::KeyColumn;
///
/// // Keys are asked for by what they borrow.
/// let id = String::from("order-1042");
/// let key: <String as KeyColumn>::Borrowed<'_> = "order-1042";
/// assert_eq!(KeyColumn::borrow(&id), key);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a key",
    label = "not a key's type",
    note = "keys are integers, `bool`, `String` and `Vec<u8>`"
)]
pub trait KeyColumn: Column {
    /// How it is asked for.
    type Borrowed<'k>: Copy;

    /// It, borrowed.
    fn borrow(&self) -> Self::Borrowed<'_>;

    /// It, owned.
    fn to_owned(borrowed: Self::Borrowed<'_>) -> Self;

    /// The cell that SQLite sees.
    #[doc(hidden)]
    fn borrowed_cell<'k>(borrowed: Self::Borrowed<'k>) -> Cell<'k>;

    /// Bytes in the same order as the cells have in SQLite, also where more follows behind them.
    #[doc(hidden)]
    fn encode(borrowed: Self::Borrowed<'_>, bytes: &mut Vec<u8>);
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl KeyColumn for $integer {
            type Borrowed<'k> = $integer;

            fn borrow(&self) -> $integer {
                *self
            }

            fn to_owned(borrowed: $integer) -> Self {
                borrowed
            }

            fn borrowed_cell<'k>(borrowed: $integer) -> Cell<'k> {
                // One beyond SQLite's integers is no row's key, and the end of a range all the same: SQLite compares it as a real.
                i64::try_from(borrowed).map_or(Cell::Real(borrowed as f64), Cell::Integer)
            }

            fn encode(borrowed: $integer, bytes: &mut Vec<u8>) {
                // With the sign turned over, bytes have the order of the numbers.
                bytes.extend_from_slice(&(i128::from(borrowed) + (1 << 63)).to_be_bytes()[7..]);
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, u8, u16, u32, u64);

impl KeyColumn for bool {
    type Borrowed<'k> = bool;

    fn borrow(&self) -> bool {
        *self
    }

    fn to_owned(borrowed: bool) -> Self {
        borrowed
    }

    fn borrowed_cell<'k>(borrowed: bool) -> Cell<'k> {
        Cell::Integer(i64::from(borrowed))
    }

    fn encode(borrowed: bool, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(borrowed));
    }
}

impl KeyColumn for String {
    type Borrowed<'k> = &'k str;

    fn borrow(&self) -> &str {
        self
    }

    fn to_owned(borrowed: &str) -> Self {
        borrowed.to_string()
    }

    fn borrowed_cell<'k>(borrowed: Self::Borrowed<'k>) -> Cell<'k> {
        Cell::Text(borrowed)
    }

    fn encode(borrowed: &str, bytes: &mut Vec<u8>) {
        encode_bytes(borrowed.as_bytes(), bytes);
    }
}

impl KeyColumn for Vec<u8> {
    type Borrowed<'k> = &'k [u8];

    fn borrow(&self) -> &[u8] {
        self
    }

    fn to_owned(borrowed: &[u8]) -> Self {
        borrowed.to_vec()
    }

    fn borrowed_cell<'k>(borrowed: Self::Borrowed<'k>) -> Cell<'k> {
        Cell::Blob(borrowed)
    }

    fn encode(borrowed: &[u8], bytes: &mut Vec<u8>) {
        encode_bytes(borrowed, bytes);
    }
}

/// Ends in two zeros, and a zero within is followed by something else, so that a shorter text comes first whatever follows.
fn encode_bytes(text: &[u8], bytes: &mut Vec<u8>) {
    if text.contains(&0) {
        text.iter()
            .for_each(|byte| bytes.extend_from_slice(if *byte == 0 { &[0, 0xff] } else { std::slice::from_ref(byte) }));
    } else {
        bytes.extend_from_slice(text);
    }
    bytes.extend_from_slice(&[0, 0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded<K: KeyColumn>(keys: &[K]) -> Vec<Vec<u8>> {
        let encode = |key: &K| {
            let mut bytes = Vec::new();
            K::encode(key.borrow(), &mut bytes);
            // What stands behind a key must not change the order.
            bytes.push(7);
            bytes
        };
        keys.iter().map(encode).collect()
    }

    #[test]
    fn encoded_keys_have_the_order_of_the_keys() {
        assert!(encoded(&[i64::MIN, -300, -1, 0, 1, 255, 256, i64::MAX]).is_sorted());
        assert!(encoded(&[0_u64, 1, 1 << 40, i64::MAX as u64, 1 << 63, u64::MAX]).is_sorted());
        let texts = ["", "\0", "\0\0", "\0a", "\u{1}", "a", "a\0", "a\0b", "a\u{1}", "ab", "b", "ä", "\u{10ffff}"];
        let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
        assert!(texts.is_sorted() && encoded(&texts).is_sorted());
    }
}
