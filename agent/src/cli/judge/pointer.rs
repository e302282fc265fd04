//! `judge pointer`: a CSV of pointer events with a header, columns `session,t_ms` and optionally `x,y`, the
//! events of a session in one piece and in order of time. One verdict for each five minutes of use.

use std::io::{self, BufRead};

use anyhow::Context as _;
use csv::ByteRecord;
use farmwatch_shared::weights::Weights;
use farmwatch_shared::{pointer, rules};

use super::Verdict;

/// Judges a whole file. Lines that cannot be read are told as such and left out.
pub fn judge(
    input: impl BufRead,
    weights: &Weights,
    mut tell: impl FnMut(Verdict) -> io::Result<()>,
) -> anyhow::Result<()> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(input);
    let header = reader.byte_headers().context("cannot read the header")?.clone();
    let column = |name: &str| header.iter().position(|field| field.trim_ascii() == name.as_bytes());
    let (Some(session), Some(time)) = (column("session"), column("t_ms")) else {
        anyhow::bail!("the header should name the columns `session` and `t_ms`, and may name `x` and `y`");
    };
    let place = column("x").zip(column("y"));
    let mut now = Session::default();
    for (index, record) in reader.byte_records().enumerate() {
        let event = record.map_err(|error| error.to_string()).and_then(|r| event(&r, session, time, place));
        match event {
            Err(reason) => tell(Verdict::unreadable(format!("line {}", index + 2), reason))?,
            Ok((name, at, xy)) => {
                if name != now.name {
                    std::mem::replace(&mut now, Session { name, ..Session::default() })
                        .tell(weights, &mut tell)?;
                }
                now.times.push(at);
                now.places.extend(xy);
            }
        }
    }
    now.tell(weights, &mut tell)?;
    Ok(())
}

/// The events of one session so far.
#[derive(Default)]
struct Session {
    name: String,
    times: Vec<f64>,
    places: Vec<(f64, f64)>,
}

impl Session {
    fn tell(self, weights: &Weights, tell: &mut impl FnMut(Verdict) -> io::Result<()>) -> io::Result<()> {
        // Without the place of every event, none is used.
        let places = (self.places.len() == self.times.len()).then_some(self.places.as_slice());
        for (number, window) in pointer::windows(&self.times).into_iter().enumerate() {
            let xy = places.map(|places| &places[window.clone()]);
            let said = pointer::model(&self.times[window], xy);
            let found = said.and_then(|centinats| rules::timing(f64::from(centinats) / 100.0, 1, weights));
            let label = format!("{} #{}", self.name, number + 1);
            tell(Verdict { label, found: Ok(found.into_iter().collect()) })?;
        }
        Ok(())
    }
}

type Event = (String, f64, Option<(f64, f64)>);

fn event(
    record: &ByteRecord,
    session: usize,
    time: usize,
    place: Option<(usize, usize)>,
) -> Result<Event, String> {
    let field = |index: usize| record.get(index).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let number = |index: usize| field(index).and_then(|text| text.trim().parse::<f64>().ok());
    let name = field(session).ok_or("no session")?.to_owned();
    let at = number(time).filter(|at| at.is_finite()).ok_or("`t_ms` is no number")?;
    let xy = place.and_then(|(x, y)| Some((number(x)?, number(y)?)));
    Ok((name, at, xy))
}
