//! The policy alerts of a device: each of its own things, and one for all laptops about a tool that the fleet has.

use std::collections::{BTreeMap, BTreeSet};

use farmwatch_shared::facts::RemoteTool;
use farmwatch_shared::finding::Finding;
use farmwatch_shared::id::{DeviceId, SiteId};
use farmwatch_shared::rules::common::Share;
use farmwatch_shared::rules::{self, Context, Evidence, remote_control};
use farmwatch_shared::state::FactKey;
use farmwatch_shared::weights::Weights;
use serde::Deserialize as _;

use super::super::known::Known;
use super::super::place::Subject;
use super::super::prevalence;
use super::Writing;
use crate::alerts::fleet::{self, MANY};
use crate::alerts::life::{self, no_longer_seen};
use crate::alerts::{Draft, fleet_tool, policy};
use crate::store::{Alert, AlertKind, AlertState, Device, Result};

/// Most laptops that an alert about the fleet's tool names.
const NAMED: u32 = 50;
/// What is said of it when it is the fleet's no more.
const FEW: (&str, &str) =
    ("On few laptops since ", "few laptops have the tool, or an account of it that IT has not sanctioned");

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
                // It names this laptop, whether that has the tool or not.
                if known.sanctions_everywhere(tool) {
                    self.settle(open, "IT sanctions the tool").await?;
                } else {
                    self.over_if_few(open, tool).await?;
                }
            } else if subject.allowed.contains(&open.key) {
                self.write(life::settle(open, "IT allows it now", self.now));
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
            // Of so many laptops one more is no news; one that is suspected is.
            if !subject.suspect
                && let Some(fleets) = self.fleets_tool(subject, &draft).await?
            {
                let Some(own) = existing.as_ref().filter(|own| is_open(own)) else { continue };
                let by = fleets.filter(is_open).map(|alert| alert.id);
                // What somebody works on stays where it is.
                if own.assignee.is_none() || own.absorbed_by == by {
                    draft.absorbed_by = draft.absorbed_by.or(by);
                }
            }
            let before = existing.as_ref().map(|alert| alert.version);
            let alert = self.bring(existing, draft).await?;
            // Audited once, when it is written: policy alerts never isolate by themselves.
            self.standing.extend(alert.filter(|alert| Some(alert.version) != before));
        }
        Ok(())
    }

    /// The alert about the tool that a draft is about, raised now or brought up to date; `None` where it is no tool of the
    /// fleet's, and no alert where none is raised in learning mode.
    async fn fleets_tool(&mut self, subject: &Subject, draft: &Draft) -> Result<Option<Option<Alert>>> {
        let about = |(what, share): (&String, &Share)| {
            let (rule, tool) = what.split_once('/')?;
            let same = draft.key.ends_with(&format!("/remote_tool/{tool}"));
            let forbids = draft.waterfall.iter().any(|bar| bar.rule == rule);
            (same && forbids).then(|| (what.clone(), tool.to_owned(), *share))
        };
        let Some((what, id, share)) = subject.common.iter().find_map(about) else {
            if let Some((_, tool)) = draft.key.split_once("/remote_tool/")
                && let Some(alert) = self.app.store.alert_by_key(&fleet_tool::key(tool)).await?
                && !alert.evidence.is_empty()
            {
                self.over_if_few(&alert, tool).await?;
            }
            return Ok(None);
        };
        let key = fleet_tool::key(&id);
        let existing = self.app.store.alert_by_key(&key).await?;
        // What was the fleet's is so until half of them have it no more.
        if share.with < MANY && existing.as_ref().is_none_or(|alert| alert.evidence.is_empty()) {
            return Ok(None);
        }
        let pieces = fleet::pieces(&key, share.with, "");
        if existing.as_ref().is_some_and(|alert| !life::is_news(alert, &pieces)) {
            return Ok(Some(existing));
        }
        let (mut named, mut accounts) = (Vec::new(), Vec::new());
        if !self.app.policy.learning {
            named = self.app.store.devices_at(&[prevalence::trait_of(&what)], NAMED).await?.concat();
            accounts = self.accounts(&id, &named).await?;
        }
        let about = fleet_tool::draft(&id, &subject.state, share, named, &accounts);
        Ok(Some(self.bring(existing, about).await?))
    }

    /// The hashes of a tool's accounts on some laptops, on most of them first, with on how many.
    async fn accounts(&self, tool: &str, devices: &[DeviceId]) -> Result<Vec<(String, usize)>> {
        let key = FactKey::of::<RemoteTool>(tool);
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for device in devices {
            let fact = self.app.store.fact(device, &key).await?;
            let account =
                fact.and_then(|fact| RemoteTool::deserialize(fact).ok()).and_then(|tool| tool.account);
            if let Some(account) = account {
                *counts.entry(account.as_str().to_owned()).or_default() += 1;
            }
        }
        let mut accounts: Vec<(String, usize)> = counts.into_iter().collect();
        accounts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Ok(accounts)
    }

    /// A tool that many laptops had and few do: what was said of many is over.
    async fn over_if_few(&mut self, alert: &Alert, tool: &str) -> Result<()> {
        let each = |rule: &&str| prevalence::trait_of(&format!("{rule}/{tool}"));
        let traits: Vec<_> = remote_control::IDS.iter().map(each).collect();
        let left: u64 = self.app.store.counts_at(&traits).await?.into_iter().sum();
        if left < MANY / 2 {
            self.write(life::over(alert, FEW, self.now));
        }
        Ok(())
    }
}

/// Of a device's open alerts about things, those about what is still there and IT allows now, by their keys.
pub(super) fn allowed(
    device: &Device,
    open: &[Alert],
    findings: &[Finding],
    evidence: &Evidence<'_>,
    weights: &Weights,
) -> BTreeSet<String> {
    let of_things =
        open.iter().filter(|alert| alert.kind == AlertKind::Policy && policy::is_about_a_thing(&alert.key));
    let mut untold: BTreeSet<String> = of_things.map(|alert| alert.key.clone()).collect();
    // Most laptops have none.
    if untold.is_empty() {
        return untold;
    }
    let keys = |findings: &[Finding]| -> BTreeSet<String> {
        policy::drafts(device, findings, evidence.state).into_iter().map(|draft| draft.key).collect()
    };
    let told = keys(findings);
    untold.retain(|key| !told.contains(key));
    if untold.is_empty() {
        return untold;
    }
    let (sanctioned_tools, sanctioned_accounts, sanctioned_things) = Default::default();
    let context =
        Context { sanctioned_tools, sanctioned_accounts, sanctioned_things, ..evidence.context.clone() };
    let all = keys(&rules::findings(&Evidence { context: &context, ..*evidence }, weights));
    untold.intersection(&all).cloned().collect()
}

fn is_open(alert: &Alert) -> bool {
    alert.state != AlertState::Resolved
}
