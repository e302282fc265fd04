//! What goes wrong with PostgreSQL, in the store's words.

use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::error::SqlState;

use super::super::StoreError;

/// What went wrong, and whether the same transaction may well succeed if it is run again.
#[derive(Debug)]
pub struct Fault {
    /// In the store's words.
    pub error: StoreError,
    /// Another transaction was in the way: nothing is wrong with this one.
    pub again: bool,
    /// What was remembered is not what is stored.
    pub stale: bool,
}

impl Fault {
    /// Somebody else has written to the same devices since they were remembered.
    pub fn stale() -> Self {
        Self { stale: true, ..Self::again("others write to the same devices all the time") }
    }

    /// Something that is to be looked at once more.
    pub fn again(why: impl Into<String>) -> Self {
        Self { again: true, ..Self::unavailable(why) }
    }

    /// Something that running again does not mend at once.
    pub fn unavailable(why: impl Into<String>) -> Self {
        StoreError::Unavailable(why.into()).into()
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self { error, again: false, stale: false }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        fault.error
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        let why = words(&error);
        let Some(code) = error.code() else { return Self::unavailable(why) };
        let again = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
        ];
        if again.contains(code) {
            return Self { error: StoreError::Unavailable(why), again: true, stale: false };
        }
        let error = match code.code().get(..2).unwrap_or_default() {
            // A constraint holds, or a value is none of its type.
            "22" | "23" => StoreError::Conflict(why),
            // A table or column that should be there is not; damaged pages.
            "42" if *code != SqlState::INSUFFICIENT_PRIVILEGE => StoreError::Corrupt(why),
            "XX" => StoreError::Corrupt(why),
            _ => StoreError::Unavailable(why),
        };
        error.into()
    }
}

impl From<PoolError> for Fault {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Timeout(TimeoutType::Wait) => Self::unavailable("all of its connections are busy"),
            PoolError::Timeout(_) => Self::unavailable("PostgreSQL does not answer"),
            other => Self::unavailable(format!("no connection to PostgreSQL: {other}")),
        }
    }
}

/// An error with what is below it: the driver's own words say only the kind.
pub fn words(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        let more = said.detail().or(said.hint()).map(|more| format!(" ({more})")).unwrap_or_default();
        return format!("PostgreSQL says: {}{more}", said.message());
    }
    let mut text = error.to_string();
    let mut below = std::error::Error::source(error);
    while let Some(cause) = below {
        let cause_says = cause.to_string();
        if !text.contains(&cause_says) {
            text += ": ";
            text += &cause_says;
        }
        below = cause.source();
    }
    text
}
