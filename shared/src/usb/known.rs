//! IP-KVMs, remote consoles and jigglers by what they say of themselves over USB.
//!
//! IP-KVMs and consoles stand in [`crate::kvm`]'s table, which this reads; jigglers here. Sources for these: usb.ids, and
//! what jigglers are sold as.

use super::RawUsb;
use crate::kvm::{Kind, PRODUCTS, Usb};

/// The IP-KVM whose defaults these are.
pub fn kvm(raw: &RawUsb) -> Option<&'static str> {
    product(raw, Kind::Kvm)
}

/// The commercial IP-KVM's adapter or server's console that this is.
pub fn console(raw: &RawUsb) -> Option<&'static str> {
    product(raw, Kind::Console)
}

fn product(raw: &RawUsb, kind: Kind) -> Option<&'static str> {
    let lower = |text: &Option<String>| text.as_deref().unwrap_or_default().to_lowercase();
    let (manufacturer, product) = (lower(&raw.manufacturer), lower(&raw.product));
    let words = [manufacturer.as_str(), product.as_str()];
    let serial = raw.serial.as_deref().map(str::trim);
    let fits = |usb: &Usb| {
        usb.ids.is_none_or(|(vendor, product)| {
            vendor == raw.vendor_id && product.is_none_or(|product| product == raw.product_id)
        }) && usb.says.is_none_or(|word| words.iter().any(|said| said.contains(word)))
            && usb.serial.is_none_or(|known| serial.is_some_and(|s| s.eq_ignore_ascii_case(known)))
    };
    let of_kind = PRODUCTS.iter().filter(|row| row.kind == kind);
    of_kind.into_iter().find(|row| row.is_named(&words) || row.usb.iter().any(fits)).map(|row| row.name)
}

/// Products that only jiggle a mouse, by their ids.
const JIGGLERS: [(u16, u16, &str); 2] =
    [(0x0e90, 0x0028, "WiebeTech Mouse Jiggler"), (0x1d50, 0x609c, "antiAFK keyboard")];

/// What jigglers call themselves.
const JIGGLER_WORDS: [&str; 8] =
    ["jiggle", "mouse mover", "mousemover", "anti afk", "antiafk", "keep awake", "keepawake", "stay awake"];

/// Whether a device is a jiggler by its own word.
pub fn is_jiggler(raw: &RawUsb) -> bool {
    let by_ids =
        JIGGLERS.iter().any(|(vendor, product, _)| (*vendor, *product) == (raw.vendor_id, raw.product_id));
    let words = [&raw.manufacturer, &raw.product].into_iter().flatten();
    by_ids || words.into_iter().any(|text| says_jiggler(text))
}

/// Whether a name is a jiggler's.
pub fn says_jiggler(name: &str) -> bool {
    let name = name.to_lowercase();
    JIGGLER_WORDS.iter().any(|word| name.contains(word))
}
