use crate::bindings::exports::laterna::plugin::fold;
#[cfg(not(all(feature = "native", not(target_arch = "wasm32"))))]
use crate::database::Database;
use crate::head::{self, Head};
use crate::value::{FromCell, Value};
use crate::{Error, Event, Json, Manifest, Result, Store};

/// A component that folds events into a read model. See the [crate's page](crate) for an example.
///
/// The type is made anew for each batch, so what it holds never outlives one: the store is the only memory.
///
/// ```
/// use laterna_sdk::prelude::*;
///
/// #[derive(Default)]
/// struct Streams;
///
/// impl Projection for Streams {
///     fn manifest() -> Manifest {
///         Manifest::new("streams", "1.0.0")
///             .schema("CREATE TABLE streams (name TEXT PRIMARY KEY, events INTEGER NOT NULL) STRICT, WITHOUT ROWID;")
///             .query(NamedQuery::computed("count"))
///     }
///
///     fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
///         let sql = "INSERT INTO streams VALUES (?1, 1) ON CONFLICT DO UPDATE SET events = events + 1";
///         store.execute(sql, (event.stream(),))?;
///         Ok(())
///     }
///
///     fn query(&self, name: &str, _: &Arguments, store: &Store) -> Result<Json> {
///         let row: Option<(i64,)> = store.query_one("SELECT count(*) FROM streams", ())?;
///         Ok(json!({ name: row.map(|(count,)| count) }))
///     }
/// }
/// # #[cfg(feature = "native")] {
/// # use laterna_sdk::native::{NewEvent, ReadModel};
///
/// let mut model = ReadModel::<Streams>::new()?;
/// model.apply([NewEvent::new("order-1", "OrderPlaced", json!({}))])?;
/// assert_eq!(model.query("count", &[])?, json!({ "count": 1 }));
/// # }
/// # Ok::<(), laterna_sdk::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a projection",
    note = "write `#[derive(Default)] struct {Self};` and `impl Projection for {Self}` with `manifest` and `apply`"
)]
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
    fn query(&self, name: &str, arguments: &Arguments, store: &Store) -> Result<Json> {
        let _ = (arguments, store);
        Err(Error::new(format_args!("no code answers the query `{name}`")))
    }
}

/// The arguments of a computed query: checked by the host against the manifest, defaults filled in.
///
/// ```
/// use laterna_sdk::prelude::*;
///
/// fn wanted(arguments: &Arguments) -> Result<(String, i64)> {
///     Ok((arguments.get("country")?, arguments.get("at_least")?))
/// }
/// ```
#[derive(Debug)]
pub struct Arguments(Vec<fold::Argument>);

impl Arguments {
    pub(crate) fn new(arguments: Vec<fold::Argument>) -> Self {
        Self(arguments)
    }

    /// The argument `name` as `T`.
    ///
    /// ```
    /// use laterna_sdk::prelude::*;
    ///
    /// fn at_least(arguments: &Arguments) -> Result<i64> {
    ///     arguments.get("at_least")
    /// }
    /// ```
    ///
    /// # Errors
    /// The manifest declares no such parameter, or one of another type.
    pub fn get<T: FromCell>(&self, name: &str) -> Result<T> {
        let argument = self.0.iter().find(|argument| argument.name == name);
        let value = argument.map_or(Value::Null, |argument| argument.value.clone());
        T::from_cell(value).map_err(|error| Error::new(format_args!("argument `{name}`: {error}")))
    }
}

/// Folds a batch into a store.
pub(crate) fn fold<P: Projection>(heads: &[Head], bytes: &[u8], store: Store) -> Result<(), fold::Failure> {
    let mut projection = P::default();
    for head in heads {
        projection
            .apply(&Event::new(head, bytes), &store)
            .map_err(|error| fold::Failure { position: Some(head[head::POSITION]), message: error.to_string() })?;
    }
    store.finish().map_err(|error| fold::Failure { position: None, message: error.to_string() })
}

/// Carries a [`Projection`] over to the contract.
#[cfg(not(all(feature = "native", not(target_arch = "wasm32"))))]
#[doc(hidden)]
pub struct Exported<P>(std::marker::PhantomData<P>);

#[cfg(not(all(feature = "native", not(target_arch = "wasm32"))))]
impl<P: Projection> fold::Guest for Exported<P> {
    fn describe() -> fold::Manifest {
        P::manifest().into_wit()
    }

    fn apply(batch: fold::Batch) -> Result<(), fold::Failure> {
        fold::<P>(batch.heads.as_chunks().0, &batch.bytes, Store::folding::<P>(Database))
    }

    fn query(name: String, arguments: Vec<fold::Argument>) -> Result<String, fold::Failure> {
        let store = Store::reading::<P>(Database);
        P::default()
            .query(&name, &Arguments::new(arguments), &store)
            .map(|answer| answer.to_string())
            .map_err(|error| fold::Failure { position: None, message: error.to_string() })
    }
}
