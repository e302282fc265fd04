use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::convert::{json, ms, plain, time};
use super::{Page, Result};

/// Something that somebody, or Farmwatch itself, did or decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewAudit {
    /// When.
    pub at: Timestamp,
    /// A user's name, or `farmwatch`.
    pub actor: String,
    /// One word for programs: `isolate`, `release`, `quarantine_decision`, `enrol`, `conflict`, `login`, …
    pub action: String,
    /// On what: an id.
    pub object: String,
    /// Why and with what result, in a sentence.
    pub why: String,
}

/// An entry as stored: each carries the hash of the one before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditEntry {
    /// Its number, from 1, without gaps.
    pub number: i64,
    /// What happened.
    #[serde(flatten)]
    pub entry: NewAudit,
    /// SHA-256 over the hash before and this entry's JSON, hex.
    pub hash: String,
}

/// The audit: append-only.
#[async_trait]
pub trait Audit {
    /// Adds an entry.
    async fn audit(&self, entry: NewAudit) -> Result<()>;
    /// Entries, newest first, about one object if named.
    async fn audit_entries(&self, object: Option<&str>, page: &Page) -> Result<Vec<AuditEntry>>;
    /// How many entries of an action by an actor are not older than `since`: what caps are counted from.
    async fn audit_count(&self, action: &str, actor: &str, since: Timestamp) -> Result<u64>;
    /// Walks the chain; the number of the first entry that does not fit, if any.
    async fn audit_check(&self) -> Result<Option<i64>>;
}

impl NewAudit {
    /// As both databases keep it, and as it is hashed: to the millisecond, and without what PostgreSQL cannot keep, so that
    /// the chain can move from one to the other.
    pub fn as_kept(&self) -> Result<Self> {
        Ok(Self {
            at: time(ms(self.at))?,
            actor: plain(&self.actor),
            action: plain(&self.action),
            object: plain(&self.object),
            why: plain(&self.why),
        })
    }

    /// The hash that chains it to the entry before: SHA-256 over that one's hash and this one's JSON, hex.
    pub fn chained(&self, before: &str) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(before);
        hash.update(json(self)?);
        Ok(hex::encode(hash.finalize()))
    }
}
