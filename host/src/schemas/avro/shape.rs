use apache_avro::Schema;
use apache_avro::schema::{DecimalSchema, InnerDecimalSchema, Name, NamespaceRef, RecordField, UuidSchema};
use std::collections::HashMap;

/// A schema, as far as data is compared with it: no names to be looked up, and a logical type is the type that it is written as.
pub(super) struct Shapes {
    pub(super) root: Shape,
    /// What has a name, and may be referred to from anywhere, itself included.
    named: Vec<Named>,
}

/// What a value must be.
pub(super) enum Shape {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Array(Box<Shape>),
    Map(Box<Shape>),
    Union(Vec<Shape>),
    /// The one at this place among those with names.
    Named(usize),
}

/// A type with a name.
pub(super) struct Named {
    /// Its full name.
    pub(super) name: String,
    pub(super) definition: Definition,
}

pub(super) enum Definition {
    Record(Vec<Field>),
    Enum(Vec<String>),
    Fixed(usize),
}

/// A field of a record.
pub(super) struct Field {
    pub(super) name: String,
    pub(super) has_default: bool,
    pub(super) shape: Shape,
}

impl Shapes {
    /// # Errors
    /// It refers to a name that it does not define.
    pub(super) fn of(schema: &Schema) -> Result<Self, String> {
        let mut reading = Reading { numbers: HashMap::new(), named: Vec::new() };
        let root = reading.shape(schema, None)?;
        Ok(Self { root, named: reading.named })
    }

    /// What has this number.
    pub(super) fn named(&self, number: usize) -> &Named {
        &self.named[number]
    }

    /// What people and Avro's JSON encoding call a shape.
    pub(super) fn name<'s>(&'s self, shape: &'s Shape) -> &'s str {
        match shape {
            Shape::Null => "null",
            Shape::Boolean => "boolean",
            Shape::Int => "int",
            Shape::Long => "long",
            Shape::Float => "float",
            Shape::Double => "double",
            Shape::Bytes => "bytes",
            Shape::String => "string",
            Shape::Array(_) => "array",
            Shape::Map(_) => "map",
            Shape::Union(_) => "union",
            Shape::Named(number) => &self.named(*number).name,
        }
    }
}

struct Reading {
    numbers: HashMap<Name, usize>,
    named: Vec<Named>,
}

impl Reading {
    /// The schema's own nesting is that of a JSON file, which is bounded.
    fn shape(&mut self, schema: &Schema, namespace: NamespaceRef<'_>) -> Result<Shape, String> {
        Ok(match schema {
            Schema::Null => Shape::Null,
            Schema::Boolean => Shape::Boolean,
            Schema::Int | Schema::Date | Schema::TimeMillis => Shape::Int,
            Schema::Long
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => Shape::Long,
            Schema::Float => Shape::Float,
            Schema::Double => Shape::Double,
            Schema::Bytes
            | Schema::BigDecimal
            | Schema::Uuid(UuidSchema::Bytes)
            | Schema::Decimal(DecimalSchema { inner: InnerDecimalSchema::Bytes, .. }) => Shape::Bytes,
            Schema::String | Schema::Uuid(UuidSchema::String) => Shape::String,
            Schema::Array(array) => Shape::Array(Box::new(self.shape(&array.items, namespace)?)),
            Schema::Map(map) => Shape::Map(Box::new(self.shape(&map.types, namespace)?)),
            Schema::Union(union) => {
                let branches = union.variants().iter().map(|branch| self.shape(branch, namespace));
                Shape::Union(branches.collect::<Result<_, _>>()?)
            }
            Schema::Record(record) => {
                let (number, name) = self.define(&record.name, namespace, Definition::Record(Vec::new()));
                let fields = record.fields.iter().map(|field| self.field(field, name.namespace()));
                self.named[number].definition = Definition::Record(fields.collect::<Result<_, _>>()?);
                Shape::Named(number)
            }
            Schema::Enum(symbols) => {
                let definition = Definition::Enum(symbols.symbols.clone());
                Shape::Named(self.define(&symbols.name, namespace, definition).0)
            }
            Schema::Fixed(fixed)
            | Schema::Duration(fixed)
            | Schema::Uuid(UuidSchema::Fixed(fixed))
            | Schema::Decimal(DecimalSchema { inner: InnerDecimalSchema::Fixed(fixed), .. }) => {
                Shape::Named(self.define(&fixed.name, namespace, Definition::Fixed(fixed.size)).0)
            }
            Schema::Ref { name } => {
                let name = name.fully_qualified_name(namespace);
                let number = self.numbers.get(name.as_ref()).copied();
                Shape::Named(number.ok_or_else(|| format!("it does not define `{}`", name.fullname(None)))?)
            }
        })
    }

    fn field(&mut self, field: &RecordField, namespace: NamespaceRef<'_>) -> Result<Field, String> {
        let shape = self.shape(&field.schema, namespace)?;
        Ok(Field { name: field.name.clone(), has_default: field.default.is_some(), shape })
    }

    /// Gives a name its number, before anything refers to it.
    fn define(&mut self, name: &Name, namespace: NamespaceRef<'_>, definition: Definition) -> (usize, Name) {
        let name = name.fully_qualified_name(namespace).into_owned();
        let number = self.named.len();
        self.named.push(Named { name: name.fullname(None), definition });
        self.numbers.insert(name.clone(), number);
        (number, name)
    }
}
