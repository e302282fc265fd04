//! Renamed and portable copies: what a program says of itself, when its name says nothing.

use super::parse::Kind;
use super::{Catalogue, Match, Os, Proves};
use crate::program::Program;

impl Catalogue {
    /// A program by what its own bytes say: the names that it was built with, its product, who made or signed it,
    /// its bundle and team, the module or build that it came from, the libraries that it needs. The most telling comes
    /// first; a maker that makes other things too is a hint at most.
    pub fn by_program(&self, os: Os, program: &Program) -> Option<Match<'_>> {
        let ways: [(Kind, &[String]); 7] = [
            (Kind::Bundle, program.bundle.as_slice()),
            (Kind::Module, &program.modules),
            (Kind::BuildId, program.build_id.as_slice()),
            (Kind::Product, &program.products),
            (Kind::Maker, &program.makers),
            (Kind::Team, program.team.as_slice()),
            (Kind::Needs, &program.needs),
        ];
        let named = program.names.iter().filter_map(|name| self.by_process(os, name, None));
        let said = ways.into_iter().flat_map(|(kind, values)| values.iter().map(move |value| (kind, value)));
        let said = said.filter_map(|(kind, value)| self.named(kind, os, value));
        // The first of those that prove most.
        named
            .chain(said)
            .filter(|hit| hit.proves != Proves::Presence)
            .reduce(|best, hit| if hit.proves > best.proves { hit } else { best })
    }

    /// Texts that a tool's program has in its data and no other does: sought as they stand, without stars, in a
    /// program that nothing else names.
    pub fn marks(&self, os: Os) -> impl Iterator<Item = &str> {
        self.patterns(Kind::Mark, os).map(|(_, mark, _)| mark)
    }

    /// Whose mark this is.
    pub fn by_mark(&self, os: Os, mark: &str) -> Option<Match<'_>> {
        self.named(Kind::Mark, os, mark)
    }
}
