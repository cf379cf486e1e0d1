//! What a release is to change, before anything is built of it.

use serde::{Deserialize, Serialize};

/// What is to be expected of a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {}
