//! What is done about processes that start and end: a program is compared with the catalogue at once, its file is left
//! to [`Background`], and the sensor is woken only for a hit.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use farmwatch_shared::catalogue::Catalogue;

use super::super::from_windows::Listed;
use super::super::from_windows::starts::{Attention, Ear, Heard, heard};
use super::Wake;
use super::background::{Background, Job, Of};
use super::processes;
use super::starts::Starts;

/// Listens until it is dropped.
pub(super) struct Events {
    starts: Starts,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    catalogue: Arc<Catalogue>,
    ear: Ear,
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
        let ear = Ear::new(Instant::now());
        let inner = Arc::new(Mutex::new(Inner { catalogue, ear, followed: BTreeSet::new() }));
        let theirs = Arc::clone(&inner);
        let hear = move |id, version, data: &[u8]| {
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
        let again = lock(&self.inner).ear.listens_again(now);
        if again {
            self.starts.resume();
        }
        lock(&self.inner).ear.is_muted()
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
