//! What IT has told the collector of a fleet: its policy, its assets, its places.

use anyhow::Context as _;
use farmwatch_collector::policy::{COMMENTED, Policy};
use farmwatch_collector::store::{Asset, Place};
use serde::Deserialize;

use super::{Fleet, SANCTIONED};

#[derive(Deserialize)]
struct PlacesFile {
    place: Vec<Place>,
}

/// The shipped policy with IT's own tools sanctioned. Whom quarantine would cut off is counted, however many in an hour.
pub fn policy() -> anyhow::Result<Policy> {
    let mut policy = Policy::parse(COMMENTED)?;
    policy.sanctioned_tools = SANCTIONED.map(str::to_owned).into();
    policy.quarantine.cap_per_hour = u32::MAX;
    Ok(policy)
}

/// Sanctioned places.
pub fn places(fleet: &Fleet) -> anyhow::Result<Vec<Place>> {
    let file: PlacesFile = toml::from_str(&fleet.sanctioned()).context("the fleet's sanctioned places")?;
    Ok(file.place)
}

/// The asset list.
pub fn assets(fleet: &Fleet) -> Vec<Asset> {
    let lines = fleet.asset_lines().map(|line| Asset {
        serial: line.serial,
        user: line.user,
        department: line.department.to_owned(),
        shipped_to: line.shipped_to,
        expected_country: line.country,
    });
    lines.collect()
}
