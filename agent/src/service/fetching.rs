//! Policy and catalogue: fetched when an acknowledgement says that there is something newer.

use std::time::Duration;

use ed25519_dalek::VerifyingKey;
use farmwatch_shared::order::{OrderResult, Outcome};
use farmwatch_shared::sealed::Envelope;
use farmwatch_shared::wire::Ack;

use super::{Daemon, Event};
use crate::clock::{self, Now};
use crate::uplink::Failure;

/// Until the next attempt after one was refused or could not be fetched.
const PAUSE: Duration = Duration::from_mins(10);

impl Daemon {
    /// Fetches what the collector has newer.
    pub(super) fn fetch_newer(&mut self, ack: &Ack, now: Now) {
        if now.mono < self.work.fetch_not_before {
            return;
        }
        let (client, events) = (self.client.clone(), self.events.clone());
        if ack.policy > self.adopted.policy_counter
            && !std::mem::replace(&mut self.work.fetching_policy, true)
        {
            let (client, events) = (client.clone(), events.clone());
            tokio::spawn(async move {
                let _ = events.send(Event::Policy(client.policy().await));
            });
        }
        if ack.catalogue > self.adopted.catalogue_counter
            && !std::mem::replace(&mut self.work.fetching_catalogue, true)
        {
            tokio::spawn(async move {
                let _ = events.send(Event::Catalogue(client.catalogue().await));
            });
        }
    }

    pub(super) fn fetched_policy(&mut self, answer: Result<Envelope, Failure>, now: Now) {
        self.work.fetching_policy = false;
        let Some((envelope, key)) = self.fetched("policy", answer, now) else { return };
        let at = self.client.collector_time(now.wall);
        let state = &self.config.state;
        match self.adopted.take_policy(&envelope, &key, &self.identity.device, at, state) {
            Ok(()) => {
                tracing::info!(counter = self.adopted.policy_counter, "policy adopted");
                self.spool.set_bound(self.adopted.spool_bound());
                self.schedule.set_heartbeat(self.adopted.heartbeat(), now.mono, clock::fraction());
                self.level.changed(self.reporter.state(), &self.adopted.policy, now.wall);
                self.reconfigure_sensors();
            }
            Err(why) => self.refused("policy", &why, now),
        }
    }

    pub(super) fn fetched_catalogue(&mut self, answer: Result<Envelope, Failure>, now: Now) {
        self.work.fetching_catalogue = false;
        let Some((envelope, key)) = self.fetched("catalogue", answer, now) else { return };
        let at = self.client.collector_time(now.wall);
        let state = &self.config.state;
        match self.adopted.take_catalogue(&envelope, &key, &self.identity.device, at, state) {
            Ok(()) => {
                tracing::info!(counter = self.adopted.catalogue_counter, "catalogue adopted");
                self.reconfigure_sensors();
            }
            Err(why) => self.refused("catalogue", &why, now),
        }
    }

    fn fetched(
        &mut self,
        what: &str,
        answer: Result<Envelope, Failure>,
        now: Now,
    ) -> Option<(Envelope, VerifyingKey)> {
        let envelope = match answer {
            Ok(envelope) => envelope,
            Err(failure) => {
                tracing::warn!(%failure, what, "cannot fetch it; trying again later");
                self.work.fetch_not_before = now.mono + PAUSE;
                return None;
            }
        };
        match self.identity.order_key() {
            Ok(key) => Some((envelope, key)),
            Err(error) => {
                tracing::error!("{error:#}");
                None
            }
        }
    }

    fn refused(&mut self, what: &str, why: &str, now: Now) {
        tracing::error!(why, what, "refused; the last good one stays");
        self.work.fetch_not_before = now.mono + PAUSE;
        self.desk.tell(OrderResult {
            order: None,
            outcome: Outcome::Refused,
            why: Some(format!("{what}: {why}")),
        });
    }
}
