//! Where tools keep the tenant, account or client id that they were set up with, and how it is taken out of there.
//!
//! ```text
//! windows account HKLM\SOFTWARE\TeamViewer ; field ClientID
//! linux account /var/lib/tailscale/tailscaled.state ; field _profiles/MagicDNSName
//! linux account /var/lib/zerotier-one/networks.d/*.conf
//! linux account /usr/NX/etc/uuid
//! ```
//!
//! With a field, the value is the field's: of a registry key, of a JSON object (at any depth; `a/b` is the first `b`
//! within the first `a`, also where `a` is JSON in base64), of an XML element or attribute, of a line `field = value`
//! or `field: value`. Without one, it is what the pattern's star stands for, or the first line of a file without a
//! star. Tools have several such lines: the first that gives a value counts, so tenants stand before clients' own ids.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::parse::Kind;
use super::{Catalogue, Os, Tool};

/// Shortest value that can tell anything, in characters, …
const SHORTEST: usize = 3;
/// … and the longest.
const LONGEST: usize = 512;
/// Words that stand where there is no value.
const NOTHING: [&str; 5] = ["null", "none", "true", "false", "default"];

/// Where a tool keeps an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account<'a> {
    /// Whose.
    pub tool: &'a Tool,
    /// The file or the key of the registry.
    pub place: Place<'a>,
    /// The field in it; empty if the place itself tells.
    pub field: &'a str,
}

/// A place as the catalogue names it: with stars, and a file's with `~` or a Windows variable at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// A file or folder.
    File(&'a str),
    /// A key of Windows' registry, which begins with `HKLM\` or `HKCU\`.
    Registry(&'a str),
}

impl Catalogue {
    /// Where tools keep their accounts.
    pub fn accounts(&self, os: Os) -> impl Iterator<Item = Account<'_>> {
        self.patterns(Kind::Account, os).map(|(tool, pattern, field)| {
            let hive = pattern.get(..5).unwrap_or_default();
            let in_registry = [r"HKLM\", r"HKCU\"].iter().any(|one| hive.eq_ignore_ascii_case(one));
            let place = if in_registry { Place::Registry(pattern) } else { Place::File(pattern) };
            Account { tool, place, field }
        })
    }
}

impl Account<'_> {
    /// The value, from the path to which the pattern led and the file's text, which is asked for only if it matters.
    pub fn in_file(&self, path: &str, text: impl FnOnce() -> Option<String>) -> Option<String> {
        let (Place::File(pattern) | Place::Registry(pattern)) = self.place;
        if !self.field.is_empty() {
            return in_text(&text()?, self.field);
        }
        if pattern.contains('*') {
            return telling(starred(pattern, path)?);
        }
        telling(text()?.lines().next()?)
    }

    /// The value, from the path of a registry's key and the data of its value of this account's field.
    pub fn in_registry(&self, key: &str, value: impl FnOnce(&str) -> Option<String>) -> Option<String> {
        let (Place::File(pattern) | Place::Registry(pattern)) = self.place;
        if self.field.is_empty() { telling(starred(pattern, key)?) } else { telling(&value(self.field)?) }
    }

    /// The value, from settings that are objects: a property list's.
    pub fn in_object(&self, object: &Value) -> Option<String> {
        in_json(object, self.field)
    }
}

/// What the last star stands for: it is within one part of the pattern.
fn starred<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let is_slash = ['/', '\\'];
    let part =
        pattern.trim_end_matches(is_slash).split(is_slash).rev().position(|part| part.contains('*'))?;
    let nth = |text: &'a str| text.trim_end_matches(is_slash).split(is_slash).rev().nth(part);
    let name = nth(path)?;
    let pattern = pattern.trim_end_matches(is_slash).split(is_slash).rev().nth(part)?;
    let (before, after) = pattern.split_once('*')?;
    let name = name.get(before.len()..)?;
    name.get(..name.len().checked_sub(after.len())?)
}

fn in_text(text: &str, field: &str) -> Option<String> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with(['{', '['])
        && let Ok(value) = serde_json::from_str::<Value>(text)
    {
        return in_json(&value, field);
    }
    if text.starts_with('<') {
        return in_xml(text, field);
    }
    text.lines().find_map(|line| telling(in_line(line, field)?))
}

/// `field=value`, `field = 'value'`, `[int32] field = value`, `field: value`; a field of several words may do without
/// a sign (`set -g name value`).
fn in_line<'a>(line: &'a str, field: &str) -> Option<&'a str> {
    let line = line.trim();
    let typed = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let line = typed.map_or(line, |(_, rest)| rest.trim());
    let after = line.trim_start_matches('"').strip_prefix(field)?.trim_start_matches('"');
    let rest = after.trim_start();
    let bare = || (field.contains(' ') && rest.len() < after.len()).then_some(rest);
    let value = rest.strip_prefix(['=', ':']).or_else(bare)?.trim().trim_end_matches(',');
    Some(value.trim_matches(['\'', '"']))
}

/// `<field>value</field>` or `field="value"`.
fn in_xml(text: &str, field: &str) -> Option<String> {
    let after = |mark: &str| text.split_once(mark).map(|(_, rest)| rest);
    let element = after(&format!("<{field}>")).and_then(|rest| telling(rest.split('<').next()?));
    let attribute = || telling(after(&format!(" {field}=\""))?.split('"').next()?);
    element.or_else(attribute)
}

fn in_json(value: &Value, field: &str) -> Option<String> {
    let (key, rest) = field.split_once('/').unwrap_or((field, ""));
    let found = find(value, key)?;
    if rest.is_empty() {
        return match found {
            Value::String(text) => telling(text),
            Value::Number(number) => telling(&number.to_string()),
            _ => None,
        };
    }
    match found {
        Value::String(packed) => {
            let packed = STANDARD.decode(packed).ok()?;
            in_json(&serde_json::from_slice(&packed).ok()?, rest)
        }
        other => in_json(other, rest),
    }
}

/// The first value of this key, the shallowest of each branch. The depth is bounded by whoever parsed the object.
fn find<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(object) => {
            object.get(key).or_else(|| object.values().find_map(|value| find(value, key)))
        }
        Value::Array(values) => values.iter().find_map(|value| find(value, key)),
        _ => None,
    }
}

fn telling(value: &str) -> Option<String> {
    let value = value.trim();
    let length = value.chars().count();
    let nothing = NOTHING.iter().any(|word| value.eq_ignore_ascii_case(word));
    let zeros = value.chars().all(|c| ['0', '-', '.', ':'].contains(&c));
    let fits = (SHORTEST..=LONGEST).contains(&length) && !value.contains(char::is_control);
    (fits && !nothing && !zeros).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::facts::ToolClass;

    fn tool() -> Tool {
        Tool { id: "x".into(), name: "X".into(), class: ToolClass::Rmm }
    }

    fn of<'a>(tool: &'a Tool, pattern: &'a str, field: &'a str) -> Account<'a> {
        Account { tool, place: Place::File(pattern), field }
    }

    fn said(text: &str, field: &str) -> Option<String> {
        in_text(text, field)
    }

    #[test]
    fn each_tools_way_of_writing_is_read() {
        let is = |value: &str| Some(value.to_owned());
        assert_eq!(said("[int32] ClientID = 987654321", "ClientID"), is("987654321"));
        assert_eq!(said("enc_id = 'x'\nid = '55555'", "id"), is("55555"));
        assert_eq!(said("agent:\n  authtoken: 2abcDEF", "authtoken"), is("2abcDEF"));
        assert_eq!(said("ClientIDx = 1234", "ClientID"), None);
        assert_eq!(said("set -g tmate-api-key abc123", "set -g tmate-api-key"), is("abc123"));
        assert_eq!(said("<c><Account Username=\"msp\" Server=\"s\"/></c>", "Username"), is("msp"));
        assert_eq!(said("<c>\n<Host>help.example.org</Host></c>", "Host"), is("help.example.org"));
        assert_eq!(said(r#"{"root": {"uniqueid": "AB-12"}}"#, "uniqueid"), is("AB-12"));
        assert_eq!(said(r#"{"AgentID": 4711}"#, "AgentID"), is("4711"));
    }

    #[test]
    fn a_tailnet_is_found_in_the_packed_part_of_the_state() {
        let profiles =
            r#"{"ab12":{"Name":"x","NetworkProfile":{"MagicDNSName":"tail9f.ts.net","DomainName":"x.org"}}}"#;
        let state = format!(r#"{{"_machinekey":"cA==","_profiles":"{}"}}"#, STANDARD.encode(profiles));
        assert_eq!(said(&state, "_profiles/MagicDNSName").as_deref(), Some("tail9f.ts.net"));
        assert_eq!(said(r#"{"_profiles":"no base64"}"#, "_profiles/MagicDNSName"), None);
        assert_eq!(said(r#"{"a":{"b":{"c":"deep"}}}"#, "a/c").as_deref(), Some("deep"));
    }

    #[test]
    fn where_the_name_tells_the_star_is_the_account() {
        let tool = tool();
        let zerotier = of(&tool, "/var/lib/zerotier-one/networks.d/*.conf", "");
        let path = "/var/lib/zerotier-one/networks.d/8056c2e21c000001.conf";
        assert_eq!(zerotier.in_file(path, || None).as_deref(), Some("8056c2e21c000001"));
        let folder = of(&tool, "/opt/connectwisecontrol-*/", "");
        assert_eq!(
            folder.in_file("/opt/connectwisecontrol-83d53f43b276635f", || None).as_deref(),
            Some("83d53f43b276635f")
        );
        let service = r"HKLM\SYSTEM\CurrentControlSet\Services\ScreenConnect Client (*)";
        let service = Account { tool: &tool, place: Place::Registry(service), field: "" };
        let key = r"HKLM\SYSTEM\CurrentControlSet\Services\ScreenConnect Client (83d53f43b276635f)";
        assert_eq!(service.in_registry(key, |_| None).as_deref(), Some("83d53f43b276635f"));
        let uuid = of(&tool, "/usr/NX/etc/uuid", "");
        assert_eq!(uuid.in_file("/usr/NX/etc/uuid", || Some("AF31\n\n".into())).as_deref(), Some("AF31"));
    }

    #[test]
    fn what_stands_where_nothing_was_set_is_no_account() {
        for nothing in ["id = ''", "id = 0", "id: null", "id = default", "id = 00000000-0000", "id = ab"] {
            assert_eq!(said(nothing, "id"), None, "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn settings_of_any_kind_never_panic(
            text in "[\\[{<]?\\PC{0,200}", field in "[a-z ]{0,8}/?[a-z]{0,4}", pattern in "/?\\PC{0,20}\\*?\\PC{0,9}",
        ) {
            let tool = tool();
            let _ = said(&text, &field);
            let _ = of(&tool, &pattern, "").in_file(&text, || Some(text.clone()));
            let _ = of(&tool, &pattern, "").in_registry(&text, |_| None);
        }

        #[test]
        fn json_as_deep_as_it_gets_ends(depth in 0usize..2000, field in "[a-z]/[a-z]") {
            let _ = said(&("{\"a\":".repeat(depth) + "1" + &"}".repeat(depth)), &field);
            let _ = said(&"[".repeat(depth), &field);
        }
    }
}
