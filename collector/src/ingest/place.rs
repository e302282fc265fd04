//! What an address says: country and network, from files in the mmdb format that the operator supplies.
//!
//! Several publishers' layouts are read: MaxMind's and DB-IP's (`country.iso_code`, `autonomous_system_number`
//! and `…_organization`), the flat ones of the CC0 files built from registries' data (`country_code`), and
//! IPinfo's (`country_code`, `asn`, `as_name`).

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use maxminddb::Reader;
use serde::Deserialize;

/// What an address says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Country, two letters.
    pub country: Option<String>,
    /// Network: `AS64500 Example Net`.
    pub network: Option<String>,
}

/// The operator's files.
#[derive(Default)]
pub struct Places {
    files: Vec<Reader<Vec<u8>>>,
}

impl Places {
    /// Reads files. Without any, addresses say nothing.
    pub fn open(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let files = paths.iter().map(|path| open(path)).collect::<anyhow::Result<_>>()?;
        Ok(Self { files })
    }

    /// What an address says; of each thing, what the first file that knows it does.
    pub fn look_up(&self, address: IpAddr) -> Origin {
        let mut origin = Origin::default();
        for file in &self.files {
            // A damaged file is as good as none for this address.
            let Ok(Some(row)) = file.lookup(address).and_then(|found| found.decode::<Row>()) else {
                continue;
            };
            origin.country = origin.country.or_else(|| row.country());
            origin.network = origin.network.or_else(|| row.network());
        }
        origin
    }
}

fn open(path: &Path) -> anyhow::Result<Reader<Vec<u8>>> {
    Reader::open_readfile(path).with_context(|| {
        format!("cannot read {}: it should be a file in the mmdb format (`addresses.files`)", path.display())
    })
}

/// A row in any of the layouts.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Row {
    country: Option<Country>,
    country_code: Option<String>,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<String>,
    asn: Option<String>,
    as_name: Option<String>,
}

/// IPinfo writes the country's name where others have a map.
#[derive(Deserialize)]
#[serde(untagged)]
enum Country {
    Map { iso_code: Option<String> },
    Other(serde::de::IgnoredAny),
}

impl Row {
    fn country(&self) -> Option<String> {
        let nested = match &self.country {
            Some(Country::Map { iso_code }) => iso_code.clone(),
            _ => None,
        };
        let code = nested.or_else(|| self.country_code.clone())?;
        (code.len() == 2).then(|| code.to_ascii_uppercase())
    }

    fn network(&self) -> Option<String> {
        let number = match (self.autonomous_system_number, &self.asn) {
            (Some(number), _) => format!("AS{number}"),
            (None, Some(asn)) if !asn.is_empty() => asn.clone(),
            _ => return None,
        };
        match self.autonomous_system_organization.as_ref().or(self.as_name.as_ref()) {
            Some(name) => Some(format!("{number} {name}")),
            None => Some(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(files: &[&str]) -> Places {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mmdb");
        Places::open(&files.iter().map(|file| folder.join(file)).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn an_address_says_country_and_network() {
        let places = places(&["country.mmdb", "asn.mmdb"]);
        let origin = places.look_up("203.0.113.7".parse().unwrap());
        assert_eq!(origin.country.as_deref(), Some("US"));
        assert_eq!(origin.network.as_deref(), Some("AS64500 Example Net"));
        let origin = places.look_up("2001:db8::7".parse().unwrap());
        assert_eq!((origin.country.as_deref(), origin.network), (Some("CN"), None));
        assert_eq!(places.look_up("192.0.2.1".parse().unwrap()), Origin::default());
    }

    #[test]
    fn flat_layouts_are_read_too() {
        let origin = places(&["flat.mmdb"]).look_up("203.0.113.7".parse().unwrap());
        assert_eq!(origin.country.as_deref(), Some("DE"));
        assert_eq!(origin.network.as_deref(), Some("AS64501 Beispielnetz"));
    }

    #[test]
    fn without_a_file_nothing_is_known_and_a_wrong_file_is_named() {
        assert_eq!(Places::default().look_up("203.0.113.7".parse().unwrap()), Origin::default());
        let wrong = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let error = Places::open(&[wrong]).err().unwrap();
        assert!(error.to_string().contains("Cargo.toml"), "{error}");
    }
}
