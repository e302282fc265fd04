//! What is remarkable about a HID device on any bus.

use super::layout;
use crate::facts::Bus;
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

/// What IP-KVMs and their kin call themselves over Bluetooth (pikvm/kvmd: `PiKVM HID`).
const KVM_NAMES: [(&str, &str); 5] = [
    ("pikvm", "PiKVM"),
    ("jetkvm", "JetKVM"),
    ("nanokvm", "NanoKVM"),
    ("blikvm", "BliKVM"),
    ("tinypilot", "TinyPilot"),
];

/// What is remarkable about a HID device by its bus, name and report descriptor:
///
/// - `known_kvm:<name>`: an IP-KVM's own name
/// - `absolute_kvm`: a keyboard and a mouse that points to places in one descriptor, nothing of a touch screen or tablet
/// - `gadget_pointer`: an absolute pointer laid out as IP-KVMs have it
/// - `remote_input:<tool>`: made by a remote tool's software
/// - `jiggler`: it calls itself one
pub fn traits(bus: Bus, name: &str, descriptor: &[u8]) -> Vec<String> {
    let name = name.to_lowercase();
    let named = |names: &[(&'static str, &'static str)]| {
        names.iter().find(|(word, _)| name.contains(word)).map(|(_, known)| *known)
    };
    let mut traits = Vec::new();
    traits.extend(named(&KVM_NAMES).map(|kvm| format!("known_kvm:{kvm}")));
    if bus == Bus::Virtual {
        traits.extend(named(&REMOTE_INPUT).map(|tool| format!("remote_input:{tool}")));
    }
    let layout = layout(descriptor).unwrap_or_default();
    if layout.caps.keyboard && layout.caps.absolute && !layout.any_digitizer {
        traits.push("absolute_kvm".to_owned());
    }
    if layout.gadget_pointer {
        traits.push("gadget_pointer".to_owned());
    }
    if usb::says_jiggler(&name) {
        traits.push("jiggler".to_owned());
    }
    traits
}
