//! Users had one name. This brings the events of that time into the shape of today.

use laterna_sdk::prelude::*;
use serde::Deserialize;

/// The upcaster.
pub struct AccountsV1;

#[derive(Deserialize)]
enum Version1 {
    UserCreated { user_id: String, name: String, email: String },
    UserRenamed { user_id: String, name: String },
}

impl Upcaster for AccountsV1 {
    fn manifest() -> UpcasterManifest {
        UpcasterManifest::new("accounts-v1", env!("CARGO_PKG_VERSION"))
            .describe("Users had one name.")
            .step("UserCreated", 1, "the name is split into a first and a last one")
            .step("UserRenamed", 1, "the name is split into a first and a last one")
    }

    fn upcast(event: &Event<'_>) -> Result<Upcast> {
        let data = match event.decode()? {
            Version1::UserCreated { user_id, name, email } => {
                let (first_name, last_name) = split(&name);
                json!({ "user_id": user_id, "first_name": first_name, "last_name": last_name, "email": email })
            }
            Version1::UserRenamed { user_id, name } => {
                let (first_name, last_name) = split(&name);
                json!({ "user_id": user_id, "first_name": first_name, "last_name": last_name })
            }
        };
        Ok(Upcast::To(data))
    }
}

/// The last word is the last name. Who has one word only has no last name.
fn split(name: &str) -> (&str, &str) {
    let name = name.trim();
    name.rsplit_once(char::is_whitespace).map_or((name, ""), |(first, last)| (first.trim_end(), last))
}

laterna_sdk::export_upcaster!(AccountsV1);
