//! What was there when the sensors last looked, in one file of the agent's state folder: so that a restart of the agent
//! or of the laptop does not forget since when a thing is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::arrivals::{MOST, There};
use crate::files::{self, Readers};

const FILE: &str = "arrivals.json";
/// Writes that are done at once after a quiet time, and how long it takes until one more may be: a bus that re-enumerates
/// without end would write without end.
const AT_ONCE: u64 = 8;
pub(super) const EACH: Duration = Duration::from_secs(10);

/// All families of the file.
type Families = BTreeMap<String, Looked>;

/// One family's last look.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Looked {
    /// When this was written, by the laptop's clock.
    pub(super) at: Timestamp,
    pub(super) there: BTreeMap<String, There>,
}

/// One family's part of the file.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
    family: &'static str,
    /// What the file holds.
    held: BTreeMap<String, There>,
    /// It is not what is there now.
    owes: bool,
    left: u64,
    filled: Option<Instant>,
}

impl Kept {
    pub(super) fn of(state: &Path, family: &'static str) -> Self {
        let (path, held) = (state.join(FILE), BTreeMap::new());
        Self { path, family, held, owes: false, left: AT_ONCE, filled: None }
    }

    /// What was there; nothing where nothing was kept, or what was kept is not to be read.
    pub(super) fn read(&mut self) -> Looked {
        let mut looked = self.families().remove(self.family).unwrap_or_default();
        if looked.there.len() > MOST {
            looked = Looked::default();
        }
        self.held.clone_from(&looked.there);
        looked
    }

    /// There is something to keep that had to wait.
    pub(super) fn owes(&self) -> bool {
        self.owes
    }

    /// Keeps what is there, if it is other than what is kept and there were not too many writes.
    pub(super) fn write(&mut self, looked: &Looked, now: Instant) {
        self.owes = self.held != looked.there;
        if !self.owes || !self.may_write(now) {
            return;
        }
        self.owes = false;
        let mut families = self.families();
        families.insert(self.family.to_owned(), looked.clone());
        match files::write_json(&self.path, &families, Readers::Agent) {
            Ok(()) => self.held.clone_from(&looked.there),
            Err(error) => tracing::warn!("a restart will forget since when things are there: {error:#}"),
        }
    }

    fn may_write(&mut self, now: Instant) -> bool {
        let filled = *self.filled.get_or_insert(now);
        let more = now.saturating_duration_since(filled).as_secs() / EACH.as_secs();
        if more > 0 {
            self.left = self.left.saturating_add(more).min(AT_ONCE);
            self.filled = Some(now);
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }

    fn families(&self) -> Families {
        let read = files::read_json(&self.path).map(Option::unwrap_or_default);
        read.unwrap_or_else(|error| {
            tracing::warn!("since when things are there begins anew: {error:#}");
            Families::new()
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn looked(second: i64, name: &str) -> Looked {
        let at = Timestamp::from_second(1_790_000_000 + second).unwrap();
        let there = There { identity: vec![json!("1d6b")], since: Some(at) };
        Looked { at, there: [(name.to_owned(), there)].into() }
    }

    #[test]
    fn families_share_a_file_and_none_loses_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let (screens, devices) = (looked(0, "display/DP-1"), looked(5, "usb_device/1-1"));
        Kept::of(folder.path(), "display").write(&screens, Instant::now());
        Kept::of(folder.path(), "usb_device").write(&devices, Instant::now());
        assert_eq!(Kept::of(folder.path(), "display").read(), screens);
        assert_eq!(Kept::of(folder.path(), "usb_device").read(), devices);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_bus_that_re_enumerates_without_end_is_written_now_and_then() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::of(folder.path(), "usb_device");
        let start = Instant::now();
        let inode = || {
            use std::os::unix::fs::MetadataExt as _;
            std::fs::metadata(folder.path().join(FILE)).unwrap().ino()
        };
        let mut files = Vec::new();
        for tenth in 0..250u32 {
            kept.write(&looked(0, &tenth.to_string()), start + Duration::from_millis(100) * tenth);
            files.push(inode());
        }
        files.dedup();
        assert_eq!(files.len(), 10, "in 25 seconds");
        assert!(kept.owes());
    }

    #[test]
    fn a_state_folder_that_takes_nothing_is_no_error() {
        let mut kept = Kept::of(Path::new("/nonexistent"), "display");
        kept.write(&looked(0, "display/DP-1"), Instant::now());
        assert_eq!(kept.read(), Looked::default());
    }

    proptest! {
        #[test]
        fn junk_and_cut_files_begin_anew(junk in prop::collection::vec(any::<u8>(), 0..300), cut in 0usize..200, depth in 0usize..5000) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(FILE);
            let mut kept = Kept::of(folder.path(), "display");
            kept.write(&looked(0, "display/DP-1"), Instant::now());
            let whole = std::fs::read(&path).unwrap();
            let deep = format!("{{\"display\":{}", "[".repeat(depth));
            for bad in [&junk, &whole[..cut.min(whole.len() - 1)], deep.as_bytes()] {
                std::fs::write(&path, bad).unwrap();
                prop_assert_eq!(kept.read(), Looked::default());
            }
        }
    }
}
