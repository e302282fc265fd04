//! Processes from the kernel (libproc, sysctl).
#![allow(
    unsafe_code,
    reason = "calls libproc, which has no safe wrapper here; each call says why it is sound"
)]

use std::ffi::{c_int, c_void};

use farmwatch_shared::catalogue::{Catalogue, Os};
use farmwatch_shared::program::Program;
use jiff::Timestamp;

use super::super::from_macos::{self, Socket};
use super::super::tools::Hit;
use crate::sensors::SensorError;

/// Most processes that are looked at.
const MOST: usize = 1 << 16;
/// As much of a program's arguments as is read; the kernel allows a megabyte.
const ARGUMENTS: usize = 64 << 10;
/// Most open files of a process that are looked at.
const MOST_FILES: usize = 4096;
/// `PROC_PIDFDSOCKETINFO`.
const SOCKET_INFO: c_int = 3;
/// `CS_OPS_IDENTITY`, `CS_OPS_TEAMID`: what a process's program was signed with.
const IDENTITY: u32 = 11;
const TEAM: u32 = 14;

unsafe extern "C" {
    // Of the system's library, without a header of its own; codesign(8) and many others use it.
    fn csops(pid: c_int, operation: u32, buffer: *mut c_void, size: usize) -> c_int;
}

/// A running process of a tool.
pub(super) struct Process {
    /// Start in microseconds since 1970: tells a process from a later one of the same id.
    pub(super) started: u64,
    /// Start, to the minute.
    pub(super) since: Option<Timestamp>,
    pub(super) hit: Hit,
}

/// Ids of all processes, sorted.
pub(super) fn all() -> Result<Vec<u32>, SensorError> {
    // SAFETY: without a buffer only the number is told.
    let count = unsafe { libc::proc_listallpids(std::ptr::null_mut(), 0) };
    // Some more than there are now: others start meanwhile.
    let room = usize::try_from(count).unwrap_or(0).saturating_add(256).min(MOST);
    let mut pids: Vec<c_int> = vec![0; room];
    let bytes = c_int::try_from(room * size_of::<c_int>()).unwrap_or(0);
    // SAFETY: the buffer has as many bytes as is told.
    let count = unsafe { libc::proc_listallpids(pids.as_mut_ptr().cast(), bytes) };
    let Some(count) = usize::try_from(count).ok().filter(|count| *count > 0) else {
        let error = std::io::Error::last_os_error();
        return Err(SensorError::Blind(format!("processes cannot be listed: {error}")));
    };
    pids.truncate(count);
    let mut pids: Vec<u32> = pids.into_iter().filter_map(|pid| u32::try_from(pid).ok()).collect();
    pids.sort_unstable();
    Ok(pids)
}

/// Looks at a process; `None` if it is not a tool's, or gone.
pub(super) fn look(catalogue: &Catalogue, pid: u32) -> Option<Process> {
    let path = path(pid)?;
    let arguments = if catalogue.asks_for_command_line(Os::Macos, &path) { arguments(pid) } else { None };
    let hit = from_macos::whose(catalogue, &path, arguments.as_deref(), || identity(pid))?;
    let started = started(pid)?;
    let seconds = i64::try_from(started / 1_000_000).ok()?;
    let since = Timestamp::from_second(seconds.div_euclid(60) * 60).ok();
    Some(Process { started, since, hit })
}

/// Where the program of a process lies, and whether the kernel has checked whose team signed it: anybody may sign with an
/// identifier of their choice, but not for somebody's team.
pub(super) fn answers_for(pid: u32) -> (Option<String>, bool) {
    (path(pid), identity(pid).team.is_some())
}

/// Sockets of a process: those of TCP that listen or are connected, those of UDP that take from anybody.
pub(super) fn sockets(pid: u32) -> Vec<Socket> {
    let Ok(id) = c_int::try_from(pid) else { return Vec::new() };
    let empty = libc::proc_fdinfo { proc_fd: 0, proc_fdtype: 0 };
    let mut files = vec![empty; MOST_FILES];
    let bytes = c_int::try_from(size_of_val(files.as_slice())).unwrap_or(0);
    // SAFETY: the buffer has as many bytes as is told.
    let told = unsafe { libc::proc_pidinfo(id, libc::PROC_PIDLISTFDS, 0, files.as_mut_ptr().cast(), bytes) };
    files.truncate(usize::try_from(told).unwrap_or(0) / size_of::<libc::proc_fdinfo>());
    let is_socket =
        |file: &&libc::proc_fdinfo| c_int::try_from(file.proc_fdtype) == Ok(libc::PROX_FDTYPE_SOCKET);
    let info = |file: &libc::proc_fdinfo| {
        // In words of eight bytes, as the kernel's structure wants to lie.
        let mut info = [0u64; from_macos::SOCKET / 8];
        let size = c_int::try_from(from_macos::SOCKET).ok()?;
        // SAFETY: the buffer has as many bytes as is told.
        let told =
            unsafe { libc::proc_pidfdinfo(id, file.proc_fd, SOCKET_INFO, info.as_mut_ptr().cast(), size) };
        let bytes: Vec<u8> = info.iter().flat_map(|word| word.to_ne_bytes()).collect();
        from_macos::socket(pid, bytes.get(..usize::try_from(told).ok()?)?)
    };
    files.iter().filter(is_socket).filter_map(info).collect()
}

/// What the program of a process was signed with, as the kernel has checked it.
fn identity(pid: u32) -> Program {
    let text = |operation| {
        let mut buffer = [0u8; 512];
        // SAFETY: the buffer has as many bytes as is told.
        let status =
            unsafe { csops(c_int::try_from(pid).ok()?, operation, buffer.as_mut_ptr().cast(), buffer.len()) };
        if status == 0 { from_macos::signed(&buffer) } else { None }
    };
    Program { bundle: text(IDENTITY), team: text(TEAM), ..Program::default() }
}

/// When a process started, in microseconds; `None` if it is gone.
pub(super) fn started(pid: u32) -> Option<u64> {
    // SAFETY: all-zero is a value of this structure of numbers.
    let mut info: libc::proc_bsdinfo = unsafe { std::mem::zeroed() };
    let size = c_int::try_from(size_of::<libc::proc_bsdinfo>()).ok()?;
    let pid = c_int::try_from(pid).ok()?;
    // SAFETY: the structure has as many bytes as is told.
    let told = unsafe { libc::proc_pidinfo(pid, libc::PROC_PIDTBSDINFO, 0, (&raw mut info).cast(), size) };
    (told == size)
        .then(|| info.pbi_start_tvsec.saturating_mul(1_000_000).saturating_add(info.pbi_start_tvusec))
}

fn path(pid: u32) -> Option<String> {
    let mut buffer = [0u8; libc::PROC_PIDPATHINFO_MAXSIZE as usize];
    let size = u32::try_from(buffer.len()).ok()?;
    // SAFETY: the buffer has as many bytes as is told.
    let length = unsafe { libc::proc_pidpath(c_int::try_from(pid).ok()?, buffer.as_mut_ptr().cast(), size) };
    let path = buffer.get(..usize::try_from(length).ok()?).filter(|path| !path.is_empty())?;
    Some(String::from_utf8_lossy(path).into_owned())
}

fn arguments(pid: u32) -> Option<String> {
    let mut name = [libc::CTL_KERN, libc::KERN_PROCARGS2, c_int::try_from(pid).ok()?];
    let mut buffer = vec![0u8; ARGUMENTS];
    let mut length = buffer.len();
    // SAFETY: name and buffer have the lengths that are told, and nothing is written to the kernel.
    let status = unsafe {
        libc::sysctl(
            name.as_mut_ptr(),
            3,
            buffer.as_mut_ptr().cast(),
            &raw mut length,
            std::ptr::null_mut(),
            0,
        )
    };
    (status == 0).then(|| from_macos::arguments(buffer.get(..length)?)).flatten()
}
