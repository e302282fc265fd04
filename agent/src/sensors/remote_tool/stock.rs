//! What is known of a program by where it lies and by who answers for it, on each system. Pure.

use farmwatch_shared::catalogue::{Catalogue, Os, Proves};

use super::ports::Standing;

/// Folders of the system and its package managers. Programs there are many and seldom a renamed tool.
const LINUX: [&str; 12] = [
    "/usr/bin/",
    "/usr/sbin/",
    "/usr/lib",
    "/usr/share/",
    "/usr/games/",
    "/bin/",
    "/sbin/",
    "/lib",
    "/snap/",
    "/app/",
    "/nix/store/",
    "/gnu/store/",
];
/// Below the drive, in small letters: Windows' own and the Store's. Whoever installs a program for all people puts it into
/// `Program Files`, tools as well as others.
const WINDOWS: [&str; 5] = [
    r"\windows\system32\",
    r"\windows\syswow64\",
    r"\windows\systemapps\",
    r"\windows\winsxs\",
    r"\program files\windowsapps\",
];
const MACOS: [&str; 11] = [
    "/System/",
    "/Library/Apple/",
    "/usr/bin/",
    "/usr/sbin/",
    "/usr/libexec/",
    "/bin/",
    "/sbin/",
    "/opt/homebrew/Cellar/",
    "/usr/local/Cellar/",
    "/opt/local/",
    "/nix/store/",
];

/// The program lies where the system or a package manager keeps its own.
pub(super) fn is_stock(os: Os, path: &str) -> bool {
    let below = |folders: &[&str], path: &str| folders.iter().any(|folder| path.starts_with(folder));
    match os {
        Os::Linux => below(&LINUX, path),
        Os::Windows => below(&WINDOWS, &path.get(2..).unwrap_or_default().to_ascii_lowercase()),
        Os::Macos => below(&MACOS, path),
    }
}

/// What is known of the program of a process. One whose path the system keeps to itself is its own; `vouched` says that
/// the system has checked who signed it. A likeness to a tool makes nothing known.
pub(super) fn standing(catalogue: &Catalogue, os: Os, path: Option<&str>, vouched: bool) -> Standing {
    let Some(path) = path else { return Standing::Stock };
    let hit = catalogue.by_process(os, path, None);
    if hit.is_some_and(|hit| hit.proves != Proves::Hint) {
        Standing::Known
    } else if vouched || is_stock(os, path) {
        Standing::Stock
    } else {
        Standing::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_own_a_package_managers_and_a_known_program_are_told_from_others() {
        let catalogue = Catalogue::shipped();
        for (os, path, vouched, expected) in [
            (Os::Linux, "/usr/bin/python3.13", false, Standing::Stock),
            (Os::Linux, "/usr/bin/nc (deleted)", false, Standing::Stock),
            (Os::Linux, "/usr/local/bin/helper", false, Standing::Unknown),
            (Os::Linux, "/memfd:helper (deleted)", false, Standing::Unknown),
            (Os::Linux, "/opt/teamviewer/tv_bin/teamviewerd", false, Standing::Known),
            (Os::Windows, r"C:\Windows\System32\svchost.exe", false, Standing::Stock),
            (Os::Windows, r"D:\program files\WindowsApps\Some.App_1\app.exe", false, Standing::Stock),
            (Os::Windows, r"C:\Windows\Temp\svchost.exe", false, Standing::Unknown),
            (Os::Windows, r"C:\Program Files\Printing\helper.exe", false, Standing::Unknown),
            (Os::Windows, r"C:\Users\anna\Downloads\TeamViewer.exe", false, Standing::Known),
            (Os::Windows, r"C:\Users\anna\level.exe", false, Standing::Unknown),
            (Os::Macos, "/usr/libexec/rapportd", false, Standing::Stock),
            (Os::Macos, "/opt/homebrew/Cellar/nginx/1.29/bin/nginx", false, Standing::Stock),
            (Os::Macos, "/usr/local/bin/helper", false, Standing::Unknown),
            (Os::Macos, "/Applications/Notes 2.app/Contents/MacOS/Notes", true, Standing::Stock),
            (Os::Macos, "/Users/anna/AnyDesk.app/Contents/MacOS/AnyDesk", true, Standing::Known),
        ] {
            assert_eq!(standing(&catalogue, os, Some(path), vouched), expected, "{path}");
        }
        assert_eq!(standing(&catalogue, Os::Windows, None, false), Standing::Stock, "protected");
        assert_eq!(standing(&catalogue, Os::Windows, Some("ä"), false), Standing::Unknown);
    }
}
