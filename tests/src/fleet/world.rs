//! What a fleet's laptops have in common: parameters, chance, farms, hardware.

use farmwatch_shared::id::HashKey;
use jiff::Timestamp;

use super::dice::{Dice, whole};
use super::farms::Room;
use super::parameters::{Parameters, Region};
use super::places::Place;
use super::things::Things;

/// Seconds of a day.
pub const DAY: i64 = 86_400;
/// Homes from this number on are flats that people of several companies share.
pub const FLATS: u32 = 1 << 30;

/// It.
pub struct World {
    /// Rates.
    pub parameters: Parameters,
    /// The seed's chance.
    pub dice: Dice,
    /// The tenant's key.
    pub key: HashKey,
    /// Midnight (UTC) of the first day.
    pub start: Timestamp,
    /// How many days it lives.
    pub days: i32,
    /// All traffic goes through the company's VPN.
    pub always_on_vpn: bool,
    /// Farms.
    pub farms: Vec<Room>,
    /// Hardware.
    pub things: Things,
}

impl World {
    /// The world of a seed. Hashes are made with a key of its own, as the agents of one tenant would.
    pub fn new(parameters: Parameters, seed: u64, days: u32, start: Timestamp) -> anyhow::Result<Self> {
        let (dice, key) = (Dice::new(seed), HashKey::new([0x5a; 32]));
        let things = Things::new(key.clone(), dice.of("things"))?;
        let always_on_vpn = dice.of("always on").chance(parameters.fleet.always_on_vpn);
        let days = i32::try_from(days)?;
        let mut world = Self { parameters, dice, key, start, days, always_on_vpn, farms: Vec::new(), things };
        world.farms = super::farms::rooms(&world);
        Ok(world)
    }

    /// First second of a day where a region's people live.
    pub fn midnight(&self, region: u8, day: i32) -> i64 {
        self.start.as_second() + i64::from(day) * DAY - i64::from(self.region(region).offset) * 3600
    }

    /// Midnight (UTC) of a day.
    pub fn day_start(&self, day: i32) -> i64 {
        self.start.as_second() + i64::from(day) * DAY
    }

    /// A region.
    pub fn region(&self, index: u8) -> &Region {
        let regions = &self.parameters.region;
        &regions[usize::from(index).min(regions.len() - 1)]
    }

    /// The region that a draw falls into, by the regions' shares.
    pub fn region_of(&self, dice: Dice) -> u8 {
        let mut left = dice.unit() * self.parameters.region.iter().map(|region| region.share).sum::<f64>();
        for (index, region) in (0u8..).zip(&self.parameters.region) {
            left -= region.share;
            if left < 0.0 {
                return index;
            }
        }
        0
    }

    /// So many laptops as a share of the fleet is.
    pub fn share(&self, share: f64) -> u32 {
        whole(f64::from(self.parameters.fleet.laptops) * share)
    }

    /// Saturday or Sunday.
    pub fn is_weekend(&self, day: i32) -> bool {
        // 1970-01-01 was a Thursday.
        let since_1970 = self.start.as_second().div_euclid(DAY) + i64::from(day);
        matches!((since_1970 + 3).rem_euclid(7), 5 | 6)
    }

    /// Other companies' laptops in a farm's room.
    pub fn others_in(&self, place: Place) -> u32 {
        self.farms.get((place.number & (super::farms::MOVED - 1)) as usize).map_or(0, |room| room.farm.others)
    }
}
