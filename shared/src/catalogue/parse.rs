//! The catalogue's text.
//!
//! ```text
//! farmwatch-catalogue 2
//! # comment
//! tool x11vnc remote_desktop x11vnc
//! linux process x11vnc ; serving
//! linux+macos package x11vnc
//! tool vscode-tunnel ide_tunnel Visual Studio Code tunnel
//! all process code ; presence
//! all process code ; args tunnel ; serving
//! all domain *.tunnels.api.visualstudio.com
//! all port 9993 ; udp
//! windows account HKLM\SOFTWARE\TeamViewer ; field ClientID
//! ```
//!
//! `tool ID CLASS NAME` begins a tool; each line below it, `OS KIND PATTERN [; option]…`, is one way to see it. What an
//! `account` line says stands in `account.rs`. A port is TCP's unless it says `udp`; what
//! one says of a program that nobody knows stands in `port.rs`.
//! The text stays as it is and the entries point into it: an embedded catalogue costs no memory of its own.

use super::{Proves, glob};
use crate::facts::ToolClass;

/// Longest catalogue that is read, in bytes.
const MOST_TEXT: usize = 1 << 20;
/// Most entries of a catalogue.
const MOST_ENTRIES: usize = 20_000;
/// Most tools of a catalogue.
const MOST_TOOLS: usize = 4_000;
/// Longest line, in bytes.
const MOST_LINE: usize = 400;
/// Most stars of a pattern: what comparing costs grows with them.
const MOST_STARS: usize = 6;
/// Lengths of a mark: a shorter one stands in other programs too, a longer one would fall between two pieces.
const SHORTEST_MARK: usize = 8;
const LONGEST_MARK: usize = 64;
/// Most marks: each is sought in every program that nobody knows.
const MOST_MARKS: usize = 64;
/// The first line, less its version. Version 2 added kinds and options; a reader passes over those that it does not
/// know, so that a new one needs no new version.
const HEAD: &str = "farmwatch-catalogue ";
/// Versions that are read.
const VERSIONS: [&str; 2] = ["1", "2"];

/// A catalogue that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("catalogue, line {line}: {reason}")]
pub struct BadCatalogue {
    /// Which line, from 1; 0 is the whole text.
    pub line: usize,
    /// What is wrong with it, and what it should be.
    pub reason: String,
}

/// What an entry's pattern is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Process,
    Service,
    Package,
    File,
    Domain,
    Port,
    Extension,
    Registry,
    Bundle,
    Team,
    Product,
    Maker,
    BuildId,
    Module,
    Needs,
    Mark,
    Account,
}

/// A piece of the catalogue's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    len: u16,
}

impl Span {
    pub(super) fn of(self, text: &str) -> &str {
        let start = self.start as usize;
        text.get(start..start + usize::from(self.len)).unwrap_or_default()
    }

    /// `piece` must be a slice of `text`, which is at most [`MOST_TEXT`] long.
    fn new(text: &str, piece: &str) -> Self {
        let start = piece.as_ptr() as usize - text.as_ptr() as usize;
        Self { start: u32::try_from(start).unwrap_or(u32::MAX), len: u16::try_from(piece.len()).unwrap_or(0) }
    }
}

/// One way to see a tool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) tool: u16,
    pub(super) kind: Kind,
    /// Bit set, see [`super::Os::bit`].
    pub(super) os: u8,
    pub(super) serving: Option<bool>,
    pub(super) session: bool,
    /// A port of UDP's.
    pub(super) udp: bool,
    pub(super) proves: Proves,
    pub(super) pattern: Span,
    /// Words that the command line must have, or the field of an account; empty if none.
    pub(super) args: Span,
}

/// A tool's head line.
pub(super) struct Head<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) class: ToolClass,
}

/// What a text holds.
pub(super) struct Parsed<'a> {
    pub(super) heads: Vec<Head<'a>>,
    pub(super) entries: Vec<Entry>,
    /// Lines with a kind, system or option of a newer form. They stay in the text.
    pub(super) passed_over: usize,
}

/// The text is short enough to be read: asked before anything is done with it.
pub(super) fn fits(text: &str) -> Result<(), BadCatalogue> {
    match text.len() {
        ..=MOST_TEXT => Ok(()),
        len => Err(bad(0, format!("{len} bytes long; at most {MOST_TEXT} are read"))),
    }
}

/// Tools and entries of a text.
pub(super) fn parse(text: &str) -> Result<Parsed<'_>, BadCatalogue> {
    fits(text)?;
    let mut tools = Vec::new();
    let mut entries = Vec::new();
    let (mut passed_over, mut marks) = (0, 0);
    let mut lines = text.lines().enumerate().map(|(n, line)| (n + 1, line.trim()));
    let version = lines.next().and_then(|(_, line)| line.strip_prefix(HEAD));
    if !version.is_some_and(|version| VERSIONS.contains(&version)) {
        return Err(bad(1, format!("should be `{HEAD}2`")));
    }
    for (n, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        if line.len() > MOST_LINE {
            return Err(bad(n, format!("{} bytes long; at most {MOST_LINE}", line.len())));
        }
        if let Some(rest) = line.strip_prefix("tool ") {
            if tools.len() == MOST_TOOLS {
                return Err(bad(n, format!("more than {MOST_TOOLS} tools")));
            }
            tools.push(head(rest).map_err(|reason| bad(n, reason))?);
            continue;
        }
        if tools.is_empty() {
            return Err(bad(n, "an entry before the first `tool ID CLASS NAME`"));
        }
        if entries.len() == MOST_ENTRIES {
            return Err(bad(n, format!("more than {MOST_ENTRIES} entries")));
        }
        let tool = u16::try_from(tools.len() - 1).unwrap_or(u16::MAX);
        match entry(text, line, tool).map_err(|reason| bad(n, reason))? {
            Some(entry) => {
                marks += usize::from(entry.kind == Kind::Mark);
                if marks > MOST_MARKS {
                    return Err(bad(n, format!("more than {MOST_MARKS} marks")));
                }
                entries.push(entry);
            }
            None => passed_over += 1,
        }
    }
    Ok(Parsed { heads: tools, entries, passed_over })
}

fn bad(line: usize, reason: impl Into<String>) -> BadCatalogue {
    BadCatalogue { line, reason: reason.into() }
}

fn head(rest: &str) -> Result<Head<'_>, String> {
    let mut words = rest.splitn(3, ' ');
    let (Some(id), Some(class), Some(name)) = (words.next(), words.next(), words.next()) else {
        return Err("should be `tool ID CLASS NAME`".into());
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    if id.is_empty() || !id.chars().all(plain) {
        return Err(format!("id `{id}` should be of small letters, digits, `-` and `.`"));
    }
    let class = class_of(class).ok_or_else(|| format!("class `{class}` is not known"))?;
    Ok(Head { id, name: name.trim(), class })
}

/// The word of a class, as facts spell it.
pub(super) fn class_of(word: &str) -> Option<ToolClass> {
    let class: ToolClass = serde_json::from_value(serde_json::Value::from(word)).ok()?;
    (class != ToolClass::Other).then_some(class)
}

/// `None` for a line of a newer form: what cannot be understood whole must not be half believed.
fn entry(text: &str, line: &str, tool: u16) -> Result<Option<Entry>, String> {
    let mut parts = line.split(" ; ").map(str::trim);
    let mut words = parts.next().unwrap_or_default().splitn(3, ' ');
    let (Some(os), Some(kind), Some(pattern)) = (words.next(), words.next(), words.next()) else {
        return Err("should be `OS KIND PATTERN`".into());
    };
    let pattern = pattern.trim();
    let (Some(kind), Some(os)) = (kind_of(kind), os_bits(os)) else { return Ok(None) };
    check_pattern(kind, pattern)?;
    let mut entry = Entry {
        tool,
        kind,
        os,
        serving: None,
        session: false,
        udp: false,
        proves: Proves::Use,
        pattern: Span::new(text, pattern),
        args: Span::default(),
    };
    for option in parts {
        match option {
            "serving" => entry.serving = Some(true),
            "attended" => entry.serving = Some(false),
            "presence" => entry.proves = Proves::Presence,
            "hint" => entry.proves = Proves::Hint,
            "session" => entry.session = true,
            "udp" if kind == Kind::Port => entry.udp = true,
            _ => match (kind, option.split_once(' ')) {
                (Kind::Process, Some(("args", args))) => entry.args = Span::new(text, args.trim()),
                (Kind::Account, Some(("field", field))) => entry.args = Span::new(text, field.trim()),
                _ => return Ok(None),
            },
        }
    }
    Ok(Some(entry))
}

fn kind_of(word: &str) -> Option<Kind> {
    Some(match word {
        "process" => Kind::Process,
        "service" => Kind::Service,
        "package" => Kind::Package,
        "file" => Kind::File,
        "domain" => Kind::Domain,
        "port" => Kind::Port,
        "extension" => Kind::Extension,
        "registry" => Kind::Registry,
        "bundle" => Kind::Bundle,
        "team" => Kind::Team,
        "product" => Kind::Product,
        "maker" => Kind::Maker,
        "build-id" => Kind::BuildId,
        "module" => Kind::Module,
        "needs" => Kind::Needs,
        "mark" => Kind::Mark,
        "account" => Kind::Account,
        _ => return None,
    })
}

fn os_bits(word: &str) -> Option<u8> {
    word.split('+').try_fold(0, |bits, os| {
        Some(
            bits | match os {
                "all" => super::ALL,
                "linux" => super::Os::Linux.bit(),
                "windows" => super::Os::Windows.bit(),
                "macos" => super::Os::Macos.bit(),
                _ => return None,
            },
        )
    })
}

/// A pattern that is nearly only stars would match everything: refused, even in a signed catalogue.
fn check_pattern(kind: Kind, pattern: &str) -> Result<(), String> {
    let stars = pattern.matches(['*', '?']).count();
    if stars > MOST_STARS {
        return Err(format!("`{pattern}` has {stars} stars; at most {MOST_STARS}"));
    }
    let literal = pattern.chars().filter(|c| c.is_alphanumeric()).count();
    match kind {
        Kind::Port if pattern.parse::<u16>().is_err() => Err(format!("port `{pattern}` is no number")),
        Kind::Domain if super::domain::key(pattern).is_none() => {
            Err(format!("domain `{pattern}` should end in two literal labels"))
        }
        Kind::File | Kind::Registry if super::file::anchor(pattern).is_none() => {
            Err(format!("file `{pattern}` should name one folder or file without stars"))
        }
        Kind::Process
        | Kind::Service
        | Kind::Package
        | Kind::Product
        | Kind::Maker
        | Kind::Bundle
        | Kind::Module
        | Kind::Needs
        | Kind::Account
        | Kind::Team
        | Kind::BuildId
            if literal < if glob::is_glob(pattern) { 4 } else { 2 } =>
        {
            Err(format!("`{pattern}` would match too much"))
        }
        Kind::Mark if glob::is_glob(pattern) || !(SHORTEST_MARK..=LONGEST_MARK).contains(&pattern.len()) => {
            Err(format!(
                "mark `{pattern}` should have {SHORTEST_MARK} to {LONGEST_MARK} characters and no star"
            ))
        }
        _ => Ok(()),
    }
}
