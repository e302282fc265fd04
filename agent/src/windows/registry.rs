//! The registry, read with bounds.

use windows_registry::{Key, LOCAL_MACHINE};

/// Most keys below one key that are looked at.
pub const MANY: usize = 4096;

/// A key of the machine's part; `None` if there is none or the agent may not.
pub fn machine(path: &str) -> Option<Key> {
    LOCAL_MACHINE.open(path).ok()
}

/// Names of the keys below a key, sorted.
pub fn keys(key: &Key) -> Vec<String> {
    let mut names: Vec<String> = key.keys().map(|keys| keys.take(MANY).collect()).unwrap_or_default();
    names.sort_unstable();
    names
}

/// A text that says something.
pub fn text(key: &Key, name: &str) -> Option<String> {
    let text = key.get_string(name).ok()?;
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}
