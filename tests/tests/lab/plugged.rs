//! What is plugged in, and the verdict that it ends in.

use super::laptop::Laptop;

pub const UNREMARKABLE: &str = "Nothing speaks for or against remote hands.";
const PIKVM: &str = "plug 0x1d6b 0x0104 PiKVM 'Composite KVM Device' CAFEBABE high-speed keyboard pointer drive; screen pikvm_v3";

/// A USB device, its functions, and what the page says of it.
struct Thing {
    name: &'static str,
    made_by: &'static str,
    plug: &'static str,
    interfaces: usize,
    verdict: &'static [&'static str],
    probability: &'static str,
}

const THINGS: [Thing; 4] = [
    Thing {
        name: "a PiKVM disguised as a Logitech receiver",
        made_by: "linux",
        plug: "plug 0x046d 0xc52b Logitech 'USB Receiver' '' high-speed keyboard pointer drive",
        interfaces: 3,
        verdict: &[
            "a USB device says 046d:c52b \"Logitech USB Receiver\", and has a speed, functions or a serial number that \
             this product never had",
            "imitated by Linux",
        ],
        probability: "0.6 %",
    },
    Thing {
        name: "a PiKVM disguised as a Dell keyboard",
        made_by: "linux",
        plug: "plug 0x413c 0x2113 Dell 'Dell KB216 Wired Keyboard' '' high-speed keyboard pointer drive",
        interfaces: 3,
        verdict: &["413c:2113 \"Dell Dell KB216 Wired Keyboard\", and has a speed", "imitated by Linux"],
        probability: "0.6 %",
    },
    Thing {
        name: "a gaming keyboard at 480 Mb/s",
        made_by: "product",
        plug: "plug 0x31e3 0x1322 Wooting 'Wooting 60HE' A02B2110W031H00501 high-speed keyboard nkro mouse",
        interfaces: 3,
        verdict: &[UNREMARKABLE],
        probability: "< 0.1 %",
    },
    Thing {
        name: "a real receiver of a keyboard and a mouse",
        made_by: "product",
        plug: "plug 0x046d 0xc52b Logitech 'USB Receiver' '' full-speed keyboard mouse",
        interfaces: 2,
        verdict: &[UNREMARKABLE],
        probability: "< 0.1 %",
    },
];

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
    laptop.guest.run(PIKVM).unwrap();
    let words = [
        "the screen says LNX 7771 \"PiKVM V3\": PiKVM",
        "a USB device says 1d6b:0104 \"PiKVM Composite KVM Device\": PiKVM",
        "P(farm-operated), by itself: 7.7 %",
    ];
    laptop.until_judged("a PiKVM", &words);
    let alerts = laptop.section("Alerts", "Judgement");
    for alert in [
        "Remote-access hardware on lab-laptop: a USB device",
        "Remote-access hardware on lab-laptop: a screen",
    ] {
        assert!(alerts.contains(&format!("High {alert} New")), "{alerts}");
    }
}

/// Disguises, which are seen through, and their innocent twins.
pub fn disguises_and_twins(laptop: &mut Laptop) {
    for thing in &THINGS {
        laptop.guest.run(&format!("made_by {}; {}", thing.made_by, thing.plug)).unwrap();
        laptop.let_it_look();
        // The verdict is on the whole device: what is innocent is so because it was seen.
        laptop.until(thing.name, |laptop| {
            let functions = laptop.facts().get("usb_device/1-1")?["interfaces"].as_array()?.len();
            (functions == thing.interfaces).then_some(())
        });
        let words: Vec<&str> = thing.verdict.iter().chain([&thing.probability]).copied().collect();
        laptop.until_judged(thing.name, &words);
        println!("{}: P(farm-operated) = {}", thing.name, thing.probability);
        laptop.guest.run("unplug").unwrap();
        laptop.let_it_look();
        laptop.until(&format!("{} to be gone", thing.name), |laptop| {
            (!laptop.facts().contains_key("usb_device/1-1")).then_some(())
        });
    }
    laptop.guest.run("made_by linux").unwrap();
}

/// The monitor is exchanged for a capture chip, and nothing else changes.
pub fn capture_chip(laptop: &mut Laptop) {
    laptop.guest.run("screen capture_macrosilicon").unwrap();
    laptop.until_judged(
        "a capture chip",
        &["Display the only screen says HJW 0001", "a video capture chip's own name"],
    );
    laptop.guest.run("screen monitor").unwrap();
    laptop.until_judged("the monitor again", &[UNREMARKABLE]);
}

/// Everything is pulled out again.
pub fn nothing_any_more(laptop: &mut Laptop) {
    laptop.guest.run("unplug; screen monitor").unwrap();
    laptop.until_judged("a laptop with its monitor again", &[UNREMARKABLE]);
}
