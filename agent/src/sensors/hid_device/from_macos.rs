//! Keyboards and pointers from the IOKit registry's `IOHIDInterface` entries.

use farmwatch_shared::facts::{Bus, HidCaps, HidDevice};
use farmwatch_shared::hid::{self, RawHid};

use crate::apple::ioreg::{entries, is_a};
use crate::apple::plist::{Dict, Plist, data, inner, number, text, yes};

/// What the system calls things that no wire or radio attaches: software.
const VIRTUAL: [&str; 2] = ["Virtual", "IOHIDResource"];

/// Every HID function: what it is, or why it cannot be said.
pub fn devices(tree: &Plist) -> Vec<Result<HidDevice, String>> {
    let mut found: Vec<(u64, Result<HidDevice, String>)> = entries(tree)
        .into_iter()
        .filter(|entry| is_a(entry, "IOHIDInterface"))
        .map(|entry| (number(entry, "IORegistryEntryID").unwrap_or(0), device(entry)))
        .collect();
    // Ids grow as things are plugged in: numbers among their like stay as they were.
    found.sort_by_key(|(id, _)| *id);
    found.into_iter().map(|(_, device)| device).collect()
}

fn device(entry: &Dict) -> Result<HidDevice, String> {
    let vendor_id: u16 = number(entry, "VendorID").unwrap_or(0);
    let built_in = yes(entry, "Built-In").unwrap_or(false);
    let bus = bus(text(entry, "Transport").as_deref(), built_in);
    let name = text(entry, "Product").unwrap_or_default();
    let descriptor = data(entry, "ReportDescriptor");
    let caps = match descriptor {
        Some(descriptor) => {
            hid::caps(descriptor).map_err(|error| format!("of maker {vendor_id:04x}: {error}"))?
        }
        None => by_usages(entry),
    };
    let product_id: u16 = number(entry, "ProductID").unwrap_or(0);
    let ids = (vendor_id, product_id);
    let raw = RawHid { bus, ids, name: &name, descriptor: descriptor.unwrap_or_default(), parsed: None };
    Ok(HidDevice {
        bus,
        vendor_id: format!("{vendor_id:04x}"),
        product_id: format!("{product_id:04x}"),
        traits: hid::traits(&raw),
        name,
        caps,
        built_in,
    })
}

/// Apple's own keyboards hang on SPI (Intel, T2), FIFO (Apple silicon) and SPU (sensors): all soldered in.
fn bus(transport: Option<&str>, built_in: bool) -> Bus {
    match transport {
        Some("USB") => Bus::Usb,
        Some(radio) if radio.starts_with("Bluetooth") => Bus::Bluetooth,
        Some("SPI" | "FIFO" | "SPU" | "I2C" | "SPMI") => Bus::I2c,
        Some(word) if VIRTUAL.contains(&word) => Bus::Virtual,
        // A driver of software's names no transport; the laptop's own parts always do.
        None if !built_in => Bus::Virtual,
        _ => Bus::Other,
    }
}

/// By the top-level collections (HID Usage Tables 1.5), where there is no descriptor to read.
fn by_usages(entry: &Dict) -> HidCaps {
    let pairs = entry.get("DeviceUsagePairs").map(Plist::array).unwrap_or_default();
    let mut usages: Vec<(u16, u16)> = pairs
        .iter()
        .filter_map(Plist::dict)
        .filter_map(|pair| Some((number(pair, "DeviceUsagePage")?, number(pair, "DeviceUsage")?)))
        .collect();
    usages.extend(number(entry, "PrimaryUsagePage").zip(number(entry, "PrimaryUsage")));
    HidCaps {
        keyboard: usages.contains(&(1, 6)),
        relative: usages.contains(&(1, 2)),
        absolute: false,
        digitizer: usages.iter().any(|(page, _)| *page == 0x0d)
            || inner(entry, "MultitouchPreferences").is_some(),
        consumer: usages.iter().any(|(page, _)| *page == 0x0c),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::apple::ioreg::test::{plist, recording};
    use crate::apple::plist::parse;

    #[test]
    fn a_bluetooth_mouse_that_can_also_type_is_both() {
        let found = devices(&plist("hid_mx_master.xml"));
        let mouse = found[0].as_ref().unwrap();
        assert_eq!(
            (mouse.bus, mouse.vendor_id.as_str(), mouse.product_id.as_str()),
            (Bus::Bluetooth, "046d", "b023")
        );
        assert!(mouse.caps.keyboard && mouse.caps.relative && !mouse.caps.absolute && !mouse.built_in);
    }

    #[test]
    fn transports_as_hidutil_lists_them_on_apple_silicon() {
        let of = |word: &str, built_in| bus(Some(word), built_in);
        assert_eq!((of("FIFO", true), of("SPU", true), of("SPI", true)), (Bus::I2c, Bus::I2c, Bus::I2c));
        assert_eq!((of("USB", false), of("Bluetooth", false)), (Bus::Usb, Bus::Bluetooth));
        assert_eq!((of("Audio", false), bus(None, false)), (Bus::Other, Bus::Virtual));
    }

    #[test]
    fn without_a_descriptor_the_collections_tell() {
        let text = recording("hid_mx_master.xml").replace("ReportDescriptor", "Withheld");
        let found = devices(&parse(text.as_bytes()).unwrap());
        let caps = found[0].as_ref().unwrap().caps;
        assert!(caps.keyboard && caps.relative && !caps.digitizer);
    }

    #[test]
    fn a_descriptor_that_lies_is_told_in_words() {
        let text = recording("hid_mx_master.xml").replace("BQEJBqEB", "////////");
        let found = devices(&parse(text.as_bytes()).unwrap());
        assert!(found[0].as_ref().unwrap_err().contains("046d"));
    }

    proptest! {
        #[test]
        fn cut_and_changed_recordings_never_panic(end in 0usize..2200, at in 0usize..2200, byte: u8) {
            let mut bytes = recording("hid_mx_master.xml").into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(end);
            if let Ok(tree) = parse(&bytes) {
                let _ = devices(&tree);
            }
        }
    }
}
