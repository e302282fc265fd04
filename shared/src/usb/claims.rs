//! What a device claims to be, held against what the product is.
//!
//! An operator who disguises an IP-KVM copies ids and strings of something that nobody looks twice at: an office
//! keyboard, a receiver. What the copied product cannot do stays: it runs at 1.5 or 12 Mb/s, is nothing but HID,
//! does not point to places, is a keyboard or a mouse and not both, and some never had a serial number.

use super::RawUsb;
use super::shape::{HID, Seen};

/// A product that disguises take, and what all of its kind have in common.
struct Product {
    ids: (u16, u16),
    /// What it is.
    what: What,
    /// The fastest that it was ever seen, in tenths of Mb/s. Most small chips for keyboards (CH9329, RP2040, ESP32) run at 12.
    fastest: u32,
    /// All of them lack a serial number.
    never_numbered: bool,
}

/// What a product is, and so what it cannot be beside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// Writes and never points.
    Keyboard,
    /// Points and never writes.
    Mouse,
    /// May do both.
    Receiver,
}

use What::{Keyboard, Mouse, Receiver};

const LOW: u32 = 15;
const FULL: u32 = 120;

const fn product(vendor: u16, product: u16, what: What, fastest: u32, never_numbered: bool) -> Product {
    Product { ids: (vendor, product), what, fastest, never_numbered }
}

/// Keyboards, mice and receivers of offices.
///
/// Speeds and functions as linuxwacom/wacom-hid-descriptors and kernels' logs in public issues show them (`new low-speed USB
/// device`, `SerialNumber=0`); where none was found the speed is 12. Three are `JetKVM`'s built-in disguises.
const PRODUCTS: [Product; 26] = [
    product(0x046d, 0xc52b, Receiver, FULL, true), // Logitech Unifying receiver
    product(0x045e, 0x005f, Keyboard, FULL, true), // Microsoft Wireless MultiMedia Keyboard
    product(0x413c, 0x2011, Keyboard, FULL, true), // Dell Multimedia Pro Keyboard
    product(0x046d, 0xc534, Receiver, FULL, false), // Logitech Nano receiver
    product(0x046d, 0xc548, Receiver, FULL, false), // Logitech Bolt receiver
    product(0x046d, 0xc52f, Receiver, FULL, false), // Logitech Nano receiver
    product(0x046d, 0xc31c, Keyboard, LOW, true),  // Logitech K120
    product(0x046d, 0xc318, Keyboard, FULL, false), // Logitech Illuminated Keyboard
    product(0x046d, 0xc077, Mouse, LOW, false),    // Logitech M105
    product(0x045e, 0x0745, Receiver, FULL, false), // Microsoft Nano transceiver
    product(0x045e, 0x0750, Keyboard, FULL, true), // Microsoft Wired Keyboard 600
    product(0x045e, 0x0773, Receiver, FULL, false), // Microsoft Nano transceiver
    product(0x413c, 0x2003, Keyboard, LOW, true),  // Dell SK-8115
    product(0x413c, 0x2105, Keyboard, FULL, false), // Dell L100
    product(0x413c, 0x2107, Keyboard, LOW, true),  // Dell KB212-B
    product(0x413c, 0x2113, Keyboard, LOW, true),  // Dell KB216
    product(0x413c, 0x301a, Mouse, LOW, true),     // Dell MS116
    product(0x413c, 0x301c, Receiver, FULL, false), // Dell Universal receiver
    product(0x03f0, 0x0024, Keyboard, LOW, true),  // HP KU-0316
    product(0x03f0, 0x2a41, Mouse, LOW, false),    // HP 1000 mouse
    product(0x17ef, 0x6099, Keyboard, FULL, false), // Lenovo keyboard
    product(0x17ef, 0x608d, Mouse, LOW, false),    // Lenovo mouse
    product(0x17ef, 0x6019, Mouse, FULL, false),   // Lenovo mouse
    product(0x05ac, 0x0221, Keyboard, FULL, false), // Apple keyboard
    product(0x05ac, 0x024f, Keyboard, FULL, false), // Apple keyboard
    product(0x05ac, 0x0250, Keyboard, FULL, false), // Apple keyboard
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
    let claimed = PRODUCTS.iter().find(|product| product.ids == (raw.vendor_id, raw.product_id));
    let Some(claimed) = claimed else {
        return seen.is_kvm() && strings_misfit(raw);
    };
    let numbered = raw.serial.as_deref().is_some_and(|serial| !serial.trim().is_empty());
    raw.speed_tenths > claimed.fastest
        || seen.absolute
        // A real keyboard's only function may be called a mouse by the system; both at once is neither.
        || (claimed.what != Receiver && seen.keyboard && seen.pointer)
        || raw.interfaces.iter().any(|interface| interface.class != HID)
        || (claimed.never_numbered && numbered)
}

/// The maker that the ids name says something else of itself.
pub fn strings_misfit(raw: &RawUsb) -> bool {
    let Some((_, words)) = MAKERS.iter().find(|(vendor, _)| *vendor == raw.vendor_id) else { return false };
    let said = raw.manufacturer.as_deref().map(str::to_lowercase).filter(|said| !said.trim().is_empty());
    said.is_some_and(|said| !words.iter().any(|word| said.contains(word)))
}
