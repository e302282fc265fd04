//! Names that somebody on this laptop asked for, as Windows' provider `Microsoft-Windows-DNS-Client` tells them. Pure.

use std::net::IpAddr;

use super::super::relays::Answer;
use super::utf16;

/// `DnsQueryEx` is completed: the only event that says what a name stands for.
const ANSWERED: u16 = 3008;
/// Longest name, and longest list of answers, that are read, in bytes.
const MOST_NAME: usize = 512;
const MOST_ANSWERS: usize = 4096;
/// Most answers of one.
const MOST: usize = 64;

/// Takes an event's data apart: the name as UTF-16 up to a zero, type (4), options (8), status (4), and what it stands for
/// as text up to a zero: `type:  5 relay.example.net;203.0.113.9;::ffff:203.0.113.10;`. Aliases come first; `None` for a
/// name that stands for no address.
pub(in super::super) fn answer(id: u16, data: &[u8]) -> Option<Answer> {
    if id != ANSWERED {
        return None;
    }
    let (name, rest) = text(data, MOST_NAME)?;
    let (answers, _) = text(rest.get(16..)?, MOST_ANSWERS)?;
    let mut answer = Answer { names: vec![name], addresses: Vec::new() };
    for part in answers.split(';').map(str::trim).take(MOST) {
        if let Some(alias) = part.strip_prefix("type:").map(str::trim_start) {
            answer.names.extend(alias.strip_prefix("5 ").map(|name| name.trim().to_owned()));
        } else if let Ok(address) = part.parse::<IpAddr>() {
            answer.addresses.push(address.to_canonical());
        }
    }
    (!answer.addresses.is_empty()).then_some(answer)
}

/// A text up to its zero, and what is behind it.
fn text(data: &[u8], most: usize) -> Option<(String, &[u8])> {
    let units = data.get(..data.len().min(most))?.chunks_exact(2).position(|unit| unit == [0, 0])?;
    Some((utf16(data.get(..units * 2)?), data.get(units * 2 + 2..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The event as Windows writes it.
    fn event(name: &str, answers: &str) -> Vec<u8> {
        let wide =
            |text: &str| text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let mut data = wide(name);
        data.extend(1u32.to_le_bytes());
        data.extend(0x4000_0000_4000_2000u64.to_le_bytes());
        data.extend(0u32.to_le_bytes());
        data.extend(wide(answers));
        data
    }

    #[test]
    fn a_name_its_aliases_and_its_addresses_are_told() {
        let data = event(
            "boot.net.anydesk.com",
            "type:  5 relay.example.net;203.0.113.9;::ffff:203.0.113.10;2001:db8::7;",
        );
        let got = answer(3008, &data).unwrap();
        assert_eq!(got.names, ["boot.net.anydesk.com", "relay.example.net"]);
        let addresses: Vec<String> = got.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["203.0.113.9", "203.0.113.10", "2001:db8::7"]);
        assert_eq!(answer(3006, &data), None, "a question");
        assert_eq!(answer(3008, &event("nowhere.example", "")), None);
    }

    proptest! {
        #[test]
        fn data_of_any_kind_is_read_within_its_bounds(
            bytes in prop::collection::vec(any::<u8>(), 0..300), name in "\\PC{0,60}", answers in "(type:  5 |[0-9.]{1,15}|;|:|\\PC){0,200}",
            cut in 0usize..600,
        ) {
            let _ = answer(3008, &bytes);
            let whole = event(&name, &answers);
            for data in [&whole[..], &whole[..cut.min(whole.len())]] {
                if let Some(answer) = answer(3008, data) {
                    prop_assert!(answer.names.len() + answer.addresses.len() <= MOST + 1);
                }
            }
            let long = event(&"x".repeat(100_000), "203.0.113.9;");
            prop_assert_eq!(answer(3008, &long), None);
        }
    }
}
