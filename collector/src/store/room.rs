//! How much the facts of one device may come to: what a report of its whole state may hold. More could never be told
//! again, and a device that names ever new facts would have the collector keep them all.

use std::collections::BTreeMap;

use farmwatch_shared::wire::{MAX_FACTS, MAX_UNPACKED};

use super::prepared::Fact;

/// A report whose facts are known and together of fewer bytes needs no look at what there is.
const LIGHT: usize = 16 << 10;

/// Bytes of values by the keys of a device's facts.
pub type Sizes = BTreeMap<String, usize>;

/// Whether facts may come to more than there is room for: some are new, or they are large.
pub fn may_overflow(set: &[Fact], any_new: bool) -> bool {
    any_new || set.iter().map(|fact| fact.value.len()).sum::<usize>() > LIGHT
}

/// What facts come to after a change; or why there is no room for it.
pub fn after(mut sizes: Sizes, set: &[Fact], gone: &[String]) -> Result<Sizes, String> {
    for key in gone {
        sizes.remove(key);
    }
    sizes.extend(set.iter().map(|fact| (fact.key.clone(), fact.value.len())));
    let (facts, bytes) = (sizes.len(), sizes.values().sum::<usize>());
    if facts > MAX_FACTS || bytes > MAX_UNPACKED {
        return Err(format!(
            "its facts would come to {facts} in {bytes} bytes; of one device, at most {MAX_FACTS} in {MAX_UNPACKED} \
             bytes are kept"
        ));
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use farmwatch_shared::state::Digest;

    use super::*;

    fn facts(keys: std::ops::Range<usize>, bytes: usize) -> Vec<Fact> {
        let fact = |n: usize| Fact {
            key: format!("display/{n}"),
            digest: Digest::default(),
            value: "x".repeat(bytes),
        };
        keys.map(fact).collect()
    }

    #[test]
    fn a_laptop_that_names_ever_new_facts_is_stopped_and_one_that_changes_its_own_is_not() {
        let full = after(Sizes::new(), &facts(0..MAX_FACTS, 10), &[]).unwrap();
        assert!(after(full.clone(), &facts(0..MAX_FACTS, 20), &[]).is_ok());
        let refused = after(full.clone(), &facts(MAX_FACTS..MAX_FACTS + 1, 1), &[]).unwrap_err();
        assert!(refused.contains("4097"), "{refused}");
        assert!(after(full, &facts(MAX_FACTS..MAX_FACTS + 1, 1), &["display/0".into()]).is_ok(), "one goes");
        assert!(after(Sizes::new(), &facts(0..5, MAX_UNPACKED / 4), &[]).is_err(), "few and huge");
    }

    #[test]
    fn a_change_of_what_is_there_costs_no_look() {
        assert!(!may_overflow(&facts(0..3, 100), false));
        assert!(may_overflow(&facts(0..3, 100), true));
        assert!(may_overflow(&facts(0..1, LIGHT + 1), false));
    }
}
