//! Ports: what those of a tool's own process say, and whose a program may be that only its ports speak of.

use std::fmt;

use super::parse::{Entry, Kind};
use super::{Catalogue, Match, Os, Proves};

/// A port of this machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Port {
    /// Somebody may connect to it.
    Tcp(u16),
    /// It takes from anybody.
    Udp(u16),
}

impl Port {
    fn number(self) -> u16 {
        match self {
            Self::Tcp(number) | Self::Udp(number) => number,
        }
    }

    fn is_udp(self) -> bool {
        matches!(self, Self::Udp(_))
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(number) => write!(f, "{number}"),
            Self::Udp(number) => write!(f, "{number}/udp"),
        }
    }
}

impl Catalogue {
    /// A UDP port that a process of this tool waits on as a server. Nothing tells a server's from a client's but its
    /// number: ask only about a process that is a tool's, and only its own ports are ever a hit.
    pub fn by_udp_port(&self, os: Os, tool: &str, port: u16) -> Option<Match<'_>> {
        self.by_port(os, Port::Udp(port)).find(|hit| &*hit.tool.id == tool && hit.proves == Proves::Use)
    }

    /// Whether a tool waits on UDP ports of its own: of all others these need not be read.
    pub fn waits_on_udp(&self, tool: &str) -> bool {
        let own = |entry: &&Entry| {
            self.tools.get(usize::from(entry.tool)).is_some_and(|own| &*own.id == tool)
                && entry.proves == Proves::Use
        };
        self.entries.iter().filter(|entry| entry.udp).any(|entry| own(&entry))
    }

    /// Tools among whose ports this one is. What others listen on too is a hint, and what says nothing of a program that is
    /// not known (a built-in server's port, a protocol's) is none of them.
    pub fn by_port(&self, os: Os, port: Port) -> impl Iterator<Item = Match<'_>> {
        let number = port.number().to_string();
        let candidates: Vec<&Entry> = self.candidates(Kind::Port, &number).collect();
        let wanted = move |entry: &&Entry| {
            entry.udp == port.is_udp()
                && entry.os & os.bit() != 0
                && entry.proves != Proves::Presence
                && entry.pattern.of(&self.text) == number
        };
        candidates
            .into_iter()
            .filter(wanted)
            .map(move |entry| Match { what: port.to_string(), ..self.hit(entry) })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn whose(os: Os, port: Port) -> Vec<(String, Proves)> {
        let c = Catalogue::shipped();
        c.by_port(os, port).map(|hit| (hit.tool.id.to_string(), hit.proves)).collect()
    }

    #[test]
    fn ports_are_a_tools_own_or_shared_with_others_or_nobodys() {
        let is = |id: &str, proves| vec![(id.to_owned(), proves)];
        assert_eq!(whose(Os::Linux, Port::Tcp(5938)), is("teamviewer", Proves::Use));
        assert_eq!(whose(Os::Macos, Port::Tcp(21_118)), is("rustdesk", Proves::Use));
        assert_eq!(whose(Os::Linux, Port::Tcp(4000)), is("nomachine", Proves::Hint));
        assert_eq!(whose(Os::Windows, Port::Tcp(7070)), is("anydesk", Proves::Hint));
        assert_eq!(whose(Os::Windows, Port::Udp(50_001)), is("anydesk", Proves::Hint));
        assert_eq!(whose(Os::Linux, Port::Udp(9993)), is("zerotier", Proves::Use));
        for (os, port) in [(Os::Windows, 3389), (Os::Macos, 5900), (Os::Linux, 5900), (Os::Linux, 22)] {
            assert_eq!(whose(os, Port::Tcp(port)), [], "{port}");
        }
        assert_eq!(whose(Os::Linux, Port::Udp(5938)), []);
    }

    #[test]
    fn where_a_client_hears_of_others_it_does_not_serve() {
        let c = Catalogue::shipped();
        assert!(c.by_udp_port(Os::Linux, "anydesk", 50_001).is_none() && !c.waits_on_udp("anydesk"));
        assert!(c.by_udp_port(Os::Linux, "zerotier", 9993).is_some() && c.waits_on_udp("zerotier"));
    }

    #[test]
    fn no_port_tells_of_two_tools() {
        let c = Catalogue::shipped();
        for (os, entry) in Os::ALL.iter().flat_map(|os| c.entries.iter().map(move |entry| (*os, entry))) {
            if entry.kind != Kind::Port {
                continue;
            }
            let number = entry.pattern.of(&c.text).parse().unwrap();
            let port = if entry.udp { Port::Udp(number) } else { Port::Tcp(number) };
            let tools: BTreeSet<_> = c.by_port(os, port).map(|hit| hit.tool.id.clone()).collect();
            assert!(tools.len() <= 1, "{port} on {os:?}: {tools:?}");
        }
    }
}
