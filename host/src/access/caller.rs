//! Somebody who asks.

use super::{Role, Token};
use crate::log::Sight;
use std::borrow::Cow;

/// Somebody who asks: by a token, or without one where that is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    roles: Cow<'static, [Role]>,
    /// `None` belongs to no module.
    module: Option<String>,
    /// The id of the token that they showed, if they did.
    token: Option<String>,
}

impl Caller {
    /// Somebody whom nobody asked who they are: may do what anybody may.
    #[must_use]
    pub fn anybody() -> Self {
        Self { roles: Cow::Borrowed(&[]), module: None, token: None }
    }

    /// Somebody who needs no token, because the host trusts the machine that it is asked from: may do everything, and belongs to no
    /// module.
    #[must_use]
    pub fn trusted() -> Self {
        Self { roles: Cow::Borrowed(&[Role::Admin]), ..Self::anybody() }
    }

    /// Somebody who showed this token.
    #[must_use]
    pub fn by(token: &Token) -> Self {
        Self { roles: token.roles.clone().into(), module: token.module.clone(), token: Some(token.id.clone()) }
    }

    /// The same, inside this module.
    #[must_use]
    pub fn inside(self, module: &str) -> Self {
        Self { module: Some(module.to_owned()), ..self }
    }

    /// The id of the token that they showed, if they did.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// What they may do.
    #[must_use]
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// Whether one of these roles is theirs.
    #[must_use]
    pub fn has_any(&self, roles: &[Role]) -> bool {
        self.roles.contains(&Role::Admin) || self.roles.iter().any(|role| roles.contains(role))
    }

    /// The module that they belong to, if they do.
    #[must_use]
    pub fn module(&self) -> Option<&str> {
        self.module.as_deref()
    }

    /// What they see of the log.
    #[must_use]
    pub fn sight(&self) -> Sight {
        self.module.clone().map_or(Sight::Outside, Sight::Inside)
    }

    /// Whether what is internal to this module is for them.
    #[must_use]
    pub fn is_inside(&self, module: &str) -> bool {
        self.module.as_deref() == Some(module)
    }

    /// Whether they may deploy and steer components of this module: those of a module only its own.
    #[must_use]
    pub fn may_steer(&self, module: &str) -> bool {
        self.module.as_deref().is_none_or(|own| own == module)
    }
}
