//! The agent is started anew beside what is plugged in, as an update or a person does it.

use serde_json::{Map, Value};

use super::laptop::Laptop;

/// Since when a PiKVM's screen and USB device are there outlives the agent.
pub fn beside_a_pikvm(laptop: &mut Laptop) {
    let before = laptop.until("since when the PiKVM is there", |laptop| {
        let told = since(&laptop.facts());
        told.iter().all(Value::is_string).then_some(told)
    });
    let boot = last_boot(&laptop.sent());
    laptop.guest.run("kill $(pidof farmwatch-agent)").unwrap();
    laptop.guest.run("while pidof farmwatch-agent; do usleep 100000; done").unwrap();
    laptop.guest.run("farmwatch-agent run >>/tmp/agent.log 2>&1 &").unwrap();
    let anew = |reports: &[Value]| {
        let mut by_new = reports.iter().filter(|report| report["boot"] != boot);
        by_new.any(|report| report["set"].get("usb_device/1-1").is_some())
    };
    laptop.until_sent("the started agent's first look", anew);
    assert_eq!(since(&laptop.facts()), before, "{}", laptop.guest.run("cat /tmp/agent.log").unwrap());
}

fn since(facts: &Map<String, Value>) -> [Value; 2] {
    ["display/Virtual-1", "usb_device/1-1"].map(|key| facts[key]["since"].clone())
}

fn last_boot(reports: &[Value]) -> Value {
    reports.last().map(|report| report["boot"].clone()).unwrap_or_default()
}
