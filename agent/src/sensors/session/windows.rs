//! Windows: sessions as Terminal Services list them.
#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use windows_sys::Win32::System::RemoteDesktop::{
    WTS_CURRENT_SERVER_HANDLE, WTS_INFO_CLASS, WTSClientProtocolType, WTSEnumerateSessionsW, WTSFreeMemory,
    WTSQuerySessionInformationW, WTSSessionInfoEx, WTSUserName,
};

use super::from_windows::{Listed, flags, session};
use super::{Config, SensorError, Session};

/// Most sessions that are told.
const MOST: usize = 256;

pub(super) fn sessions(config: &Config) -> Result<Vec<(String, Session)>, SensorError> {
    crate::windows::is_here(config)?;
    let (mut list, mut count) = (std::ptr::null_mut(), 0);
    // SAFETY: both results are ours to read; the list is freed below.
    if unsafe { WTSEnumerateSessionsW(WTS_CURRENT_SERVER_HANDLE, 0, 1, &raw mut list, &raw mut count) } == 0 {
        let error = std::io::Error::last_os_error();
        return Err(SensorError::Blind(format!("sessions cannot be listed: {error}")));
    }
    let mut listed = Vec::new();
    for index in 0..(count as usize).min(MOST) {
        // SAFETY: the call above wrote this many sessions.
        let (id, state) = unsafe { ((*list.add(index)).SessionId, (*list.add(index)).State) };
        listed.push(Listed {
            id,
            state,
            protocol: ask(id, WTSClientProtocolType, first).unwrap_or(0),
            // Only whether there is a name; it is not kept.
            person: ask(id, WTSUserName, first).unwrap_or(0) != 0,
            flags: ask(id, WTSSessionInfoEx, flags),
        });
    }
    // SAFETY: allocated by the call above, freed once.
    unsafe { WTSFreeMemory(list.cast()) };
    Ok(listed.iter().filter_map(session).collect())
}

/// Asks for one thing of a session and hands its bytes on.
fn ask<T>(session: u32, what: WTS_INFO_CLASS, read: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
    let (mut answer, mut bytes) = (std::ptr::null_mut(), 0);
    // SAFETY: both results are ours; the answer is freed below.
    let asked = unsafe {
        WTSQuerySessionInformationW(WTS_CURRENT_SERVER_HANDLE, session, what, &raw mut answer, &raw mut bytes)
    };
    if asked == 0 || answer.is_null() {
        return None;
    }
    // SAFETY: the system wrote this many bytes.
    let got = read(unsafe { std::slice::from_raw_parts(answer.cast::<u8>(), bytes as usize) });
    // SAFETY: allocated by the call above, freed once.
    unsafe { WTSFreeMemory(answer.cast()) };
    got
}

fn first(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().copied().map(u16::from_le_bytes)
}
