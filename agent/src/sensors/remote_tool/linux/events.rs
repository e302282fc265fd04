//! The thread that listens: to starts of programs, to the end of tools' processes, to install folders.
//!
//! It compares each program that starts with the catalogue and wakes the sensor only for a hit.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use farmwatch_shared::catalogue::Catalogue;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::Wake;
use super::folders::Folders;
use super::processes::Reader;
use super::starts::{Heard, Starts};

/// Starts that are looked at per second, over time …
const PER_SECOND: u32 = 1000;
/// … and at once after a quiet time.
const AT_ONCE: u32 = 1000;
/// Time between two rounds of starts: they are taken together.
const ROUND: Duration = Duration::from_millis(50);
/// A storm is over when no start was lost for this long.
const STORM: Duration = Duration::from_secs(10);
/// Most processes whose end is waited for.
const MOST_FOLLOWED: usize = 256;

/// Listens in a thread of its own until it is dropped.
pub(super) struct Events {
    shared: Arc<Shared>,
    live: bool,
    thread: Option<JoinHandle<()>>,
}

/// What was heard since the last look.
#[derive(Debug, Default)]
pub(super) struct Hints {
    /// Processes that became a tool.
    pub(super) started: Vec<u32>,
    /// Something was installed or removed.
    pub(super) installs: bool,
}

struct Shared {
    poke: OwnedFd,
    wake: Wake,
    inner: Mutex<Inner>,
}

struct Inner {
    catalogue: Arc<Catalogue>,
    hints: Hints,
    /// When starts were last lost.
    storm: Option<Instant>,
    /// Processes whose end is waited for, with their starts.
    followed: BTreeMap<u32, u64>,
    /// Their handles, on their way to the thread.
    handles: Vec<OwnedFd>,
    stop: bool,
}

impl Events {
    /// Starts to listen. Beside itself it answers why the kernel does not tell of starts, if so.
    pub(super) fn start(
        root: &Path,
        live: bool,
        catalogue: Arc<Catalogue>,
        wake: Wake,
    ) -> io::Result<(Self, Option<String>)> {
        let (starts, no_starts) = match live.then(Starts::listen) {
            Some(Ok(starts)) => (Some(starts), None),
            Some(Err(reason)) => (None, Some(reason)),
            None => (None, Some("this is not the running system".to_owned())),
        };
        let inner = Inner {
            catalogue,
            hints: Hints::default(),
            storm: None,
            followed: BTreeMap::new(),
            handles: Vec::new(),
            stop: false,
        };
        let poke = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let shared = Arc::new(Shared { poke, wake, inner: Mutex::new(inner) });
        let ears = Ears {
            shared: Arc::clone(&shared),
            starts,
            folders: Folders::watch(root),
            reader: Reader::new(root),
            budget: Budget::new(Instant::now()),
        };
        let thread = std::thread::Builder::new().name("events".into()).stack_size(256 << 10);
        let thread = thread.spawn(move || ears.run())?;
        Ok((Self { shared, live, thread: Some(thread) }, no_starts))
    }

    /// What was heard since the last time.
    pub(super) fn take(&self) -> Hints {
        std::mem::take(&mut self.shared.lock().hints)
    }

    /// More programs start than are looked at.
    pub(super) fn in_storm(&self) -> bool {
        self.shared.lock().storm.is_some_and(|last| last.elapsed() < STORM)
    }

    /// Waits for the end of these processes from now on.
    pub(super) fn follow(&self, processes: impl Iterator<Item = (u32, u64)>) {
        if !self.live {
            return;
        }
        let processes: BTreeMap<u32, u64> = processes.take(MOST_FOLLOWED).collect();
        let mut inner = self.shared.lock();
        let new = processes.iter().filter(|(pid, start)| inner.followed.get(pid) != Some(start));
        let handles: Vec<_> = new.filter_map(|(pid, _)| handle(*pid)).collect();
        inner.followed = processes;
        if !handles.is_empty() {
            inner.handles.extend(handles);
            drop(inner);
            self.shared.poke();
        }
    }

    /// Goes by another catalogue from now on.
    pub(super) fn renew(&self, catalogue: Arc<Catalogue>) {
        self.shared.lock().catalogue = catalogue;
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.poke();
        if let Some(thread) = self.thread.take() {
            // It ends within one round; if it panicked, there is nothing to wait for.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poke(&self) {
        let _ = rustix::io::write(&self.poke, &1u64.to_ne_bytes());
    }
}

/// The thread's side.
struct Ears {
    shared: Arc<Shared>,
    starts: Option<Starts>,
    folders: Option<Folders>,
    reader: Reader,
    budget: Budget,
}

/// What there is to do after a wait.
struct Ready {
    starts: bool,
    folders: bool,
    ended: Vec<usize>,
}

impl Ears {
    fn run(mut self) {
        let mut handles: Vec<OwnedFd> = Vec::new();
        let mut next_round = Instant::now();
        loop {
            let ready = self.wait(&handles, next_round);
            {
                let mut inner = self.shared.lock();
                if inner.stop {
                    return;
                }
                handles.append(&mut inner.handles);
            }
            // From behind, so that the places of the others stay.
            for place in ready.ended.iter().rev() {
                handles.swap_remove(*place);
            }
            let installs = ready.folders && self.folders.as_ref().is_some_and(Folders::happened);
            if installs {
                self.shared.lock().hints.installs = true;
            }
            let mut news = installs || !ready.ended.is_empty();
            if ready.starts {
                news |= self.hear();
                next_round = Instant::now() + ROUND;
            }
            if news && !self.shared.wake.up() {
                return;
            }
        }
    }

    /// Waits until there is something to hear; to starts it listens only from `next_round` on.
    fn wait(&self, handles: &[OwnedFd], next_round: Instant) -> Ready {
        let rest = next_round.saturating_duration_since(Instant::now());
        let resting = self.starts.is_some() && !rest.is_zero();
        let mut fds = vec![PollFd::new(&self.shared.poke, PollFlags::IN)];
        fds.extend(handles.iter().map(|handle| PollFd::new(handle, PollFlags::IN)));
        fds.extend(self.folders.iter().map(|folders| PollFd::new(folders, PollFlags::IN)));
        fds.extend(self.starts.iter().filter(|_| !resting).map(|starts| PollFd::new(starts, PollFlags::IN)));
        let timeout = resting.then(|| Timespec { tv_sec: 0, tv_nsec: i64::from(rest.subsec_nanos()) });
        // An interrupted wait is one in which nothing was heard.
        let heard = poll(&mut fds, timeout.as_ref()).is_ok_and(|ready| ready > 0);
        let is_ready = |place: usize| heard && fds.get(place).is_some_and(|fd| !fd.revents().is_empty());
        if is_ready(0) {
            let _ = rustix::io::read(&self.shared.poke, &mut [0; 8]);
        }
        let folders = handles.len() + 1;
        let starts = folders + usize::from(self.folders.is_some());
        Ready {
            starts: self.starts.is_some() && !resting && is_ready(starts),
            folders: self.folders.is_some() && is_ready(folders),
            ended: (0..handles.len()).filter(|place| is_ready(place + 1)).collect(),
        }
    }

    /// Takes what started, within the budget. Answers whether a tool was among it.
    fn hear(&mut self) -> bool {
        let Some(starts) = &self.starts else { return false };
        let catalogue = Arc::clone(&self.shared.lock().catalogue);
        let mut hits = Vec::new();
        let mut lost = false;
        self.budget.refill(Instant::now());
        loop {
            if !self.budget.take() {
                lost = true;
                break;
            }
            match starts.hear() {
                Heard::Start(pid) if self.reader.look(&catalogue, pid).is_some() => hits.push(pid),
                Heard::Start(_) => {}
                Heard::Overflow => lost = true,
                Heard::Silence => break,
            }
        }
        let news = !hits.is_empty() || lost;
        let mut inner = self.shared.lock();
        inner.hints.started.append(&mut hits);
        let calm = inner.storm.is_none_or(|last| last.elapsed() >= STORM);
        if lost {
            inner.storm = Some(Instant::now());
        }
        // The sensor is told of a storm once, so that it begins to poll.
        if lost && !calm { !inner.hints.started.is_empty() } else { news }
    }
}

/// How many starts may be looked at: a bucket that fills steadily.
#[derive(Debug)]
struct Budget {
    left: u32,
    filled: Instant,
}

impl Budget {
    fn new(now: Instant) -> Self {
        Self { left: AT_ONCE, filled: now }
    }

    fn refill(&mut self, now: Instant) {
        let millis = now.saturating_duration_since(self.filled).as_millis();
        let more = u32::try_from(millis).unwrap_or(u32::MAX).saturating_mul(PER_SECOND / 1000);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(AT_ONCE);
            self.filled = now;
        }
    }

    fn take(&mut self) -> bool {
        let any = self.left > 0;
        self.left = self.left.saturating_sub(1);
        any
    }
}

fn handle(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_looked_at_a_thousand_times_a_second_and_no_more() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let mut taken = 0;
        for round in 0..=40u32 {
            budget.refill(start + ROUND * round);
            while budget.take() {
                taken += 1;
            }
        }
        let allowed = AT_ONCE + PER_SECOND * 2;
        assert!((allowed - 40..=allowed).contains(&taken), "{taken} in two seconds");
    }
}
