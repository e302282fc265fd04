//! What is remarkable about a HID device on any bus.

use super::{HidLayout, is_firmware, layout};
use crate::facts::Bus;
use crate::kvm::{self, Kind};
use crate::usb;

/// Input devices that remote tools make with uinput, by a lower-case part of their names: tool's catalogue id.
///
/// Sources: rustdesk's `uinput.rs`; inputtino, by which Sunshine and Wolf make theirs; xpra's uinput pointer.
const REMOTE_INPUT: [(&str, &str); 5] = [
    ("rustdesk", "rustdesk"),
    ("mouse passthrough", "sunshine"),
    ("keyboard passthrough", "sunshine"),
    ("touch passthrough", "sunshine"),
    ("xpra virtual pointer", "xpra"),
];

/// Ids of kits that make a Bluetooth keyboard or mouse of an ESP32, as their libraries set them (T-vK/ESP32-BLE-Keyboard,
/// T-vK/ESP32-BLE-Mouse, nkolban/ESP32_BLE_Arduino's examples), in the order in which they arrive: the libraries swap the bytes.
const KITS: [(u16, u16); 4] = [(0x02e5, 0x11a1), (0xe502, 0xa111), (0xac05, 0x0a82), (0x05ac, 0x820a)];

/// What such kits call themselves when nobody changed it.
const KIT_NAMES: [&str; 2] = ["esp32", "blekeyboard"];

/// A HID device on any bus, as a sensor reads it.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawHid<'a> {
    /// How it is attached.
    pub bus: Bus,
    /// Vendor and product; zeros where it has none.
    pub ids: (u16, u16),
    /// Its name as the system shows it.
    pub name: &'a str,
    /// Its report descriptor; empty where it has none.
    pub descriptor: &'a [u8],
    /// What the system has parsed of a descriptor that it keeps to itself; see [`super::layout_of`].
    pub parsed: Option<HidLayout>,
}

/// What is remarkable about a HID device by its bus, ids, name and report descriptor:
///
/// - `known_kvm:<name>`: an IP-KVM's own name
/// - `absolute_kvm`: a keyboard and a mouse that points to places in one descriptor, nothing of a touch screen or tablet
/// - `kvm_firmware`: keyboard and pointer both described byte for byte as in an IP-KVM's firmware, numbers of reports
///   left out
/// - `gadget_pointer`: an absolute pointer laid out as IP-KVMs have it
/// - `kit`: made by a library for small computers, under the library's ids or name
/// - `remote_input:<tool>`: made by a remote tool's software
/// - `jiggler`: it calls itself one
pub fn traits(raw: &RawHid<'_>) -> Vec<String> {
    let name = raw.name.to_lowercase();
    let mut traits = Vec::new();
    let known = [Kind::Kvm, Kind::Console].into_iter().find_map(|kind| kvm::named(kind, &[&name]));
    traits.extend(known.map(|product| format!("known_kvm:{}", product.name)));
    if raw.bus == Bus::Virtual {
        let tool = REMOTE_INPUT.iter().find(|(word, _)| name.contains(word));
        traits.extend(tool.map(|(_, tool)| format!("remote_input:{tool}")));
    }
    let layout = raw.parsed.or_else(|| layout(raw.descriptor).ok()).unwrap_or_default();
    let checks = [
        ("absolute_kvm", layout.caps.keyboard && layout.caps.absolute && !layout.any_digitizer),
        ("kvm_firmware", is_firmware(&[raw.descriptor])),
        ("gadget_pointer", layout.gadget_pointer),
        ("kit", raw.bus == Bus::Bluetooth && is_kit(raw.ids, &name)),
        ("jiggler", usb::says_jiggler(&name)),
    ];
    traits.extend(checks.into_iter().filter(|(_, holds)| *holds).map(|(name, _)| name.to_owned()));
    traits
}

fn is_kit(ids: (u16, u16), name: &str) -> bool {
    KITS.contains(&ids) || KIT_NAMES.iter().any(|word| name.contains(word))
}
