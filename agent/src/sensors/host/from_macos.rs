//! The machine itself, from the registry's root (`IOPlatformExpertDevice`) and `SystemVersion.plist`.

use farmwatch_shared::firmware::says_nothing;

use crate::apple::ioreg::entries;
use crate::apple::plist::{Plist, text};

/// What the hardware says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Platform {
    pub(crate) vendor: Option<String>,
    /// `MacBookPro12,1`; since 2022 also `Mac14,7`, which no longer says what it is.
    pub(crate) model: Option<String>,
    pub(crate) serial: Option<String>,
    pub(crate) uuid: Option<String>,
}

/// Reads the registry's root.
pub(crate) fn platform(tree: &Plist) -> Platform {
    let entries = entries(tree);
    let find = |key| entries.iter().find_map(|entry| text(entry, key)).filter(|text| !says_nothing(text));
    Platform {
        vendor: find("manufacturer"),
        model: find("model"),
        serial: find("IOPlatformSerialNumber"),
        uuid: find("IOPlatformUUID"),
    }
}

/// `macOS 15.1`.
pub(super) fn version(plist: &Plist) -> Option<String> {
    let dict = plist.dict()?;
    let name = text(dict, "ProductName").unwrap_or_else(|| "macOS".into());
    Some(format!("{name} {}", text(dict, "ProductVersion")?))
}

/// A Mac that has a lid is a laptop, whatever its model is called.
pub(super) fn chassis(model: Option<&str>, lid: bool, guest: bool) -> &'static str {
    match model {
        _ if guest => "virtual",
        Some(model) if model.starts_with("MacBook") => "laptop",
        _ if lid => "laptop",
        _ => "desktop",
    }
}

/// A guest of Apple's own hypervisor says so by its model (`VirtualMac2,1`), others by the maker's words.
pub(super) fn hypervisor(platform: &Platform, kernel_says_guest: bool) -> Option<String> {
    let model = platform.model.as_deref();
    if model.is_some_and(|model| model.starts_with("VirtualMac")) {
        return Some("Apple Virtualization".into());
    }
    let named = farmwatch_shared::firmware::hypervisor(platform.vendor.as_deref(), model);
    named.map(str::to_owned).or_else(|| kernel_says_guest.then(|| "unknown".into()))
}

/// The host name, without the person's: macOS names a Mac after its first user (`Annas-MacBook-Pro`,
/// `MacBook-Pro-von-Anna`). A name that somebody gave on purpose is the company's.
pub(crate) fn hostname(name: &str) -> String {
    const MODELS: [&str; 7] =
        ["MacBook-Pro", "MacBook-Air", "MacBook", "Mac-mini", "Mac-Studio", "Mac-Pro", "iMac"];
    let name = ["local", "lan", "home"]
        .iter()
        .find_map(|end| name.strip_suffix(end)?.strip_suffix('.'))
        .unwrap_or(name);
    match MODELS.iter().find(|model| name.contains(*model)) {
        Some(model) => (*model).to_owned(),
        None => name.chars().filter(|c| !c.is_control()).take(253).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::apple::ioreg::test::{plist, recording};
    use crate::apple::plist::parse;

    #[test]
    fn a_macbook_says_who_it_is() {
        let platform = platform(&plist("platform_macbookpro12_1.xml"));
        assert_eq!(platform.vendor.as_deref(), Some("Apple Inc."));
        assert_eq!(platform.model.as_deref(), Some("MacBookPro12,1"));
        assert_eq!(platform.serial.as_deref(), Some("C02QM3FSFVH8"));
        assert!(platform.uuid.as_ref().unwrap().starts_with("CE3A2773"));
        assert_eq!(chassis(platform.model.as_deref(), false, false), "laptop");
        assert_eq!(hypervisor(&platform, false), None);
    }

    #[test]
    fn a_model_that_says_nothing_is_a_laptop_by_its_lid() {
        assert_eq!(chassis(Some("Mac14,7"), true, false), "laptop");
        assert_eq!(chassis(Some("Mac14,3"), false, false), "desktop");
        assert_eq!(chassis(Some("VirtualMac2,1"), false, true), "virtual");
    }

    #[test]
    fn guests_say_their_hypervisor() {
        let of = |vendor: &str, model: &str| Platform {
            vendor: Some(vendor.into()),
            model: Some(model.into()),
            ..Platform::default()
        };
        assert_eq!(hypervisor(&of("Apple Inc.", "VirtualMac2,1"), true).unwrap(), "Apple Virtualization");
        assert_eq!(hypervisor(&of("VMware, Inc.", "VMware7,1"), false).unwrap(), "VMware");
        assert_eq!(hypervisor(&of("Apple Inc.", "Mac14,7"), true).unwrap(), "unknown");
    }

    #[test]
    fn a_host_name_loses_its_owner_and_keeps_the_companys_number() {
        assert_eq!(hostname("Annas-MacBook-Pro.local"), "MacBook-Pro");
        assert_eq!(hostname("MacBook-Air-von-Anna-2.local"), "MacBook-Air");
        assert_eq!(hostname("LT-4821.local"), "LT-4821");
        assert_eq!(hostname("lt4821.corp.example.com"), "lt4821.corp.example.com");
    }

    #[test]
    fn the_version_is_as_people_say_it() {
        let text = recording("SystemVersion.plist");
        assert_eq!(version(&parse(text.as_bytes()).unwrap()).unwrap(), "Mac OS X 10.15.4");
    }

    proptest! {
        #[test]
        fn whatever_the_registry_and_the_name_are_nothing_panics(at in 0usize..1100, byte: u8, name in "\\PC{0,80}") {
            let mut bytes = recording("platform_macbookpro12_1.xml").into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(tree) = parse(&bytes) {
                let _ = (platform(&tree), version(&tree));
            }
            prop_assert!(hostname(&name).len() <= 4 * 253);
        }
    }
}
