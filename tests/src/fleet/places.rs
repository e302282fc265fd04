//! Where laptops stand: a router, what else is on its network, how it is reached.
//!
//! A place is a name; all that it shows is computed from the name and the fleet's seed.

use farmwatch_shared::facts::{LinkKind, Neighbour, Network};

use super::dice::Dice;
use super::situation::{Link, Medium};
use super::world::{FLATS, World};

/// Kinds of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A home.
    Home,
    /// The company's office in a region.
    Office,
    /// A shared workspace.
    Coworking,
    /// A hotel.
    Hotel,
    /// A café, a train, a phone's hotspot.
    Cafe,
    /// A small office of contractors.
    Agency,
    /// A dorm.
    Dorm,
    /// A ship.
    Ship,
    /// A repair shop.
    Repair,
    /// IT's staging bench.
    Bench,
    /// A cloud provider's data centre.
    DataCentre,
    /// Where a farm's laptops stand.
    FarmRoom,
    /// A cellular or travel router that serves one laptop.
    OwnUplink,
}

/// Names a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Its kind.
    pub kind: Kind,
    /// Its number among its kind.
    pub number: u32,
    /// The region that it is in.
    pub region: u8,
}

/// Routers of homes, by the registry of makers' prefixes (AVM, Netgear, TP-Link, Sagemcom, Ubiquiti).
const HOME_ROUTERS: [&str; 5] = ["3ca62f", "a040a0", "50c7bf", "7c03d8", "788a20"];
/// Routers of businesses (Cisco, Ubiquiti, Aruba).
const BUSINESS_ROUTERS: [&str; 3] = ["00000c", "788a20", "000b86"];
/// Travel and cellular routers (GL.iNet, Huawei).
const SMALL_ROUTERS: [&str; 2] = ["9483c4", "00e0fc"];
/// Things on a home's network (Raspberry Pi, Philips lighting, Sonos, Hewlett Packard's printers).
const THINGS: [&str; 4] = ["b827eb", "001788", "5caafd", "3c5282"];
/// Wi-Fi of company laptops, as often as each is (Intel, Apple, AzureWave, Hon Hai): assumption, after shares of the
/// market (Lenovo, HP and Dell some two thirds, Intel's radios in most of them; Apple a tenth).
const WIFI: [&str; 8] = ["3ca9f4", "3ca9f4", "8c8d28", "8c8d28", "a483e7", "f01898", "80c5f2", "9c305b"];
/// Cables of docks and company laptops, likewise (Realtek, ASIX, Dell, Lenovo's LCFC, HP): assumption.
const CABLES: [&str; 8] = ["00e04c", "00e04c", "000ec6", "a4bb6d", "a4bb6d", "8c8caa", "8c8caa", "b05cda"];
/// A hardware address that many routers show: a development kit's (Ralink), left in by their makers.
const CLONED: &str = "000c43288050";
/// The gateway of every network in a large cloud (Azure).
const CLOUD: &str = "123456789abc";
/// Laptops that one segment of an office holds.
const SEGMENT: u32 = 60;

impl World {
    /// The place's own chance.
    pub fn dice_of(&self, place: Place) -> Dice {
        let (region, kind) = (u64::from(place.region), place.kind as u64);
        self.dice.of("place").at(kind << 8 | region).at(place.number)
    }

    /// The link of a laptop at a place on a day: by cable at a desk, else by Wi-Fi.
    pub fn link(&self, place: Place, day: i32, desk: bool) -> Link {
        Link {
            place,
            medium: if desk { Medium::Cable } else { Medium::Wifi },
            router: if place.kind == Kind::Home { self.routers(place, day) } else { 0 },
            near: 0,
        }
    }

    /// How many routers a home has had before its present one.
    fn routers(&self, place: Place, day: i32) -> i32 {
        let month = day.div_euclid(30);
        let replaced = |past: &i32| {
            let dice = self.dice_of(place).of("router").day(*past);
            let on = i32::try_from(dice.of("on").between(0, 29)).unwrap_or(0);
            dice.chance(self.parameters.networks.router_replaced) && past * 30 + on <= day
        };
        i32::try_from((0..=month).filter(replaced).count()).unwrap_or(0)
    }

    /// What a laptop says of its network over a link. Neighbours are level 2.
    pub fn network(&self, link: &Link, laptop: u32) -> Network {
        let gateway = self.gateway(link, laptop);
        let neighbours = if link.near == 0 { Vec::new() } else { self.neighbours(link) };
        Network {
            kind: if link.medium == Medium::Cable { LinkKind::Ethernet } else { LinkKind::Wifi },
            default_route: true,
            gateway: Some(self.key.hash("mac", &gateway)),
            gateway_oui: maker(&gateway).map(str::to_owned),
            dhcp_server: Some(self.key.hash("dhcp", &gateway)),
            neighbours,
        }
    }

    /// The gateway's hardware address.
    pub fn gateway(&self, link: &Link, laptop: u32) -> String {
        let place = link.place;
        if place.kind == Kind::DataCentre {
            return CLOUD.to_owned();
        }
        let dice = self.dice_of(place).of("gateway").day(link.router);
        if dice.of("cloned").chance(self.parameters.networks.cloned_routers) {
            return CLONED.to_owned();
        }
        let (makers, segment): (&[&str], u32) = match place.kind {
            Kind::Home | Kind::FarmRoom | Kind::Dorm => (&HOME_ROUTERS, 0),
            // An office has a router for each of its segments, and people sit where they sit.
            Kind::Office => (&BUSINESS_ROUTERS, laptop % (self.parameters.fleet.laptops / SEGMENT + 1)),
            Kind::Cafe | Kind::OwnUplink => (&SMALL_ROUTERS, 0),
            _ => (&BUSINESS_ROUTERS, 0),
        };
        format!("{}{:06x}", dice.of("maker").pick(makers), dice.at(segment).below(1 << 24))
    }

    /// What else a laptop hears on the link's network.
    fn neighbours(&self, link: &Link) -> Vec<Neighbour> {
        let place = link.place;
        let dice = self.dice_of(place).of("neighbours");
        let things = dice.of("things").between(2, 9);
        let (steady, companies, passing) = match place.kind {
            Kind::Home => (things, i64::from(self.strangers_at_home(place)), 0),
            Kind::FarmRoom => (things, i64::from(self.others_in(place)), 0),
            Kind::Office | Kind::Bench => (20, 20, 10),
            Kind::Coworking | Kind::Agency => (6, 12, 12),
            Kind::Dorm => (12, 1, 8),
            Kind::Ship => (10, 2, 0),
            Kind::Repair => (4, 6, 3),
            Kind::Hotel => (8, 2, 20),
            Kind::Cafe => (0, 0, 2),
            Kind::OwnUplink | Kind::DataCentre => (0, 0, 0),
        };
        let mut all = Vec::new();
        let mut add = |dice: Dice, count: i64, makers: &dyn Fn(Dice) -> &'static str| {
            all.extend((0..count.cast_unsigned()).map(|n| {
                let mac = format!("{}{:06x}", makers(dice.at(n)), dice.at(n).below(1 << 24));
                let oui = maker(&mac).unwrap_or_default().to_owned();
                Neighbour { id: self.key.hash("mac", &mac), oui }
            }));
        };
        let networks = &self.parameters.networks;
        let radio = |dice: Dice| {
            if dice.of("random").chance(networks.random_addresses) {
                RANDOM
            } else {
                dice.of("radio").pick(&WIFI)
            }
        };
        let docked = |dice: &Dice| dice.of("dock").chance(networks.others_docked);
        let docks = (0..companies.cast_unsigned()).filter(|n| docked(&dice.of("companies").at(*n))).count();
        add(dice.of("steady"), steady, &|dice| dice.of("maker").pick(&THINGS));
        add(dice.of("companies"), companies, &radio);
        add(dice.of("docks"), i64::try_from(docks).unwrap_or(0), &|dice| dice.of("cable").pick(&CABLES));
        add(dice.of("passing").day(link.near), passing, &radio);
        all
    }

    /// Laptops and docks of other companies in a home: flatmates and partners work too.
    fn strangers_at_home(&self, place: Place) -> u32 {
        let dice = self.dice_of(place).of("strangers");
        if place.number >= FLATS {
            return 1 + dice.below(3);
        }
        u32::from(dice.chance(self.parameters.groups.strangers_at_home))
    }
}

/// The first three bytes of an address that its machine has made up.
const RANDOM: &str = "da3f1e";

/// The maker's three bytes of a hardware address; `None` if it is locally administered, as agents have it.
fn maker(mac: &str) -> Option<&str> {
    let first = u8::from_str_radix(mac.get(..2)?, 16).ok()?;
    if first & 2 == 0 { mac.get(..6) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Agents leave out what virtual routers show (VRRP, HSRP, GLBP), so that a twin made of it could not be.
    #[test]
    fn an_address_that_many_routers_show_is_one_that_agents_report() {
        for role in ["00005e0001", "00000c07ac", "00000c9f", "0007b400"] {
            assert!(!CLONED.starts_with(role));
        }
        assert_eq!(maker(CLONED), Some("000c43"));
        assert_eq!(maker(&format!("{RANDOM}000001")), None);
        assert_eq!(maker(CLOUD), None);
    }
}
