//! The account, tenant or client id that a tool is set up with, from the tool's own settings: hashed at once.
//!
//! An id of the laptop's own tells one laptop from another; an account's (ngrok's token, a MeshCentral group)
//! tells that one hand holds several laptops.

use std::collections::BTreeMap;

use farmwatch_shared::catalogue::{Catalogue, Os};
use farmwatch_shared::id::KeyedHash;

use super::super::paths;
use crate::sensors::{Config, read};

/// Accounts of tools, hashed.
pub(super) fn all(config: &Config, catalogue: &Catalogue) -> BTreeMap<Box<str>, KeyedHash> {
    if !config.level_2 {
        return BTreeMap::new();
    }
    let homes = paths::homes(&config.root);
    let mut accounts = BTreeMap::new();
    for (tool, pattern, key) in catalogue.accounts(Os::Linux) {
        let tool = &*tool.id;
        for path in paths::matching(&config.root, &homes, pattern) {
            let text = read::text(&path, read::SMALL).unwrap_or_default();
            let Some(value) = setting(&text, key) else { continue };
            let hash = || config.hash_key.hash(&format!("account/{tool}"), value);
            accounts.entry(tool.into()).or_insert_with(hash);
        }
    }
    accounts
}

/// `key=value`, `key = 'value'`, `[int32] key = value`, `key: value`.
fn setting<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let value = |line: &'a str| {
        let line = line.trim();
        let line = line
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
            .map_or(line, |(_, rest)| rest.trim());
        let rest = line.strip_prefix(key)?.trim_start();
        let value = rest.strip_prefix(['=', ':'])?.trim().trim_matches(['\'', '"']);
        (value.len() >= 4).then_some(value)
    };
    text.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::super::super::super::test::{config, write};
    use super::*;

    #[test]
    fn accounts_are_hashed_and_only_where_level_2_is_allowed() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &[
                ("etc/anydesk/system.conf", "ad.anynet.alias=x\nad.anynet.id=123456789\n"),
                ("home/b/.config/ngrok/ngrok.yml", "version: 2\nauthtoken: 2abcDEF\n"),
                ("home/a/.config/ngrok/ngrok.yml", "junk"),
            ],
        );
        let config = config(root.path());
        let catalogue = Catalogue::shipped();
        let got = all(&config, &catalogue);
        assert_eq!(got["anydesk"], config.hash_key.hash("account/anydesk", "123456789"));
        assert_eq!(got["ngrok"], config.hash_key.hash("account/ngrok", "2abcDEF"));
        assert!(all(&Config { level_2: false, ..config }, &catalogue).is_empty());
    }

    #[test]
    fn each_tools_way_of_writing_is_read() {
        assert_eq!(setting("[int32] ClientID = 987654321", "ClientID"), Some("987654321"));
        assert_eq!(setting("enc_id = 'x'\nid = '55555'", "id"), Some("55555"));
        assert_eq!(setting("ClientIDx = 1234", "ClientID"), None);
    }
}
