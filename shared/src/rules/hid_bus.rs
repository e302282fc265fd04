//! Keyboards and pointers that are not on USB: Bluetooth, and those that software makes.
//!
//! - **Physical cause**: an IP-KVM may type over Bluetooth (cause `kvm`); a remote tool makes keyboard and pointer of its
//!   own on systems that let no program move another's (cause `tool:<id>`, shared with the tool itself).
//! - **Cap**: none of the six Bluetooth descriptors among 393 real ones has the shape, far too few to count: assumption.
//! - **Innocent twins**: keyboards with a touchpad (relative), pen tablets on Bluetooth (a digitizer); remappers,
//!   automation and drivers that make virtual devices under other names; streaming one's own games.
//! - **Defeated by** a relative mouse under another name; for software, by another name or by portals and libei, which
//!   make no device.

use super::{Evidence, finding, has_trait, is_guest, is_sanctioned};
use crate::facts::{Bus, HidDevice};
use crate::finding::{Finding, Group};
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] = &["hid.known_kvm", "hid.absolute_kvm", "hid.remote_input", "hid.jiggler"];

/// What keyboards and pointers off USB say.
pub fn rule(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    let devices = evidence.state.all::<HidDevice>();
    devices
        .filter(|(key, device)| device.bus != Bus::Usb && !is_sanctioned(evidence.context, key, None))
        .filter_map(|(key, device)| {
            let found = judge(&device, is_guest(evidence.state), weights)?;
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
    if has_trait(&device.traits, "absolute_kvm") && !is_guest {
        let why =
            format!("\"{name}\" is a keyboard and a mouse that points to places in one, as IP-KVMs are");
        return Some(found("hid.absolute_kvm", "kvm".into(), "T1219.003", why));
    }
    if let Some(tool) = device.traits.iter().find_map(|held| held.strip_prefix("remote_input:")) {
        let why = format!(
            "software made a keyboard or pointer \"{name}\", by which {tool} lets somebody else work"
        );
        return Some(found("hid.remote_input", format!("tool:{tool}"), "T1219.002", why));
    }
    has_trait(&device.traits, "jiggler").then(|| {
        let why = format!("\"{name}\" moves the mouse by itself and keeps the laptop awake");
        found("hid.jiggler", "jiggler".into(), "T1200", why)
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use crate::hid;

    /// Rules that fire on a device of this bus, name and descriptor.
    fn judged(bus: Bus, name: &str, descriptor: &str) -> Vec<String> {
        let traits = hid::traits(bus, name, &hex::decode(descriptor).unwrap());
        let mut case = Case::default();
        case.state.put("x", &HidDevice { bus, name: name.into(), traits, ..HidDevice::default() });
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
    fn what_hangs_on_usb_is_judged_there() {
        assert_eq!(judged(Bus::Usb, "PiKVM Composite Device", ""), [""; 0]);
    }
}
