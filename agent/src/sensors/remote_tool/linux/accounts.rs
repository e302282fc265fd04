//! The account, tenant or client id that a tool is set up with, from the tool's own settings: hashed at once.
//!
//! An id of the laptop's own tells one laptop from another; an account's (ngrok's token, a MeshCentral group)
//! tells that one hand holds several laptops.

use std::collections::BTreeMap;
use std::path::PathBuf;

use farmwatch_shared::catalogue::{Catalogue, Os, Place};
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
    for account in catalogue.accounts(Os::Linux) {
        let Place::File(pattern) = account.place else { continue };
        let tool = &*account.tool.id;
        if accounts.contains_key(tool) {
            continue;
        }
        let value = |path: PathBuf| {
            let text = || read::text(&path, read::SMALL).ok();
            account.in_file(path.to_str()?, text)
        };
        let found = paths::matching(&config.root, &homes, pattern).into_iter().find_map(value);
        if let Some(value) = found {
            accounts.insert(tool.into(), config.hash_key.hash(&format!("account/{tool}"), &value));
        }
    }
    accounts
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
                ("etc/teamviewer/global.conf", "[int32] ClientID = 987654321\n"),
                ("var/lib/zerotier-one/networks.d/8056c2e21c000001.conf", ""),
                ("var/lib/zerotier-one/networks.d/8056c2e21c000001.local.conf", "allowManaged=1"),
                ("home/a/.config/rustdesk/RustDesk.toml", "enc_id = '00abcdef'\n"),
                (
                    "home/a/.config/rustdesk/RustDesk2.toml",
                    "[options]\ncustom-rendezvous-server = 'rd.example.org'\n",
                ),
            ],
        );
        let config = config(root.path());
        let catalogue = Catalogue::shipped();
        let got = all(&config, &catalogue);
        assert_eq!(got["anydesk"], config.hash_key.hash("account/anydesk", "123456789"));
        assert_eq!(got["ngrok"], config.hash_key.hash("account/ngrok", "2abcDEF"));
        assert_eq!(got["teamviewer"], config.hash_key.hash("account/teamviewer", "987654321"));
        assert_eq!(got["zerotier"], config.hash_key.hash("account/zerotier", "8056c2e21c000001"));
        let relay = config.hash_key.hash("account/rustdesk", "rd.example.org");
        assert_eq!(got["rustdesk"], relay, "whose relay it is tells more than the laptop's own id");
        assert!(all(&Config { level_2: false, ..config }, &catalogue).is_empty());
    }
}
