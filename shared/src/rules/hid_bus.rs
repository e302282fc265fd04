//! Keyboards and pointers that are not on USB: Bluetooth, and those that software makes.
//!
//! - **Physical cause**: an IP-KVM may type over Bluetooth (cause `kvm`); a remote tool makes keyboard and pointer of its
//!   own on systems that let no program move another's (cause `tool:<id>`, shared with the tool itself).
//! - **Cap**: none of the six Bluetooth descriptors among 393 real ones has the shape, far too few to count: assumption.
//! - **Innocent twins**: keyboards with a touchpad (relative), pen tablets on Bluetooth (a digitizer); keyboards and
//!   presenters that somebody built from a kit; remappers, automation and drivers that make virtual devices under other
//!   names; streaming one's own games; the hypervisor's tablet in a guest.
//! - **Defeated by** a relative mouse under another name and other ids; for software, by another name or by portals and
//!   libei, which make no device.

use super::{Evidence, finding, has_trait, is_guest, is_sanctioned};
use crate::facts::{Bus, HidDevice};
use crate::finding::{Finding, Group};
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] = &[
    "hid.known_kvm",
    "hid.absolute_kvm",
    "hid.kvm_firmware",
    "hid.gadget_pointer",
    "hid.kit",
    "hid.remote_input",
    "hid.jiggler",
];

/// Shapes, strongest first: trait, rule, and what it says of the device.
const SHAPES: [(&str, &str, &str); 3] = [
    (
        "absolute_kvm",
        "hid.absolute_kvm",
        "is a keyboard and a mouse that points to places in one, as IP-KVMs are",
    ),
    (
        "kvm_firmware",
        "hid.kvm_firmware",
        "describes its keyboard and its mouse byte for byte as the firmware of IP-KVMs does",
    ),
    ("gadget_pointer", "hid.gadget_pointer", "is a mouse that points to places, laid out as IP-KVMs do it"),
];

/// What keyboards and pointers off USB say.
pub fn rule(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    let (devices, guest) = (evidence.state.all::<HidDevice>(), is_guest(evidence.state));
    devices
        .filter(|(key, device)| device.bus != Bus::Usb && !is_sanctioned(evidence.context, key, None))
        .filter_map(|(key, device)| {
            let found = judge(device, guest, weights)?;
            let tool = found.cause.strip_prefix("tool:");
            if tool.is_some_and(|tool| evidence.context.sanctioned_tools.iter().any(|id| id == tool)) {
                return None;
            }
            Some(Finding { facts: vec![key.clone()], ..found })
        })
        .collect()
}

fn judge(device: &HidDevice, is_guest: bool, weights: &Weights) -> Option<Finding> {
    let name = &device.name;
    let found = |id: &str, cause: String, technique: &str, why: String| Finding {
        technique: Some(technique.into()),
        ..finding(weights, id, Group::UsbHid, cause, why)
    };
    if let Some(kvm) = super::known_kvm(&device.traits) {
        let why =
            format!("a keyboard or mouse calls itself \"{name}\": {kvm}, which types for somebody far away");
        return Some(Finding { policy: true, ..found("hid.known_kvm", "kvm".into(), "T1219.003", why) });
    }
    let shape = SHAPES.iter().find(|(held, _, _)| has_trait(&device.traits, held));
    if let Some((_, id, what)) = shape.filter(|_| !is_guest) {
        return Some(found(id, "kvm".into(), "T1219.003", format!("\"{name}\" {what}")));
    }
    if let Some(tool) = device.traits.iter().find_map(|held| held.strip_prefix("remote_input:")) {
        let why = format!(
            "software made a keyboard or pointer \"{name}\", by which {tool} lets somebody else work"
        );
        return Some(found("hid.remote_input", format!("tool:{tool}"), "T1219.002", why));
    }
    if has_trait(&device.traits, "jiggler") {
        let why = format!("\"{name}\" moves the mouse by itself and keeps the laptop awake");
        return Some(found("hid.jiggler", "jiggler".into(), "T1200", why));
    }
    (has_trait(&device.traits, "kit") && (device.caps.relative || device.caps.absolute)).then(|| {
        let why = format!(
            "a pointer over Bluetooth, \"{name}\" ({}:{}), is made of a kit for small computers: whatever program is on it \
             types and points",
            device.vendor_id, device.product_id
        );
        found("hid.kit", "kvm".into(), "T1200", why)
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use crate::hid::{self, RawHid};

    /// Rules that fire on a device of this bus, name and descriptor.
    fn judged(bus: Bus, name: &str, descriptor: &str) -> Vec<String> {
        judged_as((0, 0), bus, name, descriptor)
    }

    fn judged_as(ids: (u16, u16), bus: Bus, name: &str, descriptor: &str) -> Vec<String> {
        let descriptor = hex::decode(descriptor).unwrap();
        let traits = hid::traits(&RawHid { bus, ids, name, descriptor: &descriptor, parsed: None });
        let caps = hid::caps(&descriptor).unwrap_or_default();
        let mut case = Case::default();
        case.state.put("x", &HidDevice { bus, name: name.into(), caps, traits, ..HidDevice::default() });
        rule(&case.evidence(), &Weights::shipped()).into_iter().map(|found| found.rule).collect()
    }

    /// A boot keyboard and, in the same descriptor, a mouse from 0 to 4095.
    const KEYBOARD: &str = "05010906a1018501050719e029e715002501750195088102950175088103950675081500\
                            26ff000507190029ff8100c0";
    const ABSOLUTE: &str = "05010902a1018505050919012905150025019505750181029501750381030501093009311500\
                            26ff0f751095028102c0";
    const RELATIVE: &str = "05010902a1018504050919012905150025019505750181029501750381030501093009311581\
                            257f750895028106c0";

    #[test]
    fn a_pikvm_over_bluetooth_calls_itself_one_and_another_is_told_by_its_shape() {
        assert_eq!(judged(Bus::Bluetooth, "PiKVM HID", ""), ["hid.known_kvm"]);
        assert_eq!(
            judged(Bus::Bluetooth, "Keyboard K380", &[KEYBOARD, ABSOLUTE].concat()),
            ["hid.absolute_kvm"]
        );
    }

    #[test]
    fn a_pointer_made_of_a_kit_is_told_by_its_ids_or_name_and_a_keyboard_of_one_is_innocent() {
        assert_eq!(judged_as((0x02e5, 0x11a1), Bus::Bluetooth, "Keyboard K380", RELATIVE), ["hid.kit"]);
        assert_eq!(judged(Bus::Bluetooth, "ESP32 Bluetooth Mouse", RELATIVE), ["hid.kit"]);
        assert_eq!(judged_as((0x02e5, 0x11a1), Bus::Bluetooth, "my split keyboard", KEYBOARD), [""; 0]);
    }

    #[test]
    fn an_absolute_pointer_of_a_gadgets_layout_is_found_over_bluetooth_too() {
        let gadget = "05010902a1010901a10005091901290315002501750195038102950175058103050109300931160000\
                      26ff7f751095028102c0c0";
        assert_eq!(judged(Bus::Bluetooth, "Mouse M720", gadget), ["hid.gadget_pointer"]);
    }

    #[test]
    fn a_keyboard_with_a_touchpad_over_bluetooth_is_innocent() {
        assert_eq!(judged(Bus::Bluetooth, "Keyboard K400", &[KEYBOARD, RELATIVE].concat()), [""; 0]);
    }

    #[test]
    fn a_remote_tools_pointer_is_seen_and_a_remappers_is_not() {
        assert_eq!(judged(Bus::Virtual, "RustDesk UInput Mouse", ""), ["hid.remote_input"]);
        assert_eq!(judged(Bus::Virtual, "Mouse passthrough (absolute)", ""), ["hid.remote_input"]);
        for name in ["keyd virtual pointer", "ydotoold virtual device", "input-remapper keyboard", "Solaar"] {
            assert_eq!(judged(Bus::Virtual, name, ""), [""; 0], "{name}");
        }
    }

    #[test]
    fn the_pointer_of_a_tool_that_it_sanctions_is_no_finding() {
        let mut case = Case::default();
        let traits =
            hid::traits(&RawHid { bus: Bus::Virtual, name: "RustDesk UInput Mouse", ..RawHid::default() });
        case.state.put("x", &HidDevice { bus: Bus::Virtual, traits, ..HidDevice::default() });
        assert_eq!(rule(&case.evidence(), &Weights::shipped()).len(), 1);
        case.context.sanctioned_tools.push("rustdesk".into());
        assert_eq!(rule(&case.evidence(), &Weights::shipped()), vec![]);
    }

    #[test]
    fn what_hangs_on_usb_is_judged_there() {
        assert_eq!(judged(Bus::Usb, "PiKVM Composite Device", ""), [""; 0]);
    }
}
