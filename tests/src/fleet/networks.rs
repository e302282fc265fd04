//! Connections: the public address that a report comes from, and its round trip.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use super::places::{Kind, Place};
use super::situation::{Link, Vpn};
use super::world::World;

/// What the collector sees of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Observed {
    /// Round trip in milliseconds.
    pub rtt_ms: u32,
    /// Segment size in bytes.
    pub mss: u32,
}

/// How a place gets its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lease {
    /// For weeks.
    Long,
    /// Another one each night.
    Daily,
    /// One that many have.
    Shared,
    /// For ever.
    Fixed,
}

/// Day on which a lease of weeks began is drawn from so many days.
const LONGEST_LEASE: i64 = 120;
/// All addresses of ours lie in 240.0.0.0/4, which is reserved and nobody's: room for every fleet.
const FIRST: u32 = 240 << 24;

impl World {
    /// Provider of a place, among its region's; what moves has one of its own.
    pub fn provider(&self, place: Place) -> u32 {
        let providers = self.parameters.networks.providers;
        match place.kind {
            Kind::Cafe | Kind::OwnUplink => providers,
            Kind::Ship => providers + 1,
            _ => self.dice_of(place).of("provider").below(providers),
        }
    }

    fn lease(&self, place: Place) -> Lease {
        let networks = &self.parameters.networks;
        match place.kind {
            Kind::Office | Kind::Bench | Kind::Hotel | Kind::Coworking => Lease::Fixed,
            Kind::Cafe | Kind::OwnUplink | Kind::Ship => Lease::Shared,
            _ => {
                let drawn = self.dice_of(place).of("lease").unit();
                if drawn < networks.cgn {
                    Lease::Shared
                } else if drawn < networks.cgn + networks.daily_lease {
                    Lease::Daily
                } else {
                    Lease::Long
                }
            }
        }
    }

    /// The public address of a laptop's report on a day.
    pub fn address(&self, link: &Link, vpn: Vpn, laptop: u32, day: i32) -> IpAddr {
        if vpn.company {
            let exit = self.dice.of("exit").at(laptop).below(self.parameters.fleet.vpn_exits);
            return company_exit(exit);
        }
        if vpn.private > 0 {
            return v4(0xf00_0000 + vpn.private);
        }
        let place = link.place;
        let dice = self.dice_of(place).of("address");
        if place.kind == Kind::DataCentre {
            return self.data_centre_address(place.region);
        }
        if place.kind == Kind::Office {
            // People of one office come out of a few addresses.
            return v4(0xe00_0000 + u32::from(place.region) * 8 + laptop % 4);
        }
        let lease = self.lease(place);
        let epoch = match lease {
            Lease::Fixed => 0,
            Lease::Daily | Lease::Shared => day,
            Lease::Long => {
                let period = i32::try_from(dice.of("period").between(20, LONGEST_LEASE)).unwrap_or(60);
                (day + i32::try_from(dice.of("phase").between(0, LONGEST_LEASE)).unwrap_or(0)) / period
            }
        };
        let provider = u32::from(place.region) * 64 + self.provider(place);
        // Homes behind carrier NAT have IPv6 of their own as often as others (DS-Lite); what moves has none here.
        let moves = matches!(place.kind, Kind::Cafe | Kind::OwnUplink | Kind::Ship);
        if !moves
            && self.has_ipv6(place)
            && self.dice.of("v6").at(laptop).day(day).chance(self.parameters.networks.ipv6_days)
        {
            let leased = if lease == Lease::Shared { 0 } else { epoch };
            let prefix = dice.of("v6").day(leased).number() & 0xffff;
            let own = self.dice.of("privacy").at(laptop).day(day).number();
            let high = 0x2001_0db8_0000_0000 | u64::from(provider & 0xff) << 24 | prefix << 8;
            return IpAddr::V6(Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(own)));
        }
        let pool = match lease {
            Lease::Shared => self.parameters.networks.cgn_addresses,
            // Four times as many customers as ours: an address goes to the next one of ours now and then.
            _ => (self.parameters.fleet.laptops / self.parameters.networks.providers * 4).clamp(256, 1 << 17),
        };
        let shared = u32::from(lease == Lease::Shared) << 17;
        v4((provider << 18) + shared + dice.day(epoch).below(pool))
    }

    /// The address that a region's virtual desktops come out of.
    pub fn data_centre_address(&self, region: u8) -> IpAddr {
        v4(0xc00_0000 + self.dice.of("data centre at").at(region).below(1 << 20))
    }

    fn has_ipv6(&self, place: Place) -> bool {
        self.dice_of(place).of("has v6").chance(self.parameters.networks.ipv6)
    }

    /// What the collector sees of the connection.
    pub fn observed(&self, link: &Link, vpn: Vpn, laptop: u32, second: i64) -> Observed {
        let place = link.place;
        let region = self.parameters.region.get(usize::from(place.region)).map_or(30, |region| region.rtt);
        let jitter = self.dice.of("rtt").at(laptop).at(second.cast_unsigned());
        // Exponential queueing on top of a minimum, by the kind of link.
        let (last_mile, mss) = match place.kind {
            Kind::Ship => (560, 1360),
            Kind::Cafe | Kind::OwnUplink => (35, 1400),
            _ if self.dice_of(place).of("pppoe").chance(self.parameters.networks.pppoe) => (8, 1452),
            _ => (6, 1460),
        };
        let queue = super::dice::whole(-8.0 * (1.0 - jitter.unit()).ln());
        let through = if vpn.company { 3 } else { u32::from(vpn.private > 0) * 40 };
        let mss = if vpn.company || vpn.private > 0 { 1380 } else { mss };
        // Through the company's VPN the connection that the collector sees begins at the exit.
        let rtt_ms = if vpn.company { 4 + through } else { region + last_mile + queue + through };
        Observed { rtt_ms, mss }
    }
}

/// An address that the company's VPN comes out of.
pub fn company_exit(exit: u32) -> IpAddr {
    v4(0xd00_0000 + exit)
}

/// The network of the office of a region, as IT would write it down.
pub fn office_network(region: u8) -> String {
    format!("{}/29", v4(0xe00_0000 + u32::from(region) * 8))
}

fn v4(offset: u32) -> IpAddr {
    Ipv4Addr::from_bits(FIRST.wrapping_add(offset)).into()
}
