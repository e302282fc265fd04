//! The thread that runs the sensors: looks when a sensor is due or woken, and hands on what changed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc as tokio_mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::frame::Frame;
use super::{Config, Make, Observation, SENSORS};

/// Observations that may wait to be taken; beyond it they are merged into the next.
const WAITING: usize = 8;
/// Time after which an observation that found no room is offered again.
const RETRY: Duration = Duration::from_millis(200);
/// A sensor that is woken again and again looks at most this often …
const SHORTEST_GAP: Duration = Duration::from_millis(100);
/// … and owes this many times what each look took as rest, times the number of sensors that owe much: together
/// they stay within three hundredths of a core.
const REST: u32 = 32;
/// It may owe this much and look all the same: what happens right after something else is seen as soon.
const CREDIT: Duration = Duration::from_secs(5);
/// After so many looks in a row for which it had to wait it says so.
const WAITED: u32 = 3;
/// It never owes more, however slow a look was.
const MOST_OWED: Duration = Duration::from_secs(10);

/// What the daemon tells the sensors.
#[derive(Debug)]
pub enum Command {
    /// Go by this from now on, and look at once.
    Reconfigure(Box<Config>),
    /// All look at once; an observation follows, changed or not.
    SenseAll,
    /// End.
    Stop,
}

/// Sensors that run.
#[derive(Debug)]
pub struct Running {
    /// What they see: complete the first time, then whenever something changed. Dropping it ends the sensors.
    pub observations: tokio_mpsc::Receiver<Observation>,
    /// Tells them what to do.
    pub control: Control,
}

/// Tells running sensors what to do. May be cloned.
#[derive(Clone, Debug)]
pub struct Control(mpsc::Sender<Event>);

impl Control {
    /// Passes a command on; never blocks. `false` if the sensors have ended.
    pub fn send(&self, command: Command) -> bool {
        self.0.send(Event::Command(command)).is_ok()
    }
}

/// Lets something that listens for a sensor's events ask for a look. May be cloned and called from any thread.
#[derive(Clone, Debug)]
pub struct Wake {
    events: mpsc::Sender<Event>,
    asked: Arc<AtomicBool>,
}

impl Wake {
    /// Asks for a look, soon. Never blocks; asking twice before the look is asking once. `false` if the
    /// sensors have ended.
    pub fn up(&self) -> bool {
        self.asked.swap(true, Ordering::AcqRel) || self.events.send(Event::Wake).is_ok()
    }

    /// A wake that leads nowhere, and the end at which a test sees it.
    #[cfg(test)]
    #[allow(dead_code, reason = "for tests of sensors that listen")]
    pub(super) fn for_test() -> (Self, impl Fn(Duration) -> bool) {
        let (events, end) = mpsc::channel();
        let asked = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&asked);
        let woken = move |within: Duration| {
            let got = end.recv_timeout(within).is_ok();
            seen.store(false, Ordering::Release);
            got
        };
        (Self { events, asked }, woken)
    }
}

#[derive(Debug)]
enum Event {
    /// A sensor was woken; its plan knows.
    Wake,
    Command(Command),
}

/// Starts all sensors in a thread of their own.
///
/// Fails only if the system gives no thread.
pub fn start(config: Config) -> io::Result<Running> {
    start_with(config, SENSORS)
}

fn start_with(config: Config, list: &'static [(&'static str, Make)]) -> io::Result<Running> {
    let (events, received) = mpsc::channel();
    let (sender, observations) = tokio_mpsc::channel(WAITING);
    let control = Control(events.clone());
    let turn = Turn { events, received, sender };
    std::thread::Builder::new()
        .name("sensors".into())
        .stack_size(1 << 20)
        .spawn(move || turn.run(Frame::new(config, list)))?;
    Ok(Running { observations, control })
}

struct Turn {
    events: mpsc::Sender<Event>,
    received: mpsc::Receiver<Event>,
    sender: tokio_mpsc::Sender<Observation>,
}

/// When a sensor is to look.
struct Plan {
    /// By its period.
    due: Instant,
    /// Not before this, even if woken.
    rested: Instant,
    /// When it will owe no rest.
    settled: Instant,
    /// Looks in a row for which it had to wait.
    waited: u32,
    asked: Arc<AtomicBool>,
}

impl Turn {
    fn run(self, mut frame: Frame) {
        let start = Instant::now();
        let plan = |_| Plan::new(start);
        let mut plans: Vec<Plan> = (0..frame.len()).map(plan).collect();
        (0..plans.len()).for_each(|index| self.watch(&mut frame, &plans, index));
        let mut undelivered = true; // the first observation goes out, whatever is in it
        loop {
            self.look(&mut frame, &mut plans);
            if undelivered || frame.has_news() {
                let Some(delivered) = self.deliver(&mut frame) else { return };
                undelivered = !delivered;
            }
            let wait = next_look(&plans);
            let wait = if undelivered { wait.min(RETRY) } else { wait };
            let mut event = match self.received.recv_timeout(wait) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            while let Some(got) = event {
                match got {
                    Event::Wake => {}
                    Event::Command(Command::Stop) => return,
                    Event::Command(Command::SenseAll) => {
                        undelivered = true;
                        plans.iter_mut().for_each(Plan::at_once);
                    }
                    Event::Command(Command::Reconfigure(config)) => {
                        let fresh = frame.configure(*config);
                        fresh.into_iter().for_each(|index| self.watch(&mut frame, &plans, index));
                        plans.iter_mut().for_each(Plan::at_once);
                    }
                }
                event = self.received.try_recv().ok();
            }
            if self.sender.is_closed() {
                return;
            }
        }
    }

    /// Lets all sensors look that are due or woken.
    fn look(&self, frame: &mut Frame, plans: &mut [Plan]) {
        for index in 0..plans.len() {
            let began = Instant::now();
            if plans[index].next() > began {
                continue;
            }
            plans[index].asked.store(false, Ordering::Release);
            if !frame.sense(index, Timestamp::now(), plans[index].is_limited()) {
                self.watch(frame, plans, index);
            }
            let period = frame.sensor(index).map_or(Duration::from_hours(1), |sensor| sensor.period());
            let ended = Instant::now();
            let others = (0..plans.len()).filter(|other| *other != index && plans[*other].owes(ended));
            let limited = u32::try_from(1 + others.count()).unwrap_or(u32::MAX);
            plans[index].looked(began, ended, period, limited);
        }
    }

    fn watch(&self, frame: &mut Frame, plans: &[Plan], index: usize) {
        let Some(sensor) = frame.sensor(index) else { return };
        let asked = Arc::clone(&plans[index].asked);
        sensor.watch(Wake { events: self.events.clone(), asked });
    }

    /// Hands on what there is. `None` if nobody takes it any more, `false` if there was no room.
    fn deliver(&self, frame: &mut Frame) -> Option<bool> {
        match self.sender.try_send(frame.take()) {
            Ok(()) => Some(true),
            Err(TrySendError::Closed(_)) => None,
            Err(TrySendError::Full(observation)) => {
                frame.put_back(observation);
                Some(false)
            }
        }
    }
}

impl Plan {
    fn new(start: Instant) -> Self {
        let asked = Arc::new(AtomicBool::new(false));
        Self { due: start, rested: start, settled: start, waited: 0, asked }
    }

    fn next(&self) -> Instant {
        if self.asked.load(Ordering::Acquire) { self.rested.min(self.due) } else { self.due }
    }

    /// A look is over; the next by itself is due after `period`. So many sensors, this one included, owe much.
    fn looked(&mut self, began: Instant, ended: Instant, period: Duration, limited: u32) {
        self.waited = if self.owes(began) { self.waited.saturating_add(1) } else { 0 };
        let rest = (ended - began).saturating_mul(REST).saturating_mul(limited);
        let owed = (self.settled.saturating_duration_since(ended) + rest).min(MOST_OWED);
        self.settled = ended + owed;
        self.rested = ended + owed.saturating_sub(CREDIT).max(SHORTEST_GAP);
        self.due = (ended + period).max(self.rested);
    }

    /// It owes so much rest that it waits before it looks.
    fn owes(&self, now: Instant) -> bool {
        // What its credit leaves is paid back meanwhile, so a sensor that waits owes about its credit.
        self.settled.saturating_duration_since(now) > CREDIT * 9 / 10
    }

    /// It waits again and again: not only after a long first look.
    fn is_limited(&self) -> bool {
        self.waited >= WAITED
    }

    fn at_once(&mut self) {
        self.due = Instant::now();
    }
}

fn next_look(plans: &[Plan]) -> Duration {
    let next = plans.iter().map(Plan::next).min();
    next.map_or(Duration::from_secs(1), |at| at.saturating_duration_since(Instant::now()))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicU32;

    use farmwatch_shared::facts::{Locale, SensorStatus};

    use super::super::test::config;
    use super::super::{Sensed, Sensor, SensorError};
    use super::*;

    static LOOKS: AtomicU32 = AtomicU32::new(0);
    static WAKE: Mutex<Option<Wake>> = Mutex::new(None);

    /// Counts its looks; looks only when woken.
    struct Counter;

    impl Sensor for Counter {
        fn name(&self) -> &'static str {
            "locale"
        }
        fn period(&self) -> Duration {
            Duration::from_hours(1)
        }
        fn watch(&mut self, wake: Wake) {
            *WAKE.lock().unwrap() = Some(wake);
        }
        fn sense(&mut self, _: Timestamp, out: &mut Sensed) -> Result<(), SensorError> {
            let looks = LOOKS.fetch_add(1, Ordering::SeqCst);
            out.fact("self", &Locale { time_zone: Some(looks.to_string()), ..Locale::default() });
            Ok(())
        }
    }

    fn next(running: &mut Running) -> Option<Observation> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            match running.observations.try_recv() {
                Ok(observation) => return Some(observation),
                Err(tokio_mpsc::error::TryRecvError::Disconnected) => return None,
                Err(tokio_mpsc::error::TryRecvError::Empty) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
        panic!("no observation in ten seconds");
    }

    #[test]
    fn what_happens_right_after_something_else_is_seen_at_once_and_a_storm_costs_three_percent() {
        let start = Instant::now();
        let mut plan = Plan::new(start);
        plan.asked.store(true, Ordering::Release);
        let look = Duration::from_millis(60);
        plan.looked(start, start + look, Duration::from_hours(1), 1);
        assert_eq!(plan.next(), start + look + SHORTEST_GAP);
        assert!(!plan.is_limited());
        for (limited, most) in [(1, 0.04), (2, 0.02)] {
            let (begin, mut now, mut looks) = (plan.next(), plan.next(), 0);
            while now < begin + Duration::from_mins(1) {
                // Its own period, a tenth of a second, does not help it either.
                plan.looked(now, now + look, SHORTEST_GAP, limited);
                now = plan.next();
                looks += 1;
            }
            let share = look.as_secs_f64() * f64::from(looks) / 60.0;
            assert!((most * 0.6..most).contains(&share), "{looks} looks took {share} of a core");
            assert!(plan.is_limited(), "and it says so");
        }
        let now = plan.next();
        plan.looked(now, now + Duration::from_mins(1), Duration::from_hours(1), 1);
        assert!(plan.next() <= now + Duration::from_mins(1) + MOST_OWED, "a slow look never blinds for long");
    }

    #[test]
    fn a_wake_leads_to_a_look_a_storm_of_wakes_to_few_and_stop_ends_it() {
        static LIST: [(&str, Make); 1] = [("locale", |_| Box::new(Counter))];
        let folder = tempfile::tempdir().unwrap();
        let mut running = start_with(config(folder.path()), &LIST).unwrap();
        let first = next(&mut running).unwrap();
        assert_eq!(first.state.get::<Locale>("self").unwrap().time_zone.as_deref(), Some("0"));

        let wake = WAKE.lock().unwrap().clone().unwrap();
        let asked = Instant::now();
        assert!(wake.up());
        next(&mut running).unwrap();
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());

        let storm = Instant::now();
        while storm.elapsed() < Duration::from_millis(500) {
            wake.up();
        }
        assert!(LOOKS.load(Ordering::SeqCst) <= 9, "{} looks", LOOKS.load(Ordering::SeqCst));

        let off = Config { off: vec!["locale".into()], ..config(folder.path()) };
        running.control.send(Command::Reconfigure(Box::new(off)));
        loop {
            let state = next(&mut running).unwrap().state;
            if state.get::<SensorStatus>("locale").unwrap().state
                == farmwatch_shared::facts::SensorState::OffByPolicy
            {
                break;
            }
        }
        running.control.send(Command::SenseAll);
        assert!(next(&mut running).is_some(), "asked for, so sent though nothing changed");
        running.control.send(Command::Stop);
        while next(&mut running).is_some() {}
        assert!(!running.control.send(Command::SenseAll) || !wake.up());
    }
}
