//! What IT sanctions, looked at for slips of the pen before it counts: tools must be the catalogue's, hashes have the form in
//! which pages show them. A slip would sanction nothing, and say nothing.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use farmwatch_shared::catalogue::Catalogue;
use farmwatch_shared::facts::FAMILIES;
use farmwatch_shared::id::KeyedHash;
use strsim::levenshtein;

use crate::access::folder::Folder;
use crate::config::Config;
use crate::correlate::anchors::prefix;
use crate::policy::Policy;

/// Most ids that are named as what may have been meant.
const MOST_MEANT: usize = 3;

/// The ids of all tools that agents of this fleet may know: the catalogue of this version, and the one that IT put there.
pub struct Tools(BTreeSet<String>);

impl Tools {
    /// Reads them. A catalogue of IT's that is none counts as absent; the collector does not start with it anyway.
    pub fn of(config: &Config) -> Self {
        Self::with(&Folder::at(&config.state_dir).catalogue())
    }

    fn with(file: &Path) -> Self {
        let of_it = std::fs::read_to_string(file).ok().and_then(|text| Catalogue::parse(&text).ok());
        let ids = |catalogue: &Catalogue| catalogue.tools().map(|t| t.id.to_string()).collect::<Vec<_>>();
        let shipped = ids(&Catalogue::shipped()).into_iter();
        Self(shipped.chain(of_it.iter().flat_map(ids)).collect())
    }

    /// Whether there is such a tool; if not, a sentence that names those which may have been meant.
    pub fn check(&self, id: &str) -> Result<(), String> {
        if self.0.contains(id) {
            return Ok(());
        }
        let meant = self.like(id);
        let hint = if meant.is_empty() {
            "an alert about a tool names its id, and agents' facts do: `remote_tool/ID`".to_owned()
        } else {
            format!("nearest: {}", meant.join(", "))
        };
        Err(format!("the catalogue has no tool `{id}`; {hint}"))
    }

    /// Ids that are a few letters away, or hold what was written; nearest first.
    fn like(&self, id: &str) -> Vec<String> {
        let id = id.trim().to_lowercase().replace([' ', '_'], "-");
        let most = id.chars().count().div_ceil(4);
        let mut near: Vec<(usize, &String)> = self
            .0
            .iter()
            .map(|known| (levenshtein(&id, &known.replace('_', "-")), known))
            .filter(|(far, known)| *far <= most || (id.len() > 3 && known.contains(&id)))
            .collect();
        near.sort();
        near.into_iter().take(MOST_MEANT).map(|(_, known)| format!("`{known}`")).collect()
    }
}

/// Whether it is a hash as pages show it.
pub fn hash(text: &str) -> Result<(), String> {
    let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
    if lower && KeyedHash::parse(text).is_some() {
        return Ok(());
    }
    Err(format!(
        "`{text}` is no hash; take it from the page that shows it, all 32 digits 0 to 9 and a to f, in lower case"
    ))
}

/// Whether it names a thing: the hash of a serial number, or the key of a fact such as `display/HDMI-A-1`.
pub fn thing(text: &str) -> Result<(), String> {
    let Some((family, name)) = text.split_once('/') else { return hash(text) };
    if FAMILIES.contains(&family) && !name.is_empty() {
        return Ok(());
    }
    Err(format!("`{text}` is no fact's key; the family before the / is one of {}", FAMILIES.join(", ")))
}

/// A place as laptops show it: a public address (IPv6: the 56 bits of one customer), or what a site's page shows, which ends
/// in a hash.
pub fn place(text: &str) -> Result<String, String> {
    let address = text.parse::<IpAddr>().ok();
    let network =
        || text.strip_suffix("/56").and_then(|text| text.parse::<Ipv6Addr>().ok()).map(IpAddr::from);
    if let Some(address) = address.or_else(network) {
        return prefix(address).ok_or_else(|| format!("`{text}` is no public address"));
    }
    let last = text.rsplit('/').next().unwrap_or_default();
    hash(last).map(|()| text.to_owned()).map_err(|_| {
        format!(
            "`{text}` is neither a public address nor a gateway's hash as a site's page shows it; a network goes to \
             `farmwatch-collector places add`"
        )
    })
}

/// What in a policy sanctions nothing because it names nothing: the setting, and why.
pub fn slips(policy: &Policy, tools: &Tools) -> Vec<(&'static str, String)> {
    let unknown = policy.sanctioned_tools.iter().filter_map(|id| tools.check(id).err());
    let accounts = policy.sanctioned_accounts.iter().filter_map(|text| hash(text).err());
    let things = policy.sanctioned_things.iter().filter_map(|text| thing(text).err());
    let of = |setting| move |why| (setting, why);
    unknown
        .map(of("sanctioned_tools"))
        .chain(accounts.map(of("sanctioned_accounts")))
        .chain(things.map(of("sanctioned_things")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789abcdef0123456789abcdef";

    fn shipped() -> Tools {
        Tools::with(Path::new("/nowhere/catalogue.txt"))
    }

    #[test]
    fn a_mistyped_tool_is_told_with_what_was_meant() {
        let tools = shipped();
        for (typed, meant) in
            [("screenconect", "`screenconnect`"), ("teamviewr", "`teamviewer`"), ("Any_Desk", "`anydesk`")]
        {
            assert!(tools.check(meant.trim_matches('`')).is_ok(), "{meant}");
            let why = tools.check(typed).unwrap_err();
            assert!(why.contains(typed) && why.contains(meant), "{why}");
        }
        let why = tools.check("qqqqqqqq").unwrap_err();
        assert!(!why.contains("nearest"), "{why}");
    }

    #[test]
    fn a_tool_of_the_catalogue_that_it_put_there_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("catalogue.txt");
        let text = "farmwatch-catalogue 2\ntool brand-new rmm Brand New\nall domain brand-new.example\n";
        std::fs::write(&file, text).unwrap();
        let tools = Tools::with(&file);
        assert_eq!(tools.check("brand-new"), Ok(()));
        assert_eq!(tools.check("teamviewer"), Ok(()), "agents that have not fetched it yet know this");
        assert!(shipped().check("brand-new").is_err());
    }

    #[test]
    fn a_hash_is_32_digits_in_lower_case() {
        assert_eq!(hash(HASH), Ok(()));
        for text in
            ["724d", "", "zzz", &HASH.to_uppercase(), &format!("{HASH}0"), &format!(" {}", &HASH[1..])]
        {
            assert!(hash(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_thing_is_a_hash_or_a_facts_key() {
        for text in [HASH, "display/HDMI-A-1", "usb_device/1-2", "remote_tool/anydesk"] {
            assert_eq!(thing(text), Ok(()), "{text}");
        }
        for text in ["724d", "displays/HDMI-A-1", "display/", "/x"] {
            assert!(thing(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_place_is_taken_as_laptops_show_it() {
        assert_eq!(place("203.0.113.7").unwrap(), "203.0.113.7");
        assert_eq!(place("2001:db8::7").unwrap(), "2001:db8::/56");
        assert_eq!(place("2001:db8::/56").unwrap(), "2001:db8::/56");
        assert_eq!(place(HASH).unwrap(), HASH);
        assert_eq!(place(&format!("b827eb/{HASH}")).unwrap(), format!("b827eb/{HASH}"));
        for text in ["203.0.113.0/24", "127.0.0.1", "zzz", "", "b827eb/zzz"] {
            assert!(place(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_slips_of_a_policy_are_told_by_setting() {
        let list = |text: &str| vec![text.to_owned()];
        let mut policy = Policy {
            sanctioned_tools: list("screenconect"),
            sanctioned_accounts: list("724d"),
            sanctioned_things: list("724d"),
            ..Policy::default()
        };
        let settings: Vec<_> = slips(&policy, &shipped()).into_iter().map(|(setting, _)| setting).collect();
        assert_eq!(settings, ["sanctioned_tools", "sanctioned_accounts", "sanctioned_things"]);
        policy.sanctioned_tools = list("screenconnect");
        policy.sanctioned_accounts = list(HASH);
        policy.sanctioned_things = list("display/HDMI-A-1");
        assert_eq!(slips(&policy, &shipped()), []);
    }

    #[test]
    fn what_the_commented_policy_gives_as_an_example_is_sound() {
        let commented =
            |line: &str| line.strip_prefix("# sanctioned_").map(|rest| format!("sanctioned_{rest}\n"));
        let text: String = crate::policy::COMMENTED.lines().filter_map(commented).collect();
        let policy = Policy::parse(&text).unwrap();
        assert!(!policy.sanctioned_tools.is_empty());
        assert_eq!(slips(&policy, &shipped()), []);
    }
}
