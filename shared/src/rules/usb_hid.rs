//! What hangs on USB and pretends to be a keyboard and a mouse.
//!
//! - **Physical cause**: to type and point from far away without software, something must be keyboard and
//!   pointer. An IP-KVM is both in one device, points absolutely, runs at 480 Mb/s because it is a computer,
//!   and mostly brings a drive or a sound card. Shared with screens and pointing: cause `kvm`.
//! - **Cap**: none of 201 real laptops (wacom-hid-descriptors), docks and tablets plugged in, has a keyboard or
//!   mouse at 480 Mb/s: at most 3 in 201, so ln(201 / 3) = 4.2 for the shape. Names and ids are no statistics but
//!   what the device says of itself: assumption.
//!   The pointer's layout: none of 393 descriptors of real keyboards, mice, tablets and touch screens has it, but
//!   those are devices and not laptops, so the weight stays an assumption well below.
//! - **Innocent twins**: the hypervisor's tablet in a guest; gaming keyboards at 480 Mb/s (their makers are known to [`crate::usb`]), docks,
//!   graphics tablets with a drive on them (at 12 Mb/s), presenters.
//! - **Defeated by** a clone of a real receiver at 12 Mb/s with a relative mouse and nothing else; by Bluetooth.

use super::{Evidence, finding, has_trait, is_guest, is_sanctioned};
use crate::facts::UsbDevice;
use crate::finding::{Finding, Group};
use crate::state::FactKey;
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] =
    &["usb.known_kvm", "usb.disguised_kvm", "usb.kvm_shape", "usb.gadget_pointer", "usb.fast_keyboard"];

/// What the devices on USB say.
pub fn rule(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    let devices = evidence.state.all::<UsbDevice>();
    devices
        .filter(|(key, device)| !is_sanctioned(evidence.context, key, device.serial.as_ref()))
        .filter_map(|(key, device)| judge(weights, key, &device, is_guest(evidence.state)))
        .collect()
}

fn judge(weights: &Weights, key: &FactKey, device: &UsbDevice, is_guest: bool) -> Option<Finding> {
    let words = [device.manufacturer.as_deref(), device.product.as_deref()];
    let words: Vec<&str> = words.into_iter().flatten().collect();
    let says = format!("{}:{} \"{}\"", device.vendor_id, device.product_id, words.join(" "));
    let found = |id: &str, why: String, policy: bool| {
        Some(Finding {
            technique: Some(if id == "usb.fast_keyboard" { "T1200" } else { "T1219.003" }.into()),
            facts: vec![key.clone()],
            policy,
            ..finding(weights, id, Group::UsbHid, "kvm", why)
        })
    };
    if let Some(kvm) = super::known_kvm(&device.traits) {
        let why = format!("a USB device says {says}: {kvm}, by which somebody far away types and points");
        return found("usb.known_kvm", why, true);
    }
    if has_trait(&device.traits, "disguised") {
        let why =
            format!("a USB device says {says}, and has speed and functions that this product never had");
        return found("usb.disguised_kvm", why, false);
    }
    if has_trait(&device.traits, "gadget_kvm") {
        let why = format!(
            "a USB device ({says}) is keyboard and pointer in one, at {} Mb/s, with absolute pointing, a drive, \
             sound or network: the shape of an IP-KVM and of no keyboard",
            device.speed_tenths / 10
        );
        return found("usb.kvm_shape", why, false);
    }
    if has_trait(&device.traits, "gadget_pointer") && !is_guest {
        let why =
            format!("a USB device ({says}) is a mouse that points to places, laid out as IP-KVMs do it");
        return found("usb.gadget_pointer", why, false);
    }
    if has_trait(&device.traits, "gadget_keyboard") {
        let why = format!("a USB keyboard and mouse ({says}) runs at 480 Mb/s, as a small computer would");
        return found("usb.fast_keyboard", why, false);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, key};
    use super::*;
    use crate::usb::{self, HidKind, RawInterface, RawUsb};

    fn hid(kind: HidKind) -> RawInterface {
        RawInterface { class: 3, hid_kind: Some(kind), ..RawInterface::default() }
    }

    fn judged(raw: &RawUsb) -> Vec<Finding> {
        let mut case = Case::default();
        case.state.put("1-4.2", &usb::facts(raw, &key()));
        rule(&case.evidence(), &Weights::shipped())
    }

    #[test]
    fn a_pikvm_with_its_defaults_is_forbidden_as_such() {
        let raw = RawUsb {
            vendor_id: 0x1d6b,
            product_id: 0x0104,
            manufacturer: Some("PiKVM".into()),
            speed_tenths: 4800,
            interfaces: vec![hid(HidKind::Keyboard), hid(HidKind::Mouse)],
            ..RawUsb::default()
        };
        assert!(judged(&raw)[0].policy);
    }

    #[test]
    fn a_disguise_is_found_by_its_shape() {
        let storage = RawInterface { class: 8, subclass: 6, protocol: 80, ..RawInterface::default() };
        let raw = RawUsb {
            vendor_id: 0x04f2,
            product_id: 0x0400,
            manufacturer: Some("Chicony".into()),
            speed_tenths: 4800,
            interfaces: vec![hid(HidKind::Keyboard), hid(HidKind::Mouse), storage],
            ..RawUsb::default()
        };
        assert_eq!(judged(&raw)[0].rule, "usb.kvm_shape");
    }

    #[test]
    fn a_docked_laptop_with_a_gaming_keyboard_is_innocent() {
        let raw = RawUsb {
            vendor_id: 0x31e3,
            product_id: 0x1322,
            manufacturer: Some("Wooting".into()),
            speed_tenths: 4800,
            interfaces: vec![hid(HidKind::Keyboard), hid(HidKind::Mouse)],
            ..RawUsb::default()
        };
        assert_eq!(judged(&raw), vec![]);
    }

    #[test]
    fn a_receiver_for_keyboard_and_mouse_is_innocent() {
        let raw = RawUsb {
            vendor_id: 0x046d,
            product_id: 0xc52b,
            product: Some("USB Receiver".into()),
            speed_tenths: 120,
            interfaces: vec![hid(HidKind::Keyboard), hid(HidKind::Mouse), hid(HidKind::Device)],
            ..RawUsb::default()
        };
        assert_eq!(judged(&raw), vec![]);
    }
}
