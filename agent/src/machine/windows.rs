//! Windows: the firmware's tables, and the id that the installation gave the machine.

#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use std::path::Path;

use farmwatch_shared::smbios::{self, Smbios};
use windows_sys::Win32::System::SystemInformation::{ComputerNameDnsHostname, GetComputerNameExW};

use crate::windows::{firmware_tables, registry, text};

pub(super) fn serial(root: &Path) -> Option<String> {
    firmware(root)?.serial
}

pub(super) fn hostname(_: &Path) -> Option<String> {
    let mut buffer = [0u16; 256];
    let mut length = 256;
    // SAFETY: the buffer has the length that is told.
    let read = unsafe { GetComputerNameExW(ComputerNameDnsHostname, buffer.as_mut_ptr(), &raw mut length) };
    let name = text::of_buffer(&buffer);
    (read != 0 && !name.is_empty()).then_some(name)
}

/// What names the hardware and this installation.
pub(super) fn sources(root: &Path) -> Vec<(&'static str, String)> {
    let Some(Smbios { uuid, serial, .. }) = firmware(root) else { return Vec::new() };
    let id = registry::machine(r"SOFTWARE\Microsoft\Cryptography")
        .and_then(|key| registry::text(&key, "MachineGuid"));
    let all = [("product_uuid", uuid), ("product_serial", serial), ("machine_id", id)];
    all.into_iter().filter_map(|(name, text)| Some((name, text?))).collect()
}

/// A test's folder has no firmware.
fn firmware(root: &Path) -> Option<Smbios> {
    (root == Path::new("/")).then(|| smbios::parse_raw(&firmware_tables()))
}
