//! `judge process`: one executable's name or path a line, optionally a tab and its command line, and another tab
//! and what the program says of itself: `original=AnyDesk.exe;company=philandro Software GmbH;product=AnyDesk`
//! (fields as [`farmwatch_shared::program::Program::set`] has them).
//!
//! A name without a path says little about its system: Linux is tried first, then macOS, and Windows for names
//! that look like its own. A program that is named here is taken to run.

use farmwatch_shared::catalogue::{Catalogue, Match, Os, Proves};
use farmwatch_shared::facts::{RemoteTool, Seen, SeenBy};
use farmwatch_shared::program::Program;
use farmwatch_shared::state::State;
use farmwatch_shared::weights::Weights;

use super::{Judge, Verdict, findings};

/// Judges each line as the only program of the catalogue that runs on a laptop.
pub fn judge(weights: &Weights) -> Judge<'_> {
    let catalogue = Catalogue::shipped();
    Box::new(move |line| {
        let mut columns = line.split('\t');
        let name = columns.next().unwrap_or_default().trim();
        let command_line = columns.next().unwrap_or_default();
        let program = columns.next().map(program);
        if name.is_empty() {
            return Verdict::unreadable(name, "no executable's name");
        }
        let by_name = systems(name).iter().find_map(|os| by_process(&catalogue, *os, name, command_line));
        let by_program = program
            .iter()
            .find_map(|program| systems(name).iter().find_map(|os| catalogue.by_program(*os, program)));
        // A name and what the program says of itself: the more telling one.
        let hit = [by_name, by_program]
            .into_iter()
            .flatten()
            .reduce(|best, hit| if hit.proves > best.proves { hit } else { best });
        let by = SeenBy::Process;
        Verdict { label: name.to_owned(), found: Ok(findings(&state(hit.as_ref(), by), weights)) }
    })
}

/// What a program says of itself, as the third column has it.
fn program(column: &str) -> Program {
    let mut program = Program::default();
    let fields = column.split(';').filter_map(|field| field.split_once('=')).take(32);
    fields.for_each(|(field, value)| program.set(field.trim(), value));
    program
}

/// A laptop of which only this match is known.
pub(super) fn state(hit: Option<&Match<'_>>, by: SeenBy) -> State {
    let mut state = State::default();
    if let Some(hit) = hit {
        let (by, what) = match hit.proves {
            Proves::Presence => (SeenBy::BuiltIn, hit.what.clone()),
            Proves::Hint => (SeenBy::Hint, by.hint(&hit.what)),
            Proves::Use => (by, hit.what.clone()),
        };
        let fact = RemoteTool {
            name: hit.tool.name.to_string(),
            class: hit.tool.class,
            seen: vec![Seen { by, what }],
            serving: hit.serving == Some(true),
            ..RemoteTool::default()
        };
        state.put(&hit.tool.id, &fact);
    }
    state
}

fn by_process<'a>(catalogue: &'a Catalogue, os: Os, name: &str, command_line: &str) -> Option<Match<'a>> {
    let hit = catalogue.by_process(os, name, Some(command_line))?;
    // Debian's `amphetamine` is a game, macOS' `Amphetamine` keeps laptops awake.
    let other_case = os == Os::Macos && !name.contains('/') && hit.what != name;
    (!other_case).then_some(hit)
}

/// Systems that a path or name can be of, the likeliest first.
fn systems(name: &str) -> &'static [Os] {
    let lower = name.to_ascii_lowercase();
    let windows = name.contains('\\') || [".exe", ".msi", ".com", ".scr"].iter().any(|e| lower.ends_with(e));
    if windows {
        return &[Os::Windows];
    }
    if lower.contains(".app/") {
        return &[Os::Macos];
    }
    // Windows' own tools print names without `.exe`; Unix' names are small letters.
    if name != lower && !name.contains('/') {
        return &[Os::Linux, Os::Macos, Os::Windows];
    }
    &[Os::Linux, Os::Macos]
}
