//! What an operating system calls a running program, brought down to what the catalogue names.

use super::Os;

/// Programs that run another program: the first argument that is no option names it.
const WRAPPERS: [&str; 30] = [
    "ash",
    "bash",
    "box64",
    "busybox",
    "bun",
    "dash",
    "deno",
    "dotnet",
    "electron",
    "env",
    "java",
    "javaw",
    "ksh",
    "ld-linux-x86-64.so.2",
    "mono",
    "node",
    "nodejs",
    "nohup",
    "perl",
    "php",
    "proot",
    "python",
    "pythonw",
    "ruby",
    "setsid",
    "sh",
    "sudo",
    "wine",
    "wine64",
    "zsh",
];

/// Longest part of a command line that is looked at.
const MOST_ARGUMENTS: usize = 64;

/// A program's path without what the system adds to it: ` (deleted)` on Linux, quotes, `\??\` on Windows.
pub(super) fn clean(os: Os, path: &str) -> &str {
    let path = path.trim().trim_matches('"');
    match os {
        Os::Linux => path.strip_suffix(" (deleted)").unwrap_or(path),
        Os::Windows => path.strip_prefix(r"\??\").or_else(|| path.strip_prefix(r"\\?\")).unwrap_or(path),
        Os::Macos => path,
    }
}

/// The part after the last slash. A backslash is one on Windows only.
pub(super) fn base(os: Os, path: &str) -> &str {
    let path = path.trim_end_matches('/');
    let last = match os {
        Os::Windows => path.rsplit(['/', '\\']).next(),
        Os::Linux | Os::Macos => path.rsplit('/').next(),
    };
    last.unwrap_or(path)
}

/// Other names a file may go by: a browser's second download `Tool (1).exe`, a name without its `.exe`.
pub(super) fn other_name(os: Os, base: &str) -> Option<String> {
    if os != Os::Windows {
        return None;
    }
    let (stem, extension) = base.rsplit_once('.').unwrap_or((base, ""));
    if !["exe", "com", "msi", "scr"].iter().any(|e| extension.eq_ignore_ascii_case(e)) {
        return Some(format!("{base}.exe"));
    }
    let stem = stem.strip_suffix(" - Copy").unwrap_or(stem);
    let copy = stem.strip_suffix(')').and_then(|s| s.rsplit_once('('));
    let stem = match copy {
        Some((before, digits)) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            before.trim_end()
        }
        _ => stem,
    };
    let name = format!("{stem}.{extension}");
    (name != base).then_some(name)
}

/// The words of a command line after the program's own. NUL, as the kernel separates them, or white space.
pub(super) fn arguments(command_line: &str) -> impl Iterator<Item = &str> {
    let separator = |c: char| if command_line.contains('\0') { c == '\0' } else { c.is_whitespace() };
    let rest = after_program(command_line);
    rest.split(separator)
        .map(|word| word.trim_matches('"'))
        .filter(|word| !word.is_empty())
        .take(MOST_ARGUMENTS)
}

/// What follows the program's own name, which Windows quotes if it has spaces.
fn after_program(command_line: &str) -> &str {
    let trimmed = command_line.trim_start();
    if let Some(quoted) = trimmed.strip_prefix('"') {
        return quoted.split_once('"').map_or("", |(_, rest)| rest);
    }
    match trimmed.split_once(|c: char| c == '\0' || c.is_whitespace()) {
        Some((_, rest)) => rest,
        None => "",
    }
}

/// Whether a program of this name runs another that its command line names.
pub(super) fn is_wrapper(base: &str) -> bool {
    let lower = base.to_ascii_lowercase();
    let stem = lower.strip_suffix(".exe").unwrap_or(&lower);
    // python3, python3.13, ruby3.3
    let stem = stem.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    WRAPPERS.iter().any(|name| *name == stem || *name == lower)
}

/// The program that a wrapper runs: `python3 /usr/bin/x11vnc`, `java -jar tool.jar`, `env A=b tool`.
pub(super) fn wrapped<'a>(os: Os, base: &str, command_line: &'a str) -> Option<&'a str> {
    if !is_wrapper(base) {
        return None;
    }
    // An option's own value (`sudo -u name`) is taken for the program at worst, and then matches nothing.
    let is_program = |word: &&str| !word.starts_with('-') && !word.contains('=');
    arguments(command_line).take(8).find(is_program).map(|path| clean(os, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapper_names_its_program_by_its_first_argument() {
        assert_eq!(wrapped(Os::Linux, "python3.13", "python3 -u /usr/bin/novnc"), Some("/usr/bin/novnc"));
        assert_eq!(
            wrapped(Os::Linux, "perl", "/usr/bin/perl\0/usr/bin/vncserver\0:1"),
            Some("/usr/bin/vncserver")
        );
        assert_eq!(wrapped(Os::Windows, "java.exe", r#""C:\a b\java.exe" -jar "x.jar""#), Some("x.jar"));
        assert_eq!(wrapped(Os::Linux, "vim", "vim /usr/bin/vncserver"), None);
    }

    #[test]
    fn a_second_download_goes_by_its_first_name() {
        assert_eq!(other_name(Os::Windows, "AnyDesk (1).exe").as_deref(), Some("AnyDesk.exe"));
        assert_eq!(other_name(Os::Windows, "AnyDesk").as_deref(), Some("AnyDesk.exe"));
        assert_eq!(other_name(Os::Windows, "AnyDesk.exe"), None);
        assert_eq!(other_name(Os::Linux, "anydesk (1).exe"), None);
    }
}
