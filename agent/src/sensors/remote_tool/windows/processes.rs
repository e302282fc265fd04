//! Processes, their programs, arguments and sockets, as the kernel and IP Helper tell them.

#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use std::ffi::c_void;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};

use farmwatch_shared::catalogue::{Catalogue, Os};
use windows_sys::Wdk::System::SystemInformation::{NtQuerySystemInformation, SystemProcessInformation};
use windows_sys::Wdk::System::Threading::{NtQueryInformationProcess, ProcessCommandLineInformation};
use windows_sys::Win32::Foundation::{
    ERROR_INSUFFICIENT_BUFFER, NO_ERROR, STATUS_INFO_LENGTH_MISMATCH, UNICODE_STRING,
};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    GetExtendedTcpTable, GetExtendedUdpTable, TCP_TABLE_OWNER_PID_ALL, UDP_TABLE_OWNER_PID,
};
use windows_sys::Win32::Networking::WinSock::{AF_INET, AF_INET6};
use windows_sys::Win32::System::Threading::{
    OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION, QueryFullProcessImageNameW,
};

use super::super::from_windows::{self, Listed, Socket, Waiting};
use super::super::tools::Hit;
use crate::sensors::SensorError;

/// A list of processes is never longer: some 30,000 with their threads.
const MOST_LIST: usize = 32 << 20;
/// As much of a command line as is looked at, in bytes.
const COMMAND_LINE: usize = 8192;
/// A table of sockets is never longer.
const MOST_TABLE: u32 = 4 << 20;

/// Reads processes.
#[derive(Default)]
pub(super) struct Reader {
    /// In words of eight bytes, as the kernel's structures want to lie.
    buffer: Vec<u64>,
}

impl Reader {
    /// All processes.
    pub(super) fn list(&mut self) -> Result<Vec<Listed>, SensorError> {
        if self.buffer.is_empty() {
            self.buffer.resize(32 << 10, 0);
        }
        loop {
            let length = self.buffer.len() * 8;
            let mut written = 0;
            // SAFETY: the buffer has the length that is told and is aligned for the structures in it.
            let status = unsafe {
                NtQuerySystemInformation(
                    SystemProcessInformation,
                    self.buffer.as_mut_ptr().cast::<c_void>(),
                    u32::try_from(length).unwrap_or(u32::MAX),
                    &raw mut written,
                )
            };
            if status == STATUS_INFO_LENGTH_MISMATCH && length < MOST_LIST {
                self.buffer.resize(self.buffer.len() * 2, 0);
                continue;
            }
            if status < 0 {
                return Err(SensorError::Blind(format!("processes cannot be listed: NTSTATUS {status:#x}")));
            }
            let base = self.buffer.as_ptr() as u64;
            // SAFETY: any eight bytes of a `u64` are bytes; the slice lives as long as the buffer.
            let bytes = unsafe { std::slice::from_raw_parts(self.buffer.as_ptr().cast::<u8>(), length) };
            return Ok(from_windows::processes(bytes, base));
        }
    }
}

/// What is seen of a process's program.
pub(super) struct Seen {
    name: String,
    /// Where its file is; `None` if the process is gone or protected.
    pub(super) path: Option<String>,
    /// What it was started with.
    pub(super) command_line: Option<String>,
}

impl Seen {
    /// Whose it is by path, name and arguments.
    pub(super) fn by_name(&self, catalogue: &Catalogue) -> Option<Hit> {
        let program = self.path.as_deref().unwrap_or(&self.name);
        catalogue.by_process(Os::Windows, program, self.command_line.as_deref()).map(Hit::from)
    }
}

/// Looks at a process.
pub(super) fn look(process: &Listed) -> Seen {
    let handle = open(process.pid);
    let path = handle.as_ref().and_then(image);
    let command_line = handle.as_ref().and_then(command_line);
    Seen { name: process.name.clone(), path, command_line }
}

/// Where a process's program lies; `None` if it is gone or protected.
pub(super) fn path(pid: u32) -> Option<String> {
    open(pid).as_ref().and_then(image)
}

fn open(pid: u32) -> Option<OwnedHandle> {
    // SAFETY: takes numbers.
    let handle = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid) };
    // SAFETY: a handle of our own that is not null is closed by its owner.
    (!handle.is_null()).then(|| unsafe { OwnedHandle::from_raw_handle(handle) })
}

fn image(process: &OwnedHandle) -> Option<String> {
    let mut path = [0u16; 1024];
    let mut length = 1024;
    // SAFETY: the handle is open; the buffer has the length that is told.
    let read =
        unsafe { QueryFullProcessImageNameW(process.as_raw_handle(), 0, path.as_mut_ptr(), &raw mut length) };
    (read != 0).then(|| String::from_utf16_lossy(path.get(..length as usize).unwrap_or_default()))
}

/// What a process was started with. It is compared with the catalogue and dropped.
fn command_line(process: &OwnedHandle) -> Option<String> {
    let mut buffer = vec![0u64; COMMAND_LINE / 8];
    let mut written = 0;
    // SAFETY: the handle is open; the buffer has the length that is told and is aligned for what is written.
    let status = unsafe {
        NtQueryInformationProcess(
            process.as_raw_handle(),
            ProcessCommandLineInformation,
            buffer.as_mut_ptr().cast::<c_void>(),
            u32::try_from(COMMAND_LINE).unwrap_or(0),
            &raw mut written,
        )
    };
    if status < 0 {
        return None;
    }
    // SAFETY: on success the buffer begins with this structure, whose text lies in the same buffer.
    let text = unsafe { &*buffer.as_ptr().cast::<UNICODE_STRING>() };
    let start = buffer.as_ptr() as usize;
    let from = (text.Buffer as usize).checked_sub(start)?;
    let end = from.checked_add(usize::from(text.Length))?;
    if end > COMMAND_LINE || from % 2 != 0 {
        return None;
    }
    // SAFETY: within the buffer and aligned for units of two bytes, as was just seen.
    let units = unsafe { std::slice::from_raw_parts(text.Buffer, usize::from(text.Length) / 2) };
    Some(String::from_utf16_lossy(units))
}

/// All TCP sockets.
pub(super) fn sockets() -> Vec<Socket> {
    let table = |family| {
        // SAFETY: the buffer has the length that is told and is aligned for rows of four-byte numbers.
        table(|buffer, length| unsafe {
            GetExtendedTcpTable(buffer, length, 0, u32::from(family), TCP_TABLE_OWNER_PID_ALL, 0)
        })
    };
    let mut sockets = from_windows::tcp4(&table(AF_INET));
    sockets.extend(from_windows::tcp6(&table(AF_INET6)));
    sockets
}

/// All UDP sockets.
pub(super) fn waiting() -> Vec<Waiting> {
    let table = |family| {
        // SAFETY: the buffer has the length that is told and is aligned for rows of four-byte numbers.
        table(|buffer, length| unsafe {
            GetExtendedUdpTable(buffer, length, 0, u32::from(family), UDP_TABLE_OWNER_PID, 0)
        })
    };
    let mut sockets = from_windows::udp4(&table(AF_INET));
    sockets.extend(from_windows::udp6(&table(AF_INET6)));
    sockets
}

/// What `fill` writes to a buffer of the length that it is told, which it makes longer where that is too little.
fn table(fill: impl Fn(*mut c_void, *mut u32) -> u32) -> Vec<u8> {
    let mut length = 16 << 10;
    for _ in 0..4 {
        let mut table = vec![0u32; length as usize / 4];
        match fill(table.as_mut_ptr().cast::<c_void>(), &raw mut length) {
            NO_ERROR => return table.iter().flat_map(|number| number.to_le_bytes()).collect(),
            ERROR_INSUFFICIENT_BUFFER if length < MOST_TABLE => length += 4096,
            _ => break,
        }
    }
    Vec::new()
}
