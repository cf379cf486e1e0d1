//! A map whose first key was looked at: so shapes are told apart by it, and whatever is wrong in them is told with its line. What serde calls
//! untagged forgets where it is.

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess};

/// All of such a map.
pub(super) struct Whole<A> {
    first: Option<String>,
    rest: A,
}

/// Looks at the first key; empty where there is none.
pub(super) fn look<'de, A: MapAccess<'de>>(mut map: A) -> Result<(String, MapAccessDeserializer<Whole<A>>), A::Error> {
    let first = map.next_key::<String>()?;
    let key = first.clone().unwrap_or_default();
    Ok((key, MapAccessDeserializer::new(Whole { first, rest: map })))
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Whole<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        match self.first.take() {
            Some(first) => seed.deserialize(first.into_deserializer()).map(Some),
            None => self.rest.next_key_seed(seed),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.rest.next_value_seed(seed)
    }
}
