//! IP-KVMs by their shape: what no disguise of ids and strings changes.

use super::{RawInterface, RawUsb};
use crate::facts::HidCaps;
use crate::hid;

/// `bInterfaceClass` of HID.
pub const HID: u8 = 3;
const AUDIO: u8 = 1;
const CDC: u8 = 2;
const STORAGE: u8 = 8;
const CDC_DATA: u8 = 10;
const WIRELESS: u8 = 0xe0; // RNDIS hides here

/// Speed of high-speed USB in tenths of Mb/s. Keyboards and mice run at 1.5 or 12 Mb/s.
pub const HIGH_SPEED: u32 = 4800;

/// Makers of keyboards that do run at 480 Mb/s, for 8,000 reports a second: Razer, Corsair, SteelSeries,
/// Wooting, ASUS ROG, Logitech G, Keychron, MSI, DrunkDeer, Endgame Gear, ZSA.
const FAST_KEYBOARD_MAKERS: [u16; 11] =
    [0x1532, 0x1b1c, 0x1038, 0x31e3, 0x0b05, 0x046d, 0x3434, 0x0db0, 0x352d, 0x3367, 0x3297];

/// Makers that the ids name, and the word that their devices then say.
const MAKERS: [(u16, &str); 7] = [
    (0x046d, "logitech"),
    (0x045e, "microsoft"),
    (0x413c, "dell"),
    (0x05ac, "apple"),
    (0x17ef, "lenovo"),
    (0x1532, "razer"),
    (0x1b1c, "corsair"),
];

/// Traits by shape; see [`super::traits`].
pub fn traits(raw: &RawUsb) -> Vec<&'static str> {
    let hid: Vec<HidCaps> = raw.interfaces.iter().filter(|i| i.class == HID).map(super::caps).collect();
    let keyboard = hid.iter().any(|caps| caps.keyboard);
    let pointer = hid.iter().any(|caps| caps.absolute || caps.relative);
    let more = raw.interfaces.iter().any(brings_more) || raw.interfaces.iter().any(has_gadget_pointer);
    let fast = raw.speed_tenths >= HIGH_SPEED;
    let gadget_ids = raw.vendor_id == 0x1d6b && raw.product_id >= 0x0100;
    let shape = (fast && keyboard && pointer && more) || (gadget_ids && keyboard);
    let fast_both = fast && keyboard && pointer && !FAST_KEYBOARD_MAKERS.contains(&raw.vendor_id);
    let checks = [
        ("gadget_kvm", shape),
        ("gadget_keyboard", fast_both && !shape),
        ("gadget_ids", gadget_ids),
        ("gadget_pointer", raw.interfaces.iter().any(has_gadget_pointer)),
        ("strings_misfit", strings_misfit(raw)),
        ("disguised", fast && keyboard && (super::known::is_disguise(raw) || (shape && strings_misfit(raw)))),
    ];
    checks.into_iter().filter(|(_, holds)| *holds).map(|(name, _)| name).collect()
}

/// Storage, audio or network: what an IP-KVM brings beside keyboard and pointer.
fn brings_more(interface: &RawInterface) -> bool {
    matches!(interface.class, AUDIO | CDC | STORAGE | CDC_DATA | WIRELESS)
}

/// An absolute pointer laid out as gadgets do.
fn has_gadget_pointer(interface: &RawInterface) -> bool {
    let descriptor = interface.report_descriptor.as_deref().unwrap_or_default();
    hid::layout(descriptor).is_ok_and(|layout| layout.gadget_pointer)
}

/// The maker that the ids name says something else of itself.
fn strings_misfit(raw: &RawUsb) -> bool {
    let Some((_, word)) = MAKERS.iter().find(|(vendor, _)| *vendor == raw.vendor_id) else { return false };
    let said = raw.manufacturer.as_deref().map(str::to_lowercase);
    said.is_some_and(|said| !said.trim().is_empty() && !said.contains(word))
}
