//! Between Rust's values and SQLite's.

use rusqlite::ErrorCode;

pub use super::super::convert::{
    count, from_json, from_word, id, json, like, loudness, ms, time, uncount, word,
};
use super::super::{Result, StoreError};

/// Turns SQLite's errors into the store's.
pub fn sql<T>(result: rusqlite::Result<T>) -> Result<T> {
    result.map_err(StoreError::from)
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        let text = error.to_string();
        match error {
            E::SqliteFailure(e, _) => match e.code {
                ErrorCode::ConstraintViolation => Self::Conflict(text),
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Corrupt(text),
                _ => Self::Unavailable(text),
            },
            E::FromSqlConversionFailure(..) | E::InvalidColumnType(..) | E::IntegralValueOutOfRange(..) => {
                Self::Corrupt(text)
            }
            _ => Self::Unavailable(text),
        }
    }
}
