//! What a device claims to be, held against what the product is.
//!
//! An operator who disguises an IP-KVM copies ids and strings of something that nobody looks twice at: an office
//! keyboard, a receiver. What the copied product cannot do stays: it runs at 1.5 or 12 Mb/s, is nothing but HID,
//! does not point to places, and some never had a serial number.

use super::RawUsb;
use super::shape::{HID, HIGH_SPEED, Seen};

/// Keyboards, mice and receivers of offices: ids, and whether all of them lack a serial number.
///
/// Speeds and functions as usb.ids and linuxwacom/wacom-hid-descriptors show them; the first three are JetKVM's
/// built-in disguises.
const PRODUCTS: [(u16, u16, bool); 26] = [
    (0x046d, 0xc52b, true),  // Logitech Unifying receiver
    (0x045e, 0x005f, true),  // Microsoft Wireless MultiMedia Keyboard
    (0x413c, 0x2011, true),  // Dell Multimedia Pro Keyboard
    (0x046d, 0xc534, false), // Logitech Nano receiver
    (0x046d, 0xc548, false), // Logitech Bolt receiver
    (0x046d, 0xc52f, false), // Logitech Nano receiver
    (0x046d, 0xc31c, false), // Logitech K120
    (0x046d, 0xc318, false), // Logitech Illuminated Keyboard
    (0x046d, 0xc077, false), // Logitech M105
    (0x045e, 0x0745, false), // Microsoft Nano transceiver
    (0x045e, 0x0750, false), // Microsoft Wired Keyboard 600
    (0x045e, 0x0773, false), // Microsoft Nano transceiver
    (0x413c, 0x2003, false), // Dell SK-8115
    (0x413c, 0x2105, false), // Dell L100
    (0x413c, 0x2107, false), // Dell KB212-B
    (0x413c, 0x2113, false), // Dell KB216
    (0x413c, 0x301a, false), // Dell MS116
    (0x413c, 0x301c, false), // Dell Universal receiver
    (0x03f0, 0x0024, false), // HP KU-0316
    (0x03f0, 0x2a41, false), // HP 1000 mouse
    (0x17ef, 0x6099, false), // Lenovo keyboard
    (0x17ef, 0x608d, false), // Lenovo mouse
    (0x17ef, 0x6019, false), // Lenovo mouse
    (0x05ac, 0x0221, false), // Apple keyboard
    (0x05ac, 0x024f, false), // Apple keyboard
    (0x05ac, 0x0250, false), // Apple keyboard
];

/// Makers that ids name, and the words of which their devices then say one. Makers that put their ids on other
/// makers' hardware and leave its strings (HP, Lenovo) are not among them.
const MAKERS: [(u16, &[&str]); 9] = [
    (0x046d, &["logitech", "logi"]),
    (0x045e, &["microsoft"]),
    (0x413c, &["dell", "alienware"]),
    (0x05ac, &["apple"]),
    (0x1532, &["razer"]),
    (0x1b1c, &["corsair"]),
    (0x1038, &["steelseries"]),
    (0x047d, &["kensington"]),
    (0x056a, &["wacom"]),
];

/// Whether it has functions or a speed that the product it claims to be never had.
pub fn is_disguised(raw: &RawUsb, seen: &Seen) -> bool {
    let claimed =
        PRODUCTS.iter().find(|(vendor, product, _)| (*vendor, *product) == (raw.vendor_id, raw.product_id));
    let Some((_, _, never_numbered)) = claimed else {
        return seen.is_kvm() && strings_misfit(raw);
    };
    let numbered = raw.serial.as_deref().is_some_and(|serial| !serial.trim().is_empty());
    raw.speed_tenths >= HIGH_SPEED
        || seen.absolute
        || raw.interfaces.iter().any(|interface| interface.class != HID)
        || (*never_numbered && numbered)
}

/// The maker that the ids name says something else of itself.
pub fn strings_misfit(raw: &RawUsb) -> bool {
    let Some((_, words)) = MAKERS.iter().find(|(vendor, _)| *vendor == raw.vendor_id) else { return false };
    let said = raw.manufacturer.as_deref().map(str::to_lowercase).filter(|said| !said.trim().is_empty());
    said.is_some_and(|said| !words.iter().any(|word| said.contains(word)))
}
