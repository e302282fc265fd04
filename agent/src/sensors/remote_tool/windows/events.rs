//! What is done about processes that start and end: a program is compared with the catalogue at once, its file is left
//! to [`Background`], and the sensor is woken only for a hit. Names that were asked for are kept if they are relays'.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use farmwatch_shared::catalogue::Catalogue;

use super::super::from_windows::starts::{Attention, Ear, Heard, heard};
use super::super::from_windows::{Listed, Socket, connected_to, names};
use super::super::relays::Relays;
use super::super::tools::Hit;
use super::Wake;
use super::background::{Background, Job, Of};
use super::processes;
use super::starts::{Starts, Teller};

/// Listens until it is dropped.
pub(super) struct Events {
    starts: Starts,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    catalogue: Arc<Catalogue>,
    ear: Ear,
    /// For names.
    other_ear: Ear,
    relays: Relays,
    /// A relay was asked for since the last time.
    asked: bool,
    /// Processes of tools: their end is news.
    followed: BTreeSet<u32>,
}

impl Events {
    /// Begins to listen. The error says why Windows does not tell of starts.
    pub(super) fn start(
        catalogue: Arc<Catalogue>,
        background: Background,
        wake: Wake,
    ) -> Result<Self, String> {
        let now = Instant::now();
        let (ear, other_ear, relays) = (Ear::new(now), Ear::new(now), Relays::default());
        let inner = Inner { catalogue, ear, other_ear, relays, asked: false, followed: BTreeSet::new() };
        let inner = Arc::new(Mutex::new(inner));
        let theirs = Arc::clone(&inner);
        let hear = move |teller: Teller, id, version, data: &[u8]| {
            if teller == Teller::Resolver {
                let (on, news) = lock(&theirs).hear_name(id, data);
                if news {
                    wake.up();
                }
                return on;
            }
            let attention = lock(&theirs).ear.hear(Instant::now());
            let news = match (attention, heard(id, version, data)) {
                (Attention::Mute, _) => true,
                (Attention::Look, Some(Heard::Started(process))) => {
                    let catalogue = Arc::clone(&lock(&theirs).catalogue);
                    is_tool(&catalogue, &background, &process)
                }
                (Attention::Look, Some(Heard::Ended(pid))) => lock(&theirs).followed.contains(&pid),
                _ => false,
            };
            if news {
                wake.up();
            }
            attention != Attention::Mute
        };
        Ok(Self { starts: Starts::listen(Box::new(hear))?, inner })
    }

    /// The session goes on; somebody may have stopped it.
    pub(super) fn lives(&self) -> bool {
        self.starts.lives()
    }

    /// More processes start than are looked at. Asks Windows to tell again when that may be over.
    pub(super) fn in_storm(&self, now: Instant) -> bool {
        let mut inner = lock(&self.inner);
        if inner.ear.listens_again(now) {
            self.starts.resume(Teller::Kernel);
        }
        if inner.other_ear.listens_again(now) {
            self.starts.resume(Teller::Resolver);
        }
        inner.ear.is_muted()
    }

    /// Whether a relay was asked for since the last time.
    pub(super) fn relay_was_asked_for(&self) -> bool {
        std::mem::take(&mut lock(&self.inner).asked)
    }

    /// Tools to whose relays a program is connected.
    pub(super) fn connected(&self, sockets: &[Socket]) -> Vec<Hit> {
        connected_to(&lock(&self.inner).relays, sockets, processes::path)
    }

    /// The end of these processes is news from now on.
    pub(super) fn follow(&self, processes: BTreeSet<u32>) {
        lock(&self.inner).followed = processes;
    }

    /// Goes by another catalogue from now on.
    pub(super) fn renew(&self, catalogue: Arc<Catalogue>) {
        lock(&self.inner).catalogue = catalogue;
    }
}

impl Inner {
    /// Answers whether to go on, and whether it was a relay's name.
    fn hear_name(&mut self, id: u16, data: &[u8]) -> (bool, bool) {
        let now = Instant::now();
        let attention = self.other_ear.hear(now);
        let answer = if attention == Attention::Look { names::answer(id, data) } else { None };
        let catalogue = Arc::clone(&self.catalogue);
        let news = answer.is_some_and(|answer| self.relays.add(&catalogue, &answer, now));
        self.asked |= news;
        (attention != Attention::Mute, news)
    }
}

/// Whether a process that started is a tool's by its name; else its file is read later.
fn is_tool(catalogue: &Catalogue, background: &Background, process: &Listed) -> bool {
    let seen = processes::look(process);
    if seen.by_name(catalogue).is_some() {
        return true;
    }
    if let Some(path) = seen.path {
        let of = Of::Process { pid: process.pid, started: process.started };
        background.ask(Job { of, path, command_line: seen.command_line });
    }
    false
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}
