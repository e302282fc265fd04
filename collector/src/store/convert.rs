//! Between Rust's values and a database's, the same for all of them: times are whole milliseconds, nested values are
//! JSON text, words of enums are as in JSON.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer as _};

use super::{Result, Severity, StoreError};

/// Milliseconds in a day.
pub const DAY: i64 = 86_400_000;

/// A time as milliseconds.
pub fn ms(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// A span as whole milliseconds.
pub fn millis(span: SignedDuration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// A time from milliseconds.
pub fn time(ms: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(ms).map_err(|e| StoreError::Corrupt(format!("{ms} is no time: {e}")))
}

/// A text without the one character that PostgreSQL cannot keep.
pub fn plain(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A count as a database keeps it; what does not fit is as much as does.
pub fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A count from a database.
pub fn uncount(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// A value as JSON text.
pub fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| StoreError::Conflict(format!("cannot be written as JSON: {e}")))
}

/// A value from JSON text.
pub fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|e| StoreError::Corrupt(format!("{}: {e}", std::any::type_name::<T>())))
}

/// An enum's word, as in JSON.
pub fn word<T: Serialize>(value: T) -> Result<String> {
    let text = json(&value)?;
    Ok(text.trim_matches('"').to_owned())
}

/// An enum from its word.
pub fn from_word<T: DeserializeOwned>(word: &str) -> Result<T> {
    let value: StrDeserializer<'_, ValueError> = word.into_deserializer();
    T::deserialize(value)
        .map_err(|e| StoreError::Corrupt(format!("`{word}` is no {}: {e}", std::any::type_name::<T>())))
}

/// An id from its text.
pub fn id<T>(text: String) -> Result<T>
where
    T: TryFrom<String>,
    T::Error: std::fmt::Display,
{
    T::try_from(text).map_err(|e| StoreError::Corrupt(e.to_string()))
}

/// How loud an alert is, as its rows are ordered by.
pub fn loudness(severity: Severity) -> i64 {
    match severity {
        Severity::Low => 0,
        Severity::Medium => 1,
        Severity::High => 2,
        Severity::Critical => 3,
    }
}

/// A pattern for LIKE that finds `text` anywhere, with `\` as escape.
pub fn like(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
