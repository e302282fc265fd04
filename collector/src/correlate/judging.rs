//! One device judged: what is fetched, what the pure functions make of it, and what is written.

mod policy_alerts;

use std::collections::BTreeSet;

use farmwatch_shared::id::{AlertId, DeviceId, SiteId};
use farmwatch_shared::judge;
use farmwatch_shared::rules::{self, Evidence};
use jiff::Timestamp;

use super::anchors;
use super::crowd;
use super::evidence::strange_hardware_around_one;
use super::known::Known;
use super::look_back;
use super::moves::{self, Move};
use super::place::{Around, Gone, SiteNow, Subject, around};
use super::prevalence::{self, Commonness};
use super::{history, operator, outages};
use crate::alerts::fleet::takes_in;
use crate::alerts::life::{self, Written, bring};
use crate::alerts::{Draft, device as device_alert, learning, policy, report, site as site_alert, taken_in};
use crate::app::App;
use crate::quarantine::{Batch, consider};
use crate::store::{
    Alert, AlertFilter, AlertKind, AlertState, Change, Dossier, Occupant, Page, Result, SiteGlance, Standing,
    Stood, Taken,
};

/// A laptop's Λ and B that moved by less, in nats, move no place's P by a twentieth: its site waits for its next look, six
/// hours at most. Pointers alone move them a little with each window.
const HAIR: f64 = 0.05;
/// Most open alerts of a laptop that come under a site's.
const OPEN: u32 = 200;

/// Judges a device and its site, and writes what follows in one transaction. Gives the alerts that were raised
/// or materially changed.
pub async fn judge(app: &App, known: &Known, taken: &Taken, now: Timestamp) -> anyhow::Result<Vec<Alert>> {
    let id = &taken.device;
    let Some(dossier) = app.store.dossier(id, look_back(now)).await? else { return Ok(Vec::new()) };
    let glance = match &dossier.device.site {
        Some(site) => app.store.site_glance(site).await?,
        None => None,
    };
    let mut subject = subject(app, known, dossier, glance.as_ref(), now).await?;
    let mut writing = Writing::new(app, id, known.fingerprint, now);
    writing.changes.extend(subject.sightings.take());
    if subject.device.judged.as_ref() != Some(&subject.judged) {
        writing.changes.push(Change::Judged(id.clone(), Box::new(subject.judged.clone())));
    }
    let around = match look(known, &subject, glance.as_ref(), now) {
        Look::Now => around(app, known, &subject, glance.as_ref(), false, now).await?,
        Look::Anew => around(app, known, &subject, glance.as_ref(), true, now).await?,
        Look::Later(site, at) => {
            writing.changes.push(Change::SiteDue(site, at));
            Around::default()
        }
        Look::Settled => Around::default(),
    };
    writing.sites(&around, &subject);
    let home = match around.sites.iter().find(|s| s.site.devices.contains(id)) {
        Some(home) => Some(home.site.id.clone()),
        None => around.entered.clone().or_else(|| stored_home(&subject, &around)),
    };
    // The site comes first: its alert takes in those of its laptops.
    writing.site_alerts(known, &subject, &around).await?;
    if known.covers(id) {
        writing.covered(&subject);
    } else {
        writing.policy_alerts(known, &subject, home.as_ref()).await?;
        writing.device_alert(&subject, home.as_ref()).await?;
    }
    writing.quarantine(&around, home.as_ref()).await?;

    let Writing { mut changes, told, .. } = writing;
    changes.push(Change::Done(taken.clone()));
    app.store.apply(changes).await?;
    Ok(told)
}

/// The device with everything that is judged of it. A revoked device is judged on nothing, and of one that was not heard
/// for long nobody knows where it is: both leave their sites.
async fn subject(
    app: &App,
    known: &Known,
    dossier: Dossier,
    glance: Option<&SiteGlance>,
    now: Timestamp,
) -> Result<Subject> {
    let Dossier { device, state, asset, anchors: before, min_rtt_ms, audit, open } = dossier;
    let address = device.public_address.filter(|address| !known.is_exit(Some(*address)));
    let revoked = device.standing == Standing::Revoked;
    let habit = app.habits.upto(&app.store, &device.id, look_back(now), device.seq).await?;
    let (usage, transitions) = (&habit.usage, &habit.transitions);
    // What it shows it showed until then; of the silence since nobody knows anything.
    let heard = device.last_seen.unwrap_or(device.enrolled_at).min(now);
    let away = heard < look_back(now);
    let mut shown = if revoked || away {
        BTreeSet::new()
    } else {
        let tool_speaks =
            |tool: &str| known.sanctioned_tools(&device.id).all(|sanctioned| sanctioned != tool);
        let mut shown = anchors::shown(&state, address, |hash| known.speaks(hash), tool_speaks);
        shown.extend(outages::anchors(transitions));
        shown.extend(anchors::shipped_to(asset.as_ref(), &app.hash_key));
        shown
    };
    let sanctioned = known.stands_in(address, &shown.iter().collect::<Vec<_>>());
    let mut context = known.context(&device, asset.as_ref(), sanctioned.is_some(), min_rtt_ms);
    // An exit hides where a laptop stands, and not what stands around it there.
    if device.site.is_none() && sanctioned.is_none() {
        context.strange_hardware = strange_hardware_around_one(&before, heard);
    }
    let common = Commonness { app, device: &device, before: &before, site: glance, now };
    let sensors = if away || revoked { BTreeSet::new() } else { prevalence::of_sensors(&state) };
    context.unusually_blind = common.unusually_blind(&sensors).await?;
    let evidence = Evidence { state: &state, usage, transitions, context: &context, now };
    let mut findings = if revoked { Vec::new() } else { rules::findings(&evidence, &app.weights) };
    let tools = prevalence::of_findings(&findings);
    let allowed = policy_alerts::allowed(&device, &open, &findings, &evidence, &app.weights);
    let common = common.of_others(&tools).await?;
    rules::common::bound(&mut findings, &prevalence::of_the_fleet(&common));
    let judged = judge::device(findings, &app.weights);
    let suspect = prevalence::is_suspect(&judged, glance);
    if !away {
        if !suspect {
            shown.extend(sensors.into_iter().chain(tools));
        }
        shown.extend(operator::shown(app, &device.id, &judged, usage, &before, now).await?);
    }
    let was = anchors::current(&before);
    let Move { matters, alone_at } = moves::of(&app.store, &was, &shown).await?;
    // IT may sanction a place by what one laptop alone shows there.
    let as_before = || known.stands_in(address, &was.iter().collect::<Vec<_>>()) == sanctioned;
    let moved = matters || !(alone_at.is_empty() || as_before());
    let (mut anchors, mut sightings) = (before, None);
    if was == shown {
        let again = anchors::again(&mut anchors, heard);
        sightings = again.then(|| Change::SeenAgain(device.id.clone(), heard));
    } else if let Some(all) = anchors::sightings(&anchors, &shown, heard) {
        sightings = Some(Change::Anchors(device.id.clone(), all.clone()));
        anchors = all;
    }
    app.habits.keep(&device.id, habit);
    for fact in state.damaged() {
        tracing::error!(device = %device.id, %fact, "a stored fact is no JSON and counts as absent: the database is damaged; check its disk and restore a backup");
    }
    Ok(Subject {
        device,
        state,
        asset,
        audit,
        open,
        judged,
        suspect,
        allowed,
        common,
        anchors,
        was,
        sanctioned,
        moved,
        alone_at,
        sightings,
    })
}

/// When the place of a device is to be looked at.
enum Look {
    /// At once.
    Now,
    /// At once, whatever was known of it: IT has said something since.
    Anew,
    /// Its site is to be judged again at a time.
    Later(SiteId, Timestamp),
    /// Neither place nor judgement changed since its site was looked at lately.
    Settled,
}

fn look(known: &Known, subject: &Subject, glance: Option<&SiteGlance>, now: Timestamp) -> Look {
    let before = subject.device.judged.as_ref();
    let by = before.map_or(f64::INFINITY, |before| {
        let (llr, honest) = (before.llr - subject.judged.llr, before.honest_llr - subject.judged.honest_llr);
        llr.abs().max(honest.abs())
    });
    let same = by < HAIR;
    let Some(site) = &subject.device.site else {
        return if same && !subject.moved { Look::Settled } else { Look::Now };
    };
    let Some(glance) = glance else { return Look::Now };
    if glance.said != known.fingerprint {
        return Look::Anew;
    }
    if subject.moved {
        return Look::Now;
    }
    let soonest = crowd::soonest_after(glance, by);
    let at = if same { glance.due_at } else { soonest };
    if now >= at {
        Look::Now
    } else if at < glance.due_at {
        Look::Later(site.clone(), at)
    } else {
        Look::Settled
    }
}

/// The site that it stays in, where that was not looked at.
fn stored_home(subject: &Subject, around: &Around) -> Option<SiteId> {
    let stays = |id: &SiteId| !subject.moved && around.gone.iter().all(|gone| gone.id != *id);
    subject.device.site.clone().filter(stays)
}

/// One transaction, as it grows.
struct Writing<'a> {
    app: &'a App,
    now: Timestamp,
    subject: DeviceId,
    /// Fingerprint of what IT has said.
    said: u64,
    changes: Vec<Change>,
    /// Alerts raised or materially changed.
    told: Vec<Alert>,
    /// Open alerts that quarantine should look at, as they will stand.
    standing: Vec<Alert>,
}

impl<'a> Writing<'a> {
    fn new(app: &'a App, subject: &DeviceId, said: u64, now: Timestamp) -> Self {
        let (changes, told, standing) = (Vec::new(), Vec::new(), Vec::new());
        Self { app, now, subject: subject.clone(), said, changes, told, standing }
    }

    fn sites(&mut self, around: &Around, subject: &Subject) {
        let occupants = around.sites.iter().flat_map(|now| &now.occupants);
        let stood = |one: &Occupant| Stood {
            device: one.id.clone(),
            site: one.site.clone(),
            llr: one.llr,
            honest_llr: one.honest_llr,
        };
        let mut seen: Vec<Stood> = occupants.map(stood).collect();
        if around.left || around.entered.is_some() {
            seen.push(subject.stood());
        }
        if !seen.is_empty() {
            self.changes.push(Change::Stand(seen));
        }
        for met in [&around.met, &subject.alone_at] {
            if !met.is_empty() {
                self.changes.push(Change::NoMoreThan(met.clone()));
            }
        }
        self.changes.extend(around.gone.iter().map(|gone| Change::RemoveSite(gone.id.clone())));
        match &around.entered {
            Some(site) => self.changes.push(Change::Come(self.subject.clone(), site.clone())),
            None if around.left => self.changes.push(Change::Leave(self.subject.clone())),
            None => {}
        }
        self.changes.extend(around.due.iter().cloned().map(|(site, at)| Change::SiteDue(site, at)));
        let put = |now: &SiteNow| {
            let put = if now.before.is_some() { Change::PutSite } else { Change::NewSite };
            put(Box::new(now.site.clone()), self.said)
        };
        self.changes.extend(around.sites.iter().map(put));
        self.changes.extend(history::of(around, self.now).into_iter().map(Change::SiteEvent));
    }

    /// An alert is written once: what else there is to say of it is said when one of its laptops is judged again.
    fn write(&mut self, written: Option<Written>) {
        let Some(written) = written else { return };
        let id = &written.alert.id;
        if self.changes.iter().any(|change| matches!(change, Change::PutAlert(alert) if alert.id == *id)) {
            return;
        }
        if written.material {
            self.told.push(written.alert.clone());
        }
        self.changes.extend(written.changes());
    }

    /// Brings a draft to its alert; in learning mode only counts it. Gives the alert as it will stand.
    async fn bring(&mut self, existing: Option<Alert>, draft: Draft) -> Result<Option<Alert>> {
        if self.app.policy.learning {
            learning::count(self.app, &draft).await?;
            return Ok(existing);
        }
        let written = bring(existing.as_ref(), draft, report::new_id(self.app, self.now), self.now);
        let alert = written.as_ref().map(|written| written.alert.clone()).or(existing);
        self.write(written);
        Ok(alert)
    }

    /// IT allows what an alert about several laptops is about: it is resolved, and what it had taken in stands alone.
    async fn settle(&mut self, open: &Alert, what: &str) -> Result<()> {
        let Some(written) = life::settle(open, what, self.now) else { return Ok(()) };
        for own in taken_in(self.app, open, &[AlertState::New, AlertState::InProgress]).await? {
            // Those of the laptop that is judged are written anyway.
            if !own.devices.contains(&self.subject) {
                self.write(life::absorb(&own, None, self.now));
            }
        }
        // Nobody comes under it any more.
        self.standing.push(written.alert.clone());
        self.write(Some(written));
        Ok(())
    }

    /// An exception covers all about the device.
    fn covered(&mut self, subject: &Subject) {
        for open in subject.open.iter().filter(|alert| !takes_in(alert)) {
            self.write(life::settle(open, "an exception covers the laptop", self.now));
        }
    }

    async fn device_alert(&mut self, subject: &Subject, home: Option<&SiteId>) -> Result<()> {
        let key = device_alert::key(&subject.device);
        let existing = match subject.open.iter().find(|alert| alert.key == key) {
            Some(open) => Some(open.clone()),
            None if subject.judged.posterior < self.app.weights.threshold.device => return Ok(()),
            None => self.app.store.alert_by_key(&key).await?,
        };
        let mut draft = device_alert::draft(&subject.device, &subject.judged, &self.app.weights);
        draft.absorbed_by = self.open_site_alert(home).await?;
        let alert = self.bring(existing, draft).await?;
        self.standing.extend(alert);
        Ok(())
    }

    /// The open alert of a site, as it will stand.
    async fn open_site_alert(&self, site: Option<&SiteId>) -> Result<Option<AlertId>> {
        let Some(site) = site else { return Ok(None) };
        let key = site_alert::key(site);
        let alert = match self.standing.iter().find(|alert| alert.key == key) {
            Some(alert) => Some(alert.clone()),
            None => self.app.store.alert_by_key(&key).await?,
        };
        Ok(alert.filter(|alert| alert.state != AlertState::Resolved).map(|alert| alert.id))
    }

    async fn site_alerts(&mut self, known: &Known, subject: &Subject, around: &Around) -> Result<()> {
        for now in &around.sites {
            self.site_alert(known, subject, now).await?;
        }
        for Gone { id, into, .. } in &around.gone {
            let Some(alert) = self.app.store.alert_by_key(&site_alert::key(id)).await? else { continue };
            let into = into.as_ref().filter(|id| around.sites.iter().any(|s| s.site.id == **id));
            let by = self.open_site_alert(into).await?;
            let written = match by {
                Some(by) => life::absorb(&alert, Some(&by), self.now),
                None => life::note(
                    &alert,
                    "No longer together since ",
                    "the laptops no longer stand together",
                    self.now,
                ),
            };
            self.write(written);
        }
        Ok(())
    }

    async fn site_alert(&mut self, known: &Known, subject: &Subject, now: &SiteNow) -> Result<()> {
        let site = &now.site;
        let existing = self.app.store.alert_by_key(&site_alert::key(&site.id)).await?;
        let open = existing.as_ref().filter(|alert| alert.state != AlertState::Resolved);
        if let Some(name) = &site.sanctioned {
            let what = format!("the place is sanctioned: {name}");
            return match open {
                Some(alert) => self.settle(alert, &what).await,
                None => Ok(()),
            };
        }
        if site.judged.farm < self.app.weights.threshold.site && open.is_none() {
            return Ok(());
        }
        let mut members = Vec::new();
        for one in now.occupants.iter().filter(|one| !known.covers(&one.id)) {
            if one.id == subject.device.id {
                members.push(site_alert::Member::of(&subject.device, subject.judged.clone()));
            } else if let Some(device) = self.app.store.device(&one.id).await? {
                let judged = device.judged.clone().unwrap_or_default();
                members.push(site_alert::Member::of(&device, judged));
            }
        }
        let draft = site_alert::draft(site, &members, &self.app.weights);
        let opens = open.is_none();
        let Some(alert) = self.bring(existing, draft).await? else { return Ok(()) };
        if alert.state != AlertState::Resolved {
            let came = now.occupants.iter().filter(|one| opens || one.site.as_ref() != Some(&site.id));
            self.absorb_members(came, &alert).await?;
        }
        self.standing.push(alert);
        Ok(())
    }

    /// The open alerts about laptops that came to a site come under its alert: those of what they show, and those of tools
    /// and hardware. Those of the subject, and what is raised later, do so by themselves.
    async fn absorb_members(&mut self, came: impl Iterator<Item = &Occupant>, alert: &Alert) -> Result<()> {
        for one in came {
            if one.id == self.subject {
                continue;
            }
            for own in self.app.store.alerts(&AlertFilter::open_of(&one.id), &Page::first(OPEN)).await? {
                let comes = match own.kind {
                    AlertKind::Device => true,
                    AlertKind::Policy => policy::is_about_a_thing(&own.key),
                    AlertKind::Site => false,
                };
                if comes {
                    let written = life::absorb(&own, Some(&alert.id), self.now);
                    self.write(written);
                }
            }
        }
        Ok(())
    }

    /// What Farmwatch does by itself about the alerts that stand.
    async fn quarantine(&mut self, around: &Around, home: Option<&SiteId>) -> anyhow::Result<()> {
        if self.standing.is_empty() {
            return Ok(());
        }
        let now = |id: &SiteId| around.sites.iter().map(|now| &now.site).find(|site| site.id == *id);
        let stored = match home {
            Some(id) if now(id).is_none() => self.app.store.site(id).await?,
            _ => None,
        };
        let home = home.and_then(now).or(stored.as_ref());
        let mut batch = Batch::default();
        for alert in std::mem::take(&mut self.standing) {
            let site = match &alert.site {
                Some(id) => now(id),
                None => home,
            };
            let decided = consider(self.app, &alert, site, &mut batch, self.now).await?;
            self.changes.extend(decided);
        }
        Ok(())
    }
}
