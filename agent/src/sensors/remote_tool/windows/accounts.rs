//! The account, tenant or client id that a tool is set up with, from its own settings where the catalogue says that
//! they are: hashed at once.

use std::collections::BTreeMap;

use farmwatch_shared::catalogue::{Account, Os, Place};
use farmwatch_shared::id::KeyedHash;
use windows_registry::{Key, USERS};

use super::super::from_windows::places;
use super::installed::variables;
use crate::sensors::{Config, read};
use crate::windows::registry;

/// Most names of one folder that are compared with a pattern's star.
const MOST_NAMES: usize = 1024;

/// Accounts of tools, hashed; none but where level 2 is allowed.
pub(super) fn all(config: &Config) -> BTreeMap<Box<str>, KeyedHash> {
    let mut accounts = BTreeMap::new();
    if !config.level_2 {
        return accounts;
    }
    let variables = variables();
    for account in config.catalogue.accounts(Os::Windows) {
        let tool = &*account.tool.id;
        if accounts.contains_key(tool) {
            continue;
        }
        let value = match account.place {
            Place::File(pattern) => in_files(&account, &places::expanded(pattern, &variables, names)),
            Place::Registry(pattern) => in_registry(&account, pattern),
        };
        if let Some(value) = value {
            accounts.insert(tool.into(), config.hash_key.hash(&format!("account/{tool}"), &value));
        }
    }
    accounts
}

fn in_files(account: &Account<'_>, paths: &[String]) -> Option<String> {
    let text = |path: &String| read::text(path.as_ref(), read::SMALL).ok();
    paths.iter().find_map(|path| account.in_file(path, || text(path)))
}

fn in_registry(account: &Account<'_>, pattern: &str) -> Option<String> {
    let place = places::key(pattern)?;
    let found: Vec<Key> = if place.of_people {
        let open = |sid: String| USERS.open(format!(r"{sid}\{}", place.path)).ok();
        registry::people().into_iter().filter_map(open).collect()
    } else {
        registry::machine(place.path).into_iter().collect()
    };
    let last = pattern.trim_end_matches('\\').rsplit('\\').next().unwrap_or_default();
    found.iter().find_map(|key| {
        if !place.below {
            return account.in_registry(place.path, |field| text(key, field));
        }
        let fits = |name: &String| places::fits(last, name);
        registry::keys(key).into_iter().filter(fits).find_map(|name| {
            let below = key.open(&name).ok()?;
            account.in_registry(&format!(r"{}\{name}", place.path), |field| text(&below, field))
        })
    })
}

/// A value as text; tools keep their ids as numbers, too.
fn text(key: &Key, field: &str) -> Option<String> {
    let number = || key.get_u32(field).map(u64::from).or_else(|_| key.get_u64(field)).ok();
    registry::text(key, field).or_else(|| number().filter(|id| *id != 0).map(|id| id.to_string()))
}

/// Names in a folder.
fn names(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().take(MOST_NAMES).flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}
