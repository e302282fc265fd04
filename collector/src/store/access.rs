use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;

use super::Result;

/// An enrolment token, hashed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Token {
    /// SHA-256 of the token, hex. The token itself is shown once and never kept.
    #[serde(skip)]
    pub hash: String,
    /// First characters of the token, to tell one from another.
    pub hint: String,
    /// What it is for, in IT's words.
    pub label: String,
    /// Uses left; 0 is spent.
    pub uses_left: u32,
    /// Only for the hardware with this serial number.
    pub serial: Option<String>,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A person who may use the console.
#[derive(Clone, Debug)]
pub struct User {
    /// Name to log in with.
    pub name: String,
    /// argon2id, PHC string.
    pub password: String,
}

/// A session of the console.
#[derive(Clone, Debug)]
pub struct WebSession {
    /// SHA-256 of the cookie's value, hex.
    pub hash: String,
    /// Who.
    pub user: String,
    /// Token that every form must carry.
    pub csrf: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Who may enrol and who may look.
#[async_trait]
pub trait Access {
    /// Adds a token.
    async fn add_token(&self, token: Token) -> Result<()>;
    /// All tokens that are neither spent nor past.
    async fn tokens(&self, now: Timestamp) -> Result<Vec<Token>>;
    /// The token of a hash, spent or not.
    async fn token(&self, hash: &str) -> Result<Option<Token>>;
    /// Takes one use of a token if it has one left and is not past; false otherwise. No two calls get the
    /// same use.
    async fn use_token(&self, hash: &str, now: Timestamp) -> Result<bool>;
    /// Removes the tokens whose hint this is; how many.
    async fn remove_token(&self, hint: &str) -> Result<u64>;
    /// A user.
    async fn user(&self, name: &str) -> Result<Option<User>>;
    /// Adds a user or changes the password; ends that user's sessions.
    async fn put_user(&self, user: User) -> Result<()>;
    /// Adds a session.
    async fn add_session(&self, session: WebSession) -> Result<()>;
    /// A session that has not ended.
    async fn session(&self, hash: &str, now: Timestamp) -> Result<Option<WebSession>>;
    /// Ends a session.
    async fn end_session(&self, hash: &str) -> Result<()>;
    /// Deletes sessions and tokens that ended before a time; how many rows went.
    async fn trim_access(&self, before: Timestamp) -> Result<u64>;
}
