//! Functions of SQLite whose time grows with the product of their arguments' sizes. SQLite runs each call within one step of its machine,
//! where nothing can end it; so what would take too long is not begun.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error};
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};

/// The functions, each with how many arguments it takes there.
const PRODUCTS: &[(&str, i32)] = &[("instr", 2), ("replace", 3), ("trim", 2), ("ltrim", 2), ("rtrim", 2), ("unhex", 2)];

/// Bytes of the first argument times bytes of the second: about a hundredth of a second.
const MOST: usize = 1 << 26;

/// Lets these functions do on a connection what SQLite's own do, unless it would take too long.
pub(super) fn bound(connection: &Connection) -> Result<(), Error> {
    for (name, arguments) in PRODUCTS {
        // SQLite's own cannot be called by whoever takes their place; on a connection of its own they can.
        let own: Mutex<Option<Connection>> = Mutex::new(None);
        let sql = match arguments {
            2 => format!("SELECT {name}(?1, ?2)"),
            _ => format!("SELECT {name}(?1, ?2, ?3)"),
        };
        let call = AssertUnwindSafe((own, sql));
        let function = move |context: &Context<'_>| {
            let (own, sql) = &*call;
            let (one, other) = (size(context.get_raw(0)), size(context.get_raw(1)));
            if one.saturating_mul(other) > MOST {
                let what = format!("{name} of {one} and {other} bytes would take too long");
                return Err(Error::UserFunctionError(what.into()));
            }
            let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
            let own = match &mut *own {
                Some(own) => own,
                none => none.insert(Connection::open_in_memory()?),
            };
            let arguments = (0..context.len()).map(|index| Value::try_from(context.get_raw(index)));
            let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
            own.prepare_cached(sql)?.query_one(rusqlite::params_from_iter(arguments), |row| row.get::<_, Value>(0))
        };
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
        connection.create_scalar_function(*name, *arguments, flags, function)?;
    }
    Ok(())
}

fn size(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => 24,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    #[test]
    fn they_answer_what_sqlite_answers() {
        let (bounded, own) =
            (Connection::open_in_memory().expect("SQLite"), Connection::open_in_memory().expect("SQLite"));
        bound(&bounded).expect("the functions");
        let values = [
            "NULL",
            "''",
            "'abcabc'",
            "'bc'",
            "'ä€𝄞'",
            "'€'",
            "12",
            "-1.5",
            "1e300",
            "x'6162'",
            "x'62'",
            "'6A-6b'",
            "'-'",
        ];
        let mut asked = 0;
        for (name, arguments) in PRODUCTS {
            for one in values {
                for other in values {
                    let third = if *arguments == 3 { ", 'ü'" } else { "" };
                    let sql = format!("SELECT typeof({name}({one}, {other}{third})), {name}({one}, {other}{third})");
                    let answer = |connection: &Connection| {
                        connection
                            .query_one(&sql, [], |row| Ok((row.get::<_, Value>(0)?, row.get::<_, Value>(1)?)))
                            .ok()
                    };
                    assert_eq!(answer(&bounded), answer(&own), "{sql}");
                    asked += 1;
                }
            }
        }
        assert_eq!(asked, 6 * 13 * 13);
    }

    #[test]
    fn what_would_take_too_long_is_not_begun() {
        let connection = Connection::open_in_memory().expect("SQLite");
        bound(&connection).expect("the functions");
        for (name, arguments) in PRODUCTS {
            let third = if *arguments == 3 { ", ''" } else { "" };
            let sql =
                format!("SELECT {name}(printf('%.*c', 2000000, 'a'), printf('%.*c', 1000000, 'a') || 'b'{third})");
            let refused = connection.query_one(&sql, [], |_| Ok(())).expect_err("it would take minutes").to_string();
            assert_eq!(refused, format!("{name} of 2000000 and 1000001 bytes would take too long"));
        }
    }
}
