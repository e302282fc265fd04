use jiff::Timestamp;

use super::super::testing::Case;
use super::*;
use crate::facts::Seen;

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
    case.state.put("anydesk", &tool("AnyDesk", ToolClass::RemoteDesktop, &[(SeenBy::Package, "anydesk")]));
    assert_eq!(ids(&case), ["remote_control.present"]);
    case.state.put("anydesk", &tool("AnyDesk", ToolClass::RemoteDesktop, &[(SeenBy::Process, "anydesk")]));
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
fn an_unknown_program_on_a_tools_port_is_less_than_the_tool_and_more_than_a_left_over() {
    let mut case = Case::default();
    let port = (SeenBy::OnlyPort, "5938");
    let teamviewer = |by: &[(SeenBy, &str)]| tool("TeamViewer", ToolClass::RemoteDesktop, by);
    let mut found = |by: &[(SeenBy, &str)]| {
        case.state.put("teamviewer", &teamviewer(by));
        rule(&case.evidence(), &Weights::shipped()).remove(0)
    };
    let alone = found(&[port]);
    assert!(alone.rule == "remote_control.port" && !alone.policy, "{alone:?}");
    insta::assert_snapshot!(alone.why, @"a program of no known name, maker or build listens on port 5938, as TeamViewer does: perhaps a renamed copy; only the port says so");
    let (runs, left_over) =
        (found(&[(SeenBy::Process, "teamviewerd"), port]), found(&[(SeenBy::Package, "t")]));
    assert!(runs.rule == "remote_control.running" && alone.llr < runs.llr / 2.0 && alone.llr > left_over.llr);
    assert_eq!(found(&[(SeenBy::Package, "t"), port]).rule, "remote_control.port");
}

#[test]
fn tools_that_only_ports_speak_of_are_not_several() {
    let mut case = Case::default();
    for (id, port) in [("teamviewer", "5938"), ("rustdesk", "21118")] {
        case.state.put(id, &tool(id, ToolClass::RemoteDesktop, &[(SeenBy::OnlyPort, port)]));
    }
    assert_eq!(ids(&case), ["remote_control.port"; 2]);
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
