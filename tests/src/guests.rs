//! Components made for tests: the crates in `tests/guests/`.

use crate::{build_component, root};
use serde_json::Value;
use std::sync::OnceLock;

/// What stands in the built file before the room for what the component says of itself.
const MARK: &[u8] = b"what this component says of self";
/// The mark and the room together.
const ROOM: usize = 8192;

/// The component `misbehaving`, saying of itself what it is told to: `name`, and where they are not as usual `version`,
/// `consumes` (types), `versions` (pairs of a type and the version that it handles), `parks`, `sequence`, `internal`, `schema`, `queries`
/// (`name`, `sql`, `parameters`) and `deed` (what it does while it is asked).
#[must_use]
pub fn misbehaving(says: &Value) -> Vec<u8> {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    saying(BUILT.get_or_init(|| built("misbehaving")), says)
}

/// The upcaster `shifting`, saying of itself what it is told to: `name` and `steps` (pairs of a type and the version that it takes).
#[must_use]
pub fn shifting(says: &Value) -> Vec<u8> {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    saying(BUILT.get_or_init(|| built("shifting")), says)
}

/// The process manager `obedient`, which does what its events say.
#[must_use]
pub fn obedient() -> Vec<u8> {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| built("obedient")).clone()
}

/// The process manager `dutiful`, saying of itself what it is told to: `name`, and where they are not as usual `version`, `tag` (what it
/// writes into its effects, and by which orders may be for it only), `consumes` and `produces` (types), `begins`, `parks` and `policy`.
#[must_use]
pub fn dutiful(says: &Value) -> Vec<u8> {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    saying(BUILT.get_or_init(|| built("dutiful")), says)
}

fn built(guest: &str) -> Vec<u8> {
    let file = build_component(&root().join("tests/guests").join(guest));
    std::fs::read(file).expect("it was built")
}

/// Writes what a component says of itself over the room for it.
fn saying(built: &[u8], says: &Value) -> Vec<u8> {
    let marks: Vec<usize> =
        built.windows(MARK.len()).enumerate().filter(|(_, at)| *at == MARK).map(|(at, _)| at).collect();
    let [mark] = marks[..] else { panic!("the mark stands at {marks:?}") };
    let (says, room) = (says.to_string(), mark + MARK.len()..mark + ROOM);
    assert!(says.len() <= room.len(), "there is no room for so much: {says}");
    let mut component = built.to_vec();
    let room = &mut component[room];
    assert!(room.iter().all(|byte| *byte == b' '), "the room is not where it should be");
    room[..says.len()].copy_from_slice(says.as_bytes());
    component
}
