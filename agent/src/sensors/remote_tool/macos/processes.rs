//! Processes from the kernel (libproc, sysctl).
#![allow(
    unsafe_code,
    reason = "calls libproc, which has no safe wrapper here; each call says why it is sound"
)]

use std::ffi::c_int;

use farmwatch_shared::catalogue::{Catalogue, Os};
use jiff::Timestamp;

use super::super::from_macos;
use super::super::tools::Hit;
use crate::sensors::SensorError;

/// Most processes that are looked at.
const MOST: usize = 1 << 16;
/// As much of a program's arguments as is read; the kernel allows a megabyte.
const ARGUMENTS: usize = 64 << 10;

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
    let hit = catalogue.by_process(Os::Macos, &path, arguments.as_deref())?;
    let started = started(pid)?;
    let seconds = i64::try_from(started / 1_000_000).ok()?;
    let since = Timestamp::from_second(seconds.div_euclid(60) * 60).ok();
    Some(Process { started, since, hit: hit.into() })
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
