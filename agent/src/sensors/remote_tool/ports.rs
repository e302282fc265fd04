//! Tools of which nothing speaks but the ports on which an unknown program listens: copies that were renamed, stripped and
//! built anew. Pure.
//!
//! A port that only one tool has by default tells by itself, unless the system hands out such numbers to whoever asks for
//! any, or the program is the system's own. Of ports that others listen on too (4000, 7070) the same process must have two
//! of the tool's open, whosever program it is. Nothing of the program leaves the laptop: only the tool's id and the port.
//!
//! - **Innocent twins**: a developer's server that was given such a port; another maker's program on it. Default ports of
//!   common servers and of what desktops run give none (see the tests).
//! - **Defeated by** another port in the tool's settings, a tool that opens none (most only connect to relays), a program
//!   that an administrator puts where the system keeps its own or into a network namespace of its own.

use std::collections::{BTreeMap, BTreeSet};

use farmwatch_shared::catalogue::{Catalogue, Os, Port, Proves};

/// What is known of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is a tool of the catalogue, or something harmless that the catalogue knows.
    Known,
    /// The system's or its package manager's own, or somebody answers for it by a signature that the system checks.
    Stock,
    /// Nothing.
    Unknown,
}

/// An unknown program has a port open as a tool does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Alike {
    /// The tool's id.
    pub(super) tool: Box<str>,
    pub(super) port: Port,
}

/// Of the ports that are open on this machine, those whose processes would have to be known, each with what its system
/// tells of it. Those of UDP are asked for only where one of TCP's may need a second.
pub(super) fn to_look_for<T>(
    catalogue: &Catalogue,
    os: Os,
    tcp: impl IntoIterator<Item = (T, u16)>,
    udp: impl FnOnce() -> Vec<(T, u16)>,
) -> Vec<(T, Port)> {
    let of_tools = |(of, port): (T, Port)| catalogue.by_port(os, port).next().map(|_| (of, port));
    let tcp = tcp.into_iter().map(|(of, port)| (of, Port::Tcp(port)));
    let mut open: Vec<(T, Port)> = tcp.filter_map(of_tools).collect();
    if open.is_empty() {
        return open;
    }
    open.extend(udp().into_iter().map(|(of, port)| (of, Port::Udp(port))).filter_map(of_tools));
    let all = open.iter().map(|(_, port)| (0, *port));
    let telling = of_processes(catalogue, os, all).into_values().filter(Ports::may_tell);
    let telling: BTreeSet<Port> = telling.flat_map(|own| own.all).collect();
    open.retain(|(_, port)| telling.contains(port));
    open
}

/// Tools as which processes listen. `standing` is asked of such processes alone.
pub(super) fn alike(
    catalogue: &Catalogue,
    os: Os,
    open: impl IntoIterator<Item = (u32, Port)>,
    mut standing: impl FnMut(u32) -> Standing,
) -> BTreeSet<Alike> {
    let mut found = BTreeSet::new();
    for ((pid, tool), own) in of_processes(catalogue, os, open) {
        let tells = own.may_tell()
            && match standing(pid) {
                Standing::Known => false,
                Standing::Stock => own.several(),
                Standing::Unknown => true,
            };
        if tells {
            found.extend(own.all.iter().map(|port| Alike { tool: tool.into(), port: *port }));
        }
    }
    found
}

/// Ports of one tool that one process has open.
#[derive(Debug, Default)]
struct Ports {
    all: BTreeSet<Port>,
    /// One of them tells by itself.
    alone: bool,
}

impl Ports {
    fn several(&self) -> bool {
        self.all.len() > 1 && self.all.iter().any(|port| matches!(port, Port::Tcp(_)))
    }

    fn may_tell(&self) -> bool {
        self.alone || self.several()
    }
}

fn of_processes(
    catalogue: &Catalogue,
    os: Os,
    open: impl IntoIterator<Item = (u32, Port)>,
) -> BTreeMap<(u32, &str), Ports> {
    let mut found: BTreeMap<(u32, &str), Ports> = BTreeMap::new();
    for (pid, port) in open {
        for hit in catalogue.by_port(os, port) {
            let own = found.entry((pid, &hit.tool.id)).or_default();
            own.all.insert(port);
            own.alone |= hit.proves == Proves::Use && tells_alone(os, port);
        }
    }
    found
}

/// A server's port: neither UDP's, where a client's socket looks the same, nor one of those that are handed out to whoever
/// asks for any (Linux' `ip_local_port_range`; RFC 6335).
fn tells_alone(os: Os, port: Port) -> bool {
    let handed_out = if os == Os::Linux { 32_768 } else { 49_152 };
    matches!(port, Port::Tcp(number) if number < handed_out)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    /// Ports that common programs of developers, desktops and offices listen on by default.
    const COMMON: &str = include_str!("common_ports.txt");

    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::shipped);

    fn tools(os: Os, open: &[(u32, Port)], standing: Standing) -> Vec<String> {
        let catalogue = &*CATALOGUE;
        let of = |(pid, port): &(u32, Port)| match port {
            Port::Tcp(number) => (Some((*pid, *number)), None),
            Port::Udp(number) => (None, Some((*pid, *number))),
        };
        let tcp = open.iter().filter_map(|open| of(open).0);
        let udp = || open.iter().filter_map(|open| of(open).1).collect();
        let wanted = to_look_for(catalogue, os, tcp, udp);
        let found = alike(catalogue, os, wanted.iter().copied(), |_| standing);
        assert_eq!(
            found,
            alike(catalogue, os, open.iter().copied(), |_| standing),
            "as if all were asked for"
        );
        found.into_iter().map(|alike| format!("{} {}", alike.tool, alike.port)).collect()
    }

    fn tcp(os: Os, ports: &[u16], standing: Standing) -> Vec<String> {
        let open: Vec<_> = ports.iter().map(|port| (7, Port::Tcp(*port))).collect();
        tools(os, &open, standing)
    }

    #[test]
    fn an_unknown_program_on_a_port_that_only_one_tool_has_is_alike_and_others_are_not() {
        for os in Os::ALL {
            assert_eq!(tcp(os, &[5938], Standing::Unknown), ["teamviewer 5938"]);
            assert_eq!(tcp(os, &[22, 21_118], Standing::Unknown), ["rustdesk 21118"]);
            for standing in [Standing::Known, Standing::Stock] {
                assert_eq!(tcp(os, &[5938], standing), [""; 0], "{standing:?}");
            }
        }
    }

    #[test]
    fn several_of_one_tools_ports_tell_whosever_program_it_is_unless_it_is_known() {
        let (a, b) = (Port::Tcp(7070), Port::Udp(50_001));
        for os in Os::ALL {
            for standing in [Standing::Stock, Standing::Unknown] {
                assert_eq!(tools(os, &[(7, a), (7, b)], standing), ["anydesk 7070", "anydesk 50001/udp"]);
                assert_eq!(tools(os, &[(7, a)], standing), [""; 0], "Javalin's and others'");
                assert_eq!(tools(os, &[(7, a), (8, b)], standing), [""; 0], "of two processes");
                assert_eq!(tools(os, &[(7, b)], standing), [""; 0], "of a range that is handed out");
            }
            assert_eq!(tools(os, &[(7, a), (7, b)], Standing::Known), [""; 0]);
        }
    }

    #[test]
    fn a_port_that_the_system_may_hand_out_tells_with_another_of_the_set_only() {
        assert_eq!(tcp(Os::Linux, &[47_989], Standing::Unknown), [""; 0]);
        assert_eq!(tcp(Os::Windows, &[47_989], Standing::Unknown), ["sunshine 47989"]);
        let sunshine = ["sunshine 47984", "sunshine 47989", "sunshine 47990"];
        assert_eq!(tcp(Os::Linux, &[47_984, 47_989, 47_990], Standing::Unknown), sunshine);
    }

    /// As one process has them open, all that a program has by default together, and nothing is known of that program.
    #[test]
    fn what_developers_desktops_and_offices_run_is_alike_to_nothing() {
        let mut programs = 0;
        for line in COMMON.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (ports, program) = line.split_once('\t').expect("ports, a tab, the program");
            let open: Vec<(u32, Port)> = ports
                .split(' ')
                .map(|port| match port.strip_suffix("/udp") {
                    Some(number) => (7, Port::Udp(number.parse().unwrap())),
                    None => (7, Port::Tcp(port.parse().unwrap())),
                })
                .collect();
            for os in Os::ALL {
                assert_eq!(tools(os, &open, Standing::Unknown), [""; 0], "{program} on {os:?}");
            }
            programs += 1;
        }
        assert!(programs > 120, "{programs}");
    }

    #[test]
    fn a_developers_server_on_a_port_that_comes_to_mind_is_alike_to_nothing() {
        for os in Os::ALL {
            let round = (1..=655u16).map(|n| n * 100);
            let repeated = (1..=9u16).flat_map(|n| [n * 1111, n * 1010, n * 1100 + n]);
            let next = (0..20u16).flat_map(|n| [3000 + n, 4000 + n, 5000 + n, 8000 + n, 8080 + n, 9000 + n]);
            for port in round.chain(repeated).chain(next).chain([1234, 1337, 4321, 12_345, 54_321]) {
                assert_eq!(tcp(os, &[port], Standing::Unknown), [""; 0], "{port}");
            }
        }
    }

    #[test]
    fn a_socket_on_whatever_port_is_free_is_alike_to_nothing() {
        for (os, mut handed_out) in [(Os::Linux, 32_768..=60_999), (Os::Windows, 49_152..=65_535)] {
            assert!(handed_out.all(|port| !tells_alone(os, Port::Tcp(port))));
        }
        // Weave Net, which runs on Linux alone, has Splashtop's.
        assert_eq!(tcp(Os::Linux, &[6783, 6784], Standing::Unknown), [""; 0]);
    }

    proptest! {
        #[test]
        fn whatever_is_open_nothing_is_told_of_known_programs_or_but_of_the_catalogue(
            open in prop::collection::vec((0u32..4, any::<bool>(), any::<u16>()), 0..200),
        ) {
            let port = |udp, number| if udp { Port::Udp(number) } else { Port::Tcp(number) };
            let open: Vec<_> = open.into_iter().map(|(pid, udp, number)| (pid, port(udp, number))).collect();
            prop_assert!(tools(Os::Linux, &open, Standing::Known).is_empty());
            let all = tools(Os::Linux, &open, Standing::Unknown);
            let stock = tools(Os::Linux, &open, Standing::Stock);
            prop_assert!(stock.iter().all(|one| all.contains(one)));
        }
    }
}
