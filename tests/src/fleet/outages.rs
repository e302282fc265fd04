//! Power cuts and providers' restarts: the same seconds for everybody whom they hit.

use super::places::{Kind, Place};
use super::world::World;

/// Mains or network gone for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// First second, since 1970.
    pub from: i64,
    /// First second after it.
    pub until: i64,
    /// Mains too, not only the network.
    pub power: bool,
}

impl World {
    /// What hits a place in a day that begins at `midnight`, in order and without overlap.
    pub fn outages(&self, place: Place, day: i32, midnight: i64) -> Vec<Outage> {
        let networks = &self.parameters.networks;
        let hit =
            matches!(place.kind, Kind::Home | Kind::FarmRoom | Kind::Dorm | Kind::Agency | Kind::Repair);
        if !hit {
            return Vec::new();
        }
        let region = u64::from(place.region);
        let homes = f64::from(self.parameters.fleet.laptops);
        let districts = super::dice::whole(homes / f64::from(networks.homes_a_district)).max(20);
        let district = self.dice_of(place).of("district").below(districts);
        let cut = self.dice.of("cut").at(region).at(district).day(day);
        let mut all = Vec::new();
        if cut.chance(networks.power_cuts_a_year / 365.0) {
            let from = midnight + cut.of("at").between(0, 86_399);
            // From blinks of two seconds to hours.
            let length = super::dice::whole(2.0 * (cut.of("long").unit() * 8.5).exp());
            all.push(Outage { from, until: from + i64::from(length), power: true });
        }
        let restart = self.dice.of("restart").at(region).at(self.provider(place)).day(day);
        if restart.chance(networks.provider_restarts_a_month / 30.0) {
            let from = midnight + restart.of("at").between(7200, 18_000);
            let outage = Outage { from, until: from + restart.of("long").between(90, 900), power: false };
            if all.iter().all(|cut| cut.until < outage.from || outage.until < cut.from) {
                all.push(outage);
            }
        }
        all.sort_by_key(|outage| outage.from);
        all
    }
}
