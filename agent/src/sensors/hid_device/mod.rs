//! Keyboards and pointers on every bus: what they are, what they can do, and whether they are the laptop's
//! own.
//!
//! Linux: HID devices and the input layer in sysfs. Windows: device nodes. Woken by hot-plug events.
//! macOS: the IOKit registry, looked at now and then.

#[cfg(target_os = "linux")]
pub(super) mod evdev;
#[cfg(any(target_os = "macos", test))]
mod from_macos;
#[cfg(any(windows, test))]
pub(super) mod from_windows;
#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(target_os = "macos", path = "macos.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod os;

use std::collections::BTreeMap;

use farmwatch_shared::facts::{Bus, Family as _, HidCaps, HidDevice};

use super::hot_plug::{self, Kind};
use super::{Config, Sensed, Sensor};
#[cfg(windows)]
pub(super) use os::fields;
use os::sense;

/// Vendor ids under which Apple's Bluetooth devices go (USB's and Bluetooth's registry).
const APPLE: [&str; 2] = ["05ac", "004c"];

const KIND: Kind = Kind { family: HidDevice::NAME, subsystems: &["hid", "input"], sense, identity: &[] };

/// Makes the sensor.
pub fn new(config: &Config) -> Box<dyn Sensor> {
    hot_plug::sensor(&KIND, config)
}

/// States those that type or point, numbered among their like.
fn state(found: Vec<HidDevice>, out: &mut Sensed) {
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    for mut device in found.into_iter().filter(|device| types_or_points(device.caps)) {
        if device.bus == Bus::Bluetooth {
            device.name = impersonal(&device.vendor_id, &device.name);
        }
        let like = format!("{}:{}:{}", word(device.bus), device.vendor_id, device.product_id);
        let number = numbers.entry(like.clone()).or_default();
        out.fact(&format!("{like}:{number}"), &device);
        *number += 1;
    }
}

fn types_or_points(caps: HidCaps) -> bool {
    caps.keyboard || caps.relative || caps.absolute || caps.digitizer
}

fn word(bus: Bus) -> &'static str {
    match bus {
        Bus::Usb => "usb",
        Bus::Bluetooth => "bluetooth",
        Bus::I2c => "i2c",
        Bus::Ps2 => "ps2",
        Bus::Virtual => "virtual",
        Bus::Other => "other",
    }
}

/// A Bluetooth device's name without its owner's: "Anna's Mouse" is "Mouse", and Apple's, which are named
/// after their owner in every language, have none.
fn impersonal(vendor_id: &str, name: &str) -> String {
    if APPLE.contains(&vendor_id) {
        return String::new();
    }
    let after = |mark: &str| name.find(mark).map(|at| name[at + mark.len()..].trim().to_owned());
    after("'s ").or_else(|| after("\u{2019}s ")).or_else(|| after("' ")).unwrap_or_else(|| name.to_owned())
}
