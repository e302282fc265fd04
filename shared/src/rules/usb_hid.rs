//! What hangs on USB and pretends to be a keyboard and a mouse.
//!
//! - **Physical cause**: to type and point from far away without software, something must be keyboard and
//!   pointer. An IP-KVM is both in one device, points absolutely, runs at 480 Mb/s because it is a computer,
//!   and mostly brings a drive or a sound card. Shared with screens and pointing: cause `kvm`.
//! - **Cap**: none of 201 real laptops (wacom-hid-descriptors), docks and tablets plugged in, has a keyboard or
//!   mouse at 480 Mb/s: at most 3 in 201, so ln(201 / 3) = 4.2 for every shape at that speed. None of 393 descriptors
//!   of real keyboards, mice, tablets and touch screens has the layouts looked for at any speed, but those are devices
//!   and not laptops, so these weights stay assumptions below. Names and ids are no statistics but what the device
//!   says of itself: assumption.
//! - **Innocent twins**: the hypervisor's tablet in a guest; gaming keyboards at 480 Mb/s (their makers are known to
//!   [`crate::usb`]), docks, webcams and headsets with buttons, graphics tablets with a drive on them (at 12 Mb/s),
//!   touch screens and tablets that are mice too (they have a digitizer), presenters, receivers, security keys, KVM
//!   switches; hobbyists' keyboards on a small computer.
//! - **Defeated by** a clone of a real receiver at 12 Mb/s with a relative mouse and nothing else, built with another
//!   firmware than IP-KVMs have; by Bluetooth ([`super::hid_bus`]).

use super::{Evidence, finding, has_trait, is_guest, is_sanctioned};
use crate::facts::UsbDevice;
use crate::finding::{Finding, Group};
use crate::state::FactKey;
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] = &[
    "usb.known_kvm",
    "usb.console",
    "usb.disguised_kvm",
    "usb.kvm_shape",
    "usb.linux_hid",
    "usb.kvm_firmware",
    "usb.absolute_kvm",
    "usb.version_misfit",
    "usb.gadget_ids",
    "usb.gadget_pointer",
    "usb.fast_keyboard",
    "usb.jiggler",
];

/// Shapes, strongest first: trait, rule, and what it says of the device.
const SHAPES: [(&str, &str, &str); 7] = [
    (
        "linux_hid",
        "usb.linux_hid",
        "is a keyboard or mouse imitated by Linux, by the version of HID and the speed that it has: a small computer, not \
         a keyboard",
    ),
    (
        "gadget_kvm",
        "usb.kvm_shape",
        "is keyboard and pointer in one at 480 Mb/s and brings a drive, sound, network or absolute pointing: the shape \
         of an IP-KVM and of no keyboard",
    ),
    (
        "absolute_kvm",
        "usb.absolute_kvm",
        "is a keyboard and a mouse that points to places in one, as IP-KVMs are and no office device is",
    ),
    (
        "kvm_firmware",
        "usb.kvm_firmware",
        "describes its keyboard and its mouse byte for byte as the firmware of IP-KVMs does",
    ),
    (
        "version_misfit",
        "usb.version_misfit",
        "types or points at 480 Mb/s and claims a version of USB that does not have this speed",
    ),
    ("gadget_pointer", "usb.gadget_pointer", "is a mouse that points to places, laid out as IP-KVMs do it"),
    (
        "gadget_keyboard",
        "usb.fast_keyboard",
        "is a keyboard and mouse at 480 Mb/s, as a small computer would be",
    ),
];

/// Shapes that no innocent device has, in whatever disguise.
const KVM_SHAPES: [&str; 4] = ["linux_hid", "gadget_kvm", "absolute_kvm", "kvm_firmware"];

/// What the devices on USB say.
pub fn rule(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    let (devices, guest) = (evidence.state.all::<UsbDevice>(), is_guest(evidence.state));
    devices
        .filter(|(key, device)| !is_sanctioned(evidence.context, key, device.serial.as_ref()))
        .flat_map(|(key, device)| {
            let seen = Device::new(key, device, weights);
            [seen.identity(), seen.disguise(), seen.shape(guest), seen.jiggler()]
        })
        .flatten()
        .collect()
}

struct Device<'a> {
    key: &'a FactKey,
    fact: &'a UsbDevice,
    says: String,
    weights: &'a Weights,
}

impl<'a> Device<'a> {
    fn new(key: &'a FactKey, fact: &'a UsbDevice, weights: &'a Weights) -> Self {
        let words = [fact.manufacturer.as_deref(), fact.product.as_deref()];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        let says = format!("{}:{} \"{}\"", fact.vendor_id, fact.product_id, words.join(" "));
        Self { key, fact, says, weights }
    }

    fn found(&self, id: &str, cause: &str, technique: &str, why: String) -> Finding {
        Finding {
            technique: Some(technique.into()),
            facts: vec![self.key.clone()],
            ..finding(self.weights, id, Group::UsbHid, cause, why)
        }
    }

    /// What it says of itself.
    fn identity(&self) -> Option<Finding> {
        let says = &self.says;
        if let Some(kvm) = super::known_kvm(&self.fact.traits) {
            let why = format!("a USB device says {says}: {kvm}, by which somebody far away types and points");
            return Some(Finding { policy: true, ..self.found("usb.known_kvm", "kvm", "T1219.003", why) });
        }
        if let Some(console) = self.fact.traits.iter().find_map(|held| held.strip_prefix("console:")) {
            let why = format!("a USB device says {says}: {console}, a console for somebody far away");
            return Some(Finding { policy: true, ..self.found("usb.console", "kvm", "T1219.003", why) });
        }
        let keyboard = self.fact.interfaces.iter().any(|i| i.hid.is_some_and(|caps| caps.keyboard));
        (has_trait(&self.fact.traits, "gadget_ids") && keyboard).then(|| {
            let why = format!("a USB keyboard says {says}: a small computer that imitates one with Linux");
            self.found("usb.gadget_ids", "kvm", "T1219.003", why)
        })
    }

    /// What it claims to be, against what it is. A disguise over what only IP-KVMs are is as forbidden as an IP-KVM that says
    /// so: none of 201 real laptops has a device in disguise, none of 393 real devices such a shape.
    fn disguise(&self) -> Option<Finding> {
        let holds = |name: &str| has_trait(&self.fact.traits, name);
        holds("disguised").then(|| {
            let is_kvm = KVM_SHAPES.iter().any(|name| holds(name));
            let why = format!(
                "a USB device says {}, and has a speed, functions or a serial number that this product never had",
                self.says
            );
            Finding { policy: is_kvm, ..self.found("usb.disguised_kvm", "kvm", "T1219.003", why) }
        })
    }

    /// What it is, whatever it says: the strongest shape.
    fn shape(&self, is_guest: bool) -> Option<Finding> {
        let holds = |name: &str| has_trait(&self.fact.traits, name);
        let of_guest = |name: &str| is_guest && name == "gadget_pointer";
        let (name, id, what) = SHAPES.iter().find(|(name, _, _)| holds(name) && !of_guest(name))?;
        let technique = if *name == "gadget_keyboard" { "T1200" } else { "T1219.003" };
        let mut why = format!("a USB device ({}) {what}", self.says);
        if *name == "linux_hid" && holds("gadget_kvm") {
            why += "; it is keyboard and pointer in one, with a drive, sound, network or absolute pointing";
        }
        Some(self.found(id, "kvm", technique, why))
    }

    fn jiggler(&self) -> Option<Finding> {
        has_trait(&self.fact.traits, "jiggler").then(|| {
            let why = format!(
                "a USB device says {}: it moves the mouse by itself and keeps the laptop awake",
                self.says
            );
            self.found("usb.jiggler", "jiggler", "T1200", why)
        })
    }
}

#[cfg(test)]
#[path = "usb_hid_tests.rs"]
mod tests;
