//! The numbers of an event's head: `wit/types.wit` says what they mean.

use std::ops::Range;

pub(crate) const NUMBERS: usize = 16;

/// The numbers of one event.
pub(crate) type Head = [u64; NUMBERS];

pub(crate) const POSITION: usize = 0;
pub(crate) const REVISION: usize = 1;
pub(crate) const RECORDED_AT: usize = 2;
pub(crate) const SCHEMA_VERSION: usize = 3;
pub(crate) const FLAGS: usize = 4;
pub(crate) const SOURCE: usize = 5;
pub(crate) const ID: usize = 6;
pub(crate) const STREAM: usize = 7;
pub(crate) const TYPE: usize = 8;
pub(crate) const MODULE: usize = 9;
pub(crate) const OCCURRED_AT: usize = 10;
pub(crate) const CORRELATION_ID: usize = 11;
pub(crate) const CAUSATION_ID: usize = 12;
pub(crate) const CONTENT_TYPE: usize = 13;
pub(crate) const DATA: usize = 14;
pub(crate) const METADATA: usize = 15;

/// Where a piece stands in the batch's bytes.
pub(crate) fn range(piece: u64) -> Range<usize> {
    let (offset, length) = ((piece >> 32) as usize, piece as u32 as usize);
    offset..offset + length
}
