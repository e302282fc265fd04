//! Where Windows keeps what the catalogue names: files behind variables, keys of the registry, programs of services.
//! Pure.

use std::collections::BTreeMap;

/// The paths that a pattern of the catalogue stands for, by the values of Windows' variables; each variable may
/// have several (`%appdata%` has one for each person). Patterns with stars stand for the folder before them.
pub(in super::super) fn paths(pattern: &str, variables: &BTreeMap<&str, Vec<String>>) -> Vec<String> {
    let parts: Vec<&str> = pattern.split(['/', '\\']).filter(|part| !part.is_empty()).collect();
    let Some((first, rest)) = parts.split_first() else { return Vec::new() };
    let starts = starts(first, variables);
    let plain = |part: &&&str| !part.contains(['*', '?']) && **part != "..";
    let kept: Vec<&str> = rest.iter().take_while(plain).copied().collect();
    // A star within a path, not at its end, says more than the folder before it does.
    if kept.is_empty() || rest.len() > kept.len() + 1 {
        return Vec::new();
    }
    starts.iter().map(|start| format!("{}\\{}", start.trim_end_matches('\\'), kept.join("\\"))).collect()
}

/// What a path's first part stands for.
fn starts(first: &str, variables: &BTreeMap<&str, Vec<String>>) -> Vec<String> {
    match first.to_ascii_lowercase().as_str() {
        "~" => variables.get("%userprofile%").cloned().unwrap_or_default(),
        variable if variable.starts_with('%') => variables.get(variable).cloned().unwrap_or_default(),
        drive if drive.ends_with(':') => vec![first.to_owned()],
        _ => Vec::new(),
    }
}

/// Every path that a pattern stands for, its stars included; `names` lists a folder. At most 64.
pub(in super::super) fn expanded(
    pattern: &str,
    variables: &BTreeMap<&str, Vec<String>>,
    names: impl Fn(&str) -> Vec<String>,
) -> Vec<String> {
    const MOST: usize = 64;
    let mut parts = pattern.split(['/', '\\']).filter(|part| !part.is_empty());
    let mut found = parts.next().map(|first| starts(first, variables)).unwrap_or_default();
    for part in parts {
        let below = |folder: &String| -> Vec<String> {
            let next = match part {
                ".." => Vec::new(),
                part if part.contains('*') => {
                    names(folder).into_iter().filter(|name| fits(part, name)).collect()
                }
                part => vec![part.to_owned()],
            };
            next.iter().map(|name| format!("{}\\{name}", folder.trim_end_matches('\\'))).collect()
        };
        found = found.iter().flat_map(below).take(MOST).collect();
    }
    found
}

/// Whether a name is what one part of a pattern stands for: a star is any text, and case does not matter.
pub(in super::super) fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_lowercase(), name.to_lowercase());
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some((_, after)) = left.split_once(piece) else { return false };
        left = after;
    }
    left.ends_with(last)
}

/// The program of a command: quoted, or up to `.exe`.
pub(in super::super) fn program_of(command: &str) -> &str {
    let command = command.trim();
    if let Some(quoted) = command.strip_prefix('"') {
        return quoted.split('"').next().unwrap_or_default();
    }
    let end = command.to_ascii_lowercase().find(".exe").map(|at| at + 4);
    end.map_or(command, |end| &command[..end])
}

/// The file of a program as services and lists of programs name it: `\SystemRoot\x.exe`, `\??\C:\x.exe`,
/// `system32\x.exe`, `%ProgramFiles%\x.exe`, `C:\x.exe,0`. `None` for what is on no drive of this machine.
pub(in super::super) fn file_of(program: &str, variables: &BTreeMap<&str, Vec<String>>) -> Option<String> {
    let icon = program.rsplit_once(',').filter(|(_, number)| number.trim().parse::<i32>().is_ok());
    let program = icon.map_or(program, |(program, _)| program).trim().trim_matches('"');
    let program = program.strip_prefix(r"\??\").unwrap_or(program);
    if !program.to_ascii_lowercase().ends_with(".exe") || program.starts_with(r"\\") {
        return None;
    }
    let (first, rest) = program.trim_start_matches('\\').split_once('\\')?;
    let windows = || variables.get("%systemroot%")?.first();
    let start = match first.to_ascii_lowercase().as_str() {
        drive if drive.len() == 2 && drive.ends_with(':') => first.to_owned(),
        "systemroot" => windows()?.clone(),
        "system32" | "syswow64" => format!("{}\\{first}", windows()?),
        variable => variables.get(variable).filter(|_| variable.starts_with('%'))?.first()?.clone(),
    };
    Some(format!("{}\\{rest}", start.trim_end_matches('\\')))
}

/// A key of the registry that the catalogue names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Key<'a> {
    /// It is in everybody's own part (`HKCU`), not in the machine's.
    pub(in super::super) of_people: bool,
    /// The key, or the one above it if its own name is a pattern.
    pub(in super::super) path: &'a str,
    /// The pattern's last part has stars: every key below the path is to be compared.
    pub(in super::super) below: bool,
}

/// Where a registry pattern of the catalogue leads: `HKLM\SOFTWARE\AnyDesk\`,
/// `HKLM\SYSTEM\CurrentControlSet\Services\ScreenConnect Client*`. `None` for other hives and for stars elsewhere.
pub(in super::super) fn key(pattern: &str) -> Option<Key<'_>> {
    let (hive, path) = pattern.trim_end_matches('\\').split_once('\\')?;
    let of_people = match hive.to_ascii_uppercase().as_str() {
        "HKLM" => false,
        "HKCU" => true,
        _ => return None,
    };
    let has_stars = |text: &str| text.contains(['*', '?']);
    if !has_stars(path) {
        return Some(Key { of_people, path, below: false });
    }
    let (above, _) = path.rsplit_once('\\')?;
    (!has_stars(above)).then_some(Key { of_people, path: above, below: true })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn variables() -> BTreeMap<&'static str, Vec<String>> {
        let folders = vec![r"C:\Program Files".to_owned(), r"C:\Program Files (x86)".to_owned()];
        BTreeMap::from([("%programfiles%", folders), ("%systemroot%", vec![r"C:\Windows".to_owned()])])
    }

    #[test]
    fn the_program_of_a_services_command_is_found() {
        assert_eq!(
            program_of(r#""C:\Program Files\AnyDesk\AnyDesk.exe" --service"#),
            r"C:\Program Files\AnyDesk\AnyDesk.exe"
        );
        assert_eq!(program_of(r"C:\Program Files\x y\srv.EXE -k"), r"C:\Program Files\x y\srv.EXE");
        assert_eq!(program_of(r"\SystemRoot\system32\drivers\x.sys"), r"\SystemRoot\system32\drivers\x.sys");
    }

    #[test]
    fn a_programs_file_is_found_however_it_is_written() {
        for (written, file) in [
            (r"C:\Program Files\x\y.exe", Some(r"C:\Program Files\x\y.exe")),
            (r#""C:\x\y.exe",0"#, Some(r"C:\x\y.exe")),
            (r"C:\x\y.exe,-101", Some(r"C:\x\y.exe")),
            (r"\SystemRoot\System32\svchost.exe", Some(r"C:\Windows\System32\svchost.exe")),
            (r"\??\C:\x\y.EXE", Some(r"C:\x\y.EXE")),
            (r"system32\lsass.exe", Some(r"C:\Windows\system32\lsass.exe")),
            (r"%ProgramFiles%\x\y.exe", Some(r"C:\Program Files\x\y.exe")),
            (r"%nobody%\x\y.exe", None),
            (r"\\server\share\y.exe", None),
            (r"C:\x\y.ico", None),
            ("y.exe", None),
        ] {
            assert_eq!(file_of(written, &variables()).as_deref(), file, "{written}");
        }
    }

    #[test]
    fn patterns_lead_to_every_place_that_a_variable_stands_for() {
        let variables = variables();
        assert_eq!(
            paths(r"%ProgramFiles%\AnyDesk\", &variables),
            [r"C:\Program Files\AnyDesk", r"C:\Program Files (x86)\AnyDesk"]
        );
        assert_eq!(paths(r"%programfiles%\ATERA Networks\*", &variables).len(), 2);
        assert!(paths(r"%programfiles%\*", &variables).is_empty());
        assert!(paths(r"%programfiles%\*\x.exe", &variables).is_empty());
        assert!(paths(r"%appdata%\x\", &variables).is_empty());
        assert_eq!(paths(r"C:\kworking\x.exe", &variables), [r"C:\kworking\x.exe"]);
    }

    #[test]
    fn stars_stand_for_what_lies_in_a_folder() {
        let variables = BTreeMap::from([("%programdata%", vec![r"C:\ProgramData".to_owned()])]);
        let names = |folder: &str| -> Vec<String> {
            let names: &[&str] = match folder {
                r"C:\ProgramData\ZeroTier\One\networks.d" => &["8056c2e21c000001.conf", "x.local", "y.CONF"],
                r"C:\ProgramData\AnyDesk" => &["ad_1", "ad_2"],
                _ => &[],
            };
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        let all = |pattern| expanded(pattern, &variables, names);
        let networks = all(r"%programdata%\ZeroTier\One\networks.d\*.conf");
        assert_eq!(networks.len(), 2, "{networks:?}");
        let clients = all(r"%programdata%\AnyDesk\*\system.conf");
        assert_eq!(
            clients,
            [r"C:\ProgramData\AnyDesk\ad_1\system.conf", r"C:\ProgramData\AnyDesk\ad_2\system.conf"]
        );
        assert_eq!(all(r"%programdata%\x\y.conf"), [r"C:\ProgramData\x\y.conf"]);
        assert!(all(r"%programdata%\..\y.conf").is_empty() && all(r"%nobody%\*").is_empty());
        assert!(fits("ScreenConnect Client (*)", "screenconnect client (1f2e)"));
        assert!(!fits("a*b*c", "acb") && fits("a*b*c", "axbxc") && !fits("ab*b", "ab"));
    }

    #[test]
    fn keys_of_the_registry_lead_to_the_machines_part_and_to_peoples() {
        let plain = key(r"HKLM\SOFTWARE\AnyDesk\").unwrap();
        assert_eq!(plain, Key { of_people: false, path: r"SOFTWARE\AnyDesk", below: false });
        assert!(key(r"HKCU\SOFTWARE\TeamViewer\").unwrap().of_people);
        let starred = key(r"HKLM\SYSTEM\CurrentControlSet\Services\ScreenConnect Client*").unwrap();
        assert_eq!((starred.path, starred.below), (r"SYSTEM\CurrentControlSet\Services", true));
        assert_eq!(key(r"HKLM\*\x"), None);
        assert_eq!(key(r"HKCR\x"), None);
        let catalogue = farmwatch_shared::catalogue::Catalogue::shipped();
        for (tool, pattern) in catalogue.registry_keys() {
            let place = key(pattern).unwrap_or_else(|| panic!("{}: {pattern} leads nowhere", tool.id));
            let hive = if place.of_people { "HKCU" } else { "HKLM" };
            let found = format!(r"{hive}\{}", place.path);
            let hit = catalogue.by_registry(&found).map(|hit| hit.tool.id.to_string());
            assert!(place.below || hit.as_deref() == Some(&*tool.id), "{found} is {hit:?}, not {}", tool.id);
        }
    }

    proptest! {
        #[test]
        fn texts_of_any_kind_harm_nothing(text in "[\\\\%*?a-zA-Z:.,\" ]{0,60}") {
            let _ = (program_of(&text), key(&text), paths(&text, &variables()));
            prop_assert!(expanded(&text, &variables(), |_| vec!["a".into(); 100]).len() <= 64);
            prop_assert!(fits("*", &text) && fits(&text.replace('*', ""), &text.replace('*', "")));
            if let Some(file) = file_of(&text, &variables()) {
                prop_assert!(file.as_bytes()[1] == b':', "{} is on no drive", file);
            }
        }
    }
}
