//! Linux: the files that `timedatectl` and `localectl` write, and Debian's own.

use std::path::Path;

use super::super::assignments;
use super::super::read;
use super::{Config, Locale, MOST, SensorError};

/// Files that name languages, the first found counts.
const LANGUAGE_FILES: [&str; 2] = ["etc/locale.conf", "etc/default/locale"];
/// Files that name keyboard layouts as assignments, the first found counts.
const KEYBOARD_FILES: [&str; 2] = ["etc/default/keyboard", "etc/vconsole.conf"];
const X11_KEYBOARD: &str = "etc/X11/xorg.conf.d/00-keyboard.conf";

pub(super) fn locale(config: &Config) -> Result<Locale, SensorError> {
    let locale = Locale {
        time_zone: time_zone(config),
        keyboard_layouts: keyboard_layouts(config),
        languages: languages(config),
    };
    if locale == Locale::default() {
        let reason =
            "no time zone, keyboard or language is set in /etc (localtime, default/keyboard, locale.conf)";
        return Err(SensorError::NotSupported(reason.into()));
    }
    Ok(locale)
}

/// The link is the truth where both exist; `/etc/timezone` is Debian's copy and may be stale.
fn time_zone(config: &Config) -> Option<String> {
    let linked = read::link(&config.path("etc/localtime")).ok().and_then(|target| zone_of(&target));
    linked.or_else(|| read::attribute(&config.path("etc/timezone")).filter(|zone| is_zone(zone)))
}

fn zone_of(target: &Path) -> Option<String> {
    let target = target.to_string_lossy();
    let (_, zone) = target.split_once("zoneinfo/")?;
    is_zone(zone).then(|| zone.to_owned())
}

fn is_zone(zone: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
    (1..=64).contains(&zone.len()) && zone.chars().all(fits)
}

fn keyboard_layouts(config: &Config) -> Vec<String> {
    if let Some(layouts) =
        read::text(&config.path(X11_KEYBOARD), read::SMALL).ok().and_then(|t| x11_layout(&t))
    {
        return words(&layouts, ',');
    }
    let of_file = |path: &&str| {
        let settings = assignments::of_file(&config.path(path)).ok()?;
        let value = ["XKBLAYOUT", "KEYMAP"].iter().find_map(|key| assignments::last(&settings, key))?;
        Some(words(value, ','))
    };
    KEYBOARD_FILES.iter().find_map(of_file).unwrap_or_default()
}

/// `Option "XkbLayout" "us,de"` of an xorg.conf.
fn x11_layout(text: &str) -> Option<String> {
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("Option") && line.contains("\"XkbLayout\""))?;
    line.split('"').nth(3).map(str::to_owned)
}

fn languages(config: &Config) -> Vec<String> {
    let of_file = |path: &&str| {
        let settings = assignments::of_file(&config.path(path)).ok()?;
        let value = ["LANGUAGE", "LANG"].iter().find_map(|key| assignments::last(&settings, key))?;
        Some(words(value, ':').into_iter().map(|word| without_encoding(&word)).collect())
    };
    LANGUAGE_FILES.iter().find_map(of_file).unwrap_or_default()
}

/// `en_US.UTF-8` is `en_US`.
fn without_encoding(language: &str) -> String {
    language.split('.').next().unwrap_or_default().to_owned()
}

fn words(list: &str, separator: char) -> Vec<String> {
    let fits = |word: &&str| {
        (1..=32).contains(&word.len())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || "_-.@".contains(c))
    };
    list.split(separator).map(str::trim).filter(fits).take(MOST).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use farmwatch_shared::facts::{SensorState, SensorStatus};
    use proptest::prelude::*;

    use super::super::super::test::{look, write};
    use super::*;

    #[test]
    fn a_debian_laptop_says_its_zone_layouts_and_language() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &[
                ("etc/timezone", "Europe/Berlin\n"),
                ("etc/default/keyboard", "XKBMODEL=\"pc105\"\nXKBLAYOUT=\"us,de\"\n"),
                ("etc/default/locale", "LANG=en_US.UTF-8\n"),
            ],
        );
        std::os::unix::fs::symlink("/usr/share/zoneinfo/America/Phoenix", root.path().join("etc/localtime"))
            .unwrap();
        let locale: Locale = look("locale", root.path()).state.get("self").cloned().unwrap();
        assert_eq!(locale.time_zone.as_deref(), Some("America/Phoenix"), "the link wins");
        assert_eq!(locale.keyboard_layouts, ["us", "de"]);
        assert_eq!(locale.languages, ["en_US"]);
    }

    #[test]
    fn localectl_writes_the_layout_into_xorgs_folder() {
        let text = "Section \"InputClass\"\n  Option \"XkbLayout\" \"gb\"\nEndSection";
        assert_eq!(x11_layout(text).as_deref(), Some("gb"));
    }

    #[test]
    fn junk_is_no_zone_and_nothing_at_all_is_said_so() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), &[("etc/timezone", "\u{1}\u{2}Europe/<script>")]);
        let state = look("locale", root.path()).state;
        assert_eq!(state.get::<SensorStatus>("locale").unwrap().state, SensorState::NotSupported);
    }

    proptest! {
        #[test]
        fn settings_of_any_kind_give_short_plain_words(text in "(Option|\"XkbLayout\"|,|:|zoneinfo/|\\PC){0,40}") {
            let layouts = words(&x11_layout(&text).unwrap_or_else(|| text.clone()), ',');
            prop_assert!(layouts.len() <= MOST && layouts.iter().all(|word| word.len() <= 32 && word.is_ascii()));
            let _ = without_encoding(&text);
            prop_assert!(zone_of(Path::new(&text)).is_none_or(|zone| zone.len() <= 64 && zone.is_ascii()));
        }
    }
}
