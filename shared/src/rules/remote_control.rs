//! Programs by which others come in, hide where they are, or feign to be there.
//!
//! - **Physical cause**: somebody far away works on the laptop through a program on it, or somebody keeps up the looks of a
//!   person at it. Cause `tool:<catalogue id>`, for jigglers `jiggler`, which a USB jiggler and its moves share.
//! - **Cap** (`tool`, 6 nats; assumption): whatever one program shows, as process, as maker of a pointer, as one of several.
//!   By itself it never makes a farm: developers, families and support firms use the same ones, which is why honest remote
//!   weighs nearly as much. Days on which nearly all input is software's add to it ([`super::input`]). Even so it is like a
//!   laptop in its owner's drawer (the weights file's twins): an alert takes something that such a one does not show.
//!
//! | kind | what it is for a farm | innocent twins | defeated by |
//! |---|---|---|---|
//! | screen, shell | the operator's way in | IT's own tool, sanctioned by id or account; the left-over of a support call; family help | an unknown or renamed program, a meeting's remote control, an IP-KVM |
//! | what the system ships | the same, nothing to install | a switch that IT or a homelab owner set; an SSH session is an administrator's, a copy's or a build's as often as an operator's: little, and only while it is open; more from a public address, from which nobody reaches a laptop behind a router | a session that is closed before it is judged; a tunnel or an overlay for the way in |
//! | editor's tunnel | a shell by the maker's relay | developers, who mean it: B is above Λ | an editor of another name |
//! | reverse tunnel, overlay | makes the laptop reachable behind any router | developers who show a web site, homelabs; the company's own mesh, sanctioned by id | a tunnel in the router; SSH with the destination in its configuration |
//! | personal VPN | hides where the laptop stands | travellers, privacy; Astrill recurs in reports and is rare elsewhere: Λ 4.0, and B that of any private VPN | a VPN in the router |
//! | jiggler | keeps one of several laptops awake | lunch, a long build, somebody whom HR may ask: it alone is not ours to judge | a schedule of real moves, a fan under a mouse |
//! | meeting software | the operator is given control in a call (Sygnia's case) | everybody: it never weighs by itself. Input that software makes while it runs does, in [`super::input`], and ends [`super::no_way_in`] | input that looks like a device's |

use std::collections::BTreeMap;

use super::{Evidence, finding};
use crate::facts::{RemoteTool, Seen, SeenBy, ToolClass};
use crate::finding::{Finding, Group};
use crate::state::FactKey;
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] = &[
    "remote_control.unattended",
    "remote_control.several",
    "remote_control.running",
    "remote_control.hint",
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
    let tools: Vec<Tool> = evidence
        .state
        .all::<RemoteTool>()
        .map(|(key, fact)| Tool { id: key.name().to_owned(), key: key.clone(), fact })
        .filter(|tool| !tool.sanctioned(evidence))
        .collect();
    let mut found: Vec<Finding> = tools.iter().filter_map(|tool| tool.finding(weights)).collect();
    found.extend(several(&tools, weights));
    found
}

/// All tools as facts, by id: several that let somebody in, of different makers.
fn several(tools: &[Tool], weights: &Weights) -> Option<Finding> {
    let controls = |tool: &&Tool| tool.lets_in() && (tool.in_use() || tool.serves());
    let by_id: BTreeMap<&str, &Tool> = tools.iter().filter(controls).map(|tool| (&*tool.id, tool)).collect();
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

struct Tool {
    id: String,
    key: FactKey,
    fact: RemoteTool,
}

impl Tool {
    fn name(&self) -> &str {
        if self.fact.name.is_empty() { &self.id } else { &self.fact.name }
    }

    fn cause(&self) -> String {
        format!("tool:{}", self.id)
    }

    fn sanctioned(&self, evidence: &Evidence<'_>) -> bool {
        let context = evidence.context;
        let account = self.fact.account.as_ref().map(|hash| hash.as_str().to_owned());
        context.sanctioned_tools.contains(&self.id)
            || account.is_some_and(|account| context.sanctioned_accounts.contains(&account))
            || super::is_sanctioned(context, &self.key, None)
    }

    /// A class of which a running one lets somebody else in.
    fn lets_in(&self) -> bool {
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
    fn only_hints(&self) -> bool {
        let signs = || self.fact.seen.iter().filter(|seen| seen.by != SeenBy::BuiltIn);
        let way = |seen: &Seen| seen.what.split(' ').next().map(str::to_owned);
        let first = signs().next().and_then(way);
        first.is_some() && signs().all(|seen| seen.by == SeenBy::Hint && way(seen) == first)
    }

    /// Seen only as what the system or an editor ships: that says nothing.
    fn only_ships(&self) -> bool {
        !self.fact.seen.is_empty() && self.fact.seen.iter().all(|seen| seen.by == SeenBy::BuiltIn)
    }

    /// A process of it runs, listens or is connected.
    fn in_use(&self) -> bool {
        // Two likenesses of different kinds are a sign together, but not that it runs.
        let live = [SeenBy::Process, SeenBy::IdeTunnel, SeenBy::Listening, SeenBy::Relay];
        self.fact.seen.iter().any(|seen| live.contains(&seen.by))
    }

    fn serves(&self) -> bool {
        self.fact.serving || self.fact.session_open == Some(true)
    }

    fn finding(&self, weights: &Weights) -> Option<Finding> {
        let name = self.name();
        let evidence = self.how();
        match self.fact.class {
            ToolClass::BuiltIn => self.built_in(weights),
            _ if self.only_ships() => None,
            // What everybody has proves nothing.
            ToolClass::Meeting => None,
            _ if self.only_hints() => Some(self.hint(weights)),
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

    /// ` (seen as process `x11vnc`, listening on port 5900; since 10:42)`; empty if nothing is known.
    fn how(&self) -> String {
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

/// A finding that may still become policy.
struct Made(Finding);

impl Made {
    fn policy(self) -> Finding {
        Finding { policy: true, ..self.0 }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::testing::Case;
    use super::*;

    fn tool(name: &str, class: ToolClass, by: &[(SeenBy, &str)]) -> RemoteTool {
        let seen = by.iter().map(|(by, what)| Seen { by: *by, what: (*what).to_owned() }).collect();
        RemoteTool { name: name.to_owned(), class, seen, ..RemoteTool::default() }
    }

    fn x11vnc() -> RemoteTool {
        let seen = [(SeenBy::Process, "x11vnc"), (SeenBy::Listening, "5900")];
        let running_since = Some(Timestamp::UNIX_EPOCH);
        RemoteTool { serving: true, running_since, ..tool("x11vnc", ToolClass::RemoteDesktop, &seen) }
    }

    fn ids(case: &Case) -> Vec<String> {
        rule(&case.evidence(), &Weights::shipped()).into_iter().map(|f| f.rule).collect()
    }

    #[test]
    fn a_vnc_server_that_serves_is_policy_and_says_why() {
        let mut case = Case::default();
        case.state.put("x11vnc", &x11vnc());
        let found = rule(&case.evidence(), &Weights::shipped());
        assert_eq!(found.len(), 1);
        assert!(found[0].policy && found[0].llr > 4.0 && found[0].cause == "tool:x11vnc");
        insta::assert_snapshot!(found[0].why, @"x11vnc is running and lets somebody elsewhere see and control this screen, with nobody at the laptop needed (seen as process `x11vnc`, listening port `5900`; since 1970-01-01 00:00 UTC)");
    }

    #[test]
    fn what_it_sanctions_is_no_finding() {
        let mut case = Case::default();
        let account = super::super::testing::key().hash("account", "tenant-1");
        let ours = RemoteTool { account: Some(account.clone()), ..x11vnc() };
        case.state.put("x11vnc", &ours);
        case.context.sanctioned_accounts = vec![account.as_str().to_owned()];
        assert!(ids(&case).is_empty());
        case.context.sanctioned_accounts.clear();
        assert_eq!(ids(&case).len(), 1);
        case.context.sanctioned_tools = vec!["x11vnc".into()];
        assert!(ids(&case).is_empty());
    }

    #[test]
    fn what_the_system_ships_is_found_only_when_it_serves() {
        let mut case = Case::default();
        let ships = [(SeenBy::BuiltIn, "mstsc.exe")];
        case.state.put("windows-remote-desktop", &tool("Windows Remote Desktop", ToolClass::BuiltIn, &ships));
        case.state.put("vscode-tunnel", &tool("VS Code", ToolClass::IdeTunnel, &[(SeenBy::BuiltIn, "code")]));
        let sshd = RemoteTool {
            serving: true,
            ..tool("OpenSSH server", ToolClass::BuiltIn, &[(SeenBy::Listening, "22")])
        };
        case.state.put("openssh-server", &sshd);
        assert!(ids(&case).is_empty());
        case.state.put("openssh-server", &RemoteTool { session_open: Some(true), ..sshd.clone() });
        let found = rule(&case.evidence(), &Weights::shipped());
        assert_eq!(ids(&case), ["remote_control.shell"], "somebody is in");
        assert!(!found[0].policy && found[0].llr < 1.0, "who it is, nobody knows: {found:?}");
        let seen = vec![Seen { by: SeenBy::Internet, what: "the internet".into() }];
        let from_afar = RemoteTool { session_open: Some(true), seen, ..sshd.clone() };
        case.state.put("openssh-server", &from_afar);
        let afar = rule(&case.evidence(), &Weights::shipped());
        assert_eq!(ids(&case), ["remote_control.shell_public"]);
        assert!(afar[0].llr > found[0].llr, "{afar:?}");
        case.state.put("openssh-server", &RemoteTool { session_open: Some(true), ..sshd });
        let on = tool("GNOME Remote Desktop", ToolClass::BuiltIn, &[(SeenBy::Listening, "3389")]);
        case.state.put("gnome-remote-desktop", &RemoteTool { serving: true, ..on });
        assert_eq!(ids(&case), ["remote_control.built_in", "remote_control.shell"]);
    }

    #[test]
    fn two_tools_that_run_are_more_than_one_and_a_left_over_is_less() {
        let mut case = Case::default();
        case.state
            .put("anydesk", &tool("AnyDesk", ToolClass::RemoteDesktop, &[(SeenBy::Package, "anydesk")]));
        assert_eq!(ids(&case), ["remote_control.present"]);
        case.state
            .put("anydesk", &tool("AnyDesk", ToolClass::RemoteDesktop, &[(SeenBy::Process, "anydesk")]));
        assert_eq!(ids(&case), ["remote_control.running"]);
        case.state.put("x11vnc", &x11vnc());
        assert!(ids(&case).contains(&"remote_control.several".to_owned()));
    }

    #[test]
    fn a_name_that_others_share_is_next_to_nothing_until_a_second_sign_comes() {
        let mut case = Case::default();
        let name = (SeenBy::Hint, "process level.exe");
        let level = |by: &[(SeenBy, &str)]| tool("Level", ToolClass::Rmm, by);
        case.state.put("level", &level(&[name]));
        let found = rule(&case.evidence(), &Weights::shipped());
        assert!(found.len() == 1 && found[0].rule == "remote_control.hint" && found[0].llr < 0.2);
        case.state.put("level", &level(&[name, (SeenBy::Hint, "connection to level.example")]));
        assert_eq!(ids(&case), ["remote_control.present"]);
        case.state.put("level", &level(&[name, (SeenBy::Relay, "*.level.io")]));
        assert_eq!(ids(&case), ["remote_control.running"]);
    }

    #[test]
    fn other_kinds_have_their_own_technique_and_group() {
        let mut case = Case::default();
        let process = |name: &'static str| vec![(SeenBy::Process, "p"), (SeenBy::File, name)];
        case.state.put("astrill", &tool("Astrill VPN", ToolClass::PersonalVpn, &process("a")));
        case.state.put("caffeine", &tool("Caffeine", ToolClass::Jiggler, &process("b")));
        case.state.put("ngrok", &tool("ngrok", ToolClass::ReverseTunnel, &process("c")));
        case.state.put("zoom", &tool("Zoom", ToolClass::Meeting, &process("d")));
        let found = rule(&case.evidence(), &Weights::shipped());
        let told: Vec<_> = found.iter().map(|f| (f.rule.as_str(), f.group, f.technique.as_deref())).collect();
        assert_eq!(
            told,
            [
                ("remote_control.astrill", Group::NetworkOrigin, Some("T1090")),
                ("remote_control.jiggler", Group::Input, Some("T1674")),
                ("remote_control.reverse_tunnel", Group::RemoteControl, Some("T1572")),
            ]
        );
    }
}
