//! Are two devices in one place? The sum of what they share, each by its rarity, one quantity counted once.
//!
//! Null model: two devices of the fleet that have nothing to do with each other show one value by accident,
//! because it is not one place's: carrier NAT, a VPN's exit, a serial number that the maker gave to all, a
//! gateway's cloned hardware address. Such a value is shown by many, so what it says falls with the number of
//! devices that show it: ln LR = K − ln n. The K are assumptions, set so that, alone, a public address speaks
//! for at most 20 devices, and a gateway for at most some 500.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use farmwatch_shared::id::DeviceId;
use foldhash::fast::RandomState;
use jiff::{SignedDuration, Timestamp};

use super::outages;
use crate::store::{Anchor, AnchorKind, AnchorSeen};

/// An anchor that more devices show says nothing, whatever it is: an office, an exit. Also the most that are
/// looked at for one anchor.
pub const MOST_AT_ANCHOR: u64 = 200;
/// Devices are joined from this P(same place) on.
pub const JOIN: f64 = 0.8;

/// ln odds that two devices of a fleet are in one place, before anything is seen. Assumption.
const PRIOR: f64 = -4.0;
/// Both addresses are known and differ: one of them may use a VPN. Assumption: 3 % of those together.
const ADDRESSES_DIFFER: f64 = -3.5;
/// Both gateways are known and differ though the address is the same: carrier NAT, seldom a second router.
/// Assumption: 5 % of those together.
const GATEWAYS_DIFFER: f64 = -3.0;
/// Several neighbours in common say more than one, though never more than this.
const MANY_NEIGHBOURS: f64 = 2.0;
/// Several outages in common say more than one: so many are counted.
const OUTAGES: usize = 4;
/// Seconds within which outages are one.
const ONE_OUTAGE: i64 = 300;
/// An address that one device showed last, this long before the other showed it first, is one that the provider
/// gave to another customer.
const GAP: SignedDuration = SignedDuration::from_hours(2);

/// A device, as one of two that may stand together.
#[derive(Clone, Debug)]
pub struct Stander<'a> {
    /// Which.
    pub id: &'a DeviceId,
    /// What it shows now that others show too, in order of the anchors' hashes.
    anchors: Vec<(u64, &'a AnchorSeen)>,
    /// How many gateways it shows.
    pub gateways: usize,
    /// It shows an address of IPv4, and of IPv6.
    addresses: [bool; 2],
    /// When it was last heard.
    pub last_seen: Timestamp,
}

impl<'a> Stander<'a> {
    /// A device that shows something now. `counts` has every anchor that another shows too: what stands in it and what the
    /// device shows alone is told apart once, and not for each pair.
    pub fn new(
        id: &'a DeviceId,
        anchors: impl Iterator<Item = &'a AnchorSeen>,
        last_seen: Timestamp,
        counts: &Counts,
    ) -> Self {
        let mut stander = Self { id, anchors: Vec::new(), gateways: 0, addresses: [false; 2], last_seen };
        for seen in anchors {
            let Anchor { kind, value } = &seen.anchor;
            match kind {
                AnchorKind::Gateway => stander.gateways += 1,
                AnchorKind::PublicAddress => stander.addresses[usize::from(value.contains(':'))] = true,
                _ => {}
            }
            if counts.contains_key(&seen.anchor) {
                stander.anchors.push((hash(&seen.anchor), seen));
            }
        }
        stander.anchors.sort_unstable_by_key(|(hash, _)| *hash);
        stander
    }
}

/// How many devices show an anchor now, of anchors that at least two of those who are looked at show.
pub type Counts = HashMap<Anchor, u64, RandomState>;

/// Two devices belong to one site: in one place, behind one account of a remote-access tool, or under one pair of hands.
pub fn joined(a: &Stander<'_>, b: &Stander<'_>, counts: &Counts) -> bool {
    // Most pairs that are looked at share nothing.
    shared(a, b).next().is_some() && (together(a, b, counts) || one_hand(a, b, counts))
}

/// P(same place) is at least [`JOIN`].
pub fn together(a: &Stander<'_>, b: &Stander<'_>, counts: &Counts) -> bool {
    shared(a, b).next().is_some() && probability(log_odds(a, b, counts)) >= JOIN
}

/// Both show gateways and addresses, and no common ones: two places, by all that can be told of them.
pub fn apart(a: &Stander<'_>, b: &Stander<'_>) -> bool {
    let share = |kind| shared(a, b).any(|(mine, _)| mine.anchor.kind == kind);
    let differ = both_show_gateways(a, b) && !share(AnchorKind::Gateway);
    differ && !share(AnchorKind::PublicAddress) && addresses_differ(a, b)
}

/// P from ln odds.
fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// ln P(same place) / P(not).
pub fn log_odds(a: &Stander<'_>, b: &Stander<'_>, counts: &Counts) -> f64 {
    let mut common = Common::default();
    for (mine, theirs) in shared(a, b) {
        if mine.anchor.kind != AnchorKind::PublicAddress || !apart_in_time(a, mine, b, theirs) {
            common.add(&mine.anchor, counts);
        }
    }
    let mut sum = PRIOR + common.says();
    if common.network().is_none() && both_show_gateways(a, b) {
        sum += GATEWAYS_DIFFER;
    }
    if common.best(AnchorKind::PublicAddress).is_none() && addresses_differ(a, b) {
        sum += ADDRESSES_DIFFER;
    }
    sum
}

/// Two that share these could be joined, for all that is known before the rest of what they show is looked at.
pub fn could_join<'a>(shared: impl IntoIterator<Item = &'a Anchor>, counts: &Counts) -> bool {
    let mut common = Common::default();
    for anchor in shared {
        if anchor.kind == AnchorKind::Operator {
            return true;
        }
        common.add(anchor, counts);
    }
    let account = common.best(AnchorKind::ToolAccount).unwrap_or(0.0);
    probability(PRIOR + common.says().max(account)) >= JOIN
}

/// What two share, as far as it says something.
#[derive(Default)]
struct Common {
    /// The strongest of each kind.
    best: [Option<f64>; AnchorKind::KINDS],
    neighbours: f64,
    /// When each began, and what it says.
    outages: Vec<(i64, f64)>,
}

impl Common {
    fn add(&mut self, anchor: &Anchor, counts: &Counts) {
        let Some(says) = weight(anchor, counts) else { return };
        if anchor.kind == AnchorKind::Outage {
            self.outages.extend(outages::began(anchor).map(|began| (began, says)));
        }
        let best = &mut self.best[anchor.kind as usize];
        *best = strongest(*best, Some(says));
        self.neighbours += f64::from(u8::from(anchor.kind == AnchorKind::Neighbour));
    }

    fn best(&self, kind: AnchorKind) -> Option<f64> {
        self.best[kind as usize]
    }

    /// One quantity: what the local network shows, the strongest of its three.
    fn network(&self) -> Option<f64> {
        let many = (0.7 * self.neighbours.ln()).clamp(0.0, MANY_NEIGHBOURS);
        let near = self.best(AnchorKind::Neighbour).map(|says| says + many);
        strongest(strongest(self.best(AnchorKind::Gateway), self.best(AnchorKind::DhcpServer)), near)
    }

    /// The sum.
    fn says(&self) -> f64 {
        let thing = strongest(self.best(AnchorKind::UsbSerial), self.best(AnchorKind::DisplaySerial));
        let address = self.best(AnchorKind::PublicAddress);
        let door = self.best(AnchorKind::ShippedTo);
        let all = [self.network(), address, thing, door];
        all.into_iter().flatten().sum::<f64>() + of_outages(self.outages.clone())
    }
}

/// What common outages say, each once: a power cut takes mains and network along, and stands in two slots.
fn of_outages(mut all: Vec<(i64, f64)>) -> f64 {
    all.sort_by(|a, b| (a.0, b.1).partial_cmp(&(b.0, a.1)).unwrap_or(std::cmp::Ordering::Equal));
    all.dedup_by(|next, kept| next.0 - kept.0 < ONE_OUTAGE);
    all.into_iter().map(|(_, says)| says).take(OUTAGES).sum()
}

/// The same somebody is behind both, as an account or the times of work say, wherever they stand.
pub fn one_hand(a: &Stander<'_>, b: &Stander<'_>, counts: &Counts) -> bool {
    one_account(a, b, counts) || one_operator(a, b)
}

/// One account of a remote-access tool is behind both. That says who works on them, not where they stand.
fn one_account(a: &Stander<'_>, b: &Stander<'_>, counts: &Counts) -> bool {
    let accounts = shared(a, b).filter(|(mine, _)| mine.anchor.kind == AnchorKind::ToolAccount);
    let best = accounts.filter_map(|(mine, _)| weight(&mine.anchor, counts)).fold(0.0, f64::max);
    probability(PRIOR + best) >= JOIN
}

/// One pair of hands works on both, wherever they stand; [`super::operator`] has looked.
fn one_operator(a: &Stander<'_>, b: &Stander<'_>) -> bool {
    shared(a, b).any(|(mine, _)| mine.anchor.kind == AnchorKind::Operator)
}

/// What a shared anchor says: K − ln n; `None` if it says nothing.
fn weight(anchor: &Anchor, counts: &Counts) -> Option<f64> {
    let count = counts.get(anchor).copied().unwrap_or(2).max(2);
    let k = match anchor.kind {
        AnchorKind::PublicAddress => 8.4,
        AnchorKind::Gateway | AnchorKind::DhcpServer => 11.6,
        AnchorKind::Neighbour => 10.0,
        AnchorKind::UsbSerial | AnchorKind::DisplaySerial | AnchorKind::ToolAccount => 8.1,
        // A power cut takes a whole street: alone it joins nobody, and two that only a few share join those few, whatever
        // their addresses and gateways.
        AnchorKind::Outage => 7.5,
        // Doors are shared by families, and by what IT sent to an office or a parcel shop.
        AnchorKind::ShippedTo => 4.0,
        AnchorKind::FromAfar | AnchorKind::Operator | AnchorKind::Trait => return None,
    };
    let says = k - (count as f64).ln();
    (count <= MOST_AT_ANCHOR && says > 0.0).then_some(says)
}

/// What both show, each once.
fn shared<'a>(
    a: &'a Stander<'_>,
    b: &'a Stander<'_>,
) -> impl Iterator<Item = (&'a AnchorSeen, &'a AnchorSeen)> {
    let mut theirs = b.anchors.iter().peekable();
    a.anchors.iter().filter_map(move |(hash, mine)| {
        while theirs.next_if(|(other, _)| other < hash).is_some() {}
        let (_, theirs) = theirs.next_if(|(other, theirs)| other == hash && theirs.anchor == mine.anchor)?;
        Some((*mine, *theirs))
    })
}

/// By which anchors are compared sooner than by their texts.
fn hash(anchor: &Anchor) -> u64 {
    let mut hasher = DefaultHasher::new();
    anchor.hash(&mut hasher);
    hasher.finish()
}

fn apart_in_time(a: &Stander<'_>, mine: &AnchorSeen, b: &Stander<'_>, theirs: &AnchorSeen) -> bool {
    a.last_seen + GAP < theirs.first_seen || b.last_seen + GAP < mine.first_seen
}

fn both_show_gateways(a: &Stander<'_>, b: &Stander<'_>) -> bool {
    a.gateways > 0 && b.gateways > 0
}

/// Both have an address of one family, and not the same. One over IPv4 and one over IPv6 says nothing.
fn addresses_differ(a: &Stander<'_>, b: &Stander<'_>) -> bool {
    a.addresses.iter().zip(b.addresses).any(|(one, other)| *one && other)
}

fn strongest(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    /// Kept for as long as the tests run: what it borrows is nobody's. Somebody else shows all of it too.
    fn stander(number: u128, anchors: &[(AnchorKind, &str)]) -> Stander<'static> {
        let id: &DeviceId = Box::leak(Box::new(DeviceId::new(1, number)));
        let at = |hour: i64| Timestamp::from_second(hour * HOUR).unwrap();
        let counts = counts(2, anchors);
        let anchors = anchors.iter().map(|(kind, value)| AnchorSeen {
            anchor: Anchor { kind: *kind, value: (*value).into() },
            first_seen: at(0),
            last_seen: at(9),
            current: true,
        });
        let anchors = anchors.map(|seen| &*Box::leak(Box::new(seen)));
        Stander::new(id, anchors, at(9), &counts)
    }

    fn counts(count: u64, values: &[(AnchorKind, &str)]) -> Counts {
        values.iter().map(|(kind, value)| (Anchor { kind: *kind, value: (*value).into() }, count)).collect()
    }

    use AnchorKind::{Gateway, Neighbour, PublicAddress, ToolAccount, UsbSerial};

    #[test]
    fn two_power_cuts_that_few_share_join_whatever_the_uplinks_and_one_does_not() {
        let (one, same) =
            ("mains 2026-11-24T09:00:00Z for 64 to 128 s", "network 2026-11-24T09:00:04Z for 64 to 128 s");
        let later = "mains 2026-11-26T22:10:08Z for 4 to 8 s";
        let (one, same, later) = (one.to_owned(), same.to_owned(), later.to_owned());
        let own = |n: u128, address: &'static str, gateway: &'static str, cuts: &[&String]| {
            let mut anchors = vec![(PublicAddress, address), (Gateway, gateway)];
            anchors.extend(cuts.iter().map(|cut| (AnchorKind::Outage, cut.as_str())));
            stander(n, &anchors)
        };
        let both = |cuts: &[&String], count| {
            let (a, b) = (own(1, "a", "x", cuts), own(2, "b", "y", cuts));
            let all: Vec<_> = cuts.iter().map(|cut| (AnchorKind::Outage, cut.as_str())).collect();
            together(&a, &b, &counts(count, &all))
        };
        assert!(!both(&[&one, &same], 2), "mains and network of one cut");
        assert!(both(&[&one, &later], 2));
        assert!(!both(&[&one, &later], 30), "a street");
    }

    #[test]
    fn two_behind_one_address_speak_and_ten_thousand_do_not() {
        let home = [(PublicAddress, "203.0.113.7")];
        let (a, b) = (stander(1, &home), stander(2, &home));
        assert!(together(&a, &b, &counts(2, &home)));
        assert!(together(&a, &b, &counts(20, &home)));
        assert!(!together(&a, &b, &counts(40, &home)));
        assert!(!together(&a, &b, &counts(10_000, &home)));
    }

    #[test]
    fn behind_carrier_nat_an_address_speaks_only_with_the_gateway() {
        let nat = (PublicAddress, "203.0.113.7");
        let a = stander(1, &[nat, (Gateway, "mine")]);
        let b = stander(2, &[nat, (Gateway, "yours")]);
        assert!(!together(&a, &b, &counts(2, &[nat])));
        let (c, d) = (stander(3, &[nat, (Gateway, "ours")]), stander(4, &[nat, (Gateway, "ours")]));
        let many = counts(150, &[nat]).into_iter().chain(counts(2, &[(Gateway, "ours")])).collect();
        assert!(together(&c, &d, &many));
    }

    #[test]
    fn an_uplink_each_does_not_hide_one_gateway() {
        let a = stander(1, &[(PublicAddress, "203.0.113.7"), (Gateway, "ours")]);
        let b = stander(2, &[(PublicAddress, "198.51.100.9"), (Gateway, "ours")]);
        assert!(together(&a, &b, &counts(5, &[(Gateway, "ours")])));
    }

    #[test]
    fn a_laptop_that_claims_the_gateways_of_two_homes_joins_them_not() {
        let home = |n, address: &'static str, gateway: &'static str| {
            stander(n, &[(PublicAddress, address), (Gateway, gateway)])
        };
        let liar = stander(9, &[(PublicAddress, "c"), (Gateway, "x"), (Gateway, "y")]);
        let all = [home(1, "a", "x"), home(2, "a", "x"), liar, home(3, "b", "y")];
        let counts = counts(3, &[(Gateway, "x"), (Gateway, "y"), (PublicAddress, "a")]);
        let groups = super::super::sites::groups(&all, &counts, joined);
        assert_eq!(
            groups.iter().map(Vec::len).collect::<Vec<_>>(),
            [3],
            "with one home, the other is left alone"
        );
        assert!(!groups[0].contains(all[3].id) || !groups[0].contains(all[0].id));
    }

    #[test]
    fn one_operator_joins_also_whom_several_gateways_keep_from_being_anywhere() {
        let hands = (AnchorKind::Operator, "9+3");
        let mover = stander(9, &[(PublicAddress, "c"), (Gateway, "x"), (Gateway, "y"), hands]);
        let home = stander(1, &[(PublicAddress, "a"), (Gateway, "x")]);
        let far = stander(3, &[(PublicAddress, "b"), (Gateway, "z"), hands]);
        let counts = counts(2, &[(Gateway, "x")]);
        let groups = super::super::sites::groups(&[home, mover, far], &counts, joined);
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn a_dock_taken_home_does_not_make_two_homes_one_place() {
        let a = stander(1, &[(PublicAddress, "203.0.113.7"), (Gateway, "a"), (UsbSerial, "dock")]);
        let b = stander(2, &[(PublicAddress, "198.51.100.9"), (Gateway, "b"), (UsbSerial, "dock")]);
        assert!(!joined(&a, &b, &counts(2, &[(UsbSerial, "dock")])));
    }

    #[test]
    fn an_address_that_went_to_the_next_customer_joins_nobody() {
        let home = [(PublicAddress, "203.0.113.7")];
        let (mut a, b) = (stander(1, &home), stander(2, &home));
        let later =
            AnchorSeen { first_seen: Timestamp::from_second(30 * HOUR).unwrap(), ..a.anchors[0].1.clone() };
        a.anchors[0].1 = &later;
        a.last_seen = Timestamp::from_second(40 * HOUR).unwrap();
        assert!(!together(&a, &b, &counts(2, &home)));
    }

    #[test]
    fn one_account_joins_laptops_wherever_they_are_and_a_departments_does_not() {
        let a = stander(1, &[(PublicAddress, "203.0.113.7"), (ToolAccount, "anydesk/1")]);
        let b = stander(2, &[(PublicAddress, "198.51.100.9"), (ToolAccount, "anydesk/1")]);
        assert!(joined(&a, &b, &counts(3, &[(ToolAccount, "anydesk/1")])));
        assert!(!together(&a, &b, &counts(3, &[(ToolAccount, "anydesk/1")])));
        assert!(!joined(&a, &b, &counts(100, &[(ToolAccount, "anydesk/1")])));
    }

    #[test]
    fn a_dhcp_server_joins_as_a_gateway_does_and_adds_nothing_to_it() {
        let dhcp = (AnchorKind::DhcpServer, "router");
        let of = |anchors: &[(AnchorKind, &str)]| {
            log_odds(&stander(1, anchors), &stander(2, anchors), &counts(2, anchors))
        };
        assert!((of(&[dhcp]) - of(&[(Gateway, "router")])).abs() < 1e-9);
        assert!((of(&[dhcp, (Gateway, "router")]) - of(&[(Gateway, "router")])).abs() < 1e-9);
    }

    #[test]
    fn gateway_and_neighbours_are_one_quantity() {
        let both = [(Gateway, "ours"), (Neighbour, "printer")];
        let (a, b) = (stander(1, &both), stander(2, &both));
        let one = [(Gateway, "ours")];
        let (c, d) = (stander(1, &one), stander(2, &one));
        let counts = counts(2, &both);
        assert!((log_odds(&a, &b, &counts) - log_odds(&c, &d, &counts)).abs() < 1e-9);
    }
}
