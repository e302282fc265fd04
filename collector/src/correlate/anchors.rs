//! Anchors: what a device shows by which it can be found to stand beside another.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use farmwatch_shared::facts::{Display, LinkKind, Network, RemoteTool, UsbDevice};
use farmwatch_shared::id::{HashKey, KeyedHash};
use farmwatch_shared::state::State;
use jiff::{SignedDuration, Timestamp};

use crate::store::{Anchor, AnchorKind, AnchorSeen, Asset};

/// A sighting is written again only when it is older than this, so that a laptop which stays where it is costs
/// no writes.
const REFRESH: SignedDuration = SignedDuration::from_hours(1);

/// A cable, Wi-Fi, a phone: more gateways at once are no laptop's.
const MOST_GATEWAYS: usize = 4;
/// As many as the agent says neighbours.
const MOST_OF_A_KIND: usize = 64;

/// What a device shows now. `speaks` says whether a value may count, `tool_speaks` whether a tool's account may, by
/// the tool's id: what IT sanctions (its own KVM, its own tenant of a tool, a tool of its own, which has one account
/// everywhere) and the addresses of exits say nothing about a place.
pub fn shown(
    state: &State,
    address: Option<IpAddr>,
    speaks: impl Fn(&str) -> bool,
    tool_speaks: impl Fn(&str) -> bool,
) -> BTreeSet<Anchor> {
    let mut anchors = BTreeSet::new();
    let mut add = |kind, value: String| {
        anchors.insert(Anchor { kind, value });
    };
    if let Some(address) = address.and_then(prefix) {
        add(AnchorKind::PublicAddress, address);
    }
    for (_, network) in state.all::<Network>().filter(|(_, network)| is_physical(network)) {
        if let Some(gateway) = &network.gateway {
            add(AnchorKind::Gateway, gateway.as_str().to_owned());
        }
        if let Some(server) = &network.dhcp_server {
            add(AnchorKind::DhcpServer, server.as_str().to_owned());
        }
        for neighbour in network.neighbours.iter().filter(|n| network.gateway.as_ref() != Some(&n.id)) {
            let id = neighbour.id.as_str();
            let named = |maker: &str| if maker.is_empty() { id.to_owned() } else { format!("{maker}/{id}") };
            add(AnchorKind::Neighbour, named(&neighbour.oui));
        }
    }
    let speaks = |hash: &Option<KeyedHash>| hash.clone().filter(|hash| speaks(hash.as_str()));
    for (_, device) in state.all::<UsbDevice>().filter(|(_, device)| device.removable != Some(false)) {
        if let Some(serial) = speaks(&device.serial) {
            let (vendor, product) = (&device.vendor_id, &device.product_id);
            add(AnchorKind::UsbSerial, format!("{vendor}:{product}/{}", serial.as_str()));
        }
    }
    for (_, display) in state.all::<Display>().filter(|(_, display)| !display.built_in) {
        let Some(edid) = &display.edid else { continue };
        if let Some(serial) = speaks(&edid.serial) {
            let (maker, product) = (&edid.manufacturer, edid.product);
            add(AnchorKind::DisplaySerial, format!("{maker}:{product:04x}/{}", serial.as_str()));
        }
    }
    for (key, tool) in state.all::<RemoteTool>().filter(|(key, _)| tool_speaks(key.name())) {
        if let Some(account) = speaks(&tool.account) {
            add(AnchorKind::ToolAccount, format!("{}/{}", key.name(), account.as_str()));
        }
    }
    bounded(anchors)
}

/// The first of each kind: a laptop that claims the anchors of a whole fleet joins few of them.
fn bounded(anchors: BTreeSet<Anchor>) -> BTreeSet<Anchor> {
    let mut counts: BTreeMap<AnchorKind, usize> = BTreeMap::new();
    let fits = |anchor: &Anchor| {
        let count = counts.entry(anchor.kind).or_default();
        *count += 1;
        let links = matches!(anchor.kind, AnchorKind::Gateway | AnchorKind::DhcpServer);
        *count <= if links { MOST_GATEWAYS } else { MOST_OF_A_KIND }
    };
    anchors.into_iter().filter(fits).collect()
}

/// Where IT sent it, as the asset list says, hashed: it is somebody's home. An office, where many were sent, says little.
pub fn shipped_to(asset: Option<&Asset>, key: &HashKey) -> Option<Anchor> {
    let door = asset?.shipped_to.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let value = key.hash("shipped_to", &door).as_str().to_owned();
    (!door.is_empty()).then_some(Anchor { kind: AnchorKind::ShippedTo, value })
}

/// The maker of a neighbour's network hardware, by the first three bytes of its address; `None` if it says none.
pub fn maker_of_neighbour(anchor: &Anchor) -> Option<&str> {
    anchor.value.split_once('/').map(|(maker, _)| maker)
}

/// An address as an anchor: IPv4 as it is, IPv6 by the 56 bits that one customer has. `None` for what is no
/// address of a place: this machine's own, link-local.
pub fn prefix(address: IpAddr) -> Option<String> {
    match address.to_canonical() {
        IpAddr::V4(v4) if v4.is_loopback() || v4.is_unspecified() || v4.is_link_local() => None,
        IpAddr::V4(v4) => Some(v4.to_string()),
        IpAddr::V6(v6) if v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local() => None,
        IpAddr::V6(v6) => {
            let network = Ipv6Addr::from_bits(v6.to_bits() & !((1 << 72) - 1));
            Some(format!("{network}/56"))
        }
    }
}

/// A device's anchors as they are to be written: those shown when it was last heard, and those shown before, traits aside.
/// `None` if that would say nothing new.
pub fn sightings(
    before: &[AnchorSeen],
    shown: &BTreeSet<Anchor>,
    heard: Timestamp,
) -> Option<Vec<AnchorSeen>> {
    let mut all: BTreeMap<&Anchor, AnchorSeen> = BTreeMap::new();
    let mut differs = false;
    for seen in before {
        let current = shown.contains(&seen.anchor);
        let last_seen = if current { heard.max(seen.last_seen) } else { seen.last_seen };
        differs |= current != seen.current || (current && is_stale(seen.last_seen, heard));
        if !current && !seen.anchor.kind.is_kept() {
            continue;
        }
        all.insert(&seen.anchor, AnchorSeen { last_seen, current, ..seen.clone() });
    }
    for anchor in shown {
        all.entry(anchor).or_insert_with(|| {
            differs = true;
            AnchorSeen { anchor: anchor.clone(), first_seen: heard, last_seen: heard, current: true }
        });
    }
    differs.then(|| all.into_values().collect())
}

/// What a device shows now was seen again when it was last heard; whether that is worth writing.
pub fn again(shown: &mut [AnchorSeen], heard: Timestamp) -> bool {
    let stale = shown.iter().any(|seen| seen.current && is_stale(seen.last_seen, heard));
    if stale {
        shown.iter_mut().filter(|seen| seen.current).for_each(|seen| seen.last_seen = heard);
    }
    stale
}

/// A sighting that is to be written again.
pub fn is_stale(last_seen: Timestamp, now: Timestamp) -> bool {
    last_seen + REFRESH <= now
}

/// What a device shows now, of what it has shown.
pub fn current(seen: &[AnchorSeen]) -> BTreeSet<Anchor> {
    seen.iter().filter(|s| s.current).map(|s| s.anchor.clone()).collect()
}

/// Tunnels and links for containers have gateways of their own, which say nothing of the place.
fn is_physical(network: &Network) -> bool {
    !matches!(network.kind, LinkKind::Vpn | LinkKind::Overlay | LinkKind::Virtual)
}

#[cfg(test)]
mod tests {
    use farmwatch_shared::facts;
    use farmwatch_shared::facts::EdidFacts;

    use super::*;

    fn hash(text: &str) -> KeyedHash {
        HashKey::new([9; 32]).hash("test", text)
    }

    #[test]
    fn a_docked_laptop_shows_its_place_and_not_its_own_parts() {
        let mut state = State::default();
        let neighbours = vec![
            facts::Neighbour { id: hash("printer"), oui: String::new() },
            facts::Neighbour { id: hash("router"), oui: String::new() },
        ];
        let wifi =
            Network { kind: LinkKind::Wifi, gateway: Some(hash("router")), neighbours, ..Network::default() };
        state.put("wlan0", &wifi);
        let tunnel = Network { kind: LinkKind::Vpn, gateway: Some(hash("vpn")), ..Network::default() };
        state.put("tun0", &tunnel);
        let camera = UsbDevice { serial: Some(hash("cam")), removable: Some(false), ..UsbDevice::default() };
        state.put("1-8", &camera);
        let dock = UsbDevice {
            vendor_id: "17ef".into(),
            product_id: "a396".into(),
            serial: Some(hash("dock")),
            ..UsbDevice::default()
        };
        state.put("1-4", &dock);
        let ours = UsbDevice { serial: Some(hash("ours")), ..UsbDevice::default() };
        state.put("1-5", &ours);
        let panel = EdidFacts { serial: Some(hash("panel")), ..EdidFacts::default() };
        state.put("eDP-1", &Display { built_in: true, edid: Some(panel), ..Display::default() });

        let speaks = |value: &str| value != hash("ours").as_str();
        let shown = shown(&state, "203.0.113.7".parse().ok(), speaks, |_| true);
        let kinds: Vec<AnchorKind> = shown.iter().map(|anchor| anchor.kind).collect();
        assert_eq!(
            kinds,
            [AnchorKind::PublicAddress, AnchorKind::Gateway, AnchorKind::Neighbour, AnchorKind::UsbSerial]
        );
        assert!(shown.iter().any(|anchor| anchor.value == format!("17ef:a396/{}", hash("dock").as_str())));
    }

    #[test]
    fn a_laptop_that_claims_a_whole_fleets_gateways_and_neighbours_shows_few() {
        let mut state = State::default();
        for n in 0..500 {
            let neighbours =
                (0..500).map(|m| facts::Neighbour { id: hash(&format!("{n} {m}")), oui: String::new() });
            let gateway = Some(hash(&format!("gateway {n}")));
            let network = Network {
                kind: LinkKind::Wifi,
                gateway,
                neighbours: neighbours.collect(),
                ..Network::default()
            };
            state.put(&format!("wlan{n}"), &network);
        }
        assert_eq!(shown(&state, None, |_| true, |_| true).len(), MOST_GATEWAYS + MOST_OF_A_KIND);
    }

    #[test]
    fn the_account_of_its_own_tool_joins_nobody() {
        let mut state = State::default();
        for tool in ["anydesk", "teamviewer"] {
            state.put(tool, &RemoteTool { account: Some(hash(tool)), ..RemoteTool::default() });
        }
        let shown = shown(&state, None, |_| true, |tool| tool != "teamviewer");
        let values: Vec<&str> = shown.iter().map(|anchor| anchor.value.as_str()).collect();
        assert_eq!(values, [format!("anydesk/{}", hash("anydesk").as_str())]);
    }

    #[test]
    fn an_address_is_one_customers() {
        let prefix = |text: &str| prefix(text.parse().unwrap());
        assert_eq!(prefix("203.0.113.7").as_deref(), Some("203.0.113.7"));
        assert_eq!(prefix("::ffff:203.0.113.7").as_deref(), Some("203.0.113.7"));
        assert_eq!(prefix("2001:db8:1:2ff:3::4").as_deref(), Some("2001:db8:1:200::/56"));
        assert_eq!(prefix("127.0.0.1"), None);
        assert_eq!(prefix("fe80::1"), None);
    }

    #[test]
    fn what_was_shown_once_stays_in_history() {
        let at = |hour: i64| Timestamp::from_second(hour * 3600).unwrap();
        let home = Anchor { kind: AnchorKind::Gateway, value: "home".into() };
        let cafe = Anchor { kind: AnchorKind::Gateway, value: "cafe".into() };
        let at_home = sightings(&[], &BTreeSet::from([home.clone()]), at(0)).unwrap();
        assert_eq!(sightings(&at_home, &BTreeSet::from([home.clone()]), at(0)), None);
        let away = sightings(&at_home, &BTreeSet::from([cafe.clone()]), at(5)).unwrap();
        assert_eq!(current(&away), BTreeSet::from([cafe]));
        let home = away.iter().find(|seen| seen.anchor == home).unwrap();
        assert_eq!((home.current, home.last_seen), (false, at(0)));
    }
}
