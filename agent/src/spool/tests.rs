use std::collections::BTreeMap;

use farmwatch_shared::facts::{Transition, TransitionKind, Window};
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::report::VERSION;
use farmwatch_shared::state::{FactKey, State};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::*;

const BOUND: u64 = 64 << 20;

/// A report that says nothing.
pub fn report(seq: u64) -> Report {
    Report {
        v: VERSION,
        device: DeviceId::new(1, 1),
        boot: "0a1b2c3d".into(),
        seq,
        at: Timestamp::UNIX_EPOCH,
        machine: String::new(),
        digest: State::default().digest(),
        whole: false,
        set: BTreeMap::new(),
        gone: Vec::new(),
        windows: Vec::new(),
        transitions: Vec::new(),
        dropped_windows: 0,
        other: Default::default(),
    }
}

fn with_fact(seq: u64) -> Report {
    let key = FactKey::try_from("power/self".to_owned()).unwrap();
    Report { set: [(key, json!({ "mains": seq % 10 }))].into(), ..report(seq) }
}

fn with_window(seq: u64) -> Report {
    let start = Timestamp::from_second(300 * i64::try_from(seq).unwrap()).unwrap();
    let window: Window = serde_json::from_value(json!({ "start": start })).unwrap();
    Report { windows: vec![window], ..report(seq) }
}

fn open(folder: &Path) -> Spool {
    Spool::open(folder, BOUND).unwrap().0
}

fn waiting(spool: &Spool) -> Vec<Report> {
    spool.batch(usize::MAX, usize::MAX).unwrap().reports
}

fn seqs(spool: &Spool) -> Vec<u64> {
    waiting(spool).iter().map(|r| r.seq).collect()
}

#[test]
fn reports_wait_in_order_over_restarts_until_they_are_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    (1..=5).for_each(|seq| spool.append(&with_fact(seq)).unwrap());
    spool.ack(2).unwrap();
    drop(spool);
    let mut spool = open(dir.path());
    assert_eq!(waiting(&spool), [with_fact(3), with_fact(4), with_fact(5)]);
    assert_eq!(spool.next_seq(), 6);
    spool.ack(5).unwrap();
    assert!(spool.is_empty());
    assert_eq!(open(dir.path()).next_seq(), 6);
}

#[test]
fn numbers_go_on_after_everything_was_sent_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    for seq in 1..=500 {
        spool.append(&with_fact(seq)).unwrap();
        spool.ack(seq).unwrap();
    }
    let on_disk: u64 = fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap())
        .filter(|e| e.path().extension().is_some_and(|x| x == "seg"))
        .map(|e| e.metadata().unwrap().len())
        .sum();
    assert!(on_disk < 2 * WORTH_DELETING, "{on_disk}");
    fs::remove_file(dir.path().join("acked")).unwrap();
    assert_eq!(open(dir.path()).next_seq(), 501);
}

#[test]
fn a_crash_at_any_byte_loses_nothing_that_was_whole_and_the_spool_goes_on() {
    let source = tempfile::tempdir().unwrap();
    let mut spool = open(source.path());
    (1..=4).for_each(|seq| spool.append(&with_fact(seq)).unwrap());
    let bytes = fs::read(segment::path(source.path(), 1)).unwrap();
    let record = bytes.len() / 4;
    for cut in 0..=bytes.len() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(segment::path(dir.path(), 1), &bytes[..cut]).unwrap();
        let (mut spool, notes) = Spool::open(dir.path(), BOUND).unwrap();
        let whole = u64::try_from(cut / record).unwrap();
        assert_eq!(seqs(&spool), (1..=whole).collect::<Vec<_>>(), "cut at {cut}");
        assert_eq!(notes.is_empty(), cut % record == 0);
        spool.append(&with_fact(whole + 1)).unwrap();
        drop(spool);
        assert_eq!(seqs(&open(dir.path())), (1..=whole + 1).collect::<Vec<_>>());
    }
}

#[test]
fn a_flipped_bit_never_comes_back_as_a_report() {
    let source = tempfile::tempdir().unwrap();
    let mut spool = open(source.path());
    (1..=3).for_each(|seq| spool.append(&with_fact(seq)).unwrap());
    let bytes = fs::read(segment::path(source.path(), 1)).unwrap();
    for at in 0..bytes.len() {
        let dir = tempfile::tempdir().unwrap();
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        fs::write(segment::path(dir.path(), 1), &damaged).unwrap();
        let spool = open(dir.path());
        let whole = u64::try_from(at / (bytes.len() / 3)).unwrap();
        assert_eq!(seqs(&spool), (1..=whole).collect::<Vec<_>>(), "flipped at {at}");
    }
}

#[test]
fn what_the_disk_has_damaged_holds_up_nothing_that_comes_after() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    (1..=3).for_each(|seq| spool.append(&with_fact(seq)).unwrap());
    let path = super::segment::path(dir.path(), 1);
    let length = fs::metadata(&path).unwrap().len();
    let file = fs::File::options().write(true).open(&path).unwrap();
    system::write_all_at(&file, &vec![0xff; usize::try_from(length).unwrap()], 0).unwrap();
    let batch = spool.batch(9, 1 << 20).unwrap();
    assert_eq!((batch.reports.len(), batch.through), (0, 0));
    spool.pass_over_all().unwrap();
    assert!(spool.is_empty());
    spool.append(&with_fact(4)).unwrap();
    assert_eq!(seqs(&spool), [4]);
}

#[test]
fn at_the_bound_the_oldest_windows_go_and_are_counted_and_no_fact_does() {
    let dir = tempfile::tempdir().unwrap();
    let bound = 64 << 10;
    let (mut spool, _) = Spool::open(dir.path(), bound).unwrap();
    let facts: Vec<u64> = (1..=600).filter(|seq| seq % 20 == 0).collect();
    for seq in 1..=600 {
        spool.append(&if seq % 20 == 0 { with_fact(seq) } else { with_window(seq) }).unwrap();
        assert!(spool.unacked_bytes() <= bound);
    }
    let reports = waiting(&spool);
    let windows: Vec<u64> = reports.iter().filter(|r| !r.windows.is_empty()).map(|r| r.seq).collect();
    let kept: Vec<u64> = reports.iter().filter(|r| !r.set.is_empty()).map(|r| r.seq).collect();
    assert_eq!(kept, facts);
    assert_eq!(windows.len() as u64 + spool.dropped_windows(), 570);
    assert!(spool.dropped_windows() > 0 && windows.last() == Some(&599));
    assert!(windows.is_sorted() && windows[0] > 100, "the oldest went: {:?}", windows.first());
    let dropped = spool.dropped_windows();
    drop(spool);
    let spool = open(dir.path());
    assert_eq!((spool.dropped_windows(), spool.next_seq(), waiting(&spool)), (dropped, 601, reports));
}

#[test]
fn facts_alone_fill_the_spool_to_its_bound_and_then_the_reporter_keeps_them() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = Spool::open(dir.path(), 16 << 10).unwrap();
    let refused = (1..10_000).find(|seq| spool.append(&with_fact(*seq)).is_err()).unwrap();
    assert_eq!(spool.next_seq(), refused);
    spool.ack(refused / 2).unwrap();
    spool.append(&with_fact(refused)).unwrap();
}

#[test]
fn a_batch_is_bounded_and_one_large_report_goes_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    (1..=10).for_each(|seq| spool.append(&with_fact(seq)).unwrap());
    assert_eq!(spool.batch(3, usize::MAX).unwrap().reports.len(), 3);
    assert_eq!(spool.batch(usize::MAX, 1).unwrap().reports.len(), 1);
}

#[test]
fn a_device_with_a_new_name_begins_at_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    (1..=3).for_each(|seq| spool.append(&with_fact(seq)).unwrap());
    spool.start_over().unwrap();
    assert!(spool.is_empty());
    spool.append(&with_fact(1)).unwrap();
    drop(spool);
    assert_eq!(seqs(&open(dir.path())), [1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever the order of appends, acknowledgements and restarts: what is not acknowledged is there, once.
    #[test]
    fn nothing_is_lost_and_nothing_doubled(steps in prop::collection::vec(0..10u8, 1..80)) {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = open(dir.path());
        let (mut last, mut acked) = (0u64, 0u64);
        for step in steps {
            match step {
                0 => { drop(spool); spool = open(dir.path()); }
                1 | 2 => { acked += (last - acked) / 2; spool.ack(acked).unwrap(); }
                3 => { acked = last; spool.ack(acked).unwrap(); }
                _ => {
                    last += 1;
                    let mut report = with_fact(last);
                    report.transitions = vec![Transition { at: Timestamp::UNIX_EPOCH, kind: TransitionKind::Booted }; 40];
                    spool.append(&report).unwrap();
                }
            }
            prop_assert_eq!(seqs(&spool), (acked + 1..=last).collect::<Vec<_>>());
        }
    }

    #[test]
    fn junk_in_the_folder_never_panics(junk in prop::collection::vec(any::<u8>(), 0..200)) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(segment::path(dir.path(), 1), &junk).unwrap();
        fs::write(dir.path().join("acked"), &junk).unwrap();
        fs::write(dir.path().join("dropped_windows.json"), &junk).unwrap();
        let mut spool = open(dir.path());
        let next = spool.next_seq();
        prop_assert!(spool.append(&with_fact(next)).is_ok());
    }
}

/// On a real disk of one MiB, in a mount namespace of its own: the test runs itself there.
#[test]
fn on_a_disk_that_others_filled_the_oldest_windows_go_and_facts_still_get_in() {
    const INSIDE: &str = "FARMWATCH_TEST_SMALL_DISK";
    if std::env::var_os(INSIDE).is_some() {
        return fill_the_small_disk();
    }
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=1m tmpfs \"$1\" && cd \"$1\" && exec \"$0\" on_a_disk_that_others --nocapture";
    let mut command = std::process::Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script]);
    command.arg(std::env::current_exe().unwrap()).arg(dir.path()).env(INSIDE, "1");
    let output = crate::process::run(&mut command, "", std::time::Duration::from_mins(1)).unwrap();
    assert!(output.contains("1 passed"), "{output}");
}

fn fill_the_small_disk() {
    let folder = std::env::current_dir().unwrap().join("spool");
    let mut spool = open(&folder);
    let mut seq = 0;
    let mut next = || {
        seq += 1;
        seq
    };
    (0..300).for_each(|_| spool.append(&with_window(next())).unwrap());
    let filler = fs::File::create("filler").unwrap();
    let mut at = 0;
    while system::write_all_at(&filler, &[0; 4096], at).is_ok() {
        at += 4096;
    }
    // No more than what the dropped windows and the reserve give.
    let mut facts = Vec::new();
    for _ in 0..1000 {
        let number = next();
        spool.append(&with_fact(number)).unwrap();
        facts.push(number);
    }
    assert_eq!(spool.dropped_windows(), 300);
    let kept = |spool: &Spool| {
        waiting(spool).iter().filter(|r| !r.set.is_empty()).map(|r| r.seq).collect::<Vec<_>>()
    };
    assert_eq!(kept(&spool), facts);
    drop(spool);
    let mut spool = open(&folder);
    assert_eq!((kept(&spool), spool.dropped_windows()), (facts, 300));
    // Past all room it refuses and stays as it was; with room again it goes on.
    let refused =
        (0..100_000).map(|_| next()).find(|number| spool.append(&with_fact(*number)).is_err()).unwrap();
    assert_eq!(spool.next_seq(), refused);
    drop(filler);
    fs::remove_file("filler").unwrap();
    spool.append(&with_fact(refused)).unwrap();
    assert_eq!(open(&folder).next_seq(), refused + 1);
}
