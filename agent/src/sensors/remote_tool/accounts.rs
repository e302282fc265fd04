//! The account, tenant or client id that a tool is set up with, from the tool's own settings: hashed at once.
//!
//! An id of the laptop's own tells one laptop from another; an account's (ngrok's token, a MeshCentral group)
//! tells that one hand holds several laptops.

use std::collections::BTreeMap;
use std::path::Path;

use farmwatch_shared::catalogue::{Account, Catalogue, Os, Place};
use farmwatch_shared::id::KeyedHash;

use super::paths;
#[cfg(any(target_os = "macos", test))]
use crate::apple::plist;
use crate::sensors::{Config, read};

/// Accounts of tools, hashed; none but where level 2 is allowed.
pub(super) fn all(config: &Config, catalogue: &Catalogue, os: Os) -> BTreeMap<Box<str>, KeyedHash> {
    if !config.level_2 {
        return BTreeMap::new();
    }
    let homes = paths::homes(&config.root);
    let mut accounts = BTreeMap::new();
    for account in catalogue.accounts(os) {
        let Place::File(pattern) = account.place else { continue };
        let tool = &*account.tool.id;
        if accounts.contains_key(tool) {
            continue;
        }
        let paths = paths::matching(&config.root, &homes, pattern);
        let found = paths.iter().find_map(|path| value(&account, path));
        if let Some(value) = found {
            accounts.insert(tool.into(), config.hash_key.hash(&format!("account/{tool}"), &value));
        }
    }
    accounts
}

fn value(account: &Account<'_>, path: &Path) -> Option<String> {
    #[cfg(any(target_os = "macos", test))]
    if path.extension().is_some_and(|extension| extension == "plist") {
        let list = plist::parse(&read::bytes(path, read::SMALL).ok()?).ok()?;
        return account.in_object(&plist::json(&list));
    }
    account.in_file(path.to_str()?, || read::text(path, read::SMALL).ok())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use proptest::prelude::*;

    use super::super::super::test::{config, write};
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
        let got = all(&config, &catalogue, Os::Linux);
        assert_eq!(got["anydesk"], config.hash_key.hash("account/anydesk", "123456789"));
        assert_eq!(got["ngrok"], config.hash_key.hash("account/ngrok", "2abcDEF"));
        assert_eq!(got["teamviewer"], config.hash_key.hash("account/teamviewer", "987654321"));
        assert_eq!(got["zerotier"], config.hash_key.hash("account/zerotier", "8056c2e21c000001"));
        let relay = config.hash_key.hash("account/rustdesk", "rd.example.org");
        assert_eq!(got["rustdesk"], relay, "whose relay it is tells more than the laptop's own id");
        assert!(all(&Config { level_2: false, ..config }, &catalogue, Os::Linux).is_empty());
    }

    /// A test's folder has Linux' homes; what is compared are the machine's own settings.
    #[test]
    fn on_macos_property_lists_are_read_too() {
        let root = tempfile::tempdir().unwrap();
        let teamviewer = "Library/Preferences/com.teamviewer.teamviewer.preferences.plist";
        let list = "<plist version=\"1.0\"><dict><key>ClientID</key><integer>987654321</integer>\
                    <key>OwningManagerAccountName</key><string>it@example.org</string></dict></plist>";
        let chromoting = "Library/PrivilegedHelperTools/org.chromium.chromoting.json";
        let host = r#"{"host_id": "x-1", "host_owner": "anna@example.org"}"#;
        write(root.path(), &[(teamviewer, list), (chromoting, host)]);
        let (config, catalogue) = (config(root.path()), Catalogue::shipped());
        let got = all(&config, &catalogue, Os::Macos);
        let owner = config.hash_key.hash("account/teamviewer", "it@example.org");
        assert_eq!(got["teamviewer"], owner);
        let desktop = config.hash_key.hash("account/chrome-remote-desktop", "anna@example.org");
        assert_eq!(got["chrome-remote-desktop"], desktop);
        proptest!(|(junk in prop::collection::vec(any::<u8>(), 0..200), cut in 0..list.len())| {
            for bad in [&junk[..], &list.as_bytes()[..cut]] {
                std::fs::write(root.path().join(teamviewer), bad).unwrap();
                let found = all(&config, &catalogue, Os::Macos).remove("teamviewer");
                prop_assert!(found.is_none_or(|found| found == owner), "what is cut is none, or whole");
            }
        });
    }
}
