//! A variant of an enum as an event: its name is the type, its content is the data. The mirror of `decode`.

use crate::{Error, Result};
use serde::Serialize;
use serde::ser::{Error as _, Impossible, SerializeStructVariant, SerializeTupleVariant, Serializer};
use serde_json::{Map, Value};

/// The type of an event, and its data.
pub(crate) fn encode(event: &impl Serialize) -> Result<(&'static str, Value)> {
    event.serialize(Typed).map_err(|error| Error::new(format_args!("it cannot be written as an event: {error}")))
}

struct Typed;

/// What is no variant of an enum has no name to be the type.
fn nameless<T>() -> Result<T, serde_json::Error> {
    Err(serde_json::Error::custom("an event is a variant of an enum, whose name is its type"))
}

macro_rules! nameless {
    ($($method:ident($($of:ty),*);)*) => {
        $(fn $method(self $(, _: $of)*) -> Result<Self::Ok, Self::Error> { nameless() })*
    };
}

impl Serializer for Typed {
    type Ok = (&'static str, Value);
    type Error = serde_json::Error;
    type SerializeSeq = Impossible<Self::Ok, Self::Error>;
    type SerializeTuple = Impossible<Self::Ok, Self::Error>;
    type SerializeTupleStruct = Impossible<Self::Ok, Self::Error>;
    type SerializeTupleVariant = Tuple;
    type SerializeMap = Impossible<Self::Ok, Self::Error>;
    type SerializeStruct = Impossible<Self::Ok, Self::Error>;
    type SerializeStructVariant = Struct;

    /// Who has no field says so with an object without any.
    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<Self::Ok, Self::Error> {
        Ok((name, Value::Object(Map::new())))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        content: &T,
    ) -> Result<Self::Ok, Self::Error> {
        Ok((name, serde_json::to_value(content)?))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        fields: usize,
    ) -> Result<Tuple, Self::Error> {
        Ok(Tuple(name, Vec::with_capacity(fields)))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Struct, Self::Error> {
        Ok(Struct(name, Map::new()))
    }

    nameless! {
        serialize_bool(bool); serialize_i8(i8); serialize_i16(i16); serialize_i32(i32); serialize_i64(i64);
        serialize_u8(u8); serialize_u16(u16); serialize_u32(u32); serialize_u64(u64); serialize_f32(f32);
        serialize_f64(f64); serialize_char(char); serialize_str(&str); serialize_bytes(&[u8]); serialize_none();
        serialize_unit(); serialize_unit_struct(&'static str);
    }

    fn serialize_some<T: Serialize + ?Sized>(self, event: &T) -> Result<Self::Ok, Self::Error> {
        event.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        event: &T,
    ) -> Result<Self::Ok, Self::Error> {
        event.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Self::Error> {
        nameless()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Self::Error> {
        nameless()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Self::Error> {
        nameless()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Self::Error> {
        nameless()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, Self::Error> {
        nameless()
    }
}

struct Tuple(&'static str, Vec<Value>);

impl SerializeTupleVariant for Tuple {
    type Ok = (&'static str, Value);
    type Error = serde_json::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, field: &T) -> Result<(), Self::Error> {
        self.1.push(serde_json::to_value(field)?);
        Ok(())
    }

    fn end(self) -> Result<Self::Ok, Self::Error> {
        Ok((self.0, self.1.into()))
    }
}

struct Struct(&'static str, Map<String, Value>);

impl SerializeStructVariant for Struct {
    type Ok = (&'static str, Value);
    type Error = serde_json::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, field: &T) -> Result<(), Self::Error> {
        self.1.insert(name.into(), serde_json::to_value(field)?);
        Ok(())
    }

    fn end(self) -> Result<Self::Ok, Self::Error> {
        Ok((self.0, self.1.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::encode;
    use crate::json;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    enum Shop {
        OrderPlaced {
            order_id: String,
            total_cents: i64,
        },
        #[serde(rename = "order.paid")]
        OrderPaid(Paid),
        Measured(i64, i64),
        Closed,
    }

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Paid {
        cents: i64,
    }

    #[test]
    fn what_is_encoded_is_decoded_as_it_was() {
        let cases = [
            (Shop::OrderPlaced { order_id: "7".into(), total_cents: 990 }, "OrderPlaced"),
            (Shop::OrderPaid(Paid { cents: 5 }), "order.paid"),
            (Shop::Measured(3, 4), "Measured"),
            (Shop::Closed, "Closed"),
        ];
        for (event, named) in cases {
            let (event_type, data) = encode(&event).expect("an event");
            assert_eq!(event_type, named);
            let again: Shop = crate::decode::decode(event_type, data.to_string().as_bytes()).expect("the same event");
            assert_eq!(again, event);
        }
        assert_eq!(encode(&Shop::Closed).expect("an event").1, json!({}));
    }

    #[test]
    fn what_has_no_name_is_no_event() {
        let said = encode(&Paid { cents: 5 }).map_err(|error| error.to_string());
        let expected = "it cannot be written as an event: an event is a variant of an enum, whose name is its type";
        assert_eq!(said, Err(expected.to_owned()));
    }
}
