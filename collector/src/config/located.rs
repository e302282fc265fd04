//! TOML whose errors say file, line and what to do.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Something wrong in a file that people write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}: {}{why}; mend it, then run `farmwatch-collector check-config`", file.display(), at(*line))]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Line in it, from 1, where one can be told.
    pub line: Option<usize>,
    /// What is wrong.
    pub why: String,
}

fn at(line: Option<usize>) -> String {
    line.map(|line| format!("line {line}: ")).unwrap_or_default()
}

/// Reads a TOML text; unknown settings and wrong types are errors with their line.
pub fn parse<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T, Problem> {
    toml::from_str(text).map_err(|error| Problem {
        file: file.to_owned(),
        line: error.span().map(|span| line_of_byte(text, span.start)),
        why: error.message().replace('\n', " "),
    })
}

/// The problem with a setting of a file that reads well, at the setting's line if the file names it.
pub fn about(file: &Path, text: &str, setting: &str, why: &str) -> Problem {
    let names = |line: &str| {
        line.trim_start().strip_prefix(setting).is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let line = text.lines().position(names).map(|index| index + 1);
    Problem { file: file.to_owned(), line, why: format!("`{setting}`: {why}") }
}

fn line_of_byte(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|b| *b == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_found_at_its_line_and_not_in_comments() {
        let text = "# cap = 1\n\n  cap = 2\ncaps = 3";
        assert_eq!(about(Path::new("p"), text, "cap", "no").line, Some(3));
        assert_eq!(about(Path::new("p"), text, "ca", "no").line, None);
    }

    #[test]
    fn a_broken_file_names_its_line() {
        let problem = parse::<toml::Table>(Path::new("p.toml"), "a = 1\nb = \n").unwrap_err();
        assert_eq!(problem.line, Some(2));
        assert!(problem.to_string().starts_with("p.toml: line 2: "), "{problem}");
    }
}
