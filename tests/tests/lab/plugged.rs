//! What is plugged in, and the verdict that it ends in.

use super::laptop::Laptop;

const UNREMARKABLE: &str = "Nothing speaks for or against remote hands.";

/// A laptop with a monitor on it and nothing else.
pub fn nothing(laptop: &mut Laptop) {
    laptop.until_judged("a laptop with its monitor", &[UNREMARKABLE]);
    let coverage = laptop.section("Sensors", "Facts");
    for sensor in
        ["host", "display", "usb device", "hid device", "activity", "network", "power", "remote tool"]
    {
        assert!(coverage.contains(&format!("{sensor} ✓ sees")), "{sensor}: {coverage}");
    }
    assert!(coverage.contains("session – not supported here"), "nobody can log in there: {coverage}");
    assert!(laptop.shown().contains("PF3LAB01"), "its serial number is on the page");
}

/// A PiKVM by its maker's defaults: its USB device, and its screen in the place of the monitor.
pub fn pikvm(laptop: &mut Laptop) {
    let guest = &mut laptop.guest;
    guest
        .run("plug 0x1d6b 0x0104 PiKVM 'Composite KVM Device' CAFEBABE high-speed keyboard pointer drive")
        .unwrap();
    guest.run("screen pikvm_v3").unwrap();
    let said = laptop.until_judged(
        "a PiKVM",
        &[
            "the screen says LNX 7771 \"PiKVM V3\": PiKVM",
            "a USB device says 1d6b:0104 \"PiKVM Composite KVM Device\": PiKVM",
        ],
    );
    assert!(said.contains("P(farm-operated) = 7.7 %"), "{said}");
    let alerts = laptop.section("Alerts", "Judgement");
    for alert in [
        "Remote-access hardware on lab-laptop: a USB device",
        "Remote-access hardware on lab-laptop: a screen",
    ] {
        assert!(alerts.contains(&format!("High {alert} New")), "{alerts}");
    }
}

/// Everything is pulled out again.
pub fn nothing_any_more(laptop: &mut Laptop) {
    laptop.guest.run("unplug; screen monitor").unwrap();
    laptop.until_judged("a laptop with its monitor again", &[UNREMARKABLE]);
}
