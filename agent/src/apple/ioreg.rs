//! The IOKit registry as `ioreg -a` prints it: property lists whose entries hold their children.

use std::collections::BTreeSet;

use super::plist::{Dict, Plist, number, text};

/// Key of an entry's children.
const CHILDREN: &str = "IORegistryEntryChildren";

/// Every entry of a printed tree, parents before children, each once: `ioreg -r` prints an entry below another of
/// its class twice.
pub fn entries(tree: &Plist) -> Vec<&Dict> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    let mut next = vec![tree];
    while let Some(value) = next.pop() {
        let children = match value {
            Plist::Array(array) => array.as_slice(),
            Plist::Dict(dict) => {
                let id: Option<u64> = number(dict, "IORegistryEntryID");
                if id.is_none_or(|id| seen.insert(id)) {
                    all.push(dict);
                }
                dict.get(CHILDREN).map(Plist::array).unwrap_or_default()
            }
            _ => &[],
        };
        next.extend(children.iter().rev());
    }
    all
}

/// The entry is of this class. `ioreg -c` also finds classes derived from the one it is asked for.
pub fn is_a(entry: &Dict, class: &str) -> bool {
    text(entry, "IOObjectClass").is_some_and(|name| name == class)
}

#[cfg(test)]
pub mod test {
    //! Recordings of Macs for the tests of sensors.

    use super::super::plist::{Plist, parse};

    /// A recording in `tests/fixtures/macos`, as text.
    pub fn recording(name: &str) -> String {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/macos").join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// A recorded property list.
    pub fn plist(name: &str) -> Plist {
        parse(recording(name).as_bytes()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_is_printed_twice_is_one() {
        let entry = |id: u64, children: Vec<Plist>| {
            let mut dict = Dict::new();
            dict.insert("IORegistryEntryID".into(), Plist::Integer(id.into()));
            dict.insert(CHILDREN.into(), Plist::Array(children));
            Plist::Dict(dict)
        };
        let tree = Plist::Array(vec![entry(1, vec![entry(2, vec![])]), entry(2, vec![])]);
        let ids: Vec<u64> = entries(&tree).iter().filter_map(|e| number(e, "IORegistryEntryID")).collect();
        assert_eq!(ids, [1, 2]);
        assert!(entries(&Plist::Bool(true)).is_empty());
    }
}
