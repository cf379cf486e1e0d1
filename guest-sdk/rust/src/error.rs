use std::fmt;

/// Why an event cannot be applied, or a query not be answered, in words for people.
///
/// Any error type turns into one with `?`.
///
/// ```
/// use laterna_sdk::{Error, Result};
///
/// fn cents(text: &str) -> Result<i64> {
///     let cents: i64 = text.parse()?;
///     if cents < 0 {
///         return Err(Error::new(format_args!("{cents} cents are less than nothing")));
///     }
///     Ok(cents)
/// }
/// assert_eq!(cents("-5").unwrap_err().to_string(), "-5 cents are less than nothing");
/// ```
pub struct Error(String);

/// The result of a component's own functions.
///
/// ```
/// fn month(at: &str) -> laterna_sdk::Result<&str> {
///     at.get(..7).ok_or_else(|| laterna_sdk::Error::new(format_args!("`{at}` has no month")))
/// }
/// assert_eq!(month("2010-12-01T08:26:00Z")?, "2010-12");
/// # Ok::<(), laterna_sdk::Error>(())
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with this message.
    ///
    /// ```
    /// let error = laterna_sdk::Error::new("an order was paid that nobody placed");
    /// assert_eq!(error.to_string(), "an order was paid that nobody placed");
    /// ```
    pub fn new(message: impl fmt::Display) -> Self {
        Self(message.to_string())
    }
}

// Not a `std::error::Error` itself, or the conversion below would overlap with the reflexive one.
impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
