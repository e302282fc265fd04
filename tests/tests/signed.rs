//! Orders, policy and catalogue that are forged, expired, for another device or replayed: refused, with the reason in
//! the agent's log, in the audit, on the laptop's page and as a metric; good ones are carried out all the same.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]
#![allow(clippy::float_cmp, reason = "counters are whole numbers")]

use std::path::Path;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use farmwatch_shared::id::{DeviceId, OrderId};
use farmwatch_shared::order::{Order, OrderKind};
use farmwatch_shared::sealed::{Envelope, Sealed, seal};
use farmwatch_tests::books;
use farmwatch_tests::machine::Machine;
use farmwatch_tests::web::Session;
use farmwatch_tests::world::{Agent, Collector, wait_for};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};

const LONG: Duration = Duration::from_secs(90);

struct Field {
    collector: Collector,
    agent: Agent,
    machine: Machine,
    device: DeviceId,
}

fn field(folder: &Path) -> Field {
    let mut collector = Collector::init(&folder.join("collector"), &[]).unwrap();
    collector.start().unwrap();
    let machine = Machine::new(&folder.join("root"), "33333333").unwrap();
    let mut agent = Agent::new(&folder.join("agent"), "").unwrap().below(machine.root());
    let device: DeviceId = agent.enrol(&collector).unwrap().parse().unwrap();
    agent.start().unwrap();
    let first = || Ok((books::rows(&collector, device.as_str())?.seq > 0).then_some(()));
    wait_for("the first report", LONG, first).unwrap();
    Field { collector, agent, machine, device }
}

fn order_key(collector: &Collector) -> SigningKey {
    let text = std::fs::read_to_string(collector.folder().join("order.key")).unwrap();
    SigningKey::from_bytes(&hex::decode(text.trim()).unwrap().try_into().unwrap())
}

/// An order that does no harm: send everything.
fn challenge(number: u64, device: &DeviceId) -> Sealed<Order> {
    let now = Timestamp::now();
    let content =
        Order { id: OrderId::new(number, number.into()), issued_at: now, kind: OrderKind::Challenge };
    let expires_at = now + SignedDuration::from_hours(1);
    Sealed { counter: number, expires_at, device: Some(device.clone()), content }
}

/// Writes an order into the collector's store, as somebody would who can write there but has not its key.
fn plant(field: &Field, counter: u64, sealed: &Sealed<Order>, envelope: &Envelope) -> String {
    let db = Connection::open(field.collector.folder().join("farmwatch.db")).unwrap();
    db.busy_timeout(Duration::from_secs(10)).unwrap();
    let soon = (Timestamp::now() + SignedDuration::from_hours(1)).as_millisecond();
    db.execute(
        "INSERT INTO device_order (id, device, counter, state, expires_at, sealed, envelope, actor, updated_at)
         VALUES (?1, ?2, ?3, 'waiting', ?4, ?5, ?6, 'mallory', ?4)",
        params![
            sealed.content.id.as_str(),
            field.device.as_str(),
            i64::try_from(counter).unwrap(),
            soon,
            serde_json::to_string(sealed).unwrap(),
            serde_json::to_string(envelope).unwrap()
        ],
    )
    .unwrap();
    sealed.content.id.to_string()
}

fn state_of(field: &Field, order: &str) -> String {
    let db = Connection::open(field.collector.folder().join("farmwatch.db")).unwrap();
    db.query_row("SELECT state FROM device_order WHERE id = ?1", [order], |row| row.get(0)).unwrap()
}

fn becomes(field: &Field, order: &str, state: &str) {
    wait_for(&format!("order {order} to be {state}"), LONG, || {
        Ok((state_of(field, order) == state).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}: it is {}; {}", state_of(field, order), field.agent.said()));
}

#[test]
fn orders_that_are_forged_expired_anothers_or_replayed_are_refused_and_the_next_good_one_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let mut field = field(folder.path());
    let key = order_key(&field.collector);
    let good = challenge(1, &field.device);
    let first = plant(&field, 1, &good, &seal(&key, &good).unwrap());
    becomes(&field, &first, "done");

    field.agent.stop();
    let forged = challenge(2, &field.device);
    let mut expired = challenge(3, &field.device);
    expired.expires_at = Timestamp::now() - SignedDuration::from_secs(5);
    let anothers = challenge(4, &DeviceId::new(1, 1));
    let mut replayed = challenge(5, &field.device);
    replayed.counter = 1;
    let stranger = SigningKey::from_bytes(&[9; 32]);
    let bad = [
        ("bad_signature", plant(&field, 2, &forged, &seal(&stranger, &forged).unwrap())),
        ("expired", plant(&field, 3, &expired, &seal(&key, &expired).unwrap())),
        ("other_device", plant(&field, 4, &anothers, &seal(&key, &anothers).unwrap())),
        ("replayed", plant(&field, 5, &replayed, &seal(&key, &replayed).unwrap())),
    ];
    field.agent.start().unwrap();
    for (word, order) in &bad {
        becomes(&field, order, "refused");
        assert!(field.agent.said().contains(word), "the log does not say {word}: {}", field.agent.said());
        let audit = field.collector.audit(field.device.as_str()).unwrap();
        let told = |(action, why): &(String, String)| action == "order_refused" && why.contains(word);
        assert!(audit.iter().any(told), "{word}: {audit:?}");
    }
    let refused = "farmwatch_order_results_total{outcome=\"refused\"}";
    assert_eq!(field.collector.metric(refused).unwrap(), 4.0);
    let console = Session::log_in(field.collector.console_port, &field.collector.password).unwrap();
    let page = console.page(&format!("/devices/{}", field.device)).unwrap();
    for (word, _) in &bad {
        assert!(page.contains(word), "the page does not say {word}");
    }
    wait_for("the alert", LONG, || {
        let alerts = console.alerts()?;
        Ok(alerts.iter().any(|a| a["title"].as_str().unwrap_or_default().contains("Order not")).then_some(()))
    })
    .unwrap();

    // At its next start the agent asks at once, instead of after a minute.
    field.agent.stop();
    let next = challenge(9, &field.device);
    let next = plant(&field, 9, &next, &seal(&key, &next).unwrap());
    field.agent.start().unwrap();
    becomes(&field, &next, "done");
    assert_eq!(field.collector.metric(refused).unwrap(), 4.0, "each is answered once");
}

#[test]
fn a_policy_and_a_catalogue_of_another_key_are_refused_and_the_last_good_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let mut field = field(folder.path());
    wait_for("the policy", LONG, || Ok((field.agent.status()?["status"]["policy"] == 1).then_some(())))
        .unwrap();
    field.collector.stop();
    let at = |name: &str| field.collector.folder().join(name);
    let good_key = std::fs::read_to_string(at("order.key")).unwrap();
    std::fs::write(at("order.key"), "09".repeat(32)).unwrap();
    let policy = std::fs::read_to_string(at("policy.toml")).unwrap();
    std::fs::write(at("policy.toml"), policy.replace("version = 1", "version = 2")).unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/src/catalogue/tools.txt");
    std::fs::copy(shipped, at("catalogue.txt")).unwrap();
    field.collector.start().unwrap();
    // What a restarted agent reports brings the acknowledgement that tells it of both.
    field.agent.stop();
    field.agent.start().unwrap();
    for what in ["policy", "catalogue"] {
        wait_for(&format!("the refusal of the {what}"), LONG, || {
            let audit = field.collector.audit(field.device.as_str())?;
            let told = |(action, why): &(String, String)| {
                action == "order_refused" && why.contains(&format!("{what}: bad signature"))
            };
            Ok(audit.iter().any(told).then_some(()))
        })
        .unwrap_or_else(|error| panic!("{error:#}: {}", field.agent.said()));
    }
    assert!(field.agent.said().contains("the last good one stays"), "{}", field.agent.said());
    assert!(field.collector.metric("farmwatch_order_results_total{outcome=\"refused\"}").unwrap() >= 2.0);
    let status = field.agent.status().unwrap();
    assert_eq!((&status["status"]["policy"], &status["status"]["catalogue"]), (&1.into(), &0.into()));
    // Everything else goes on, and so do policy and catalogue once the right key signs them.
    field.machine.install("anydesk").unwrap();
    wait_for("a fact", LONG, || {
        let shown = field.collector.device(field.device.as_str())?;
        Ok(shown["facts"]["remote_tool/anydesk"].is_object().then_some(()))
    })
    .unwrap();
    field.agent.stop();
    field.collector.stop();
    std::fs::write(field.collector.folder().join("order.key"), good_key).unwrap();
    field.collector.start().unwrap();
    field.agent.start().unwrap();
    wait_for("the good ones", LONG, || {
        let status = field.agent.status()?;
        Ok((status["status"]["policy"] == 2 && status["status"]["catalogue"] == 1).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}: {}", field.agent.said()));
}
