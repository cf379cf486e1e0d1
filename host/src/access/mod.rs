//! Who may do what: tokens with their roles and modules, and what a caller may see.
//!
//! It knows nothing of HTTP, and of what is asked only which [`Role`] it takes and which module it belongs to.
//!
//! In reading order:
//! * [`role`]: what a token may be good for
//! * [`caller`]: somebody who asks
//! * [`tokens`]: the tokens, in `control.db`

pub mod caller;
pub mod role;
pub mod tokens;

pub use caller::Caller;
pub use role::Role;
pub use tokens::{Denied, Error, Minted, Token, Tokens};
