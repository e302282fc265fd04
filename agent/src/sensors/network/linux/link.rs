//! Network interfaces from `/sys/class/net`: which are up, and of what kind.

use std::path::Path;

use farmwatch_shared::facts::LinkKind;

use super::super::mac::Mac;
use super::super::segment::Link;
use crate::sensors::read::{self, MANY, ReadError};
use crate::sensors::sysfs;

/// `ARPHRD_ETHER`.
const ETHERNET: &str = "1";
/// `ARPHRD_LOOPBACK`.
const LOOPBACK: &str = "772";
/// `IFF_UP`.
const UP: u32 = 1;

/// How interfaces of overlay networks are called: Tailscale, ZeroTier, Nebula, NetBird, Hamachi, Yggdrasil.
const OVERLAYS: [&str; 8] = ["tailscale", "zt", "nebula", "netbird", "wt", "ham", "ygg", "mesh"];
/// How interfaces of VPN clients are called, of which not all are tunnels by the kernel's word.
const VPNS: [&str; 12] =
    ["tun", "tap", "wg", "ppp", "ipsec", "vti", "utun", "cscotun", "gpd", "nordlynx", "proton", "mullvad"];

/// Every interface that is up, loopback left out.
pub fn links(class: &Path) -> Result<Vec<Link>, ReadError> {
    let names = read::names(class, MANY)?;
    Ok(names.into_iter().filter_map(|name| link(&class.join(&name), name)).collect())
}

fn link(dir: &Path, name: String) -> Option<Link> {
    let attribute = |name: &str| read::attribute(&dir.join(name));
    let up = sysfs::hex(dir, "flags")? & UP != 0;
    let running = matches!(attribute("operstate").as_deref(), Some("up" | "unknown"));
    if !up || !running || attribute("type").as_deref() == Some(LOOPBACK) {
        return None;
    }
    Some(Link {
        kind: kind(dir, &name),
        index: attribute("ifindex").and_then(|n| n.parse().ok()),
        mac: attribute("address").as_deref().and_then(Mac::parse),
        bridged: dir.join("brport").exists(),
        name,
    })
}

fn kind(dir: &Path, name: &str) -> LinkKind {
    let has = |entry: &str| dir.join(entry).exists();
    let uevent = read::text(&dir.join("uevent"), read::SMALL).unwrap_or_default();
    let device_type = uevent.lines().find_map(|line| line.strip_prefix("DEVTYPE=")).unwrap_or_default();
    let called = |prefixes: &[&str]| prefixes.iter().any(|prefix| numbered(name, prefix));
    if has("wireless") || has("phy80211") || device_type == "wlan" {
        return LinkKind::Wifi;
    }
    if device_type == "wwan" || called(&["wwan", "wwp", "rmnet"]) {
        return LinkKind::Cellular;
    }
    if called(&OVERLAYS) {
        return LinkKind::Overlay;
    }
    if has("bridge") || has("brport") || called(&["veth", "vnet", "docker", "virbr", "br-"]) {
        return LinkKind::Virtual;
    }
    if has("tun_flags") || device_type == "wireguard" || called(&VPNS) {
        return LinkKind::Vpn;
    }
    let ethernet = read::attribute(&dir.join("type")).as_deref() == Some(ETHERNET);
    match device_type {
        "vlan" | "bond" => LinkKind::Ethernet,
        _ if ethernet && has("device") => LinkKind::Ethernet,
        _ if ethernet => LinkKind::Virtual,
        _ => LinkKind::Other,
    }
}

/// Whether a name is a prefix and then a number or an id of its own: `tun0`, `ztrf2wzq3a`; `wtf` is no `wt`.
fn numbered(name: &str, prefix: &str) -> bool {
    let Some(rest) = name.strip_prefix(prefix) else { return false };
    let short = prefix.len() == 2 && prefix != "zt";
    if short { !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()) } else { true }
}
