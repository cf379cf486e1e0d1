//! `Range`: a part of a file (RFC 9110, 14.1.2 and 14.2).

use axum::http::{HeaderMap, header};

/// A range of bytes.
#[derive(Clone, Copy)]
pub enum Range {
    /// From the first to the last, both included. A last one behind the end is the end.
    Between(u64, u64),
    /// So many at the end.
    Last(u64),
}

impl Range {
    /// The one that is asked for. What is no range of bytes counts as nothing, and so do several at once: then the file is answered whole.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let (unit, range) = headers.get(header::RANGE)?.to_str().ok()?.split_once('=')?;
        let (first, last) = range.trim().split_once('-')?;
        let range = match (first, last) {
            ("", bytes) => Self::Last(number(bytes)?),
            (first, "") => Self::Between(number(first)?, u64::MAX),
            (first, last) => Self::Between(number(first)?, number(last)?),
        };
        let is_range = !matches!(range, Self::Between(first, last) if last < first);
        (is_range && unit.eq_ignore_ascii_case("bytes")).then_some(range)
    }

    /// It begins with the first byte.
    pub fn is_from_start(self) -> bool {
        matches!(self, Self::Between(0, _))
    }

    /// The header, to a file of so many bytes: no more of its end is asked for than there is.
    pub fn header(self, size: u64) -> String {
        match self {
            Self::Between(first, last) => format!("bytes={first}-{last}"),
            Self::Last(bytes) => format!("bytes=-{}", bytes.min(size)),
        }
    }
}

/// A number of any length: one that is too large is as good as the largest.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}
