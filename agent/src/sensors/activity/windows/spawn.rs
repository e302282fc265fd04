//! Starts helpers: in another session with the token of whoever is logged in there, in one's own as a plain child.
#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use std::fs::File;
use std::io;
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::process::{Child, Command, Stdio};

use windows_sys::Win32::Foundation::{HANDLE, HANDLE_FLAG_INHERIT, SetHandleInformation, WAIT_TIMEOUT};
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
use windows_sys::Win32::System::Pipes::CreatePipe;
use windows_sys::Win32::System::RemoteDesktop::{
    WTS_CURRENT_SERVER_HANDLE, WTSActive, WTSEnumerateSessionsW, WTSFreeMemory, WTSQueryUserToken,
};
use windows_sys::Win32::System::Threading::{
    CREATE_NO_WINDOW, CreateProcessAsUserW, PROCESS_INFORMATION, STARTF_USESTDHANDLES, STARTUPINFOW,
    TerminateProcess, WaitForSingleObject,
};

use crate::windows::own_session;
use crate::windows::text::wide;

/// The hidden subcommand.
const HELP: &str = "session-helper";
/// Most sessions with helpers.
const MOST: usize = 32;

/// A helper. Ends when dropped: its input is closed, and after that it is ended.
#[derive(Debug)]
pub(super) enum Helper {
    Child(Child),
    Other { process: OwnedHandle, _input: OwnedHandle },
}

/// Sessions in which somebody is at work: one's own where the agent runs in one, else all that are active.
pub(super) fn sessions() -> Vec<u32> {
    if let Some(own @ 1..) = own_session() {
        return vec![own];
    }
    let (mut list, mut count) = (std::ptr::null_mut(), 0);
    // SAFETY: both results are ours to read; the list is freed below.
    if unsafe { WTSEnumerateSessionsW(WTS_CURRENT_SERVER_HANDLE, 0, 1, &raw mut list, &raw mut count) } == 0 {
        return Vec::new();
    }
    // SAFETY: the call above wrote this many sessions.
    let all = unsafe { std::slice::from_raw_parts(list, (count as usize).min(MOST)) };
    let active =
        all.iter().filter(|s| s.State == WTSActive && s.SessionId != 0).map(|s| s.SessionId).collect();
    // SAFETY: allocated by the call above, freed once.
    unsafe { WTSFreeMemory(list.cast()) };
    active
}

impl Helper {
    /// Starts one; what it says comes from the file.
    pub(super) fn start(session: u32) -> io::Result<(Self, File)> {
        if own_session() == Some(session) {
            let mut child = Command::new(std::env::current_exe()?)
                .arg(HELP)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()?;
            let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
            return Ok((Self::Child(child), File::from(OwnedHandle::from(output))));
        }
        let token = token(session)?;
        let (their_input, input) = pipe(true)?;
        let (output, their_output) = pipe(false)?;
        let process = start_as(&token, &their_input, &their_output)?;
        Ok((Self::Other { process, _input: input }, File::from(output)))
    }

    /// It still runs.
    pub(super) fn runs(&mut self) -> bool {
        match self {
            Self::Child(child) => matches!(child.try_wait(), Ok(None)),
            // SAFETY: the handle is open; nothing is waited for.
            Self::Other { process, .. } => unsafe {
                WaitForSingleObject(process.as_raw_handle(), 0) == WAIT_TIMEOUT
            },
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        match self {
            Self::Child(child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            // SAFETY: the handle is open and of a process of our own making.
            Self::Other { process, .. } => unsafe {
                TerminateProcess(process.as_raw_handle(), 0);
            },
        }
    }
}

/// The token of whoever is logged in to a session: only the system's own services get it.
fn token(session: u32) -> io::Result<OwnedHandle> {
    let mut token: HANDLE = std::ptr::null_mut();
    // SAFETY: a place for the answer.
    if unsafe { WTSQueryUserToken(session, &raw mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: given to us, closed by its owner.
    Ok(unsafe { OwnedHandle::from_raw_handle(token) })
}

/// A pipe, its end for reading first; the helper inherits that end (`reads`) or the other.
fn pipe(reads: bool) -> io::Result<(OwnedHandle, OwnedHandle)> {
    let attributes = SECURITY_ATTRIBUTES {
        nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(0),
        lpSecurityDescriptor: std::ptr::null_mut(),
        bInheritHandle: 1,
    };
    let (mut read, mut write): (HANDLE, HANDLE) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: places for both ends; the attributes live until the call returns.
    if unsafe { CreatePipe(&raw mut read, &raw mut write, &raw const attributes, 0) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: given to us, closed by their owners.
    let ends = unsafe { (OwnedHandle::from_raw_handle(read), OwnedHandle::from_raw_handle(write)) };
    let ours = if reads { &ends.1 } else { &ends.0 };
    // SAFETY: the handle is open.
    if unsafe { SetHandleInformation(ours.as_raw_handle(), HANDLE_FLAG_INHERIT, 0) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(ends)
}

fn start_as(token: &OwnedHandle, input: &OwnedHandle, output: &OwnedHandle) -> io::Result<OwnedHandle> {
    let program = std::env::current_exe()?;
    let name: Vec<u16> = program.as_os_str().encode_wide().chain([0]).collect();
    let mut command = wide(&format!("\"{}\" {HELP}", program.display()));
    let mut desktop = wide(r"winsta0\default");
    let startup = STARTUPINFOW {
        cb: u32::try_from(size_of::<STARTUPINFOW>()).unwrap_or(0),
        lpDesktop: desktop.as_mut_ptr(),
        dwFlags: STARTF_USESTDHANDLES,
        hStdInput: input.as_raw_handle(),
        hStdOutput: output.as_raw_handle(),
        ..STARTUPINFOW::default()
    };
    let mut made = PROCESS_INFORMATION::default();
    // SAFETY: all texts end with a zero and live until the call returns; the command is ours to change, as the call
    // asks for; the handles are open.
    let started = unsafe {
        CreateProcessAsUserW(
            token.as_raw_handle(),
            name.as_ptr(),
            command.as_mut_ptr(),
            std::ptr::null(),
            std::ptr::null(),
            1,
            CREATE_NO_WINDOW,
            std::ptr::null(),
            std::ptr::null(),
            &raw const startup,
            &raw mut made,
        )
    };
    if started == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both were given to us; the thread's is closed at once.
    unsafe {
        drop(OwnedHandle::from_raw_handle(made.hThread));
        Ok(OwnedHandle::from_raw_handle(made.hProcess))
    }
}
