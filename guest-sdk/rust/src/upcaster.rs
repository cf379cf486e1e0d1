use crate::bindings::upcaster::exports::laterna::plugin::upcast;
use crate::head::{self, Head};
use crate::{Error, Event, Json, Result};
use serde::Serialize;

/// A component that brings events of an older version into the shape of the next one, so that projections handle one version only.
///
/// What becomes of an event follows from that event alone. Its type, id, stream and times stay what they are; only its data change.
///
/// ```
/// use laterna_sdk::prelude::*;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// enum Version1 {
///     UserCreated { user_id: String, name: String },
/// }
///
/// struct UsersV1;
///
/// impl Upcaster for UsersV1 {
///     fn manifest() -> UpcasterManifest {
///         UpcasterManifest::new("users-v1", "1.0.0")
///             .describe("Users had one name.")
///             .step("UserCreated", 1, "the name is split into a first and a last one")
///     }
///
///     fn upcast(event: &Event<'_>) -> Result<Upcast> {
///         let Version1::UserCreated { user_id, name } = event.decode()?;
///         let (first_name, last_name) = name.split_once(' ').unwrap_or((&name, ""));
///         Ok(Upcast::To(json!({ "user_id": user_id, "first_name": first_name, "last_name": last_name })))
///     }
/// }
///
/// laterna_sdk::export_upcaster!(UsersV1);
/// # fn main() {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an upcaster",
    note = "write `impl Upcaster for {Self}` with `manifest` and `upcast`"
)]
pub trait Upcaster {
    /// What the component says of itself. Must always be the same.
    fn manifest() -> UpcasterManifest;

    /// Brings an event one version further. It is given those events alone that the manifest's steps name.
    ///
    /// # Errors
    /// It cannot: whatever it would feed cannot apply the event.
    fn upcast(event: &Event<'_>) -> Result<Upcast>;
}

/// What becomes of an event.
///
/// ```
/// use laterna_sdk::{Upcast, json};
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// struct UserCreated<'a> {
///     first_name: &'a str,
/// }
/// assert_eq!(Upcast::to(&UserCreated { first_name: "Ann" })?, Upcast::To(json!({ "first_name": "Ann" })));
/// # Ok::<(), laterna_sdk::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Upcast {
    /// These are its data in the next version.
    To(Json),
    /// Nobody is given it any more.
    Drop,
}

impl Upcast {
    /// To the data of the next version.
    ///
    /// ```
    /// # use laterna_sdk::Upcast;
    /// let names = std::collections::BTreeMap::from([("first_name", "Ann")]);
    /// assert!(matches!(Upcast::to(&names), Ok(Upcast::To(_))));
    /// ```
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn to(data: &impl Serialize) -> Result<Self> {
        Ok(Self::To(serde_json::to_value(data)?))
    }
}

/// What an upcaster says of itself: its name, and what it brings further.
///
/// ```
/// use laterna_sdk::UpcasterManifest;
///
/// let manifest = UpcasterManifest::new("users-v1", "1.0.0")
///     .describe("Users had one name.")
///     .step("UserCreated", 1, "the name is split into a first and a last one");
/// ```
#[derive(Debug)]
pub struct UpcasterManifest(upcast::Manifest);

impl UpcasterManifest {
    /// An upcaster called `name` (that of its file, without `.wasm`), in the semantic version `version` for people.
    ///
    /// ```
    /// # use laterna_sdk::UpcasterManifest;
    /// let manifest = UpcasterManifest::new("users-v1", env!("CARGO_PKG_VERSION"));
    /// ```
    pub fn new(name: &str, version: &str) -> Self {
        Self(upcast::Manifest {
            name: name.into(),
            version: version.into(),
            description: String::new(),
            steps: Vec::new(),
        })
    }

    /// Says in a sentence what it is for.
    ///
    /// ```
    /// # use laterna_sdk::UpcasterManifest;
    /// let manifest = UpcasterManifest::new("users-v1", "1.0.0").describe("Users had one name.");
    /// ```
    #[must_use]
    pub fn describe(mut self, description: &str) -> Self {
        self.0.description = description.into();
        self
    }

    /// Takes the events of a type in this version, and makes them the next one; says what changed between the two.
    ///
    /// ```
    /// # use laterna_sdk::UpcasterManifest;
    /// let manifest = UpcasterManifest::new("users-v1", "1.0.0").step("UserCreated", 1, "the name is split");
    /// ```
    #[must_use]
    pub fn step(mut self, event_type: &str, from_version: u32, why: &str) -> Self {
        self.0.steps.push(upcast::Step { event_type: event_type.into(), from_version, why: why.into() });
        self
    }
}

/// Carries an [`Upcaster`] over to the contract.
#[doc(hidden)]
pub struct ExportedUpcaster<U>(std::marker::PhantomData<U>);

impl<U: Upcaster> upcast::Guest for ExportedUpcaster<U> {
    fn describe() -> upcast::Manifest {
        U::manifest().0
    }

    fn upcast(batch: upcast::Batch) -> Result<upcast::Upcasted, upcast::Failure> {
        /// What stands for an event that is dropped.
        const DROPPED: u64 = u64::MAX;
        let heads: &[Head] = batch.heads.as_chunks().0;
        let mut upcasted = upcast::Upcasted { data: Vec::with_capacity(heads.len()), bytes: Vec::new() };
        for head in heads {
            let failed =
                |error: Error| upcast::Failure { position: Some(head[head::POSITION]), message: error.to_string() };
            let span = match U::upcast(&Event::new(head, &batch.bytes)).map_err(failed)? {
                Upcast::Drop => DROPPED,
                Upcast::To(data) => {
                    let begins = upcasted.bytes.len();
                    serde_json::to_writer(&mut upcasted.bytes, &data).map_err(|error| failed(error.into()))?;
                    (begins as u64) << 32 | (upcasted.bytes.len() - begins) as u64
                }
            };
            upcasted.data.push(span);
        }
        Ok(upcasted)
    }
}
