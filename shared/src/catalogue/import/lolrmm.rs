//! LOLRMM's objects and what is taken of them.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::words::{VENDORS, telling};
use crate::catalogue::{domain, file, glob};

/// One tool.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(super) struct Lolrmm {
    pub(super) name: String,
    category: String,
    install_paths: Vec<String>,
    pe: Vec<Pe>,
    files: Vec<File>,
    registry: Vec<String>,
    services: Vec<String>,
    domains: Vec<String>,
}

#[derive(Deserialize)]
struct Pe {
    #[serde(rename = "Filename", default)]
    name: Option<String>,
}

#[derive(Deserialize)]
struct File {
    path: String,
    #[serde(default)]
    os: String,
}

/// Windows' places for programs and their data, and the variable that stands for each.
const PLACES: [(&str, &str); 18] = [
    (r"c:\program files (x86)\", "%programfiles%"),
    (r"c:\program files\", "%programfiles%"),
    (r"c:\program files*\", "%programfiles%"),
    (r"%programfiles(x86)%\", "%programfiles%"),
    (r"%programfiles%\", "%programfiles%"),
    (r"c:\programdata\", "%programdata%"),
    (r"%programdata%\", "%programdata%"),
    (r"%allusersprofile%\", "%programdata%"),
    (r"c:\users\*\appdata\local\", "%localappdata%"),
    (r"%localappdata%\", "%localappdata%"),
    (r"%userprofile%\appdata\local\", "%localappdata%"),
    (r"c:\users\*\appdata\roaming\", "%appdata%"),
    (r"%appdata%\", "%appdata%"),
    (r"%userprofile%\appdata\roaming\", "%appdata%"),
    (r"c:\windows\", "%windir%"),
    (r"%windir%\", "%windir%"),
    (r"%systemroot%\", "%windir%"),
    (r"c:\", "%systemdrive%"),
];

/// Folders that no tool owns.
const NOBODYS: [&str; 14] = [
    "bin",
    "documents",
    "downloads",
    "drivers",
    "inf",
    "installer",
    "logs",
    "packages",
    "programs",
    "startup",
    "system32",
    "syswow64",
    "temp",
    "users",
];

/// Parts of a domain that are read, not connected to.
const READ_ONLY: [&str; 7] = ["docs.", "forum.", "help.", "support.", "download.", "downloads.", "nightly."];

impl Lolrmm {
    /// The class that is assumed unless ours knows better.
    pub(super) fn class(&self) -> &'static str {
        if self.category == "RMM" { "rmm" } else { "remote_desktop" }
    }

    /// The entries' lines, each once, without options.
    pub(super) fn entries(&self) -> Vec<String> {
        let mut lines = BTreeSet::new();
        let files = self.files.iter().map(|f| (f.path.as_str(), f.os.as_str()));
        let installs = self.install_paths.iter().map(|p| (p.as_str(), ""));
        let names = self.pe.iter().filter_map(|pe| Some((pe.name.as_deref()?, "Windows")));
        for (path, os) in files.chain(installs).chain(names) {
            let path = path.replace(r"\\", r"\");
            let path = path.trim().trim_matches('"');
            if path.len() > 200 || path.contains(['<', '>', '[', ']', ';', '|', '\n']) || path.contains(r"\d")
            {
                continue;
            }
            if path.starts_with(['/', '~']) {
                unix(path, os, &mut lines);
            } else {
                windows(path, &mut lines);
            }
        }
        lines.extend(self.services().map(|name| format!("windows service {name}")));
        lines.extend(self.domains.iter().filter_map(|d| host(d)).map(|d| format!("all domain {d}")));
        without_covered(&lines)
    }

    fn services(&self) -> impl Iterator<Item = String> {
        let key = r"\currentcontrolset\services\";
        let of_registry = self.registry.iter().filter_map(move |path| {
            let at = path.to_lowercase().find(key)?;
            path.get(at + key.len()..)?.split('\\').next().map(str::to_owned)
        });
        let ours = |name: &String| {
            let ascii = name.is_ascii() && !name.contains(['<', '%', ';', '{', '(', '[']);
            ascii && telling(name) && !name.to_lowercase().ends_with(".exe")
        };
        self.services.iter().cloned().chain(of_registry).filter(ours)
    }
}

/// A path or name on Windows: its program, and the folder that it owns.
fn windows(path: &str, lines: &mut BTreeSet<String>) {
    let path = path.trim_end_matches('*');
    let mut parts: Vec<&str> = file::parts(path).collect();
    let Some(base) = parts.pop().filter(|_| !path.ends_with('\\')) else {
        lines.extend(folder(path).map(|f| format!("windows file {f}")));
        return;
    };
    if base.to_lowercase().ends_with(".exe") {
        let stars_after = |n: usize| base.find('*').is_none_or(|at| at >= n);
        let parent = parts.last().filter(|p| !glob::is_glob(p) && !p.contains(['%', ':']) && telling(p));
        if telling(base.split('*').next().unwrap_or(base)) && stars_after(4) {
            lines.insert(format!("windows process {base}"));
        } else if let Some(parent) = parent.filter(|_| !glob::is_glob(base)) {
            lines.insert(format!(r"windows process {parent}\{base}"));
        }
    }
    if !parts.is_empty() {
        lines.extend(folder(path).map(|f| format!("windows file {f}")));
    }
}

/// The folder that a program owns: below one of Windows' places, its first part, or its first two below a
/// company's.
fn folder(path: &str) -> Option<String> {
    let lower = path.to_lowercase();
    let (place, variable) = PLACES.iter().find(|(place, _)| lower.starts_with(place))?;
    let rest = path.get(place.len()..)?;
    let parts: Vec<&str> = file::parts(rest).collect();
    let is_vendor = |part: &str| VENDORS.iter().any(|vendor| part.eq_ignore_ascii_case(vendor));
    let own = if is_vendor(parts.first()?) { 2 } else { 1 };
    // The last part is the file itself.
    if parts.len() <= own && !path.ends_with('\\') {
        return None;
    }
    let own = parts.get(..own)?;
    let last = own.last()?;
    let nobodys = NOBODYS.iter().any(|name| last.eq_ignore_ascii_case(name));
    let fine = !nobodys && !own.iter().any(|part| glob::is_glob(part) || part.contains('%')) && telling(last);
    (fine && !is_vendor(last)).then(|| format!(r"{variable}\{}\", own.join(r"\")))
}

/// A path on Linux or macOS.
fn unix(path: &str, os: &str, lines: &mut BTreeSet<String>) {
    let systems: &[&str] = match os.to_lowercase().as_str() {
        "linux" => &["linux"],
        "linux/macos" => &["linux", "macos"],
        os if os.starts_with("mac") => &["macos"],
        _ => return,
    };
    let logs =
        ["/var/log/", "/tmp/"].iter().any(|p| path.starts_with(p)) || path.to_lowercase().contains("/logs");
    let path = path.trim_end_matches('*');
    if logs || path.starts_with("~/opt") || path.starts_with("/System/") {
        return;
    }
    let base = file::parts(path).last().unwrap_or_default();
    let is_program =
        ["/bin/", "/opt/", "/Contents/MacOS/", "/usr/local/", "/sbin/"].iter().any(|p| path.contains(p))
            && !base.contains('.')
            && !path.ends_with('/');
    for system in systems {
        if let Some(unit) = base.strip_suffix(".service") {
            lines.insert(format!("{system} service {unit}"));
        } else if let Some(label) = base.strip_suffix(".plist") {
            lines.insert(format!("{system} service {label}"));
        } else if file::is_bundle(base) {
            lines.insert(format!("{system} process {base}"));
            if file::anchor(path).is_some() {
                lines.insert(format!("{system} file {path}/"));
            }
            continue;
        } else if is_program && telling(base) && !glob::is_glob(base) {
            lines.insert(format!("{system} process {base}"));
        }
        if file::anchor(path).is_some_and(telling) {
            lines.insert(format!("{system} file {path}"));
        }
    }
}

/// A domain that is worth a look.
fn host(domain: &str) -> Option<String> {
    let host = domain::clean(domain).to_lowercase();
    let plain = host.chars().all(|c| c.is_ascii_alphanumeric() || ".-*".contains(c));
    let address = host.parse::<std::net::IpAddr>().is_ok();
    let read_only = READ_ONLY.iter().any(|part| host.starts_with(part)) || host.ends_with(".softonic.com");
    let host = host.strip_prefix("www.").unwrap_or(&host);
    (plain && !address && !read_only && !host.contains("software.informer") && domain::key(host).is_some())
        .then(|| host.to_owned())
}

/// Leaves out what another entry says already.
fn without_covered(lines: &BTreeSet<String>) -> Vec<String> {
    let once = |line: &String| {
        let lower = line.to_lowercase();
        !lines.iter().take_while(|other| *other != line).any(|other| other.to_lowercase() == lower)
    };
    let fine = |line: &&String| !covered(line, lines.iter().map(String::as_str)) && once(line);
    lines.iter().filter(fine).cloned().collect()
}

/// Another entry says so already: `x.org` beside `*.x.org`, `foo1.exe` beside `foo*.exe`.
pub(super) fn covered<'a>(line: &str, mut others: impl Iterator<Item = &'a str>) -> bool {
    let split = |line: &'a str| line.split_once(" domain ").or_else(|| line.split_once(" process "));
    let Some((os, pattern)) = line.split_once(" domain ").or_else(|| line.split_once(" process ")) else {
        return false;
    };
    let is_domain = line.contains(" domain ");
    others.any(|other| {
        if other == line
            || [" ; args ", " ; hint", " ; presence"].iter().any(|option| other.contains(option))
            || other.contains(" domain ") != is_domain
        {
            return false;
        }
        let Some((other_os, other)) = split(other) else { return false };
        let other = other.split(" ; ").next().unwrap_or(other);
        if is_domain {
            let bare = pattern.trim_start_matches("*.");
            let same = other.trim_start_matches("*.").eq_ignore_ascii_case(bare);
            return if same { other.len() > pattern.len() } else { domain::matches(other, bare) };
        }
        other_os == os
            && glob::is_glob(other)
            && !other.eq_ignore_ascii_case(pattern)
            && glob::matches(other, pattern, true)
    })
}
