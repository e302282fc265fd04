//! Sites: who stands together, kept at the cost of what changed.
//!
//! A change of one device's anchors can only touch its old site and the sites of those that it stands with now.
//! Of these, and nobody else, the components are drawn anew; join, leave, merge and split all come out of that.

use std::collections::{BTreeMap, BTreeSet};

use farmwatch_shared::id::{DeviceId, SiteId};
use jiff::Timestamp;

use super::same_place::{Counts, Stander, apart, log_odds, one_hand};

/// A site as it was.
#[derive(Clone, Debug)]
pub struct Old {
    /// Its id.
    pub id: SiteId,
    /// When it was first seen.
    pub created_at: Timestamp,
    /// Who was there.
    pub devices: Vec<DeviceId>,
}

/// What becomes of the sites looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Regrouped {
    /// Sites as they are now: the id that stays, if one does, and who is there.
    pub sites: Vec<(Option<SiteId>, Vec<DeviceId>)>,
    /// Sites that are no more, and the place in `sites` that took most of their devices, if one did.
    pub gone: Vec<(SiteId, Option<usize>)>,
}

/// Groups of devices that `link` joins, directly or through others; each sorted, alone ones left out.
pub fn groups(
    standers: &[Stander<'_>],
    counts: &Counts,
    link: impl Fn(&Stander<'_>, &Stander<'_>, &Counts) -> bool,
) -> Vec<Vec<DeviceId>> {
    let mut roots: Vec<usize> = (0..standers.len()).collect();
    let homes = homes(standers, counts, &link);
    let in_one = |a: usize, b: usize| {
        let (one, other) = (homes[a], homes[b]);
        (a, b) == (one, other)
            || !apart(&standers[one], &standers[other])
            || one_hand(&standers[a], &standers[b], counts)
    };
    for a in 0..standers.len() {
        for b in a + 1..standers.len() {
            let (root_a, root_b) = (root(&mut roots, a), root(&mut roots, b));
            if root_a != root_b && link(&standers[a], &standers[b], counts) && in_one(a, b) {
                roots[root_b] = root_a;
            }
        }
    }
    let mut groups: BTreeMap<usize, Vec<DeviceId>> = BTreeMap::new();
    for (index, stander) in standers.iter().enumerate() {
        groups.entry(root(&mut roots, index)).or_default().push(stander.id.clone());
    }
    let mut groups: Vec<Vec<DeviceId>> = groups.into_values().filter(|group| group.len() > 1).collect();
    groups.iter_mut().for_each(|group| group.sort());
    groups.sort();
    groups
}

/// Beside whom each stands, by index: a laptop is in one place. One that shows one gateway stands for itself. One that shows
/// several, or none, stands beside its strongest link to such a one, or beside whom its strongest link stands: or it would
/// join, by what it says, homes that have nothing to do with each other.
fn homes(
    standers: &[Stander<'_>],
    counts: &Counts,
    link: impl Fn(&Stander<'_>, &Stander<'_>, &Counts) -> bool,
) -> Vec<usize> {
    let mut homes: Vec<usize> = (0..standers.len()).collect();
    let mut known: Vec<bool> = standers.iter().map(|one| one.gateways == 1).collect();
    for _ in 0..2 {
        let sure = known.clone();
        for (index, one) in standers.iter().enumerate().filter(|(index, _)| !sure[*index]) {
            let linked =
                (0..standers.len()).filter(|other| sure[*other] && link(one, &standers[*other], counts));
            let odds = |other: &usize| log_odds(one, &standers[*other], counts);
            if let Some(best) = linked.rev().max_by(|a, b| odds(a).total_cmp(&odds(b))) {
                (homes[index], known[index]) = (homes[best], true);
            }
        }
    }
    homes
}

/// Gives groups the ids of the sites that they continue. The older site goes first, to the group that has most of
/// its devices; a site whose group has an older id already is gone.
pub fn regroup(groups: Vec<Vec<DeviceId>>, mut old: Vec<Old>) -> Regrouped {
    old.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    let mut sites: Vec<(Option<SiteId>, Vec<DeviceId>)> = groups.into_iter().map(|g| (None, g)).collect();
    let mut gone = Vec::new();
    for site in old {
        let devices: BTreeSet<&DeviceId> = site.devices.iter().collect();
        let kept = |group: &[DeviceId]| group.iter().filter(|id| devices.contains(id)).count();
        let best = (0..sites.len()).rev().max_by_key(|index| kept(&sites[*index].1));
        match best.filter(|index| kept(&sites[*index].1) > 0) {
            Some(index) if sites[index].0.is_none() => sites[index].0 = Some(site.id),
            taken => gone.push((site.id, taken)),
        }
    }
    Regrouped { sites, gone }
}

fn root(roots: &mut [usize], mut index: usize) -> usize {
    while roots[index] != index {
        roots[index] = roots[roots[index]];
        index = roots[index];
    }
    index
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(numbers: &[u128]) -> Vec<DeviceId> {
        numbers.iter().map(|n| DeviceId::new(1, *n)).collect()
    }

    fn old(number: u128, created: i64, devices: &[u128]) -> Old {
        let created_at = Timestamp::from_second(created).unwrap();
        Old { id: SiteId::new(1, number), created_at, devices: ids(devices) }
    }

    fn site(number: u128) -> SiteId {
        SiteId::new(1, number)
    }

    #[test]
    fn a_site_keeps_its_id_when_somebody_joins() {
        let now = regroup(vec![ids(&[1, 2, 3])], vec![old(7, 0, &[1, 2])]);
        assert_eq!(now, Regrouped { sites: vec![(Some(site(7)), ids(&[1, 2, 3]))], gone: vec![] });
    }

    #[test]
    fn a_merge_keeps_the_older_id() {
        let now = regroup(vec![ids(&[1, 2, 3, 4, 5])], vec![old(8, 50, &[3, 4, 5]), old(7, 10, &[1, 2])]);
        assert_eq!(now.sites[0].0, Some(site(7)));
        assert_eq!(now.gone, [(site(8), Some(0))]);
    }

    #[test]
    fn a_split_leaves_the_id_with_the_larger_part() {
        let now = regroup(vec![ids(&[1, 2]), ids(&[3, 4, 5])], vec![old(7, 0, &[1, 2, 3, 4, 5])]);
        assert_eq!(now.sites, [(None, ids(&[1, 2])), (Some(site(7)), ids(&[3, 4, 5]))]);
        assert_eq!(now.gone, []);
    }

    #[test]
    fn a_couple_that_parts_leaves_no_site() {
        assert_eq!(regroup(vec![], vec![old(7, 0, &[1, 2])]).gone, [(site(7), None)]);
    }

    proptest! {
        #[test]
        fn groups_are_the_components_of_the_links(links in prop::collection::vec((0u128..9, 0u128..9), 0..12)) {
            let last_seen = Timestamp::UNIX_EPOCH;
            let ids = ids(&[0, 1, 2, 3, 4, 5, 6, 7, 8]);
            let standers: Vec<Stander<'_>> = ids.iter().map(|id| Stander::new(id, [].iter(), last_seen, &Counts::default())).collect();
            let linked = |a: &DeviceId, b: &DeviceId| links.iter().any(|(x, y)| {
                let (x, y) = (DeviceId::new(1, *x), DeviceId::new(1, *y));
                (a, b) == (&x, &y) || (b, a) == (&x, &y)
            });
            let groups = groups(&standers, &Counts::default(), |a, b, _| linked(a.id, b.id));
            let of = |id: &DeviceId| groups.iter().position(|group| group.contains(id));
            for (x, y) in links.iter().filter(|(x, y)| x != y) {
                let (x, y) = (of(&DeviceId::new(1, *x)), of(&DeviceId::new(1, *y)));
                prop_assert!(x.is_some() && x == y);
            }
            for group in &groups {
                for a in group {
                    prop_assert!(group.iter().any(|b| a != b && linked(a, b)));
                }
            }
        }
    }
}
