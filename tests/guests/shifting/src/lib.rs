//! An upcaster that does to an event what its data say. What it says of itself is written into its file after it was built, as of
//! `misbehaving`.
#![cfg(target_arch = "wasm32")]

use laterna_sdk::bindings::upcaster::exports::laterna::plugin::upcast::{self, Guest};
use laterna_sdk::prelude::*;
use serde::Deserialize;
use std::hint::black_box;

/// The tests look for this.
const MARK: [u8; 32] = *b"what this component says of self";

/// The mark, then room for JSON.
static SAYS: [u8; 8192] = {
    let mut room = [b' '; 8192];
    let mut index = 0;
    while index < MARK.len() {
        room[index] = MARK[index];
        index += 1;
    }
    room
};

#[derive(Deserialize)]
struct Says {
    name: String,
    steps: Vec<(String, u32)>,
    /// It answers for one event less than it was given, or points at bytes that are not there.
    #[serde(default)]
    lies: String,
}

impl Says {
    fn read() -> Self {
        let room: &[u8] = black_box(&SAYS);
        serde_json::from_slice(&room[MARK.len()..]).expect("a test wrote what this component says of itself")
    }
}

struct Shifting;

impl Upcaster for Shifting {
    fn manifest() -> UpcasterManifest {
        let Says { name, steps, .. } = Says::read();
        let manifest = UpcasterManifest::new(&name, "1.0.0").describe("Shifts.");
        steps.iter().fold(manifest, |manifest, (event_type, from)| manifest.step(event_type, *from, "shifted"))
    }

    /// `{"at_1": "drop"}` is dropped on its way from version 1; otherwise the data are told the way that they came.
    fn upcast(event: &Event<'_>) -> Result<Upcast> {
        let mut data: Json = event.json()?;
        let from = event.schema_version();
        match data[format!("at_{from}")].as_str() {
            Some("drop") => return Ok(Upcast::Drop),
            Some("fail") => return Err(Error::new(format_args!("it says that it fails at {from}"))),
            Some("panic") => panic!("it says that it panics at {from}"),
            Some("loop") => loop {
                black_box(from);
            },
            _ => {}
        }
        let way = data["way"].as_str().unwrap_or_default();
        data["way"] = format!("{way}{}:{from}>", Says::read().name).into();
        Ok(Upcast::To(data))
    }
}

/// What the SDK makes of [`Shifting`], but for lies.
struct Raw;

type Sdk = laterna_sdk::__private::ExportedUpcaster<Shifting>;

impl Guest for Raw {
    fn describe() -> upcast::Manifest {
        Sdk::describe()
    }

    fn upcast(batch: upcast::Batch) -> Result<upcast::Upcasted, upcast::Failure> {
        let mut upcasted = Sdk::upcast(batch)?;
        match Says::read().lies.as_str() {
            "too few" => drop(upcasted.data.pop()),
            "beyond" => upcasted.data.iter_mut().for_each(|piece| *piece = 1 << 40 | 7),
            _ => {}
        }
        Ok(upcasted)
    }
}

laterna_sdk::bindings::upcaster::export_upcaster!(Raw with_types_in laterna_sdk::bindings::upcaster);
