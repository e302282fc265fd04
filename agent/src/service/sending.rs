//! Reports on their way, and what comes back with their acknowledgement.

use std::time::Duration;

use farmwatch_shared::wire::{self, Ack, MAX_REPORTS};

use super::{Daemon, Event, aside};
use crate::clock::{self, Mono, Now};
use crate::uplink::{Due, Failure};

/// Most JSON in one body: it never packs to more than the wire's bound.
const MAX_JSON: usize = 240 << 10;
/// Between whole states that the collector asks for: one that asks with each answer gets no storm.
const WHOLE_PAUSE: Duration = Duration::from_mins(1);

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
        let count = if self.work.one_by_one { 1 } else { MAX_REPORTS };
        let batch = match self.spool.batch(count, MAX_JSON) {
            Ok(batch) => batch,
            Err(error) => {
                tracing::error!(%error, "cannot read the spool");
                self.schedule.failed(now.mono, None, clock::fraction());
                return now.mono + Duration::from_secs(1);
            }
        };
        if batch.reports.is_empty() {
            tracing::error!(through = batch.through, "the spool holds what is no report; passing over it");
            let passed =
                if batch.through == 0 { self.spool.pass_over_all() } else { self.spool.ack(batch.through) };
            if let Err(error) = passed {
                tracing::error!(%error, "cannot pass over it");
            }
            self.reporter.want_whole();
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
        self.work.one_by_one = false;
        self.write_down(ack.seq, now);
        if let Err(error) = self.spool.ack(ack.seq) {
            tracing::error!(%error, "cannot delete acknowledged reports; they are sent again and taken once");
        }
        if ack.want_state && now.mono >= self.work.whole_not_before {
            tracing::info!("the collector asks for the whole state");
            self.work.whole_not_before = now.mono + WHOLE_PAUSE;
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
        self.certificate_failed();
        if let Failure::Answer { status: 400 | 413 | 422, message, .. } = failure {
            self.set_aside(message, now);
        }
    }

    /// A body that the collector will never take must not hold up the others: its reports go one by one, and the
    /// one that is at fault is put aside. The next report is whole, so no fact is lost with it.
    fn set_aside(&mut self, why: &str, now: Now) {
        if !std::mem::replace(&mut self.work.one_by_one, true) {
            return self.schedule.hurry(now.mono);
        }
        let Ok(batch) = self.spool.batch(1, 0) else { return };
        let Some(report) = batch.reports.first() else { return };
        tracing::error!(
            seq = report.seq,
            why,
            "the collector refuses this report; it goes to {}",
            aside::FILE
        );
        let line = serde_json::to_string(report).map_err(std::io::Error::from);
        let written = line.and_then(|line| aside::put(&self.config.state, line));
        if let Err(error) = written.and_then(|()| self.spool.ack(report.seq)) {
            return tracing::error!(%error, "cannot put it aside");
        }
        self.reporter.want_whole();
        self.schedule.hurry(now.mono);
    }
}
