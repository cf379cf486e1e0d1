use crate::bindings::exports::laterna::plugin::fold;
use crate::value::{FromCell, Value};
use crate::{Error, Event, Manifest, Result, Store};
use std::marker::PhantomData;

/// A component that folds events into a read model. See the [crate's page](crate) for an example.
///
/// The type is made anew for each batch, so what it holds never outlives one: the store is the only memory.
pub trait Projection: Default {
    /// What the component says of itself. Must always be the same; the store is not there yet.
    fn manifest() -> Manifest;

    /// Applies one event to the store.
    ///
    /// # Errors
    /// The event cannot be applied. Nothing of it is kept, and the host reports the error with the event's position.
    fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()>;

    /// Answers a [computed query](crate::NamedQuery::computed). The store is read-only here.
    ///
    /// # Errors
    /// The query cannot be answered; the caller is told why.
    fn query(&self, name: &str, arguments: &Arguments, store: &Store) -> Result<serde_json::Value> {
        let _ = (arguments, store);
        Err(Error::new(format_args!("no code answers the query `{name}`")))
    }
}

/// The arguments of a computed query: checked by the host against the manifest, defaults filled in.
#[derive(Debug)]
pub struct Arguments(Vec<fold::Argument>);

impl Arguments {
    /// The argument `name` as `T`.
    ///
    /// # Errors
    /// The manifest declares no such parameter, or one of another type.
    pub fn get<T: FromCell>(&self, name: &str) -> Result<T> {
        let argument = self.0.iter().find(|argument| argument.name == name);
        let value = argument.map_or(Value::Null, |argument| argument.value.clone());
        T::from_cell(value).map_err(|error| Error::new(format_args!("argument `{name}`: {error}")))
    }
}

/// Carries a [`Projection`] over to the contract.
#[doc(hidden)]
pub struct Exported<P>(PhantomData<P>);

impl<P: Projection> fold::Guest for Exported<P> {
    fn describe() -> fold::Manifest {
        P::manifest().into_wit()
    }

    fn apply(batch: fold::Batch) -> Result<(), fold::Failure> {
        let store = Store::new();
        let mut projection = P::default();
        for head in &batch.heads {
            projection
                .apply(&Event::new(head, &batch.bytes), &store)
                .map_err(|error| fold::Failure { position: Some(head.position), message: error.to_string() })?;
        }
        Ok(())
    }

    fn query(name: String, arguments: Vec<fold::Argument>) -> Result<String, fold::Failure> {
        P::default()
            .query(&name, &Arguments(arguments), &Store::new())
            .map(|answer| answer.to_string())
            .map_err(|error| fold::Failure { position: None, message: error.to_string() })
    }
}
