//! The network sensor on laptops in the field.

use std::fs;

use farmwatch_shared::facts::{Family as _, LinkKind, Network, SensorState, TransitionKind};
use farmwatch_shared::id::HashKey;
use jiff::Timestamp;

use super::super::NetworkSensor;
use crate::sensors::machine::Machine;
use crate::sensors::test::{again, config, now};
use crate::sensors::{Config, Observation};

const GATEWAY: &str = "94:83:c4:11:22:33"; // GL.iNet's
const PRINTER: &str = "00:1b:a9:44:55:66";
const PHONE: &str = "da:a1:19:77:88:99"; // random, as phones do

fn interface(machine: &Machine, index: u32, name: &str, state: &str, extras: &[(&str, &str)]) {
    let dir = format!("sys/class/net/{name}");
    let address = format!("3c:6a:a7:00:00:{index:02x}");
    let number = index.to_string();
    let flags = if state == "down" { "0x1002" } else { "0x1003" };
    let base =
        [("operstate", state), ("flags", flags), ("type", "1"), ("ifindex", &number), ("address", &address)];
    for (file, value) in base.iter().chain(extras) {
        machine.file(&format!("{dir}/{file}"), format!("{value}\n"));
    }
}

fn route(interface: &str, gateway: &str) -> String {
    format!(
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
             {interface}\t00000000\t{gateway}\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
    )
}

fn arp(entries: &[(&str, &str)]) -> String {
    let lines = entries.iter().map(|(ip, mac)| format!("{ip} 0x1 0x2 {mac} * wlp3s0\n"));
    format!("IP address HW type Flags HW address Mask Device\n{}", lines.collect::<String>())
}

/// At home on Wi-Fi, with a VPN's and Docker's interfaces, the cable unplugged.
fn at_home() -> Machine {
    let machine = Machine::new();
    interface(&machine, 1, "lo", "unknown", &[("type", "772")]);
    interface(&machine, 2, "enp0s31f6", "down", &[("device/vendor", "0x8086")]);
    interface(&machine, 3, "wlp3s0", "up", &[("device/vendor", "0x8086"), ("phy80211/name", "phy0")]);
    interface(&machine, 4, "docker0", "up", &[("bridge/bridge_id", "8000")]);
    interface(&machine, 5, "veth1a2b3c", "up", &[("brport/state", "3")]);
    interface(&machine, 6, "tailscale0", "unknown", &[("type", "65534"), ("tun_flags", "0x1001")]);
    interface(
        &machine,
        7,
        "wg-work",
        "unknown",
        &[("type", "65534"), ("uevent", "DEVTYPE=wireguard\nINTERFACE=wg-work")],
    );
    machine.file("proc/net/route", route("wlp3s0", "0101A8C0"));
    machine.file(
        "proc/net/arp",
        arp(&[("192.168.1.1", GATEWAY), ("192.168.1.20", PRINTER), ("192.168.1.31", PHONE)]),
    );
    machine.file("run/systemd/netif/leases/3", "ADDRESS=192.168.1.7\nSERVER_ADDRESS=192.168.1.1\n");
    machine
}

fn look(sensor: &mut NetworkSensor, config: &Config, at: Timestamp) -> Observation {
    again(sensor, config, at)
}

fn network(observation: &Observation, name: &str) -> Option<Network> {
    observation.state.get(name).cloned()
}

#[test]
fn at_home_the_wifi_its_gateway_and_its_neighbours_are_known_by_hashes_only() {
    let machine = at_home();
    let seen = look(&mut NetworkSensor::default(), &config(machine.path()), now());
    let kinds: Vec<_> =
        seen.state.all::<Network>().map(|(name, network)| (name.name().to_owned(), network.kind)).collect();
    let expected = [
        ("docker0", LinkKind::Virtual),
        ("tailscale0", LinkKind::Overlay),
        ("wg-work", LinkKind::Vpn),
        ("wlp3s0", LinkKind::Wifi),
    ];
    assert_eq!(kinds, expected.map(|(name, kind)| (name.to_owned(), kind)));
    let wifi = network(&seen, "wlp3s0").unwrap();
    assert!(wifi.default_route);
    assert_eq!(wifi.gateway, Some(HashKey::new([7; 32]).hash("gateway", GATEWAY)));
    assert_eq!(wifi.gateway_oui.as_deref(), Some("9483c4"));
    assert!(wifi.dhcp_server.is_some());
    let mut ouis: Vec<_> = wifi.neighbours.iter().map(|n| n.oui.as_str()).collect();
    ouis.sort_unstable();
    assert_eq!(ouis, ["", "001ba9"]);
    let sent =
        serde_json::to_string(&seen.state.all::<Network>().map(|(_, n)| n).collect::<Vec<_>>()).unwrap();
    for secret in ["192.168", "11:22:33", "44:55:66", "77:88:99"] {
        assert!(!sent.contains(secret), "{secret} in {sent}");
    }
}

#[test]
fn below_level_2_nothing_of_neighbours_leaves_the_laptop() {
    let machine = at_home();
    let config = Config { level_2: false, ..config(machine.path()) };
    let mut sensor = NetworkSensor::default();
    assert!(network(&look(&mut sensor, &config, now()), "wlp3s0").unwrap().neighbours.is_empty());
    assert!(network(&look(&mut sensor, &config, now()), "wlp3s0").unwrap().gateway.is_some());
}

#[test]
fn a_server_that_is_not_on_the_segment_has_no_identity() {
    let machine = at_home();
    machine.file("run/systemd/netif/leases/3", "SERVER_ADDRESS=10.0.0.1\n");
    let seen = look(&mut NetworkSensor::default(), &config(machine.path()), now());
    assert_eq!(network(&seen, "wlp3s0").unwrap().dhcp_server, None);
}

#[test]
fn an_arp_entry_that_expires_does_not_move_the_laptop() {
    let machine = at_home();
    let config = config(machine.path());
    let mut sensor = NetworkSensor::default();
    let before = network(&look(&mut sensor, &config, now()), "wlp3s0").unwrap();
    machine.file("proc/net/arp", arp(&[]));
    let after = network(&look(&mut sensor, &config, now()), "wlp3s0").unwrap();
    assert_eq!(before, after);
}

#[test]
fn a_lost_and_regained_default_route_is_told_once_each_and_the_first_look_tells_nothing() {
    let machine = at_home();
    let config = config(machine.path());
    let mut sensor = NetworkSensor::default();
    let second = |n: i64| Timestamp::from_second(now().as_second() + n).unwrap();
    let mut told = Vec::new();
    for (n, table) in [(0, "up"), (1, "up"), (2, ""), (3, ""), (4, "up")] {
        machine.file(
            "proc/net/route",
            if table.is_empty() { String::new() } else { route("wlp3s0", "0101A8C0") },
        );
        told.extend(look(&mut sensor, &config, second(n)).transitions);
    }
    let told: Vec<_> = told.iter().map(|t| (t.at, t.kind)).collect();
    assert_eq!(
        told,
        [(second(2), TransitionKind::NetworkLost), (second(4), TransitionKind::NetworkRegained)]
    );
}

#[test]
fn another_gateway_is_another_network_and_a_docks_cable_at_home_is_not() {
    const OFFICE: &str = "00:0c:29:77:00:01";
    let machine = at_home();
    let config = config(machine.path());
    let mut sensor = NetworkSensor::default();
    let mut told = || {
        let kinds = look(&mut sensor, &config, now()).transitions.into_iter().map(|t| t.kind);
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(told(), []);
    interface(&machine, 2, "enp0s31f6", "up", &[("device/vendor", "0x8086")]);
    machine.file("proc/net/route", route("enp0s31f6", "0101A8C0"));
    let at_the_dock = format!("192.168.1.1 0x1 0x2 {GATEWAY} * enp0s31f6\n");
    machine.file("proc/net/arp", format!("IP address HW type Flags HW address Mask Device\n{at_the_dock}"));
    assert_eq!(told(), [], "the same gateway over a cable");
    machine.file("proc/net/route", route("wlp3s0", "0101A8C0"));
    machine.file("proc/net/arp", arp(&[("192.168.1.1", OFFICE)]));
    assert_eq!(told(), [TransitionKind::NetworkChanged], "an address that is the same everywhere");
    assert_eq!(told(), [], "told once");
}

#[test]
fn at_most_64_neighbours_are_kept_and_silent_ones_are_forgotten() {
    let machine = at_home();
    let config = config(machine.path());
    let mut sensor = NetworkSensor::default();
    let many: Vec<(String, String)> =
        (2..250).map(|n| (format!("192.168.1.{n}"), format!("00:1b:a9:00:00:{n:02x}"))).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(ip, mac)| (ip.as_str(), mac.as_str())).collect();
    machine.file("proc/net/arp", arp(&many));
    let count = |seen: &Observation| network(seen, "wlp3s0").unwrap().neighbours.len();
    assert_eq!(count(&look(&mut sensor, &config, now())), 64);
    machine.file("proc/net/arp", arp(&[]));
    let hours = |n: i64| Timestamp::from_second(now().as_second() + n * 3600).unwrap();
    assert_eq!(count(&look(&mut sensor, &config, hours(11))), 64);
    assert_eq!(count(&look(&mut sensor, &config, hours(13))), 0);
}

#[test]
fn tables_that_lie_cost_sight_and_nothing_else() {
    let machine = at_home();
    machine.file("proc/net/arp", vec![0xff; 2 << 20]);
    let seen = crate::sensors::test::look(Network::NAME, machine.path());
    let status: &farmwatch_shared::facts::SensorStatus = seen.state.get(Network::NAME).unwrap();
    assert_eq!(status.state, SensorState::Blind);
    fs::remove_file(machine.path().join("proc/net/arp")).unwrap();
    machine.file("sys/class/net/wlp3s0/flags", [0xff, 0xfe]);
    let seen = crate::sensors::test::look(Network::NAME, machine.path());
    assert_eq!(network(&seen, "wlp3s0"), None);
    assert!(network(&seen, "tailscale0").is_some());
}
