//! Displays from the IOKit registry. On Intel, `IODisplay` entries hold the whole EDID. On Apple silicon, frame
//! buffers hold only what the system read out of it (`DisplayAttributes`): identity, sizes, no bytes.

use farmwatch_shared::edid::{self, Edid};
use farmwatch_shared::facts::{Display, EdidFacts};
use farmwatch_shared::id::HashKey;

use crate::apple::ioreg::entries;
use crate::apple::plist::{Dict, Plist, data, inner, number, text, yes};

/// Displays by name: of entries of either kind.
pub fn displays(tree: &Plist, key: &HashKey) -> Vec<(String, Display)> {
    let mut found: Vec<(String, Display)> = Vec::new();
    for entry in entries(tree) {
        let display = if entry.contains_key("IODisplayEDID") {
            by_edid(entry, key)
        } else if let Some(attributes) = inner(entry, "DisplayAttributes") {
            let Some(display) = by_attributes(entry, attributes, key) else { continue };
            display
        } else {
            continue;
        };
        let (name, display) = display;
        let like = found.iter().filter(|(taken, _)| taken.split('@').next() == Some(&name)).count();
        found.push((if like == 0 { name } else { format!("{name}@{like}") }, display));
    }
    found
}

fn by_edid(entry: &Dict, key: &HashKey) -> (String, Display) {
    let built_in = text(entry, "IOObjectClass").is_some_and(|class| class == "AppleBacklightDisplay");
    let (edid, edid_error) = match edid::facts(data(entry, "IODisplayEDID").unwrap_or_default(), key) {
        Ok(facts) => (Some(facts), None),
        Err(error) => (None, Some(error.to_string())),
    };
    // `…/AppleIntelFramebuffer@2/display0/…`: the frame buffer stands for the socket.
    let path = text(entry, "IODisplayPrefsKey").unwrap_or_default();
    let socket = path.split('/').rev().find_map(|part| {
        let (name, number) = part.split_once('@')?;
        (name.contains("Framebuffer") && number.len() < 3).then(|| format!("framebuffer-{number}"))
    });
    let name = socket.unwrap_or_else(|| if built_in { "built-in".into() } else { "display".into() });
    let connector = if built_in { "eDP" } else { "" };
    let active = is_lit(entry);
    (name, Display { connector: connector.into(), built_in, active, edid, edid_error, since: None })
}

/// `None` for a frame buffer with nothing plugged in.
fn by_attributes(entry: &Dict, attributes: &Dict, key: &HashKey) -> Option<(String, Display)> {
    let product = inner(attributes, "ProductAttributes")?;
    let matched = text(entry, "IONameMatched").unwrap_or_default();
    let built_in = yes(entry, "external").map_or_else(|| matched.starts_with("disp0"), |external| !external);
    let transport = inner(entry, "Transport").and_then(|transport| text(transport, "Downstream"));
    let name = match matched.split(',').next().unwrap_or_default() {
        _ if built_in => "built-in".to_owned(),
        "" => "external".to_owned(),
        node => node.to_owned(),
    };
    let display = Display {
        connector: if built_in { "eDP".into() } else { transport.unwrap_or_default() },
        built_in,
        active: is_lit(entry),
        since: None,
        edid: identity(attributes, product, key),
        edid_error: None,
    };
    Some((name, display))
}

fn is_lit(entry: &Dict) -> bool {
    let power = inner(entry, "IOPowerManagement").and_then(|p| number::<u32>(p, "CurrentPowerState"));
    power.is_none_or(|state| state > 0)
}

/// The facts that an EDID would have given. Its bytes are not to be had, so whatever needs them (checksum,
/// extensions, exact copies) is not claimed; the serial is hashed as on other systems, so that a monitor that went
/// from one laptop to another is known again.
fn identity(attributes: &Dict, product: &Dict, key: &HashKey) -> Option<EdidFacts> {
    let manufacturer = match text(product, "ManufacturerID").filter(|id| id.len() == 3) {
        Some(letters) => letters,
        None => letters(number(product, "LegacyManufacturerID")?),
    };
    let number_of = |key| number::<u32>(product, key);
    let size = |key| number::<u16>(attributes, key).unwrap_or(0).saturating_mul(10);
    let pixels = |key| number::<u16>(attributes, key);
    let edid = Edid {
        manufacturer,
        product: number(product, "ProductID").unwrap_or(0),
        serial_number: number_of("SerialNumber").unwrap_or(0),
        serial_text: text(product, "AlphanumericSerialNumber"),
        name: text(product, "ProductName"),
        week: number(product, "WeekOfManufacture").unwrap_or(0),
        year: number(product, "YearOfManufacture"),
        width_mm: size("MaxHorizontalImageSize"),
        height_mm: size("MaxVerticalImageSize"),
        preferred: pixels("NativeFormatHorizontalPixels").zip(pixels("NativeFormatVerticalPixels")),
        checksum_ok: true,
        extension_checksums_ok: true,
        ..Edid::default()
    };
    Some(edid::facts_of(edid, key))
}

/// Three letters of five bits each, `A` is 1.
fn letters(code: u16) -> String {
    let letter = |shift: u16| match u8::try_from(code >> shift & 0x1f) {
        Ok(n @ 1..=26) => char::from(b'A' + n - 1),
        _ => '?',
    };
    [letter(10), letter(5), letter(0)].iter().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::apple::ioreg::test::{plist, recording};
    use crate::apple::plist::parse;

    fn key() -> HashKey {
        HashKey::new([7; 32])
    }

    #[test]
    fn an_intel_macbook_shows_its_panel_and_a_dell() {
        let found = displays(&plist("display_intel.xml"), &key());
        let names: Vec<_> = found.iter().map(|(name, d)| (name.as_str(), d.built_in, d.active)).collect();
        assert_eq!(names, [("framebuffer-0", true, true), ("framebuffer-2", false, true)]);
        let dell = found[1].1.edid.as_ref().unwrap();
        assert_eq!((dell.manufacturer.as_str(), dell.model.as_deref()), ("DEL", Some("DELL 1708FP")));
        assert_eq!(dell.preferred, Some((1280, 1024)));
        assert!(!serde_json::to_string(&found[1].1).unwrap().contains("C8918H87R2GUS"), "hashed");
    }

    #[test]
    fn apple_silicon_shows_its_panel_and_a_gigabyte_without_their_edid() {
        let found = displays(&plist("display_m1.xml"), &key());
        assert_eq!(found[0].0, "built-in");
        let panel = found[0].1.edid.as_ref().unwrap();
        assert_eq!((found[0].1.built_in, panel.manufacturer.as_str()), (true, "APP"));
        assert_eq!((found[1].0.as_str(), found[1].1.built_in), ("external", false));
        let screen = found[1].1.edid.as_ref().unwrap();
        assert_eq!((screen.manufacturer.as_str(), screen.product), ("GBT", 0x2800));
        assert_eq!((screen.model.as_deref(), screen.year), (Some("M28U"), Some(2022)));
        assert_eq!((screen.width_mm, screen.height_mm, screen.preferred), (630, 360, Some((3840, 2160))));
        assert!(screen.serial.is_some() && screen.traits.is_empty(), "{:?}", screen.traits);
    }

    #[test]
    fn a_pikvm_on_apple_silicon_is_known_by_its_name() {
        let text = recording("display_m1.xml").replace("M28U", "PiKVM V4");
        let found = displays(&parse(text.as_bytes()).unwrap(), &key());
        assert!(found[1].1.edid.as_ref().unwrap().traits.iter().any(|t| t == "known_kvm:PiKVM"));
    }

    #[test]
    fn a_frame_buffer_with_nothing_plugged_in_is_no_display_and_a_damaged_edid_is_one_in_words() {
        let text = recording("display_m1.xml").replace("ProductAttributes", "Nothing");
        assert!(displays(&parse(text.as_bytes()).unwrap(), &key()).is_empty());
        let text = recording("display_intel.xml").replace("AP///////wA", "AAAAAAAAAAA");
        let found = displays(&parse(text.as_bytes()).unwrap(), &key());
        assert!(found.iter().all(|(_, d)| d.edid.is_none() && d.edid_error.is_some()));
    }

    #[test]
    fn two_screens_of_one_name_are_two() {
        let text = recording("display_m1.xml").replace("disp0,t600x", "other,t600x");
        let mut tree = parse(text.as_bytes()).unwrap();
        if let Plist::Array(array) = &mut tree {
            let mut again = array[1].clone();
            if let Plist::Dict(dict) = &mut again {
                dict.remove("IORegistryEntryID");
            }
            array.push(again);
        }
        let names: Vec<_> = displays(&tree, &key()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["other", "external", "external@1"]);
    }

    proptest! {
        #[test]
        fn cut_and_changed_recordings_never_panic(end in 0usize..3800, at: usize, byte: u8) {
            for name in ["display_m1.xml", "display_intel.xml"] {
                let mut bytes = recording(name).into_bytes();
                let at = at % bytes.len();
                bytes[at] = byte;
                bytes.truncate(end);
                if let Ok(tree) = parse(&bytes) {
                    let _ = displays(&tree, &key());
                }
            }
            prop_assert_eq!(letters(0x1c54), "GBT");
        }
    }
}
