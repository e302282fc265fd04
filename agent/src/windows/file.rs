//! What tells one file from another.

#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use std::fs::File;
use std::os::windows::io::AsRawHandle as _;

use windows_sys::Win32::Storage::FileSystem::{BY_HANDLE_FILE_INFORMATION, GetFileInformationByHandle};

/// A file as it is now: its volume and number there, its size, when it was last written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    volume: u32,
    number: (u32, u32),
    size: (u32, u32),
    written: (u32, u32),
}

/// The identity of an open file.
pub fn identity(file: &File) -> Option<Identity> {
    let mut told = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open; a place for the answer.
    if unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut told) } == 0 {
        return None;
    }
    Some(Identity {
        volume: told.dwVolumeSerialNumber,
        number: (told.nFileIndexHigh, told.nFileIndexLow),
        size: (told.nFileSizeHigh, told.nFileSizeLow),
        written: (told.ftLastWriteTime.dwHighDateTime, told.ftLastWriteTime.dwLowDateTime),
    })
}
