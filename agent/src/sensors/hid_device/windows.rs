//! Windows: HID collections and PS/2 devices among the device nodes, and what collections say of their X and Y.
#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};

use windows_sys::Win32::Devices::HumanInterfaceDevice::{
    GUID_DEVINTERFACE_HID, HIDP_STATUS_SUCCESS, HIDP_VALUE_CAPS, HidD_FreePreparsedData,
    HidD_GetPreparsedData, HidP_GetSpecificValueCaps, HidP_Input,
};
use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_SHARE_READ, FILE_SHARE_WRITE, OPEN_EXISTING,
};

use super::from_windows::{Found, above, device};
use super::state;
use crate::sensors::devnode::same;
use crate::sensors::{Sensed, SensorError};
use crate::windows::{devices, text};

/// Where collections hang, up to the bus.
const ENUMERATORS: [&str; 8] = ["HID", "USB", "ACPI", "BTHENUM", "BTHLE", "BTHLEDEVICE", "ROOT", "SWD"];

/// States every keyboard and pointer.
pub fn sense(out: &mut Sensed) -> Result<(), SensorError> {
    if !out.config().is_live() {
        return Err(SensorError::NotSupported("there is no Windows below a test's folder".into()));
    }
    let nodes = devices::present(&ENUMERATORS)
        .ok_or_else(|| SensorError::NotSupported("Windows lists no devices here".into()))?;
    let inputs = nodes.iter().filter(|node| {
        same(node.enumerator(), "HID") || node.service.as_deref().is_some_and(|s| same(s, "i8042prt"))
    });
    let paths = devices::interfaces(&GUID_DEVINTERFACE_HID);
    let mut every = Vec::new();
    for node in inputs {
        let path = paths.iter().find(|path| devices::instance(path).is_some_and(|id| same(&id, &node.id)));
        let points = matches!(node.usage(), Some((1, 1 | 2)));
        let absolute = path.filter(|_| points).and_then(|path| absolute(path));
        let found = Found { node, above: above(node, &nodes), absolute };
        every.extend(device(&found));
    }
    state(every, out);
    Ok(())
}

/// Whether a collection says where X is to be (usage 0x30 of page 1), not by how much it moved. Nothing is read from
/// the device: the question goes to what the system has parsed, with no access to what is typed.
fn absolute(path: &str) -> Option<bool> {
    let name = text::wide(path);
    // SAFETY: the name ends with a zero; no access is asked for.
    let handle = unsafe {
        CreateFileW(
            name.as_ptr(),
            0,
            FILE_SHARE_READ | FILE_SHARE_WRITE,
            std::ptr::null(),
            OPEN_EXISTING,
            0,
            std::ptr::null_mut(),
        )
    };
    if handle == INVALID_HANDLE_VALUE {
        return None;
    }
    // SAFETY: a valid handle of our own is closed by its owner.
    let device = unsafe { OwnedHandle::from_raw_handle(handle) };
    let mut parsed = 0;
    // SAFETY: the handle is open; a place for the answer, which is freed below.
    if !unsafe { HidD_GetPreparsedData(device.as_raw_handle(), &raw mut parsed) } {
        return None;
    }
    let mut caps = [HIDP_VALUE_CAPS::default(); 4];
    let mut count = 4;
    // SAFETY: as many places as are told; the parsed data is valid until it is freed.
    let status = unsafe {
        HidP_GetSpecificValueCaps(HidP_Input, 1, 0, 0x30, caps.as_mut_ptr(), &raw mut count, parsed)
    };
    // SAFETY: given by the call above, freed once.
    unsafe { HidD_FreePreparsedData(parsed) };
    (status == HIDP_STATUS_SUCCESS && count > 0).then_some(caps[0].IsAbsolute)
}
