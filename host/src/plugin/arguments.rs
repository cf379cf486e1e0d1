//! What is said for the parameters of a query, checked.

use super::manifest::{NamedQuery, Parameter, ParameterType};
use rusqlite::types::Value as Cell;

/// Why a query cannot be asked so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// Nothing was said for a parameter that has no default.
    #[error("query `{query}` needs `{parameter}`: {description}")]
    Missing {
        /// The query.
        query: String,
        /// The parameter.
        parameter: String,
        /// What it means.
        description: String,
    },
    /// What was said is not of the parameter's type.
    #[error("`{parameter}` is `{value}`; it should be {expected}")]
    Unfit {
        /// The parameter.
        parameter: String,
        /// What was said, cut short.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// Characters of what was said that are said back.
const SHOWN: usize = 100;

impl NamedQuery {
    /// What a parameter of this query is, by what was said for it, or by its default.
    ///
    /// # Errors
    /// Nothing was said although something must be, or what was said is not of its type.
    pub fn argument(&self, parameter: &Parameter, said: Option<&str>) -> Result<Cell, ArgumentError> {
        let Parameter { name, of_type, default, description } = parameter;
        match (said, default) {
            (Some(text), _) => typed(*of_type, text).map_err(|expected| ArgumentError::Unfit {
                parameter: name.clone(),
                value: text.chars().take(SHOWN).collect(),
                expected,
            }),
            (None, Some(default)) => Ok(default.clone()),
            (None, None) => Err(ArgumentError::Missing {
                query: self.name.clone(),
                parameter: name.clone(),
                description: description.clone(),
            }),
        }
    }
}

/// A text as a value of this type; what it should be, where it is not.
fn typed(of_type: ParameterType, text: &str) -> Result<Cell, &'static str> {
    match of_type {
        ParameterType::Text => Ok(Cell::Text(text.to_owned())),
        ParameterType::Integer => text.parse().map(Cell::Integer).map_err(|_| "an integer"),
        ParameterType::Real => {
            let parsed = text.parse().ok().filter(|real: &f64| real.is_finite());
            parsed.map(Cell::Real).ok_or("a number")
        }
        ParameterType::Boolean => {
            let parsed: Result<bool, _> = text.parse();
            parsed.map(|boolean| Cell::Integer(boolean.into())).map_err(|_| "true or false")
        }
    }
}
