//! Languages and keyboard layouts from the preferences of the machine and of its people.

use farmwatch_shared::facts::Locale;

use super::each_once;
use crate::apple::plist::{Plist, text};

/// The zone that `/etc/localtime` points to: `…/zoneinfo/America/Phoenix`.
pub(super) fn time_zone(link: &str) -> Option<String> {
    let (_, zone) = link.split_once("zoneinfo/")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
    ((1..=64).contains(&zone.len()) && zone.chars().all(fits)).then(|| zone.to_owned())
}

/// Of the machine's and everybody's `.GlobalPreferences.plist` and `com.apple.HIToolbox.plist`, in their order.
pub(super) fn locale(time_zone: Option<String>, global: &[Plist], input: &[Plist]) -> Locale {
    let languages = global.iter().filter_map(Plist::dict).flat_map(|dict| {
        let all = dict.get("AppleLanguages").map(Plist::array).unwrap_or_default();
        let all: Vec<String> = all.iter().filter_map(word).collect();
        // Where no list was ever made, the region's format is all there is.
        if all.is_empty() { text(dict, "AppleLocale").into_iter().collect() } else { all }
    });
    let sources = ["AppleEnabledInputSources", "AppleSelectedInputSources"];
    let layouts = input.iter().filter_map(Plist::dict).flat_map(|dict| {
        let lists = sources.iter().filter_map(|key| dict.get(*key)).flat_map(Plist::array);
        lists.filter_map(Plist::dict).filter_map(|source| {
            text(source, "KeyboardLayout Name").or_else(|| {
                // `com.apple.inputmethod.Korean.2SetKorean`: what a layout is where keys make syllables.
                let mode = text(source, "Input Mode")?;
                Some(mode.strip_prefix("com.apple.inputmethod.").unwrap_or(&mode).to_owned())
            })
        })
    });
    Locale { time_zone, keyboard_layouts: each_once(layouts), languages: each_once(languages) }
}

fn word(value: &Plist) -> Option<String> {
    if let Plist::Text(text) = value { Some(text.clone()) } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::MOST;
    use super::*;
    use crate::apple::ioreg::test::{plist, recording};
    use crate::apple::plist::parse;

    #[test]
    fn layouts_and_input_methods_are_named_once() {
        let input = plist("HIToolbox.plist");
        let global = parse(
            b"<plist version=\"1.0\"><dict><key>AppleLanguages</key><array><string>en-US</string><string>ko-US</string>\
              </array><key>AppleLocale</key><string>en_US</string></dict></plist>",
        )
        .unwrap();
        let locale = locale(
            time_zone("/var/db/timezone/zoneinfo/America/Phoenix"),
            &[global],
            &[input.clone(), input],
        );
        assert_eq!(locale.time_zone.as_deref(), Some("America/Phoenix"));
        assert_eq!(locale.keyboard_layouts, ["ABC", "Bulgarian - Phonetic", "Korean.2SetKorean"]);
        assert_eq!(locale.languages, ["en-US", "ko-US"]);
    }

    #[test]
    fn junk_is_no_zone() {
        assert_eq!(time_zone("/etc/passwd"), None);
        assert_eq!(time_zone("zoneinfo/<script>"), None);
    }

    proptest! {
        #[test]
        fn cut_and_changed_preferences_never_panic(end in 0usize..1500, at: usize, byte: u8, link in "\\PC{0,60}") {
            let mut bytes = recording("HIToolbox.plist").into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(end);
            let read: Vec<Plist> = parse(&bytes).into_iter().collect();
            let locale = locale(time_zone(&link), &read, &read);
            prop_assert!(locale.keyboard_layouts.len() <= MOST);
        }
    }
}
