//! Processes, their programs, arguments and sockets, as the kernel and IP Helper tell them.

#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};

use farmwatch_shared::catalogue::Catalogue;
use windows_sys::Wdk::System::SystemInformation::{NtQuerySystemInformation, SystemProcessInformation};
use windows_sys::Wdk::System::Threading::{NtQueryInformationProcess, ProcessCommandLineInformation};
use windows_sys::Win32::Foundation::{
    ERROR_INSUFFICIENT_BUFFER, NO_ERROR, STATUS_INFO_LENGTH_MISMATCH, UNICODE_STRING,
};
use windows_sys::Win32::NetworkManagement::IpHelper::{GetExtendedTcpTable, TCP_TABLE_OWNER_PID_ALL};
use windows_sys::Win32::Networking::WinSock::{AF_INET, AF_INET6};
use windows_sys::Win32::Storage::FileSystem::{GetFileVersionInfoSizeW, GetFileVersionInfoW, VerQueryValueW};
use windows_sys::Win32::System::Threading::{
    OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION, QueryFullProcessImageNameW,
};

use super::super::from_windows::{self, Listed, Socket, Version};
use super::super::tools::Hit;
use crate::sensors::SensorError;
use crate::windows::text;

/// A list of processes is never longer: some 30,000 with their threads.
const MOST_LIST: usize = 32 << 20;
/// As much of a command line as is looked at, in bytes.
const COMMAND_LINE: usize = 8192;
/// Programs whose versions are remembered.
const MOST_VERSIONS: usize = 1024;
/// A version resource is never longer.
const MOST_VERSION: u32 = 256 << 10;
/// A table of sockets is never longer.
const MOST_TABLE: u32 = 4 << 20;

/// Reads processes.
#[derive(Default)]
pub(super) struct Reader {
    /// In words of eight bytes, as the kernel's structures want to lie.
    buffer: Vec<u64>,
    versions: BTreeMap<String, Version>,
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

    /// Whose program a process runs.
    pub(super) fn whose(&mut self, catalogue: &Catalogue, process: &Listed) -> Option<Hit> {
        let handle = open(process.pid);
        let path = handle.as_ref().and_then(image);
        let command_line = handle.as_ref().and_then(command_line);
        let program = path.as_deref().unwrap_or(&process.name);
        from_windows::whose(catalogue, program, command_line.as_deref(), || {
            path.as_deref().map(|path| self.version(path)).unwrap_or_default()
        })
    }

    fn version(&mut self, path: &str) -> Version {
        if let Some(known) = self.versions.get(path) {
            return known.clone();
        }
        if self.versions.len() >= MOST_VERSIONS {
            self.versions.clear();
        }
        let version = version(path).unwrap_or_default();
        self.versions.insert(path.to_owned(), version.clone());
        version
    }
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

/// The version of a program's file.
fn version(path: &str) -> Option<Version> {
    let name = text::wide(path);
    let mut unused = 0;
    // SAFETY: the name ends with a zero.
    let length = unsafe { GetFileVersionInfoSizeW(name.as_ptr(), &raw mut unused) };
    if length == 0 || length > MOST_VERSION {
        return None;
    }
    let mut block = vec![0u8; length as usize];
    // SAFETY: the name ends with a zero; the buffer has the length that is told.
    if unsafe { GetFileVersionInfoW(name.as_ptr(), 0, length, block.as_mut_ptr().cast::<c_void>()) } == 0 {
        return None;
    }
    let tables = value(&block, r"\VarFileInfo\Translation")?;
    let first = tables.first_chunk::<4>()?;
    let language = u16::from_le_bytes([first[0], first[1]]);
    let page = u16::from_le_bytes([first[2], first[3]]);
    let text = |name: &str| {
        let bytes = value(&block, &format!(r"\StringFileInfo\{language:04x}{page:04x}\{name}"))?;
        let units: Vec<u16> =
            bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        let text = text::of_buffer(&units).trim().to_owned();
        (!text.is_empty()).then_some(text)
    };
    Some(Version { original_name: text("OriginalFilename"), product: text("ProductName") })
}

/// A value of a version block, in bytes; texts end with a zero of two bytes.
fn value<'a>(block: &'a [u8], path: &str) -> Option<&'a [u8]> {
    let name = text::wide(path);
    let (mut start, mut length) = (std::ptr::null_mut(), 0);
    // SAFETY: the block is what the system wrote, the name ends with a zero, both results are ours.
    let found = unsafe {
        VerQueryValueW(block.as_ptr().cast::<c_void>(), name.as_ptr(), &raw mut start, &raw mut length)
    };
    if found == 0 {
        return None;
    }
    let from = (start as usize).checked_sub(block.as_ptr() as usize)?;
    // Lengths of texts are told in units, those of numbers in bytes.
    let length = if path.starts_with(r"\StringFileInfo") { length as usize * 2 } else { length as usize };
    block.get(from..from.checked_add(length)?.min(block.len()))
}

/// All TCP sockets.
pub(super) fn sockets() -> Vec<Socket> {
    let mut sockets = from_windows::tcp4(&table(AF_INET));
    sockets.extend(from_windows::tcp6(&table(AF_INET6)));
    sockets
}

fn table(family: u16) -> Vec<u8> {
    let mut length = 16 << 10;
    for _ in 0..4 {
        let mut table = vec![0u32; length as usize / 4];
        // SAFETY: the buffer has the length that is told and is aligned for rows of four-byte numbers.
        let result = unsafe {
            GetExtendedTcpTable(
                table.as_mut_ptr().cast::<c_void>(),
                &raw mut length,
                0,
                u32::from(family),
                TCP_TABLE_OWNER_PID_ALL,
                0,
            )
        };
        match result {
            NO_ERROR => return table.iter().flat_map(|number| number.to_le_bytes()).collect(),
            ERROR_INSUFFICIENT_BUFFER if length < MOST_TABLE => length += 4096,
            _ => break,
        }
    }
    Vec::new()
}
