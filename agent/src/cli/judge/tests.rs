use std::io::Cursor;

use super::*;

/// What `judge` prints for an input, and how it counts.
fn printed(kind: Kind, input: &str, json: bool) -> (String, Counts) {
    let weights = Weights::shipped();
    let mut out = Vec::new();
    let mut counts = Counts::default();
    let input = Cursor::new(input.as_bytes().to_vec());
    if kind == Kind::Pointer {
        pointer::judge(input, &weights, |verdict| counts.tell(&mut out, &verdict, &weights, json)).unwrap();
    } else {
        let tell = |counts: &mut Counts, verdict: Verdict| counts.tell(&mut out, &verdict, &weights, json);
        counts = judge_lines(input, judge_of(kind, &weights), tell).unwrap();
    }
    (String::from_utf8(out).unwrap(), counts)
}

fn verdicts(kind: Kind, input: &str) -> Vec<String> {
    let lines = printed(kind, input, true).0;
    let verdict = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["verdict"].as_str().unwrap().to_owned()
    };
    lines.lines().map(verdict).collect()
}

const EDIDS: &str = include_str!("../../../tests/fixtures/judge/edid.tsv");
const LAPTOPS: &str = include_str!("../../../tests/fixtures/judge/usb.jsonl");
const DESCRIPTORS: &str = include_str!("../../../tests/fixtures/judge/hid.tsv");

#[test]
fn edid_as_people_and_programs_read_it() {
    insta::assert_snapshot!(printed(Kind::Edid, EDIDS, false).0);
    insta::assert_snapshot!(printed(Kind::Edid, EDIDS, true).0);
}

#[test]
fn usb_as_people_and_programs_read_it() {
    insta::assert_snapshot!(printed(Kind::Usb, LAPTOPS, false).0);
    insta::assert_snapshot!(printed(Kind::Usb, LAPTOPS, true).0);
}

#[test]
fn hid_as_people_read_it() {
    insta::assert_snapshot!(printed(Kind::Hid, DESCRIPTORS, false).0);
}

#[test]
fn programs_as_people_and_programs_read_it() {
    let lines = "x11vnc\n/usr/bin/python3\tpython3 /usr/bin/x11vnc -forever\n\
        C:\\Users\\Ann\\Downloads\\AnyDesk (1).exe\n\
        /Applications/TeamViewer.app/Contents/MacOS/TeamViewer\n\
        /usr/share/code/code\tcode tunnel\n/usr/share/code/code\n\
        mstsc.exe\nQuickAssist.exe\n/usr/sbin/sshd\namphetamine\nAmphetamine\nAteraAgent\nsvchost.exe\nbash\n\t--x\n";
    insta::assert_snapshot!(printed(Kind::Process, lines, false).0);
    insta::assert_snapshot!(printed(Kind::Process, lines, true).0);
}

#[test]
fn domains_as_people_read_it() {
    let lines =
        "relay-1.net.anydesk.com\n*.tmate.io\nhttps://abc.trycloudflare.com/x\ngithub.com\n*.com\na b\n";
    insta::assert_snapshot!(printed(Kind::Domain, lines, false).0);
}

#[test]
fn five_minutes_over_rdp_are_suspicious_and_at_the_desk_they_are_not() {
    let moves = |who: &str, every_ms: u32| -> String {
        (0..400).map(|n| format!("{who},{},{n},0\n", n * every_ms)).collect::<Vec<_>>().concat()
    };
    let csv = ["session,t_ms,x,y\n", &moves("rdp", 112), &moves("desk", 8), "desk,yesterday,1,1\n"].concat();
    assert_eq!(verdicts(Kind::Pointer, &csv), ["suspicious", "unreadable", "unremarkable"]);
}

#[test]
fn a_pointer_file_without_its_columns_is_an_error() {
    let weights = Weights::shipped();
    let error = pointer::judge(Cursor::new("a,b\n1,2\n"), &weights, |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("session"), "{error}");
}

#[test]
fn junk_is_unreadable_and_the_next_line_is_still_judged() {
    let input = format!("junk\nlabel\tzz\n\nshort\t00ff\n{}", EDIDS.lines().next().unwrap());
    assert_eq!(verdicts(Kind::Edid, &input), ["unreadable", "unreadable", "unreadable", "suspicious"]);
    assert_eq!(verdicts(Kind::Usb, "{}\n{\"usb\": 3}\n[]"), ["unreadable"; 3]);
    assert_eq!(verdicts(Kind::Hid, "a\tusb\t1:2\na\tusb\tx\t05\na\tusb\t1:2\t05"), ["unreadable"; 3]);
}

#[test]
fn a_line_that_does_not_end_is_unreadable_and_the_next_is_judged() {
    let weights = Weights::shipped();
    let mut input = vec![b'a'; 3 << 20];
    input.extend(b"\n\xff\xfe\n");
    input.extend(EDIDS.lines().next().unwrap().bytes());
    let mut words = Vec::new();
    let tell = |_: &mut Counts, verdict: Verdict| {
        words.push(verdict.word());
        Ok(())
    };
    judge_lines(Cursor::new(input), judge_of(Kind::Edid, &weights), tell).unwrap();
    assert_eq!(words, ["unreadable", "unreadable", "suspicious"]);
}

#[test]
fn a_monitors_name_cannot_steer_the_terminal() {
    assert_eq!(printable("a\u{1b}[31mb"), "a\u{fffd}[31mb");
}
