//! IP-KVMs by their shape: what no disguise of ids and strings changes.
//!
//! Physical cause of it all: the box is a small computer that imitates a keyboard, a mouse and often a drive, with the
//! imitation that its system has at hand. On Linux that is one driver (`f_hid`), which runs at the controller's speed
//! and says HID 1.01 of itself, and a handful of report descriptors that firmware copies from the same few places.

use super::{RawInterface, RawUsb, claims};
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

/// `bcdHID` that Linux' HID gadget says (`f_hid.c`); devices say 1.10 or 1.11.
const LINUX_HID_VERSION: u16 = 0x0101;

/// Makers of keyboards that do run at 480 Mb/s, for 8,000 reports a second: Razer, Corsair, SteelSeries, Wooting, ASUS
/// ROG, Logitech G, Keychron, MSI, DrunkDeer, Endgame Gear, ZSA, Kingston HyperX, HyperX, ROCCAT, Turtle Beach, Cooler
/// Master, Glorious, SinoWealth, Ducky, NuPhy, Akko, A4Tech Bloody, Cherry, EVGA, Mountain, Das Keyboard, Finalmouse.
const FAST_KEYBOARD_MAKERS: [u16; 27] = [
    0x1532, 0x1b1c, 0x1038, 0x31e3, 0x0b05, 0x046d, 0x3434, 0x0db0, 0x352d, 0x3367, 0x3297, 0x0951, 0x03f0,
    0x1e7d, 0x10f5, 0x2516, 0x320f, 0x258a, 0x3233, 0x19f5, 0x3151, 0x09da, 0x046a, 0x3842, 0x3282, 0x24f0,
    0x361d,
];

/// What a device is made of, ids and strings left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent things that were seen")]
pub struct Seen {
    /// At 480 Mb/s or more.
    pub fast: bool,
    /// A keyboard that writes.
    pub keyboard: bool,
    /// A mouse, relative or absolute.
    pub pointer: bool,
    /// A mouse that points to places, in a device without anything of a touch screen or tablet.
    pub absolute: bool,
    /// The absolute pointer has the layout of gadgets.
    pub gadget_pointer: bool,
    /// A drive, sound or network beside it.
    pub more: bool,
    /// A keyboard or mouse at 480 Mb/s that says HID 1.01.
    pub linux_hid: bool,
    /// Its keyboards and mice say a version of HID, and none says 1.01.
    pub other_hid: bool,
    /// Both the keyboard's and the pointer's report descriptors are, byte for byte, an IP-KVM's firmware's.
    pub firmware: bool,
    /// At 480 Mb/s, and claims a version of USB that does not have this speed.
    pub version_misfit: bool,
}

impl Seen {
    /// Looks at a device.
    pub fn of(raw: &RawUsb) -> Self {
        let hid: Vec<&RawInterface> = raw.interfaces.iter().filter(|i| i.class == HID).collect();
        let caps: Vec<HidCaps> = hid.iter().map(|i| super::caps(i)).collect();
        let descriptors: Vec<&[u8]> = hid.iter().filter_map(|i| i.report_descriptor.as_deref()).collect();
        let any = |holds: fn(&HidCaps) -> bool| caps.iter().any(holds);
        let fast = raw.speed_tenths >= HIGH_SPEED;
        let is_linux = |(interface, caps): (&&RawInterface, &HidCaps)| {
            interface.hid_version == Some(LINUX_HID_VERSION)
                && (caps.keyboard || caps.relative || caps.absolute)
        };
        let touch = hid.iter().any(|interface| has_digitizer(interface)) || any(|caps| caps.digitizer);
        Self {
            fast,
            keyboard: any(|caps| caps.keyboard),
            pointer: any(|caps| caps.absolute || caps.relative),
            absolute: any(|caps| caps.absolute) && !touch,
            gadget_pointer: hid.iter().any(|interface| has_gadget_pointer(interface)),
            more: raw.interfaces.iter().any(brings_more),
            linux_hid: fast && hid.iter().zip(&caps).any(is_linux),
            other_hid: hid.iter().any(|interface| interface.hid_version.is_some())
                && !hid.iter().any(|interface| interface.hid_version == Some(LINUX_HID_VERSION)),
            firmware: hid::is_firmware(&descriptors),
            version_misfit: fast && raw.usb_version.as_deref().is_some_and(is_before_usb_2),
        }
    }

    /// A keyboard and a pointer at 480 Mb/s that bring a drive, sound, network or point to places.
    pub fn is_kvm(&self) -> bool {
        self.fast && self.keyboard && self.pointer && (self.more || self.absolute || self.gadget_pointer)
    }
}

/// Traits by shape; see [`super::traits`].
pub fn traits(raw: &RawUsb) -> Vec<&'static str> {
    let seen = Seen::of(raw);
    let input = seen.keyboard || seen.pointer;
    // A keyboard that is fast and no more is a gaming keyboard by its maker, or where it says that it is not Linux.
    let no_gamers = !FAST_KEYBOARD_MAKERS.contains(&raw.vendor_id) && !seen.other_hid;
    let fast_both = seen.fast && seen.keyboard && seen.pointer;
    let checks = [
        ("gadget_kvm", seen.is_kvm()),
        ("linux_hid", seen.linux_hid),
        ("absolute_kvm", seen.keyboard && seen.absolute),
        ("kvm_firmware", seen.firmware),
        ("version_misfit", seen.version_misfit && input),
        ("gadget_keyboard", fast_both && !seen.is_kvm() && no_gamers),
        ("gadget_ids", raw.vendor_id == 0x1d6b && raw.product_id >= 0x0100),
        ("gadget_pointer", seen.gadget_pointer),
        ("strings_misfit", claims::strings_misfit(raw)),
        ("disguised", input && claims::is_disguised(raw, &seen)),
    ];
    checks.into_iter().filter(|(_, holds)| *holds).map(|(name, _)| name).collect()
}

/// Storage, audio or network: what an IP-KVM brings beside keyboard and pointer.
fn brings_more(interface: &RawInterface) -> bool {
    matches!(interface.class, AUDIO | CDC | STORAGE | CDC_DATA | WIRELESS)
}

/// An absolute pointer laid out as gadgets do.
fn has_gadget_pointer(interface: &RawInterface) -> bool {
    super::layout(interface).is_some_and(|layout| layout.gadget_pointer)
}

fn has_digitizer(interface: &RawInterface) -> bool {
    super::layout(interface).is_some_and(|layout| layout.any_digitizer)
}

/// `1.01`, `1.10`: versions of USB that know 1.5 and 12 Mb/s only.
fn is_before_usb_2(version: &str) -> bool {
    version.trim().starts_with("1.") || version.trim().starts_with('0')
}
