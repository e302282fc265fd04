//! Property lists, XML or binary, bounded: names and strings in them come from whatever somebody plugged in.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Deepest nesting that is read; the registry's trees have some sixty levels, two each.
const DEEPEST: usize = 160;
/// Most values in one list.
const MOST: usize = 400_000;
/// Most bytes of all texts and data together: a binary list may name one text a thousand times, and each is a copy.
const MOST_BYTES: usize = 16 << 20;

/// A dictionary.
pub type Dict = BTreeMap<String, Plist>;

/// A value of a property list. Dates are texts here.
#[derive(Clone, Debug, PartialEq)]
pub enum Plist {
    /// `<true/>`, `<false/>`.
    Bool(bool),
    /// `<integer>`: 64 bits, with or without a sign.
    Integer(i128),
    /// `<real>`.
    Real(f64),
    /// `<string>`.
    Text(String),
    /// `<data>`.
    Data(Vec<u8>),
    /// `<array>`.
    Array(Vec<Plist>),
    /// `<dict>`.
    Dict(Dict),
}

/// What is no property list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a property list: {0}")]
pub struct BadPlist(String);

/// Reads a property list.
pub fn parse(bytes: &[u8]) -> Result<Plist, BadPlist> {
    plist::from_bytes::<Root>(bytes).map(|root| root.0).map_err(|error| {
        // The crate quotes what it cannot read, which may be anything.
        BadPlist(error.to_string().chars().filter(|c| !c.is_control()).take(120).collect())
    })
}

impl Plist {
    /// The dictionary, if it is one.
    pub fn dict(&self) -> Option<&Dict> {
        if let Self::Dict(dict) = self { Some(dict) } else { None }
    }

    /// The values, if it is an array.
    pub fn array(&self) -> &[Self] {
        if let Self::Array(array) = self { array } else { &[] }
    }
}

/// The same as JSON, for readers that know no other; what JSON has not is null.
pub fn json(plist: &Plist) -> Value {
    match plist {
        Plist::Bool(yes) => (*yes).into(),
        Plist::Integer(number) => i64::try_from(*number).map_or(Value::Null, Value::from),
        Plist::Text(text) => text.as_str().into(),
        Plist::Array(values) => values.iter().map(json).collect(),
        Plist::Dict(dict) => dict.iter().map(|(key, value)| (key.clone(), json(value))).collect(),
        Plist::Real(_) | Plist::Data(_) => Value::Null,
    }
}

/// A number of a dictionary.
pub fn number<T: TryFrom<i128>>(dict: &Dict, key: &str) -> Option<T> {
    if let Plist::Integer(number) = dict.get(key)? { T::try_from(*number).ok() } else { None }
}

/// A yes or no of a dictionary; older systems write 1 and 0, or the word.
pub fn yes(dict: &Dict, key: &str) -> Option<bool> {
    match dict.get(key)? {
        Plist::Bool(yes) => Some(*yes),
        Plist::Integer(number) => Some(*number != 0),
        Plist::Text(text) => Some(text.eq_ignore_ascii_case("yes")),
        _ => None,
    }
}

/// A text of a dictionary, trimmed, never empty. Firmware's texts are data that ends with a zero.
pub fn text(dict: &Dict, key: &str) -> Option<String> {
    let text = match dict.get(key)? {
        Plist::Text(text) => text.clone(),
        Plist::Data(bytes) => {
            String::from_utf8_lossy(bytes.split(|b| *b == 0).next().unwrap_or_default()).into_owned()
        }
        _ => return None,
    };
    let text: String = text.chars().filter(|c| !c.is_control()).take(256).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Bytes of a dictionary.
pub fn data<'a>(dict: &'a Dict, key: &str) -> Option<&'a [u8]> {
    if let Plist::Data(bytes) = dict.get(key)? { Some(bytes) } else { None }
}

/// A dictionary in a dictionary.
pub fn inner<'a>(dict: &'a Dict, key: &str) -> Option<&'a Dict> {
    dict.get(key)?.dict()
}

struct Root(Plist);

impl<'de> serde::Deserialize<'de> for Root {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (left, bytes) = (Cell::new(MOST), Cell::new(MOST_BYTES));
        Seed { depth: 0, left: &left, bytes: &bytes }.deserialize(deserializer).map(Root)
    }
}

/// Reads one value, and knows how deep it lies and how many more there may be.
#[derive(Clone, Copy)]
struct Seed<'a> {
    depth: usize,
    left: &'a Cell<usize>,
    bytes: &'a Cell<usize>,
}

impl Seed<'_> {
    fn below(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }

    fn spend<E: serde::de::Error>(self, bytes: usize) -> Result<(), E> {
        let left = self.bytes.get().checked_sub(bytes).ok_or_else(|| E::custom("too long"))?;
        self.bytes.set(left);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Plist;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Plist, D::Error> {
        if self.depth > DEEPEST {
            return Err(D::Error::custom("nested too deep"));
        }
        let Some(left) = self.left.get().checked_sub(1) else {
            return Err(D::Error::custom("too many values"));
        };
        self.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Plist;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a property list")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Plist, E> {
        Ok(Plist::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Plist, E> {
        Ok(Plist::Integer(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Plist, E> {
        Ok(Plist::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Plist, E> {
        Ok(Plist::Real(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Plist, E> {
        self.spend(value.len())?;
        Ok(Plist::Text(value.to_owned()))
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Plist, E> {
        self.spend(value.len())?;
        Ok(Plist::Text(value))
    }

    fn visit_bytes<E: serde::de::Error>(self, value: &[u8]) -> Result<Plist, E> {
        self.spend(value.len())?;
        Ok(Plist::Data(value.to_owned()))
    }

    fn visit_byte_buf<E: serde::de::Error>(self, value: Vec<u8>) -> Result<Plist, E> {
        self.spend(value.len())?;
        Ok(Plist::Data(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Plist, A::Error> {
        let mut array = Vec::new();
        while let Some(value) = seq.next_element_seed(self.below())? {
            array.push(value);
        }
        Ok(Plist::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Plist, A::Error> {
        let mut dict = Dict::new();
        while let Some(key) = map.next_key::<String>()? {
            self.spend(key.len())?;
            dict.insert(key, map.next_value_seed(self.below())?);
        }
        Ok(Plist::Dict(dict))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(body: &str) -> String {
        format!("<?xml version=\"1.0\"?><plist version=\"1.0\">{body}</plist>")
    }

    #[test]
    fn each_kind_of_value_is_read() {
        let text = list(
            "<dict><key>n</key><integer>18446744073709551615</integer><key>m</key><integer>-2</integer>\
             <key>on</key><true/><key>word</key><string>Yes</string><key>firmware</key><data>TWFjMTQsNwA=</data>\
             <key>when</key><date>2026-11-24T15:00:30Z</date><key>all</key><array><real>1.5</real></array></dict>",
        );
        let plist = parse(text.as_bytes()).unwrap();
        let dict = plist.dict().unwrap();
        assert_eq!(number::<u64>(dict, "n"), Some(u64::MAX));
        assert_eq!((number::<i64>(dict, "m"), number::<u16>(dict, "m")), (Some(-2), None));
        assert_eq!((yes(dict, "on"), yes(dict, "word"), yes(dict, "none")), (Some(true), Some(true), None));
        assert_eq!(text_of(dict, "firmware"), "Mac14,7");
        assert_eq!(dict["all"].array(), [Plist::Real(1.5)]);
    }

    fn text_of(dict: &Dict, key: &str) -> String {
        text(dict, key).unwrap()
    }

    #[test]
    fn a_list_nested_without_end_and_one_of_a_million_values_are_refused() {
        let deep = list(&("<array>".repeat(100_000) + &"</array>".repeat(100_000)));
        assert!(parse(deep.as_bytes()).unwrap_err().to_string().contains("too deep"));
        let long = list(&format!("<array>{}</array>", "<true/>".repeat(1_000_000)));
        assert!(parse(long.as_bytes()).unwrap_err().to_string().contains("too many"));
    }

    #[test]
    fn a_binary_list_that_names_one_text_twenty_thousand_times_is_refused() {
        let mut bytes = b"bplist00".to_vec();
        bytes.extend([0xaf, 0x11]);
        bytes.extend(20_000u16.to_be_bytes());
        bytes.extend(std::iter::repeat_n(1, 20_000));
        let text = u16::try_from(bytes.len()).unwrap();
        bytes.extend([0x5f, 0x11]);
        bytes.extend(30_000u16.to_be_bytes());
        bytes.extend(std::iter::repeat_n(b'x', 30_000));
        let table = bytes.len() as u64;
        bytes.extend([8u16.to_be_bytes(), text.to_be_bytes()].concat());
        bytes.extend([0, 0, 0, 0, 0, 0, 2, 1]);
        [2u64, 0, table].iter().for_each(|number| bytes.extend(number.to_be_bytes()));
        assert!(bytes.len() < 64 << 10, "as much as is read of a file");
        assert!(parse(&bytes).unwrap_err().to_string().contains("too long"));
    }

    #[test]
    fn a_list_cut_off_anywhere_is_an_error_in_words() {
        let whole = list("<array><dict><key>a</key><string>b</string></dict></array>");
        for end in 0..whole.len() - "</plist>".len() {
            assert!(parse(&whole.as_bytes()[..end]).is_err(), "{}", &whole[..end]);
        }
    }

    proptest! {
        #[test]
        fn junk_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), xml in "[<>/a-z]{0,200}") {
            let _ = (parse(&bytes), parse(list(&xml).as_bytes()));
            let _ = parse(&[b"bplist00".as_slice(), &bytes].concat());
        }
    }
}
