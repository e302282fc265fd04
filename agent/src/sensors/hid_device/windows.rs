//! Windows: HID collections and PS/2 devices among the device nodes, and what collections say of their X and Y.
#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use std::os::windows::io::AsRawHandle as _;

use windows_sys::Win32::Devices::HumanInterfaceDevice::{
    GUID_DEVINTERFACE_HID, HIDP_STATUS_SUCCESS, HIDP_VALUE_CAPS, HidD_FreePreparsedData,
    HidD_GetPreparsedData, HidP_GetSpecificValueCaps, HidP_Input,
};
use windows_sys::Win32::Storage::FileSystem::{FILE_SHARE_READ, FILE_SHARE_WRITE};

use super::from_windows::{Found, above, device};
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

/// Which of these nodes are collections that say where the pointer is to be, by their ids.
pub(in crate::sensors) fn point_to_places(nodes: &[Node]) -> Vec<String> {
    let paths = devices::interfaces(&GUID_DEVINTERFACE_HID);
    let places = |node: &&Node| {
        let path = paths.iter().find(|path| devices::instance(path).is_some_and(|id| same(&id, &node.id)));
        path.and_then(|path| absolute(path)) == Some(true)
    };
    let pointers = nodes.iter().filter(|node| matches!(node.usage(), Some((1, 1 | 2))));
    pointers.filter(places).map(|node| node.id.clone()).collect()
}

/// Whether a collection says where X is to be (usage 0x30 of page 1), not by how much it moved. Nothing is read from
/// the device: the question goes to what the system has parsed, with no access to what is typed.
fn absolute(path: &str) -> Option<bool> {
    let device = devices::open(path, 0, FILE_SHARE_READ | FILE_SHARE_WRITE)?;
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
