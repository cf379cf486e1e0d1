use super::{Error, names};
use rusqlite::Connection;

/// Which events of the log are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Filter {
    /// Every event.
    #[default]
    All,
    /// Those of any of these types or categories.
    AnyOf {
        /// Types, by name.
        types: Vec<String>,
        /// Categories, by name.
        categories: Vec<String>,
    },
    /// Those that agree with each list that is not empty.
    AllOf {
        /// Types, by name.
        types: Vec<String>,
        /// Categories, by name.
        categories: Vec<String>,
        /// Modules, by name.
        modules: Vec<String>,
    },
}

/// A filter in the log's numbers, as of now: a name that never came up yet has none, and matches nothing.
pub(super) struct Numbered {
    /// Whether one list that matches is enough.
    any: bool,
    types: Option<Vec<i64>>,
    categories: Option<Vec<i64>>,
    modules: Option<Vec<i64>>,
}

/// A list of positions that an index holds: everything that a filter wants stands in one of its lists.
pub(super) enum Listed {
    Type(i64),
    Category(i64),
}

impl Filter {
    /// Whether an event of this type, category and module is wanted.
    #[must_use]
    pub fn wants(&self, event_type: &str, category: &str, module: &str) -> bool {
        let among = |names: &[String], name: &str| names.iter().any(|known| known == name);
        let unless_empty = |names: &[String], name: &str| names.is_empty() || among(names, name);
        match self {
            Self::All => true,
            Self::AnyOf { types, categories } => among(types, event_type) || among(categories, category),
            Self::AllOf { types, categories, modules } => {
                unless_empty(types, event_type) && unless_empty(categories, category) && unless_empty(modules, module)
            }
        }
    }

    pub(super) fn numbered(&self, connection: &Connection) -> Result<Numbered, Error> {
        let numbers = |names: &[String]| -> Result<Option<Vec<i64>>, Error> {
            let mut numbers = Vec::with_capacity(names.len());
            for name in names {
                numbers.extend(names::find(connection, name)?);
            }
            Ok(Some(numbers))
        };
        let unless_empty = |names: &[String]| if names.is_empty() { Ok(None) } else { numbers(names) };
        Ok(match self {
            Self::All => Numbered { any: false, types: None, categories: None, modules: None },
            Self::AnyOf { types, categories } => {
                Numbered { any: true, types: numbers(types)?, categories: numbers(categories)?, modules: None }
            }
            Self::AllOf { types, categories, modules } => Numbered {
                any: false,
                types: unless_empty(types)?,
                categories: unless_empty(categories)?,
                modules: unless_empty(modules)?,
            },
        })
    }
}

impl Numbered {
    pub(super) fn wants(&self, event_type: i64, category: i64, module: i64) -> bool {
        let in_list = |list: &Option<Vec<i64>>, number| list.as_ref().map(|list| list.contains(&number));
        let verdicts =
            [in_list(&self.types, event_type), in_list(&self.categories, category), in_list(&self.modules, module)];
        let mut verdicts = verdicts.into_iter().flatten();
        if self.any { verdicts.any(|wanted| wanted) } else { verdicts.all(|wanted| wanted) }
    }

    /// The lists that together hold everything wanted, or `None` where only the whole log does.
    pub(super) fn lists(&self) -> Option<Vec<Listed>> {
        let types = || self.types.iter().flatten().copied().map(Listed::Type);
        let categories = || self.categories.iter().flatten().copied().map(Listed::Category);
        match (self.any, &self.types, &self.categories) {
            (true, ..) => Some(types().chain(categories()).collect()),
            (false, Some(_), _) => Some(types().collect()),
            (false, None, Some(_)) => Some(categories().collect()),
            (false, None, None) => None,
        }
    }
}
