//! What a tool's fact shows, whatever is made of it.

use super::super::{Evidence, is_sanctioned};
use crate::facts::{RemoteTool, Seen, SeenBy, ToolClass};
use crate::state::FactKey;

/// A tool that was seen.
pub(super) struct Tool<'a> {
    pub(super) id: &'a str,
    pub(super) key: &'a FactKey,
    pub(super) fact: &'a RemoteTool,
}

impl Tool<'_> {
    pub(super) fn name(&self) -> &str {
        if self.fact.name.is_empty() { self.id } else { &self.fact.name }
    }

    pub(super) fn cause(&self) -> String {
        format!("tool:{}", self.id)
    }

    pub(super) fn sanctioned(&self, evidence: &Evidence<'_>) -> bool {
        let context = evidence.context;
        let account = self.fact.account.as_ref().map(|hash| hash.as_str().to_owned());
        context.sanctioned_tools.iter().any(|id| id == self.id)
            || account.is_some_and(|account| context.sanctioned_accounts.contains(&account))
            || is_sanctioned(context, self.key, None)
    }

    /// A class of which a running one lets somebody else in.
    pub(super) fn lets_in(&self) -> bool {
        matches!(
            self.fact.class,
            ToolClass::Rmm
                | ToolClass::RemoteDesktop
                | ToolClass::BrowserRemote
                | ToolClass::Streaming
                | ToolClass::SharedTerminal
                | ToolClass::Other
        ) && !self.only_ships()
            && !self.only_hints()
    }

    /// Seen only by something that others share, in one way: two ways are each other's second sign.
    pub(super) fn only_hints(&self) -> bool {
        let signs = || self.fact.seen.iter().filter(|seen| seen.by != SeenBy::BuiltIn);
        let way = |seen: &Seen| seen.what.split(' ').next().map(str::to_owned);
        let first = signs().next().and_then(way);
        first.is_some() && signs().all(|seen| seen.by == SeenBy::Hint && way(seen) == first)
    }

    /// Seen only as what the system or an editor ships: that says nothing.
    pub(super) fn only_ships(&self) -> bool {
        !self.fact.seen.is_empty() && self.fact.seen.iter().all(|seen| seen.by == SeenBy::BuiltIn)
    }

    /// A program that is not known listens where it would, and no process of its own is.
    pub(super) fn only_a_port(&self) -> bool {
        let seen = |by| self.fact.seen.iter().any(|seen| seen.by == by);
        seen(SeenBy::OnlyPort) && !self.in_use() && !self.serves()
    }

    /// A process of it runs, listens or is connected.
    pub(super) fn in_use(&self) -> bool {
        // Two likenesses of different kinds are a sign together, but not that it runs.
        let live = [SeenBy::Process, SeenBy::IdeTunnel, SeenBy::Listening, SeenBy::Relay];
        self.fact.seen.iter().any(|seen| live.contains(&seen.by))
    }

    pub(super) fn serves(&self) -> bool {
        self.fact.serving || self.fact.session_open == Some(true)
    }

    /// ` (seen as process `x11vnc`, listening on port 5900; since 10:42)`; empty if nothing is known.
    pub(super) fn how(&self) -> String {
        let mut seen: Vec<String> =
            self.fact.seen.iter().map(|s| format!("{} `{}`", s.by.word(), s.what)).collect();
        let more = seen.len().saturating_sub(3);
        seen.truncate(3);
        if more > 0 {
            seen.push(format!("{more} more"));
        }
        let since = self.fact.running_since.map(|at| at.strftime("since %Y-%m-%d %H:%M UTC").to_string());
        let parts: Vec<String> = [(!seen.is_empty()).then(|| format!("seen as {}", seen.join(", "))), since]
            .into_iter()
            .flatten()
            .collect();
        if parts.is_empty() { String::new() } else { format!(" ({})", parts.join("; ")) }
    }
}
