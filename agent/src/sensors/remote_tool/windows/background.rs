//! Reads programs' files in a thread of its own, one after the other: a disk that is slow or far away holds up no
//! sensor.

use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farmwatch_shared::catalogue::Catalogue;
use farmwatch_shared::facts::SeenBy;

use super::super::tools::Hit;
use super::Wake;
use super::programs::Programs;

/// Most files that wait. What finds no room is asked for again at the next look at what is installed.
const MOST_WAITING: usize = 1024;
/// Most hits that wait to be taken.
const MOST_FOUND: usize = 256;

/// Whose file it is.
#[derive(Clone, Debug)]
pub(super) enum Of {
    /// A running process's.
    Process { pid: u32, started: i64 },
    /// Something installed.
    Installed(SeenBy),
}

/// A file to read.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) of: Of,
    pub(super) path: String,
    pub(super) command_line: Option<String>,
}

/// A file that is a tool's.
pub(super) struct Found {
    pub(super) of: Of,
    pub(super) path: String,
    pub(super) hit: Hit,
}

/// Asks the thread. The thread ends with the last of these.
#[derive(Clone)]
pub(super) struct Background {
    jobs: SyncSender<Job>,
    shared: Arc<Shared>,
}

struct Shared {
    catalogue: Mutex<Arc<Catalogue>>,
    found: Mutex<Vec<Found>>,
}

impl Background {
    /// Starts the thread; `None` if the system gives none.
    pub(super) fn start(catalogue: Arc<Catalogue>, wake: Wake) -> Option<Self> {
        let (jobs, waiting) = mpsc::sync_channel::<Job>(MOST_WAITING);
        let shared = Arc::new(Shared { catalogue: Mutex::new(catalogue), found: Mutex::new(Vec::new()) });
        let theirs = Arc::clone(&shared);
        let work = move || {
            let mut programs = Programs::default();
            while let Ok(Job { of, path, command_line }) = waiting.recv() {
                let catalogue = Arc::clone(&lock(&theirs.catalogue));
                let Some(hit) = programs.whose(&catalogue, &path, command_line.as_deref()) else { continue };
                let mut found = lock(&theirs.found);
                if found.len() < MOST_FOUND {
                    found.push(Found { of, path, hit });
                }
                drop(found);
                wake.up();
            }
        };
        std::thread::Builder::new().name("programs".into()).stack_size(256 << 10).spawn(work).ok()?;
        Some(Self { jobs, shared })
    }

    /// Asks for a file; never blocks.
    pub(super) fn ask(&self, job: Job) {
        let _ = self.jobs.try_send(job);
    }

    /// What was found since the last time.
    pub(super) fn take(&self) -> Vec<Found> {
        std::mem::take(&mut lock(&self.shared.found))
    }

    /// Goes by another catalogue from now on.
    pub(super) fn renew(&self, catalogue: Arc<Catalogue>) {
        *lock(&self.shared.catalogue) = catalogue;
        lock(&self.shared.found).clear();
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
