//! Places of many laptops, as offices are: who comes and who leaves, of whom there are many a day, is added or taken away, and
//! nobody else who is there is looked at for it. Now and then somebody's coming or leaving has the whole place looked at.

use std::collections::{BTreeMap, BTreeSet};

use farmwatch_shared::id::{DeviceId, SiteId};
use jiff::{SignedDuration, Timestamp};

use super::history::KEPT_FROM;
use super::known::Known;
use super::look_back;
use super::place::{Subject, stander};
use super::same_place::{Counts, MOST_AT_ANCHOR, joined};
use crate::app::App;
use crate::store::{Anchor, Result, SiteGlance};

/// So many laptops of a site are judged with it whenever one of them is, or one comes or leaves. One of more waits a minute
/// for each, four hours at most: else each change in an office would look at all of its laptops.
const FEW: u64 = 4;
const MOST_WAIT: SignedDuration = SignedDuration::from_hours(4);
/// A place that nobody suspects waits so long at least after what its laptops show moved a little, and one that somebody may
/// suspect, by now or by what moved, so long at most.
const LITTLE_WAIT: SignedDuration = SignedDuration::from_hours(1);
/// Places of fewer laptops between them that one joins are looked at together: a farm may have two routers.
const BRIDGED: u64 = 100;
/// By fewer nats of one laptop no place becomes suspected that nobody suspects.
const STEP: f64 = 1.0;
/// So many of those who show an anchor are looked at, to tell whose place it is.
const SAMPLE: u32 = 4;

/// When a site is to be looked at whole again, at the soonest.
pub fn soonest(glance: &SiteGlance) -> Timestamp {
    let most = if glance.farm < KEPT_FROM { MOST_WAIT } else { LITTLE_WAIT };
    let minutes = i64::try_from(glance.size.saturating_sub(FEW)).unwrap_or(i64::MAX).min(most.as_mins());
    glance.judged_at + SignedDuration::from_mins(minutes)
}

/// The same after what one of its laptops shows moved by so many nats.
pub fn soonest_after(glance: &SiteGlance, moved: f64) -> Timestamp {
    let (soonest, hour) = (soonest(glance), glance.judged_at + LITTLE_WAIT);
    // Half of what parts its P(farm) from where it would be suspected: a large place is far from there.
    let half_way = (KEPT_FROM / glance.farm).ln() / 2.0;
    if glance.farm < KEPT_FROM && moved < STEP {
        soonest.max(hour)
    } else if moved < half_way {
        soonest
    } else {
        soonest.min(hour)
    }
}

/// The site is one of many laptops that was looked at lately, and no history of it is kept.
pub fn holds(glance: &SiteGlance, known: &Known, now: Timestamp) -> bool {
    // A clock that was put back makes no crowd of a few: nothing would be left of them when the last one goes.
    let lately = glance.size > FEW && now < soonest(glance);
    lately && glance.said == known.fingerprint && glance.farm < KEPT_FROM
}

/// When a site is to be judged again, after somebody came or left, if that is sooner than it would be.
pub fn due(glance: &SiteGlance) -> Option<Timestamp> {
    let soonest = soonest(glance);
    (glance.sanctioned.is_none() && soonest < glance.due_at).then_some(soonest)
}

/// The site to which a device comes, if all sites hold at which somebody is whom it joins: of several the one with most of
/// them, unless they are so small that a farm could be both. `shown` is what it shows, each with how many do.
pub async fn entered(
    app: &App,
    known: &Known,
    subject: &Subject,
    shown: &[(Anchor, u64)],
    now: Timestamp,
) -> Result<Option<(SiteId, SiteGlance)>> {
    let most = shown.iter().map(|(_, count)| *count).max().unwrap_or(0);
    if !(FEW..MOST_AT_ANCHOR).contains(&most) {
        return Ok(None);
    }
    let shared = shown.iter().filter(|shown| subject.meets_others_at(shown));
    let anchors: Vec<Anchor> = shared.map(|(anchor, _)| anchor.clone()).collect();
    let near = app.store.devices_at(&anchors, SAMPLE).await?;
    let mut near: BTreeSet<DeviceId> = near.into_iter().flatten().collect();
    near.remove(&subject.device.id);
    let near = app.store.occupants(&Vec::from_iter(near)).await?;
    let (since, counts): (_, Counts) = (look_back(now), shown.iter().cloned().collect());
    let own = subject.as_occupant();
    let own = stander(&own, since, &counts);
    let with = near.iter().filter(|one| joined(&own, &stander(one, since, &counts), &counts));
    let mut sites: BTreeMap<&SiteId, usize> = BTreeMap::new();
    // Of those who are nowhere, the next look at the whole place will tell.
    for site in with.filter_map(|one| one.site.as_ref()) {
        *sites.entry(site).or_default() += 1;
    }
    let (several, mut size) = (sites.len() > 1, 0);
    let mut most: Option<((usize, bool), SiteId, SiteGlance)> = None;
    for (site, count) in sites {
        let glance = app.store.site_glance(site).await?;
        let holds =
            |glance: &SiteGlance| glance.sanctioned == subject.sanctioned && holds(glance, known, now);
        let Some(glance) = glance.filter(holds) else { return Ok(None) };
        size += glance.size;
        let rank = (count, subject.device.site.as_ref() == Some(site));
        if most.as_ref().is_none_or(|(before, ..)| rank > *before) {
            most = Some((rank, site.clone(), glance));
        }
    }
    if several && size < BRIDGED {
        return Ok(None);
    }
    Ok(most.map(|(_, site, glance)| (site, glance)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    #[test]
    fn a_place_of_a_few_holds_never_and_one_of_many_until_it_is_due_whatever_the_clock_does() {
        let known = Known::new(Vec::new(), Vec::new(), Policy::default(), false);
        let at = |minute: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute);
        let holds = |size, farm, minute| {
            let said = known.fingerprint;
            let glance =
                SiteGlance { judged_at: at(60), due_at: at(420), size, said, farm, sanctioned: None };
            super::holds(&glance, &known, at(minute))
        };
        assert!([0, 60, 61].into_iter().all(|minute| !holds(FEW, 0.0, minute)), "a clock that was put back");
        assert!(holds(30, 0.0, 85) && !holds(30, 0.0, 86), "a minute for each beyond four");
        assert!(holds(400, 0.0, 299) && !holds(400, 0.0, 300), "four hours at most");
        assert!(!holds(30, KEPT_FROM, 61), "somebody may suspect it");
    }

    #[test]
    fn a_place_waits_longer_the_larger_it_is_and_an_hour_at_most_where_it_matters() {
        let after = |size, farm, moved| {
            let judged_at = Timestamp::UNIX_EPOCH;
            let glance = SiteGlance { judged_at, due_at: judged_at, size, said: 0, farm, sanctioned: None };
            soonest_after(&glance, moved).duration_since(judged_at).as_mins()
        };
        let all = |farm, moved| [2, 30, 94, 400].map(|size| after(size, farm, moved));
        assert_eq!(all(1e-7, 0.9), [60, 60, 90, 240], "a little");
        assert_eq!(all(1e-7, STEP), [0, 26, 90, 240], "more, and far from where it would be suspected");
        assert_eq!(all(1e-7, 5.0), [0, 26, 60, 60], "half of the way to there");
        assert_eq!(all(1e-4, 1.2), [0, 26, 60, 60], "the same, from nearer");
        assert_eq!(all(KEPT_FROM, 0.1), [0, 26, 60, 60], "suspected");
    }
}
