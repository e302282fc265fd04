//! Ids under which MDM and EDR agents know this laptop, each from one small file of theirs.
//!
//! CrowdStrike, SentinelOne and Defender keep theirs where only their own tools read it; those are joined by
//! serial number instead.

use std::collections::BTreeMap;

use super::super::read;
use super::Config;

/// Finds an id in a file's text.
type Find = fn(&str) -> Option<&str>;

/// An agent's file and how its id is found in it. Whatever else the file holds, keys among it, is dropped.
const AGENTS: [(&str, &str, Find); 6] = [
    ("fleet", "opt/orbit/identifier", first_word),
    ("wazuh", "var/ossec/etc/client.keys", first_word),
    ("wazuh", "Library/Ossec/etc/client.keys", first_word), // macOS
    ("velociraptor", "etc/velociraptor.writeback.yaml", velociraptor),
    ("jumpcloud", "opt/jc/jcagent.conf", jumpcloud),
    ("salt", "etc/salt/minion_id", first_word),
];

pub(super) fn by(config: &Config) -> BTreeMap<String, String> {
    let id = |(agent, path, find): &(&str, &str, Find)| {
        let text = read::text(&config.path(path), read::SMALL).ok()?;
        let id = find(&text).map(str::trim).filter(|id| is_id(id))?;
        Some(((*agent).to_owned(), id.to_owned()))
    };
    AGENTS.iter().filter_map(id).collect()
}

fn is_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c))
}

/// The id alone, or `001 laptop any <key>`.
fn first_word(text: &str) -> Option<&str> {
    text.split_whitespace().next()
}

/// `client_id: C.1352adc54e292a23`
fn velociraptor(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.trim().strip_prefix("client_id:"))
}

/// `{"systemKey":"5f0…", …}`
fn jumpcloud(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("\"systemKey\"")?;
    rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?.split('"').next()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sensors::test::{config, write};

    #[test]
    fn ids_are_read_and_secrets_beside_them_are_not() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &[
                ("opt/orbit/identifier", "8d2a3b1e-0a4f-4a57-9c1e-1f2e3d4c5b6a\n"),
                ("var/ossec/etc/client.keys", "017 lt-0042 any 0f1e2d3c4b5a\n"),
                ("etc/velociraptor.writeback.yaml", "private_key: xyz\nclient_id: C.1352adc54e292a23\n"),
                ("opt/jc/jcagent.conf", "{\"agentKey\":\"s3cret\", \"systemKey\" : \"5f0a\"}"),
                ("etc/salt/minion_id", "<b>no id</b>"),
            ],
        );
        let got = by(&config(root.path()));
        let got: Vec<_> = got.iter().map(|(agent, id)| (agent.as_str(), id.as_str())).collect();
        assert_eq!(
            got,
            [
                ("fleet", "8d2a3b1e-0a4f-4a57-9c1e-1f2e3d4c5b6a"),
                ("jumpcloud", "5f0a"),
                ("velociraptor", "C.1352adc54e292a23"),
                ("wazuh", "017"),
            ]
        );
    }

    proptest! {
        #[test]
        fn files_of_any_kind_never_panic_and_give_no_line_breaks(
            text in "(client_id:|\"systemKey\"|[:\" \n]|\\PC){0,30}"
        ) {
            let found = [first_word(&text), velociraptor(&text), jumpcloud(&text)];
            for id in found.into_iter().flatten().map(str::trim).filter(|id| is_id(id)) {
                prop_assert!(id.len() <= 128 && !id.contains(char::is_whitespace));
            }
        }
    }
}
