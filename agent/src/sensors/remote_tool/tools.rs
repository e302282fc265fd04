//! Puts together what was seen of each tool.

use std::collections::{BTreeMap, BTreeSet};

use farmwatch_shared::catalogue::{Catalogue, Match, Os, Proves};
use farmwatch_shared::facts::{RemoteTool, Seen, SeenBy, ToolClass};
use farmwatch_shared::id::KeyedHash;
use jiff::Timestamp;

use super::ports::Alike;

/// Most ways that are told of one tool.
const MOST_SEEN: usize = 32;

/// A hit of the catalogue that outlives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    /// The tool's id.
    pub(super) tool: Box<str>,
    /// What of the catalogue matched.
    pub(super) what: String,
    /// It waits for a far end; `None` where the match does not tell.
    pub(super) serving: Option<bool>,
    /// It only shows that something is there which need not let anybody in.
    pub(super) presence: bool,
    /// Others share what was seen: a second sign must come.
    pub(super) hint: bool,
    /// It is there only while somebody is connected.
    pub(super) session: bool,
}

impl From<Match<'_>> for Hit {
    fn from(hit: Match<'_>) -> Self {
        Self {
            tool: hit.tool.id.clone(),
            what: hit.what,
            serving: hit.serving,
            presence: hit.proves == Proves::Presence,
            hint: hit.proves == Proves::Hint,
            session: hit.session,
        }
    }
}

/// What one running process says of its tool.
#[derive(Clone, Debug)]
pub(super) struct Runs<'a> {
    pub(super) hit: &'a Hit,
    /// Its start, to the minute.
    pub(super) since: Option<Timestamp>,
    pub(super) sockets: &'a Sockets,
}

/// Most TCP ports that are told of one process.
pub(super) const MOST_PORTS: usize = 16;

/// What a process's sockets say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sockets {
    /// TCP ports it listens on.
    pub(super) ports: BTreeSet<u16>,
    /// Somebody is connected to one of them.
    pub(super) connected: bool,
    /// Who is connected comes from a public address.
    pub(super) from_internet: bool,
    /// UDP ports it waits on: a server's, or for an answer to a client. Only the catalogue can tell, so where it names
    /// none of the tool's these need not be read.
    pub(super) udp: BTreeSet<u16>,
}

/// Tools by id.
#[derive(Debug)]
pub(super) struct Tools {
    os: Os,
    by_id: BTreeMap<Box<str>, RemoteTool>,
}

impl Tools {
    /// None yet, of this system.
    pub(super) fn of(os: Os) -> Self {
        Self { os, by_id: BTreeMap::new() }
    }

    /// Adds a running process.
    ///
    /// What the system ships is told only while it runs, as built in; other things that merely could let
    /// somebody in (an editor without a tunnel, a viewer, a games' shop that streams) are nobody's business until a port is
    /// open that they open for a session alone.
    pub(super) fn runs(&mut self, catalogue: &Catalogue, process: &Runs<'_>) {
        let hit = process.hit;
        let Some((name, class)) = known(catalogue, &hit.tool) else { return };
        let Sockets { ports, connected, from_internet, udp } = process.sockets;
        let waits = udp.iter().filter_map(|port| catalogue.by_udp_port(self.os, &hit.tool, *port));
        let waits: Vec<Match<'_>> = waits.collect();
        if hit.presence && class != ToolClass::BuiltIn {
            if let Some(port) = waits.iter().find(|port| port.session) {
                let tool = self.tool(&hit.tool, name, class);
                see(tool, SeenBy::Listening, &port.what);
                (tool.serving, tool.session_open) = (true, Some(true));
            }
            return;
        }
        let tool = self.tool(&hit.tool, name, class);
        // A port of its own is the second sign.
        if hit.hint && ports.is_empty() && waits.is_empty() {
            return see(tool, SeenBy::Hint, &SeenBy::Process.hint(&hit.what));
        }
        let by = if hit.presence { SeenBy::BuiltIn } else { SeenBy::Process };
        see(tool, by, &hit.what);
        if class == ToolClass::IdeTunnel && !hit.presence {
            see(tool, SeenBy::IdeTunnel, &hit.what);
        }
        tool.running_since = match (tool.running_since, process.since) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        if hit.session || waits.iter().any(|port| port.session) {
            tool.session_open = Some(true);
        }
        let listens = !ports.is_empty();
        tool.serving |= hit.serving.unwrap_or(listens || !waits.is_empty());
        waits.iter().for_each(|port| see(tool, SeenBy::Listening, &port.what));
        if listens {
            ports.iter().for_each(|port| see(tool, SeenBy::Listening, &port.to_string()));
            tool.session_open = Some(tool.session_open == Some(true) || *connected);
            if *connected && *from_internet {
                see(tool, SeenBy::Internet, "the internet");
            }
        }
    }

    /// Adds something installed. What every system ships is nothing to tell.
    pub(super) fn installed(&mut self, catalogue: &Catalogue, by: SeenBy, hit: &Hit) {
        let Some((name, class)) = known(catalogue, &hit.tool) else { return };
        if hit.hint {
            see(self.tool(&hit.tool, name, class), SeenBy::Hint, &by.hint(&hit.what));
        } else if !hit.presence {
            see(self.tool(&hit.tool, name, class), by, &hit.what);
        }
    }

    /// Adds a port on which an unknown program listens as a tool does. Of the program that is all.
    pub(super) fn alike(&mut self, catalogue: &Catalogue, alike: &Alike) {
        let Some((name, class)) = known(catalogue, &alike.tool) else { return };
        see(self.tool(&alike.tool, name, class), SeenBy::OnlyPort, &alike.port.to_string());
    }

    /// Adds the account that a tool is set up with, if the tool was seen.
    pub(super) fn account(&mut self, tool: &str, account: &KeyedHash) {
        if let Some(tool) = self.by_id.get_mut(tool) {
            tool.account = Some(account.clone());
        }
    }

    /// All tools.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &RemoteTool)> {
        self.by_id.iter().map(|(id, tool)| (&**id, tool))
    }

    fn tool(&mut self, id: &str, name: &str, class: ToolClass) -> &mut RemoteTool {
        let fresh = || RemoteTool { name: name.to_owned(), class, ..RemoteTool::default() };
        self.by_id.entry(id.into()).or_insert_with(fresh)
    }
}

fn known<'a>(catalogue: &'a Catalogue, id: &str) -> Option<(&'a str, ToolClass)> {
    catalogue.tool(id).map(|tool| (&*tool.name, tool.class))
}

/// Notes a way of seeing, once, in order.
fn see(tool: &mut RemoteTool, by: SeenBy, what: &str) {
    let seen = Seen { by, what: what.to_owned() };
    if let Err(place) = tool.seen.binary_search(&seen)
        && tool.seen.len() < MOST_SEEN
    {
        tool.seen.insert(place, seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CATALOGUE: &str = "farmwatch-catalogue 1
tool vnc remote_desktop A VNC server
linux process vncd ; serving
tool helper rmm A helper
linux process helper
tool sshd built_in OpenSSH
linux process sshd ; presence
tool editor ide_tunnel An editor
linux process editor ; presence
tool mesh overlay A mesh network
linux process meshd
linux process mesh ; hint
all port 9993 ; udp
tool stream streaming A streaming server
linux process streamd ; serving
linux port 47998 ; udp ; session
";

    fn tool(lines: &[(&str, &[u16], bool)]) -> Vec<(String, RemoteTool)> {
        let catalogue = Catalogue::parse(CATALOGUE).unwrap();
        let mut tools = Tools::of(Os::Linux);
        for (name, ports, connected) in lines {
            let ports = ports.iter().copied().collect();
            let sockets = Sockets { ports, connected: *connected, ..Sockets::default() };
            runs(&mut tools, &catalogue, name, &sockets);
        }
        tools.all().map(|(id, tool)| (id.to_owned(), tool.clone())).collect()
    }

    fn runs(tools: &mut Tools, catalogue: &Catalogue, name: &str, sockets: &Sockets) {
        let hit = catalogue.by_process(Os::Linux, name, None).unwrap().into();
        tools.runs(catalogue, &Runs { hit: &hit, since: None, sockets });
    }

    fn on_udp(name: &str, udp: &[u16]) -> RemoteTool {
        let catalogue = Catalogue::parse(CATALOGUE).unwrap();
        let mut tools = Tools::of(Os::Linux);
        let udp = udp.iter().copied().collect();
        runs(&mut tools, &catalogue, name, &Sockets { udp, ..Sockets::default() });
        tools.all().next().unwrap().1.clone()
    }

    #[test]
    fn a_tool_that_waits_on_a_udp_port_of_its_own_serves_and_a_client_of_any_does_not() {
        let mesh = on_udp("meshd", &[9993, 53_122]);
        assert!(
            mesh.serving && mesh.session_open.is_none(),
            "nothing tells who sends to a UDP port: {mesh:?}"
        );
        let ports: Vec<_> = mesh.seen.iter().filter(|seen| seen.by == SeenBy::Listening).collect();
        assert_eq!(ports, [&Seen { by: SeenBy::Listening, what: "9993/udp".into() }]);
        let client = on_udp("meshd", &[5353, 53_122, 47_998]);
        assert!(!client.serving && client.running(), "a port of nobody's, and of another tool's");
        assert_eq!(on_udp("mesh", &[53_122]).seen[0].by, SeenBy::Hint);
        assert!(on_udp("mesh", &[9993]).running(), "its own port is the second sign");
    }

    #[test]
    fn a_port_that_is_open_only_while_somebody_is_connected_is_a_session() {
        assert_eq!(on_udp("streamd", &[47_998]).session_open, Some(true));
        assert_eq!(on_udp("streamd", &[50_000]).session_open, None);
        let catalogue = Catalogue::parse(CATALOGUE).unwrap();
        let mut tools = Tools::of(Os::Linux);
        let sockets = Sockets { ports: [47_989].into(), udp: [47_998].into(), ..Sockets::default() };
        runs(&mut tools, &catalogue, "streamd", &sockets);
        assert_eq!(tools.all().next().unwrap().1.session_open, Some(true));
    }

    #[test]
    fn a_games_shop_is_nobodys_business_until_somebody_plays_from_afar() {
        let catalogue = Catalogue::shipped();
        let steam = |udp: &[u16]| {
            let mut tools = Tools::of(Os::Windows);
            let hit: Hit = catalogue.by_process(Os::Windows, "steam.exe", None).unwrap().into();
            let udp = udp.iter().copied().collect();
            let sockets = Sockets { ports: [27_036].into(), connected: true, udp, ..Sockets::default() };
            tools.runs(&catalogue, &Runs { hit: &hit, since: None, sockets: &sockets });
            tools.all().next().map(|(_, tool)| tool.clone())
        };
        assert_eq!(
            steam(&[27_036]),
            None,
            "another of the family's computers, which only asks what there is"
        );
        let streams = steam(&[27_031, 27_036]).unwrap();
        assert!(streams.serving && streams.session_open == Some(true), "{streams:?}");
    }

    #[test]
    fn a_server_serves_before_its_port_is_open_and_a_helper_once_it_listens() {
        let got = tool(&[("vncd", &[], false)]);
        assert!(got[0].1.serving && got[0].1.session_open.is_none());
        let got = tool(&[("helper", &[], false)]);
        assert!(!got[0].1.serving && got[0].1.running());
        let got = tool(&[("helper", &[7070], false), ("helper", &[], false)]);
        assert!(got[0].1.serving);
        assert_eq!(got[0].1.session_open, Some(false));
        assert!(got[0].1.seen.contains(&Seen { by: SeenBy::Listening, what: "7070".into() }));
    }

    #[test]
    fn what_the_system_ships_is_built_in_and_an_idle_editor_is_nothing() {
        let got = tool(&[("sshd", &[22], true), ("editor", &[], false)]);
        assert_eq!(got.len(), 1);
        assert!(!got[0].1.running());
        assert_eq!(got[0].1.session_open, Some(true));
    }
}
