//! The account or client id that a tool is set up with, from its own settings: hashed at once.

use std::collections::BTreeMap;

use farmwatch_shared::id::KeyedHash;

use crate::sensors::{Config, read};
use crate::windows::registry;

/// A tool, its key in the registry, the value that names the client.
const IN_REGISTRY: [(&str, &str, &str); 2] = [
    ("teamviewer", r"SOFTWARE\TeamViewer", "ClientID"),
    ("teamviewer", r"SOFTWARE\WOW6432Node\TeamViewer", "ClientID"),
];
/// A tool, a file of its settings below `%ProgramData%` or a home, the key in it.
const IN_FILES: [(&str, &str, &str); 3] = [
    ("anydesk", r"AnyDesk\system.conf", "ad.anynet.id="),
    ("anydesk", r"AppData\Roaming\AnyDesk\system.conf", "ad.anynet.id="),
    ("rustdesk", r"AppData\Roaming\RustDesk\config\RustDesk.toml", "id = "),
];

/// Accounts of tools, hashed; none but where level 2 is allowed.
pub(super) fn all(config: &Config) -> BTreeMap<&'static str, KeyedHash> {
    let mut accounts = BTreeMap::new();
    if !config.level_2 {
        return accounts;
    }
    let mut keep = |tool: &'static str, value: &str| {
        let hash = || config.hash_key.hash(&format!("account/{tool}"), value);
        accounts.entry(tool).or_insert_with(hash);
    };
    for (tool, path, name) in IN_REGISTRY {
        let id = registry::machine(path).and_then(|key| key.get_u32(name).ok());
        if let Some(id) = id.filter(|id| *id != 0) {
            keep(tool, &id.to_string());
        }
    }
    let mut folders = registry::homes();
    folders.extend(std::env::var("ProgramData"));
    for (tool, file, key) in IN_FILES {
        for folder in &folders {
            let text = read::text(format!(r"{folder}\{file}").as_ref(), read::SMALL).unwrap_or_default();
            let value = text.lines().find_map(|line| line.trim().strip_prefix(key));
            if let Some(value) =
                value.map(|value| value.trim_matches(['\'', '"', ' '])).filter(|v| v.len() >= 4)
            {
                keep(tool, value);
            }
        }
    }
    accounts
}
