//! Renamed and portable copies: programs whose path and name say nothing, known by what their own bytes say (the
//! build that they are, the Go module, a library that only servers need, a text that only this tool has).
//!
//! A file is read once: by device, inode, size and time of change it is remembered as a tool's or as nobody's. How
//! many are read in a while is bounded; one that was left out is read with the next look at all processes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use farmwatch_shared::catalogue::{Catalogue, Match, Os, Proves};
use farmwatch_shared::program::Program;

use super::super::tools::Hit;
use crate::sensors::read;
use crate::system;

/// Most files that are remembered.
const MOST_KNOWN: usize = 1024;
/// Files that are read at once after a quiet time, …
const AT_ONCE: u32 = 32;
/// … one more in each such time, …
const EACH: Duration = Duration::from_millis(250);
/// … and as many with a look at all processes.
const WITH_ALL: u32 = 1024;
/// Of these, so many are left to programs that do not lie where the system keeps its own.
const KEPT_BACK: u32 = AT_ONCE / 2;
/// Texts are sought in programs up to this length, …
const MOST_SOUGHT: u64 = 32 << 20;
/// … in so many bytes at once, and so many more in each such time: a megabyte costs about one millisecond.
const SOUGHT_AT_ONCE: u64 = 64 << 20;
const SOUGHT_EACH: u64 = 128 << 10;
/// Pieces in which they are sought.
const PIECE: usize = 64 << 10;
/// File systems behind which somebody may never answer.
const SLOW: [&str; 8] = ["fuse", "nfs", "cifs", "smb", "9p", "ceph", "afs", "autofs"];

/// A program's file, by what changes with its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

/// Where a process's program is to be read.
pub(super) struct Place<'a> {
    /// Its file.
    pub(super) file: &'a Path,
    /// What the process sees mounted (`/proc/PID/mountinfo`).
    pub(super) mounts: &'a Path,
    /// It lies where the system keeps its own.
    pub(super) stock: bool,
}

/// What was read of a program.
#[derive(Clone, Debug, Default)]
struct Known {
    hit: Option<Hit>,
    /// It says that it is ELF and cannot be read as such.
    broken: bool,
}

/// Programs that were read.
pub(super) struct Renamed {
    /// Which catalogue they were compared with.
    compared: usize,
    known: BTreeMap<Identity, Known>,
    /// Builds of tools that are installed here.
    builds: BTreeMap<String, Hit>,
    /// A program that was looked at since the last look at all says that it is ELF and cannot be read as such.
    broken: bool,
    left: u32,
    /// Bytes in which texts may be sought.
    sought: u64,
    filled: Instant,
}

impl Renamed {
    pub(super) fn new() -> Self {
        let (known, builds) = (BTreeMap::new(), BTreeMap::new());
        let filled = Instant::now();
        Self { compared: 0, known, builds, broken: false, left: AT_ONCE, sought: SOUGHT_AT_ONCE, filled }
    }

    /// Goes by these builds of installed tools from now on.
    pub(super) fn installed(&mut self, builds: BTreeMap<String, Hit>) {
        if self.builds != builds {
            self.builds = builds;
            self.known.clear();
        }
    }

    /// All processes are about to be looked at.
    pub(super) fn before_all(&mut self) {
        self.left = self.left.max(WITH_ALL);
        self.broken = false;
    }

    /// A running program could not be read as the kernel reads it.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whose the program is. Texts are not sought in what lies where the system keeps its own.
    pub(super) fn whose(&mut self, catalogue: &Catalogue, place: &Place<'_>) -> Option<Hit> {
        // Another catalogue is another place in memory, as both are there while one follows the other.
        let compared = std::ptr::from_ref(catalogue) as usize;
        if self.compared != compared || self.known.len() >= MOST_KNOWN {
            self.compared = compared;
            self.known.clear();
        }
        let identity = identity(place.file)?;
        if let Some(known) = self.known.get(&identity) {
            self.broken |= known.broken;
            return known.hit.clone();
        }
        if !self.take(Instant::now(), place.stock) {
            return None;
        }
        let hangs = may_hang(identity.device, place.mounts);
        let known = if hangs { Known::default() } else { self.read(catalogue, place, &identity)? };
        self.broken |= known.broken;
        self.known.insert(identity, known.clone());
        known.hit
    }

    /// What it says; `None` for a file that is to be read another time.
    fn read(&mut self, catalogue: &Catalogue, place: &Place<'_>, identity: &Identity) -> Option<Known> {
        // Its process may be over by now, and the next one's is the same file.
        let mut file = system::open_without_blocking(place.file).ok()?;
        let (program, broken) = match Program::read_elf(Version(&mut file)) {
            Ok(program) => (program, false),
            Err(_) => (Program::default(), is_elf(&mut file)),
        };
        let known = |hit| Some(Known { hit, broken });
        // One that is installed under its own name tells most.
        if let Some(hit) = program.build_id.as_ref().and_then(|id| self.builds.get(id)) {
            return known(Some(hit.clone()));
        }
        let said = catalogue.by_program(Os::Linux, &program);
        let proves_use = |hit: &Match<'_>| hit.proves == Proves::Use;
        if place.stock || said.as_ref().is_some_and(proves_use) {
            return known(said.filter(proves_use).map(Hit::from));
        }
        // A library that servers need tells with the port that it opens, a text of the tool's own by itself.
        let mut marked_as = None;
        if identity.size <= MOST_SOUGHT {
            self.sought = self.sought.checked_sub(identity.size)?;
            marked_as = marked(catalogue, &mut file);
        }
        known(marked_as.or(said).map(Hit::from))
    }

    fn take(&mut self, now: Instant, stock: bool) -> bool {
        let periods = now.saturating_duration_since(self.filled).as_millis() / EACH.as_millis();
        if periods > 0 {
            let more = u32::try_from(periods).unwrap_or(u32::MAX);
            self.left = self.left.max(self.left.saturating_add(more).min(AT_ONCE));
            let bytes = SOUGHT_EACH.saturating_mul(more.into());
            self.sought = self.sought.saturating_add(bytes).min(SOUGHT_AT_ONCE);
            self.filled = now;
        }
        let any = self.left > if stock { KEPT_BACK } else { 0 };
        self.left -= u32::from(any);
        any
    }
}

/// A file of ELF whose header says the one version that there is, whatever it says: the kernel does not look at it.
struct Version<'a>(&'a mut File);

impl io::Read for Version<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const VERSION: u64 = 6;
        let at = self.0.stream_position()?;
        let length = self.0.read(buffer)?;
        let place = VERSION.checked_sub(at).and_then(|place| usize::try_from(place).ok());
        if let Some(version) = place.and_then(|place| buffer.get_mut(..length)?.get_mut(place)) {
            *version = 1;
        }
        Ok(length)
    }
}

impl io::Seek for Version<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

fn is_elf(file: &mut File) -> bool {
    let mut magic = [0; 4];
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_exact(&mut magic));
    read.is_ok() && magic == *b"\x7fELF"
}

/// By what the kernel has of it: a file system that somebody else answers for is not asked.
fn identity(path: &Path) -> Option<Identity> {
    use rustix::fs::{AtFlags, CWD, StatxFlags, makedev, statx};
    let data = statx(CWD, path, AtFlags::STATX_DONT_SYNC, StatxFlags::BASIC_STATS).ok()?;
    Some(Identity {
        device: makedev(data.stx_dev_major, data.stx_dev_minor),
        inode: data.stx_ino,
        size: data.stx_size,
        modified: (data.stx_mtime.tv_sec, data.stx_mtime.tv_nsec.into()),
    })
}

/// The device is a file system whose server may let readers wait forever. Only those without a disk can be.
fn may_hang(device: u64, mounts: &Path) -> bool {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let number = format!("{major}:{minor}");
    major == 0 && read::start(mounts, 1 << 20).is_ok_and(|mounts| is_slow(&mounts, &number))
}

/// `36 35 0:44 / /mnt rw,noatime shared:1 - fuse.sshfs source rw` (proc_pid_mountinfo(5)).
fn is_slow(mounts: &str, device: &str) -> bool {
    mounts.lines().filter(|line| line.split(' ').nth(2) == Some(device)).any(|line| {
        let kind = line.split_once(" - ").and_then(|(_, rest)| rest.split(' ').next()).unwrap_or_default();
        SLOW.iter().any(|slow| kind.starts_with(slow))
    })
}

/// Whose marks stand in a file. One with those of several tools is a list of them: a scanner, this agent.
fn marked<'a>(catalogue: &'a Catalogue, file: &mut File) -> Option<Match<'a>> {
    let marks: Vec<&str> = catalogue.marks(Os::Linux).collect();
    file.seek(SeekFrom::Start(0)).ok()?;
    let found = marks_in(&marks, |piece| file.read(piece));
    let mut hits = found.iter().filter_map(|mark| catalogue.by_mark(Os::Linux, mark));
    let first = hits.next()?;
    hits.all(|hit| hit.tool.id == first.tool.id).then_some(first)
}

/// Marks that stand in what `next` gives, in pieces that overlap by the longest.
fn marks_in<'a>(marks: &[&'a str], mut next: impl FnMut(&mut [u8]) -> io::Result<usize>) -> Vec<&'a str> {
    let mut finders: Vec<_> = marks.iter().map(|mark| (memchr::memmem::Finder::new(*mark), *mark)).collect();
    let longest = marks.iter().map(|mark| mark.len()).max().unwrap_or_default();
    let mut piece = vec![0; PIECE + longest];
    let mut found = Vec::new();
    let (mut kept, mut sought) = (0, 0);
    while sought <= MOST_SOUGHT && !finders.is_empty() {
        let room = piece.get_mut(kept..kept + PIECE).unwrap_or_default();
        let Some(length) = next(room).ok().filter(|length| *length > 0) else { break };
        sought += u64::try_from(length).unwrap_or(u64::MAX);
        let end = kept + length;
        let filled = piece.get(..end).unwrap_or_default();
        finders.retain(|(finder, mark)| {
            let here = finder.find(filled).is_some();
            found.extend(here.then_some(*mark));
            !here
        });
        kept = end.min(longest);
        piece.copy_within(end - kept..end, 0);
    }
    found
}

/// The build of a program on disk that is no longer than programs of tools are: an id that a maker of many programs
/// gives to all of them (Electron's) would name the wrong one.
pub(super) fn build_of(path: &Path) -> Option<String> {
    const LONGEST: u64 = 64 << 20;
    let data = path.metadata().ok().filter(|data| data.is_file() && data.mode() & 0o111 != 0)?;
    if data.len() > LONGEST {
        return None;
    }
    let file = system::open_without_blocking(path).ok()?;
    Program::read_elf(file).ok()?.build_id
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    const MOUNTS: &str = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n36 22 0:44 / /mnt rw shared:1 - fuse.sshfs x rw\n\
                          37 22 0:45 / /tmp rw - tmpfs tmpfs rw\n";

    #[test]
    fn a_copy_is_read_once_and_again_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("helper");
        fs::copy("/usr/bin/env", &path).unwrap();
        let build = build_of(&path).expect("Debian gives its programs a build id");
        let text = format!("farmwatch-catalogue 2\ntool x rmm X\nlinux build-id {build}\n");
        let (other, catalogue) =
            (Catalogue::parse("farmwatch-catalogue 2\n").unwrap(), Catalogue::parse(&text).unwrap());
        let mut renamed = Renamed::new();
        let place = Place { file: &path, mounts: Path::new("/nonexistent"), stock: false };
        assert_eq!(renamed.whose(&other, &place), None);
        assert_eq!(&*renamed.whose(&catalogue, &place).unwrap().tool, "x", "another catalogue is asked anew");
        assert_eq!(renamed.known.len(), 1);
        fs::write(&path, "#!/bin/sh").unwrap();
        assert_eq!(renamed.whose(&catalogue, &place), None);
    }

    #[test]
    fn a_list_of_tools_is_none_of_them() {
        let text = "farmwatch-catalogue 2\ntool x rmm X\nlinux mark mark of tool x\ntool y rmm Y\nlinux mark mark of tool y\n";
        let catalogue = Catalogue::parse(text).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let whose = |content: &str| {
            let path = folder.path().join("file");
            fs::write(&path, content).unwrap();
            marked(&catalogue, &mut File::open(path).unwrap()).map(|hit| hit.tool.id.to_string())
        };
        assert_eq!(whose("... mark of tool x ..."), Some("x".into()));
        assert_eq!(whose("mark of tool y, mark of tool x"), None);
        assert_eq!(whose(""), None);
    }

    #[test]
    fn a_flood_of_new_programs_is_read_in_part() {
        let mut renamed = Renamed::new();
        let start = renamed.filled;
        let taken = (0..1000).filter(|_| renamed.take(start + Duration::from_secs(1), false)).count();
        assert_eq!(taken, 32);
        let later = (0..1000).filter(|_| renamed.take(start + Duration::from_secs(2), false)).count();
        assert_eq!(later, 4);
        renamed.before_all();
        assert!(renamed.take(start + Duration::from_secs(2), true));
    }

    #[test]
    fn the_systems_own_programs_leave_room_for_the_others() {
        let mut renamed = Renamed::new();
        let start = renamed.filled;
        let taken = (0..1000).filter(|_| renamed.take(start, true)).count();
        assert_eq!(taken, 16);
        assert!(renamed.take(start, false) && !renamed.take(start, true));
    }

    #[test]
    fn texts_are_sought_in_so_many_bytes_and_what_is_left_out_is_read_another_time() {
        let folder = tempfile::tempdir().unwrap();
        let catalogue =
            Catalogue::parse("farmwatch-catalogue 2\ntool x rmm X\nlinux mark GNU coreutils\n").unwrap();
        let file = folder.path().join("helper");
        fs::copy("/usr/bin/env", &file).unwrap();
        let place = Place { file: &file, mounts: Path::new("/nonexistent"), stock: false };
        let mut renamed = Renamed { sought: 100, ..Renamed::new() };
        assert_eq!(renamed.whose(&catalogue, &place), None);
        renamed.sought = SOUGHT_AT_ONCE;
        assert_eq!(renamed.whose(&catalogue, &place).map(|hit| hit.tool.to_string()), Some("x".into()));
    }

    /// The kernel runs a program whatever these two bytes of its header say (tested with Linux 6.1 by running one).
    #[test]
    fn a_wrong_byte_in_the_header_hides_no_tool() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("helper");
        let build = build_of(Path::new("/usr/bin/env")).expect("Debian gives its programs a build id");
        let of =
            |line: &str| Catalogue::parse(&format!("farmwatch-catalogue 2\ntool x rmm X\n{line}\n")).unwrap();
        let place = Place { file: &path, mounts: Path::new("/nonexistent"), stock: false };
        let (by_build, by_mark) = (of(&format!("linux build-id {build}")), of("linux mark GNU coreutils"));
        let (version, class) = (6, 4);
        for (byte, value, catalogue, broken) in
            [(version, 0, &by_build, false), (version, 9, &by_mark, false), (class, 7, &by_mark, true)]
        {
            let mut program = fs::read("/usr/bin/env").unwrap();
            program[byte] = value;
            fs::write(&path, program).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            let ran = std::process::Command::new(&path).arg("true").status();
            assert!(ran.is_ok_and(|status| status.success()), "the kernel runs it: byte {byte}");
            let mut renamed = Renamed::new();
            for look in ["first", "again"] {
                let hit = renamed.whose(catalogue, &place).map(|hit| hit.tool.to_string());
                assert_eq!(hit.as_deref(), Some("x"), "byte {byte}, {look}");
                assert_eq!(renamed.is_broken(), broken, "byte {byte}, {look}");
                renamed.before_all();
            }
        }
    }

    #[test]
    fn what_somebody_else_must_answer_for_is_not_read() {
        assert!(is_slow(MOUNTS, "0:44"));
        assert!(!is_slow(MOUNTS, "0:45") && !is_slow(MOUNTS, "8:1") && !is_slow("junk", "0:44"));
    }

    #[test]
    fn a_mark_is_found_where_two_pieces_meet() {
        for before in [0, 5, PIECE - 3, PIECE, PIECE + 20, 2 * PIECE - 1] {
            let mut data = vec![b'x'; before];
            data.extend(b"telling text");
            data.extend([b'y'; 9]);
            let mut at = 0;
            let next = |piece: &mut [u8]| {
                let length = piece.len().min(data.len() - at);
                piece[..length].copy_from_slice(&data[at..at + length]);
                at += length;
                Ok(length)
            };
            assert_eq!(marks_in(&["no such text", "telling text"], next), ["telling text"], "{before}");
        }
    }

    proptest! {
        #[test]
        fn mounts_of_any_kind_never_panic(text in "\\PC{0,300}", device in "\\PC{0,9}") {
            let _ = is_slow(&text, &device);
        }
    }
}
