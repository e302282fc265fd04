//! The device's name and certificate: renewal, and a name of its own for a copied state folder.

use std::time::Duration;

use farmwatch_shared::wire::{Certificate, RenewRequest};

use super::{Daemon, Event, client, sender, spooled_device};
use crate::clock::{self, Mono, Now};
use crate::enrol::{self, RekeyError};
use crate::identity::KeyPair;
use crate::uplink::{Failure, schedule};

/// Between attempts to renew.
const PAUSE: Duration = Duration::from_mins(10);
/// A renewed certificate that fails this often in a row gives way to the old one.
const MAX_NEXT_FAILURES: u32 = 5;

impl Daemon {
    /// Asks for a fresh certificate two thirds into the life of this one.
    pub(super) fn renew_if_due(&mut self, now: Now) {
        let due = match self.identity.renew_at() {
            Ok(at) => self.client.collector_time(now.wall) >= at,
            Err(error) => return tracing::error!("{error:#}"),
        };
        let idle = !self.work.renewing && self.identity.next.is_none() && self.work.rekey.is_none();
        if !due || !idle || now.mono < self.work.renew_not_before {
            return;
        }
        self.work.renew_not_before = now.mono + PAUSE;
        let (csr, key) = match enrol::signing_request() {
            Ok(pair) => pair,
            Err(error) => return tracing::error!("{error:#}"),
        };
        self.work.renewing = true;
        let (client, events) = (self.client.clone(), self.events.clone());
        tokio::spawn(async move {
            let answer = client.renew(&RenewRequest { csr }).await;
            let _ = events.send(Event::Renewed { answer, key });
        });
    }

    pub(super) fn renewed(&mut self, answer: Result<Certificate, Failure>, key: String) {
        self.work.renewing = false;
        match answer {
            Ok(Certificate { certificate, .. }) => {
                self.identity.next = Some(KeyPair { certificate, key });
                if let Err(error) = client(&self.config, &self.identity) {
                    self.identity.next = None;
                    return tracing::error!(
                        "the fresh certificate is unusable, the old one stays: {error:#}"
                    );
                }
                tracing::info!("a fresh certificate came; the old one stays until it has worked");
                self.keep_identity();
            }
            Err(failure) => tracing::warn!(%failure, "cannot renew the certificate; trying again"),
        }
    }

    /// Becomes a device of its own, and says until when to wait if that failed.
    pub(super) async fn rekey(&mut self, why: &str, now: Now) -> Mono {
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
    pub(super) fn start_over(&mut self, now: Now) {
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

    pub(super) fn certificate_worked(&mut self) {
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

    pub(super) fn certificate_failed(&mut self) {
        if self.identity.next.is_none() {
            return;
        }
        self.work.next_failures += 1;
        if self.work.next_failures >= MAX_NEXT_FAILURES {
            tracing::warn!("the renewed certificate does not work; going back to the old one");
            self.identity.next = None;
            self.keep_identity();
        }
    }
}
