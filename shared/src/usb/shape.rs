//! IP-KVMs by their shape: what no disguise of ids and strings changes.

use super::{HidKind, RawInterface, RawUsb};
use crate::facts::HidCaps;

/// `bInterfaceClass` of HID.
pub const HID: u8 = 3;
const AUDIO: u8 = 1;
const CDC: u8 = 2;
const STORAGE: u8 = 8;
const CDC_DATA: u8 = 10;
const WIRELESS: u8 = 0xe0; // RNDIS hides here

/// Speed of high-speed USB in tenths of Mb/s. Keyboards and mice run at 1.5 or 12 Mb/s.
const HIGH_SPEED: u32 = 4800;

/// Traits by shape; see [`super::traits`].
pub fn traits(raw: &RawUsb) -> Vec<&'static str> {
    let mut traits = Vec::new();
    let hid: Vec<HidCaps> = raw.interfaces.iter().filter(|i| i.class == HID).map(super::caps).collect();
    let keyboard = hid.iter().any(|caps| caps.keyboard);
    let absolute = hid.iter().any(|caps| caps.absolute);
    let pointer = absolute || hid.iter().any(|caps| caps.relative);
    let other = raw.interfaces.iter().any(brings_more);
    let fast = raw.speed_tenths >= HIGH_SPEED;

    if fast && keyboard && pointer {
        traits.push(if absolute || other { "gadget_kvm" } else { "gadget_keyboard" });
    }
    if raw.vendor_id == 0x1d6b && raw.product_id >= 0x0100 {
        traits.push("gadget_ids");
    }
    traits
}

/// Storage, audio or network: what an IP-KVM brings beside keyboard and pointer.
fn brings_more(interface: &RawInterface) -> bool {
    matches!(interface.class, AUDIO | CDC | STORAGE | CDC_DATA | WIRELESS)
        && interface.hid_kind != Some(HidKind::Keyboard)
}
