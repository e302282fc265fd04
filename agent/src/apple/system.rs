//! What the kernel tells: numbers, tables, processes; and Apple's own tools, for the little that nothing else tells.

use std::ffi::CString;
use std::process::Command;
use std::time::Duration;

use super::console::{self, ConsoleUser};
use super::iokit;
use crate::process;
use crate::sensors::SensorError;

/// Longest that a tool may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Most of a tool's output that is believed.
const MOST: usize = 16 << 20;

/// The output of one of the system's tools, in English whatever the language is.
pub fn tool(path: &str, arguments: &[&str]) -> Result<String, SensorError> {
    process::run_bounded(&mut command(path, arguments), "", TIMEOUT, MOST).map_err(SensorError::Blind)
}

fn command(path: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(path);
    command.args(arguments).env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    command
}

/// Sessions with windows.
pub fn console_users() -> Vec<ConsoleUser> {
    iokit::of_root(c"IOConsoleUsers").as_ref().map(console::users).unwrap_or_default()
}

/// A table of the kernel's routing tables, in messages: `what` of `NET_RT_…`, of one family or (0) all.
pub fn routing_table(family: i32, what: i32, flags: i32) -> Result<Vec<u8>, SensorError> {
    let mut name = [libc::CTL_NET, libc::PF_ROUTE, 0, family, what, flags];
    let count = u32::try_from(name.len()).unwrap_or(0);
    // A table may grow between the question how long it is and the one what is in it.
    for _ in 0..3 {
        let mut length = 0;
        // SAFETY: the name has as many numbers as is told; without a buffer only the length is.
        #[allow(unsafe_code, reason = "sysctl has no safe wrapper in our dependencies")]
        let status = unsafe {
            libc::sysctl(
                name.as_mut_ptr(),
                count,
                std::ptr::null_mut(),
                &raw mut length,
                std::ptr::null_mut(),
                0,
            )
        };
        let mut bytes = vec![0u8; (length + length / 4 + 1024).min(MOST)];
        length = bytes.len();
        // SAFETY: name and buffer have the lengths that are told, and nothing is written to the kernel.
        #[allow(unsafe_code, reason = "sysctl has no safe wrapper in our dependencies")]
        let read = unsafe {
            libc::sysctl(
                name.as_mut_ptr(),
                count,
                bytes.as_mut_ptr().cast(),
                &raw mut length,
                std::ptr::null_mut(),
                0,
            )
        };
        if status == 0 && read == 0 {
            bytes.truncate(length);
            return Ok(bytes);
        }
    }
    let error = std::io::Error::last_os_error();
    Err(SensorError::Blind(format!("the kernel's routing tables cannot be read: {error}")))
}

/// A text of the kernel's: `kern.hostname`, `hw.model`.
pub fn sysctl_text(name: &str) -> Option<String> {
    let bytes = sysctl(name)?;
    let text = String::from_utf8_lossy(bytes.split(|b| *b == 0).next()?).into_owned();
    (!text.is_empty()).then_some(text)
}

/// A moment or number of the kernel's: its first 8 bytes (`kern.boottime`, `kern.hv_vmm_present` has 4).
pub fn sysctl_number(name: &str) -> Option<i64> {
    let bytes = sysctl(name)?;
    match *bytes.as_slice() {
        [a, b, c, d] => Some(i32::from_ne_bytes([a, b, c, d]).into()),
        _ => bytes.first_chunk().copied().map(i64::from_ne_bytes),
    }
}

fn sysctl(name: &str) -> Option<Vec<u8>> {
    let name = CString::new(name).ok()?;
    let mut bytes = vec![0u8; 1024];
    let mut length = bytes.len();
    // SAFETY: the name ends with a zero, the buffer has the length that is told, and nothing is written to the kernel.
    #[allow(unsafe_code, reason = "sysctlbyname has no safe wrapper in our dependencies")]
    let status = unsafe {
        libc::sysctlbyname(name.as_ptr(), bytes.as_mut_ptr().cast(), &raw mut length, std::ptr::null_mut(), 0)
    };
    (status == 0).then(|| {
        bytes.truncate(length);
        bytes
    })
}

/// Time since the machine started, sleep included.
pub fn since_boot() -> Duration {
    clock(libc::CLOCK_MONOTONIC)
}

/// Time since the machine started, sleep left out.
pub fn awake_since_boot() -> Duration {
    clock(libc::CLOCK_UPTIME_RAW)
}

fn clock(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is ours; a clock that does not exist leaves it as it was.
    #[allow(unsafe_code, reason = "the standard library has neither clock")]
    unsafe {
        libc::clock_gettime(clock, &raw mut time);
    }
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0).min(999_999_999);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanoseconds)
}

/// A program of this name runs.
#[allow(unsafe_code, reason = "calls libproc, which has no safe wrapper here")]
pub fn runs(name: &str) -> bool {
    let mut pids: Vec<libc::c_int> = vec![0; 1 << 14];
    let bytes = libc::c_int::try_from(pids.len() * size_of::<libc::c_int>()).unwrap_or(0);
    // SAFETY: the buffer has as many bytes as is told.
    let count = unsafe { libc::proc_listallpids(pids.as_mut_ptr().cast(), bytes) };
    pids.truncate(usize::try_from(count).unwrap_or(0));
    pids.iter().any(|pid| u32::try_from(*pid).ok().and_then(name_of).as_deref() == Some(name))
}

/// The name of a process.
#[allow(unsafe_code, reason = "calls libproc, which has no safe wrapper here")]
pub fn name_of(pid: u32) -> Option<String> {
    let mut buffer = [0u8; 64];
    // SAFETY: the buffer has 64 bytes.
    let length = unsafe { libc::proc_name(libc::c_int::try_from(pid).ok()?, buffer.as_mut_ptr().cast(), 64) };
    let name = buffer.get(..usize::try_from(length).ok()?).filter(|name| !name.is_empty())?;
    Some(String::from_utf8_lossy(name).into_owned())
}
