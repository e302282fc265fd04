//! What a USB device says of itself, and what is remarkable about that.
//!
//! [`facts`] turns what a sensor read into the fact that leaves the laptop: the serial number goes in plain
//! and comes out hashed. What only the plain serial number can tell is settled here and travels as a trait.

mod claims;
mod descriptors;
mod known;
mod shape;

pub use descriptors::hid_versions;
pub use known::says_jiggler;

use crate::facts::{HidCaps, UsbDevice, UsbInterface};
use crate::firmware::says_nothing;
use crate::hid::{self, HidLayout};
use crate::id::HashKey;

/// A USB device as a sensor reads it, nothing hashed yet: never leaves the laptop in this form.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawUsb {
    /// `idVendor`.
    pub vendor_id: u16,
    /// `idProduct`.
    pub product_id: u16,
    /// The device's own word for its maker.
    pub manufacturer: Option<String>,
    /// The device's own word for itself.
    pub product: Option<String>,
    /// Its serial number, plain.
    pub serial: Option<String>,
    /// Mb/s in tenths: 15, 120, 4800, 50000.
    pub speed_tenths: u32,
    /// `bcdUSB` as text: `2.00`.
    pub usb_version: Option<String>,
    /// `bcdDevice` as text: `05.10`.
    pub device_version: Option<String>,
    /// Its functions.
    pub interfaces: Vec<RawInterface>,
    /// The port is one that a person can reach; `None` where the firmware does not say.
    pub removable: Option<bool>,
}

/// One interface of a USB device as a sensor reads it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawInterface {
    /// `bInterfaceClass`.
    pub class: u8,
    /// `bInterfaceSubClass`.
    pub subclass: u8,
    /// `bInterfaceProtocol`.
    pub protocol: u8,
    /// For HID: the version of HID that it claims (`bcdHID`), such as `0x0111`.
    pub hid_version: Option<u16>,
    /// The driver bound to it, where there is one.
    pub driver: Option<String>,
    /// For HID: its report descriptor, where it can be read.
    pub report_descriptor: Option<Vec<u8>>,
    /// For HID without a report descriptor: what the system says of it.
    pub hid_kind: Option<HidKind>,
}

/// What a system says of a HID interface without its report descriptor: Linux' and macOS' word for it after its application
/// collections, or what Windows has parsed of the descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HidKind {
    /// `Keyboard`.
    Keyboard,
    /// `Mouse`, also a pointer that is absolute.
    Mouse,
    /// Anything else: `Device`.
    Device,
    /// All that matters here.
    Parsed(HidLayout),
}

/// Longest string kept of a device; a USB string descriptor holds 126 characters.
const MAX_STRING: usize = 126;

/// The fact that leaves the laptop.
pub fn facts(raw: &RawUsb, key: &HashKey) -> UsbDevice {
    UsbDevice {
        vendor_id: format!("{:04x}", raw.vendor_id),
        product_id: format!("{:04x}", raw.product_id),
        manufacturer: raw.manufacturer.as_deref().and_then(clean),
        product: raw.product.as_deref().and_then(clean),
        serial: raw.serial.as_deref().filter(|s| serial_worth_the_name(s)).map(|serial| {
            key.hash("usb_serial", &format!("{:04x}:{:04x}:{serial}", raw.vendor_id, raw.product_id))
        }),
        speed_tenths: raw.speed_tenths,
        usb_version: raw.usb_version.as_deref().and_then(clean),
        device_version: raw.device_version.as_deref().and_then(clean),
        interfaces: raw.interfaces.iter().map(interface).collect(),
        removable: raw.removable,
        since: None,
        traits: traits(raw),
    }
}

/// What is remarkable about a device. By what it says of itself:
///
/// - `known_kvm:<name>`: ids, strings or serial number are an IP-KVM's defaults
/// - `console:<name>`: a commercial IP-KVM's adapter, or a server's remote console
/// - `jiggler`: a device that moves the mouse by itself
/// - `gadget_ids`: ids of a Linux USB gadget (`1d6b:0104` and its kin)
/// - `strings_misfit`: it names another maker than its ids do
/// - `disguised`: a shape, speed or serial number that the product it claims to be never had
///
/// By what it is, whatever it says:
///
/// - `gadget_kvm`: a keyboard and a pointer in one device at 480 Mb/s, with storage, audio, network, or pointing to
///   places
/// - `linux_hid`: a keyboard or pointer at 480 Mb/s that says HID 1.01, as Linux' imitation does
/// - `absolute_kvm`: a keyboard and a mouse that points to places in one device, and nothing of a touch screen or tablet
/// - `kvm_firmware`: keyboard and pointer both described byte for byte as in an IP-KVM's firmware
/// - `version_misfit`: at 480 Mb/s, and claims a version of USB that is slower
/// - `gadget_keyboard`: keyboard and pointer at 480 Mb/s and nothing else, of no maker of gaming keyboards
/// - `gadget_pointer`: an absolute pointer laid out as IP-KVMs' gadgets have it
pub fn traits(raw: &RawUsb) -> Vec<String> {
    let mut traits = Vec::new();
    traits.extend(known::kvm(raw).map(|name| format!("known_kvm:{name}")));
    traits.extend(known::console(raw).map(|name| format!("console:{name}")));
    if known::is_jiggler(raw) {
        traits.push("jiggler".to_owned());
    }
    traits.extend(shape::traits(raw).into_iter().map(str::to_owned));
    traits
}

fn interface(raw: &RawInterface) -> UsbInterface {
    UsbInterface {
        class: raw.class,
        subclass: raw.subclass,
        protocol: raw.protocol,
        hid: (raw.class == shape::HID).then(|| caps(raw)),
    }
}

/// What a HID interface can do: by its report descriptor, else by what the system calls it, else by its
/// boot protocol.
fn caps(raw: &RawInterface) -> HidCaps {
    let boot = |protocol| raw.subclass == 1 && raw.protocol == protocol;
    let told = || HidCaps {
        keyboard: raw.hid_kind == Some(HidKind::Keyboard) || boot(1),
        relative: raw.hid_kind == Some(HidKind::Mouse) || boot(2),
        ..HidCaps::default()
    };
    layout(raw).map_or_else(told, |layout| layout.caps)
}

/// Its report descriptor as it was read, here or by the system.
fn layout(raw: &RawInterface) -> Option<HidLayout> {
    match (&raw.report_descriptor, raw.hid_kind) {
        (Some(descriptor), _) => hid::layout(descriptor).ok(),
        (None, Some(HidKind::Parsed(layout))) => Some(layout),
        (None, _) => None,
    }
}

/// A device's string without what is not printable; `None` if nothing is left.
fn clean(text: &str) -> Option<String> {
    let kept: String = text.chars().filter(|c| !c.is_control()).take(MAX_STRING).collect();
    let kept = kept.trim();
    (!kept.is_empty()).then(|| kept.to_owned())
}

/// Two devices of one model with this serial number are one and the same: not zeros, not `0123456789`, not what every
/// PiKVM says.
fn serial_worth_the_name(serial: &str) -> bool {
    let serial = serial.trim();
    let counted = "0123456789abcdef".starts_with(&serial.to_ascii_lowercase())
        || "123456789abcdef".starts_with(&serial.to_ascii_lowercase());
    serial.chars().count() >= 4
        && !says_nothing(serial)
        && !counted
        && !serial.eq_ignore_ascii_case("cafebabe")
}

#[cfg(test)]
mod tests;
