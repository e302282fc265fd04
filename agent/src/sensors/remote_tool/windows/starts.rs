//! The real-time session of Event Tracing for Windows in which the kernel's provider tells of processes, and the resolver's
//! of names. Needs the rights of a service or an administrator.

#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use std::ffi::c_void;
use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_NO_SYSTEM_RESOURCES, ERROR_SUCCESS};
use windows_sys::Win32::System::Diagnostics::Etw::{
    CONTROLTRACE_HANDLE, CloseTrace, ControlTraceW, EVENT_CONTROL_CODE_DISABLE_PROVIDER,
    EVENT_CONTROL_CODE_ENABLE_PROVIDER, EVENT_RECORD, EVENT_TRACE_CONTROL_STOP, EVENT_TRACE_LOGFILEW,
    EVENT_TRACE_PROPERTIES, EVENT_TRACE_REAL_TIME_MODE, EnableTraceEx2, OpenTraceW,
    PROCESS_TRACE_MODE_EVENT_RECORD, PROCESS_TRACE_MODE_REAL_TIME, PROCESSTRACE_HANDLE, ProcessTrace,
    StartTraceW, TRACE_LEVEL_INFORMATION, WNODE_FLAG_TRACED_GUID,
};
use windows_sys::core::GUID;

use crate::windows::text::wide;

/// The session's name. One that an agent left behind which was killed is taken over.
const NAME: &str = "FarmwatchProcesses";
/// `Microsoft-Windows-Kernel-Process`, and its keyword `WINEVENT_KEYWORD_PROCESS`.
const KERNEL: GUID = GUID::from_u128(0x22fb_2cd6_0e7b_422b_a0c7_2fad_1fd0_e716);
const PROCESSES: u64 = 0x10;
/// `Microsoft-Windows-DNS-Client`, of which all informational events are told.
const RESOLVER: GUID = GUID::from_u128(0x1c95_126e_7eea_49a9_a3fe_a378_b03d_db4d);
/// `EVENT_TRACE_USE_MS_FLUSH_TIMER` (ntwmi.h, Windows 7 and later): the timer counts milliseconds.
const IN_MILLISECONDS: u32 = 0x10;
/// Events are handed over this often.
const FLUSH_MS: u32 = 200;
/// A buffer's length in KiB, and the most buffers: half a megabyte of the kernel's.
const BUFFER_KIB: u32 = 16;
const MOST_BUFFERS: u32 = 32;
/// `INVALID_PROCESSTRACE_HANDLE`.
const INVALID: u64 = u64::MAX;

/// Who tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Teller {
    /// The kernel, of processes.
    Kernel,
    /// The resolver, of names.
    Resolver,
}

impl Teller {
    const fn provider(self) -> (GUID, u64) {
        match self {
            Self::Kernel => (KERNEL, PROCESSES),
            Self::Resolver => (RESOLVER, 0),
        }
    }
}

/// Takes an event: whose it is, its id, its version, its data. Answers `false` to have no more of that teller for now.
pub(super) type Hear = Box<dyn FnMut(Teller, u16, u8, &[u8]) -> bool + Send>;

/// A session. Ends when dropped.
pub(super) struct Starts {
    session: CONTROLTRACE_HANDLE,
    trace: PROCESSTRACE_HANDLE,
    /// What the system hands to the callback; freed after the last call.
    ears: *mut Ears,
    thread: Option<JoinHandle<()>>,
}

// SAFETY: the handles are numbers that any thread may use; `ears` is touched by the session's thread only, until that
// has ended.
unsafe impl Send for Starts {}

struct Ears {
    session: CONTROLTRACE_HANDLE,
    hear: Hear,
}

impl Starts {
    /// Begins to listen. The error says why that cannot be.
    pub(super) fn listen(hear: Hear) -> Result<Self, String> {
        let session = start().map_err(refused)?;
        let ears = Box::into_raw(Box::new(Ears { session, hear }));
        // From here on, dropping it undoes what was done.
        let mut starts = Self { session, trace: PROCESSTRACE_HANDLE { Value: INVALID }, ears, thread: None };
        enable(session, Teller::Kernel, true).map_err(refused)?;
        // Without it processes are told all the same.
        if let Err(error) = enable(session, Teller::Resolver, true) {
            tracing::info!(error, "connections to relays are not seen: the resolver does not tell of names");
        }
        starts.trace = open(ears).map_err(refused)?;
        let trace = starts.trace;
        let thread = std::thread::Builder::new().name("starts".into()).stack_size(256 << 10);
        let thread = thread.spawn(move || {
            // SAFETY: one handle, which is open until this returns; no times bound the session.
            unsafe { ProcessTrace(&raw const trace, 1, std::ptr::null(), std::ptr::null()) };
        });
        starts.thread = Some(thread.map_err(|error| format!("no thread: {error}"))?);
        Ok(starts)
    }

    /// Somebody may have stopped the session.
    pub(super) fn lives(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Asks to be told again.
    pub(super) fn resume(&self, teller: Teller) -> bool {
        enable(self.session, teller, true).is_ok()
    }
}

impl Drop for Starts {
    fn drop(&mut self) {
        stop(self.session);
        if self.trace.Value != INVALID {
            // SAFETY: opened by us, closed once; it lets the thread end.
            unsafe { CloseTrace(self.trace) };
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // SAFETY: made by `listen`; the thread that used it has ended.
        drop(unsafe { Box::from_raw(self.ears) });
    }
}

/// A session's properties, and behind them the room for its name that the system asks for.
#[repr(C)]
struct Properties {
    head: EVENT_TRACE_PROPERTIES,
    name: [u16; 64],
}

impl Properties {
    fn new() -> Self {
        let mut head = EVENT_TRACE_PROPERTIES::default();
        head.Wnode.BufferSize = u32::try_from(size_of::<Self>()).unwrap_or(0);
        head.Wnode.Flags = WNODE_FLAG_TRACED_GUID;
        // Time stamps by the performance counter.
        head.Wnode.ClientContext = 1;
        head.BufferSize = BUFFER_KIB;
        head.MaximumBuffers = MOST_BUFFERS;
        head.LogFileMode = EVENT_TRACE_REAL_TIME_MODE | IN_MILLISECONDS;
        head.FlushTimer = FLUSH_MS;
        head.LoggerNameOffset = u32::try_from(offset_of!(Self, name)).unwrap_or(0);
        Self { head, name: [0; 64] }
    }
}

fn start() -> Result<CONTROLTRACE_HANDLE, u32> {
    stop(CONTROLTRACE_HANDLE::default());
    let (name, mut properties) = (wide(NAME), Properties::new());
    let mut session = CONTROLTRACE_HANDLE::default();
    // SAFETY: the name ends with a zero; the properties say how long they are with the room for the name.
    let started = unsafe { StartTraceW(&raw mut session, name.as_ptr(), (&raw mut properties).cast()) };
    if started == ERROR_SUCCESS { Ok(session) } else { Err(started) }
}

/// Stops a session by its handle, or the one of our name.
fn stop(session: CONTROLTRACE_HANDLE) {
    let (name, mut properties) = (wide(NAME), Properties::new());
    let name = if session.Value == 0 { name.as_ptr() } else { std::ptr::null() };
    // SAFETY: the name, if any, ends with a zero and lives on; the properties say how long they are.
    unsafe { ControlTraceW(session, name, (&raw mut properties).cast(), EVENT_TRACE_CONTROL_STOP) };
}

/// Asks a provider to tell, or to tell of nothing.
fn enable(session: CONTROLTRACE_HANDLE, teller: Teller, tell: bool) -> Result<(), u32> {
    let (provider, keywords) = teller.provider();
    let code = if tell { EVENT_CONTROL_CODE_ENABLE_PROVIDER } else { EVENT_CONTROL_CODE_DISABLE_PROVIDER };
    let level = u8::try_from(TRACE_LEVEL_INFORMATION).unwrap_or(4);
    // SAFETY: the provider's name lives until the call returns; there are no further parameters.
    let done = unsafe {
        EnableTraceEx2(session, &raw const provider, code, level, keywords, 0, 0, std::ptr::null())
    };
    if done == ERROR_SUCCESS { Ok(()) } else { Err(done) }
}

fn open(ears: *mut Ears) -> Result<PROCESSTRACE_HANDLE, u32> {
    let mut name = wide(NAME);
    let mut file = EVENT_TRACE_LOGFILEW {
        LoggerName: name.as_mut_ptr(),
        Context: ears.cast::<c_void>(),
        ..EVENT_TRACE_LOGFILEW::default()
    };
    file.Anonymous1.ProcessTraceMode = PROCESS_TRACE_MODE_REAL_TIME | PROCESS_TRACE_MODE_EVENT_RECORD;
    file.Anonymous2.EventRecordCallback = Some(event);
    // SAFETY: the name ends with a zero and lives until the call returns; the callback fits the mode, and its context
    // lives until the thread has ended that calls it.
    let trace = unsafe { OpenTraceW(&raw mut file) };
    if trace.Value != INVALID {
        return Ok(trace);
    }
    let error = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
    Err(error.cast_unsigned())
}

unsafe extern "system" fn event(record: *mut EVENT_RECORD) {
    // SAFETY: the system hands over a record that lives until this returns.
    let Some(record) = (unsafe { record.as_ref() }) else { return };
    let head = &record.EventHeader;
    // Sessions tell of themselves as well.
    let teller = match head.ProviderId.data1 {
        first if first == KERNEL.data1 => Teller::Kernel,
        first if first == RESOLVER.data1 => Teller::Resolver,
        _ => return,
    };
    // SAFETY: what `open` gave as context, used by this thread only.
    let Some(ears) = (unsafe { record.UserContext.cast::<Ears>().as_mut() }) else { return };
    let data = if record.UserData.is_null() {
        &[]
    } else {
        // SAFETY: the record says how many bytes its data has, and lives until this returns.
        unsafe {
            std::slice::from_raw_parts(record.UserData.cast::<u8>(), usize::from(record.UserDataLength))
        }
    };
    let what = &head.EventDescriptor;
    // A panic must not cross into the system's code.
    let on =
        catch_unwind(AssertUnwindSafe(|| (ears.hear)(teller, what.Id, what.Version, data))).unwrap_or(true);
    if !on {
        let _ = enable(ears.session, teller, false);
    }
}

fn refused(error: u32) -> String {
    match error {
        ERROR_ACCESS_DENIED => "the agent lacks the right to trace, which a service has".to_owned(),
        ERROR_NO_SYSTEM_RESOURCES => "Windows has no trace session left".to_owned(),
        other => format!("event tracing fails with error {other}"),
    }
}
