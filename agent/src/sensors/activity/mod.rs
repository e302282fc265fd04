//! Activity: how much input came from where in five minutes, and whether its timing is local. Counts, never
//! content (promise P1: see `count.rs`).
//!
//! Linux: the kernel's input devices (evdev), and what X servers say of their last input: input that no device
//! sent was injected by software. Elsewhere not yet.

#[cfg(target_os = "linux")]
mod count;
#[cfg(target_os = "linux")]
mod devices;
#[cfg(target_os = "linux")]
mod reader;
#[cfg(target_os = "linux")]
mod tally;
#[cfg(target_os = "linux")]
mod x11;

use std::time::Duration;

use jiff::Timestamp;

use super::{Config, Sensed, Sensor, SensorError, Wake};

/// The sensor of activity windows.
#[derive(Debug)]
pub struct ActivitySensor {
    config: Config,
    /// Asks for a look; `None` where sensors do not keep running.
    wake: Option<Wake>,
    #[cfg(target_os = "linux")]
    reader: Option<reader::Reader>,
}

/// Makes the sensor.
pub fn new(config: &Config) -> Box<dyn Sensor> {
    Box::new(ActivitySensor {
        config: config.clone(),
        wake: None,
        #[cfg(target_os = "linux")]
        reader: None,
    })
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

    #[cfg(target_os = "linux")]
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

    #[cfg(not(target_os = "linux"))]
    fn sense(&mut self, _: Timestamp, _: &mut Sensed) -> Result<(), SensorError> {
        let _ = (&self.config, &self.wake);
        Err(SensorError::NotSupported("input is not yet counted on this operating system".into()))
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
#[path = "tests.rs"]
mod tests;
