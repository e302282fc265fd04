//! `judge edid`: one monitor a line, tab-separated, the last column its EDID in hex, the rest its label.

use farmwatch_shared::edid;
use farmwatch_shared::facts::Display;
use farmwatch_shared::state::State;
use farmwatch_shared::weights::Weights;

use super::{Judge, Verdict, findings, throwaway_key};

/// Judges each line as the only screen of a laptop.
pub fn judge(weights: &Weights) -> Judge<'_> {
    let key = throwaway_key();
    Box::new(move |line| {
        let (label, hex) = line.rsplit_once('\t').unwrap_or(("", line));
        let hex: String = hex.chars().filter(|c| !c.is_whitespace()).collect();
        let bytes = match hex::decode(&hex) {
            Ok(bytes) => bytes,
            Err(error) => return Verdict::unreadable(label, format!("the last column is no hex: {error}")),
        };
        match edid::facts(&bytes, &key) {
            Err(error) => Verdict::unreadable(label, error),
            Ok(facts) => {
                let mut state = State::default();
                let edid = Some(facts);
                state.put("judged", &Display { active: true, edid, ..Display::default() });
                Verdict { label: label.to_owned(), found: Ok(findings(&state, weights)) }
            }
        }
    })
}
