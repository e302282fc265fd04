//! What each family's sensor sees of the hardware.

use serde_json::{Map, Value};

use super::laptop::Laptop;

type Facts = Map<String, Value>;

/// A laptop with a monitor on it and nothing else.
pub fn of_a_bare_laptop(laptop: &Laptop) {
    let seen = laptop.facts();
    for sensor in ["host", "display", "usb_device", "hid_device", "activity", "network", "power"] {
        assert_eq!(seen[&format!("sensor/{sensor}")]["state"], "ok", "{sensor}");
    }
    assert_eq!(seen["display/Virtual-1"]["edid"]["manufacturer"], "DEL");
    let keyboard = &seen["hid_device/ps2:0001:0001:0"];
    assert!(keyboard["built_in"] == true && keyboard["caps"]["keyboard"] == true, "{keyboard}");
    assert_eq!(family(&seen, "usb_device").count(), 0);
    let network = &seen["network/eth0"];
    assert!(network["default_route"] == true && network["kind"] == "ethernet", "{network}");
    assert_eq!(network["gateway"].as_str().map(str::len), Some(32), "hashed: {network}");
}

/// The same with a PiKVM on it.
pub fn of_a_pikvm(laptop: &mut Laptop) {
    let seen = laptop.until("the PiKVM's pointer", |laptop| {
        let facts = laptop.facts();
        // The kernel makes a device known before its interfaces.
        let complete = facts["usb_device/1-1"]["interfaces"].as_array().is_some_and(|all| all.len() == 3);
        (complete && facts.contains_key("hid_device/usb:1d6b:0104:1")).then_some(facts)
    });
    let display = &seen["display/Virtual-1"];
    assert_eq!(display["edid"]["model"], "PiKVM V3");
    let (_, device) = family(&seen, "usb_device").next().unwrap();
    assert_eq!((&device["vendor_id"], &device["product_id"]), (&"1d6b".into(), &"0104".into()));
    assert_eq!(device["speed_tenths"], 4800);
    let classes: Vec<_> =
        device["interfaces"].as_array().unwrap().iter().map(|i| i["class"].clone()).collect();
    assert_eq!(classes, [3, 3, 8]);
    let hid: Vec<_> = family(&seen, "hid_device").filter(|(key, _)| key.contains("usb:1d6b:0104")).collect();
    assert_eq!(hid.len(), 2);
    assert!(hid[0].1["caps"]["keyboard"] == true && hid[1].1["caps"]["absolute"] == true);
    assert!(hid.iter().all(|(_, device)| device["built_in"] == false));

    let sent = laptop.guest.run("farmwatch-agent sent --json --heartbeats --last 1d").unwrap();
    assert!(sent.contains("Composite KVM Device"), "the laptop's user can read what was sent: {sent}");
    for secret in ["CAFEBABE", "10.0.2.", "52:55:0a"] {
        assert!(!sent.contains(secret), "{secret} leaves the laptop in plain");
    }
}

/// A mouse that a program made (it runs) claims to be on USB, and is told for what it is.
pub fn of_a_virtual_mouse(laptop: &mut Laptop) {
    laptop.until("the virtual mouse", |laptop| {
        let facts = laptop.facts();
        let found = family(&facts, "hid_device").find(|(_, device)| device["bus"] == "virtual");
        found.map(|(_, device)| assert_eq!(device["name"], "Lab jiggler", "{device}"))
    });
}

fn family<'a>(facts: &'a Facts, name: &'a str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    facts.iter().filter(move |(key, _)| key.split('/').next() == Some(name))
}
