//! What a token may be good for.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What a token may be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Appending events, importing them, closing streams
    Append,
    /// Reading events and read models
    Read,
    /// Deploying components, and what operators ask of releases
    Deploy,
    /// Everything, tokens included
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Append, Self::Read, Self::Deploy, Self::Admin];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Read => "read",
            Self::Deploy => "deploy",
            Self::Admin => "admin",
        }
    }
}
