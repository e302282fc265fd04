//! USB devices from the IOKit registry: `IOUSBHostDevice` has the device's descriptor, `IOUSBHostInterface` those of
//! its functions, `IOHIDInterface` what a HID function's report descriptor says.

use std::collections::{BTreeMap, BTreeSet};

use farmwatch_shared::hid::MAX_DESCRIPTOR;
use farmwatch_shared::usb::{HidKind, RawInterface, RawUsb};

use crate::apple::ioreg::{entries, is_a};
use crate::apple::plist::{Dict, Plist, data, number, text, yes};

/// Classes of hubs and of human interface devices.
const HUB: u8 = 9;
const HID: u8 = 3;
/// Most functions of one device.
const MOST: usize = 32;

/// Devices by port path, hubs left out: of registry entries of the three classes, in any order or nesting.
pub fn devices(trees: &[&Plist]) -> BTreeMap<String, RawUsb> {
    let mut all: Vec<&Dict> = trees.iter().flat_map(|tree| entries(tree)).collect();
    let mut seen = BTreeSet::new();
    all.retain(|entry| number::<u64>(entry, "IORegistryEntryID").is_none_or(|id| seen.insert(id)));
    let mut hid: BTreeMap<u32, Vec<&Dict>> = BTreeMap::new();
    for entry in all.iter().filter(|entry| is_a(entry, "IOHIDInterface")) {
        hid.entry(number(entry, "LocationID").unwrap_or(0)).or_default().push(entry);
    }
    let mut devices = BTreeMap::new();
    for entry in all.iter().filter(|entry| is_device(entry)) {
        let Some(location) = number::<u32>(entry, "locationID") else { continue };
        let here = all.iter().filter(|e| is_interface(e) && number(e, "locationID") == Some(location));
        let interfaces = interfaces(here.copied().take(MOST).collect(), hid.remove(&location));
        if let Some(device) = device(entry, location, interfaces) {
            devices.insert(port_path(location), device);
        }
    }
    devices
}

/// Only a device's own entry has both; its drivers repeat some of it.
fn is_device(entry: &Dict) -> bool {
    let described = entry.contains_key("bDeviceClass") && entry.contains_key("bMaxPacketSize0")
        || is_a(entry, "IOUSBHostDevice");
    described && number::<u8>(entry, "bDeviceClass") != Some(HUB)
}

fn is_interface(entry: &Dict) -> bool {
    ["IOUSBHostInterface", "IOUSBInterface", "AppleUSBInterface"].iter().any(|class| is_a(entry, class))
}

fn device(entry: &Dict, location: u32, interfaces: Vec<RawInterface>) -> Option<RawUsb> {
    // The first of each pair is the device's own word, the second what the system shows.
    let either = |own, shown| text(entry, own).or_else(|| text(entry, shown));
    Some(RawUsb {
        vendor_id: number(entry, "idVendor")?,
        product_id: number(entry, "idProduct")?,
        manufacturer: either("kUSBVendorString", "USB Vendor Name"),
        product: either("kUSBProductString", "USB Product Name"),
        serial: either("kUSBSerialNumberString", "USB Serial Number"),
        speed_tenths: speed(entry),
        usb_version: number(entry, "bcdUSB").map(|bcd: u16| format!("{:x}.{:02x}", bcd >> 8, bcd & 0xff)),
        device_version: number(entry, "bcdDevice")
            .map(|bcd: u16| format!("{:02x}.{:02x}", bcd >> 8, bcd & 0xff)),
        interfaces,
        removable: removable(entry, location),
    })
}

/// `Device Speed` (IOUSBHostFamily's `kUSBDeviceSpeed…`), in tenths of Mb/s.
fn speed(entry: &Dict) -> u32 {
    match number::<u8>(entry, "Device Speed") {
        Some(0) => 15,
        Some(1) => 120,
        Some(2) => 4_800,
        Some(3) => 50_000,
        Some(4) => 100_000,
        Some(5) => 200_000,
        _ => 0,
    }
}

/// `USBPortType` (`kIOUSBHostPortType…`): 0 a socket, 1 soldered to a hub, 2 inside, 3 an accessory's. What is
/// soldered to a hub on somebody's desk can be unplugged with it.
fn removable(entry: &Dict, location: u32) -> Option<bool> {
    if yes(entry, "non-removable") == Some(true) {
        return Some(false);
    }
    let at_the_laptop = location.trailing_zeros() >= 20;
    match number::<u8>(entry, "USBPortType")? {
        0 | 3 => Some(true),
        1 if at_the_laptop => Some(false),
        2 => Some(false),
        _ => None,
    }
}

/// The controller's number and the ports on the way, a hexadecimal digit each: `0x00120000` is `0-1.2`.
fn port_path(location: u32) -> String {
    let digits = (0..6).rev().map(|place| location >> (4 * place) & 0xf);
    let ports: Vec<String> = digits.take_while(|port| *port != 0).map(|port| port.to_string()).collect();
    let ports = if ports.is_empty() { "0".to_owned() } else { ports.join(".") };
    format!("{}-{ports}", location >> 24)
}

/// A device's functions in their order, each HID function with its report descriptor. The registry's HID entries
/// name their device but not their function: a boot keyboard takes a keyboard, a boot mouse a pointer, and the
/// others what is left, in order.
fn interfaces(mut entries: Vec<&Dict>, hid: Option<Vec<&Dict>>) -> Vec<RawInterface> {
    let mut hid = hid.unwrap_or_default();
    entries.sort_by_key(|entry| number::<u8>(entry, "bInterfaceNumber"));
    let mut interfaces: Vec<RawInterface> = entries.iter().filter_map(|entry| interface(entry)).collect();
    for boot in [true, false] {
        for interface in interfaces.iter_mut().filter(|i| i.class == HID && (i.subclass == 1) == boot) {
            let fits = |entry: &&Dict| boot && number(entry, "PrimaryUsage") == usage_of(interface.protocol);
            let place = hid.iter().position(fits).or(if hid.is_empty() { None } else { Some(0) });
            let Some(entry) = place.map(|place| hid.remove(place)) else { continue };
            interface.report_descriptor =
                data(entry, "ReportDescriptor").filter(|d| d.len() <= MAX_DESCRIPTOR).map(<[u8]>::to_owned);
            interface.hid_kind = Some(kind(entry));
        }
    }
    interfaces
}

fn interface(entry: &Dict) -> Option<RawInterface> {
    Some(RawInterface {
        class: number(entry, "bInterfaceClass")?,
        subclass: number(entry, "bInterfaceSubClass").unwrap_or(0),
        protocol: number(entry, "bInterfaceProtocol").unwrap_or(0),
        hid_version: None,
        driver: None,
        report_descriptor: None,
        hid_kind: None,
    })
}

/// The usage of the generic desktop page that a boot protocol's collection has.
fn usage_of(protocol: u8) -> Option<u16> {
    match protocol {
        1 => Some(6),
        2 => Some(2),
        _ => None,
    }
}

fn kind(entry: &Dict) -> HidKind {
    match (number::<u16>(entry, "PrimaryUsagePage"), number::<u16>(entry, "PrimaryUsage")) {
        (Some(1), Some(6)) => HidKind::Keyboard,
        (Some(1), Some(1 | 2)) => HidKind::Mouse,
        _ => HidKind::Device,
    }
}

#[cfg(test)]
mod tests {
    use farmwatch_shared::id::HashKey;
    use farmwatch_shared::usb;
    use proptest::prelude::*;

    use super::*;
    use crate::apple::ioreg::test::{plist, recording};
    use crate::apple::plist::parse;

    #[test]
    fn a_billboard_in_a_dock_is_read_once_with_its_one_function() {
        let tree = plist("usb_billboard.xml");
        let found = devices(&[&tree, &tree]);
        let device = &found["0-1.2"];
        assert_eq!(found.len(), 1);
        assert_eq!((device.vendor_id, device.product_id, device.speed_tenths), (0x05ac, 0x1463, 120));
        assert_eq!(device.product.as_deref(), Some("FAKE-PRODUCT-1"), "its own word");
        assert_eq!(
            (device.usb_version.as_deref(), device.device_version.as_deref()),
            (Some("2.01"), Some("45.00"))
        );
        assert_eq!(device.interfaces.len(), 1, "its driver repeats the class");
        assert_eq!(device.interfaces[0].class, 0x11);
        assert_eq!(device.removable, None, "soldered to a dock");
    }

    #[test]
    fn a_probe_in_the_laptops_own_socket_is_removable_and_leaves_its_serial_hashed() {
        let mut tree = plist("usb_orbtrace.xml");
        // The recording does not reach the line of the product id.
        if let Plist::Array(array) = &mut tree
            && let Plist::Dict(dict) = &mut array[0]
        {
            dict.insert("idProduct".into(), Plist::Integer(0x3443));
        }
        let found = devices(&[&tree]);
        let device = &found["0-1"];
        assert_eq!((device.speed_tenths, device.removable), (4_800, Some(true)));
        let fact = usb::facts(device, &HashKey::new([7; 32]));
        assert!(fact.serial.is_some());
        assert!(!serde_json::to_string(&fact).unwrap().contains("32A8708163008E06"));
    }

    /// The values of a PiKVM, in the shape of the recordings.
    fn pikvm() -> Plist {
        let hid = |name: &str, usage: u8| {
            let path =
                std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/hid").join(name);
            let bytes = hex::decode(std::fs::read_to_string(path).unwrap().trim()).unwrap();
            let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
            format!(
                "<dict><key>IOObjectClass</key><string>IOHIDInterface</string><key>LocationID</key>\
                 <integer>17825792</integer><key>PrimaryUsagePage</key><integer>1</integer><key>PrimaryUsage</key>\
                 <integer>{usage}</integer><key>ReportDescriptor</key><data>{base64}</data></dict>"
            )
        };
        let interface = |number: u8, class: u8, subclass: u8, protocol: u8| {
            format!(
                "<dict><key>IOObjectClass</key><string>IOUSBHostInterface</string><key>locationID</key>\
                 <integer>17825792</integer><key>bInterfaceNumber</key><integer>{number}</integer>\
                 <key>bInterfaceClass</key><integer>{class}</integer><key>bInterfaceSubClass</key>\
                 <integer>{subclass}</integer><key>bInterfaceProtocol</key><integer>{protocol}</integer></dict>"
            )
        };
        let device = "<dict><key>IOObjectClass</key><string>IOUSBHostDevice</string><key>locationID</key>\
                      <integer>17825792</integer><key>idVendor</key><integer>7531</integer><key>idProduct</key>\
                      <integer>260</integer><key>Device Speed</key><integer>2</integer><key>bDeviceClass</key>\
                      <integer>0</integer><key>USBPortType</key><integer>0</integer></dict>";
        let list = [
            device.to_owned(),
            interface(1, 3, 0, 0),
            interface(0, 3, 1, 1),
            interface(2, 8, 6, 80),
            hid("gadget_absolute_mouse.hex", 2),
            hid("gadget_keyboard.hex", 6),
        ];
        parse(format!("<plist version=\"1.0\"><array>{}</array></plist>", list.concat()).as_bytes()).unwrap()
    }

    #[test]
    fn a_pikvm_on_a_mac_has_its_keyboard_its_absolute_pointer_and_is_found() {
        let found = devices(&[&pikvm()]);
        let fact = usb::facts(&found["1-1"], &HashKey::new([7; 32]));
        assert_eq!(fact.interfaces.len(), 3);
        assert!(fact.interfaces[0].hid.unwrap().keyboard);
        assert!(fact.interfaces[1].hid.unwrap().absolute);
        assert!(fact.traits.iter().any(|name| name == "gadget_kvm"), "{:?}", fact.traits);
    }

    #[test]
    fn hubs_are_left_out() {
        let text = recording("usb_billboard.xml")
            .replace("<key>bDeviceClass</key>\n\t\t<integer>0<", "<key>bDeviceClass</key>\n\t\t<integer>9<");
        assert!(devices(&[&parse(text.as_bytes()).unwrap()]).is_empty());
    }

    proptest! {
        #[test]
        fn every_location_has_a_path_and_cut_recordings_never_panic(location: u32, end in 0usize..4000) {
            prop_assert!(port_path(location).contains('-'));
            let text = recording("usb_billboard.xml");
            if let Ok(tree) = parse(&text.as_bytes()[..end.min(text.len())]) {
                let _ = devices(&[&tree]);
            }
        }

        #[test]
        fn whatever_an_entry_holds_nothing_panics(
            key in "(locationID|bDeviceClass|idVendor|bInterfaceClass|Device Speed|ReportDescriptor|LocationID)",
            value in "(<integer>-?[0-9]{1,20}</integer>|<string>[a-z]{0,5}</string>|<data>AAAA</data>|<array/>)",
        ) {
            let text = recording("usb_billboard.xml");
            let text = text.replacen("<key>IOObjectClass</key>", &format!("<key>{key}</key>{value}<key>IOObjectClass</key>"), 3);
            if let Ok(tree) = parse(text.as_bytes()) {
                let _ = devices(&[&tree]);
            }
        }
    }
}
