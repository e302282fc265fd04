//! Screens whose EDID contradicts itself: false alarms among real ones, by whether their makers were looked at; edited EDIDs
//! found; screens that are not there.

use anyhow::Context as _;
use farmwatch_agent::cli::judge::{Judge, Kind, Verdict, judge_of};
use farmwatch_shared::edid::{self, Edid};
use farmwatch_shared::weights::Weights;

use super::data::{is_held_out, lines};
use super::row::{Figure, Row};

const RULE: &str = "display.contradiction";

/// Names that somebody gives an IP-KVM's screen: maker's code in an EDID, name.
const NAMES: [([u8; 2], &str); 5] = [
    ([0x10, 0xac], "DELL P2419H"),
    ([0x10, 0xac], "DELL U2720Q"),
    ([0x10, 0xac], "DELL P2723D"),
    ([0x22, 0x0e], "HP E27 G4"),
    ([0x30, 0xae], "LEN T27p-10"),
];

/// Real monitors and edited copies.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    let weights = Weights::shipped();
    let mut judge = judge_of(Kind::Edid, &weights);
    let mut monitors = Vec::new();
    for line in lines("edid_monitors.tsv.zst")? {
        let (label, edid) = read(&line)?;
        monitors.push((label, is_held_out(&edid.manufacturer), judge(&line)));
    }
    let alarms = |label: &str, held_out: bool| {
        let half = || monitors.iter().filter(move |(_, held, _)| *held == held_out);
        let found = || half().filter(|(_, _, verdict)| fires(verdict, RULE));
        Row::share(
            format!("real monitors that contradict themselves, makers {label}"),
            found().count(),
            half().count(),
        )
        .at_most(0.0)
        .notes(found().map(|(label, _, _)| label.clone()))
    };
    let mut rows = vec![alarms("looked at", false), alarms("held out", true)];
    rows.extend(edited(&mut judge)?);
    rows.push(virtual_screens(&mut judge)?);
    Ok(rows)
}

/// IP-KVMs' defaults under a monitor's name, their timings changed and their extension left out, so that no template is left.
fn edited(judge: &mut Judge<'_>) -> anyhow::Result<Vec<Row>> {
    let mut verdicts = Vec::new();
    for line in lines("edid_kvm.tsv")?.iter().filter(|line| !line.contains(", 19")) {
        let (label, hex) = line.rsplit_once('\t').context("a line without a tab in edid_kvm.tsv")?;
        for (maker, name) in NAMES {
            let verdict = judge(&renamed(&hex::decode(hex)?, maker, name));
            verdicts.push((format!("{} as {name}", label.replace('\t', ": ")), verdict));
        }
    }
    let count = |rules: &[&str]| Figure::Share {
        count: verdicts.iter().filter(|(_, verdict)| rules.iter().any(|rule| fires(verdict, rule))).count(),
        of: verdicts.len(),
    };
    Ok(vec![
        Row::figure("the defaults under five names, template and extension gone, found", count(&[RULE]))
            .beside("identities and templates", count(&["display.known_kvm", "display.kvm_template"])),
    ])
}

fn virtual_screens(judge: &mut Judge<'_>) -> anyhow::Result<Row> {
    let all = lines("edid_virtual.tsv")?;
    let found = all.iter().filter(|line| fires(&judge(line), "display.virtual")).count();
    Ok(Row::share("samples that drivers of virtual screens are made from, found", found, all.len())
        .at_least(1.0))
}

/// The first block under another maker's and model's name, with other established timings.
fn renamed(edid: &[u8], maker: [u8; 2], name: &str) -> String {
    let mut bytes = edid[..128].to_vec();
    bytes[8..10].copy_from_slice(&maker);
    bytes[35] ^= 0x01;
    bytes[126] = 0;
    for descriptor in bytes[54..126].chunks_exact_mut(18) {
        if descriptor[..4] == [0, 0, 0, 0xfc] {
            let text = name.bytes().chain([b'\n']).chain(std::iter::repeat(b' '));
            descriptor[5..].iter_mut().zip(text).for_each(|(byte, text)| *byte = text);
        }
    }
    let sum = bytes[..127].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    bytes[127] = sum.wrapping_neg();
    format!("{name}\t{}", hex::encode(bytes))
}

fn read(line: &str) -> anyhow::Result<(String, Edid)> {
    let (label, hex) = line.rsplit_once('\t').context("a line without a tab")?;
    Ok((label.to_owned(), edid::parse(&hex::decode(hex)?)?))
}

fn fires(verdict: &Verdict, rule: &str) -> bool {
    verdict.found.iter().flatten().any(|finding| finding.rule == rule)
}
