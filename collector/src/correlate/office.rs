//! Sanctioned places: who comes and who leaves, of whom there are many a day, is added or taken away, and nobody else who is
//! there is looked at for it. Once an hour somebody's coming or leaving has the whole place looked at, so that what parts
//! or comes together there is found.

use std::collections::BTreeSet;

use farmwatch_shared::id::{DeviceId, SiteId};
use jiff::{SignedDuration, Timestamp};

use super::judging::FEW;
use super::known::Known;
use super::look_back;
use super::place::{Subject, stander};
use super::same_place::{Counts, MOST_AT_ANCHOR, joined};
use crate::app::App;
use crate::store::{Anchor, Result, SiteGlance};

/// How long a look at the whole place holds.
const HOLDS: SignedDuration = SignedDuration::from_hours(1);
/// So many of those who show an anchor are looked at, to tell whose place it is.
const SAMPLE: u32 = 4;

/// The place is a sanctioned one, of more than a few laptops, that was looked at lately. One of a few is looked at whole, so
/// that nothing is left of it when the last one goes.
pub fn holds(glance: &SiteGlance, known: &Known, now: Timestamp) -> bool {
    let lately = now < glance.judged_at + HOLDS && glance.said == known.fingerprint;
    glance.sanctioned.is_some() && glance.size > FEW && lately
}

/// The site to which a device comes that stands in a sanctioned place, if that holds and nobody who shares an anchor with
/// the device is elsewhere. `shown` is what it shows, each with how many do.
pub async fn entered(
    app: &App,
    known: &Known,
    subject: &Subject,
    shown: &[(Anchor, u64)],
    now: Timestamp,
) -> Result<Option<SiteId>> {
    if subject.sanctioned.is_none() || shown.iter().any(|(_, count)| *count >= MOST_AT_ANCHOR) {
        return Ok(None);
    }
    let anchors: Vec<Anchor> = shown.iter().map(|(anchor, _)| anchor.clone()).collect();
    let mut near: BTreeSet<DeviceId> =
        app.store.devices_at(&anchors, SAMPLE).await?.into_iter().flatten().collect();
    near.remove(&subject.device.id);
    let near: Vec<DeviceId> = near.into_iter().collect();
    let near = app.store.occupants(&near).await?;
    let sites: BTreeSet<&SiteId> = near.iter().filter_map(|one| one.site.as_ref()).collect();
    let [site] = Vec::from_iter(sites)[..] else { return Ok(None) };
    let Some(glance) = app.store.site_glance(site).await? else { return Ok(None) };
    if glance.sanctioned != subject.sanctioned || !holds(&glance, known, now) {
        return Ok(None);
    }
    let (since, counts): (_, Counts) = (look_back(now), shown.iter().cloned().collect());
    let own = subject.as_occupant();
    let own = stander(&own, since);
    let joins = |homeless: bool| {
        near.iter()
            .filter(|one| one.site.is_none() == homeless)
            .any(|one| joined(&own, &stander(one, since), &counts))
    };
    Ok((joins(false) && !joins(true)).then(|| site.clone()))
}
