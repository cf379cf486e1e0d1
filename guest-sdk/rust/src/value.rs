use crate::Error;
use crate::bindings::laterna::plugin::types::{ValueParam, ValueResult};

/// A cell of SQLite: `Null`, `Integer`, `Real`, `Text` or `Blob`.
///
/// ```
/// use laterna_sdk::Value;
///
/// assert!(matches!(Value::from("apple"), Value::Text(text) if text == "apple"));
/// ```
pub type Value = ValueResult;

/// What can stand as one parameter of a statement: integers, `bool`, `f64`, texts, bytes, `Option` of each.
///
/// ```
/// use laterna_sdk::{Cell, Parameter};
///
/// assert!(matches!(Some("apple").cell(), Cell::Text("apple")));
/// assert!(matches!(None::<i64>.cell(), Cell::Null));
/// ```
pub trait Parameter {
    /// The cell that SQLite sees.
    fn cell(&self) -> Cell<'_>;
}

/// A borrowed cell, as [`Value`] is an owned one.
///
/// ```
/// use laterna_sdk::Cell;
///
/// let cell = Cell::Text("apple");
/// assert!(matches!(cell, Cell::Text("apple")));
/// ```
pub type Cell<'a> = ValueParam<'a>;

/// The parameters of one run of a statement: a tuple, a slice or an array of what can stand as a parameter.
///
/// ```
/// use laterna_sdk::Parameters;
///
/// fn takes(_: impl Parameters) {}
/// takes(());
/// takes(("1042", 990, None::<&str>));
/// takes([1, 2, 3]);
/// ```
pub trait Parameters {
    /// Shows them as cells.
    #[doc(hidden)]
    fn push<'a>(&'a self, cells: &mut Vec<Cell<'a>>);

    /// Runs `run` with them as cells.
    #[doc(hidden)]
    fn with<T>(&self, run: impl FnOnce(&[Cell<'_>]) -> T) -> T {
        let mut cells = Vec::with_capacity(16);
        self.push(&mut cells);
        run(&cells)
    }
}

/// Runs `run` with the cells of all items, one after another.
pub(crate) fn with_all<P: Parameters, T>(items: &[P], run: impl FnOnce(&[Cell<'_>]) -> T) -> T {
    let mut cells = Vec::new();
    items.iter().for_each(|item| item.push(&mut cells));
    run(&cells)
}

impl<P: Parameter> Parameters for [P] {
    fn push<'a>(&'a self, cells: &mut Vec<Cell<'a>>) {
        cells.extend(self.iter().map(P::cell));
    }
}

impl<P: Parameter, const N: usize> Parameters for [P; N] {
    fn push<'a>(&'a self, cells: &mut Vec<Cell<'a>>) {
        self.as_slice().push(cells);
    }
}

impl<P: Parameters + ?Sized> Parameters for &P {
    fn push<'a>(&'a self, cells: &mut Vec<Cell<'a>>) {
        (**self).push(cells);
    }
}

impl Parameters for () {
    fn push<'a>(&'a self, _: &mut Vec<Cell<'a>>) {}
}

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<$($name: Parameter),+> Parameters for ($($name,)+) {
            #[allow(non_snake_case)]
            fn push<'a>(&'a self, cells: &mut Vec<Cell<'a>>) {
                let ($($name,)+) = self;
                cells.extend([$($name.cell()),+]);
            }

            #[allow(non_snake_case)]
            fn with<T>(&self, run: impl FnOnce(&[Cell<'_>]) -> T) -> T {
                let ($($name,)+) = self;
                run(&[$($name.cell()),+])
            }
        }

        impl<$($name: FromCell),+> FromRow for ($($name,)+) {
            fn from_row(cells: &mut dyn Iterator<Item = Value>) -> Result<Self, Error> {
                Ok(($($name::from_cell(cells.next().unwrap_or(Value::Null))?,)+))
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);
tuples!(A B C D E F G H I);
tuples!(A B C D E F G H I J);
tuples!(A B C D E F G H I J K);
tuples!(A B C D E F G H I J K L);
tuples!(A B C D E F G H I J K L M);
tuples!(A B C D E F G H I J K L M N);
tuples!(A B C D E F G H I J K L M N O);
tuples!(A B C D E F G H I J K L M N O P);

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Parameter for $integer {
            fn cell(&self) -> Cell<'_> {
                Cell::Integer(i64::from(*self))
            }
        }

        impl FromCell for $integer {
            fn from_cell(value: Value) -> Result<Self, Error> {
                let integer = i64::from_cell(value)?;
                Self::try_from(integer).map_err(|_| Error::new(format_args!("{integer} is out of range")))
            }
        }
    )*};
}

integers!(i8, i16, i32, u8, u16, u32);

impl Parameter for i64 {
    fn cell(&self) -> Cell<'_> {
        Cell::Integer(*self)
    }
}

impl Parameter for bool {
    fn cell(&self) -> Cell<'_> {
        Cell::Integer(i64::from(*self))
    }
}

impl Parameter for f64 {
    fn cell(&self) -> Cell<'_> {
        Cell::Real(*self)
    }
}

impl Parameter for str {
    fn cell(&self) -> Cell<'_> {
        Cell::Text(self)
    }
}

impl Parameter for String {
    fn cell(&self) -> Cell<'_> {
        Cell::Text(self)
    }
}

impl<T: Parameter + ToOwned + ?Sized> Parameter for std::borrow::Cow<'_, T> {
    fn cell(&self) -> Cell<'_> {
        self.as_ref().cell()
    }
}

impl Parameter for [u8] {
    fn cell(&self) -> Cell<'_> {
        Cell::Blob(self)
    }
}

impl Parameter for Vec<u8> {
    fn cell(&self) -> Cell<'_> {
        Cell::Blob(self)
    }
}

impl<T: Parameter + ?Sized> Parameter for &T {
    fn cell(&self) -> Cell<'_> {
        (**self).cell()
    }
}

impl<T: Parameter> Parameter for Option<T> {
    fn cell(&self) -> Cell<'_> {
        self.as_ref().map_or(Cell::Null, T::cell)
    }
}

impl Parameter for Value {
    fn cell(&self) -> Cell<'_> {
        match self {
            Value::Null => Cell::Null,
            Value::Integer(integer) => Cell::Integer(*integer),
            Value::Real(real) => Cell::Real(*real),
            Value::Text(text) => Cell::Text(text),
            Value::Blob(blob) => Cell::Blob(blob),
        }
    }
}

impl From<i64> for Value {
    fn from(integer: i64) -> Self {
        Value::Integer(integer)
    }
}

impl From<i32> for Value {
    fn from(integer: i32) -> Self {
        Value::Integer(integer.into())
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Value::Integer(boolean.into())
    }
}

impl From<f64> for Value {
    fn from(real: f64) -> Self {
        Value::Real(real)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.into())
    }
}

/// A row of a result, read into Rust: a tuple.
///
/// ```
/// # fn example(store: &laterna_sdk::Store) -> laterna_sdk::Result<()> {
/// let rows: Vec<(String, Option<i64>)> = store.query("SELECT name, age FROM customers", ())?;
/// # Ok(()) }
/// ```
pub trait FromRow: Sized {
    /// Takes the row's cells in order.
    ///
    /// # Errors
    /// A cell is not of its Rust type.
    fn from_row(cells: &mut dyn Iterator<Item = Value>) -> Result<Self, Error>;
}

/// A cell of a result, read into Rust. `Option` takes NULL.
///
/// ```
/// use laterna_sdk::{FromCell, Value};
///
/// assert_eq!(i64::from_cell(Value::Integer(3))?, 3);
/// assert_eq!(Option::<i64>::from_cell(Value::Null)?, None);
/// assert!(String::from_cell(Value::Integer(3)).is_err());
/// # Ok::<(), laterna_sdk::Error>(())
/// ```
pub trait FromCell: Sized {
    /// Takes the cell.
    ///
    /// # Errors
    /// It is not of this Rust type.
    fn from_cell(value: Value) -> Result<Self, Error>;
}

/// What a cell is, in words.
pub(crate) fn kind(cell: &Cell<'_>) -> &'static str {
    match cell {
        Cell::Null => "NULL",
        Cell::Integer(_) => "an integer",
        Cell::Real(_) => "a real number",
        Cell::Text(_) => "text",
        Cell::Blob(_) => "a blob",
    }
}

fn mismatch<T>(expected: &str, value: &Value) -> Result<T, Error> {
    Err(Error::new(format_args!("expected {expected}, found {}", kind(&value.cell()))))
}

impl FromCell for Value {
    fn from_cell(value: Value) -> Result<Self, Error> {
        Ok(value)
    }
}

impl FromCell for i64 {
    fn from_cell(value: Value) -> Result<Self, Error> {
        match value {
            Value::Integer(integer) => Ok(integer),
            other => mismatch("an integer", &other),
        }
    }
}

impl FromCell for bool {
    fn from_cell(value: Value) -> Result<Self, Error> {
        i64::from_cell(value).map(|integer| integer != 0)
    }
}

impl FromCell for f64 {
    fn from_cell(value: Value) -> Result<Self, Error> {
        match value {
            Value::Real(real) => Ok(real),
            other => mismatch("a real number", &other),
        }
    }
}

impl FromCell for String {
    fn from_cell(value: Value) -> Result<Self, Error> {
        match value {
            Value::Text(text) => Ok(text),
            other => mismatch("text", &other),
        }
    }
}

impl FromCell for Vec<u8> {
    fn from_cell(value: Value) -> Result<Self, Error> {
        match value {
            Value::Blob(blob) => Ok(blob),
            other => mismatch("a blob", &other),
        }
    }
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(value: Value) -> Result<Self, Error> {
        match value {
            Value::Null => Ok(None),
            value => T::from_cell(value).map(Some),
        }
    }
}
