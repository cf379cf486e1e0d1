//! An event as a variant of an enum: its type names the variant, its data is the content.

use crate::{Error, Result};
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, VariantAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::de::{Deserializer as Json, SliceRead};

pub(crate) fn decode<'a, E: Deserialize<'a>>(event_type: &'a str, data: &'a [u8]) -> Result<E> {
    E::deserialize(Typed { event_type, data }).map_err(|error| unexpected(event_type, &error))
}

/// Says that an event is not as its reader wants it.
pub(crate) fn unexpected(event_type: &str, error: &serde_json::Error) -> Error {
    Error::new(format_args!("the data of {event_type} is not as expected: {error}"))
}

struct Typed<'a> {
    event_type: &'a str,
    data: &'a [u8],
}

impl<'de> Deserializer<'de> for Typed<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'a> EnumAccess<'a> for Typed<'a> {
    type Error = serde_json::Error;
    type Variant = Content<'a>;

    fn variant_seed<V: DeserializeSeed<'a>>(self, seed: V) -> Result<(V::Value, Content<'a>), Self::Error> {
        let variant = seed.deserialize(StrDeserializer::new(self.event_type))?;
        Ok((variant, Content(Json::from_slice(self.data))))
    }
}

struct Content<'a>(Json<SliceRead<'a>>);

impl<'a> Content<'a> {
    fn whole<T>(
        mut self,
        read: impl FnOnce(&mut Json<SliceRead<'a>>) -> Result<T, serde_json::Error>,
    ) -> Result<T, serde_json::Error> {
        let content = read(&mut self.0)?;
        self.0.end()?;
        Ok(content)
    }
}

impl<'a> VariantAccess<'a> for Content<'a> {
    type Error = serde_json::Error;

    /// Whoever names no field wants none.
    fn unit_variant(self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'a>>(self, seed: T) -> Result<T::Value, Self::Error> {
        self.whole(|json| seed.deserialize(json))
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, Self::Error> {
        self.whole(|json| json.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'a>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.whole(|json| json.deserialize_struct("", fields, visitor))
    }
}

#[cfg(test)]
mod tests {
    use super::decode;
    use serde::Deserialize;
    use std::borrow::Cow;

    #[derive(Deserialize, Debug, PartialEq)]
    enum Shop<'a> {
        OrderPlaced {
            #[serde(borrow)]
            order_id: Cow<'a, str>,
            total_cents: i64,
        },
        #[serde(rename = "order.paid")]
        OrderPaid(Paid),
        Closed,
        #[serde(other)]
        SomethingElse,
    }

    #[derive(Deserialize, Debug, PartialEq)]
    struct Paid {
        cents: i64,
    }

    fn read<'a>(event_type: &'a str, data: &'a str) -> Result<Shop<'a>, String> {
        decode(event_type, data.as_bytes()).map_err(|error: crate::Error| error.to_string())
    }

    #[test]
    fn the_type_names_the_variant_and_the_data_is_its_content() {
        let placed = read("OrderPlaced", r#"{"order_id": "7", "total_cents": 990, "note": "more than it wants"}"#);
        assert!(
            matches!(&placed, Ok(Shop::OrderPlaced { order_id: Cow::Borrowed("7"), total_cents: 990 })),
            "{placed:?}"
        );
        assert_eq!(read("order.paid", r#"{"cents": 5}"#), Ok(Shop::OrderPaid(Paid { cents: 5 })));
        assert_eq!(read("Closed", r#"{"for": "good"}"#), Ok(Shop::Closed));
        assert_eq!(read("ShopOpened", "{}"), Ok(Shop::SomethingElse));
    }

    #[test]
    fn what_is_not_as_expected_is_told_with_its_type_and_place() {
        let missing = read("OrderPlaced", r#"{"order_id": "7"}"#);
        assert_eq!(
            missing,
            Err("the data of OrderPlaced is not as expected: missing field `total_cents` at line 1 column 17"
                .to_owned())
        );
        assert!(read("order.paid", r#"{"cents": 5} and more"#).is_err());

        #[derive(Deserialize, Debug)]
        enum Small {
            Known,
        }
        let unknown: crate::Result<Small> = decode("Unheard", b"{}");
        let said = unknown.map(|_| ()).map_err(|error| error.to_string());
        let expected = "the data of Unheard is not as expected: unknown variant `Unheard`, expected `Known`";
        assert_eq!(said, Err(expected.to_owned()));
    }
}
