//! Activity: how much input came from where in five minutes, and whether its timing is local. Counts, never
//! content (promise P1: see `count.rs`).
//!
//! Linux: the kernel's input devices (evdev), and what X servers say of their last input: input that no device
//! sent was injected by software. Windows: raw input, counted by a helper in each session, where what came without any
//! device was injected. macOS: the counters that each session has, read by a helper in it.

#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "events of the kernel are Linux's alone"))]
mod count;
#[cfg(target_os = "linux")]
mod devices;
#[cfg(target_os = "linux")]
mod displays;
#[cfg(any(target_os = "macos", test))]
mod from_macos;
#[cfg(any(windows, test))]
mod from_windows;
#[cfg(any(target_os = "macos", all(test, unix)))]
mod hand_over;
#[cfg_attr(target_os = "linux", path = "reader.rs")]
#[cfg_attr(target_os = "macos", path = "macos/mod.rs")]
#[cfg_attr(windows, path = "windows/mod.rs")]
mod reader;
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "X servers' word on injection is Linux's alone")
)]
mod tally;
#[cfg(target_os = "linux")]
mod x11;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use farmwatch_shared::facts::Window;
use jiff::Timestamp;

use super::{Config, Sensed, Sensor, SensorError, Wake};

/// What whoever counts input has to say.
#[derive(Debug, Default)]
pub struct News {
    /// Finished windows.
    pub windows: Vec<Window>,
    /// Why it sees nothing, if it does not.
    pub trouble: Option<SensorError>,
    /// What it cannot tell while all is well.
    pub note: Option<&'static str>,
}

impl News {
    /// What a thread that counts has left there since the last time. `None` if the thread has died.
    fn taken(news: &Mutex<Self>, thread: Option<&JoinHandle<()>>) -> Option<Self> {
        let alive = thread.is_some_and(|thread| !thread.is_finished());
        let mut news = Self::locked(news);
        let (trouble, note) = (news.trouble.clone(), news.note);
        alive.then(|| Self { windows: std::mem::take(&mut news.windows), trouble, note })
    }

    fn locked(news: &Mutex<Self>) -> MutexGuard<'_, Self> {
        news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sensor of activity windows.
#[derive(Debug)]
pub struct ActivitySensor {
    config: Config,
    /// Asks for a look; `None` where sensors do not keep running.
    wake: Option<Wake>,
    reader: Option<reader::Reader>,
}

/// Makes the sensor.
pub fn new(config: &Config) -> Box<dyn Sensor> {
    Box::new(ActivitySensor { config: config.clone(), wake: None, reader: None })
}

impl Sensor for ActivitySensor {
    fn name(&self) -> &'static str {
        "activity"
    }

    /// Finished windows and devices that come have a wake; this is for machines that had neither at first.
    fn period(&self) -> Duration {
        Duration::from_mins(5)
    }

    fn watch(&mut self, wake: Wake) {
        self.wake = Some(wake);
    }

    fn sense(&mut self, _: Timestamp, out: &mut Sensed) -> Result<(), SensorError> {
        let Some(wake) = &self.wake else {
            return reader::open(&self.config).map(drop);
        };
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => reader::Reader::start(self.config.clone(), wake.clone())?,
        };
        let Some(news) = reader.news() else {
            return Err(SensorError::Blind("the reader of input devices ended; it starts anew".into()));
        };
        news.windows.into_iter().for_each(|window| out.window(window));
        if let Some(trouble) = news.trouble {
            out.partly(trouble);
        }
        if let Some(note) = news.note {
            out.note(note);
        }
        self.reader = Some(reader);
        Ok(())
    }
}

/// Counts input in the session of whoever starts this, for the service: Windows and macOS let a service see none.
pub fn help() -> anyhow::Result<()> {
    reader::help()
}

#[cfg(test)]
#[cfg(target_os = "linux")]
#[path = "tests.rs"]
mod tests;
