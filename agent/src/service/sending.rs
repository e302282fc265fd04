//! Reports on their way, and what comes back with their acknowledgement.

use std::time::Duration;

use farmwatch_shared::order::{OrderResult, Outcome};
use farmwatch_shared::sealed::Envelope;
use farmwatch_shared::wire::{self, Ack, Certificate, MAX_REPORTS};

use super::{Daemon, Event, client, sender, spooled_device};
use crate::clock::{self, Mono, Now};
use crate::enrol::{self, RekeyError};
use crate::identity::KeyPair;
use crate::uplink::{Due, Failure, schedule};

/// Most JSON in one body: it never packs to more than the wire's bound.
const MAX_JSON: usize = 240 << 10;
/// After a refused policy or catalogue, a failed renewal.
const LONG_PAUSE: Duration = Duration::from_mins(10);
/// A renewed certificate that fails this often in a row gives way to the old one.
const MAX_NEXT_FAILURES: u32 = 5;

impl Daemon {
    /// Makes what is news durable. What the spool does not take stays in memory and is tried again.
    pub(super) fn spool_news(&mut self, now: Now) {
        while self.reporter.has_news() {
            if !self.spool_report(now) {
                return;
            }
        }
    }

    fn spool_report(&mut self, now: Now) -> bool {
        if !self.work.observed {
            // A whole state from before the sensors' first look would tell the collector that all facts are gone.
            return false;
        }
        let lost = self.reporter.take_dropped();
        if lost > 0
            && let Err(error) = self.spool.count_dropped(lost)
        {
            tracing::warn!(%error, lost, "cannot keep the count of dropped windows");
        }
        let report = self.reporter.report(now.wall, self.spool.dropped_windows());
        match self.spool.append(&report) {
            Ok(()) => {
                self.reporter.taken(&report);
                self.work.spool_refuses = false;
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.work.spool_refuses, true) {
                    tracing::error!(%error, "what is new stays in memory; free disk space or let the agent reach the collector");
                }
                false
            }
        }
    }

    /// Sends, beats, or says until when there is nothing to do.
    pub(super) async fn send_what_is_due(&mut self, now: Now) -> Mono {
        if let Some(why) = self.work.rekey.clone() {
            return self.rekey(&why, now).await;
        }
        match self.schedule.due(now.mono, self.spool.is_empty()) {
            Due::Wait(until) => until,
            Due::Heartbeat => {
                if !self.spool_report(now) {
                    self.schedule.sent(now.mono, clock::fraction());
                    return now.mono + Duration::from_secs(1);
                }
                self.send(now)
            }
            Due::Send => self.send(now),
        }
    }

    fn send(&mut self, now: Now) -> Mono {
        let later = now.mono + Duration::from_mins(5);
        let batch = match self.spool.batch(MAX_REPORTS, MAX_JSON) {
            Ok(batch) => batch,
            Err(error) => {
                tracing::error!(%error, "cannot read the spool");
                self.schedule.failed(now.mono, None, clock::fraction());
                return now.mono + Duration::from_secs(1);
            }
        };
        if batch.reports.is_empty() {
            tracing::error!(through = batch.through, "the spool holds what is no report; passing over it");
            if let Err(error) = self.spool.ack(batch.through.max(1)) {
                tracing::error!(%error, "cannot pass over it");
            }
            self.schedule.sent(now.mono, clock::fraction());
            return later;
        }
        if batch.reports.iter().any(|report| report.device != self.identity.device) {
            // A crash between the new identity and the new spool: these are the old device's.
            self.start_over(now);
            return now.mono;
        }
        match wire::pack(&batch.reports) {
            Ok(body) => {
                self.schedule.sending();
                let (client, events) = (self.client.clone(), self.events.clone());
                tokio::spawn(async move {
                    let _ = events.send(Event::Sent(client.reports(body).await));
                });
            }
            Err(error) => {
                tracing::error!(%error, "cannot pack reports");
                self.schedule.failed(now.mono, None, clock::fraction());
            }
        }
        later
    }

    pub(super) fn sent(&mut self, answer: Result<Ack, Failure>, now: Now) {
        let ack = match answer {
            Ok(ack) => ack,
            Err(failure) => return self.not_sent(&failure, now),
        };
        self.schedule.sent(now.mono, clock::fraction());
        self.board.reached(now);
        self.certificate_worked();
        self.write_down(ack.seq, now);
        if let Err(error) = self.spool.ack(ack.seq) {
            tracing::error!(%error, "cannot delete acknowledged reports; they are sent again and taken once");
        }
        if ack.want_state {
            tracing::info!("the collector asks for the whole state");
            self.reporter.want_whole();
            self.spool_news(now);
        }
        self.fetch_newer(&ack, now);
    }

    /// What was sent goes into the ledger before it leaves the spool.
    fn write_down(&mut self, through: u64, now: Now) {
        let batch = match self.spool.batch(MAX_REPORTS, MAX_JSON) {
            Ok(batch) => batch,
            Err(error) => return tracing::warn!(%error, "cannot read what was sent"),
        };
        let sent: Vec<_> = batch.reports.into_iter().take_while(|report| report.seq <= through).collect();
        if let Err(error) = self.ledger.write(&sent, now.wall) {
            tracing::warn!(%error, "cannot write down what was sent");
        }
    }

    fn not_sent(&mut self, failure: &Failure, now: Now) {
        let pause = self.schedule.failed(now.mono, failure.retry_after(), clock::fraction());
        self.board.failed(failure.to_string());
        if self.schedule.failures() == 1 {
            tracing::warn!(%failure, "reports wait in the spool");
        } else {
            tracing::debug!(%failure, ?pause, "reports wait in the spool");
        }
        if failure.is_conflict() {
            self.work.rekey.get_or_insert_with(|| failure.to_string());
        }
        if self.identity.next.is_some() {
            self.work.next_failures += 1;
            if self.work.next_failures >= MAX_NEXT_FAILURES {
                tracing::warn!("the renewed certificate does not work; going back to the old one");
                self.identity.next = None;
                self.keep_identity();
            }
        }
    }

    fn certificate_worked(&mut self) {
        self.work.next_failures = 0;
        if self.identity.adopt_next() {
            tracing::info!("the renewed certificate works");
            self.keep_identity();
        }
    }

    fn keep_identity(&mut self) {
        if let Err(error) = self.identity.write(&self.config.state) {
            tracing::error!("cannot keep the identity: {error:#}");
        }
        self.renew_client();
    }

    fn renew_client(&mut self) {
        match client(&self.config, &self.identity) {
            Ok(client) => self.client = client,
            Err(error) => tracing::error!("cannot use the identity: {error:#}"),
        }
    }

    /// Fetches what the collector has newer.
    fn fetch_newer(&mut self, ack: &Ack, now: Now) {
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
        let state = &self.config.state;
        match self.adopted.take_policy(&envelope, &key, &self.identity.device, now.wall, state) {
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
        let state = &self.config.state;
        match self.adopted.take_catalogue(&envelope, &key, &self.identity.device, now.wall, state) {
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
    ) -> Option<(Envelope, ed25519_dalek::VerifyingKey)> {
        let envelope = match answer {
            Ok(envelope) => envelope,
            Err(failure) => {
                tracing::warn!(%failure, what, "cannot fetch it; trying again later");
                self.work.fetch_not_before = now.mono + LONG_PAUSE;
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
        self.work.fetch_not_before = now.mono + LONG_PAUSE;
        self.desk.tell(OrderResult {
            order: None,
            outcome: Outcome::Refused,
            why: Some(format!("{what}: {why}")),
        });
    }

    /// Asks for a fresh certificate two thirds into the life of this one.
    pub(super) fn renew_if_due(&mut self, now: Now) {
        let due = match self.identity.renew_at() {
            Ok(at) => now.wall >= at,
            Err(error) => return tracing::error!("{error:#}"),
        };
        let idle = !self.work.renewing && self.identity.next.is_none() && self.work.rekey.is_none();
        if !due || !idle || now.mono < self.work.renew_not_before {
            return;
        }
        self.work.renew_not_before = now.mono + LONG_PAUSE;
        let (csr, key) = match enrol::signing_request() {
            Ok(pair) => pair,
            Err(error) => return tracing::error!("{error:#}"),
        };
        self.work.renewing = true;
        let (client, events) = (self.client.clone(), self.events.clone());
        tokio::spawn(async move {
            let answer = client.renew(&wire::RenewRequest { csr }).await;
            let _ = events.send(Event::Renewed { answer, key });
        });
    }

    pub(super) fn renewed(&mut self, answer: Result<Certificate, Failure>, key: String) {
        self.work.renewing = false;
        match answer {
            Ok(Certificate { certificate, .. }) => {
                tracing::info!("a fresh certificate came; the old one stays until it has worked");
                self.identity.next = Some(KeyPair { certificate, key });
                self.keep_identity();
            }
            Err(failure) => tracing::warn!(%failure, "cannot renew the certificate; trying again"),
        }
    }

    /// Becomes a device of its own, and says until when to wait if that failed.
    async fn rekey(&mut self, why: &str, now: Now) -> Mono {
        if now.mono < self.work.rekey_not_before {
            return self.work.rekey_not_before;
        }
        tracing::warn!(why, device = %self.identity.device, "asking for an identity of its own");
        let asked = enrol::rekey(&self.identity, &self.client, &self.config.state, &self.places.root).await;
        match asked {
            Ok(identity) => {
                tracing::warn!(old = %self.identity.device, new = %identity.device, "this laptop is another device now");
                self.identity = identity;
                self.work.rekey = None;
                self.work.rekey_failures = 0;
                self.renew_client();
                self.start_over(now);
                self.reconfigure_sensors();
                now.mono
            }
            Err(error) => {
                let retry_after =
                    if let RekeyError::Call(failure) = &error { failure.retry_after() } else { None };
                let pause = schedule::pause(self.work.rekey_failures + 3, retry_after, clock::fraction());
                self.work.rekey_failures += 1;
                self.work.rekey_not_before = now.mono + pause;
                self.board.failed(error.to_string());
                tracing::error!(%error, ?pause, "no identity of its own yet");
                self.work.rekey_not_before
            }
        }
    }

    /// A fresh spool under the new name. What this run saw and could not send goes along; what the copied
    /// folder held is the original's, which sends it.
    fn start_over(&mut self, now: Now) {
        let mut own = self.spool.batch(usize::MAX, 4 << 20).unwrap_or_default().reports;
        own.retain(|report| report.boot == self.boot);
        let same = spooled_device(&self.spool).as_ref() == Some(&self.identity.device);
        if same {
            return;
        }
        if let Err(error) = self.spool.start_over() {
            tracing::error!(%error, "cannot empty the spool");
        }
        self.desk.start_over();
        self.boot = hex::encode(clock::random::<4>());
        self.reporter.rename(sender(&self.identity, &self.boot), self.spool.next_seq());
        for report in own {
            self.reporter.happened(report.windows, report.transitions);
        }
        self.schedule.sent(now.mono, clock::fraction());
        self.spool_news(now);
    }
}
