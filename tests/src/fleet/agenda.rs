//! An ordinary person's day: where, when, with which hands.

use super::dice::Dice;
use super::laptop::{Group, Laptop, Life, Trait};
use super::places::{Kind, Place};
use super::situation::{Desk, Situation, TOOLS, Tool, Use, Vpn};
use super::windows::{Hands, Own};
use super::world::{DAY, World};
use super::{farms, tools, twins};

/// How much later a late shift begins.
const LATE: i64 = 5 * 3600;

/// Some time in which nothing changes at a laptop that is awake.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// First second, since 1970.
    pub from: i64,
    /// First second after it.
    pub until: i64,
    /// What is the case.
    pub now: Situation,
    /// Whose hands are on it.
    pub hands: Hands,
}

/// A laptop's day, in order and without overlap; gaps are sleep.
pub fn day(world: &World, laptop: &Laptop, day: i32) -> Vec<Stretch> {
    let life = &laptop.life;
    if day < life.from || day >= life.until {
        return Vec::new();
    }
    let mut diary = Diary { world, laptop, day, midnight: world.midnight(life.region, day), all: Vec::new() };
    match (life.farm, life.group) {
        (Some(seat), _) => farms::day(&mut diary, seat),
        _ if twins::is_elsewhere(&mut diary) => {}
        _ => person(&mut diary),
    }
    let mut all = diary.all;
    twins::lose_network(world, laptop, day, &mut all);
    strike(world, day, life, all)
}

/// A day as it is written.
pub struct Diary<'a> {
    /// Everything.
    pub world: &'a World,
    /// Whose.
    pub laptop: &'a Laptop,
    /// Which.
    pub day: i32,
    /// Its first second where its person lives.
    pub midnight: i64,
    /// What was written.
    pub all: Vec<Stretch>,
}

impl Diary<'_> {
    /// The person's chance today.
    pub fn dice(&self) -> Dice {
        self.world.dice.of("today").at(self.laptop.life.person).day(self.day)
    }

    /// Adds a stretch, in seconds of the day; one that would begin before the last one's end begins there.
    pub fn add(&mut self, from: i64, until: i64, now: Situation, hands: Hands) {
        let last = self.all.last().map_or(i64::MIN, |last| last.until);
        let from = (self.midnight + from).max(last);
        let until = self.midnight + until;
        if from < until {
            self.all.push(Stretch { from, until, now, hands });
        }
    }

    /// What is the case at a place.
    pub fn at(&self, place: Place) -> Situation {
        at(self.world, self.laptop, place, self.day)
    }
}

/// A day that is lived as most are.
fn person(diary: &mut Diary<'_>) {
    let (world, life, day) = (diary.world, diary.laptop.life, diary.day);
    let (dice, people) = (diary.dice(), &world.parameters.people);
    let week = world.dice.of("vacation").at(life.household).day(day.div_euclid(7));
    if week.chance(people.vacation) {
        return;
    }
    let home = home(world, &life, day);
    if world.is_weekend(day) {
        if dice.of("weekend").chance(people.weekend) {
            let from = dice.of("at").between(9 * 3600, 20 * 3600);
            let now = diary.at(home);
            diary.add(from, from + dice.of("long").between(2400, 7200), now, hands(&now, &life));
        }
        return;
    }
    let place = workplace(world, &life, day, home);
    let habit = world.dice.of("habit").at(life.person);
    let shift = if life.traits.has(Trait::Shifts) { LATE } else { 0 };
    let start = 8 * 3600 + shift + habit.between(-2400, 5400) + dice.of("start").between(-1200, 1200);
    let end = start + dice.of("end").between(7 * 3600, 34_000);
    let lunch = start + dice.of("lunch").between(12_600, 16_200);
    let back = lunch + dice.of("back").between(1800, 4200);
    let (now, at_home) = (diary.at(place), diary.at(home));
    let on = life.traits.has(Trait::NightOn) && place == home;
    if on {
        diary.add(0, start, idle(at_home), Hands::Nobody);
    }
    let own = hands(&now, &life);
    diary.add(start, lunch, now, own);
    diary.add(lunch, back, idle(now), Hands::Nobody);
    if dice.of("café").chance(people.cafe) {
        let cafe = Place { kind: Kind::Cafe, number: dice.of("which").below(400), region: life.region };
        let there = diary.at(cafe);
        diary.add(back + 1200, back + 8400, there, hands(&there, &life));
        diary.add(back + 9600, end, now, own);
    } else {
        diary.add(back, end, now, own);
    }
    if on {
        diary.add(end, DAY, idle(at_home), Hands::Nobody);
    } else if dice.of("evening").chance(people.evening) {
        let from = (end + 5400).max(19 * 3600) + dice.of("late").between(0, 5400);
        let away = if place.kind == Kind::Hotel { now } else { at_home };
        diary.add(from, (from + dice.of("read").between(900, 2700)).min(DAY - 60), away, hands(&away, &life));
    }
    twins::touch_up(diary);
}

/// Where a person lives on a day.
pub fn home(world: &World, life: &Life, day: i32) -> Place {
    if life.traits.has(Trait::Nomad) {
        let stay = world.dice.of("stay").at(life.person).day(day.div_euclid(9));
        let kind =
            if stay.chance(world.parameters.people.nomads_in_hotels) { Kind::Hotel } else { Kind::Home };
        let number = if kind == Kind::Hotel {
            stay.of("hotel").below(40)
        } else {
            1 << 29 | stay.of("let").below(1 << 20)
        };
        return Place { kind, number, region: world.region_of(stay.of("region")) };
    }
    if day >= life.moves && life.group != Group::Bench {
        return Place { number: 1 << 28 | life.person, ..life.home };
    }
    life.home
}

/// Where a person works on a day.
fn workplace(world: &World, life: &Life, day: i32, home: Place) -> Place {
    // Trips take two days.
    let trip = world.dice.of("trip").at(life.person).day(day.div_euclid(2));
    if life.group != Group::Ship && trip.chance(world.parameters.people.trips) {
        let number = trip.of("hotel").below(40);
        return Place { kind: Kind::Hotel, number, region: world.region_of(trip.of("region")) };
    }
    let goes = world.dice.of("goes").at(life.person).day(day).chance(f64::from(life.work_days) / 5.0);
    life.work.filter(|_| goes).unwrap_or(home)
}

/// A locked laptop that nobody is at.
pub fn idle(now: Situation) -> Situation {
    Situation { locked: true, ..now }
}

/// What is the case at a laptop that its person has opened at a place.
pub fn at(world: &World, laptop: &Laptop, place: Place, day: i32) -> Situation {
    let (life, number) = (&laptop.life, laptop.number);
    let (traits, parameters) = (life.traits, &world.parameters);
    let today = world.dice.of("laptop").at(number).day(day);
    let desk = desk(world, laptop, place, day);
    let docked = desk.dock > 0;
    let mut now = Situation {
        link: Some(world.link(place, day, docked)),
        vpn: Vpn::default(),
        desk,
        tools: [Tool::default(); TOOLS],
        mains: docked || today.of("mains").chance(parameters.people.mains),
        lid_closed: docked && traits.has(Trait::Docked),
        never_sleeps: traits.has(Trait::NightOn),
        locked: false,
        remote_session: false,
        booted: day - (day + i32::try_from(number % 7).unwrap_or(0)).rem_euclid(7),
        blind: traits.has(Trait::Blind),
    };
    now.vpn.company = world.always_on_vpn || (traits.has(Trait::CompanyVpn) && place.kind != Kind::Office);
    now.vpn.overlay = traits.has(Trait::Overlay);
    if world.dice.of("it tool").at(number).chance(parameters.tools.it_tool) {
        now.set_tool(tools::SUPPORT, Use::Serving, 1);
    }
    if world.dice.of("teams").at(number).chance(parameters.tools.teams) {
        now.set_tool(tools::TEAMS, Use::Installed, 0);
    }
    twins::programs(world, laptop, day, &mut now);
    twins::listen(&mut now, day);
    now
}

/// What is plugged in at a place.
fn desk(world: &World, laptop: &Laptop, place: Place, day: i32) -> Desk {
    let (life, traits) = (&laptop.life, laptop.life.traits);
    let own = world.dice.of("desk").at(life.person);
    let mut desk = Desk { bluetooth: u32::from(traits.has(Trait::Bluetooth)), ..Desk::default() };
    match place.kind {
        // What is in a drawer has no desk.
        Kind::Home if traits.has(Trait::AlwaysRemote) => desk.bluetooth = 0,
        Kind::FarmRoom | Kind::OwnUplink => desk.fast_hid = webcam(life),
        Kind::Home | Kind::Dorm => {
            let shares = matches!(life.group, Group::Couple | Group::Flat)
                && world.dice_of(life.home).of("shares").chance(world.parameters.things.shared_dock);
            if shares {
                // One desk for two: theirs in turn.
                let turn = (day + i32::try_from(laptop.number % 2).unwrap_or(0)).rem_euclid(2) == 0;
                if turn {
                    (desk.dock, desk.screen) = (1 + life.home.number * 2, 1 + life.home.number * 2);
                    desk.usb_input = desk.dock;
                }
            } else if traits.has(Trait::Docked) || own.chance(world.parameters.people.home_desks) {
                let thing = (1 << 20) + laptop.life.person;
                (desk.dock, desk.screen, desk.usb_input) = (thing, thing, thing);
            }
            desk.fast_hid = webcam(life);
        }
        Kind::Office | Kind::Coworking | Kind::Agency if traits.has(Trait::OfficeDesk) => {
            let desks = world.parameters.fleet.laptops / 3 + 1;
            let which = world.dice.of("hot desk").at(laptop.number).day(day).below(desks);
            let thing = (2 << 20) + (place.number % 64 * 64 + u32::from(place.region)) * 4096 + which;
            (desk.dock, desk.screen, desk.usb_input) = (thing, thing, thing);
        }
        _ => {}
    }
    desk
}

/// The number of a person's webcam; 0 for who has none.
fn webcam(life: &Life) -> u32 {
    if life.traits.has(Trait::FastHid) { 1 + life.person } else { 0 }
}

/// A person's own hands at what is plugged in.
pub fn hands(now: &Situation, life: &Life) -> Hands {
    Hands::Own(match (now.lid_closed, now.desk.usb_input > 0) {
        (true, _) => Own::Usb,
        (false, true) => Own::Mixed,
        (false, false) if life.traits.has(Trait::Bluetooth) => Own::Bluetooth,
        (false, false) => Own::BuiltIn,
    })
}

/// Cuts stretches where power or network went.
fn strike(world: &World, day: i32, life: &Life, all: Vec<Stretch>) -> Vec<Stretch> {
    let mut out = Vec::with_capacity(all.len());
    for mut stretch in all {
        let place = stretch.now.link.map(|link| link.place);
        let room = life.farm.map(|seat| &world.farms[seat.farm as usize]);
        let outages = match (place, room) {
            (Some(_), Some(room)) if room.is_shielded() => Vec::new(),
            // A battery keeps a cellular router; what goes is the mains of the room.
            (Some(place), Some(room)) if place.kind == Kind::OwnUplink => {
                world.outages(room.place, day, world.midnight(place.region, day))
            }
            (Some(place), _) => world.outages(place, day, world.midnight(place.region, day)),
            _ => Vec::new(),
        };
        let keeps_network = place.is_some_and(|place| place.kind == Kind::OwnUplink);
        for outage in outages {
            if outage.from <= stretch.from || outage.from >= stretch.until {
                continue;
            }
            if keeps_network && !(outage.power && stretch.now.mains) {
                continue;
            }
            out.push(Stretch { until: outage.from, ..stretch });
            // A router needs a while to come back.
            let link = stretch.now.link.filter(|_| keeps_network);
            let dark = Situation { link, mains: stretch.now.mains && !outage.power, ..stretch.now };
            let back = (outage.until + if outage.power { 90 } else { 5 }).min(stretch.until);
            out.push(Stretch { from: outage.from, until: back, now: dark, hands: stretch.hands });
            stretch.from = back;
        }
        if stretch.from < stretch.until {
            out.push(stretch);
        }
    }
    out
}
