//! Windows: USB devices among the device nodes, and what the hubs say of the ports that they hang on.
#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::os::windows::io::{AsRawHandle as _, OwnedHandle};
use std::sync::{Mutex, PoisonError};

use farmwatch_shared::usb;
use windows_sys::Win32::Devices::Usb::{
    GUID_DEVINTERFACE_USB_HUB, IOCTL_USB_GET_DESCRIPTOR_FROM_NODE_CONNECTION,
    IOCTL_USB_GET_NODE_CONNECTION_DRIVERKEY_NAME, IOCTL_USB_GET_NODE_CONNECTION_INFORMATION_EX,
    IOCTL_USB_GET_NODE_CONNECTION_INFORMATION_EX_V2, IOCTL_USB_GET_NODE_INFORMATION,
};
use windows_sys::Win32::Foundation::GENERIC_WRITE;
use windows_sys::Win32::Storage::FileSystem::FILE_SHARE_WRITE;
use windows_sys::Win32::System::IO::DeviceIoControl;

use super::from_windows::{self, CONFIGURATION, Port, STRING, devices as devices_of};
use crate::sensors::{Sensed, SensorError, hid_device};
use crate::windows::devices;

/// Most hubs that are asked, and most ports of one.
const MOST_HUBS: usize = 64;
const MOST_PORTS: u8 = 32;

/// States everything on USB but hubs.
pub fn sense(out: &mut Sensed) -> Result<(), SensorError> {
    let config = out.config();
    crate::windows::is_here(&config)?;
    let nodes = devices::present(&["USB", "HID"])?;
    let ports = ports();
    if ports.is_empty() && !nodes.is_empty() {
        out.note("no USB hub can be asked: speeds and makers' strings are not known");
    }
    let port = |node: &crate::sensors::devnode::Node| ports.get(node.driver.as_deref()?).cloned();
    for (name, raw) in devices_of(&nodes, &hid_device::fields(&nodes), port) {
        out.fact(&name, &usb::facts(&raw, &config.hash_key));
    }
    Ok(())
}

/// Every port with something on it, by the driver's key of the device there.
fn ports() -> BTreeMap<String, Port> {
    /// Descriptors are asked for once: a device that sleeps would be woken each time.
    static KNOWN: Mutex<BTreeMap<String, Port>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let before = std::mem::take(&mut *known);
    for hub in devices::interfaces(&GUID_DEVINTERFACE_USB_HUB)
        .iter()
        .take(MOST_HUBS)
        .filter_map(|path| devices::open(path, GENERIC_WRITE, FILE_SHARE_WRITE))
    {
        for number in 1..=from_windows::ports_of_hub(&node_information(&hub)).min(MOST_PORTS) {
            let Some(port) = port(&hub, number) else { continue };
            let Some(driver) = driver_key(&hub, number) else { continue };
            let same = before
                .get(&driver)
                .filter(|old| old.descriptor == port.descriptor && old.speed == port.speed);
            let port = same.cloned().unwrap_or_else(|| with_descriptors(&hub, number, port));
            known.insert(driver, port);
        }
    }
    known.clone()
}

/// Asks a hub; the same bytes are question and answer. Empty where it does not answer.
fn ask(hub: &OwnedHandle, what: u32, mut bytes: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(0);
    let buffer = bytes.as_mut_ptr().cast::<c_void>();
    let mut written = 0;
    // SAFETY: the handle is open; the buffer has the length that is told, for the question and for the answer.
    let answered = unsafe {
        DeviceIoControl(
            hub.as_raw_handle(),
            what,
            buffer,
            length,
            buffer,
            length,
            &raw mut written,
            std::ptr::null_mut(),
        )
    };
    bytes.truncate(if answered == 0 { 0 } else { written as usize });
    bytes
}

fn node_information(hub: &OwnedHandle) -> Vec<u8> {
    ask(hub, IOCTL_USB_GET_NODE_INFORMATION, vec![0; 128])
}

fn question(number: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![0u8; length];
    bytes[0] = number;
    bytes
}

fn port(hub: &OwnedHandle, number: u8) -> Option<Port> {
    let first = ask(hub, IOCTL_USB_GET_NODE_CONNECTION_INFORMATION_EX, question(number, 35 + 30 * 11));
    let mut second = question(number, 16);
    second[4] = 16; // its own length
    second[8] = 7; // USB 1.1, 2.0, 3.0
    let second = ask(hub, IOCTL_USB_GET_NODE_CONNECTION_INFORMATION_EX_V2, second);
    from_windows::port(&first, &second)
}

fn driver_key(hub: &OwnedHandle, number: u8) -> Option<String> {
    let answer = ask(hub, IOCTL_USB_GET_NODE_CONNECTION_DRIVERKEY_NAME, question(number, 512));
    from_windows::name(&answer)
}

/// The device's own strings, of the languages that it has the first, and what its configuration says.
fn with_descriptors(hub: &OwnedHandle, number: u8, mut port: Port) -> Port {
    port.hid_versions = usb::hid_versions(&descriptor(hub, number, CONFIGURATION, 0, 0));
    let languages = descriptor(hub, number, STRING, 0, 0);
    let language = languages.get(2..4).map_or(0x0409, |id| u16::from_le_bytes([id[0], id[1]]));
    for (place, index) in from_windows::string_indices(&port.descriptor).into_iter().enumerate() {
        if index != 0 {
            port.strings[place] = from_windows::string(&descriptor(hub, number, STRING, index, language));
        }
    }
    port
}

/// A descriptor by `GET_DESCRIPTOR`, which the hub's driver sends on our behalf.
fn descriptor(hub: &OwnedHandle, number: u8, kind: u8, index: u8, language: u16) -> Vec<u8> {
    let request = from_windows::descriptor_request(number, kind, index, language);
    from_windows::descriptor(&ask(hub, IOCTL_USB_GET_DESCRIPTOR_FROM_NODE_CONNECTION, request)).to_vec()
}
