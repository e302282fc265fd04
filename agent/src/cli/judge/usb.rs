//! `judge usb`: one laptop a line, as JSON: `{"source", "dmi", "usb": [{"id", "name", "speed_mbps",
//! "interfaces": [[number, class, driver]], "hid": {"0": "Keyboard"}}]}`.
//!
//! Classes are named as `lsusb -t` and the kernel name them. Optional, where they are known: `manufacturer`,
//! `product`, `serial` (else `name` is taken for both words), `usb_version` (`2.00`), and by interface
//! `report_descriptors` in hex and `hid_versions` (`1.11`; else as the kernel's lines in `hid_kernel_lines` say).

use std::collections::BTreeMap;

use farmwatch_shared::state::State;
use farmwatch_shared::usb::{self, HidKind, RawInterface, RawUsb};
use farmwatch_shared::weights::Weights;
use serde::Deserialize;

use super::hid::parse_ids;
use super::{Judge, Verdict, findings, throwaway_key};

/// Judges each line as a whole laptop.
pub fn judge(weights: &Weights) -> Judge<'_> {
    let key = throwaway_key();
    Box::new(move |line| {
        let laptop: Laptop = match serde_json::from_str(line) {
            Ok(laptop) => laptop,
            Err(error) => return Verdict::unreadable("", format!("not a laptop's USB tree: {error}")),
        };
        let mut state = State::default();
        for (number, device) in laptop.usb.iter().enumerate() {
            let name = format!("{}-{}#{number}", device.bus, device.port_path);
            state.put(&name, &usb::facts(&device.raw(&laptop.hid_kernel_lines), &key));
        }
        Verdict { label: laptop.source, found: Ok(findings(&state, weights)) }
    })
}

#[derive(Deserialize)]
struct Laptop {
    #[serde(default)]
    source: String,
    usb: Vec<Device>,
    #[serde(default)]
    hid_kernel_lines: Vec<String>,
}

#[derive(Deserialize)]
struct Device {
    #[serde(default)]
    bus: u32,
    #[serde(default)]
    port_path: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
    manufacturer: Option<String>,
    product: Option<String>,
    serial: Option<String>,
    #[serde(default)]
    speed_mbps: f64,
    #[serde(default)]
    interfaces: Vec<(u32, String, String)>,
    #[serde(default)]
    hid: BTreeMap<String, String>,
    #[serde(default)]
    report_descriptors: BTreeMap<String, String>,
    usb_version: Option<String>,
    #[serde(default)]
    hid_versions: BTreeMap<String, String>,
}

impl Device {
    fn raw(&self, kernel_lines: &[String]) -> RawUsb {
        let (vendor_id, product_id) = parse_ids(&self.id).unwrap_or_default();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let speed_tenths = (self.speed_mbps * 10.0).round() as u32;
        let name = (!self.name.is_empty()).then(|| self.name.clone());
        RawUsb {
            vendor_id,
            product_id,
            manufacturer: self.manufacturer.clone(),
            product: self.product.clone().or(name),
            serial: self.serial.clone(),
            speed_tenths,
            usb_version: self.usb_version.clone(),
            interfaces: self
                .interfaces
                .iter()
                .map(|interface| self.interface(interface, kernel_lines))
                .collect(),
            ..RawUsb::default()
        }
    }

    /// The version of HID in a kernel's line, such as `hid-generic 0003:046D:C52B.0001: input,hidraw0: USB HID v1.11
    /// Keyboard [Logitech USB Receiver] on usb-0000:00:14.0-4/input0`.
    fn version_in<'a>(&self, lines: &'a [String], interface: &str) -> Option<&'a str> {
        let ids = format!("0003:{}.", self.id.to_uppercase());
        let place = format!("-{}/input{interface}", self.port_path);
        let line = lines.iter().find(|line| line.contains(&ids) && line.trim_end().ends_with(&place))?;
        line.split_once("USB HID v")?.1.split(' ').next()
    }

    fn interface(
        &self,
        (number, class, driver): &(u32, String, String),
        kernel_lines: &[String],
    ) -> RawInterface {
        let number = number.to_string();
        let kind = self.hid.get(&number).map(|kind| match kind.as_str() {
            "Keyboard" => HidKind::Keyboard,
            "Mouse" => HidKind::Mouse,
            _ => HidKind::Device,
        });
        let version = self.hid_versions.get(&number).map(String::as_str);
        let version = version.or_else(|| self.version_in(kernel_lines, &number));
        RawInterface {
            hid_version: version.and_then(bcd),
            class: class_code(class, driver, kind.is_some()),
            driver: (!driver.is_empty()).then(|| driver.clone()),
            report_descriptor: self.report_descriptors.get(&number).and_then(|hex| hex::decode(hex).ok()),
            hid_kind: kind,
            ..RawInterface::default()
        }
    }
}

/// `1.11` as `0x0111`.
fn bcd(version: &str) -> Option<u16> {
    let (whole, part) = version.split_once('.')?;
    let digits = |text: &str| u16::from_str_radix(text, 16).ok().filter(|n| *n <= 0xff);
    Some(digits(whole)? << 8 | digits(part)?)
}

/// `bInterfaceClass` of a class' name, else of the driver that took the interface.
fn class_code(name: &str, driver: &str, has_hid: bool) -> u8 {
    match (name, driver) {
        ("Audio", _) => 1,
        ("Communications", _) => 2,
        ("Human Interface Device", _) => 3,
        ("Printer", _) => 7,
        ("Mass Storage", _) => 8,
        ("Hub", _) => 9,
        ("CDC Data", _) => 10,
        ("Video", _) => 14,
        ("Wireless", _) => 0xe0,
        _ if has_hid => 3,
        (_, "usbhid") => 3,
        (_, "usb-storage" | "uas") => 8,
        (_, "snd-usb-audio") => 1,
        (_, "cdc_ether" | "cdc_ncm" | "rndis_host") => 2,
        ("Vendor Specific Class", _) => 0xff,
        _ => 0,
    }
}
