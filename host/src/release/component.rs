//! A file's bytes, checked as a whole: the component, its manifest, its schema and its queries.

use crate::plugin::{Engine, Limits, LoadError, Loaded, NamedQuery, Plugin};
use crate::store::{Asked, Relation, SchemaError, check_schema};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A component that may be deployed.
pub struct Checked {
    /// The component.
    pub component: Loaded,
    /// The tables and views that it makes.
    pub relations: Vec<Relation>,
}

impl Checked {
    /// The component, where it must be a projection.
    ///
    /// # Errors
    /// It is none.
    pub fn projection(self) -> Result<Plugin, RejectError> {
        match self.component {
            Loaded::Plugin(plugin) => Ok(plugin),
            Loaded::Upcaster(_) => Err(LoadError::NoStore.into()),
        }
    }
}

/// Why a file is refused.
#[derive(Debug, thiserror::Error)]
pub enum RejectError {
    /// It is not a component that Laterna runs.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Its schema, or a query over it, is not one that a read model may have.
    #[error("{0}")]
    Schema(#[from] SchemaError),
    /// The file is called otherwise than the component calls itself.
    #[error("it is offered as `{file}`, and the component calls itself `{manifest}`: rename one of them")]
    Name {
        /// The file's stem.
        file: String,
        /// The manifest's name.
        manifest: String,
    },
    /// Nothing can be called so.
    #[error("the file is called `{0}.wasm`: a component's name is a letter, then letters, digits, `-` or `_`")]
    NoName(String),
    /// Two files would be the same component.
    #[error(
        "`{0}` is this component already: a component's name is used once, whatever its module; remove one of the files"
    )]
    Twice(String),
    /// Another upcaster takes the same events.
    #[error(
        "version {version} of {event_type} is brought further by the upcaster `{other}` already: leave the step to one of them"
    )]
    StepTwice {
        /// The type of the events.
        event_type: String,
        /// Their version.
        version: u32,
        /// The other upcaster.
        other: String,
    },
    /// A component of this name is in another world.
    #[error("`{0}` is {1}: remove that one first with `laterna remove {0}`, or call this one otherwise")]
    OtherWorld(String, &'static str),
    /// It is the first release of a process manager, and nobody says to what of the history it reacts.
    #[error(
        "nothing of the process manager `{0}` served before: say whether it reacts to the history, `--from start`, or only to what comes, \
         `--from now`; its manifest may say so, too"
    )]
    NoBeginning(String),
    /// A folder, a pipe or a device lies where a file should.
    #[error("it is not a file: a component is one")]
    NotAFile,
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    File(#[from] std::io::Error),
    /// Its store cannot be made, or it cannot be started.
    #[error("it cannot be started: {0}")]
    Start(String),
}

impl RejectError {
    /// All that [`code`](Self::code) answers.
    pub const CODES: &[&str] = &[
        "component-too-large",
        "not-a-component",
        "foreign-imports",
        "wrong-world",
        "bad-manifest",
        "bad-schema",
        "wrong-name",
        "cannot-start",
        "no-beginning",
    ];

    /// Its stable name, with a page in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Load(LoadError::TooLarge { .. }) => "component-too-large",
            Self::Load(LoadError::NotWasm | LoadError::CoreModule | LoadError::Invalid(_)) | Self::NotAFile => {
                "not-a-component"
            }
            Self::Load(LoadError::Imports(_)) => "foreign-imports",
            Self::Load(LoadError::Exports | LoadError::NoStore | LoadError::Contract(_)) | Self::OtherWorld(..) => {
                "wrong-world"
            }
            Self::Load(LoadError::Describe(_) | LoadError::Manifest(_)) | Self::StepTwice { .. } => "bad-manifest",

            Self::Schema(_) => "bad-schema",
            Self::Name { .. } | Self::NoName(_) | Self::Twice(_) => "wrong-name",
            Self::File(_) | Self::Start(_) => "cannot-start",
            Self::NoBeginning(_) => "no-beginning",
        }
    }
}

/// Reads a component's file, unless it is larger than a component may be.
///
/// # Errors
/// It is, or it cannot be read.
pub fn read(path: &Path, limits: &Limits) -> Result<Vec<u8>, RejectError> {
    let too_large = |bytes: u64| {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        RejectError::from(LoadError::TooLarge { bytes, limit: limits.component_bytes })
    };
    let limit = limits.component_bytes as u64;
    // Looked at before it is opened: a pipe would be waited for.
    let found = std::fs::metadata(path)?;
    if !found.is_file() {
        return Err(RejectError::NotAFile);
    }
    if found.len() > limit {
        return Err(too_large(found.len()));
    }
    let mut bytes = Vec::new();
    // It may be growing.
    match File::open(path)?.take(limit + 1).read_to_end(&mut bytes)? as u64 {
        read if read > limit => Err(too_large(read)),
        _ => Ok(bytes),
    }
}

/// Checks a component that lies in a file called `stem`.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check(engine: &Engine, stem: &str, bytes: &[u8], limits: &Limits) -> Result<Checked, RejectError> {
    let component = Loaded::load(engine, bytes, limits)?;
    if component.name() != stem {
        return Err(RejectError::Name { file: stem.to_owned(), manifest: component.name().to_owned() });
    }
    let relations = match &component {
        Loaded::Plugin(plugin) => {
            let manifest = plugin.manifest();
            let queries: Vec<Asked<'_>> = manifest.queries.iter().filter_map(asked).collect();
            check_schema(&manifest.schema, &manifest.typed_tables, &queries)?
        }
        Loaded::Upcaster(_) => Vec::new(),
    };
    Ok(Checked { component, relations })
}

/// A query as its SQL is checked, if SQL answers it.
fn asked(query: &NamedQuery) -> Option<Asked<'_>> {
    let parameters = query.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    Some(Asked { name: &query.name, sql: query.sql.as_deref()?, parameters })
}
