//! What subcommands print: tables and sentences for people, JSON for programs.

use std::fmt::Display;
use std::io::Write as _;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

/// Prints a line. A reader that went away (`| head`) is no error.
///
/// What devices wrote stands in it: control characters, which would reach the terminal, are shown as such.
pub fn line(text: impl Display) {
    let _ = writeln!(anstream::stdout(), "{}", printable(&text.to_string()));
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }).collect()
}

/// Prints a value as one line of JSON.
pub fn json<T: Serialize + ?Sized>(value: &T) -> anyhow::Result<()> {
    let _ = writeln!(std::io::stdout(), "{}", serde_json::to_string(value)?);
    Ok(())
}

/// Prints an error: what failed, on what, and the next step.
pub fn error(error: &anyhow::Error, as_json: bool) {
    if as_json {
        let body = serde_json::json!({ "error": format!("{error:#}") });
        let _ = writeln!(std::io::stderr(), "{body}");
        return;
    }
    let style = anstyle::AnsiColor::Red.on_default().bold();
    let _ = writeln!(anstream::stderr(), "{style}error:{style:#} {error:#}");
}

/// Of a terminal that does not tell, in characters.
const USUAL_WIDTH: u16 = 80;

/// A table with these heads, as wide as the terminal.
pub fn table(heads: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(heads);
    // A serial line or a container's terminal knows no width and would get one character a line.
    if table.width() == Some(0) {
        table.set_width(USUAL_WIDTH);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_cannot_write_to_the_terminal() {
        assert_eq!(
            printable("a\u{1b}]0;b\u{7}\u{9b}1m\r\n\tc"),
            "a\u{fffd}]0;b\u{fffd}\u{fffd}1m\u{fffd}\n\tc"
        );
    }
}
