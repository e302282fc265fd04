//! Files of `KEY=value` lines, as systemd, os-release and Debian's `/etc/default` write them.

use std::path::Path;

use super::read::{self, ReadError};

/// All assignments of a file, in order; comments, sections and what is none are left out.
pub(super) fn of_file(path: &Path) -> Result<Vec<(String, String)>, ReadError> {
    Ok(of_text(&read::text(path, read::SMALL)?))
}

/// The last value of a key, as these files mean it.
pub(super) fn last<'a>(assignments: &'a [(String, String)], key: &str) -> Option<&'a str> {
    let found = assignments.iter().rev().find(|(k, _)| k == key);
    found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

/// All assignments of a text.
pub(super) fn of_text(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';', '[']));
    lines.filter_map(|line| line.split_once('=')).map(|(k, v)| (k.trim().to_owned(), unquote(v))).collect()
}

fn unquote(value: &str) -> String {
    let value = value.trim();
    let bare = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    bare.unwrap_or(value).chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_lose_their_quotes_and_the_last_one_counts() {
        let text = "# NAME=no\n[Login]\nNAME=\"Debian GNU/Linux\"\nID='debian'\nnothing\nID=other\nEMPTY=\n";
        let got = of_text(text);
        assert_eq!(last(&got, "NAME"), Some("Debian GNU/Linux"));
        assert_eq!(last(&got, "ID"), Some("other"));
        assert_eq!(last(&got, "EMPTY"), None);
    }

    proptest! {
        #[test]
        fn texts_of_any_kind_lose_no_value_that_is_written_behind_them(text in "[\\PC\n]{0,200}", value in "[a-z]{1,9}") {
            let got = of_text(&format!("{text}\nKEY='{value}'\n"));
            prop_assert_eq!(last(&got, "KEY"), Some(value.as_str()));
            prop_assert!(got.iter().all(|(_, value)| !value.contains(char::is_control)));
        }
    }
}
