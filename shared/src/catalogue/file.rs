//! Files and folders that tools install.
//!
//! A pattern is a path whose first part may be a placeholder that differs from laptop to laptop: `~`, or one of
//! Windows' variables as `%programfiles%`. A final slash stands for a folder and all below.

use super::glob;

/// Folder names that say nothing about a tool.
const COMMON: [&str; 44] = [
    "app",
    "application support",
    "applications",
    "appdata",
    "autostart",
    "bin",
    "cache",
    "common files",
    "config",
    "contents",
    "cron.d",
    "data",
    "desktop",
    "downloads",
    "etc",
    "home",
    "init.d",
    "launchagents",
    "launchdaemons",
    "lib",
    "lib64",
    "libexec",
    "library",
    "local",
    "log",
    "logs",
    "macos",
    "microsoft",
    "opt",
    "program files",
    "program files (x86)",
    "programdata",
    "programs",
    "roaming",
    "sbin",
    "share",
    "system",
    "system32",
    "systemd",
    "temp",
    "tmp",
    "user",
    "usr",
    "windows",
];

/// The deepest part of a pattern without stars that says something: the key by which it is found.
pub(super) fn anchor(pattern: &str) -> Option<&str> {
    let telling = |part: &&str| {
        !part.is_empty()
            && !glob::is_glob(part)
            && !part.starts_with(['%', '~'])
            && !part.ends_with(':')
            && !COMMON.iter().any(|common| part.eq_ignore_ascii_case(common))
    };
    parts(pattern).filter(telling).last()
}

/// The parts between slashes.
pub(super) fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split(['/', '\\']).filter(|part| !part.is_empty())
}

/// The part is a macOS application's folder.
pub(super) fn is_bundle(part: &str) -> bool {
    part.rsplit_once('.').is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("app"))
}

/// Is the path the pattern's file, its folder or below it?
pub(super) fn matches(pattern: &str, path: &str, fold: bool) -> bool {
    let folder = pattern.ends_with(['/', '\\']);
    let pattern = pattern.trim_end_matches(['/', '\\']);
    let floating = pattern.starts_with(['%', '~']) || !pattern.starts_with(['/', '\\', '*', '?']);
    let pattern = match pattern.split_once(['/', '\\']) {
        Some((_, rest)) if pattern.starts_with(['%', '~']) => rest,
        _ => pattern,
    };
    let pattern = if floating { format!("*/{pattern}") } else { pattern.to_owned() };
    let path = path.trim_end_matches(['/', '\\']);
    let rooted = if path.starts_with(['/', '\\']) { path.to_owned() } else { format!("/{path}") };
    let path = if floating { rooted.as_str() } else { path };
    glob::matches(&pattern, path, fold) || (folder && glob::matches(&format!("{pattern}/*"), path, fold))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_all_below_it_wherever_the_laptop_keeps_programs() {
        let folder = r"%programfiles%\RemotePC\";
        assert!(matches(folder, r"C:\Program Files (x86)\remotepc\RemotePCUIU.exe", true));
        assert!(matches(folder, r"D:\Apps\RemotePC", true));
        assert!(!matches(folder, r"C:\Program Files\RemotePC2\x.exe", true));
        assert!(matches("/opt/teamviewer/", "/opt/teamviewer/tv_bin/teamviewerd", false));
        assert!(!matches("/opt/teamviewer/", "/home/x/opt/teamviewer/notes", false));
        assert!(matches("~/.config/rustdesk/", "/home/anna/.config/rustdesk/RustDesk.toml", false));
    }

    #[test]
    fn folders_that_every_system_has_are_no_key() {
        assert_eq!(anchor(r"%programfiles%\RemotePC\*"), Some("RemotePC"));
        assert_eq!(anchor(r"C:\Windows\System32\*"), None);
        assert_eq!(anchor("/usr/local/bin/*"), None);
    }
}
