use serde::{Deserialize, Serialize};

use super::Family;

/// A keyboard or pointer on any bus. Key: `hid_device/<bus>:<vendor>:<product>:<n>`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HidDevice {
    /// How it is attached.
    pub bus: Bus,
    /// Vendor id, four lower-case hex digits; `0000` for virtual and PS/2 devices without one.
    pub vendor_id: String,
    /// Product id, likewise.
    pub product_id: String,
    /// Its name as the system shows it.
    pub name: String,
    /// What it can do.
    pub caps: HidCaps,
    /// Part of the laptop.
    pub built_in: bool,
    /// What is remarkable about it, by the names that [`crate::hid::traits`] gives.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub traits: Vec<String>,
}

impl Family for HidDevice {
    const NAME: &'static str = "hid_device";
}

/// Buses that input devices sit on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bus {
    /// USB.
    Usb,
    /// Bluetooth.
    Bluetooth,
    /// I²C, SPI, RMI: what is soldered in.
    I2c,
    /// PS/2 (the i8042 keyboard controller).
    Ps2,
    /// Made by software: uinput and its kin.
    Virtual,
    /// Anything else.
    #[default]
    #[serde(other)]
    Other,
}

/// What a HID report descriptor can do, after its usages (USB HID Usage Tables 1.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_excessive_bools, reason = "five independent capabilities")]
pub struct HidCaps {
    /// Keys of a keyboard that writes: usage page 7, letters among them.
    pub keyboard: bool,
    /// X and Y, relative.
    pub relative: bool,
    /// X and Y, absolute, of a mouse or pointer collection: what an IP-KVM sends.
    pub absolute: bool,
    /// Touch screen, touchpad, pen.
    pub digitizer: bool,
    /// Volume, media keys and other consumer controls.
    pub consumer: bool,
}
