//! Where a device stands and with whom: fetches what the decisions in [`super::sites`] and [`super::evidence`]
//! need, and gives the sites as they are now.

use std::collections::{BTreeMap, BTreeSet};

use farmwatch_shared::id::{DeviceId, SiteId};
use farmwatch_shared::judge::{self, Judged};
use farmwatch_shared::usage::Usage;
use jiff::Timestamp;

use super::known::Known;
use super::same_place::{Counts, MOST_AT_ANCHOR, Stander, joined, together};
use super::sites::{Old, groups, regroup};
use super::view::{Member, SiteView};
use super::{anchors, evidence};
use crate::app::App;
use crate::store::{Anchor, AnchorSeen, Asset, Device, Result, Site};

/// When laptops were worked on is read where it could carry a place's P(farm) over the threshold, and nowhere else.
const RHYTHM_MATTERS: f64 = 5e-5;
/// Most devices that are looked at for one change.
const MOST: usize = 400;

type Rhythms = BTreeMap<DeviceId, Usage>;

/// The device that changed.
pub struct Subject {
    /// As stored, before this change.
    pub device: Device,
    /// What IT knows of it.
    pub asset: Option<Asset>,
    /// Its judgement now.
    pub judged: Judged,
    /// What it has shown, now and before.
    pub anchors: Vec<AnchorSeen>,
    /// What it shows now differs from what it showed before.
    pub moved: bool,
    /// What it has shown is to be written.
    pub refreshed: bool,
}

/// A device of a site.
pub struct Resident {
    /// As stored.
    pub device: Device,
    /// Its judgement; the subject's is the new one.
    pub judged: Judged,
    asset: Option<Asset>,
    anchors: Vec<AnchorSeen>,
}

/// A site as it is now.
pub struct SiteNow {
    /// As it is to be written.
    pub site: Site,
    /// Who is there.
    pub residents: Vec<Resident>,
}

/// What a change makes of the sites around a device.
#[derive(Default)]
pub struct Around {
    /// Sites to be written.
    pub sites: Vec<SiteNow>,
    /// Sites that are no more, and the one that took them in.
    pub gone: Vec<(SiteId, Option<SiteId>)>,
    /// Anchors by which others were looked for, each with how many show it then, the device itself among them.
    pub met: Vec<(Anchor, u64)>,
}

/// The sites around a device that changed.
pub async fn around(app: &App, known: &Known, subject: &Subject, now: Timestamp) -> Result<Around> {
    let old = match &subject.device.site {
        Some(id) => app.store.site(id).await?,
        None => None,
    };
    if !subject.moved && old.as_ref().is_none_or(|site| site.sanctioned.is_some()) {
        return Ok(Around::default());
    }
    let mut old: Vec<Site> = old.into_iter().collect();
    let (near, met) = if subject.moved { near(app, subject).await? } else { Default::default() };
    let mut residents = residents(app, subject, near, &mut old).await?;
    let counts = counts(app, subject, &residents).await?;
    let standers: Vec<Stander> = residents.values().map(stander).collect();

    let found = if subject.moved {
        groups(&standers, &counts, joined)
    } else {
        old.iter().map(|site| site.devices.clone()).collect()
    };
    let before = old.iter().map(|site| Old {
        id: site.id.clone(),
        created_at: site.created_at,
        devices: site.devices.clone(),
    });
    let regrouped = regroup(found, before.collect());
    let named: Vec<(SiteId, Vec<DeviceId>)> = regrouped
        .sites
        .into_iter()
        .map(|(id, devices)| (id.unwrap_or_else(|| new_id(app, now)), devices))
        .collect();
    let gone = regrouped.gone.into_iter().map(|(id, into)| (id, into.map(|index| named[index].0.clone())));
    let gone = gone.collect();

    let since = super::look_back(now);
    let mut sites = Vec::new();
    for (id, devices) in named {
        let was = old.iter().find(|site| site.id == id);
        let same = was.is_some_and(|was| was.devices == devices);
        if same && !devices.contains(&subject.device.id) {
            continue;
        }
        let here: Vec<Resident> = devices.iter().filter_map(|id| residents.remove(id)).collect();
        let mut site = judged_site(app, known, id, was, &here, &counts, &Rhythms::new(), now);
        if site.sanctioned.is_none() && site.judged.farm >= RHYTHM_MATTERS {
            let rhythms = rhythms(app, &here, since).await?;
            site = judged_site(app, known, site.id, was, &here, &counts, &rhythms, now);
        }
        sites.push(SiteNow { site, residents: here });
    }
    Ok(Around { sites, gone, met })
}

/// Devices that show now what the subject shows now, where that is not shown by too many; and how many show each of that.
///
/// Who is the first too many still looks at them all: what the value said until then it says no more, and whom nothing
/// else joins part. Those who come later find nobody to look at.
async fn near(app: &App, subject: &Subject) -> Result<(BTreeSet<DeviceId>, Vec<(Anchor, u64)>)> {
    let (mut near, mut met) = (BTreeSet::new(), Vec::new());
    let limit = u32::try_from(MOST_AT_ANCHOR + 1).unwrap_or(u32::MAX);
    for seen in subject.anchors.iter().filter(|seen| seen.current && seen.anchor.kind.joins()) {
        let mut others = app.store.devices_at(&seen.anchor, limit).await?;
        others.retain(|other| other.device != subject.device.id);
        let count = others.len() as u64;
        if count <= MOST_AT_ANCHOR {
            met.push((seen.anchor.clone(), count + 1));
            near.extend(others.into_iter().map(|other| other.device));
        }
        if near.len() >= MOST {
            break;
        }
    }
    near.remove(&subject.device.id);
    Ok((near, met))
}

/// The subject, those near it, and all of the sites that any of them is in, which are added to `old`: a site is
/// looked at whole or not at all.
async fn residents(
    app: &App,
    subject: &Subject,
    near: BTreeSet<DeviceId>,
    old: &mut Vec<Site>,
) -> Result<BTreeMap<DeviceId, Resident>> {
    let me = Resident {
        device: subject.device.clone(),
        judged: subject.judged.clone(),
        asset: subject.asset.clone(),
        anchors: Vec::new(),
    };
    let mut all = BTreeMap::from([(subject.device.id.clone(), me)]);
    let own: Vec<DeviceId> = old.iter().flat_map(|site| site.devices.clone()).collect();
    for id in own {
        add(app, &mut all, &id).await?;
    }
    for id in near {
        if all.contains_key(&id) {
            continue;
        }
        let Some(device) = app.store.device(&id).await? else { continue };
        let Some(site) = &device.site else {
            if all.len() < MOST {
                add(app, &mut all, &id).await?;
            }
            continue;
        };
        if let Some(site) = app.store.site(site).await?
            && all.len() + site.devices.len() <= MOST
        {
            for id in &site.devices {
                add(app, &mut all, id).await?;
            }
            old.push(site);
        }
    }
    let ids: Vec<DeviceId> = all.keys().filter(|id| **id != subject.device.id).cloned().collect();
    for seen in app.store.anchors_of_all(&ids).await? {
        if let Some(resident) = all.get_mut(&seen.device) {
            resident.anchors.push(seen);
        }
    }
    if let Some(me) = all.get_mut(&subject.device.id) {
        me.anchors.clone_from(&subject.anchors);
    }
    Ok(all)
}

async fn add(app: &App, all: &mut BTreeMap<DeviceId, Resident>, id: &DeviceId) -> Result<()> {
    if all.contains_key(id) {
        return Ok(());
    }
    let Some(device) = app.store.device(id).await? else { return Ok(()) };
    let asset = app.store.asset_of(&device).await?;
    let judged = device.judged.clone().unwrap_or_default();
    all.insert(id.clone(), Resident { device, judged, asset, anchors: Vec::new() });
    Ok(())
}

/// How many devices of the fleet show each anchor that at least two of these show now. The store does not know
/// yet what the subject shows only since this change.
async fn counts(app: &App, subject: &Subject, residents: &BTreeMap<DeviceId, Resident>) -> Result<Counts> {
    let mut here: BTreeMap<&Anchor, u64> = BTreeMap::new();
    for seen in residents.values().flat_map(|resident| &resident.anchors).filter(|seen| seen.current) {
        *here.entry(&seen.anchor).or_default() += 1;
    }
    let mut counts = Counts::new();
    for (anchor, here) in here.into_iter().filter(|(_, here)| *here > 1) {
        let stored = app.store.count_at(anchor).await?;
        let newly = subject.moved && subject.anchors.iter().any(|s| s.current && s.anchor == *anchor);
        // One too many where it was shown before too; rarity does not turn on one.
        counts.insert(anchor.clone(), (stored + u64::from(newly && stored < here)).max(here));
    }
    Ok(counts)
}

fn stander(resident: &Resident) -> Stander {
    let current = resident.anchors.iter().filter(|seen| seen.current && seen.anchor.kind.joins()).cloned();
    let last_seen = resident.device.last_seen.unwrap_or(resident.device.enrolled_at);
    Stander::new(resident.device.id.clone(), current.collect(), last_seen)
}

/// When each was worked on.
async fn rhythms(app: &App, residents: &[Resident], since: Timestamp) -> Result<Rhythms> {
    let mut all = Rhythms::new();
    for resident in residents {
        let id = &resident.device.id;
        let habit = app.habits.of(&app.store, id, since).await?;
        all.insert(id.clone(), habit.usage.clone());
        app.habits.keep(id, habit);
    }
    Ok(all)
}

#[allow(clippy::too_many_arguments, reason = "what one judgement of a place rests on")]
fn judged_site(
    app: &App,
    known: &Known,
    id: SiteId,
    was: Option<&Site>,
    residents: &[Resident],
    counts: &Counts,
    rhythms: &Rhythms,
    now: Timestamp,
) -> Site {
    let sanctioned = sanctioned(known, residents);
    let heard: Vec<&Resident> = residents.iter().filter(|r| !known.covers(&r.device)).collect();
    let judged = if sanctioned.is_some() {
        judge::site(&[], &[], &app.weights)
    } else {
        let view = view(app, known, &heard, counts, rhythms, now);
        let devices: Vec<(DeviceId, f64, f64)> =
            heard.iter().map(|r| (r.device.id.clone(), r.judged.llr, r.judged.honest_llr)).collect();
        judge::site(&evidence::of(&view), &devices, &app.weights)
    };
    Site {
        id,
        devices: residents.iter().map(|r| r.device.id.clone()).collect(),
        anchors: shared_now(residents),
        sanctioned,
        judged,
        created_at: was.map_or(now, |was| was.created_at),
        updated_at: now,
    }
}

fn view<'a>(
    app: &'a App,
    known: &Known,
    residents: &[&Resident],
    counts: &'a Counts,
    rhythms: &'a Rhythms,
    now: Timestamp,
) -> SiteView<'a> {
    let members = residents.iter().map(|resident| {
        let Device { id, standing, enrolled_at, public_address, .. } = &resident.device;
        Member {
            id: id.clone(),
            asset: resident.asset.clone(),
            standing: *standing,
            enrolled_at: *enrolled_at,
            address: public_address.filter(|address| !known.is_exit(Some(*address))),
            anchors: resident.anchors.clone(),
            llr: resident.judged.llr,
        }
    });
    let standers: Vec<Stander> = residents.iter().map(|resident| stander(resident)).collect();
    let placed = groups(&standers, counts, together).into_iter().max_by_key(Vec::len).unwrap_or_default();
    SiteView {
        members: members.collect(),
        together: placed.into_iter().collect(),
        counts,
        rhythms,
        has_assets: known.has_assets,
        weights: &app.weights,
        now,
    }
}

/// The sanctioned place that most of them stand in.
fn sanctioned(known: &Known, residents: &[Resident]) -> Option<String> {
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for resident in residents {
        let shown = anchors::current(&resident.anchors);
        if let Some(name) = known.stands_in(resident.device.public_address, &shown) {
            *names.entry(name).or_default() += 1;
        }
    }
    let (name, count) = names.into_iter().max_by_key(|(_, count)| *count)?;
    (2 * count >= residents.len()).then_some(name)
}

/// Anchors that at least two of them show now.
fn shared_now(residents: &[Resident]) -> Vec<Anchor> {
    let mut here: BTreeMap<&Anchor, usize> = BTreeMap::new();
    let joins = |seen: &&AnchorSeen| seen.current && seen.anchor.kind.joins();
    for seen in residents.iter().flat_map(|resident| &resident.anchors).filter(joins) {
        *here.entry(&seen.anchor).or_default() += 1;
    }
    here.into_iter().filter(|(_, count)| *count > 1).map(|(anchor, _)| anchor.clone()).collect()
}

fn new_id(app: &App, now: Timestamp) -> SiteId {
    SiteId::new(u64::try_from(now.as_millisecond()).unwrap_or(0), (app.draw)())
}
