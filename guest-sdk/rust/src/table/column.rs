//! What can stand in a column.

use crate::value::{Cell, FromCell, Parameter, Value, kind};
use crate::{Error, Result};
use std::borrow::Cow;

/// What can be a column of a typed table: integers, `bool`, `f64`, `String`, `Cow<'static, str>`, `Vec<u8>`, and an `Option`
/// of each. Implement it for a type of your own by way of one of these.
///
/// ```
/// use laterna_sdk::{Cell, Column, Result, Value};
///
/// #[derive(Clone, Copy, PartialEq, Debug)]
/// enum Status { Placed, Paid }
///
/// impl Column for Status {
///     const SQL_TYPE: &'static str = "TEXT";
///     const SQL_DEFAULT: &'static str = " DEFAULT 'placed'";
///
///     fn cell(&self) -> Cell<'_> {
///         Cell::Text(match self { Self::Placed => "placed", Self::Paid => "paid" })
///     }
///
///     fn from_cell(value: Value) -> Result<Self> {
///         let text: String = Column::from_cell(value)?;
///         Ok(if text == "paid" { Self::Paid } else { Self::Placed })
///     }
/// }
/// assert_eq!(Status::from_cell(Value::Text("paid".into()))?, Status::Paid);
/// // What is put is made what it will be once it was stored and read again.
/// assert_eq!(Status::Paid.settle()?, "paid".len() + 9);
/// # Ok::<(), laterna_sdk::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a column",
    label = "not a column's type",
    note = "columns are integers, `bool`, `f64`, `String`, `Vec<u8>`, `Option` of each, or what implements `laterna_sdk::Column`"
)]
pub trait Column: Sized {
    /// SQLite's name for it: `INTEGER`, `REAL`, `TEXT` or `BLOB`.
    const SQL_TYPE: &'static str;
    /// ` NOT NULL`, or nothing.
    const SQL_NULL: &'static str = " NOT NULL";
    /// The clause that goes with `#[row(default)]`: that of the type's own default.
    const SQL_DEFAULT: &'static str;

    /// The cell that SQLite sees.
    fn cell(&self) -> Cell<'_>;

    /// Takes a cell.
    ///
    /// # Errors
    /// It is not of this type.
    fn from_cell(value: Value) -> Result<Self>;

    /// Makes it what it will be once it was stored and read again, and answers the bytes that it takes.
    ///
    /// # Errors
    /// It cannot be stored: its cell is not of [`SQL_TYPE`](Self::SQL_TYPE), is NULL where it must not be, or NaN; or it does not come
    /// back from the cell that it went into.
    fn settle(&mut self) -> Result<usize> {
        let stored = stored::<Self>(self.cell())?;
        *self = Self::from_cell(stored.clone())?;
        if !is_same(&stored, &self.cell()) {
            return Err(Error::new("it does not come back from the cell that it went into"));
        }
        Ok(bytes_of(&self.cell()))
    }
}

/// What SQLite makes of a cell in a column.
fn stored<C: Column>(cell: Cell<'_>) -> Result<Value> {
    let is_of_type = match cell {
        Cell::Null => C::SQL_NULL.is_empty(),
        Cell::Integer(_) => C::SQL_TYPE == "INTEGER",
        Cell::Real(_) => C::SQL_TYPE == "REAL",
        Cell::Text(_) => C::SQL_TYPE == "TEXT",
        Cell::Blob(_) => C::SQL_TYPE == "BLOB",
    };
    if !is_of_type {
        let null = if C::SQL_NULL.is_empty() { " or NULL" } else { "" };
        return Err(Error::new(format_args!(
            "its cell is {}, and the column holds {}{null}",
            kind(&cell),
            C::SQL_TYPE
        )));
    }
    Ok(match cell {
        Cell::Null => Value::Null,
        Cell::Integer(integer) => Value::Integer(integer),
        Cell::Real(mut real) => {
            real.settle()?;
            Value::Real(real)
        }
        Cell::Text(text) => Value::Text(text.into()),
        Cell::Blob(blob) => Value::Blob(blob.into()),
    })
}

fn is_same(stored: &Value, cell: &Cell<'_>) -> bool {
    match (stored, cell) {
        (Value::Null, Cell::Null) => true,
        (Value::Integer(stored), Cell::Integer(integer)) => stored == integer,
        (Value::Real(stored), Cell::Real(real)) => stored.to_bits() == real.to_bits(),
        (Value::Text(stored), Cell::Text(text)) => stored == text,
        (Value::Blob(stored), Cell::Blob(blob)) => stored == blob,
        _ => false,
    }
}

fn bytes_of(cell: &Cell<'_>) -> usize {
    match cell {
        Cell::Null | Cell::Integer(_) | Cell::Real(_) => 9,
        Cell::Text(text) => text.len() + 9,
        Cell::Blob(blob) => blob.len() + 9,
    }
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Column for $integer {
            const SQL_TYPE: &'static str = "INTEGER";
            const SQL_DEFAULT: &'static str = " DEFAULT 0";

            fn cell(&self) -> Cell<'_> {
                // `settle` refuses what does not fit.
                Cell::Integer(*self as i64)
            }

            fn from_cell(value: Value) -> Result<Self> {
                let integer = <i64 as FromCell>::from_cell(value)?;
                Self::try_from(integer).map_err(|_| Error::new(format_args!("{integer} is out of range")))
            }

            fn settle(&mut self) -> Result<usize> {
                match i64::try_from(*self) {
                    Ok(_) => Ok(9),
                    Err(_) => Err(Error::new(format_args!("{self} is more than SQLite's integers hold"))),
                }
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, u8, u16, u32, u64);

impl Column for bool {
    const SQL_TYPE: &'static str = "INTEGER";
    const SQL_DEFAULT: &'static str = " DEFAULT 0";

    fn cell(&self) -> Cell<'_> {
        Parameter::cell(self)
    }

    fn from_cell(value: Value) -> Result<Self> {
        FromCell::from_cell(value)
    }
}

impl Column for f64 {
    const SQL_TYPE: &'static str = "REAL";
    const SQL_DEFAULT: &'static str = " DEFAULT 0.0";

    fn cell(&self) -> Cell<'_> {
        Cell::Real(*self)
    }

    fn from_cell(value: Value) -> Result<Self> {
        FromCell::from_cell(value)
    }

    fn settle(&mut self) -> Result<usize> {
        if self.is_nan() {
            return Err(Error::new("it is not a number (NaN), which SQLite takes for NULL"));
        }
        // SQLite keeps no negative zero.
        *self += 0.0;
        Ok(9)
    }
}

macro_rules! texts {
    ($($text:ty),*) => {$(
        impl Column for $text {
            const SQL_TYPE: &'static str = "TEXT";
            const SQL_DEFAULT: &'static str = " DEFAULT ''";

            fn cell(&self) -> Cell<'_> {
                Cell::Text(self)
            }

            fn from_cell(value: Value) -> Result<Self> {
                Ok(<String as FromCell>::from_cell(value)?.into())
            }

            fn settle(&mut self) -> Result<usize> {
                Ok(self.len() + 9)
            }
        }
    )*};
}

texts!(String, Cow<'static, str>);

impl Column for Vec<u8> {
    const SQL_TYPE: &'static str = "BLOB";
    const SQL_DEFAULT: &'static str = " DEFAULT x''";

    fn cell(&self) -> Cell<'_> {
        Cell::Blob(self)
    }

    fn from_cell(value: Value) -> Result<Self> {
        FromCell::from_cell(value)
    }

    fn settle(&mut self) -> Result<usize> {
        Ok(self.len() + 9)
    }
}

impl<T: Column> Column for Option<T> {
    const SQL_TYPE: &'static str = T::SQL_TYPE;
    const SQL_NULL: &'static str = "";
    const SQL_DEFAULT: &'static str = "";

    fn cell(&self) -> Cell<'_> {
        self.as_ref().map_or(Cell::Null, T::cell)
    }

    fn from_cell(value: Value) -> Result<Self> {
        match value {
            Value::Null => Ok(None),
            value => T::from_cell(value).map(Some),
        }
    }

    fn settle(&mut self) -> Result<usize> {
        let Some(value) = self else { return Ok(9) };
        let bytes = value.settle()?;
        // What is NULL by its own cell, an `Option` within, say, comes back as `None`.
        if let Cell::Null = value.cell() {
            *self = None;
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_not_come_back_from_sqlite_is_refused_or_made_what_comes_back() {
        assert!({ f64::NAN }.settle().is_err());
        assert!({ u64::MAX }.settle().is_err());
        let mut zero = -0.0_f64;
        assert!(zero.settle().is_ok());
        assert!(zero.is_sign_positive());
        let mut nothing = Some(None::<i64>);
        assert!(nothing.settle().is_ok());
        assert_eq!(nothing, None);
    }

    /// Whole cents, as an author may write it without a thought for what is cut off.
    #[derive(Debug, PartialEq)]
    struct Cents(f64);

    impl Column for Cents {
        const SQL_TYPE: &'static str = "INTEGER";
        const SQL_DEFAULT: &'static str = " DEFAULT 0";

        fn cell(&self) -> Cell<'_> {
            if self.0.is_infinite() { Cell::Null } else { Cell::Integer(self.0 as i64) }
        }

        fn from_cell(value: Value) -> Result<Self> {
            <i64 as FromCell>::from_cell(value).map(|cents| Self(cents as f64))
        }
    }

    /// One that grows whenever it is read.
    #[derive(Debug)]
    struct Growing(i64);

    impl Column for Growing {
        const SQL_TYPE: &'static str = "INTEGER";
        const SQL_DEFAULT: &'static str = " DEFAULT 0";

        fn cell(&self) -> Cell<'_> {
            Cell::Integer(self.0)
        }

        fn from_cell(value: Value) -> Result<Self> {
            <i64 as FromCell>::from_cell(value).map(|number| Self(number + 1))
        }
    }

    #[test]
    fn a_column_of_an_author_is_what_its_cell_says() {
        let mut cents = Cents(0.4);
        assert!(cents.settle().is_ok());
        assert_eq!(cents, Cents(0.0), "as it comes back at any batch size");
        let said = |outcome: Result<usize>| outcome.map_or_else(|error| error.to_string(), |_| "nothing".to_owned());
        assert_eq!(said(Cents(f64::INFINITY).settle()), "its cell is NULL, and the column holds INTEGER");
        assert_eq!(said(Growing(1).settle()), "it does not come back from the cell that it went into");
    }
}
