//! The policy alerts of a device: each of its own things, and one for all laptops about a tool that the fleet has.

use farmwatch_shared::id::SiteId;
use farmwatch_shared::rules::common::Share;

use super::super::known::Known;
use super::super::place::Subject;
use super::super::prevalence;
use super::Writing;
use crate::alerts::life::{self, no_longer_seen};
use crate::alerts::{Draft, fleet_tool, policy};
use crate::store::{Alert, AlertKind, Result};

/// Most laptops that an alert about the fleet's tool names.
const NAMED: u32 = 50;

impl Writing<'_> {
    pub(super) async fn policy_alerts(
        &mut self,
        known: &Known,
        subject: &Subject,
        home: Option<&SiteId>,
    ) -> Result<()> {
        let device = &subject.device;
        let mut drafts = policy::drafts(device, &subject.judged.findings, &subject.state);
        drafts.extend(policy::audited(device, &subject.audit, self.now));
        for open in subject.open.iter().filter(|open| open.kind == AlertKind::Policy) {
            if open.key == policy::silence_key(device) {
                let written = life::note(open, "Heard again ", "the agent is heard again", self.now);
                self.write(written);
            } else if let Some(tool) = fleet_tool::of_key(&open.key) {
                if known.sanctioned_tools(&device.id).any(|sanctioned| sanctioned == tool) {
                    self.write(life::note(open, "Sanctioned since ", "IT sanctions the tool", self.now));
                }
            } else if policy::is_about_a_thing(&open.key) && drafts.iter().all(|d| d.key != open.key) {
                self.write(no_longer_seen(open, self.now));
            }
        }
        if drafts.is_empty() {
            return Ok(());
        }
        let home = self.open_site_alert(home).await?;
        for mut draft in drafts {
            if policy::is_about_a_thing(&draft.key) {
                draft.absorbed_by.clone_from(&home);
            }
            let existing = self.app.store.alert_by_key(&draft.key).await?;
            if let Some(fleets) = self.fleet_alert(subject, &draft).await? {
                // Of so many laptops, one more is no news.
                if existing.is_none() {
                    continue;
                }
                draft.absorbed_by = draft.absorbed_by.or(Some(fleets.id));
            }
            let before = existing.as_ref().map(|alert| alert.version);
            let alert = self.bring(existing, draft).await?;
            // Audited once, when it is written: policy alerts never isolate by themselves.
            self.standing.extend(alert.filter(|alert| Some(alert.version) != before));
        }
        Ok(())
    }

    /// The alert about a tool that the fleet has, raised now or brought up to date; `None` where the draft is about no such tool.
    async fn fleet_alert(&mut self, subject: &Subject, draft: &Draft) -> Result<Option<Alert>> {
        let about = |(what, share): (&String, &Share)| {
            let (rule, tool) = what.split_once('/')?;
            let same = draft.key.ends_with(&format!("/remote_tool/{tool}"));
            let forbids = draft.waterfall.iter().any(|bar| bar.rule == rule);
            (same && forbids).then(|| (what.clone(), tool.to_owned(), *share))
        };
        let Some((what, id, share)) = subject.common.iter().find_map(about) else { return Ok(None) };
        let existing = self.app.store.alert_by_key(&fleet_tool::key(&id)).await?;
        if existing.as_ref().is_some_and(|alert| fleet_tool::says(alert, &id, share)) {
            return Ok(existing);
        }
        let named = match &existing {
            Some(alert) => alert.devices.clone(),
            None => self.app.store.devices_at(&[prevalence::trait_of(&what)], NAMED).await?.concat(),
        };
        let about = fleet_tool::draft(&id, &subject.state, share, named);
        self.bring(existing, about).await
    }
}
