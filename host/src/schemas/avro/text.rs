use super::shape::{Definition, Field, Named, Shape, Shapes};
use crate::schemas::violation::{Fault, if_short, push_name};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// How often a value may be looked at, for each byte of the data and besides: one in a union may have to be compared with each of its
/// branches, and what is in it again.
const LOOKS_A_BYTE: usize = 4;
const MORE_LOOKS: usize = 100_000;

/// Bytes of a value that is shown in the words about it.
const SHOWN_BYTES: usize = 80;

/// Compares JSON with a schema: as a value is written plainly, or in a union as Avro's JSON encoding writes it, `{"branch": value}`. The data was read
/// from so many bytes.
///
/// # Errors
/// The first fault.
pub(super) fn check(shapes: &Shapes, data: &Value, bytes: usize) -> Result<(), Fault> {
    let looks_left = bytes.saturating_mul(LOOKS_A_BYTE).saturating_add(MORE_LOOKS);
    let mut walk = Walk { shapes, pointer: String::new(), looks_left };
    walk.value(&shapes.root, data)
}

/// A comparison under way. It nests no deeper than the data, which was read as JSON, and so is bounded.
struct Walk<'s> {
    shapes: &'s Shapes,
    /// The place in the data.
    pointer: String,
    looks_left: usize,
}

impl<'s> Walk<'s> {
    fn value(&mut self, shape: &'s Shape, value: &Value) -> Result<(), Fault> {
        self.looks_left = match self.looks_left.checked_sub(1) {
            Some(left) => left,
            None => return Err(self.fault("it would take too long to find out whether it fits: unions nest too often")),
        };
        match (shape, value) {
            (Shape::Null, Value::Null) | (Shape::Boolean, Value::Bool(_)) | (Shape::String, Value::String(_)) => Ok(()),
            (Shape::Int, Value::Number(number)) => match number.as_i64().map(i32::try_from) {
                Some(Ok(_)) => Ok(()),
                _ => Err(self.unfit(shape, value)),
            },
            (Shape::Long, Value::Number(number)) if number.is_i64() => Ok(()),
            (Shape::Float, Value::Number(number)) => {
                let most = f64::from(f32::MAX);
                match number.as_f64() {
                    Some(number) if (-most..=most).contains(&number) => Ok(()),
                    _ => Err(self.unfit(shape, value)),
                }
            }
            (Shape::Double, Value::Number(_)) => Ok(()),
            // JSON has no numbers for these, and Avro's JSON encoding writes them so.
            (Shape::Float | Shape::Double, Value::String(word)) if is_no_number(word) => Ok(()),
            (Shape::Bytes, Value::String(text)) if bytes(text).is_some() => Ok(()),
            (Shape::Array(items), Value::Array(values)) => {
                let mut values = values.iter().enumerate();
                values.try_for_each(|(index, value)| self.within(&index.to_string(), items, value))
            }
            (Shape::Map(values), Value::Object(members)) => {
                members.iter().try_for_each(|(name, value)| self.within(name, values, value))
            }
            (Shape::Union(branches), value) => self.union(branches, value),
            (Shape::Named(number), value) => self.named(shape, self.shapes.named(*number), value),
            _ => Err(self.unfit(shape, value)),
        }
    }

    fn named(&mut self, shape: &'s Shape, named: &'s Named, value: &Value) -> Result<(), Fault> {
        match (&named.definition, value) {
            (Definition::Record(fields), Value::Object(members)) => self.record(&named.name, fields, members),
            (Definition::Enum(symbols), Value::String(symbol)) if symbols.contains(symbol) => Ok(()),
            (Definition::Enum(symbols), Value::String(_)) => {
                let symbols = symbols.join(", ");
                Err(self.fault(format_args!("{} is no symbol of `{}`: {symbols}", shown(value), named.name)))
            }
            (Definition::Fixed(size), Value::String(text)) if bytes(text) == Some(*size) => Ok(()),
            (Definition::Fixed(size), _) => Err(self.fault(format_args!(
                "{} is not a `{}`: a text of {size} characters from U+0000 to U+00FF",
                shown(value),
                named.name
            ))),
            _ => Err(self.unfit(shape, value)),
        }
    }

    fn record(&mut self, name: &str, fields: &'s [Field], members: &Map<String, Value>) -> Result<(), Fault> {
        let mut known = 0;
        for Field { name: field, has_default, shape } in fields {
            match members.get(field) {
                Some(value) => {
                    known += 1;
                    self.within(field, shape, value)?;
                }
                None if *has_default => {}
                None => return Err(self.fault(format_args!("`{field}` is missing, and a `{name}` has it"))),
            }
        }
        if known == members.len() {
            return Ok(());
        }
        let fields: BTreeSet<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        match members.keys().find(|member| !fields.contains(member.as_str())) {
            Some(unknown) => {
                push_name(&mut self.pointer, unknown);
                Err(self.fault(format_args!("a `{name}` has no such field")))
            }
            None => Ok(()),
        }
    }

    /// As it stands, or with its branch named.
    fn union(&mut self, branches: &'s [Shape], value: &Value) -> Result<(), Fault> {
        let place = self.pointer.len();
        let mut of_kind = Vec::new();
        let shapes = self.shapes;
        for branch in branches.iter().filter(|branch| is_of_kind(shapes, branch, value)) {
            match self.value(branch, value) {
                Ok(()) => return Ok(()),
                Err(fault) => of_kind.push(fault),
            }
            self.pointer.truncate(place);
        }
        if let Some((name, value)) = only_member(value)
            && let Some(branch) = branches.iter().find(|branch| self.shapes.name(branch) == name)
        {
            return self.within(name, branch, value);
        }
        // Where only one can have been meant, what is wrong is wrong by that one.
        if of_kind.len() == 1 {
            return of_kind.pop().map_or(Ok(()), Err);
        }
        let names: Vec<&str> = branches.iter().map(|branch| self.shapes.name(branch)).collect();
        Err(self.fault(format_args!("{} is none of {}", shown(value), names.join(", "))))
    }

    fn within(&mut self, name: &str, shape: &'s Shape, value: &Value) -> Result<(), Fault> {
        let place = self.pointer.len();
        push_name(&mut self.pointer, name);
        self.value(shape, value)?;
        self.pointer.truncate(place);
        Ok(())
    }

    fn unfit(&self, shape: &Shape, value: &Value) -> Fault {
        let name = self.shapes.name(shape);
        match shape {
            Shape::Int => {
                self.fault(format_args!("{} is not an `int`: a whole number from -2^31 to 2^31-1", shown(value)))
            }
            Shape::Long => {
                self.fault(format_args!("{} is not a `long`: a whole number from -2^63 to 2^63-1", shown(value)))
            }
            Shape::Bytes => {
                self.fault(format_args!("{} is not `bytes`: a text of characters from U+0000 to U+00FF", shown(value)))
            }
            _ => self.fault(format_args!("{} is not a `{name}`", shown(value))),
        }
    }

    fn fault(&self, message: impl std::fmt::Display) -> Fault {
        Fault::at(&self.pointer, message)
    }
}

/// Whether a value is such that it could fit: looks no further than at the value itself.
fn is_of_kind(shapes: &Shapes, shape: &Shape, value: &Value) -> bool {
    match shape {
        Shape::Null => value.is_null(),
        Shape::Boolean => value.is_boolean(),
        Shape::Int | Shape::Long => value.is_number(),
        Shape::Float | Shape::Double => value.is_number() || value.as_str().is_some_and(is_no_number),
        Shape::Bytes | Shape::String => value.is_string(),
        Shape::Array(_) => value.is_array(),
        Shape::Map(_) => value.is_object(),
        Shape::Union(_) => true,
        Shape::Named(number) => match &shapes.named(*number).definition {
            Definition::Record(_) => value.is_object(),
            Definition::Enum(_) | Definition::Fixed(_) => value.is_string(),
        },
    }
}

/// A value in words: itself, where it is short.
fn shown(value: &Value) -> String {
    if_short(value, SHOWN_BYTES).unwrap_or_else(|| {
        let kind = match value {
            Value::Object(_) => "the object",
            Value::Array(_) => "the array",
            Value::String(_) => "the text",
            _ => "the value",
        };
        kind.to_owned()
    })
}

fn is_no_number(word: &str) -> bool {
    ["NaN", "Infinity", "-Infinity"].contains(&word)
}

/// How many bytes a text stands for, each written as the character of its number; `None` where it does not stand for bytes.
fn bytes(text: &str) -> Option<usize> {
    text.chars().all(|character| u32::from(character) <= 0xFF).then(|| text.chars().count())
}

fn only_member(value: &Value) -> Option<(&str, &Value)> {
    let members = value.as_object()?;
    members.iter().next().filter(|_| members.len() == 1).map(|(name, value)| (name.as_str(), value))
}
