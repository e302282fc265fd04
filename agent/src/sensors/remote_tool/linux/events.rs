//! The thread that listens: to starts of programs, to the end of tools' processes, to install folders.
//!
//! It compares programs that start with the catalogue and wakes the sensor only for a hit. Starts are taken together,
//! a moment late: most programs that start on a laptop are over in milliseconds, and one that is gone costs nothing.

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

use super::super::budget::Budget;
use super::super::relays::Relays;
use super::super::tools::Hit;
use super::Wake;
use super::folders::Folders;
use super::names::Names;
use super::processes::{Looked, Reader};
use super::rounds::Round;
use super::starts::{Heard, Starts};
use crate::sensors::SensorError;
use crate::sensors::inet_sockets::Socket;

/// From the first start after a quiet time until starts are looked at …
const GATHER: Duration = Duration::from_millis(50);
/// … and between two rounds while programs keep starting.
const ROUND: Duration = Duration::from_millis(700);
/// Messages of the kernel's that are taken per second over time, two for a common start …
const PER_SECOND: u32 = 2000;
/// … and at once after a quiet time.
const AT_ONCE: u32 = 2000;
/// In a storm the kernel is asked to tell nothing for this long.
const MUTED: Duration = Duration::from_secs(10);
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
    /// Programs may have started of which the kernel did not tell.
    pub(super) untold: bool,
    /// Somebody asked for a tool's relay.
    pub(super) relays: bool,
}

struct Shared {
    poke: OwnedFd,
    wake: Wake,
    inner: Mutex<Inner>,
}

struct Inner {
    catalogue: Arc<Catalogue>,
    hints: Hints,
    relays: Relays,
    /// More programs start than the agent may spend time on: the kernel tells of none.
    storm: bool,
    /// Why names that are asked for are not heard, where they should be.
    names_lost: Option<SensorError>,
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
        reader: Reader,
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
            relays: Relays::default(),
            storm: false,
            names_lost: None,
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
            names: Names::listen(root, Instant::now()),
            reader,
            budget: Budget::new(Instant::now(), PER_SECOND, AT_ONCE),
            next: Next::Event,
        };
        let thread = std::thread::Builder::new().name("events".into()).stack_size(256 << 10);
        let thread = thread.spawn(move || ears.run())?;
        Ok((Self { shared, live, thread: Some(thread) }, no_starts))
    }

    /// What was heard since the last time.
    pub(super) fn take(&self) -> Hints {
        std::mem::take(&mut self.shared.lock().hints)
    }

    /// Whose relays the far ends of these connections are, by the connections' inodes.
    pub(super) fn relays(&self, sockets: impl FnOnce() -> Vec<Socket>) -> BTreeMap<u64, Hit> {
        let inner = self.shared.lock();
        if inner.relays.is_empty() {
            return BTreeMap::new();
        }
        let hit = |socket: &Socket| Some((socket.inode, inner.relays.at(&socket.peer?)?.clone()));
        sockets().iter().filter_map(hit).collect()
    }

    /// More programs start than are looked at.
    pub(super) fn in_storm(&self) -> bool {
        self.shared.lock().storm
    }

    /// Why names that are asked for are not heard, where they should be.
    pub(super) fn names_lost(&self) -> Option<SensorError> {
        self.shared.lock().names_lost.clone()
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
    names: Names,
    reader: Reader,
    budget: Budget,
    next: Next,
}

/// When starts are taken.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// A while after the next one.
    Event,
    /// At this time, whether there are any or not.
    Round(Instant),
    /// Not before this time: there was a storm.
    Muted(Instant),
}

/// What there is to do after a wait.
struct Ready {
    starts: bool,
    folders: bool,
    answers: bool,
    ended: Vec<usize>,
}

impl Ears {
    fn run(mut self) {
        let mut handles: Vec<OwnedFd> = Vec::new();
        loop {
            let ready = self.wait(&handles);
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
            let relays = self.hear_names(ready.answers);
            let news = self.turn(&ready) || installs || relays || !ready.ended.is_empty();
            if news && !self.shared.wake.up() {
                return;
            }
        }
    }

    /// Waits until there is something to hear or to do.
    fn wait(&self, handles: &[OwnedFd]) -> Ready {
        let now = Instant::now();
        let due = match self.next {
            Next::Event => None,
            Next::Round(at) | Next::Muted(at) => Some(at.saturating_duration_since(now)),
        };
        let listened = self.starts.as_ref().filter(|_| due.is_none());
        let due = due.into_iter().chain(self.names.due(now)).min();
        let names = self.names.answers();
        let mut fds = vec![PollFd::new(&self.shared.poke, PollFlags::IN)];
        fds.extend(handles.iter().map(|handle| PollFd::new(handle, PollFlags::IN)));
        fds.extend(self.folders.iter().map(|folders| PollFd::new(folders, PollFlags::IN)));
        fds.extend(names.map(|answers| PollFd::new(answers, PollFlags::IN)));
        fds.extend(listened.map(|starts| PollFd::new(starts, PollFlags::IN)));
        let timeout = due.map(|due| Timespec {
            tv_sec: due.as_secs().cast_signed(),
            tv_nsec: i64::from(due.subsec_nanos()),
        });
        // An interrupted wait is one in which nothing was heard.
        let heard = poll(&mut fds, timeout.as_ref()).is_ok_and(|ready| ready > 0);
        let is_ready = |place: usize| heard && fds.get(place).is_some_and(|fd| !fd.revents().is_empty());
        if is_ready(0) {
            let _ = rustix::io::read(&self.shared.poke, &mut [0; 8]);
        }
        let folders = handles.len() + 1;
        let answers = folders + usize::from(self.folders.is_some());
        let starts = answers + usize::from(names.is_some());
        Ready {
            starts: listened.is_some() && is_ready(starts),
            folders: self.folders.is_some() && is_ready(folders),
            answers: names.is_some() && is_ready(answers),
            ended: (0..handles.len()).filter(|place| is_ready(place + 1)).collect(),
        }
    }

    /// Takes what systemd-resolved answered. Answers whether a relay was asked for, or names are heard no more or again.
    fn hear_names(&mut self, ready: bool) -> bool {
        let now = Instant::now();
        self.names.again(now);
        let heard = if ready { self.names.hear(now) } else { Vec::new() };
        let mut inner = self.shared.lock();
        let catalogue = Arc::clone(&inner.catalogue);
        let mut any = false;
        for answer in heard {
            any |= inner.relays.add(&catalogue, &answer, now);
        }
        inner.hints.relays |= any;
        let changed = inner.names_lost.as_ref() != self.names.lost();
        if changed {
            inner.names_lost = self.names.lost().cloned();
        }
        any || changed
    }

    /// Goes on with what is due. Answers whether the sensor is to look.
    fn turn(&mut self, ready: &Ready) -> bool {
        let now = Instant::now();
        match self.next {
            Next::Event if ready.starts => {
                self.next = Next::Round(now + GATHER);
                false
            }
            Next::Round(at) if now >= at => self.hear(now),
            Next::Muted(at) if now >= at => {
                self.starts.iter().for_each(|starts| starts.mute(false));
                let mut inner = self.shared.lock();
                inner.storm = false;
                inner.hints.untold = true;
                self.next = Next::Round(now + GATHER);
                true
            }
            _ => false,
        }
    }

    /// Takes what started, within the budget. Answers whether the sensor is to look.
    fn hear(&mut self, now: Instant) -> bool {
        let Some(starts) = &self.starts else { return false };
        let mut round = Round::default();
        self.budget.refill(now);
        let all = loop {
            if !self.budget.take() {
                break false;
            }
            match starts.hear() {
                Heard::Silence => break true,
                Heard::Overflow => break false,
                heard => round.add(heard),
            }
        };
        self.next = if round.is_empty() { Next::Event } else { Next::Round(now + ROUND) };
        if !all {
            starts.mute(true);
            self.next = Next::Muted(now + MUTED);
        }
        let catalogue = Arc::clone(&self.shared.lock().catalogue);
        let mut hits = round.look(|pid| match self.reader.look(&catalogue, pid) {
            Looked::Gone => None,
            found => Some(matches!(found, Looked::Tool(_))),
        });
        let news = !hits.is_empty() || !all;
        let mut inner = self.shared.lock();
        inner.hints.started.append(&mut hits);
        inner.storm = !all;
        news
    }
}

fn handle(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}
