//! A program known by the files that it holds open to write: settings and logs of a tool, whatever its own name.

use std::path::Path;

use farmwatch_shared::catalogue::{Catalogue, Os, Proves};

use super::super::tools::Hit;
use crate::sensors::read::{self, ReadError};

/// Most open files of one process that are looked at; a browser has some 1,000.
const MOST: usize = 4096;
/// Bits of a file's flags that say for what it is open, in octal as the kernel writes them; 0 is for reading.
const ACCESS: u32 = 0o3;

/// Whose files a process writes. `process` is its folder in `/proc`.
pub(super) fn by(catalogue: &Catalogue, process: &Path) -> Result<Option<Hit>, ReadError> {
    let names = read::names(&process.join("fd"), MOST)?;
    let hit = names.iter().find_map(|name| {
        let path = read::link(&process.join("fd").join(name)).ok()?;
        let path = path.to_str().filter(|path| path.starts_with('/') && !path.starts_with("/dev/"))?;
        let hit = catalogue.by_file(Os::Linux, path).filter(|hit| hit.proves == Proves::Use)?;
        let flags = read::start(&process.join("fdinfo").join(name), 4096).ok()?;
        let hit = Hit::from(hit);
        writes(&flags).then(|| Hit { what: format!("program that writes {}", hit.what), ..hit })
    });
    Ok(hit)
}

/// `flags:  02100002` (proc_pid_fdinfo(5)).
fn writes(text: &str) -> bool {
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).is_some_and(|flags| flags & ACCESS != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::super::super::super::test::write;
    use super::*;

    #[test]
    fn who_writes_a_tools_settings_is_that_tool_and_who_reads_them_is_not() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &[
                ("9/fdinfo/4", "pos:\t0\nflags:\t02100002\n"),
                ("8/fdinfo/4", "flags:\t0100000\n"),
                ("9/fd/0", ""),
                ("8/fd/0", ""),
            ],
        );
        for pid in ["8", "9"] {
            symlink("/home/anna/.config/rustdesk/RustDesk2.toml", root.path().join(pid).join("fd/4"))
                .unwrap();
        }
        let catalogue = Catalogue::shipped();
        let hit = by(&catalogue, &root.path().join("9")).unwrap().unwrap();
        assert_eq!((&*hit.tool, &*hit.what), ("rustdesk", "program that writes ~/.config/rustdesk/"));
        assert_eq!(by(&catalogue, &root.path().join("8")), Ok(None));
        let open =
            |n: usize| std::fs::File::create(root.path().join(format!("9/fd/1{n:04}"))).map(drop).unwrap();
        (0..MOST - 2).for_each(open);
        assert!(by(&catalogue, &root.path().join("9")).unwrap().is_some());
        open(MOST);
        assert!(by(&catalogue, &root.path().join("9")).unwrap_err().is_stuffed(), "more than are looked at");
        assert!(!writes("flags:\tjunk") && !writes(""));
    }

    proptest! {
        #[test]
        fn flags_of_any_kind_never_panic_and_only_a_number_writes(text in "(flags:)?\\PC{0,60}", flags: u32) {
            let number = text.strip_prefix("flags:").and_then(|rest| u32::from_str_radix(rest.trim(), 8).ok());
            prop_assert_eq!(writes(&text), number.is_some_and(|flags| flags & 3 != 0));
            prop_assert_eq!(writes(&format!("pos:\t0\nflags:\t0{flags:o}\nmnt_id:\t29\n")), flags & 3 != 0);
        }
    }
}
