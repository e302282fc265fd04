//! Who types and points, as the activity windows tell it. Rules speak after windows of five minutes, three to twelve of
//! them: the guest lives them, faster where nothing depends on a millisecond.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::laptop::Laptop;
use super::sensors;

const WINDOW: Duration = Duration::from_mins(5);
/// Hours that all of this takes in the guest. Its clock is put back by so much: a collector moves what a clock ahead
/// of its own has dated.
const HOURS: u32 = 20;
/// A PiKVM that says it is a keyboard.
const DISGUISED: &str =
    "plug 0x413c 0x2113 Dell 'Dell KB216 Wired Keyboard' '' high-speed keyboard pointer drive; sleep 1";
/// Longest that one program runs.
const MOST_MINUTES: u32 = 360;
/// How long it runs on before its windows are looked at again: a window's length.
const AGAIN: u32 = 5;
/// How many times as fast its time goes at first, and at least: a machine that is busy with others' work loses of what is
/// done at the faster pace.
const PACE: (i8, i8) = (120, 15);

/// Puts the guest's clock back, so that what follows ends before now.
pub fn turn_back_the_clock(laptop: &mut Laptop) {
    laptop.guest.run(&format!("date -s @$(( $(date +%s) - {HOURS} * 3600 ))")).unwrap();
}

/// A person at the keyboard, an operator at a PiKVM's pointer and a jiggler, all in one window; and a route that is away
/// for three seconds.
pub fn of_three_kinds(laptop: &mut Laptop) {
    laptop.guest.run("lab_guest jiggle 5 2>/tmp/jiggle & echo $! >/tmp/jiggle.pid").unwrap();
    sensors::of_a_virtual_mouse(laptop);
    // A machine that is busy with others' work observes less of a window, and all of one at a slower pace.
    let seen = [40, 16, 6].into_iter().map(|pace| window_of_all(laptop, pace));
    let window = seen.inspect(|window| println!("a window of all three: {window}")).find(is_observed);
    let window = window.expect("most of a window is observed at the slowest pace");
    assert!(window["absolute_permille"].as_u64() > Some(500), "{window}");

    laptop.guest.run("kill $(cat /tmp/jiggle.pid)").unwrap();
    let at = |reports: &[Value], kind: &str| -> Option<Timestamp> {
        let found = all(reports, "transitions").find(|t| t["kind"] == kind);
        found.map(|found| found["at"].as_str().unwrap().parse().unwrap())
    };
    let reports = laptop.until_sent("a route that is back", |reports| {
        at(reports, "network_lost").is_some() && at(reports, "network_regained").is_some()
    });
    let (lost, regained) = (at(&reports, "network_lost").unwrap(), at(&reports, "network_regained").unwrap());
    let apart = regained.duration_since(lost).as_secs_f64();
    assert!((2.0..8.0).contains(&apart), "the route was away for three seconds, told as {apart}");
}

/// A window in which all three did something and the route was away, of which the idle rest goes at this pace.
fn window_of_all(laptop: &mut Laptop, pace: i8) -> Value {
    let before = all(&laptop.sent(), "windows").count();
    // As a window begins, so that none of it is in the next.
    let second = laptop.guest.clock().unwrap().as_second().rem_euclid(300).unsigned_abs();
    laptop.guest.pass(WINDOW.saturating_sub(Duration::from_secs(second))).unwrap();
    for _ in 0..5 {
        laptop.guest.press("t h e space q u i c k ret").unwrap();
        laptop.guest.at_speed(4, "operate").unwrap();
    }
    laptop.guest.run("ip route del default; sleep 3; ip route add default via 10.0.2.2").unwrap();
    laptop.guest.at_speed(pace, "sleep 300").unwrap();
    let of_all = |reports: &[Value]| all(reports, "windows").skip(before).find(used_by_all);
    of_all(&laptop.until_sent("a window of activity", |reports| of_all(reports).is_some())).unwrap()
}

fn is_observed(window: &Value) -> bool {
    window["observed_seconds"].as_u64() > Some(250)
}

fn all(reports: &[Value], name: &'static str) -> impl Iterator<Item = Value> {
    reports.iter().flat_map(move |report| report[name].as_array().cloned().unwrap_or_default())
}

/// Somebody typed, an operator pointed, a jiggler moved.
fn used_by_all(window: &Value) -> bool {
    let sources = &window["sources"];
    sources["built_in"]["keys"].as_u64() >= Some(30)
        && sources["usb"]["pointer"].as_u64() >= Some(100)
        && sources["virtual"]["active_seconds"].as_u64() > Some(2)
}

/// A jiggler that moves every half minute while nobody is there, until an hour of windows says so.
pub fn of_a_jiggler(laptop: &mut Laptop) {
    let steady = |window: &Value| u64::from(window["periodic_permille"].as_u64() >= Some(900));
    by_software(
        laptop,
        ("jiggle 30", 65),
        (12, steady),
        "the pointer moved like a metronome and no key was pressed",
    );
}

/// Software that points and types for more than an hour.
pub fn of_injection(laptop: &mut Laptop) {
    let seconds = |window: &Value| window["sources"]["virtual"]["active_seconds"].as_u64().unwrap_or(0);
    by_software(
        laptop,
        ("inject", 70),
        (3700, seconds),
        "had input of software or a remote session and of no device",
    );
}

/// Runs it for so many minutes, and on at ever half the pace until its windows come to so much: how long that takes
/// depends on how busy the machine is that runs the guest. The program's end is news, which the collector judges at once;
/// windows alone it judges now and then.
fn by_software(
    laptop: &mut Laptop,
    (program, mut minutes): (&str, u32),
    enough: (u64, fn(&Value) -> u64),
    verdict: &str,
) {
    let windows = |laptop: &mut Laptop| all(&laptop.sent(), "windows").collect::<Vec<_>>();
    let sum = |windows: &[Value]| windows.iter().map(enough.1).sum::<u64>();
    let before = sum(&windows(laptop));
    laptop.guest.run(&format!("lab_guest {program} 2>/tmp/software & echo $! >/tmp/software.pid")).unwrap();
    let (mut passed, mut pace) = (0, PACE.0);
    loop {
        let now = windows(laptop);
        if sum(&now) >= before + enough.0 {
            break;
        }
        assert!(passed < MOST_MINUTES, "{program}: {passed} minutes do not suffice: {now:?}");
        laptop.guest.at_speed(pace, &format!("sleep {}", minutes * 60)).unwrap();
        pace = PACE.1.max(pace / 2);
        passed += std::mem::replace(&mut minutes, AGAIN);
    }
    laptop.guest.run("kill $(cat /tmp/software.pid)").unwrap();
    println!("{program}, {passed} minutes: {}", laptop.until_judged(program, &[verdict]));
}

/// An ordinary mouse, moved as a person at their own desk does: every eight milliseconds, which an emulated machine keeps
/// beside others' work if it has more time for them.
pub fn of_a_mouse_at_hand(laptop: &mut Laptop) {
    let mouse =
        "made_by product; plug 0x046d 0xc077 Logitech 'USB Optical Mouse' '' full-speed mouse; sleep 1";
    laptop.guest.run(mouse).unwrap();
    let before = all(&laptop.sent(), "windows").count();
    for _ in 0..3 {
        laptop
            .guest
            .at_speed(-4, "lab_guest point $(report_device mouse) relative /etc/pointer/desk 3")
            .unwrap();
        laptop.guest.pass(WINDOW).unwrap();
    }
    let moved = |window: &Value| window["sources"]["usb"]["pointer"].as_u64() > Some(50);
    let reports = laptop.until_sent("the mouse's windows", |reports| {
        all(reports, "windows").skip(before).filter(moved).count() >= 3
    });
    for window in all(&reports, "windows").skip(before).filter(moved) {
        assert!(window["pointer_centinats"].as_i64() < Some(0), "{window}");
    }
    // Unplugged it is news, and with it the windows are judged.
    laptop.guest.run("unplug").unwrap();
    let verdict = ["looks as if it came from a device of its own"];
    println!("a mouse at hand: {}", laptop.until_judged("a mouse at hand", &verdict));
    assert!(!laptop.judgement().contains("through a network"));
    laptop.guest.run("made_by linux").unwrap();
}

/// The pointer of a disguised IP-KVM, moved now and then as it arrives from people at the far end of a network: every
/// tenth of a second, which a guest keeps at six times its speed if its machine has time for it.
pub fn of_a_remote_pointer(laptop: &mut Laptop) {
    let point = "lab_guest point $(report_device pointer) absolute /etc/pointer/rdp 12";
    laptop.guest.run(DISGUISED).unwrap();
    let says = |laptop: &mut Laptop| {
        let windows = all(&laptop.sent(), "windows").collect::<Vec<_>>();
        windows.iter().filter_map(|window| window["pointer_centinats"].as_i64()).sum::<i64>()
    };
    // On a machine that is busy with others' work, slower: what it is late by is late by so many times as much in the guest.
    for pace in [6, 2, 1] {
        for _ in 0..12 {
            laptop.guest.at_speed(pace, point).unwrap();
            laptop.guest.pass(Duration::from_secs(88)).unwrap();
        }
        let said = says(laptop);
        println!("a remote pointer, {pace} times as fast: {said}");
        if said > 0 {
            break;
        }
    }
    // Plugged in anew it is news.
    laptop.guest.run(&format!("unplug; sleep 1; {DISGUISED}")).unwrap();
    let verdict = ["413c:2113", "the pointer's timing in", "looks as if it came through a network"];
    println!("a remote pointer: {}", laptop.until_judged("a remote pointer", &verdict));
    laptop.guest.run("unplug").unwrap();
}

/// The same IP-KVM's pointer in use for two hours: what it does is told whatever it calls itself, and its timing aside.
pub fn of_an_absolute_pointer(laptop: &mut Laptop) {
    laptop.guest.run(DISGUISED).unwrap();
    laptop.guest.run("printf '2000\\t2000\\n' >/tmp/slow").unwrap();
    let put = |laptop: &mut Laptop| all(&laptop.sent(), "windows").filter(is_put_to_places).count();
    let (mut passed, mut minutes, mut pace) = (0, 90, PACE.0);
    while put(laptop) < 24 {
        assert!(passed < MOST_MINUTES, "{passed} minutes do not suffice");
        let point = format!("lab_guest point $(report_device pointer) absolute /tmp/slow {}", minutes * 60);
        laptop.guest.at_speed(pace, &point).unwrap();
        pace = PACE.1.max(pace / 2);
        passed += std::mem::replace(&mut minutes, AGAIN);
    }
    laptop.guest.run(&format!("unplug; sleep 1; {DISGUISED}")).unwrap();
    let verdict = ["413c:2113", "windows the pointer was put to places instead of moved, over USB"];
    println!(
        "an absolute pointer, {passed} minutes: {}",
        laptop.until_judged("an absolute pointer", &verdict)
    );
    laptop.guest.run("unplug").unwrap();
}

/// The pointer was put to places, by a device on USB and nothing built in.
fn is_put_to_places(window: &Value) -> bool {
    window["absolute_permille"].as_u64() >= Some(800)
        && window["sources"]["usb"]["pointer"].as_u64() >= Some(100)
        && window["sources"]["built_in"].is_null()
}
