//! Remote tools: what they are called, what they install, whom they talk to; and the matcher.
//!
//! The catalogue is text, one line for each way to see a tool (its form stands in `parse.rs`): made by
//! `farmwatch-collector catalogue import` from LOLRMM and from the files in `data`, which are written by
//! hand.

mod account;
mod domain;
mod file;
mod glob;
pub mod import;
mod index;
mod names;
mod parse;
mod port;
mod program;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use account::{Account, Place};
pub use parse::BadCatalogue;
use parse::{Entry, Kind};
pub use port::Port;

use crate::facts::ToolClass;

/// An operating system that agents run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Os {
    /// Linux: names differ by case.
    Linux,
    /// Windows: names do not.
    Windows,
    /// macOS: names do not.
    Macos,
}

/// All three.
const ALL: u8 = 7;

impl Os {
    /// All, in the order in which a name of unknown origin is tried.
    pub const ALL: [Self; 3] = [Self::Linux, Self::Windows, Self::Macos];

    fn bit(self) -> u8 {
        match self {
            Self::Linux => 1,
            Self::Windows => 2,
            Self::Macos => 4,
        }
    }

    fn folds_case(self) -> bool {
        self != Self::Linux
    }
}

/// A tool of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Its id, the key of its fact: `anydesk`.
    pub id: Box<str>,
    /// As people call it.
    pub name: Box<str>,
    /// What it does.
    pub class: ToolClass,
}

/// What a match proves about the laptop; least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proves {
    /// Nothing yet: what the system ships, an editor that could tunnel, a viewer that only looks outward. A
    /// sensor reports it, if at all, as seen by [`crate::facts::SeenBy::BuiltIn`].
    Presence,
    /// Little: an ordinary word that others use as a name too (`level.exe`), a host of a maker's other products, a
    /// client that looks outward. It takes a second sign; see [`crate::facts::SeenBy::Hint`].
    Hint,
    /// The tool itself, which lets somebody else in.
    Use,
}

/// A hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match<'a> {
    /// Whose.
    pub tool: &'a Tool,
    /// What of the catalogue matched, fit to be reported: never more of a path or a command line than the
    /// catalogue itself says.
    pub what: String,
    /// It waits for a far end with nobody at the laptop; `None` where the match does not tell.
    pub serving: Option<bool>,
    /// It is there only while somebody is connected.
    pub session: bool,
    /// What it proves.
    pub proves: Proves,
}

/// The catalogue: immutable, found by hash of the lower-cased name.
#[derive(Clone, Debug)]
pub struct Catalogue {
    text: Cow<'static, str>,
    tools: Vec<Tool>,
    entries: Vec<Entry>,
    index: index::Index,
    passed_over: usize,
}

impl Catalogue {
    /// The catalogue of this version.
    pub fn shipped() -> Self {
        #[allow(clippy::expect_used, reason = "the file is part of the program and tests read it")]
        Self::build(Cow::Borrowed(include_str!("tools.txt"))).expect("shipped catalogue")
    }

    /// Reads a catalogue.
    pub fn parse(text: &str) -> Result<Self, BadCatalogue> {
        parse::fits(text)?;
        Self::build(Cow::Owned(text.to_owned()))
    }

    fn build(text: Cow<'static, str>) -> Result<Self, BadCatalogue> {
        let parse::Parsed { heads, mut entries, passed_over } = parse::parse(&text)?;
        let tools: Vec<Tool> = heads
            .into_iter()
            .map(|head| Tool { id: head.id.into(), name: head.name.into(), class: head.class })
            .collect();
        entries.shrink_to_fit();
        let index = index::Index::build(&entries, &text)?;
        Ok(Self { text, tools, entries, index, passed_over })
    }

    /// The text it was made from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A tool by its id.
    pub fn tool(&self, id: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| &*tool.id == id)
    }

    /// All tools.
    pub fn tools(&self) -> impl Iterator<Item = &Tool> {
        self.tools.iter()
    }

    /// A running program, by its path or name, and by its command line where that is known.
    ///
    /// Understands paths of each system, macOS bundles, ` (deleted)`, names that Linux cut to 15 characters,
    /// second downloads (`Tool (1).exe`), and wrappers (`python3 /usr/bin/x11vnc`).
    pub fn by_process(&self, os: Os, name_or_path: &str, command_line: Option<&str>) -> Option<Match<'_>> {
        let path = names::clean(os, name_or_path);
        let command_line = command_line.unwrap_or_default();
        if let Some(hit) = self.program(os, path, command_line) {
            return Some(hit);
        }
        let script = names::wrapped(os, names::base(os, path), command_line)?;
        self.program(os, script, command_line)
    }

    /// Whether [`Catalogue::by_process`] goes by the command line of a program of this name or path: a wrapper's,
    /// or a tool's that is told by its arguments. Of all others it need not be read.
    pub fn asks_for_command_line(&self, os: Os, name_or_path: &str) -> bool {
        let path = names::clean(os, name_or_path);
        let base = names::base(os, path);
        let other = names::other_name(os, base);
        names::is_wrapper(base)
            || [Some(base), other.as_deref()]
                .into_iter()
                .flatten()
                .flat_map(|base| self.named_entries(os, base, path))
                .any(|entry| entry.args != parse::Span::default())
    }

    /// A service, unit, launchd item or autostart entry. The suffix `.service` of systemd's may be there or
    /// not; a launchd label may end so by itself.
    pub fn by_service(&self, os: Os, unit: &str) -> Option<Match<'_>> {
        let unit = unit.strip_suffix(".service").filter(|_| os == Os::Linux).unwrap_or(unit);
        self.named(Kind::Service, os, unit)
    }

    /// An installed package or program, by the name of the system's list. On Windows that is the product's name, on
    /// macOS often the bundle's id, by which copies are known too.
    pub fn by_package(&self, os: Os, name: &str) -> Option<Match<'_>> {
        let same = match os {
            Os::Linux => None,
            Os::Windows => Some(Kind::Product),
            Os::Macos => Some(Kind::Bundle),
        };
        self.named(Kind::Package, os, name).or_else(|| self.named(same?, os, name))
    }

    /// A file or folder that lies on the disk.
    pub fn by_file(&self, os: Os, path: &str) -> Option<Match<'_>> {
        let hit = |entry: &&Entry| {
            entry.os & os.bit() != 0 && file::matches(entry.pattern.of(&self.text), path, os.folds_case())
        };
        // The deepest part first: it is the most telling.
        let parts: Vec<&str> = file::parts(path).collect();
        parts.iter().rev().find_map(|part| self.candidates(Kind::File, part).find(hit)).map(|e| self.hit(e))
    }

    /// A host that the laptop talks to or asks for.
    pub fn by_domain(&self, host: &str) -> Option<Match<'_>> {
        let host = domain::clean(host);
        let hit = |entry: &&Entry| domain::matches(entry.pattern.of(&self.text), host);
        domain::suffixes(host)
            .find_map(|suffix| self.candidates(Kind::Domain, suffix).find(hit))
            .map(|e| self.hit(e))
    }

    /// A browser's extension, by its id.
    pub fn by_extension(&self, id: &str) -> Option<Match<'_>> {
        Os::ALL.iter().find_map(|os| self.named(Kind::Extension, *os, id))
    }

    /// What a sensor looks for on disk. A pattern may begin with `~` or a Windows variable (`%programfiles%`),
    /// may have stars, and is a folder if it ends with a slash.
    pub fn files(&self, os: Os) -> impl Iterator<Item = (&Tool, &str)> {
        self.patterns(Kind::File, os).map(|(tool, pattern, _)| (tool, pattern))
    }

    /// A key of Windows' registry that a tool writes: `HKLM\\SOFTWARE\\AnyDesk`.
    pub fn by_registry(&self, path: &str) -> Option<Match<'_>> {
        let hit = |entry: &&Entry| file::matches(entry.pattern.of(&self.text), path, true);
        let parts: Vec<&str> = file::parts(path).collect();
        parts
            .iter()
            .rev()
            .find_map(|part| self.candidates(Kind::Registry, part).find(hit))
            .map(|entry| self.hit(entry))
    }

    /// Keys of the registry that a sensor on Windows looks for.
    pub fn registry_keys(&self) -> impl Iterator<Item = (&Tool, &str)> {
        self.patterns(Kind::Registry, Os::Windows).map(|(tool, pattern, _)| (tool, pattern))
    }

    fn patterns(&self, kind: Kind, os: Os) -> impl Iterator<Item = (&Tool, &str, &str)> {
        let wanted = move |entry: &&Entry| entry.kind == kind && entry.os & os.bit() != 0;
        self.entries.iter().filter(wanted).filter_map(|entry| {
            let tool = self.tools.get(usize::from(entry.tool))?;
            Some((tool, entry.pattern.of(&self.text), entry.args.of(&self.text)))
        })
    }

    /// Lines of a newer form that were passed over.
    pub fn passed_over(&self) -> usize {
        self.passed_over
    }

    /// A program by its path: name, bundle, then the folder that it lies in.
    fn program(&self, os: Os, path: &str, command_line: &str) -> Option<Match<'_>> {
        let base = names::base(os, path);
        if base.is_empty() {
            return None;
        }
        let has_path = base.len() < path.len();
        let best = self
            .process_entries(os, base, path, command_line)
            .max_by_key(|entry| specificity(**entry, entry.pattern.of(&self.text)));
        if let Some(entry) = best {
            return Some(self.hit(entry));
        }
        if let Some(other) = names::other_name(os, base) {
            let found = self.process_entries(os, &other, path, command_line).next();
            if let Some(entry) = found {
                return Some(self.hit(entry));
            }
        }
        if !has_path {
            return None;
        }
        if os == Os::Macos {
            let bundles = file::parts(path).filter(|part| file::is_bundle(part));
            let found = bundles.flat_map(|app| self.candidates(Kind::Process, app).map(move |e| (app, e)));
            let hit = |(app, entry): &(&str, &Entry)| {
                entry.os & os.bit() != 0 && glob::equal(entry.pattern.of(&self.text), app, true)
            };
            if let Some((_, entry)) = found.into_iter().find(hit) {
                return Some(self.hit(entry));
            }
        }
        let folder = self.by_file(os, path).filter(|hit| hit.what.ends_with(['/', '\\']));
        folder.filter(|hit| hit.proves == Proves::Use)
    }

    fn process_entries<'a>(
        &'a self,
        os: Os,
        base: &'a str,
        path: &'a str,
        command_line: &'a str,
    ) -> impl Iterator<Item = &'a Entry> {
        self.named_entries(os, base, path)
            .filter(move |entry| has_arguments(entry.args.of(&self.text), command_line))
    }

    /// Entries that name this program, whatever its arguments.
    fn named_entries<'a>(&'a self, os: Os, base: &'a str, path: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.candidates(Kind::Process, base).chain(self.globs(Kind::Process, os, base)).filter(move |entry| {
            entry.os & os.bit() != 0 && named_so(os, entry.pattern.of(&self.text), base, path)
        })
    }

    fn named(&self, kind: Kind, os: Os, name: &str) -> Option<Match<'_>> {
        let fold = os.folds_case();
        let hit = |entry: &&Entry| {
            entry.os & os.bit() != 0 && glob::matches(entry.pattern.of(&self.text), name, fold)
        };
        self.candidates(kind, name).chain(self.globs(kind, os, name)).find(hit).map(|entry| self.hit(entry))
    }

    /// Entries whose name has stars and may be this one.
    fn globs(&self, kind: Kind, os: Os, name: &str) -> impl Iterator<Item = &Entry> {
        self.of_kind(kind, self.index.starred(kind, os, name))
    }

    fn candidates(&self, kind: Kind, key: &str) -> impl Iterator<Item = &Entry> {
        self.of_kind(kind, self.index.named(kind, key))
    }

    fn of_kind(&self, kind: Kind, found: impl Iterator<Item = u16>) -> impl Iterator<Item = &Entry> {
        found.filter_map(|n| self.entries.get(usize::from(n))).filter(move |entry| entry.kind == kind)
    }

    fn hit(&self, entry: &Entry) -> Match<'_> {
        let (pattern, args) = (entry.pattern.of(&self.text), entry.args.of(&self.text));
        let name = match entry.kind {
            Kind::Process => pattern.rsplit(['/', '\\']).next().unwrap_or(pattern),
            _ => pattern,
        };
        let what =
            if args.is_empty() { name.to_owned() } else { format!("{name} {}", args.trim_end_matches('*')) };
        Match {
            tool: &self.tools[usize::from(entry.tool)],
            what,
            serving: entry.serving,
            session: entry.session,
            proves: entry.proves,
        }
    }
}

/// Does a process pattern name this program? One with a slash is the end of its path.
fn named_so(os: Os, pattern: &str, base: &str, path: &str) -> bool {
    let fold = os.folds_case();
    if pattern.contains(['/', '\\']) {
        return file::matches(pattern, path, fold);
    }
    if os == Os::Linux && base.len() == index::COMM && pattern.len() > index::COMM {
        return pattern.starts_with(base);
    }
    glob::matches(pattern, base, fold)
}

/// Every word of `wanted` is one of the command line's, in order; its stars match within one argument.
fn has_arguments(wanted: &str, command_line: &str) -> bool {
    let mut arguments = names::arguments(command_line);
    wanted
        .split(' ')
        .filter(|word| !word.is_empty())
        .all(|word| arguments.any(|a| glob::matches(word, a, false)))
}

/// Which of several entries tells most: arguments, then a path, then a name of its own, then stars.
fn specificity(entry: Entry, pattern: &str) -> (bool, bool, bool, bool, usize) {
    let path = pattern.contains(['/', '\\']);
    (
        entry.args != parse::Span::default(),
        path,
        entry.proves != Proves::Hint,
        !glob::is_glob(pattern),
        pattern.len(),
    )
}
