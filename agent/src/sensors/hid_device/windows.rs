//! Windows: HID collections and PS/2 devices among the device nodes, and what the system has parsed of collections.
#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use std::os::windows::io::{AsRawHandle as _, OwnedHandle};

use farmwatch_shared::hid::ParsedField;
use windows_sys::Win32::Devices::HumanInterfaceDevice::{
    GUID_DEVINTERFACE_HID, HIDP_BUTTON_CAPS, HIDP_CAPS, HIDP_STATUS_SUCCESS, HIDP_VALUE_CAPS,
    HidD_FreePreparsedData, HidD_GetPreparsedData, HidP_GetButtonCaps, HidP_GetCaps, HidP_GetValueCaps,
    HidP_Input, PHIDP_PREPARSED_DATA,
};
use windows_sys::Win32::Storage::FileSystem::{FILE_SHARE_READ, FILE_SHARE_WRITE};

use super::from_windows::{Fields, devices as devices_of};
use super::state;
use crate::sensors::devnode::{Node, same};
use crate::sensors::{Sensed, SensorError};
use crate::windows::devices;

/// Where collections hang, up to the bus.
const ENUMERATORS: [&str; 8] = ["HID", "USB", "ACPI", "BTHENUM", "BTHLE", "BTHLEDEVICE", "ROOT", "SWD"];

/// States every keyboard and pointer.
pub fn sense(out: &mut Sensed) -> Result<(), SensorError> {
    crate::windows::is_here(&out.config())?;
    let nodes = devices::present(&ENUMERATORS)?;
    state(devices_of(&nodes, &fields(&nodes)), out);
    Ok(())
}

/// What the system has parsed of the collections among these nodes. Nothing is read from a device: the question goes to
/// the system, by a handle that may neither read nor write, so that what is typed cannot be had by it.
pub(in crate::sensors) fn fields(nodes: &[Node]) -> Fields {
    let paths = devices::interfaces(&GUID_DEVINTERFACE_HID);
    let of = |node: &Node| {
        let path = paths.iter().find(|path| devices::instance(path).is_some_and(|id| same(&id, &node.id)))?;
        Some((node.id.clone(), parsed(&devices::open(path, 0, FILE_SHARE_READ | FILE_SHARE_WRITE)?)))
    };
    nodes.iter().filter(|node| is_asked(node)).filter_map(of).collect()
}

/// A collection of which its fields are worth knowing: pointers, keyboards, touch screens and their kin (HID Usage Tables
/// 1.5, pages 1 and 0x0d). Of all others the usage says enough.
fn is_asked(node: &Node) -> bool {
    same(node.enumerator(), "HID") && matches!(node.usage(), Some((1, 1 | 2 | 6 | 7) | (0x0d, 1..=6)))
}

fn parsed(device: &OwnedHandle) -> Vec<ParsedField> {
    let mut data = 0;
    // SAFETY: the handle is open; a place for the answer, which is freed below.
    if !unsafe { HidD_GetPreparsedData(device.as_raw_handle(), &raw mut data) } {
        return Vec::new();
    }
    let mut caps = HIDP_CAPS::default();
    // SAFETY: the parsed data is valid until it is freed; a place for the answer.
    let mut found = match unsafe { HidP_GetCaps(data, &raw mut caps) } {
        HIDP_STATUS_SUCCESS => values(data, caps.NumberInputValueCaps),
        _ => Vec::new(),
    };
    found.extend(buttons(data, caps.NumberInputButtonCaps));
    // SAFETY: given by the first call, freed once.
    unsafe { HidD_FreePreparsedData(data) };
    found
}

fn values(data: PHIDP_PREPARSED_DATA, mut count: u16) -> Vec<ParsedField> {
    let mut caps = vec![HIDP_VALUE_CAPS::default(); usize::from(count)];
    // SAFETY: as many places as are told; the caller frees the parsed data later.
    let status = unsafe { HidP_GetValueCaps(HidP_Input, caps.as_mut_ptr(), &raw mut count, data) };
    caps.truncate(if status == HIDP_STATUS_SUCCESS { count.into() } else { 0 });
    let field = |caps: &HIDP_VALUE_CAPS| {
        // SAFETY: both forms begin with the first usage; the second word is the last usage where it is a range.
        let usages = unsafe { (caps.Anonymous.Range.UsageMin, caps.Anonymous.Range.UsageMax) };
        ParsedField {
            page: caps.UsagePage,
            usages: if caps.IsRange { usages } else { (usages.0, usages.0) },
            within: (caps.LinkUsagePage, caps.LinkUsage),
            is_relative: !caps.IsAbsolute,
            range: (caps.LogicalMin, caps.LogicalMax),
            bits: caps.BitSize,
        }
    };
    caps.iter().map(field).collect()
}

fn buttons(data: PHIDP_PREPARSED_DATA, mut count: u16) -> Vec<ParsedField> {
    let mut caps = vec![HIDP_BUTTON_CAPS::default(); usize::from(count)];
    // SAFETY: as many places as are told; the caller frees the parsed data later.
    let status = unsafe { HidP_GetButtonCaps(HidP_Input, caps.as_mut_ptr(), &raw mut count, data) };
    caps.truncate(if status == HIDP_STATUS_SUCCESS { count.into() } else { 0 });
    let field = |caps: &HIDP_BUTTON_CAPS| {
        // SAFETY: both forms begin with the first usage; the second word is the last usage where it is a range.
        let usages = unsafe { (caps.Anonymous.Range.UsageMin, caps.Anonymous.Range.UsageMax) };
        ParsedField {
            page: caps.UsagePage,
            usages: if caps.IsRange { usages } else { (usages.0, usages.0) },
            within: (caps.LinkUsagePage, caps.LinkUsage),
            bits: 1,
            ..ParsedField::default()
        }
    };
    caps.iter().map(field).collect()
}
