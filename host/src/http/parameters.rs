//! What a request says in its address: parameters of the URL, each taken once, none ignored.

use super::problem::{Code, Problem};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::convert::Infallible;
use std::str::FromStr;
use std::time::Duration;

/// How long it is waited where nobody says.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The parameters of a URL. Each is taken by who knows it; what is left in the end is an error.
#[derive(Debug, Clone)]
pub struct Parameters {
    left: Vec<(String, String)>,
    /// The names that were asked for, as they are told.
    known: String,
}

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self { left: form_urlencoded::parse(query.as_bytes()).into_owned().collect(), known: String::new() })
    }
}

impl Parameters {
    /// Parameters that were taken apart already.
    #[must_use]
    pub fn of(left: Vec<(String, String)>) -> Self {
        Self { left, known: String::new() }
    }

    /// Takes a parameter, if it is there.
    ///
    /// # Errors
    /// It is there twice.
    pub fn take(&mut self, name: &str) -> Result<Option<String>, Problem> {
        if !self.known.is_empty() {
            self.known.push_str(", ");
        }
        self.known.push_str(name);
        let mut found = None;
        let mut twice = false;
        self.left.retain_mut(|(key, value)| {
            if key != name {
                return true;
            }
            twice |= found.replace(std::mem::take(value)).is_some();
            false
        });
        if twice {
            return Err(
                Problem::new(Code::BadParameter, format!("`{name}` stands twice in the URL")).with("parameter", name)
            );
        }
        Ok(found)
    }

    /// Takes the first parameter of this name, if it is there.
    pub fn take_first(&mut self, name: &str) -> Option<String> {
        let place = self.left.iter().position(|(key, _)| key == name)?;
        Some(self.left.remove(place).1)
    }

    /// Takes a parameter as a `T`, if it is there.
    ///
    /// # Errors
    /// It is there twice, or is not a `T`; `expected` says what it should be.
    pub fn take_as<T: FromStr>(&mut self, name: &str, expected: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.take(name)? else {
            return Ok(None);
        };
        match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(unfit(name, &text, expected)),
        }
    }

    /// Takes a list with commas between; empty if it is not there.
    ///
    /// # Errors
    /// It is there twice.
    pub fn take_list(&mut self, name: &str) -> Result<Vec<String>, Problem> {
        let list = self.take(name)?.unwrap_or_default();
        Ok(list.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }

    /// Takes a page's `limit`: 100 if it is not there, and `most` at most.
    ///
    /// # Errors
    /// It is not a number from 1 to `most`.
    pub fn take_limit(&mut self, most: usize) -> Result<usize, Problem> {
        let expected = format!("a number from 1 to {most}");
        match self.take_as::<usize>("limit", &expected)? {
            None => Ok(most.min(100)),
            Some(limit) if (1..=most).contains(&limit) => Ok(limit),
            Some(limit) => Err(unfit("limit", &limit.to_string(), &expected)),
        }
    }

    /// Takes a span of time: `5`, `5s` or `250ms`.
    ///
    /// # Errors
    /// It is something else.
    pub fn take_time(&mut self, name: &str) -> Result<Option<Duration>, Problem> {
        let Some(text) = self.take(name)? else {
            return Ok(None);
        };
        let (number, unit) = match text.strip_suffix("ms") {
            Some(number) => (number, 0.001),
            None => (text.strip_suffix('s').unwrap_or(&text), 1.0),
        };
        let seconds = number.parse::<f64>().ok().map(|number| number * unit);
        let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        time.map(Some).ok_or_else(|| unfit(name, &text, "seconds, such as `5`, or `250ms`"))
    }

    /// Takes `timeout`: how long it is waited, so long at most.
    ///
    /// # Errors
    /// It is no time.
    pub fn take_timeout(&mut self, most: Duration) -> Result<Duration, Problem> {
        Ok(self.take_time("timeout")?.unwrap_or(TIMEOUT).min(most))
    }

    /// Takes whatever is left.
    #[must_use]
    pub fn take_rest(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.left)
    }

    /// Makes sure that nothing is left.
    ///
    /// # Errors
    /// Something is: nobody knows it.
    pub fn finish(self) -> Result<(), Problem> {
        match self.left.first() {
            None => Ok(()),
            Some((name, _)) => {
                let known = if self.known.is_empty() { "none" } else { &self.known };
                let detail = format!("there is no parameter `{name}` here; there are: {known}");
                Err(Problem::new(Code::BadParameter, detail).with("parameter", name.as_str()))
            }
        }
    }
}

/// A parameter whose value is not as it should be.
pub fn unfit(name: &str, value: &str, expected: &str) -> Problem {
    let value: String = value.chars().take(100).collect();
    Problem::new(Code::BadParameter, format!("`{name}` is `{value}`; it should be {expected}")).with("parameter", name)
}
