//! Tokens: made once, shown once, kept as digests.
//!
//! A token is `laterna_<id>_<secret>`. The id is public; of the secret, 256 random bits, only the BLAKE3 digest is kept. There is
//! nothing to guess or to try out, so a slow digest would protect nothing.

use super::{Caller, Role};
use rusqlite::{Connection, params};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError, RwLock};
use tokio::sync::watch;

/// Beside what is deployed, in the same file.
const TABLE: &str = "
CREATE TABLE IF NOT EXISTS tokens (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    roles TEXT NOT NULL,
    module TEXT,
    note TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// What every token begins with, so that one that leaked is found by those who look for such.
const PREFIX: &str = "laterna";

/// A token as it is listed; what proves it is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Token {
    /// Its public part.
    pub id: String,
    /// What it is good for.
    pub roles: Vec<Role>,
    /// The module that whoever shows it belongs to; `None` for no module.
    pub module: Option<String>,
    /// What its maker wrote to remember it by.
    pub note: String,
    /// When it was made, in microseconds since 1970-01-01T00:00:00Z.
    #[serde(rename = "created_at", serialize_with = "crate::plugin::as_rfc3339")]
    pub created_at_us: i64,
}

/// A token that was just made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Minted {
    /// What is kept of it.
    #[serde(flatten)]
    pub kept: Token,
    /// The token itself. Nobody can show it again.
    pub token: String,
}

/// Why nobody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No token was shown, and one is needed.
    #[error("a token is needed")]
    Missing,
    /// What was shown is no token of this host, or was revoked.
    #[error("this is no token of this host, or it was revoked")]
    Unknown,
}

/// Tokens cannot be made or kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `control.db` cannot be read or written.
    #[error("control.db: {0}")]
    Control(#[from] rusqlite::Error),
    /// `control.db` holds what this version does not understand.
    #[error("control.db: {0}")]
    Record(#[from] serde_json::Error),
    /// The machine has no randomness to give.
    #[error("no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    /// There are as many as there may be.
    #[error("there are {0} tokens; revoke some, or raise `tokens`")]
    TooMany(usize),
}

/// The tokens of a host.
pub struct Tokens {
    connection: Mutex<Connection>,
    /// By id. What is in force stands here; the database has the same.
    known: RwLock<BTreeMap<String, Known>>,
    /// Callers without a token are let in.
    open: bool,
    /// Lets in who can read the data directory; made anew at each start.
    local: Known,
    local_token: String,
    limit: usize,
    /// Counts up with each token that is revoked.
    changed: watch::Sender<u64>,
}

struct Known {
    token: Token,
    digest: blake3::Hash,
}

impl Tokens {
    /// Opens the tokens in `control.db`. With `open`, who shows none is trusted.
    ///
    /// # Errors
    /// The file cannot be read, or there is no randomness.
    pub fn open(control: &Path, open: bool, limit: usize) -> Result<Self, Error> {
        let connection = Connection::open(control)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
        connection.execute_batch(TABLE)?;
        let known = RwLock::new(read(&connection)?);
        let (local, local_token) = mint(vec![Role::Admin], None, String::new())?;
        Ok(Self {
            connection: Mutex::new(connection),
            known,
            open,
            local,
            local_token,
            limit,
            changed: watch::Sender::new(0),
        })
    }

    /// There is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The token of those who can read the data directory: they could read and change everything anyway.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local_token
    }

    fn is_known(&self, id: &str) -> bool {
        id == self.local.token.id || self.known.read().unwrap_or_else(PoisonError::into_inner).contains_key(id)
    }

    /// Waits until the token of a caller is revoked.
    pub async fn revoked(&self, caller: &Caller) {
        let Some(id) = caller.token() else { return std::future::pending().await };
        // What changes from here on is told.
        let mut changed = self.changed.subscribe();
        let is_revoked = changed.wait_for(|_| !self.is_known(id)).await.is_ok();
        if !is_revoked {
            std::future::pending().await
        }
    }

    /// Whether this is the token of those who can read the data directory.
    #[must_use]
    pub fn is_local(&self, caller: &Caller) -> bool {
        caller.token() == Some(&self.local.token.id)
    }

    /// Who asks, by the token that they show, if they show one.
    ///
    /// # Errors
    /// They are not let in.
    pub fn caller(&self, shown: Option<&str>) -> Result<Caller, Denied> {
        let Some(shown) = shown else {
            return if self.open { Ok(Caller::trusted()) } else { Err(Denied::Missing) };
        };
        let mut parts = shown.splitn(3, '_');
        let (Some(PREFIX), Some(id), Some(secret)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Denied::Unknown);
        };
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(id).or((self.local.token.id == id).then_some(&self.local));
        // Digests are compared in a time that does not depend on them.
        let found = found.filter(|known| known.digest == blake3::hash(secret.as_bytes())).ok_or(Denied::Unknown)?;
        Ok(Caller::by(&found.token))
    }

    /// Makes a token.
    ///
    /// # Errors
    /// It cannot be kept, or there are too many.
    pub fn create(&self, roles: Vec<Role>, module: Option<String>, note: String) -> Result<Minted, Error> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if self.known.read().unwrap_or_else(PoisonError::into_inner).len() >= self.limit {
            return Err(Error::TooMany(self.limit));
        }
        let (made, token) = mint(roles, module, note)?;
        let Token { id, roles, module, note, created_at_us } = &made.token;
        connection.execute(
            "INSERT INTO tokens VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![id, made.digest.to_hex().as_str(), serde_json::to_string(roles)?, module, note, created_at_us],
        )?;
        let minted = Minted { kept: made.token.clone(), token };
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), made);
        Ok(minted)
    }

    /// All of them, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Token> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut tokens: Vec<Token> = known.values().map(|known| known.token.clone()).collect();
        tokens.sort_by_key(|token| token.created_at_us);
        tokens
    }

    /// Makes a token good for nothing from now on; answers what it was, or `None` where there is none of this id.
    ///
    /// # Errors
    /// That cannot be recorded; it stays in force.
    pub fn revoke(&self, id: &str) -> Result<Option<Token>, Error> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        connection.execute("DELETE FROM tokens WHERE id = ?1", [id])?;
        let revoked = self.known.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.changed.send_modify(|changes| *changes += 1);
        Ok(revoked.map(|known| known.token))
    }
}

/// A new token with its text.
fn mint(roles: Vec<Role>, module: Option<String>, note: String) -> Result<(Known, String), Error> {
    let (mut id, mut secret) = ([0; 8], [0; 32]);
    getrandom::fill(&mut id)?;
    getrandom::fill(&mut secret)?;
    let (id, secret) = (hexadecimal(&id), hexadecimal(&secret));
    let digest = blake3::hash(secret.as_bytes());
    let text = format!("{PREFIX}_{id}_{secret}");
    let created_at_us = jiff::Timestamp::now().as_microsecond();
    Ok((Known { token: Token { id, roles, module, note, created_at_us }, digest }, text))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn read(connection: &Connection) -> Result<BTreeMap<String, Known>, Error> {
    let mut statement = connection.prepare("SELECT id, digest, roles, module, note, created_at FROM tokens")?;
    let mut rows = statement.query([])?;
    let mut known = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let Ok(digest) = blake3::Hash::from_hex(row.get::<_, String>(1)?) else {
            tracing::warn!(id, "a token's digest cannot be read: nobody is let in by it");
            continue;
        };
        let roles = serde_json::from_str(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?;
        let token = Token { id: id.clone(), roles, module: row.get(3)?, note: row.get(4)?, created_at_us: row.get(5)? };
        known.insert(id, Known { token, digest });
    }
    Ok(known)
}
