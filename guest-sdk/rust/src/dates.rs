//! Days and moments, without a clock: what an event says of time is all there is of it.
//!
//! [`Date`] and [`Timestamp`] are [jiff](https://docs.rs/jiff)'s, where more is to be found. In a table they stand as text, which is
//! in the order of time where it is written like this: `day.to_string()`. In an event or a state they are fields like others, with serde.
//!
//! ```
//! use laterna_sdk::dates::{self, Date};
//!
//! let day: Date = "2010-12-01".parse()?;
//! assert_eq!(dates::month(day), "2010-12");
//! assert_eq!(day.tomorrow()?.to_string(), "2010-12-02");
//! # Ok::<(), laterna_sdk::Error>(())
//! ```

pub use jiff::civil::{Date, Weekday};
pub use jiff::{SignedDuration, Span, Timestamp, ToSpan};

/// The month of a day, `2010-12`.
///
/// ```
/// use laterna_sdk::dates::{Date, month};
///
/// assert_eq!(month(Date::constant(2010, 12, 1)), "2010-12");
/// ```
pub fn month(day: Date) -> String {
    format!("{:04}-{:02}", day.year(), day.month())
}

/// The week of a day by ISO 8601, `2010-W48`: it begins on Monday, and belongs to the year of its Thursday.
///
/// ```
/// use laterna_sdk::dates::{Date, week};
///
/// assert_eq!(week(Date::constant(2011, 1, 1)), "2010-W52");
/// ```
pub fn week(day: Date) -> String {
    let week = day.iso_week_date();
    format!("{:04}-W{:02}", week.year(), week.week())
}

/// Whole days from one day to another; negative where the other comes before it.
///
/// ```
/// use laterna_sdk::dates::{Date, days_between};
///
/// assert_eq!(days_between(Date::constant(2012, 2, 28), Date::constant(2012, 3, 1)), 2);
/// ```
pub fn days_between(from: Date, to: Date) -> i64 {
    from.duration_until(to).as_hours() / 24
}

/// How old somebody is on a day: whole years since the birth. Who was born on 29 February grows older on 1 March of other years.
///
/// ```
/// use laterna_sdk::dates::{Date, age};
///
/// let birth = Date::constant(2004, 2, 29);
/// assert_eq!(age(birth, Date::constant(2011, 2, 28)), 6);
/// assert_eq!(age(birth, Date::constant(2011, 3, 1)), 7);
/// ```
pub fn age(birth: Date, on: Date) -> i64 {
    let years = i64::from(on.year()) - i64::from(birth.year());
    let had_birthday = (on.month(), on.day()) >= (birth.month(), birth.day());
    if had_birthday { years } else { years - 1 }
}
