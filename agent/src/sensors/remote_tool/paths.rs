//! Folders of people, and patterns of paths with stars, within bounds.

use std::path::{Path, PathBuf};

use crate::sensors::read;

/// Most homes that are looked into.
const MOST_HOMES: usize = 64;
/// Most paths that one pattern may lead to.
const MOST_PATHS: usize = 256;

/// Where homes are, and root's own.
#[cfg(not(target_os = "macos"))]
const HOMES: (&str, &str) = ("home", "root");
#[cfg(target_os = "macos")]
const HOMES: (&str, &str) = ("Users", "private/var/root");

/// Homes below a root.
pub(super) fn homes(root: &Path) -> Vec<PathBuf> {
    let folder = root.join(HOMES.0);
    let names = read::names(&folder, read::MANY).unwrap_or_default();
    let no_home = ["lost+found", "Shared", ".localized"];
    let homes = names.into_iter().filter(|name| !no_home.contains(&name.as_str())).take(MOST_HOMES);
    homes.map(|name| folder.join(name)).chain([root.join(HOMES.1)]).collect()
}

/// Existing paths that a pattern leads to: `~` at its start is every home, `*` and `?` stand within one part.
pub(super) fn matching(root: &Path, homes: &[PathBuf], pattern: &str) -> Vec<PathBuf> {
    let (starts, rest) = match pattern.strip_prefix("~/") {
        Some(rest) => (homes.to_vec(), rest),
        None => (vec![root.to_owned()], pattern.trim_start_matches('/')),
    };
    let mut found = starts;
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    for (n, part) in parts.iter().enumerate() {
        // Stats are saved for the whole rest of a pattern without stars.
        if !parts[n..].iter().any(|part| is_glob(part)) {
            let rest: PathBuf = parts[n..].iter().collect();
            found = found.into_iter().map(|path| path.join(&rest)).collect();
            break;
        }
        found = found.into_iter().flat_map(|folder| step(&folder, part)).take(MOST_PATHS).collect();
    }
    found.retain(|path| path.symlink_metadata().is_ok());
    found
}

fn step(folder: &Path, part: &str) -> Vec<PathBuf> {
    if part == ".." {
        return Vec::new();
    }
    if !is_glob(part) {
        return vec![folder.join(part)];
    }
    let names = read::names(folder, read::MANY).unwrap_or_default();
    names.into_iter().filter(|name| matches(part, name)).map(|name| folder.join(name)).collect()
}

fn is_glob(part: &str) -> bool {
    part.contains(['*', '?'])
}

/// One part of a path against a part of a pattern.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                n = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::super::super::test::write;
    use super::*;

    #[test]
    fn stars_and_homes_lead_to_what_is_there_and_nowhere_else() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &[
                ("home/anna/.config/rustdesk/x", ""),
                ("opt/tool-1.2/bin/toold", ""),
                ("opt/other/bin/toold", ""),
            ],
        );
        let homes = homes(root.path());
        let found = |pattern| {
            let paths = matching(root.path(), &homes, pattern);
            paths
                .iter()
                .map(|p| p.strip_prefix(root.path()).unwrap().display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(found("~/.config/rustdesk/"), ["home/anna/.config/rustdesk"]);
        assert_eq!(found("/opt/tool-*/bin/toold"), ["opt/tool-1.2/bin/toold"]);
        assert!(found("/usr/bin/toold").is_empty());
        assert!(found("/opt/*/../../etc/*").is_empty());
    }
}
