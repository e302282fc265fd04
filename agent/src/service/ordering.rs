//! Orders on their way in, isolation, and the answers on their way out.

use std::time::Duration;

use farmwatch_shared::order::{Order, OrderKind, OrderResult, Outcome};
use farmwatch_shared::sealed::{Envelope, Sealed};
use farmwatch_shared::wire::Orders;

use super::{Daemon, Event, enrolled};
use crate::clock::{self, Now};
use crate::isolate::{self, Phase, Record};
use crate::notice;
use crate::sensors;
use crate::uplink::{Failure, schedule};

/// How long one request waits for orders.
const WAIT: Duration = Duration::from_mins(4);
/// A collector that answers empty-handed at once has no room for us to wait: this is how often we ask then.
const POLL: Duration = Duration::from_mins(1);
/// An empty answer after this long is a wait that something on the way has cut short.
const AT_ONCE: Duration = Duration::from_secs(5);
/// How often the collector is tried after the rules are in force, before they are taken back.
const CHECKS: u32 = 3;
const CHECK_TIMEOUT: Duration = Duration::from_secs(8);

impl Daemon {
    /// Waits for orders on a connection of its own.
    pub(super) fn poll_orders(&mut self, now: Now) {
        if self.work.polling || now.mono < self.work.poll_not_before || self.work.rekey.is_some() {
            return;
        }
        self.work.polling = true;
        let (client, events, after) = (self.client.clone(), self.events.clone(), self.desk.counter());
        tokio::spawn(async move {
            let began = tokio::time::Instant::now();
            let answer = client.orders(after, WAIT).await;
            let _ = events.send(Event::Orders { answer, waited: began.elapsed() });
        });
    }

    pub(super) async fn ordered(&mut self, answer: Result<Orders, Failure>, waited: Duration, now: Now) {
        self.work.polling = false;
        let orders = match answer {
            Ok(orders) => orders.orders,
            Err(failure) => {
                let pause =
                    schedule::pause(self.work.order_failures + 1, failure.retry_after(), clock::fraction());
                self.work.order_failures = self.work.order_failures.saturating_add(1);
                self.work.poll_not_before = now.mono + pause;
                tracing::debug!(%failure, ?pause, "cannot wait for orders");
                if failure.is_conflict() {
                    self.work.rekey.get_or_insert_with(|| failure.to_string());
                }
                return;
            }
        };
        self.work.order_failures = 0;
        self.board.reached(now);
        self.schedule.hurry(now.mono);
        let mut took = false;
        for envelope in &orders {
            took |= self.take_order(envelope).await;
        }
        // Nothing that could be taken, and no wait: without a pause this would be a loop.
        if !took && waited < WAIT / 2 {
            let cut_short = orders.is_empty() && waited > AT_ONCE;
            self.work.poll_not_before = now.mono + if cut_short { Duration::from_secs(1) } else { POLL };
        }
    }

    async fn take_order(&mut self, envelope: &Envelope) -> bool {
        let key = match self.identity.order_key() {
            Ok(key) => key,
            Err(error) => {
                tracing::error!("{error:#}");
                return false;
            }
        };
        let collector_time = self.client.collector_time(Now::read().wall);
        let opened = self.desk.open(envelope, &key, &self.identity.device, collector_time);
        let Sealed { counter, content: order, .. } = match opened {
            Ok(sealed) => sealed,
            Err(Some(why)) => {
                tracing::error!(why, "order refused");
                return false;
            }
            Err(None) => return false,
        };
        let done = self.carry_out(&order, envelope).await;
        let (outcome, why) = match done {
            Ok(()) => (Outcome::Done, None),
            Err(why) => (Outcome::Failed, Some(why)),
        };
        tracing::warn!(order = %order.id, ?outcome, why, "order");
        self.desk.answered(counter, OrderResult { order: Some(order.id), outcome, why });
        self.spool_news(Now::read());
        true
    }

    async fn carry_out(&mut self, order: &Order, envelope: &Envelope) -> Result<(), String> {
        match &order.kind {
            OrderKind::Challenge => {
                self.reporter.want_whole();
                self.control.send(sensors::Command::SenseAll);
                Ok(())
            }
            OrderKind::Release { .. } => self.release(),
            OrderKind::Isolate { until, reason } => {
                let now = Now::read();
                let url = enrolled::url_of(&self.config, &self.identity).map_err(|e| format!("{e:#}"))?;
                let proxy = enrolled::proxy_of(&self.config, &url).map_err(|e| format!("{e:#}"))?;
                let way = isolate::way(&url, proxy.as_ref(), &self.adopted.policy.isolation.allow).await;
                let way = way.map_err(|e| format!("{e:#}"))?;
                let times = (now, self.client.collector_time(now.wall));
                let device = self.identity.device.clone();
                let order = (order, reason.as_str(), *until);
                let record = Record::new(order, device, envelope.clone(), way, times, &self.os_boot);
                self.isolate(record).await
            }
        }
    }

    /// Puts an isolation into force, and takes it back if the collector cannot be reached any more.
    async fn isolate(&mut self, mut record: Record) -> Result<(), String> {
        // Before anything of the isolation that stands is touched: it must end in its time whatever happens here.
        record.write(&self.config.state).map_err(|e| format!("{e:#}"))?;
        let before = self.isolation.take().filter(Record::is_in_force);
        self.work.rules_in_force.clear();
        self.work.take_back = false;
        let applied = match isolate::apply(&record.way) {
            Ok(()) => self.check_reach().await,
            Err(why) => Err(why),
        };
        if let Err(why) = applied {
            // The isolation that stood before this order stays.
            let back = match &before {
                Some(old) => isolate::apply(&old.way),
                None => isolate::remove(),
            };
            if let Err(error) = back {
                tracing::error!(error, "cannot take the rules back; trying again");
                self.work.take_back = before.is_none();
            }
            record.phase = Phase::Failed { why: why.clone() };
            self.keep(if let Some(old) = before { old } else { record });
            return Err(why);
        }
        record.phase = Phase::Isolated;
        if before.is_none() {
            notice::show(isolate::notice(&record, &self.adopted.policy.isolation.contact));
        }
        self.keep(record);
        Ok(())
    }

    async fn check_reach(&self) -> Result<(), String> {
        let mut last = String::new();
        for attempt in 0..CHECKS {
            tokio::time::sleep(Duration::from_millis(500 * u64::from(attempt))).await;
            // A fresh client, so that no connection from before vouches for the way.
            let client = enrolled::client(&self.config, &self.identity).map_err(|e| format!("{e:#}"))?;
            let asked = client.orders(self.desk.counter(), Duration::ZERO);
            match tokio::time::timeout(CHECK_TIMEOUT, asked).await {
                Ok(Ok(_) | Err(Failure::Answer { .. })) => return Ok(()),
                Ok(Err(failure)) => last = failure.to_string(),
                Err(_) => last = format!("no answer within {CHECK_TIMEOUT:?}"),
            }
        }
        Err(format!(
            "the collector could not be reached with the rules in force, so they were taken back ({last}); if a VPN or \
             a local proxy leads to it, add its address to agent.isolation.allow in the policy"
        ))
    }

    fn release(&mut self) -> Result<(), String> {
        isolate::remove()?;
        let Some(mut record) = self.isolation.take().filter(Record::is_in_force) else { return Ok(()) };
        record.phase = Phase::Released;
        notice::show(isolate::notice(&record, &self.adopted.policy.isolation.contact));
        self.keep(record);
        Ok(())
    }

    fn keep(&mut self, record: Record) {
        if let Err(error) = record.write(&self.config.state) {
            tracing::error!("the isolation would not survive a restart: {error:#}");
        }
        self.reporter.state_mut().put("self", &isolate::fact(&record));
        self.isolation = Some(record);
    }

    /// Ends an isolation whose time is over; follows the collector's addresses, the resolvers and the policy;
    /// puts rules back that somebody took away.
    pub(super) async fn watch_isolation(&mut self, now: Now) {
        let Some(mut record) = self.isolation.take() else { return };
        if !record.is_in_force() {
            self.isolation = Some(record);
            if self.work.take_back {
                match isolate::remove() {
                    Ok(()) => self.work.take_back = false,
                    Err(error) => tracing::error!(error, "cannot take the rules back; trying again"),
                }
            }
            return;
        }
        if record.remaining(now, &self.os_boot).is_zero() {
            tracing::warn!(order = %record.order, "the isolation's time is over");
            self.isolation = Some(record);
            if let Err(why) = self.release() {
                tracing::error!(why, "cannot end the isolation; trying again");
            }
            return self.spool_news(now);
        }
        if let Ok(url) = enrolled::url_of(&self.config, &self.identity)
            && let Ok(proxy) = enrolled::proxy_of(&self.config, &url)
            && let Ok(fresh) = isolate::way(&url, proxy.as_ref(), &self.adopted.policy.isolation.allow).await
        {
            isolate::follow(&mut record.way, &fresh);
        }
        let gone = !isolate::is_in_force();
        if gone {
            tracing::error!("somebody took the isolation's rules away; putting them back");
        }
        let next = isolate::rules(&record.way);
        if gone || self.work.rules_in_force != next {
            match isolate::apply(&record.way) {
                Ok(()) => self.work.rules_in_force = next,
                Err(why) => tracing::error!(why, "cannot renew the isolation's rules"),
            }
        }
        record.rebase(now, &self.os_boot);
        self.keep(record);
    }

    /// Tells the collector what became of orders, one after the other.
    pub(super) fn tell_results(&mut self) {
        if self.work.telling || self.work.rekey.is_some() || Now::read().mono < self.work.tell_not_before {
            return;
        }
        let Some(result) = self.desk.next_result().cloned() else { return };
        self.work.telling = true;
        let (client, events) = (self.client.clone(), self.events.clone());
        tokio::spawn(async move {
            let _ = events.send(Event::Told(client.order_result(&result).await));
        });
    }

    pub(super) fn told(&mut self, answer: Result<(), Failure>, now: Now) {
        self.work.telling = false;
        match answer {
            Ok(()) => self.desk.result_delivered(),
            Err(Failure::Answer { status: 400..=404 | 410 | 422, error, message, .. }) => {
                tracing::warn!(error, message, "the collector does not take the answer to an order");
                self.desk.result_delivered();
            }
            Err(failure) => {
                tracing::debug!(%failure, "the answer to an order waits");
                let pause =
                    schedule::pause(self.work.order_failures + 2, failure.retry_after(), clock::fraction());
                self.work.tell_not_before = now.mono + pause.max(Duration::from_secs(1));
            }
        }
    }
}
