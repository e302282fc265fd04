//! Which hardware this is: so that a state folder which was copied to another laptop is noticed.

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(target_os = "macos", path = "macos.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod os;

use std::collections::BTreeMap;
use std::path::Path;

use farmwatch_shared::firmware::says_nothing;
use farmwatch_shared::id::HashKey;
use serde::{Deserialize, Serialize};

use crate::clock;

/// Hashes of what names the hardware, under a key that was drawn at enrolment and never leaves the state
/// folder: the hashes tell nobody else anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The key, 64 hex digits.
    key: String,
    /// Hash by source: `product_uuid`, `product_serial`, `machine_id`. Sources that could not be read are
    /// missing and are not compared.
    parts: BTreeMap<String, String>,
}

impl Machine {
    /// Reads the machine below `root` under a new key.
    pub fn read(root: &Path) -> Self {
        let key = hex::encode(clock::random::<32>());
        let parts = hashes(&key, &sources(root));
        Self { key, parts }
    }

    /// Eight hex digits for reports.
    pub fn short(&self) -> String {
        let all: Vec<_> = self.parts.iter().map(|(name, hash)| format!("{name}={hash}")).collect();
        hash_key(&self.key).hash("machine", &all.join(" ")).as_str()[..8].to_owned()
    }

    /// What differs between this and the machine below `root`, of what can be read on both.
    pub fn differs_from(&self, root: &Path) -> Vec<String> {
        let now = hashes(&self.key, &sources(root));
        let differing = self.parts.iter().filter(|(name, hash)| now.get(*name).is_some_and(|n| n != *hash));
        differing.map(|(name, _)| name.clone()).collect()
    }
}

/// The serial number that the firmware's tables say, empty if they say none that means anything.
pub fn serial(root: &Path) -> String {
    os::serial(root).filter(|text| !says_nothing(text)).unwrap_or_default()
}

/// The host name.
pub fn hostname(root: &Path) -> String {
    os::hostname(root).unwrap_or_default()
}

fn sources(root: &Path) -> Vec<(&'static str, String)> {
    let mut sources = os::sources(root);
    sources.retain(|(_, text)| !says_nothing(text));
    sources
}

fn hashes(key: &str, sources: &[(&str, String)]) -> BTreeMap<String, String> {
    let key = hash_key(key);
    let hash = |name: &str, text: &str| key.hash(name, text).as_str()[..16].to_owned();
    sources.iter().map(|(name, text)| ((*name).to_owned(), hash(name, text))).collect()
}

fn hash_key(hex_digits: &str) -> HashKey {
    let bytes = hex::decode(hex_digits).ok().and_then(|b| b.try_into().ok());
    HashKey::new(bytes.unwrap_or_default())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    fn machine(uuid: Option<&str>, id: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let dmi = dir.path().join("sys/class/dmi/id");
        std::fs::create_dir_all(&dmi).unwrap();
        std::fs::create_dir_all(dir.path().join("etc")).unwrap();
        if let Some(uuid) = uuid {
            std::fs::write(dmi.join("product_uuid"), uuid).unwrap();
        }
        std::fs::write(dmi.join("product_serial"), "To be filled by O.E.M.\n").unwrap();
        std::fs::write(dir.path().join("etc/machine-id"), id).unwrap();
        dir
    }

    #[test]
    fn a_state_folder_on_another_laptop_is_noticed() {
        let here = machine(Some("4c4c4544-0042"), "a1");
        let there = machine(Some("4c4c4544-0099"), "a1");
        let enrolled = Machine::read(here.path());
        assert!(enrolled.differs_from(here.path()).is_empty());
        assert_eq!(enrolled.differs_from(there.path()), ["product_uuid"]);
        assert_eq!(enrolled.short().len(), 8);
    }

    #[test]
    fn what_cannot_be_read_now_is_not_another_machine() {
        let enrolled = Machine::read(machine(Some("4c4c4544-0042"), "a1").path());
        assert!(enrolled.differs_from(machine(None, "a1").path()).is_empty());
    }

    #[test]
    fn fillers_are_no_serials() {
        assert_eq!(serial(machine(None, "a1").path()), "");
    }
}
