use super::{Error, names};
use rusqlite::Connection;

/// Which events of the log are wanted, by whom.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// By what they are.
    pub which: Which,
    /// By who may read them.
    pub sight: Sight,
}

/// Which events are wanted, by what they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Which {
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

/// Who reads: an internal event is readable only inside its module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Sight {
    /// Laterna itself, which passes on what it reads only through another filter.
    #[default]
    Everything,
    /// Somebody inside this module: public events, and its internal ones.
    Inside(String),
    /// Somebody who belongs to no module: public events.
    Outside,
}

impl Sight {
    /// Whether an event of this module can be seen.
    #[must_use]
    pub fn sees(&self, internal: bool, module: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Inside(own) => !internal || own == module,
            Self::Outside => !internal,
        }
    }

    /// The module whose internal events are seen, if there is one; `None`: those of all modules.
    pub(super) fn numbered(&self, connection: &Connection) -> Result<Option<Option<i64>>, Error> {
        Ok(match self {
            Self::Everything => None,
            Self::Inside(module) => Some(names::find(connection, module)?),
            Self::Outside => Some(None),
        })
    }
}

/// What a filter looks at in an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind<'a> {
    /// Its type.
    pub event_type: &'a str,
    /// Its stream's category.
    pub category: &'a str,
    /// Its module; empty for none.
    pub module: &'a str,
    /// It is readable only inside its module.
    pub internal: bool,
}

/// A filter in the log's numbers, as of now: a name that never came up yet has none, and matches nothing.
pub(super) struct Numbered {
    /// Whether one list that matches is enough.
    any: bool,
    types: Option<Vec<i64>>,
    categories: Option<Vec<i64>>,
    modules: Option<Vec<i64>>,
    /// As of [`Sight::numbered`].
    seen: Option<Option<i64>>,
}

/// A row's numbers that a filter looks at.
pub(super) struct NumberedKind {
    pub(super) event_type: i64,
    pub(super) category: i64,
    pub(super) module: i64,
    pub(super) internal: bool,
}

/// A list of positions that an index holds: everything that a filter wants stands in one of its lists.
pub(super) enum Listed {
    Type(i64),
    Category(i64),
}

impl Filter {
    /// Whether such an event is wanted.
    #[must_use]
    pub fn wants(&self, kind: &Kind<'_>) -> bool {
        self.sight.sees(kind.internal, kind.module) && self.which.wants(kind)
    }

    pub(super) fn numbered(&self, connection: &Connection) -> Result<Numbered, Error> {
        Ok(Numbered { seen: self.sight.numbered(connection)?, ..self.which.numbered(connection)? })
    }
}

impl Which {
    fn wants(&self, kind: &Kind<'_>) -> bool {
        let among = |names: &[String], name: &str| names.iter().any(|known| known == name);
        let unless_empty = |names: &[String], name: &str| names.is_empty() || among(names, name);
        match self {
            Self::All => true,
            Self::AnyOf { types, categories } => among(types, kind.event_type) || among(categories, kind.category),
            Self::AllOf { types, categories, modules } => {
                unless_empty(types, kind.event_type)
                    && unless_empty(categories, kind.category)
                    && unless_empty(modules, kind.module)
            }
        }
    }

    fn numbered(&self, connection: &Connection) -> Result<Numbered, Error> {
        let numbers = |names: &[String]| -> Result<Option<Vec<i64>>, Error> {
            let mut numbers = Vec::with_capacity(names.len());
            for name in names {
                numbers.extend(names::find(connection, name)?);
            }
            Ok(Some(numbers))
        };
        let unless_empty = |names: &[String]| if names.is_empty() { Ok(None) } else { numbers(names) };
        let everything = Numbered { any: false, types: None, categories: None, modules: None, seen: None };
        Ok(match self {
            Self::All => everything,
            Self::AnyOf { types, categories } => {
                Numbered { any: true, types: numbers(types)?, categories: numbers(categories)?, ..everything }
            }
            Self::AllOf { types, categories, modules } => Numbered {
                types: unless_empty(types)?,
                categories: unless_empty(categories)?,
                modules: unless_empty(modules)?,
                ..everything
            },
        })
    }
}

impl Numbered {
    pub(super) fn wants(&self, kind: &NumberedKind) -> bool {
        let NumberedKind { event_type, category, module, internal } = *kind;
        if internal && self.seen.is_some_and(|seen| seen != Some(module)) {
            return false;
        }
        let in_list = |list: &Option<Vec<i64>>, number| list.as_ref().map(|list| list.contains(&number));
        let verdicts =
            [in_list(&self.types, event_type), in_list(&self.categories, category), in_list(&self.modules, module)];
        let mut verdicts = verdicts.into_iter().flatten();
        if self.any { verdicts.any(|wanted| wanted) } else { verdicts.all(|wanted| wanted) }
    }

    /// Every event is wanted.
    pub(super) fn is_everything(&self) -> bool {
        let Self { any, types, categories, modules, seen } = self;
        !any && types.is_none() && categories.is_none() && modules.is_none() && seen.is_none()
    }

    /// Whether everything in its [`lists`](Self::lists) is wanted.
    pub(super) fn is_listed(&self) -> bool {
        let Self { any, types, categories, modules, seen } = self;
        let one_list = types.is_some() != categories.is_some() && modules.is_none();
        seen.is_none() && (*any || one_list)
    }

    /// The same as [`wants`](Self::wants), as a condition over a row of events.
    pub(super) fn condition(&self) -> String {
        let Self { any, types, categories, modules, seen } = self;
        let in_list = |column: &str, list: &Option<Vec<i64>>| {
            let numbers: Vec<String> = list.as_ref()?.iter().map(i64::to_string).collect();
            Some(format!("{column} IN ({})", numbers.join(", ")))
        };
        let lists = [in_list("type", types), in_list("category", categories), in_list("module", modules)];
        let lists: Vec<String> = lists.into_iter().flatten().collect();
        let (operator, of_none) = if *any { (" OR ", "false") } else { (" AND ", "true") };
        let lists = if lists.is_empty() { of_none.to_owned() } else { lists.join(operator) };
        match seen {
            None => lists,
            Some(None) => format!("NOT internal AND ({lists})"),
            Some(Some(module)) => format!("(NOT internal OR module = {module}) AND ({lists})"),
        }
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
