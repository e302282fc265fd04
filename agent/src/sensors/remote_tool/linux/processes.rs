//! Processes of the catalogue, read straight from `/proc`, as little as tells: the program's path first (one
//! system call, in which most short-lived processes are already gone), then its name, and the command line only
//! where the catalogue goes by it. A program that is not the system's own is read once, see `renamed.rs`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farmwatch_shared::catalogue::{Catalogue, Os};
use jiff::{SignedDuration, Timestamp};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::super::stock::is_stock;
use super::super::tools::Hit;
use super::renamed::{Place, Renamed};
use super::written;
use crate::sensors::read::{self, ReadError};

/// As much of a command line as is looked at.
const COMMAND_LINE: usize = 4096;
/// Most processes that are looked at.
const MOST: usize = 1 << 16;
/// The kernel counts start times in hundredths of a second towards user space, whatever its own tick is.
const TICKS_PER_SECOND: i64 = 100;
/// `PF_KTHREAD`: a thread of the kernel's own.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// A running process of a tool.
#[derive(Clone, Debug)]
pub(super) struct Process {
    /// Start since boot, in ticks: tells a process from a later one of the same id.
    pub(super) started: u64,
    /// Start, to the minute.
    pub(super) since: Option<Timestamp>,
    /// Whose it is.
    pub(super) hit: Hit,
}

/// What a look at a process found.
#[derive(Debug)]
pub(super) enum Looked {
    /// It runs a tool.
    Tool(Process),
    /// It runs something else.
    Other,
    /// It has ended, or is a thread of the kernel's.
    Gone,
}

/// A process's program.
enum Program {
    At(String),
    /// The agent may not know.
    Hidden,
    Gone,
}

/// Reads processes below one root.
pub(super) struct Reader {
    root: PathBuf,
    /// The root is the running system's.
    live: bool,
    path: PathBuf,
    /// What programs said of themselves; shared with whoever reads the same processes.
    renamed: Arc<Mutex<Renamed>>,
    /// All processes are looked at, and more closely than one that starts.
    all: bool,
    proc: Option<OwnedFd>,
    booted: Option<Timestamp>,
    name: String,
    text: Vec<u8>,
    /// How many programs' paths could be read, and how many not for lack of rights.
    permitted: u32,
    forbidden: u32,
    /// A program has more files open than are looked at.
    stuffed: bool,
}

impl Reader {
    pub(super) fn new(root: &Path, live: bool, renamed: Arc<Mutex<Renamed>>) -> Self {
        let path = root.join("proc");
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = rustix::fs::open(&path, flags, Mode::empty()).ok();
        let booted = booted(&path);
        Self {
            root: root.to_owned(),
            live,
            path,
            renamed,
            all: false,
            proc,
            booted,
            name: String::new(),
            text: Vec::new(),
            permitted: 0,
            forbidden: 0,
            stuffed: false,
        }
    }

    /// What programs said of themselves.
    pub(super) fn renamed(&self) -> MutexGuard<'_, Renamed> {
        self.renamed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ids of all processes, sorted.
    pub(super) fn all(&self) -> Result<Vec<u32>, ReadError> {
        let names = read::names(&self.path, MOST)?;
        let mut pids: Vec<u32> = names.iter().filter_map(|name| name.parse().ok()).collect();
        pids.sort_unstable();
        Ok(pids)
    }

    /// Looks at one process.
    pub(super) fn look(&mut self, catalogue: &Catalogue, pid: u32) -> Looked {
        let program = match self.program(pid) {
            Program::Gone => return Looked::Gone,
            Program::At(path) => Some(path),
            Program::Hidden => None,
        };
        let mut command_line = None;
        let by_program =
            program.as_deref().and_then(|path| self.hit(catalogue, pid, path, &mut command_line));
        let mut hit =
            by_program.or_else(|| self.by_name(catalogue, pid, program.as_deref(), &mut command_line));
        // A copy may go by the name of something harmless.
        if hit.as_ref().is_none_or(|hit| hit.presence)
            && let Some(path) = &program
        {
            hit = self.by_content(catalogue, pid, path).or(hit);
        }
        if hit.is_none() && program.is_some() {
            return Looked::Other;
        }
        let Some(stat) = self.stat(pid) else { return Looked::Gone };
        if stat.kernel_thread {
            return Looked::Other;
        }
        self.forbidden += u32::from(program.is_none());
        let Some(hit) = hit else { return Looked::Other };
        Looked::Tool(Process { started: stat.started, since: self.since(stat.started), hit })
    }

    /// Whose a name or path is. The command line is read once, and only if the catalogue asks for it.
    fn hit(
        &mut self,
        catalogue: &Catalogue,
        pid: u32,
        name: &str,
        command_line: &mut Option<String>,
    ) -> Option<Hit> {
        if command_line.is_none() && catalogue.asks_for_command_line(Os::Linux, name) {
            *command_line = Some(self.read(pid, "cmdline").unwrap_or_default());
        }
        catalogue.by_process(Os::Linux, name, command_line.as_deref()).map(Hit::from)
    }

    /// By the name that the process goes by: a script's own, a link's, that of a program that runs from memory or
    /// whose path is not ours to read.
    fn by_name(
        &mut self,
        catalogue: &Catalogue,
        pid: u32,
        program: Option<&str>,
        command_line: &mut Option<String>,
    ) -> Option<Hit> {
        let name = self.read(pid, "comm")?;
        let name = name.strip_suffix('\n').unwrap_or(&name);
        let same = program.and_then(file_name).is_some_and(|program| program.starts_with(name));
        if same { None } else { self.hit(catalogue, pid, name, command_line) }
    }

    /// By what the program's bytes say, and with a look at all processes by the files that it writes.
    fn by_content(&mut self, catalogue: &Catalogue, pid: u32, path: &str) -> Option<Hit> {
        let stock = is_stock(Os::Linux, path);
        let process = self.path.join(pid.to_string());
        let file = if self.live { process.join("exe") } else { self.root.join(path.trim_start_matches('/')) };
        let place = Place { file: &file, mounts: &process.join("mountinfo"), stock };
        let hit = self.renamed().whose(catalogue, &place);
        if hit.is_some() || stock || !self.all {
            return hit;
        }
        written::by(catalogue, &process).unwrap_or_else(|error| {
            self.missed(&error);
            None
        })
    }

    /// The path of the program that a process runs, and its folder in `/proc`.
    pub(super) fn at(&mut self, pid: u32) -> Option<(String, PathBuf)> {
        match self.program(pid) {
            Program::At(path) => Some((path, self.path.join(pid.to_string()))),
            Program::Hidden | Program::Gone => None,
        }
    }

    /// When a process started, in ticks; `None` if it is gone or only waits to be buried.
    pub(super) fn started(&mut self, pid: u32) -> Option<u64> {
        self.stat(pid).map(|stat| stat.started)
    }

    /// Most programs that were looked at since the last time may not be. One or two protected ones are no lack
    /// of rights.
    pub(super) fn lacks_rights(&mut self) -> bool {
        let (permitted, forbidden) =
            (std::mem::take(&mut self.permitted), std::mem::take(&mut self.forbidden));
        forbidden > permitted
    }

    /// Some of a program's files were not looked at.
    pub(super) fn missed(&mut self, error: &ReadError) {
        self.stuffed |= error.is_stuffed();
    }

    /// How a program hides from being looked into, of those that were looked at since the last time.
    pub(super) fn hidden(&mut self) -> Option<&'static str> {
        let stuffed = std::mem::take(&mut self.stuffed);
        if self.renamed().is_broken() {
            return Some("a running program's ELF header cannot be read, so not all is seen of whose it is");
        }
        stuffed.then_some(
            "a running program has more files open than are looked at: whose it is may not be seen",
        )
    }

    fn stat(&mut self, pid: u32) -> Option<Stat> {
        parse_stat(&self.read(pid, "stat")?)
    }

    /// The path of the program that a process runs.
    fn program(&mut self, pid: u32) -> Program {
        let Some(proc) = self.proc.as_ref() else { return Program::Gone };
        name(&mut self.name, pid, "exe");
        match rustix::fs::readlinkat(proc, self.name.as_str(), std::mem::take(&mut self.text)) {
            Ok(path) => {
                let text = path.to_string_lossy().into_owned();
                self.text = path.into_bytes();
                self.permitted += 1;
                Program::At(text)
            }
            Err(Errno::ACCESS | Errno::PERM) => Program::Hidden,
            // Threads of the kernel's own have no program either.
            Err(_) => Program::Gone,
        }
    }

    /// One read of a file of a process's: the kernel answers in one piece, and what is longer is cut.
    fn read(&mut self, pid: u32, file: &str) -> Option<String> {
        let proc = self.proc.as_ref()?;
        name(&mut self.name, pid, file);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = rustix::fs::openat(proc, self.name.as_str(), flags, Mode::empty()).ok()?;
        self.text.resize(COMMAND_LINE, 0);
        let length = rustix::io::read(&file, self.text.as_mut_slice()).ok()?;
        Some(String::from_utf8_lossy(self.text.get(..length)?).into_owned())
    }

    fn since(&self, ticks: u64) -> Option<Timestamp> {
        let seconds = i64::try_from(ticks).ok()? / TICKS_PER_SECOND;
        let at = self.booted?.checked_add(SignedDuration::from_secs(seconds)).ok()?;
        Timestamp::from_second(at.as_second().div_euclid(60) * 60).ok()
    }
}

/// The tools' processes by id.
#[derive(Default)]
pub(super) struct Table {
    pub(super) found: BTreeMap<u32, Process>,
    /// All ids at the last listing, sorted: what is not among them is new.
    listed: Vec<u32>,
    /// Ids that were new at the last listing: one that forked may only now have become what it is.
    young: Vec<u32>,
}

impl Table {
    /// Looks at every process.
    pub(super) fn scan(&mut self, reader: &mut Reader, catalogue: &Catalogue) -> Result<(), ReadError> {
        self.listed = reader.all()?;
        self.young.clear();
        reader.renamed().before_all();
        reader.all = true;
        let look = |pid: &u32| match reader.look(catalogue, *pid) {
            Looked::Tool(process) => Some((*pid, process)),
            Looked::Other | Looked::Gone => None,
        };
        self.found = self.listed.iter().filter_map(look).collect();
        reader.all = false;
        Ok(())
    }

    /// Looks at what is new since the last listing, and once more at what was new then.
    pub(super) fn poll(&mut self, reader: &mut Reader, catalogue: &Catalogue) -> Result<(), ReadError> {
        let now = reader.all()?;
        let new: Vec<u32> =
            now.iter().filter(|pid| self.listed.binary_search(pid).is_err()).copied().collect();
        for pid in new.iter().chain(&std::mem::take(&mut self.young)) {
            self.look(reader, catalogue, *pid);
        }
        self.young = new;
        self.listed = now;
        Ok(())
    }

    /// Looks at one process.
    pub(super) fn look(&mut self, reader: &mut Reader, catalogue: &Catalogue, pid: u32) {
        match reader.look(catalogue, pid) {
            Looked::Tool(process) => self.found.insert(pid, process),
            Looked::Other | Looked::Gone => self.found.remove(&pid),
        };
    }

    /// Forgets processes that are gone. Answers whether there were any.
    pub(super) fn bury(&mut self, reader: &mut Reader) -> bool {
        let before = self.found.len();
        self.found.retain(|pid, process| reader.started(*pid) == Some(process.started));
        self.found.len() < before
    }
}

struct Stat {
    kernel_thread: bool,
    started: u64,
}

/// `/proc/PID/stat` (proc_pid_stat(5)): the name stands in parentheses and may hold any character.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    if ["Z", "X", "x"].contains(&state) {
        return None;
    }
    let flags: u64 = fields.nth(5)?.parse().ok()?;
    let started = fields.nth(12)?.parse().ok()?;
    Some(Stat { kernel_thread: flags & KERNEL_THREAD != 0, started })
}

fn name(into: &mut String, pid: u32, file: &str) {
    into.clear();
    // Writing to a text cannot fail.
    let _ = write!(into, "{pid}/{file}");
}

fn file_name(path: &str) -> Option<&str> {
    path.rsplit('/').next()
}

fn booted(proc: &Path) -> Option<Timestamp> {
    let stat = read::start(&proc.join("stat"), 1 << 20).ok()?;
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    Timestamp::from_second(seconds.trim().parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAT: &str = "4711 (x11vnc :) S) S 1 4711 4711 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 123456 1 2 3";

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_start() {
        let stat = parse_stat(STAT).unwrap();
        assert_eq!((stat.started, stat.kernel_thread), (123_456, false));
        assert!(parse_stat(&STAT.replace(") S 1", ") Z 1")).is_none(), "dead and not yet buried");
    }

    proptest! {
        #[test]
        fn stat_of_any_kind_never_panics(text in "\\PC{0,200}") {
            let _ = parse_stat(&text);
        }
    }
}
