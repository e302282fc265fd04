//! Where a device stands and with whom: fetches what the decisions in [`super::sites`] and [`super::evidence`]
//! need, and gives the sites as they are now.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use farmwatch_shared::id::{DeviceId, SiteId};
use farmwatch_shared::judge::{self, Judged, OwnFacts};
use farmwatch_shared::rules::common::Share;
use farmwatch_shared::state::State;
use farmwatch_shared::usage::Usage;
use farmwatch_shared::weights::Weights;
use foldhash::fast::RandomState;
use jiff::Timestamp;

use super::crowd;
use super::evidence;
use super::known::Known;
use super::same_place::{Counts, MOST_AT_ANCHOR, Stander, could_join, joined, together};
use super::sites::{Old, groups, regroup};
use super::view::{Beside, Member, SiteView};
use crate::app::App;
use crate::store::{
    Alert, Anchor, AnchorKind, AnchorSeen, Asset, AuditEntry, Change, Device, Occupant, Result, Site,
    SiteGlance, Stood,
};

/// When laptops were worked on is read where it could carry a place's P(farm) over the threshold, and nowhere else.
const RHYTHM_MATTERS: f64 = 5e-5;
/// Most devices that are looked at for one change.
const MOST: usize = 400;

type Rhythms = BTreeMap<DeviceId, Usage>;

/// The device that changed.
pub struct Subject {
    /// As stored, before this change.
    pub device: Device,
    /// Its facts.
    pub state: State,
    /// What IT knows of it.
    pub asset: Option<Asset>,
    /// The latest entries of the audit about it.
    pub audit: Vec<AuditEntry>,
    /// Its alerts that nobody has closed, as stored.
    pub open: Vec<Alert>,
    /// Its judgement now.
    pub judged: Judged,
    /// It or its place is under suspicion.
    pub suspect: bool,
    /// Keys of its open alerts about things that are still there and that IT allows now.
    pub allowed: BTreeSet<String>,
    /// What it has as so many laptops elsewhere do that it may be the fleet's, by [`farmwatch_shared::rules::common::what`].
    pub common: BTreeMap<String, Share>,
    /// What it has shown, now and before.
    pub anchors: Vec<AnchorSeen>,
    /// What it showed when it was judged before, as the store counts it.
    pub was: BTreeSet<Anchor>,
    /// Name of the sanctioned place in which it stands by itself.
    pub sanctioned: Option<String>,
    /// What it shows now differs from what it showed before, and that matters to where it stands.
    pub moved: bool,
    /// What of that nobody else shows; see [`super::moves::Move`].
    pub alone_at: Vec<(Anchor, u64)>,
    /// What is to be written of what it shows.
    pub sightings: Option<Change>,
}

impl Subject {
    /// Where it stood, and what it shows by itself now.
    pub fn stood(&self) -> Stood {
        let (device, judged) = (&self.device, &self.judged);
        Stood {
            device: device.id.clone(),
            site: device.site.clone(),
            llr: judged.llr,
            honest_llr: judged.honest_llr,
        }
    }

    /// Others show an anchor too, of which the store counts so many.
    pub fn meets_others_at(&self, (anchor, count): &(Anchor, u64)) -> bool {
        *count > u64::from(self.was.contains(anchor))
    }

    /// As one of those in one place.
    pub fn as_occupant(&self) -> Occupant {
        let device = &self.device;
        Occupant {
            id: device.id.clone(),
            standing: device.standing,
            enrolled_at: device.enrolled_at,
            last_seen: device.last_seen.unwrap_or(device.enrolled_at),
            public_address: device.public_address,
            site: device.site.clone(),
            asset: self.asset.clone(),
            llr: self.judged.llr,
            honest_llr: self.judged.honest_llr,
            anchors: self.anchors.clone(),
        }
    }
}

/// A site as it is now.
pub struct SiteNow {
    /// As it is to be written.
    pub site: Site,
    /// Who is there.
    pub occupants: Vec<Occupant>,
    /// Who was there when it was last judged, and its P(farm) then; none of a new one.
    pub before: Option<(Vec<DeviceId>, f64)>,
}

/// A site that is no more.
pub struct Gone {
    /// Which.
    pub id: SiteId,
    /// The one that took it in.
    pub into: Option<SiteId>,
    /// Its P(farm) when it was last judged.
    pub farm: f64,
}

/// What a change makes of the sites around a device.
#[derive(Default)]
pub struct Around {
    /// Sites to be written.
    pub sites: Vec<SiteNow>,
    /// Sites that are no more.
    pub gone: Vec<Gone>,
    /// Anchors by which others were looked for, each with how many show it then, the device itself among them.
    pub met: Vec<(Anchor, u64)>,
    /// The device left a place of many that was not looked at for that.
    pub left: bool,
    /// The place of many to which it came, or in which it stayed, and which was not looked at for that.
    pub entered: Option<SiteId>,
    /// When places that were not looked at are to be.
    pub due: Vec<(SiteId, Timestamp)>,
}

/// The sites around a device that changed, of which its own is known at a glance; `anew` where IT has said something since
/// that was judged.
pub async fn around(
    app: &App,
    known: &Known,
    subject: &Subject,
    glance: Option<&SiteGlance>,
    anew: bool,
    now: Timestamp,
) -> Result<Around> {
    if !subject.moved && !anew && glance.is_none_or(|site| site.sanctioned.is_some()) {
        return Ok(Around::default());
    }
    let own = subject.device.site.as_ref().filter(|_| glance.is_some());
    let (mut shown, mut left, mut entered) = (Vec::new(), None, None);
    if subject.moved {
        shown = shown_by_few(app, subject).await?;
        left = own.cloned().zip(glance.filter(|glance| crowd::holds(glance, known, now)).cloned());
        entered = crowd::entered(app, known, subject, &shown, now).await?;
    }
    let due = |(id, glance): &(SiteId, SiteGlance)| crowd::due(glance).map(|at| (id.clone(), at));
    let due = left.iter().chain(&entered).filter_map(due).collect();
    let (left, entered) = (left.is_some(), entered.map(|(id, _)| id));
    if left && entered.as_ref() == own {
        return Ok(Around { entered, due, ..Around::default() });
    }
    let mut old = match own {
        Some(id) if !left => app.store.site(id).await?.into_iter().collect(),
        _ => Vec::new(),
    };
    if entered.is_some() && old.is_empty() {
        return Ok(Around { left, entered, due, ..Around::default() });
    }
    let Near { devices, met } = match entered {
        Some(_) => Near::default(),
        None => near(app, subject, shown).await?,
    };
    let mut occupants = occupants(app, subject, devices, &mut old).await?;
    if entered.is_some() {
        occupants.remove(&subject.device.id);
    }
    if occupants.len() < 2 && old.is_empty() {
        return Ok(Around { met, left, entered, due, ..Around::default() });
    }
    let counts = counts(app, subject, &occupants).await?;
    let since = super::look_back(now);
    let standers: Vec<Stander<'_>> = occupants.values().map(|one| stander(one, since, &counts)).collect();
    let found = groups(&standers, &counts, joined);
    let before = old.iter().map(|site| Old {
        id: site.id.clone(),
        created_at: site.created_at,
        devices: site.devices.clone(),
    });
    let regrouped = regroup(found, before.collect());
    let mut named: Vec<(SiteId, Vec<DeviceId>)> = Vec::new();
    for (id, devices) in regrouped.sites {
        let id = match id {
            Some(id) => id,
            None => id_again(app, &devices, &named, now).await?,
        };
        named.push((id, devices));
    }
    let gone = regrouped.gone.into_iter().map(|(id, into)| {
        let farm = old.iter().find(|site| site.id == id).map_or(0.0, |site| site.judged.farm);
        Gone { id, into: into.map(|index| named[index].0.clone()), farm }
    });
    let gone = gone.collect();

    let mut sites = Vec::new();
    for (id, devices) in named {
        let was = old.iter().find(|site| site.id == id);
        let same = was.is_some_and(|was| was.devices == devices);
        if same && (entered.is_some() || !devices.contains(&subject.device.id)) {
            continue;
        }
        let here: Vec<Occupant> = devices.iter().filter_map(|id| occupants.remove(id)).collect();
        let place = Place { known, weights: &app.weights, occupants: &here, counts: &counts, now };
        let created_at = was.map_or(now, |was| was.created_at);
        let mut site = place.judged(id, created_at, &Rhythms::new());
        if site.sanctioned.is_none() && site.judged.farm >= RHYTHM_MATTERS {
            site = place.judged(site.id, created_at, &rhythms(app, &here, since).await?);
        }
        let before = was.map(|was| (was.devices.clone(), was.judged.farm));
        sites.push(SiteNow { site, occupants: here, before });
    }
    Ok(Around { sites, gone, met, left, entered, due })
}

/// What a device shows that could join it to others, where so few show it: with how many do.
async fn shown_by_few(app: &App, subject: &Subject) -> Result<Vec<(Anchor, u64)>> {
    let shown = subject.anchors.iter().filter(|seen| seen.current && seen.anchor.kind.joins());
    let shown: Vec<Anchor> = shown.map(|seen| seen.anchor.clone()).collect();
    let counts = app.store.counts_at(&shown).await?;
    Ok(shown.into_iter().zip(counts).filter(|(_, count)| *count <= MOST_AT_ANCHOR + 1).collect())
}

/// Whom a device that moved may stand with.
#[derive(Default)]
struct Near {
    devices: BTreeSet<DeviceId>,
    /// How many show each anchor by which they were looked for.
    met: Vec<(Anchor, u64)>,
}

/// Devices that show now what the subject shows now, by which they could be joined.
///
/// Who is the first too many still looks at them all: what the value said until then it says no more, and whom nothing
/// else joins part. Those who come later find nobody to look at.
async fn near(app: &App, subject: &Subject, shown: Vec<(Anchor, u64)>) -> Result<Near> {
    let (mut met, mut counts) = (Vec::new(), Counts::default());
    let (mut shared, mut let_go): (BTreeMap<DeviceId, Vec<&Anchor>>, BTreeSet<DeviceId>) = Default::default();
    // The subject itself, all that may be looked at, and one more, by which a crowd is told.
    let limit = u32::try_from(MOST_AT_ANCHOR + 2).unwrap_or(u32::MAX);
    let (shown, own): (Vec<_>, Vec<_>) = shown.into_iter().partition(|shown| subject.meets_others_at(shown));
    met.extend(own.into_iter().map(|(anchor, _)| (anchor, 1)));
    let shown: Vec<Anchor> = shown.into_iter().map(|(anchor, _)| anchor).collect();
    let all = if shown.is_empty() { Vec::new() } else { app.store.devices_at(&shown, limit).await? };
    for (anchor, mut others) in shown.iter().zip(all) {
        others.retain(|other| *other != subject.device.id);
        let count = others.len() as u64;
        if count > MOST_AT_ANCHOR {
            continue;
        }
        met.push((anchor.clone(), count + 1));
        counts.insert(anchor.clone(), count + 1);
        if count == MOST_AT_ANCHOR {
            let_go.extend(others);
        } else {
            others.into_iter().for_each(|other| shared.entry(other).or_default().push(anchor));
        }
    }
    let joinable = shared.into_iter().filter(|(_, shared)| could_join(shared.iter().copied(), &counts));
    let devices = joinable.map(|(id, _)| id).chain(let_go).take(MOST).collect();
    Ok(Near { devices, met })
}

/// The subject, those near it, and all of the sites that any of them is in, which are added to `old`: a site is
/// looked at whole or not at all.
async fn occupants(
    app: &App,
    subject: &Subject,
    near: BTreeSet<DeviceId>,
    old: &mut Vec<Site>,
) -> Result<BTreeMap<DeviceId, Occupant>> {
    let mut all = BTreeMap::from([(subject.device.id.clone(), subject.as_occupant())]);
    let own: Vec<DeviceId> = old.iter().flat_map(|site| site.devices.clone()).collect();
    add(app, &mut all, &own).await?;
    let near: Vec<DeviceId> = near.into_iter().filter(|id| !all.contains_key(id)).collect();
    let near = if near.is_empty() { Vec::new() } else { app.store.occupants(&near).await? };
    for one in near {
        if all.contains_key(&one.id) {
            continue;
        }
        let Some(site) = &one.site else {
            if all.len() < MOST {
                all.insert(one.id.clone(), one);
            }
            continue;
        };
        if let Some(site) = app.store.site(site).await?
            && all.len() + site.devices.len() <= MOST
        {
            add(app, &mut all, &site.devices).await?;
            old.push(site);
        }
    }
    Ok(all)
}

async fn add(app: &App, all: &mut BTreeMap<DeviceId, Occupant>, ids: &[DeviceId]) -> Result<()> {
    let new: Vec<DeviceId> = ids.iter().filter(|id| !all.contains_key(id)).cloned().collect();
    if !new.is_empty() {
        all.extend(app.store.occupants(&new).await?.into_iter().map(|one| (one.id.clone(), one)));
    }
    Ok(())
}

/// How many devices of the fleet show each anchor that at least two of these show now. The store does not know
/// yet what the subject shows only since this change.
async fn counts(app: &App, subject: &Subject, occupants: &BTreeMap<DeviceId, Occupant>) -> Result<Counts> {
    let here = shown_by_two(occupants.values(), |kind| kind != AnchorKind::Trait);
    let shared: Vec<Anchor> = here.iter().map(|(anchor, _)| (*anchor).clone()).collect();
    let stored = app.store.counts_at(&shared).await?;
    let counts = shared.into_iter().zip(here).zip(stored).map(|((anchor, (_, here)), stored)| {
        let newly = subject.moved && subject.anchors.iter().any(|s| s.current && s.anchor == anchor);
        // One too many where it was shown before too; rarity does not turn on one.
        let count = (stored + u64::from(newly && stored < here)).max(here);
        (anchor, count)
    });
    Ok(counts.collect())
}

/// By all that joins.
pub fn stander<'a>(one: &'a Occupant, since: Timestamp, counts: &Counts) -> Stander<'a> {
    stander_by(one, since, counts, AnchorKind::joins)
}

/// By anchors of these kinds. One that was not heard since shows nothing, whatever is stored of it.
fn stander_by<'a>(
    one: &'a Occupant,
    since: Timestamp,
    counts: &Counts,
    kinds: impl Fn(AnchorKind) -> bool,
) -> Stander<'a> {
    let heard = one.last_seen >= since;
    let current = one.anchors.iter().filter(|seen| heard && seen.current && kinds(seen.anchor.kind));
    Stander::new(&one.id, current, one.last_seen, counts)
}

/// When each was worked on.
async fn rhythms(app: &App, occupants: &[Occupant], since: Timestamp) -> Result<Rhythms> {
    let mut all = Rhythms::new();
    let ids: Vec<DeviceId> = occupants.iter().map(|one| one.id.clone()).collect();
    for (id, upto) in app.store.last_reports(&ids).await? {
        let habit = app.habits.upto(&app.store, &id, since, upto).await?;
        all.insert(id.clone(), habit.usage.clone());
        app.habits.keep(&id, habit);
    }
    Ok(all)
}

/// Who stands together, and what is known beside them.
struct Place<'a> {
    known: &'a Known,
    weights: &'a Weights,
    occupants: &'a [Occupant],
    counts: &'a Counts,
    now: Timestamp,
}

impl Place<'_> {
    fn judged(&self, id: SiteId, created_at: Timestamp, rhythms: &Rhythms) -> Site {
        let Self { known, weights, occupants, counts, now } = *self;
        let sanctioned = sanctioned(known, occupants);
        let judged = if sanctioned.is_some() {
            judge::site(&[], &[], weights)
        } else {
            let heard: Vec<&Occupant> = occupants.iter().filter(|one| !known.covers(&one.id)).collect();
            let view =
                view(known, &heard, Beside { counts, rhythms, has_assets: known.has_assets, weights, now });
            let own: Vec<OwnFacts> = view.members.iter().map(own_facts).collect();
            judge::site(&evidence::of(&view), &own, weights)
        };
        let shared = shown_by_two(occupants.iter(), AnchorKind::joins);
        Site {
            id,
            devices: occupants.iter().map(|one| one.id.clone()).collect(),
            anchors: shared.into_iter().map(|(anchor, _)| anchor.clone()).collect(),
            sanctioned,
            judged,
            created_at,
            updated_at: now,
        }
    }
}

fn view<'a>(known: &Known, occupants: &[&'a Occupant], beside: Beside<'a>) -> SiteView<'a> {
    let since = super::look_back(beside.now);
    let placed = placed(occupants, beside.counts, since);
    let noticed = noticed(occupants, &placed, beside.counts, since);
    let members = occupants.iter().map(|one| {
        let address = one.public_address.filter(|address| !known.is_exit(Some(*address)));
        let mut member = Member::new(one, address, placed.contains(&one.id));
        member.noticed = noticed.contains(&one.id);
        member
    });
    SiteView::new(members.collect(), beside)
}

/// Those of a site who stand in one place, the largest such group: an account or a pair of hands may have joined others.
fn placed(occupants: &[&Occupant], counts: &Counts, since: Timestamp) -> BTreeSet<DeviceId> {
    let standers: Vec<Stander<'_>> = occupants.iter().map(|one| stander(one, since, counts)).collect();
    let groups = groups(&standers, counts, together);
    groups.into_iter().max_by_key(Vec::len).unwrap_or_default().into_iter().collect()
}

/// Those in one place whom nothing but neighbours joins to anybody.
fn noticed(
    occupants: &[&Occupant],
    placed: &BTreeSet<DeviceId>,
    counts: &Counts,
    since: Timestamp,
) -> BTreeSet<DeviceId> {
    let here = || occupants.iter().filter(|one| placed.contains(&one.id));
    let is_neighbour = |kind: AnchorKind| kind == AnchorKind::Neighbour;
    if !here().flat_map(|one| &one.anchors).any(|seen| seen.current && is_neighbour(seen.anchor.kind)) {
        return BTreeSet::new();
    }
    let others = |kind: AnchorKind| kind.joins() && !is_neighbour(kind);
    let standers: Vec<Stander<'_>> = here().map(|one| stander_by(one, since, counts, others)).collect();
    let sure: BTreeSet<DeviceId> = groups(&standers, counts, together).into_iter().flatten().collect();
    placed.difference(&sure).cloned().collect()
}

fn own_facts(member: &Member<'_>) -> OwnFacts {
    let of = if member.is_chosen() { OwnFacts::of_chosen } else { OwnFacts::of };
    of(member.id.clone(), member.llr, member.honest_llr)
}

/// The sanctioned place that most of them stand in.
fn sanctioned(known: &Known, occupants: &[Occupant]) -> Option<String> {
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for one in occupants {
        let shown: Vec<&Anchor> =
            one.anchors.iter().filter(|seen| seen.current).map(|seen| &seen.anchor).collect();
        if let Some(name) = known.stands_in(one.public_address, &shown) {
            *names.entry(name).or_default() += 1;
        }
    }
    let (name, count) = names.into_iter().max_by_key(|(_, count)| *count)?;
    (2 * count >= occupants.len()).then_some(name)
}

/// Anchors of some kinds that at least two of them show now, and how many do; in order.
fn shown_by_two<'a>(
    occupants: impl Iterator<Item = &'a Occupant>,
    kinds: impl Fn(AnchorKind) -> bool,
) -> Vec<(&'a Anchor, u64)> {
    let mut here: HashMap<&Anchor, u64, RandomState> = HashMap::default();
    for seen in occupants.flat_map(|one| &one.anchors).filter(|seen| seen.current && kinds(seen.anchor.kind))
    {
        *here.entry(&seen.anchor).or_default() += 1;
    }
    let mut shared: Vec<(&Anchor, u64)> = here.into_iter().filter(|(_, count)| *count > 1).collect();
    shared.sort_unstable();
    shared
}

/// The id of a site that comes to be: where most of its laptops stood together before and parted, that site's, so that its
/// alert and its history go on.
async fn id_again(
    app: &App,
    devices: &[DeviceId],
    taken: &[(SiteId, Vec<DeviceId>)],
    now: Timestamp,
) -> Result<SiteId> {
    let former = app.store.former_site(devices).await?;
    Ok(match former.filter(|former| taken.iter().all(|(id, _)| id != former)) {
        Some(former) => former,
        None => new_id(app, now),
    })
}

fn new_id(app: &App, now: Timestamp) -> SiteId {
    SiteId::new(u64::try_from(now.as_millisecond()).unwrap_or(0), (app.draw)())
}

#[cfg(test)]
#[path = "place_tests.rs"]
mod tests;
