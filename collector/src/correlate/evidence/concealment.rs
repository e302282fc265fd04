use std::collections::BTreeSet;
use std::net::IpAddr;

use farmwatch_shared::judge::PlaceEvidence;

use super::super::anchors::prefix;
use super::super::view::SiteView;

/// This share of the addresses must differ: one of a flat on a VPN is not concealment.
const NEARLY_ALL: f64 = 0.75;

/// One place by gateway, neighbours or things, and yet a public address of its own for nearly every laptop.
///
/// Null model: each person uses a VPN of their own at times (8 %), independently of the others; that three or more
/// of one place all do is rare. Addresses of sanctioned exits are left out, and so is a mix of IPv4 and IPv6, which
/// one connection shows. Of two laptops with two addresses one is on a VPN: that says nothing.
/// Defeated by one uplink for all, which then shows as one address.
pub fn concealment(view: &SiteView<'_>) -> Option<PlaceEvidence> {
    let addresses: Vec<IpAddr> = view.placed().filter_map(|m| m.address).map(|a| a.to_canonical()).collect();
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = addresses.into_iter().partition(IpAddr::is_ipv4);
    let family = if v4.len() >= v6.len() { v4 } else { v6 };
    let all = family.len();
    let distinct = family.into_iter().filter_map(prefix).collect::<BTreeSet<_>>().len();
    if distinct < 3 || (distinct as f64) < NEARLY_ALL * all as f64 {
        return None;
    }
    let why = format!("one place, and yet {distinct} public addresses for {all} laptops");
    view.evidence("place.concealment", 1.0, why)
}
