//! Windows' service control manager, and a console's Ctrl+C where a person started the agent.

#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::signal::windows as console;
use tokio::sync::mpsc;
use windows_service::service::{
    ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle};
use windows_service::{define_windows_service, service_dispatcher};
use windows_sys::Win32::Foundation::ERROR_FAILED_SERVICE_CONTROLLER_CONNECT;

use super::{Agent, Signal};
use crate::system::{self, Readers};
use crate::windows::own_session;

/// The service's name.
pub const NAME: &str = "FarmwatchAgent";
/// The manager waits this long for the next word of a service that starts or stops.
const PATIENCE: Duration = Duration::from_mins(1);

/// The log is begun anew at this size; the one before is kept.
const LOG: u64 = 1 << 20;

/// `agent.log` in the state folder, where the manager gave no standard error.
pub fn log(state: &Path) -> Option<super::Log> {
    if has_standard_error() {
        return None;
    }
    system::make_folder(state, Readers::Agent).ok()?;
    LogFile::open(state.join("agent.log")).ok().map(|file| Box::new(file) as super::Log)
}

fn has_standard_error() -> bool {
    use std::os::windows::io::AsRawHandle as _;
    !io::stderr().as_raw_handle().is_null()
}

/// A log of bounded size.
struct LogFile {
    path: PathBuf,
    file: File,
    written: u64,
}

impl LogFile {
    fn open(path: PathBuf) -> io::Result<Self> {
        let whole = std::fs::metadata(&path).map_or(0, |data| data.len());
        if whole < LOG
            && let Ok(file) = File::options().append(true).open(&path)
        {
            return Ok(Self { path, file, written: whole });
        }
        let _ = std::fs::rename(&path, path.with_extension("old.log"));
        let file = system::create(&path, Readers::Agent)?;
        Ok(Self { path, file, written: 0 })
    }
}

impl io::Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written >= LOG {
            *self = Self::open(self.path.clone())?;
        }
        let written = self.file.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The manager calls functions, which find here what they need.
struct Hosted {
    agent: Option<Agent>,
    outcome: Option<anyhow::Result<()>>,
    status: Option<ServiceStatusHandle>,
    signals: Option<mpsc::UnboundedSender<Signal>>,
}

static HOSTED: Mutex<Hosted> = Mutex::new(Hosted { agent: None, outcome: None, status: None, signals: None });

/// Runs the agent under the service manager, or by itself where a person started it.
pub fn host(agent: Agent) -> anyhow::Result<()> {
    // A service has a session apart and nowhere to write to. Asking the manager would tell as well, but where there is
    // none of its pipes, as under Wine, it waits for half a minute.
    if matches!(own_session(), Some(1..)) && has_standard_error() {
        return agent();
    }
    hosted().agent = Some(agent);
    match service_dispatcher::start(NAME, service_entry) {
        Ok(()) => hosted().outcome.take().unwrap_or_else(|| Err(anyhow!("the service never ran"))),
        Err(windows_service::Error::Winapi(error)) if is_not_a_service(&error) => {
            let agent = hosted().agent.take().context("there is nothing to run")?;
            agent()
        }
        Err(error) => Err(error).context("cannot run as a service"),
    }
}

fn is_not_a_service(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(ERROR_FAILED_SERVICE_CONTROLLER_CONNECT.cast_signed())
}

fn hosted() -> MutexGuard<'static, Hosted> {
    HOSTED.lock().unwrap_or_else(PoisonError::into_inner)
}

define_windows_service!(service_entry, service_main);

fn service_main(_: Vec<OsString>) {
    let agent = hosted().agent.take();
    let handle = match service_control_handler::register(NAME, control) {
        Ok(handle) => handle,
        Err(error) => {
            hosted().outcome = Some(Err(error).context("the service manager takes no handler"));
            return;
        }
    };
    hosted().status = Some(handle);
    tell(ServiceState::StartPending, ServiceExitCode::NO_ERROR);
    let outcome = agent.map_or_else(|| Err(anyhow!("the service has already run")), |agent| agent());
    if let Err(error) = &outcome {
        tracing::error!("{error:#}");
    }
    // An exit code makes the manager take its recovery actions.
    let code = if outcome.is_ok() { ServiceExitCode::NO_ERROR } else { ServiceExitCode::ServiceSpecific(1) };
    hosted().outcome = Some(outcome);
    tell(ServiceState::Stopped, code);
}

/// Called by the manager in a thread of its own.
fn control(control: ServiceControl) -> ServiceControlHandlerResult {
    let signal = match control {
        ServiceControl::Stop | ServiceControl::Shutdown | ServiceControl::Preshutdown => Signal::Stop,
        ServiceControl::ParamChange => Signal::Reload,
        ServiceControl::Interrogate => return ServiceControlHandlerResult::NoError,
        _ => return ServiceControlHandlerResult::NotImplemented,
    };
    if let Some(signals) = &hosted().signals {
        let _ = signals.send(signal);
    }
    ServiceControlHandlerResult::NoError
}

fn tell(state: ServiceState, exit_code: ServiceExitCode) {
    let Some(handle) = hosted().status else { return };
    let accepted =
        ServiceControlAccept::STOP | ServiceControlAccept::SHUTDOWN | ServiceControlAccept::PARAM_CHANGE;
    let pending = matches!(state, ServiceState::StartPending | ServiceState::StopPending);
    let status = ServiceStatus {
        service_type: ServiceType::OWN_PROCESS,
        current_state: state,
        controls_accepted: if state == ServiceState::Running {
            accepted
        } else {
            ServiceControlAccept::empty()
        },
        exit_code,
        checkpoint: 0,
        wait_hint: if pending { PATIENCE } else { Duration::ZERO },
        process_id: None,
    };
    if let Err(error) = handle.set_service_status(status) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}

/// Listens for signals.
#[derive(Debug)]
pub struct Signals {
    manager: mpsc::UnboundedReceiver<Signal>,
    interrupt: console::CtrlC,
    close: console::CtrlClose,
    stop: console::CtrlBreak,
}

impl Signals {
    /// Begins to listen.
    pub fn new() -> std::io::Result<Self> {
        let (sender, manager) = mpsc::unbounded_channel();
        hosted().signals = Some(sender);
        let (interrupt, close, stop) = (console::ctrl_c()?, console::ctrl_close()?, console::ctrl_break()?);
        Ok(Self { manager, interrupt, close, stop })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            Some(signal) = self.manager.recv() => signal,
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.close.recv() => Signal::Stop,
            _ = self.stop.recv() => Signal::Stop,
        }
    }
}

/// The service is up.
pub fn ready() {
    tell(ServiceState::Running, ServiceExitCode::NO_ERROR);
}

/// The manager has no watchdog.
pub fn alive() {}

/// The service ends.
pub fn stopping() {
    tell(ServiceState::StopPending, ServiceExitCode::NO_ERROR);
}

/// The manager knows no such state.
pub fn reloading() {}
