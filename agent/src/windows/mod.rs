//! What the Windows files of the agent share: wide text, handles that close themselves, the registry.

#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

pub mod desktop;
pub mod devices;
pub mod file;
pub mod registry;
pub mod text;

use windows_sys::Win32::System::RemoteDesktop::ProcessIdToSessionId;
use windows_sys::Win32::System::SystemInformation::GetSystemFirmwareTable;

use crate::sensors::{Config, SensorError};

/// The provider of SMBIOS tables.
const SMBIOS: u32 = u32::from_be_bytes(*b"RSMB");
/// Larger tables are not believed.
const MOST: u32 = 1 << 20;

/// An error where sensors look below a test's folder: what Windows tells is of the machine itself.
pub fn is_here(config: &Config) -> Result<(), SensorError> {
    if config.is_live() {
        return Ok(());
    }
    Err(SensorError::NotSupported("there is no Windows below a test's folder".into()))
}

/// The firmware's tables as Windows returns them (`RawSMBIOSData`); empty where there are none.
pub fn firmware_tables() -> Vec<u8> {
    // SAFETY: no buffer is given, so only the length is told.
    let length = unsafe { GetSystemFirmwareTable(SMBIOS, 0, std::ptr::null_mut(), 0) };
    if length == 0 || length > MOST {
        return Vec::new();
    }
    let mut table = vec![0u8; length as usize];
    // SAFETY: the buffer has the length that is told.
    let written = unsafe { GetSystemFirmwareTable(SMBIOS, 0, table.as_mut_ptr(), length) };
    table.truncate(if written > length { 0 } else { written as usize });
    table
}

/// The session that this process runs in: 0 is the services'.
pub fn own_session() -> Option<u32> {
    let mut session = 0;
    // SAFETY: a place for the answer.
    let found = unsafe { ProcessIdToSessionId(std::process::id(), &raw mut session) };
    (found != 0).then_some(session)
}
