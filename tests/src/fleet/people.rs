//! Who there is: households, offices, groups of people who are together for honest reasons, and farms.

use super::dice::{Dice, whole};
use super::laptop::{Group, Laptop, Life, Seat, Told, Trait, Traits};
use super::places::{Kind, Place};
use super::world::{FLATS, World};

/// A day that never comes.
pub const NEVER: i32 = i32::MAX;

/// Everybody's laptop, farms' first.
pub fn settle(world: &World) -> Vec<Laptop> {
    let due = due(world);
    let mut town = Town { world, laptops: Vec::new(), people: 0, households: 0, homes: 0, due };
    town.farms();
    town.groups();
    town.bench();
    while town.has_room() {
        let (region, household) = (town.region(), town.household());
        let home = town.home(region);
        town.person(region, household, home, Group::Alone);
    }
    town.laptops
}

struct Town<'a> {
    world: &'a World,
    laptops: Vec<Laptop>,
    people: u32,
    households: u32,
    homes: u32,
    /// What has to be there at least, and nobody is yet.
    due: Vec<Trait>,
}

impl Town<'_> {
    fn has_room(&self) -> bool {
        self.laptops.len() < self.world.parameters.fleet.laptops as usize
    }

    fn dice(&self) -> Dice {
        self.world.dice.of("person").at(self.people)
    }

    fn region(&self) -> u8 {
        self.world.region_of(self.dice().of("region"))
    }

    fn household(&mut self) -> u32 {
        self.households += 1;
        self.households
    }

    fn home(&mut self, region: u8) -> Place {
        self.homes += 1;
        Place { kind: Kind::Home, number: self.homes, region }
    }

    fn farms(&mut self) {
        for (index, room) in (0u32..).zip(&self.world.farms) {
            for seat in 0..room.farm.laptops {
                let household = self.household();
                let mut life = self.life(room.place.region, household, room.place, Group::Farm);
                life.from = room.comes(seat);
                life.traits = life.traits.only(&OF_FARMS_TOO);
                life.farm = Some(Seat { farm: index, seat });
                self.add(life);
            }
        }
    }

    /// Couples, flats, agencies, dorms, ships: as many as their shares of the fleet say.
    fn groups(&mut self) {
        let groups = self.world.parameters.groups.clone();
        self.homes_of(groups.couples, Group::Couple, 2);
        self.homes_of(groups.threes, Group::Three, 3);
        self.homes_of(groups.flatmates, Group::Flat, 2);
        self.gatherings(groups.agencies, Group::Agency, Kind::Agency, (4, 8));
        self.gatherings(groups.dorms, Group::Dorm, Kind::Dorm, (3, 10));
        self.gatherings(groups.ships, Group::Ship, Kind::Ship, (5, 10));
        self.gatherings(groups.data_centre, Group::DataCentre, Kind::DataCentre, (10, 40));
    }

    fn homes_of(&mut self, share: f64, group: Group, size: u32) {
        let drawn = whole(f64::from(self.world.share(share)) / f64::from(size));
        for _ in 0..drawn.max(self.at_least(share)) {
            let (region, household) = (self.region(), self.household());
            let mut home = self.home(region);
            if group == Group::Flat {
                home.number += FLATS;
            }
            for _ in 0..size {
                // People of one flat are no family.
                let household = if group == Group::Flat { self.household() } else { household };
                self.person(region, household, home, group);
            }
        }
    }

    fn gatherings(&mut self, share: f64, group: Group, kind: Kind, (least, most): (i64, i64)) {
        let mut left = self.world.share(share);
        let groups = self.at_least(share);
        let mut number = 0;
        while left > 0 || number < groups {
            number += 1;
            let region = self.region();
            let place = Place { kind, number, region };
            let size = u32::try_from(self.dice().of("size").between(least, most)).unwrap_or(4);
            // A data centre takes as many as there are.
            let size = if kind == Kind::DataCentre { left.max(2) } else { size };
            left = left.saturating_sub(size);
            for _ in 0..size {
                let household = self.household();
                // Contractors go home at night; interns and crews live where they are.
                let home = if group == Group::Agency { self.home(region) } else { place };
                let mut life = self.life(region, household, home, group);
                if group == Group::Agency {
                    (life.work, life.work_days) = (Some(place), 5);
                }
                self.add(life);
            }
        }
    }

    /// Laptops on IT's bench, which go to people after some days.
    fn bench(&mut self) {
        let fleet = &self.world.parameters.fleet;
        for _ in 0..self.world.parameters.groups.bench.min(fleet.laptops / 25) {
            let (region, household) = (0, self.household());
            let home = self.home(region);
            let mut life = self.life(region, household, home, Group::Bench);
            let dice = self.dice().of("bench");
            life.from = day(dice.of("from").between(0, 4));
            life.moves = life.from + day(dice.of("stays").between(3, 8));
            self.add(life);
        }
    }

    fn person(&mut self, region: u8, household: u32, home: Place, group: Group) {
        let mut life = self.life(region, household, home, group);
        if group == Group::Alone
            && let Some(due) = self.due.pop()
        {
            life.traits.set(due, true);
            life = self.settled(life);
        }
        if life.traits.has(Trait::Reimaged) {
            return self.reimaged(life);
        }
        let dice = self.dice().of("replaced");
        if life.farm.is_none() && dice.chance(month(self.world, self.world.parameters.people.replaced)) {
            let on = day(dice.of("on").between(1, i64::from(self.world.days)));
            let mut old = life;
            old.until = on;
            old.traits.set(Trait::Replaced, true);
            let next = Life { from: on, until: NEVER, ..old };
            self.laptops.push(Laptop { number: self.next(), life: old, told: Told::default() });
            return self.add(next);
        }
        self.add(life);
    }

    /// A laptop that IT sets up anew on some day: its person's until then, another's afterwards, under another id.
    fn reimaged(&mut self, mut first: Life) {
        let on = day(self.dice().of("reimaged on").between(1, i64::from(self.world.days)));
        let number = self.next();
        first.until = on;
        self.add(first);
        let (region, household) = (self.region(), self.household());
        let home = self.home(region);
        let mut next = self.life(region, household, home, Group::Alone);
        next.traits.set(Trait::Reimaged, true);
        (next.from, next.moves, next.hardware) = (on, on + BENCH_DAYS, Some(number));
        self.add(next);
    }

    /// Groups of a kind that has a rate, at least.
    fn at_least(&self, rate: f64) -> u32 {
        if rate > 0.0 { self.world.parameters.fleet.at_least } else { 0 }
    }

    fn add(&mut self, life: Life) {
        self.laptops.push(Laptop { number: self.next(), life, told: Told::default() });
        self.people += 1;
    }

    fn next(&self) -> u32 {
        u32::try_from(self.laptops.len()).unwrap_or(u32::MAX)
    }

    fn life(&self, region: u8, household: u32, home: Place, group: Group) -> Life {
        let (dice, people) = (self.dice(), &self.world.parameters.people);
        let works = dice.of("works").unit();
        let (work, work_days) = if works < people.office {
            (Some(Kind::Office), 5)
        } else if works < people.office + people.hybrid {
            (Some(Kind::Office), u8::from(dice.of("days").chance(people.hybrid_three)) + 2)
        } else if works < people.office + people.hybrid + people.coworking {
            (Some(Kind::Coworking), 4)
        } else {
            (None, 0)
        };
        let stays = matches!(group, Group::Ship | Group::DataCentre | Group::Farm);
        let work = work.filter(|_| !stays).map(|kind| self.workplace(kind, region, dice));
        let traits = self.traits(dice, group);
        self.settled(Life {
            region,
            person: self.people,
            household,
            group,
            home,
            work,
            work_days,
            traits,
            from: 0,
            until: NEVER,
            moves: NEVER,
            meeting: 0,
            farm: None,
            hardware: None,
        })
    }

    /// With what follows from its traits.
    fn settled(&self, life: Life) -> Life {
        let (dice, traits) = (self.dice(), life.traits);
        let mut life = life;
        if traits.has(Trait::Moves) || traits.has(Trait::Reissued) {
            life.moves = day(dice.of("moves on").between(1, i64::from(self.world.days)));
        }
        if traits.has(Trait::Offsite) {
            let meetings = self.world.share(self.world.parameters.groups.offsite) / 40 + 1;
            life.meeting = 1 + dice.of("meeting").below(meetings);
        }
        if traits.has(Trait::AlwaysRemote) {
            (life.work, life.work_days) = (None, 0);
        }
        life
    }

    fn workplace(&self, kind: Kind, region: u8, dice: Dice) -> Place {
        // A shared workspace has some six of ours in a large fleet.
        let spaces = self.world.share(self.world.parameters.people.coworking) / 6 + 1;
        let number = if kind == Kind::Coworking { dice.of("space").below(spaces) } else { 0 };
        Place { kind, number, region }
    }

    fn traits(&self, dice: Dice, group: Group) -> Traits {
        let mut traits = Traits::default();
        for (one, rate) in rates(self.world) {
            let never = match one {
                Trait::Nomad => group != Group::Alone,
                Trait::Reimaged => {
                    !matches!(group, Group::Alone | Group::Couple | Group::Three | Group::Flat)
                }
                _ => group == Group::DataCentre,
            };
            let rate = if never { 0.0 } else { rate };
            traits.set(one, dice.of("trait").at(one as u8).chance(rate));
        }
        traits
    }
}

/// What the laptop of a farm may have as any other: what IT has set up, what its person of record has left, defects.
const OF_FARMS_TOO: [Trait; 8] = [
    Trait::CompanyVpn,
    Trait::Leftover,
    Trait::Developer,
    Trait::Overlay,
    Trait::FastHid,
    Trait::Blind,
    Trait::ClockOff,
    Trait::ClockFar,
];
/// Days for which a laptop is on IT's bench when it is set up anew.
const BENCH_DAYS: i32 = 3;
/// People of one meeting, at least.
const MEETING: u32 = 20;

/// How often each trait is there in the days that the fleet lives.
fn rates(world: &World) -> Vec<(Trait, f64)> {
    let p = &world.parameters;
    let always = [
        (Trait::Docked, p.people.docked),
        (Trait::NightOn, p.people.night_on),
        (Trait::Nomad, p.people.nomads),
        (Trait::CompanyVpn, p.fleet.corporate_vpn),
        (Trait::PersonalVpn, p.networks.personal_vpn),
        (Trait::Leftover, p.tools.leftover),
        (Trait::InUse, p.tools.in_use),
        (Trait::Developer, p.tools.developers),
        (Trait::Overlay, p.tools.overlay),
        (Trait::HonestRemote, p.tools.honest_remote),
        (Trait::MeetingAllDay, p.tools.meeting_all_day),
        (Trait::TwoJobsKvm, p.things.two_jobs_kvm),
        (Trait::HomelabKvm, p.things.homelab_kvm),
        (Trait::FastHid, p.things.fast_hid),
        (Trait::JigglerSoftware, p.things.jiggler_software),
        (Trait::JigglerDongle, p.things.jiggler_dongle),
        (Trait::Bluetooth, p.things.bluetooth),
        (Trait::DummyPlug, p.things.dummy_plug),
        (Trait::Blind, p.agents.blind),
        (Trait::ClockOff, p.agents.clock_off),
        (Trait::ClockFar, p.agents.clock_far),
        (Trait::OfficeDesk, p.people.office_desks),
        (Trait::Shifts, p.people.shifts),
        (Trait::AlwaysRemote, p.tools.always_remote),
        (Trait::SoftwareKvm, p.tools.software_kvm),
    ];
    let in_time = [
        (Trait::FamilyHelp, p.tools.family_help),
        (Trait::Support, p.tools.support),
        (Trait::Offline, p.agents.offline),
        (Trait::Reissued, p.people.reissued),
        (Trait::Reimaged, p.people.reimaged),
        (Trait::Moves, p.people.moves),
        (Trait::Repair, p.groups.repair),
        (Trait::Offsite, p.groups.offsite),
    ];
    let in_time = in_time.map(|(one, rate)| (one, month(world, rate)));
    always.into_iter().chain(in_time).collect()
}

/// A rate of 30 days as one of the days that the fleet lives.
fn month(world: &World, rate: f64) -> f64 {
    (rate * f64::from(world.days) / 30.0).min(1.0)
}

/// People of each kind whom a fleet has at least though it is too small for them: each once, and a meeting's all.
fn due(world: &World) -> Vec<Trait> {
    let at_least = world.parameters.fleet.at_least;
    let laptops = f64::from(world.parameters.fleet.laptops);
    let mut due = Vec::new();
    for (one, rate) in rates(world) {
        let people = at_least * if one == Trait::Offsite { MEETING } else { 1 };
        // Of three times as many there is one in nineteen fleets of twenty.
        if rate > 0.0 && rate * laptops < f64::from(3 * people) {
            due.extend((0..people).map(|_| one));
        }
    }
    due
}

/// A day's number.
fn day(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(NEVER)
}
