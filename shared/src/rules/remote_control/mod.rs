//! Programs by which others come in, hide where they are, or feign to be there.
//!
//! - **Physical cause**: somebody far away works on the laptop through a program on it, or somebody keeps up the looks of a
//!   person at it. Cause `tool:<catalogue id>`, for jigglers `jiggler`, which a USB jiggler and its moves share.
//! - **Cap** (`tool`, 6 nats; assumption): whatever one program shows, as process, as maker of a pointer, as one of several.
//!   By itself it never makes a farm: developers, families and support firms use the same ones, which is why honest remote
//!   weighs nearly as much. Days on which nearly all input is software's add to it ([`super::input`]). Even so it is like a
//!   laptop in its owner's drawer (the weights file's twins): an alert takes something that such a one does not show.
//! - **A fleet's own tool** of which IT has not spoken: see [`super::common`].
//!
//! | kind | what it is for a farm | innocent twins | defeated by |
//! |---|---|---|---|
//! | screen, shell | the operator's way in | IT's own tool, sanctioned by id or account; the left-over of a support call; family help | an unknown or renamed program, a meeting's remote control, an IP-KVM |
//! | an unknown program on a tool's own port | a renamed copy of the tool, or one that was built anew | a developer's server on a chance port, another maker's program: it weighs half of a known tool that runs, and is no policy's matter. Ports that others listen on by default count only where the same process has two of the tool's open | another port in the tool's settings; no port at all, as most tools need none; a copy where the system keeps its own programs; a namespace of its own |
//! | what the system ships | the same, nothing to install | a switch that IT or a homelab owner set; an SSH session is an administrator's, a copy's or a build's as often as an operator's: little, and only while it is open; more from a public address, from which nobody reaches a laptop behind a router | a session that is closed before it is judged; a tunnel or an overlay for the way in |
//! | editor's tunnel | a shell by the maker's relay | developers, who mean it: B is above Λ | an editor of another name |
//! | reverse tunnel, overlay | makes the laptop reachable behind any router | developers who show a web site, homelabs; the company's own mesh, sanctioned by id | a tunnel in the router; SSH with the destination in its configuration |
//! | personal VPN | hides where the laptop stands | travellers, privacy; Astrill recurs in reports and is rare elsewhere: Λ 4.0, and B that of any private VPN | a VPN in the router |
//! | jiggler | keeps one of several laptops awake | lunch, a long build, somebody whom HR may ask: it alone is not ours to judge | a schedule of real moves, a fan under a mouse |
//! | meeting software | the operator is given control in a call (Sygnia's case) | everybody: it never weighs by itself. Input that software makes while it runs does, in [`super::input`], and ends [`super::no_way_in`] | input that looks like a device's |

#[cfg(test)]
mod tests;
mod tool;

use std::collections::BTreeMap;

use self::tool::Tool;
use super::{Evidence, finding};
use crate::facts::{RemoteTool, SeenBy, ToolClass};
use crate::finding::{Finding, Group};
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] = &[
    "remote_control.unattended",
    "remote_control.several",
    "remote_control.running",
    "remote_control.hint",
    "remote_control.port",
    "remote_control.present",
    "remote_control.built_in",
    "remote_control.shell",
    "remote_control.shell_public",
    "remote_control.ide_tunnel",
    "remote_control.reverse_tunnel",
    "remote_control.overlay",
    "remote_control.astrill",
    "remote_control.personal_vpn",
    "remote_control.jiggler",
];

/// The system's own shell server: it listens on many laptops and shows no screen, so only a session says something.
const SHELL_SERVER: &str = "openssh-server";

/// The VPN that recurs in reports about farms.
const ASTRILL: &str = "astrill";

/// What remote tools say.
pub fn rule(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    let tools: Vec<Tool<'_>> = evidence
        .state
        .all::<RemoteTool>()
        .map(|(key, fact)| Tool { id: key.name(), key, fact })
        .filter(|tool| !tool.sanctioned(evidence))
        .collect();
    let mut found: Vec<Finding> = tools.iter().filter_map(|tool| tool.finding(weights)).collect();
    found.extend(several(&tools, weights));
    found
}

/// All tools as facts, by id: several that let somebody in, of different makers.
fn several(tools: &[Tool<'_>], weights: &Weights) -> Option<Finding> {
    let controls = |tool: &&Tool<'_>| tool.lets_in() && (tool.in_use() || tool.serves());
    let by_id: BTreeMap<&str, &Tool<'_>> =
        tools.iter().filter(controls).map(|tool| (tool.id, tool)).collect();
    if by_id.len() < 2 {
        return None;
    }
    let names: Vec<&str> = by_id.values().map(|tool| tool.name()).collect();
    let why = format!(
        "{} unrelated remote-control tools run side by side: {}; one is enough for support",
        names.len(),
        names.join(", ")
    );
    // One cause with the strongest of them, so that both together stay under the tool's cap.
    let strongest = by_id.values().find(|tool| tool.serves()).or(by_id.values().next())?;
    let found = finding(weights, "remote_control.several", Group::RemoteControl, strongest.cause(), why);
    let facts = by_id.values().map(|tool| tool.key.clone()).collect();
    Some(Finding { technique: Some("T1219.002".into()), facts, ..found })
}

impl Tool<'_> {
    fn finding(&self, weights: &Weights) -> Option<Finding> {
        let name = self.name();
        let evidence = self.how();
        match self.fact.class {
            ToolClass::BuiltIn => self.built_in(weights),
            _ if self.only_ships() => None,
            // What everybody has proves nothing.
            ToolClass::Meeting => None,
            _ if self.only_hints() => Some(self.hint(weights)),
            _ if self.only_a_port() => Some(self.port(weights)),
            ToolClass::IdeTunnel => {
                let why = format!(
                    "{name} gives a shell and all files of this laptop to whoever holds its account, through the maker's relay{evidence}"
                );
                Some(self.active(weights, "remote_control.ide_tunnel", "T1219.001", why))
            }
            ToolClass::ReverseTunnel => {
                let why = format!(
                    "{name} makes a port of this laptop reachable from the internet, past every firewall{evidence}"
                );
                Some(self.active(weights, "remote_control.reverse_tunnel", "T1572", why))
            }
            ToolClass::Overlay => {
                let why = format!(
                    "{name} puts this laptop into a private network that the company does not see{evidence}"
                );
                Some(self.active(weights, "remote_control.overlay", "T1572", why))
            }
            ToolClass::PersonalVpn => {
                let (id, about) = if self.id == ASTRILL {
                    ("remote_control.astrill", ", the VPN that recurs in reports about laptop farms,")
                } else {
                    ("remote_control.personal_vpn", ", a private VPN,")
                };
                let why = format!(
                    "{name}{about} is on this laptop and hides where its traffic comes from{evidence}"
                );
                let found = self.make(weights, id, "T1090", why).0;
                Some(Finding { group: Group::NetworkOrigin, ..found })
            }
            ToolClass::Jiggler => {
                let why = format!("{name} feigns that somebody is at the laptop or keeps it awake{evidence}");
                let found = self.make(weights, "remote_control.jiggler", "T1674", why).0;
                Some(Finding { group: Group::Input, cause: "jiggler".into(), ..found })
            }
            _ => Some(self.control(weights)),
        }
    }

    /// What the system ships: a finding only while it serves, or talks to its relay; a shell server, while somebody is in.
    fn built_in(&self, weights: &Weights) -> Option<Finding> {
        let (name, evidence) = (self.name(), self.how());
        if self.id == SHELL_SERVER {
            let (rule, who) = if self.fact.is_used_from_internet() {
                ("remote_control.shell_public", "somebody at a public address of the internet")
            } else {
                ("remote_control.shell", "somebody elsewhere")
            };
            let open = self.fact.session_open == Some(true);
            let why = format!("{who} has a shell on this laptop now, by {name}{evidence}");
            return open.then(|| self.make(weights, rule, "T1021.004", why).0);
        }
        if self.serves() {
            let why = format!(
                "{name}, which the system ships, is switched on and lets others control this screen{evidence}"
            );
            return Some(self.make(weights, "remote_control.built_in", "T1219.002", why).policy());
        }
        if self.fact.seen.iter().any(|seen| seen.by == SeenBy::Relay) {
            let why = format!("{name}, which the system ships, is in use: it talks to its relay{evidence}");
            return Some(self.make(weights, "remote_control.running", "T1219.002", why).0);
        }
        None
    }

    /// A name that is an ordinary word, a host of the maker's other products, a client: hardly more than nothing.
    fn hint(&self, weights: &Weights) -> Finding {
        let why = format!(
            "{} may be on this laptop, but others share what was seen of it{}; it takes a second sign",
            self.name(),
            self.how()
        );
        self.make(weights, "remote_control.hint", "T1219.002", why).0
    }

    /// A port: it speaks of a kind of program, not of this one.
    fn port(&self, weights: &Weights) -> Finding {
        let ports = self.fact.seen.iter().filter(|seen| seen.by == SeenBy::OnlyPort);
        let ports: Vec<&str> = ports.map(|seen| seen.what.as_str()).collect();
        let why = format!(
            "a program of no known name, maker or build listens on port {}, as {} does: perhaps a renamed copy; only the port says so",
            ports.join(" and "),
            self.name()
        );
        self.make(weights, "remote_control.port", "T1219.002", why).0
    }

    /// A tool that shows the screen or a shell.
    fn control(&self, weights: &Weights) -> Finding {
        let (name, evidence) = (self.name(), self.how());
        let who = match self.fact.class {
            ToolClass::SharedTerminal => "lets whoever has its link type in a shell of this laptop",
            _ => "lets somebody elsewhere see and control this screen",
        };
        if self.serves() {
            let how = if self.fact.session_open == Some(true) {
                ", and somebody is connected now"
            } else {
                ", with nobody at the laptop needed"
            };
            let why = format!("{name} is running and {who}{how}{evidence}");
            return self.make(weights, "remote_control.unattended", "T1219.002", why).policy();
        }
        if self.in_use() {
            let why = format!("{name} is running, which {who} once it is let in{evidence}");
            return self.make(weights, "remote_control.running", "T1219.002", why).0;
        }
        let why = format!(
            "{name} is on this laptop but not running, perhaps left over from a support call{evidence}"
        );
        self.make(weights, "remote_control.present", "T1219.002", why).0
    }

    /// With the rule's weights if it is in use, with those of mere presence if not.
    fn active(&self, weights: &Weights, id: &str, technique: &str, why: String) -> Finding {
        if self.serves() || self.in_use() {
            return self.make(weights, id, technique, why).0;
        }
        let why = format!("{} is on this laptop but not running{}", self.name(), self.how());
        self.make(weights, "remote_control.present", technique, why).0
    }

    fn make(&self, weights: &Weights, id: &str, technique: &str, why: String) -> Made {
        let found = finding(weights, id, Group::RemoteControl, self.cause(), why);
        Made(Finding { technique: Some(technique.to_owned()), facts: vec![self.key.clone()], ..found })
    }
}

/// A finding that may still become policy.
struct Made(Finding);

impl Made {
    fn policy(self) -> Finding {
        Finding { policy: true, ..self.0 }
    }
}
