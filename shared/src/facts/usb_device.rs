use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Family, HidCaps};
use crate::id::KeyedHash;

/// Something on USB or Thunderbolt, hubs left out. Key: `usb_device/<port path>`, such as `usb_device/1-4.2`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UsbDevice {
    /// Vendor id as four lower-case hex digits.
    pub vendor_id: String,
    /// Product id as four lower-case hex digits.
    pub product_id: String,
    /// The device's own word for its maker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manufacturer: Option<String>,
    /// The device's own word for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Its serial number, hashed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<KeyedHash>,
    /// Mb/s: 1.5, 12, 480, 5000, …, in tenths, so 15, 120, 4800, 50000.
    pub speed_tenths: u32,
    /// Version of USB that it claims (`bcdUSB`), such as `2.00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usb_version: Option<String>,
    /// Version of the device that it claims (`bcdDevice`), such as `05.10`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_version: Option<String>,
    /// Its functions.
    pub interfaces: Vec<UsbInterface>,
    /// The port is one that a person can reach; `None` where the firmware does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removable: Option<bool>,
    /// When it came, by the laptop's clock, to ten seconds. `None` if it was there when the agent began to look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// What is remarkable about it, by the names that [`crate::usb::traits`] gives: found on the laptop,
    /// where the plain serial number is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub traits: Vec<String>,
}

impl Family for UsbDevice {
    const NAME: &'static str = "usb_device";
}

/// One interface of a USB device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UsbInterface {
    /// Class (`bInterfaceClass`): 3 is HID, 8 storage, 14 video, …
    pub class: u8,
    /// Subclass; for HID 1 is "boot".
    pub subclass: u8,
    /// Protocol; for HID boot devices 1 is a keyboard and 2 a mouse.
    pub protocol: u8,
    /// For HID: what its report descriptor can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hid: Option<HidCaps>,
}
