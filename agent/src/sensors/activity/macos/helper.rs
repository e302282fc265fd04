//! The helper in a person's session: reads the session's event counters each second and hands them to the daemon while
//! they change. It taps no event and asks for none: there are no keys, places or times in a counter.
#![allow(
    unsafe_code,
    reason = "calls CoreGraphics, which has no safe wrapper here; each call says why it is sound"
)]

use std::ffi::{CStr, c_void};
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::bail;

use super::super::from_macos::{Counters, Sample};
use super::SOCKET;

/// `CGEventSourceCounterForEventType(state, type)`.
type Counter = unsafe extern "C" fn(i32, u32) -> u32;

/// `kCGEventSourceStateCombinedSessionState`, `kCGEventSourceStateHIDSystemState`.
const SESSION: i32 = 0;
const DEVICES: i32 = 1;
/// `kCGAnyInputEventType`.
const ANY: u32 = u32::MAX;
/// `kCGEventKeyDown`.
const KEYS: [u32; 1] = [10];
/// `kCGEventMouseMoved`, `…LeftMouseDragged`, `…RightMouseDragged`, `…OtherMouseDragged`.
const MOVES: [u32; 4] = [5, 6, 7, 27];
/// `kCGEventLeftMouseDown`, `…RightMouseDown`, `…OtherMouseDown`, `…ScrollWheel`, `…TabletPointer`.
const CLICKS: [u32; 5] = [1, 3, 25, 22, 23];

const LIBRARY: &CStr = c"/System/Library/Frameworks/CoreGraphics.framework/CoreGraphics";
const FUNCTION: &CStr = c"CGEventSourceCounterForEventType";

/// The counters are looked at this often.
const TICK: Duration = Duration::from_secs(1);
/// While nothing changes it is said this often that nothing does.
const STILL_HERE: Duration = Duration::from_secs(10);
/// Where the daemon does not run, the helper tries again after this long.
const RETRY: Duration = Duration::from_secs(10);

/// Hands over until launchd ends this with its session.
pub fn help() -> anyhow::Result<()> {
    let counter = counter()?;
    loop {
        // The daemon comes and goes; what was counted meanwhile is nobody's.
        if let Ok(stream) = UnixStream::connect(SOCKET) {
            let _ = hand_over(counter, stream);
        }
        std::thread::sleep(RETRY);
    }
}

fn hand_over(counter: Counter, mut daemon: UnixStream) -> io::Result<()> {
    daemon.set_write_timeout(Some(RETRY))?;
    let mut last: Option<([u32; 2], Instant)> = None;
    loop {
        let any = [SESSION, DEVICES].map(|state| sum(counter, state, &[ANY]));
        if last.is_none_or(|(before, at)| before != any || at.elapsed() >= STILL_HERE) {
            let sample = Sample { session: counters(counter, SESSION), devices: counters(counter, DEVICES) };
            let mut line = serde_json::to_vec(&sample)?;
            line.push(b'\n');
            daemon.write_all(&line)?;
            last = Some((any, Instant::now()));
        }
        std::thread::sleep(TICK);
    }
}

fn counters(counter: Counter, state: i32) -> Counters {
    let sum = |kinds: &[u32]| sum(counter, state, kinds);
    Counters { keys: sum(&KEYS), moves: sum(&MOVES), clicks: sum(&CLICKS) }
}

fn sum(counter: Counter, state: i32, kinds: &[u32]) -> u32 {
    // SAFETY: takes two numbers and gives one; a state or kind that the system does not know has counted nothing.
    kinds.iter().map(|kind| unsafe { counter(state, *kind) }).fold(0, u32::wrapping_add)
}

/// The function, loaded when it is needed: the daemon, which is the same program, shall not load what draws windows.
fn counter() -> anyhow::Result<Counter> {
    // SAFETY: both texts end with a zero; the library is the system's and stays loaded.
    let function = unsafe {
        let library = libc::dlopen(LIBRARY.as_ptr(), libc::RTLD_LAZY);
        if library.is_null() { std::ptr::null_mut() } else { libc::dlsym(library, FUNCTION.as_ptr()) }
    };
    if function.is_null() {
        bail!("this system has no {}; input cannot be counted", FUNCTION.to_string_lossy());
    }
    // SAFETY: CGEventSource.h declares it so: `uint32_t (CGEventSourceStateID, CGEventType)`, an `int32_t` and a
    // `uint32_t`.
    Ok(unsafe { std::mem::transmute::<*mut c_void, Counter>(function) })
}
