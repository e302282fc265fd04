//! A message box in every session in which somebody is logged in.

#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use windows_sys::Win32::System::RemoteDesktop::{
    WTS_CURRENT_SERVER_HANDLE, WTSActive, WTSEnumerateSessionsW, WTSFreeMemory, WTSSendMessageW,
};
use windows_sys::Win32::UI::WindowsAndMessaging::{MB_ICONWARNING, MB_OK};

use crate::windows::text::wide;

/// Whoever does not look within this time has had it on the screen for long enough.
const SECONDS: u32 = 600;

pub fn show(message: &str) {
    let (title, message) = (wide("Farmwatch"), wide(message));
    let (mut sessions, mut count) = (std::ptr::null_mut(), 0);
    // SAFETY: both results are ours to read; the list is freed below.
    if unsafe { WTSEnumerateSessionsW(WTS_CURRENT_SERVER_HANDLE, 0, 1, &raw mut sessions, &raw mut count) }
        == 0
    {
        return tracing::warn!("cannot list the sessions to show a message in");
    }
    for index in 0..count as usize {
        // SAFETY: the call above wrote this many sessions.
        let session = unsafe { &*sessions.add(index) };
        if session.State == WTSActive {
            send(session.SessionId, &title, &message);
        }
    }
    // SAFETY: allocated by the call above, freed once.
    unsafe { WTSFreeMemory(sessions.cast()) };
}

/// Does not wait for an answer.
fn send(session: u32, title: &[u16], message: &[u16]) {
    let bytes = |text: &[u16]| u32::try_from((text.len() - 1) * 2).unwrap_or(0);
    let mut answer = 0;
    // SAFETY: texts with their lengths in bytes, a place for the answer.
    let sent = unsafe {
        WTSSendMessageW(
            WTS_CURRENT_SERVER_HANDLE,
            session,
            title.as_ptr(),
            bytes(title),
            message.as_ptr(),
            bytes(message),
            MB_OK | MB_ICONWARNING,
            SECONDS,
            &raw mut answer,
            0,
        )
    };
    if sent == 0 {
        tracing::warn!(session, error = %std::io::Error::last_os_error(), "cannot show a message");
    }
}
