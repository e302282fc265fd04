//! Reports that the collector will never take, put aside for whoever looks into it.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

/// The file in the state folder.
pub const FILE: &str = "refused.ndjson";
/// What was put aside before that.
const BEFORE: &str = "refused.before.ndjson";
/// A file of more bytes is begun anew: a fault that lasts must not fill the disk.
const MOST: u64 = 1 << 20;

/// Adds a line. The file and the one before it hold a mebibyte each, or a single line that is longer.
pub fn put(state: &Path, mut line: String) -> io::Result<()> {
    let path = state.join(FILE);
    line.push('\n');
    let size = path.metadata().map_or(0, |about| about.len());
    if size > 0 && size + line.len() as u64 > MOST {
        std::fs::rename(&path, state.join(BEFORE))?;
    }
    OpenOptions::new().create(true).append(true).open(path)?.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_aside_stays_small_and_the_newest_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let line = |n: usize| format!("{n:05}{}", "x".repeat(10_000));
        for n in 0..500 {
            put(folder.path(), line(n)).unwrap();
        }
        let kept = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(kept.ends_with(&(line(499) + "\n")));
        let before = std::fs::read_to_string(folder.path().join(BEFORE)).unwrap();
        let next = format!("{}", kept.lines().next().unwrap()[..5].parse::<usize>().unwrap() - 1);
        assert!(before.lines().last().unwrap().contains(&next), "nothing between them is lost");
        assert!((kept.len() + before.len()) as u64 <= 2 * MOST);
        put(folder.path(), "y".repeat(3 << 20)).unwrap();
        put(folder.path(), "z".into()).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join(FILE)).unwrap(), "z\n");
    }
}
