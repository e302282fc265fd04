//! The thread that reads input devices: seldom, in batches, and not at all while nothing happens.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use farmwatch_shared::facts::Window;
use jiff::{SignedDuration, Timestamp};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::News;
use super::count::Happened;
use super::devices::{BATCH, Devices};
use super::tally::Tally;
use super::x11::{self, Screen, Unseen};
use crate::sensors::{Config, SensorError, Wake};

/// Pause after reading in a second that is read in full: a 1,000 Hz mouse, of 3,000 events a second, does not fill its
/// buffer of 128 in it …
const FINE_PAUSE: Duration = Duration::from_millis(40);
/// … and an 8,000 Hz one does not in this, even if its buffer is the smallest that there is, of 64.
const FINEST_PAUSE: Duration = Duration::from_micros(2500);
/// A hot-plugged device takes this long to get its owner and mode.
const SETTLE: Duration = Duration::from_millis(50);
/// How often X servers are asked when they last saw input.
const ASK: Duration = Duration::from_secs(2);
/// Input that an X server saw this long after the last of any device was injected: devices are read once a
/// second, so less would say nothing.
const MARGIN: SignedDuration = SignedDuration::from_secs(2);
/// Most windows that wait to be fetched: an hour's.
const MOST_WINDOWS: usize = 12;
const STACK: usize = 128 << 10;

/// A reader that runs. Ends when dropped.
#[derive(Debug)]
pub struct Reader {
    news: Arc<Mutex<News>>,
    stop: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Starts to read.
    pub fn start(config: Config, wake: Wake) -> Result<Self, SensorError> {
        let (devices, screens, unseen) = open(&config)?;
        Self::spawn(devices, screens, unseen, config, wake)
            .map_err(|e| SensorError::Blind(format!("cannot start to read input devices: {e}")))
    }

    fn spawn(
        devices: Devices,
        screens: Vec<Screen>,
        unseen: Unseen,
        config: Config,
        wake: Wake,
    ) -> io::Result<Self> {
        let (trouble, note) = injection(screens.len(), unseen);
        let news = Arc::new(Mutex::new(News { trouble, note, ..News::default() }));
        let stop = eventfd(0, EventfdFlags::CLOEXEC)?;
        let mut turn = Turn {
            devices,
            tally: Tally::new(Timestamp::now()),
            watched: Timestamp::now(),
            last_event: Timestamp::now(),
            pace: Pace::new(),
            screens,
            asked: Instant::now(),
            was_injected: false,
            config,
            news: Arc::clone(&news),
            stop: stop.try_clone()?,
            wake,
        };
        let thread =
            std::thread::Builder::new().name("input".into()).stack_size(STACK).spawn(move || turn.run())?;
        Ok(Self { news, stop, thread: Some(thread) })
    }

    /// What there is since the last time. `None` if the thread has died.
    pub fn news(&self) -> Option<News> {
        News::taken(&self.news, self.thread.as_ref())
    }
}

/// Opens devices and X displays, and tells which displays cannot be asked. Fails where neither tells anything.
///
/// Without devices, as on a virtual machine's X server, all input there is injected. Where the agent may not
/// read the devices, nothing can be said of injection.
pub fn open(config: &Config) -> Result<(Devices, Vec<Screen>, Unseen), SensorError> {
    let devices = Devices::open(config);
    let asks = config.is_live() && !matches!(devices, Err(SensorError::NotPermitted(_)));
    let (screens, unseen) =
        if asks { x11::screens(config, Vec::new()) } else { (Vec::new(), Unseen::default()) };
    let devices = match devices {
        Err(SensorError::NotSupported(_)) if !screens.is_empty() => Devices::none(config),
        other => other?,
    };
    Ok((devices, screens, unseen))
}

/// The service reads the devices itself: there is nothing to help with.
pub fn help() -> anyhow::Result<()> {
    anyhow::bail!("there is no session helper on this system")
}

impl Drop for Reader {
    fn drop(&mut self) {
        // An eventfd takes eight bytes unless it is full, and then it wakes as well.
        let _ = rustix::io::write(&self.stop, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Turn {
    devices: Devices,
    tally: Tally,
    /// Up to when the devices were watched.
    watched: Timestamp,
    /// When a device last sent anything.
    last_event: Timestamp,
    pace: Pace,
    screens: Vec<Screen>,
    /// When they were asked.
    asked: Instant,
    /// Injected input was seen when they were.
    was_injected: bool,
    config: Config,
    news: Arc<Mutex<News>>,
    stop: OwnedFd,
    wake: Wake,
}

/// How soon devices are read again in a second that is read in full: sooner from the time on at which one fills its
/// buffer in between.
#[derive(Debug)]
struct Pace {
    pause: Duration,
    /// The last reading was of such a second. After any other, full buffers are the rule.
    goes_on: bool,
}

impl Pace {
    fn new() -> Self {
        Self { pause: FINE_PAUSE, goes_on: false }
    }

    fn pause(&mut self, fine: bool, dropped: bool) -> Duration {
        if fine && self.goes_on && dropped {
            self.pause = (self.pause / 2).max(FINEST_PAUSE);
        }
        self.goes_on = fine;
        self.pause
    }
}

/// What a wait ended with.
enum Woken {
    Stop,
    Input { folder: bool },
    Nothing,
}

impl Turn {
    fn run(&mut self) {
        let mut buffer = [0u8; BATCH];
        loop {
            let rest = match self.wait(self.longest_wait(), true) {
                Woken::Stop => return,
                Woken::Nothing => None,
                Woken::Input { folder } => Some(self.take(folder, &mut buffer)),
            };
            self.ask_screens();
            if self.turn_window().is_none() {
                return;
            }
            // Rest without looking at the devices: this is what makes a busy mouse cheap.
            if let Some(rest) = rest
                && matches!(self.wait(rest, false), Woken::Stop)
            {
                return;
            }
        }
    }

    fn longest_wait(&self) -> Duration {
        let window = until_next_window(Timestamp::now());
        if self.screens.is_empty() { window } else { window.min(ASK.saturating_sub(self.asked.elapsed())) }
    }

    /// Notes seconds in which an X server saw input of which no device knows. Asked every two seconds, so that
    /// a first time counts one and a repeated one two.
    fn ask_screens(&mut self) {
        if self.screens.is_empty() || self.asked.elapsed() < ASK {
            return;
        }
        self.asked = Instant::now();
        let now = Timestamp::now();
        let mut injected = false;
        let last_event = self.last_event;
        self.screens.retain_mut(|screen| {
            let Ok(idle) = screen.idle() else { return false };
            let fresh = idle < ASK;
            let seen = now.saturating_sub(SignedDuration::try_from(idle).unwrap_or_default());
            injected |= fresh && seen.is_ok_and(|seen| seen.duration_since(last_event) > MARGIN);
            true
        });
        if injected && !self.tally.is_over(now) {
            self.tally.injected(1 + u16::from(self.was_injected));
        }
        self.was_injected = injected;
    }

    /// Waits for input, or for the end of this thread only.
    fn wait(&self, most: Duration, for_input: bool) -> Woken {
        let most = most.max(Duration::from_millis(1));
        let timeout = Timespec { tv_sec: most.as_secs().cast_signed(), tv_nsec: most.subsec_nanos().into() };
        let mut ready = vec![PollFd::new(&self.stop, PollFlags::IN)];
        if for_input {
            ready.extend(self.devices.waits().map(|file| PollFd::new(file, PollFlags::IN)));
        }
        match poll(&mut ready, Some(&timeout)) {
            Ok(0) | Err(_) => Woken::Nothing,
            Ok(_) if !ready[0].revents().is_empty() => Woken::Stop,
            Ok(_) => {
                let folder = ready.get(1 + self.devices.open.len());
                Woken::Input { folder: folder.is_some_and(|fd| !fd.revents().is_empty()) }
            }
        }
    }

    /// Takes what has arrived; answers how long to rest.
    fn take(&mut self, folder: bool, buffer: &mut [u8; BATCH]) -> Duration {
        let now = Timestamp::now();
        let (devices, tally) = (&mut self.devices, &mut self.tally);
        if tally.is_over(now) {
            return Duration::ZERO; // the window is turned first, the input waits in the kernel
        }
        let (mut fine, mut dropped) = (None, false);
        devices.open.retain(|device| {
            device.drain(buffer, |device, event| {
                fine.get_or_insert_with(|| tally.is_fine(now));
                dropped |= event.what == Happened::Dropped;
                tally.take(now, device.kind, device.pointing, event);
            })
        });
        if folder {
            devices.follow();
        }
        if fine.is_some() {
            self.last_event = now;
        }
        let pause = self.pace.pause(fine == Some(true), dropped);
        match fine {
            Some(true) => pause,
            Some(false) => until_next_second(now),
            None => SETTLE,
        }
    }

    /// Hands over the window if it is over, and begins the next. `None` if nobody listens any more.
    fn turn_window(&mut self) -> Option<()> {
        let now = Timestamp::now();
        // Longer than any wait: the laptop slept, or its clock was set.
        let slept = now.duration_since(self.watched).abs().as_secs() > Window::SECONDS;
        self.tally.watched(if slept { now } else { self.watched }, now);
        let before = std::mem::replace(&mut self.watched, now);
        if !self.tally.is_over(now) {
            return Some(());
        }
        self.pace = Pace::new();
        let mut next = Tally::new(now);
        if !slept {
            next.watched(before, now);
        }
        let window = std::mem::replace(&mut self.tally, next).finish();
        self.devices.rescan();
        let (mut trouble, mut note) = (None, None);
        if self.config.is_live() {
            let (screens, unseen) = x11::screens(&self.config, std::mem::take(&mut self.screens));
            (trouble, note) = injection(screens.len(), unseen);
            self.screens = screens;
        }
        let mut news = News::locked(&self.news);
        news.trouble = self.devices.verdict().err().filter(|_| self.screens.is_empty()).or(trouble);
        news.note = note;
        if news.windows.len() == MOST_WINDOWS {
            news.windows.remove(0);
        }
        news.windows.push(window);
        drop(news);
        self.wake.up().then_some(())
    }
}

/// What cannot be told of injected input. On Wayland nobody can be asked: the sensor is not all there, so that a laptop
/// without injected input is not taken for one into which nobody injects. Without any display there is nothing to inject
/// into.
fn injection(screens: usize, unseen: Unseen) -> (Option<SensorError>, Option<&'static str>) {
    let blind = |why: &str| Some(SensorError::Blind(why.into()));
    match unseen {
        Unseen { refused: true, .. } => {
            let why =
                "an X display does not let the agent ask for its idle time: injected input there is not seen";
            (blind(why), None)
        }
        Unseen { left_out: true, .. } => {
            (blind("there are more X displays than are asked: injected input on some is not seen"), None)
        }
        Unseen { wayland: true, .. } => {
            let why = "input is counted; what software injects is not seen on Wayland";
            (Some(SensorError::NotSupported(why.into())), None)
        }
        _ if screens == 0 => (None, Some("injected input is seen on X11 displays only, and there is none")),
        _ => (None, None),
    }
}

/// How long until the window that holds `now` is over.
fn until_next_window(now: Timestamp) -> Duration {
    let end = Window::start_of(now).as_millisecond() + Window::SECONDS * 1000;
    Duration::from_millis((end - now.as_millisecond()).max(1).unsigned_abs())
}

/// How long until the next second begins.
fn until_next_second(now: Timestamp) -> Duration {
    Duration::from_millis(1000 - now.as_millisecond().rem_euclid(1000).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule by which a laptop without injected input speaks against a farm asks that this sensor is `ok`.
    #[test]
    fn where_injected_input_cannot_be_seen_the_sensor_is_not_ok() {
        let wayland = Unseen { wayland: true, ..Unseen::default() };
        for screens in [0, 1] {
            assert!(matches!(injection(screens, wayland), (Some(SensorError::NotSupported(_)), None)));
        }
        let refused = Unseen { refused: true, ..wayland };
        let left_out = Unseen { left_out: true, ..wayland };
        for unseen in [refused, left_out] {
            assert!(matches!(injection(7, unseen), (Some(SensorError::Blind(_)), None)));
        }
        assert_eq!(injection(1, Unseen::default()), (None, None));
        assert!(matches!(injection(0, Unseen::default()), (None, Some(_))), "nothing to inject into");
    }

    #[test]
    fn a_mouse_that_fills_its_buffer_is_read_more_often_and_one_that_filled_it_in_a_rest_is_not() {
        let mut pace = Pace::new();
        assert_eq!(pace.pause(true, true), FINE_PAUSE, "after a rest");
        assert_eq!(pace.pause(true, false), FINE_PAUSE);
        assert_eq!(pace.pause(true, true), FINE_PAUSE / 2);
        assert_eq!(pace.pause(false, true), FINE_PAUSE / 2);
        assert_eq!(pace.pause(true, true), FINE_PAUSE / 2, "after a rest");
        assert_eq!(pace.pause(true, true), FINE_PAUSE / 4);
        (0..5).for_each(|_| {
            pace.pause(true, true);
        });
        assert_eq!(pace.pause(true, true), FINEST_PAUSE);
    }
}
