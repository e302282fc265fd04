//! The registry, read with bounds.

use windows_registry::{Key, LOCAL_MACHINE, USERS};

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

/// Security ids of people who are logged in and whose part of the registry is loaded.
pub fn people() -> Vec<String> {
    let is_person = |sid: &String| {
        (sid.starts_with("S-1-5-21-") || sid.starts_with("S-1-12-1-")) && !sid.ends_with("_Classes")
    };
    USERS.keys().map(|keys| keys.filter(is_person).take(64).collect()).unwrap_or_default()
}

/// Folders of everybody with a profile.
pub fn homes() -> Vec<String> {
    let Some(list) = machine(r"SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList") else {
        return Vec::new();
    };
    let home = |sid: String| text(&list.open(&sid).ok()?, "ProfileImagePath");
    keys(&list)
        .into_iter()
        .filter(|sid| sid.starts_with("S-1-5-21-") || sid.starts_with("S-1-12-1-"))
        .filter_map(home)
        .collect()
}
