use std::collections::{BTreeMap, BTreeSet};

use farmwatch_shared::judge::PlaceEvidence;

use super::super::view::SiteView;
use crate::store::{Anchor, AnchorKind};

/// One account of a remote-access tool is behind the laptops of several people.
///
/// Null model: a person uses the own account on the own laptops (one household here), and IT uses its tenants, which
/// the policy file sanctions. A tenant that IT forgot to name shows on many laptops outside the site too, so it
/// counts by the share of its laptops that are in the site.
/// Defeated by an account for each laptop.
pub fn shared_account(view: &SiteView<'_>) -> Option<PlaceEvidence> {
    let mut households: BTreeMap<&Anchor, (usize, BTreeSet<&str>)> = BTreeMap::new();
    for member in &view.members {
        for anchor in member.current(AnchorKind::ToolAccount) {
            let (laptops, people) = households.entry(anchor).or_default();
            *laptops += 1;
            people.insert(&member.household);
        }
    }
    let several = households.into_iter().filter(|(_, (_, people))| people.len() > 1);
    let shares = several.map(|(anchor, (laptops, people))| {
        let fleet = view.beside.counts.get(anchor).copied().unwrap_or(0).max(laptops as u64);
        (laptops as f64 / fleet as f64, anchor, people.len())
    });
    let (share, anchor, people) = shares.max_by(|a, b| a.0.total_cmp(&b.0))?;
    let tool = anchor.value.split('/').next().unwrap_or("a remote-access tool");
    let why = format!("one account of {tool} is behind the laptops of {people} people");
    view.evidence("place.shared_account", share, why)
}
