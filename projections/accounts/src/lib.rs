//! The accounts of users: who they are, and whether they may come in.
//!
//! It handles the current version of each event type only. Events of older versions come through the upcaster `accounts-v1`; one of
//! a version that nobody leads here is set aside with its reason, and so are the later ones of the same user, until there is an
//! upcaster or a release that handles it.

use laterna_sdk::prelude::*;
use serde::Deserialize;

/// The projection.
#[derive(Default)]
pub struct Accounts;

// Named as the events are.
#[allow(clippy::enum_variant_names)]
#[derive(Deserialize)]
enum Users {
    UserCreated { user_id: String, first_name: String, last_name: String, email: String },
    UserRenamed { user_id: String, first_name: String, last_name: String },
    UserEmailChanged { user_id: String, email: String },
    UserDeactivated { user_id: String },
}

#[derive(Row, Clone)]
#[row(table = "accounts", index(email))]
struct Account {
    #[row(key)]
    user_id: String,
    first_name: String,
    last_name: String,
    email: String,
    active: bool,
}

impl Projection for Accounts {
    fn manifest() -> Manifest {
        Manifest::new("accounts", env!("CARGO_PKG_VERSION"))
            .describe("The accounts of users: who they are, and whether they may come in.")
            .consume_version("UserCreated", 2, "opens the account")
            .consume_version("UserRenamed", 2, "the names")
            .consume_type("UserEmailChanged", "the address")
            .consume_type("UserDeactivated", "closes the account")
            .park()
            .table::<Account>()
            .query(
                NamedQuery::sql("by_email", "SELECT * FROM accounts WHERE email = lower(:email) ORDER BY user_id")
                    .describe("The accounts with an address, however it is written.")
                    .required("email", ParameterType::Text, "the address"),
            )
    }

    fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
        match event.decode()? {
            Users::UserCreated { user_id, first_name, last_name, email } => {
                let email = email.to_lowercase();
                store.table().insert(Account { user_id, first_name, last_name, email, active: true })
            }
            Users::UserRenamed { user_id, first_name, last_name } => change(store, &user_id, |account| {
                account.first_name = first_name;
                account.last_name = last_name;
            }),
            Users::UserEmailChanged { user_id, email } => {
                change(store, &user_id, |account| account.email = email.to_lowercase())
            }
            Users::UserDeactivated { user_id } => change(store, &user_id, |account| account.active = false),
        }
    }
}

/// Changes an account, which must be there.
fn change(store: &Store, user_id: &str, change: impl FnOnce(&mut Account)) -> Result<()> {
    match store.table().update(user_id, change)? {
        true => Ok(()),
        false => Err(Error::new(format_args!("there is no user `{user_id}`"))),
    }
}

laterna_sdk::export!(Accounts);
