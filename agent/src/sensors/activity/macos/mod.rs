//! macOS: a helper in each person's session, a LaunchAgent, reads how much input there was (a daemon has no session and
//! is told nothing) and hands the counters over. Nobody is asked for permission: there is none to ask for.

mod helper;

use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use jiff::Timestamp;

pub use self::helper::help;
use super::News;
use super::hand_over::{HandOver, System};
use crate::apple::system;
use crate::sensors::{Config, SensorError, Wake};

/// Where helpers hand over; root's alone to make.
const SOCKET: &str = "/var/run/farmwatch-input.sock";
const SYSTEM: System = System { admits, logged_in, now: Timestamp::now };

/// Takes what helpers hand over.
#[derive(Debug)]
pub struct Reader(HandOver);

impl Reader {
    /// Starts to listen.
    #[allow(clippy::needless_pass_by_value, reason = "other systems keep it")]
    pub fn start(config: Config, wake: Wake) -> Result<Self, SensorError> {
        open(&config)?;
        HandOver::start(Path::new(SOCKET), SYSTEM, wake).map(Self).map_err(|error| {
            let why =
                format!("helpers cannot hand over at {SOCKET}: {error}; run the agent as its service does");
            match error.kind() {
                std::io::ErrorKind::PermissionDenied => SensorError::NotPermitted(why),
                _ => SensorError::Blind(why),
            }
        })
    }

    /// What there is since the last time. `None` if the thread has died.
    pub fn news(&self) -> Option<News> {
        self.0.news()
    }
}

/// A look without running: the helpers need time to see anything.
pub fn open(config: &Config) -> Result<(), SensorError> {
    if config.is_live() {
        return Ok(());
    }
    Err(SensorError::NotSupported("input is counted on a running Mac only".into()))
}

fn logged_in() -> bool {
    system::console_users().iter().any(|user| user.on_console)
}

/// Only who has a session with windows has input to count.
fn admits(stream: &UnixStream) -> Option<u32> {
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: the socket is open and both results are ours.
    #[allow(unsafe_code, reason = "the standard library does not yet tell who is at the other end")]
    let status = unsafe { libc::getpeereid(stream.as_raw_fd(), &raw mut uid, &raw mut gid) };
    (status == 0 && system::console_users().iter().any(|user| user.uid == uid)).then_some(uid)
}
