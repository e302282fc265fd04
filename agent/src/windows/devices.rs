//! Device nodes that are present: their names from CfgMgr, what is known of them from the registry.
#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use std::os::windows::io::{FromRawHandle as _, OwnedHandle};

use windows_registry::LOCAL_MACHINE;
use windows_sys::Win32::Devices::DeviceAndDriverInstallation::{
    CM_GET_DEVICE_INTERFACE_LIST_PRESENT, CM_GETIDLIST_FILTER_PRESENT, CM_Get_DevNode_PropertyW,
    CM_Get_Device_ID_List_SizeW, CM_Get_Device_ID_ListW, CM_Get_Device_IDW,
    CM_Get_Device_Interface_List_SizeW, CM_Get_Device_Interface_ListW, CM_Get_Parent,
    CM_LOCATE_DEVNODE_NORMAL, CM_Locate_DevNodeW, CR_SUCCESS,
};
use windows_sys::Win32::Devices::Properties::DEVPKEY_Device_BusReportedDeviceDesc;
use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::Storage::FileSystem::{CreateFileW, OPEN_EXISTING};
use windows_sys::core::GUID;

use super::{registry, text};
use crate::sensors::SensorError;
use crate::sensors::devnode::{Node, same};

const ENUM: &str = r"SYSTEM\CurrentControlSet\Enum";
/// Longest list of names, in units; a laptop has some 20,000.
const MOST_NAMES: u32 = 1 << 20;
/// Most nodes that are looked at.
const MOST_NODES: usize = 2048;
/// Most nodes from a device up to its bus.
const MOST_STEPS: usize = 9;

/// Nodes of these enumerators that are present; an error where the system lists no devices at all.
pub fn present(enumerators: &[&str]) -> Result<Vec<Node>, SensorError> {
    let names = names().ok_or_else(|| SensorError::NotSupported("Windows lists no devices here".into()))?;
    let wanted = |name: &&String| {
        let enumerator = name.split('\\').next().unwrap_or_default();
        enumerators.iter().any(|wanted| same(wanted, enumerator))
    };
    Ok(names.iter().filter(wanted).take(MOST_NODES).map(|name| node(name)).collect())
}

/// A node and those above it, nearest first.
pub fn with_those_above(id: &str) -> Vec<Node> {
    let next = |node: &Node| node.parent.as_deref().map(self::node);
    std::iter::successors(Some(node(id)), next).take(MOST_STEPS).collect()
}

/// The system lists devices at all; where it does not (Wine), it tells of none that come either.
pub fn listed() -> bool {
    names().is_some()
}

/// A value of a node's `Device Parameters`, or of a key below them.
pub fn parameter(id: &str, below: &str, name: &str) -> Option<Vec<u8>> {
    let path = format!(r"{ENUM}\{id}\Device Parameters\{below}");
    let key = LOCAL_MACHINE.open(path.trim_end_matches('\\')).ok()?;
    Some(key.get_value(name).ok()?.to_vec())
}

/// Paths of the interfaces of a class that are present.
pub fn interfaces(class: &GUID) -> Vec<String> {
    let mut length = 0;
    // SAFETY: no device is named, a place for the length.
    let asked = unsafe {
        CM_Get_Device_Interface_List_SizeW(
            &raw mut length,
            class,
            std::ptr::null(),
            CM_GET_DEVICE_INTERFACE_LIST_PRESENT,
        )
    };
    if asked != CR_SUCCESS || !(2..=MOST_NAMES).contains(&length) {
        return Vec::new();
    }
    let mut buffer = vec![0u16; length as usize];
    // SAFETY: the buffer has the length that is told.
    let asked = unsafe {
        CM_Get_Device_Interface_ListW(
            class,
            std::ptr::null(),
            buffer.as_mut_ptr(),
            length,
            CM_GET_DEVICE_INTERFACE_LIST_PRESENT,
        )
    };
    if asked != CR_SUCCESS {
        return Vec::new();
    }
    buffer.split(|unit| *unit == 0).filter(|name| !name.is_empty()).map(String::from_utf16_lossy).collect()
}

/// Opens an interface with this access, beside whoever has it open; `None` where Windows does not let us.
pub fn open(path: &str, access: u32, share: u32) -> Option<OwnedHandle> {
    let name = text::wide(path);
    // SAFETY: the name ends with a zero.
    let handle = unsafe {
        CreateFileW(name.as_ptr(), access, share, std::ptr::null(), OPEN_EXISTING, 0, std::ptr::null_mut())
    };
    // SAFETY: a valid handle of our own is closed by its owner.
    (handle != INVALID_HANDLE_VALUE).then(|| unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// `\\?\DISPLAY#GSM5B7F#5&1A2B&0&UID4352#{e6f07b5f-…}` is the instance `DISPLAY\GSM5B7F\5&1A2B&0&UID4352`.
pub fn instance(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.strip_prefix(r"\\?\")?.split('#').take(3).collect();
    (parts.len() == 3).then(|| parts.join(r"\"))
}

fn names() -> Option<Vec<String>> {
    let mut length = 0;
    // SAFETY: no filter text, a place for the length.
    let asked = unsafe {
        CM_Get_Device_ID_List_SizeW(&raw mut length, std::ptr::null(), CM_GETIDLIST_FILTER_PRESENT)
    };
    if asked != CR_SUCCESS || !(2..=MOST_NAMES).contains(&length) {
        return None;
    }
    let mut buffer = vec![0u16; length as usize];
    // SAFETY: the buffer has the length that is told.
    let asked = unsafe {
        CM_Get_Device_ID_ListW(std::ptr::null(), buffer.as_mut_ptr(), length, CM_GETIDLIST_FILTER_PRESENT)
    };
    let names = buffer.split(|unit| *unit == 0).filter(|name| !name.is_empty());
    let names: Vec<String> = names.map(String::from_utf16_lossy).collect();
    (asked == CR_SUCCESS && !names.is_empty()).then_some(names)
}

fn node(id: &str) -> Node {
    let mut node = Node { id: id.to_owned(), ..Node::default() };
    if let Ok(key) = LOCAL_MACHINE.open(format!(r"{ENUM}\{id}")) {
        node.hardware_ids = key.get_multi_string("HardwareID").unwrap_or_default();
        node.compatible_ids = key.get_multi_string("CompatibleIDs").unwrap_or_default();
        node.service = registry::text(&key, "Service");
        node.driver = registry::text(&key, "Driver");
        node.capabilities = key.get_u32("Capabilities").unwrap_or(0);
        let described = registry::text(&key, "FriendlyName").or_else(|| registry::text(&key, "DeviceDesc"));
        // `@oem3.inf,%name%;What people see`
        node.description = described.map(|text| text.rsplit(';').next().unwrap_or_default().to_owned());
    }
    if let Some(instance) = locate(id) {
        node.parent = parent(instance);
        node.description = reported(instance).or(node.description);
    }
    node
}

fn locate(id: &str) -> Option<u32> {
    let name = text::wide(id);
    let mut instance = 0;
    // SAFETY: the name ends with a zero, a place for the answer.
    let found = unsafe { CM_Locate_DevNodeW(&raw mut instance, name.as_ptr(), CM_LOCATE_DEVNODE_NORMAL) };
    (found == CR_SUCCESS).then_some(instance)
}

fn parent(instance: u32) -> Option<String> {
    let mut above = 0;
    // SAFETY: a place for the answer.
    if unsafe { CM_Get_Parent(&raw mut above, instance, 0) } != CR_SUCCESS {
        return None;
    }
    let mut buffer = [0u16; 256];
    // SAFETY: the buffer has the length that is told, in units.
    let named = unsafe { CM_Get_Device_IDW(above, buffer.as_mut_ptr(), 256, 0) };
    (named == CR_SUCCESS).then(|| text::of_buffer(&buffer))
}

/// The device's own word for itself: for USB its product string.
fn reported(instance: u32) -> Option<String> {
    let mut buffer = [0u16; 256];
    let (mut kind, mut bytes) = (0, 512);
    // SAFETY: the buffer has the length that is told, in bytes.
    let read = unsafe {
        CM_Get_DevNode_PropertyW(
            instance,
            &DEVPKEY_Device_BusReportedDeviceDesc,
            &raw mut kind,
            buffer.as_mut_ptr().cast::<u8>(),
            &raw mut bytes,
            0,
        )
    };
    let name = text::of_buffer(&buffer).trim().to_owned();
    (read == CR_SUCCESS && !name.is_empty()).then_some(name)
}
