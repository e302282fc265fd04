//! Apple's own tools and the kernel's numbers.

use std::ffi::CString;
use std::process::Command;
use std::time::Duration;

use super::plist::{self, Plist};
use crate::process;
use crate::sensors::SensorError;

/// Longest that a tool may take: the registry answers in some 20 ms.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Most of a tool's output that is believed.
const MOST: usize = 16 << 20;

/// The output of one of the system's tools, in English whatever the language is.
pub fn tool(path: &str, arguments: &[&str]) -> Result<String, SensorError> {
    process::run_bounded(&mut command(path, arguments), "", TIMEOUT, MOST).map_err(SensorError::Blind)
}

/// The output of a tool whose exit code 1 says only that there is nothing to tell, as `lsof`'s does.
pub fn tool_that_may_find_nothing(path: &str, arguments: &[&str]) -> Result<String, SensorError> {
    let ended = process::finish(&mut command(path, arguments), "", TIMEOUT, MOST);
    let (status, output, errors) = ended.map_err(SensorError::Blind)?;
    match status.code() {
        Some(0 | 1) => Ok(output),
        _ => Err(SensorError::Blind(format!("{path} failed ({status}): {}", errors.trim()))),
    }
}

fn command(path: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(path);
    command.args(arguments).env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    command
}

/// Entries of the IOKit registry of a class, with `depth` levels each.
pub fn registry(class: &str, depth: u8) -> Result<Plist, SensorError> {
    let depth = depth.to_string();
    let output = tool("/usr/sbin/ioreg", &["-a", "-l", "-r", "-d", &depth, "-c", class])?;
    if output.trim().is_empty() {
        return Ok(Plist::Array(Vec::new()));
    }
    plist::parse(output.as_bytes()).map_err(|error| SensorError::Blind(format!("ioreg -c {class}: {error}")))
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
        [a, b, c, d, e, f, g, h, ..] => Some(i64::from_ne_bytes([a, b, c, d, e, f, g, h])),
        _ => None,
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
    pids.iter().any(|pid| {
        let mut buffer = [0u8; 64];
        // SAFETY: the buffer has 64 bytes.
        let length = unsafe { libc::proc_name(*pid, buffer.as_mut_ptr().cast(), 64) };
        usize::try_from(length).is_ok_and(|length| buffer.get(..length) == Some(name.as_bytes()))
    })
}
