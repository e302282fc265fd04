//! Farms: one person's room, many people's laptops, operators far away.
//!
//! After the cases in public reports: a facilitator sets each laptop up by hand and then leaves it; operators work on
//! several laptops in turn through software, an IP-KVM or a meeting's remote control; between turns something keeps
//! it awake. What they do against being found is [`Care`].

use farmwatch_shared::facts::SourceKind;

use super::agenda::{self, Diary, Stretch, idle};
use super::dice::Dice;
use super::laptop::{Seat, Trait};
use super::parameters::{Care, Farm, Farms, Style};
use super::people::NEVER;
use super::places::{Kind, Place};
use super::situation::{Kvm, Situation, Use};
use super::tools;
use super::twins;
use super::windows::{Hands, Own};
use super::world::{DAY, World};

/// A farm and what was drawn for it.
#[allow(clippy::struct_excessive_bools, reason = "independent things that are or are not")]
pub struct Room {
    /// What it is like.
    pub farm: Farm,
    /// Where it is.
    pub place: Place,
    /// Its own chance.
    dice: Dice,
    /// Day on which its first laptop comes.
    first: i32,
    /// One account of a remote tool for all.
    one_account: bool,
    /// Each laptop's mains go on and off by a timer of its own.
    timers: bool,
    /// Each laptop has a cellular uplink; else, where the farm is adapted, a travel router with a VPN in it.
    own_line: bool,
    /// All are set up at one desk.
    setup_desk: bool,
    /// One IP-KVM with a switch behind it for four laptops.
    one_kvm: bool,
    /// What its operators come in by, and what becomes of the agent.
    pub ways: Ways,
    /// Day on which it moves house.
    moves: i32,
}

/// What a farm does about programs, devices and the agent; who is not adapted has tools that catalogues name, devices
/// on USB and an agent that runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "independent things that are or are not")]
pub struct Ways {
    /// A remote tool that catalogues name waits on each laptop.
    pub catalogue_tool: bool,
    /// Keyboard and mouse come over a Bluetooth dongle.
    pub bluetooth: bool,
    /// The agent's input sensor is blinded once a laptop is set up.
    pub blinded: bool,
    /// The agent is stopped once a laptop is set up.
    pub stopped: bool,
}

impl Ways {
    fn drawn(dice: Dice, farm: &Farm, farms: &Farms) -> Self {
        let adapted = farm.care == Care::Adapted;
        let by_software = matches!(farm.style, Style::Software | Style::Both);
        let by_kvm = matches!(farm.style, Style::Kvm | Style::Both);
        let agent = dice.of("agent").unit();
        Self {
            catalogue_tool: by_software && (!adapted || dice.of("catalogue").chance(farms.catalogue_tool)),
            bluetooth: by_kvm && adapted && dice.of("bluetooth").chance(farms.bluetooth),
            blinded: adapted && agent < farms.blinded,
            stopped: adapted && (farms.blinded..farms.blinded + farms.stopped).contains(&agent),
        }
    }
}

impl Room {
    /// Day on which a seat's laptop comes.
    pub fn comes(&self, seat: u32) -> i32 {
        if seat == 0 {
            return self.first;
        }
        let joined = i64::from(self.farm.joined.max(1)) - 1;
        self.first + i32::try_from(self.dice.of("comes").at(seat).between(0, joined)).unwrap_or(0)
    }

    /// Power cuts are not seen: batteries, and network and mains are never lost in one second.
    pub fn is_shielded(&self) -> bool {
        self.farm.care == Care::Adapted && !self.timers
    }

    /// How the operators' keyboard and mouse come to a laptop, where they come by hardware.
    fn plugged(&self) -> SourceKind {
        if self.ways.bluetooth { SourceKind::Bluetooth } else { SourceKind::Usb }
    }

    /// Where it is on a day.
    fn stands(&self, day: i32) -> Place {
        let number = if day >= self.moves { self.place.number | MOVED } else { self.place.number };
        Place { number, ..self.place }
    }
}

/// Marks the second house of a farm that moved.
pub const MOVED: u32 = 1 << 20;

/// All farms of a fleet: those that are listed, then those that are drawn.
pub fn rooms(world: &World) -> Vec<Room> {
    let farms = &world.parameters.farms;
    let room = |index: u32, listed: Option<&Farm>| {
        let dice = world.dice.of("farm").at(index);
        let farm = listed.copied().unwrap_or_else(|| drawn(dice, farms));
        let place = Place { kind: Kind::FarmRoom, number: index, region: world.region_of(dice.of("region")) };
        // Some of those that are drawn begin while the fleet is watched.
        let later = listed.is_none() && dice.of("later").chance(farms.later);
        let first = if later { dice.of("first").between(0, i64::from(world.days) / 3) } else { 0 };
        let one_account = farm.care == Care::Careless && dice.of("account").chance(farms.one_account);
        let drawn = listed.is_none();
        let open = drawn && farm.care != Care::Adapted;
        let days = i64::from(world.days);
        let moved = drawn && dice.of("moved").chance(farms.moved * f64::from(world.days) / 30.0);
        let on = i32::try_from(dice.of("moves on").between(1, days)).unwrap_or(NEVER);
        Room {
            farm,
            place,
            dice,
            first: i32::try_from(first).unwrap_or(0),
            one_account,
            timers: farm.care == Care::Adapted && dice.of("timers").chance(farms.timers),
            own_line: dice.of("own line").chance(farms.own_line),
            setup_desk: open && dice.of("set up").chance(farms.setup_desk),
            one_kvm: open && dice.of("one kvm").chance(farms.one_kvm),
            ways: Ways::drawn(dice, &farm, farms),
            moves: if moved { on } else { NEVER },
        }
    };
    let listed = (0u32..).zip(&world.parameters.farm).map(|(index, farm)| room(index, Some(farm)));
    let mut all: Vec<Room> = listed.collect();
    let known = u32::try_from(all.len()).unwrap_or(0);
    all.extend((known..known + farms.drawn).map(|index| room(index, None)));
    all
}

fn drawn(dice: Dice, farms: &Farms) -> Farm {
    let laptops = match choice(dice.of("size"), &[farms.one, farms.two, farms.few, farms.many]) {
        0 => 1,
        1 => 2,
        2 => u32::try_from(dice.of("few").between(3, 10)).unwrap_or(3),
        _ => 30,
    };
    let styles = [Style::Software, Style::Kvm, Style::Both, Style::Meeting];
    let cares = [Care::Careless, Care::Careful, Care::Adapted];
    let style = choice(dice.of("style"), &[farms.software, farms.kvm, farms.both, farms.meeting]);
    let care = cares[choice(dice.of("care"), &[farms.careless, farms.careful, farms.adapted])];
    let others = dice.of("others");
    Farm {
        laptops,
        style: styles[style],
        joined: (laptops / 2).min(6),
        care,
        daily_touch: care == Care::Adapted || dice.of("touch").chance(farms.daily_touch),
        others: if others.chance(farms.with_others) { 3 + others.of("many").below(60) } else { 0 },
    }
}

fn choice(dice: Dice, weights: &[f64]) -> usize {
    let mut left = dice.unit() * weights.iter().sum::<f64>();
    for (index, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return index;
        }
    }
    0
}

/// Writes a farm laptop's day.
pub fn day(diary: &mut Diary<'_>, seat: Seat) {
    let room = &diary.world.farms[seat.farm as usize];
    let place = match room.farm.care {
        Care::Adapted => Place { kind: Kind::OwnUplink, number: diary.laptop.number, ..room.place },
        _ => room.stands(diary.day),
    };
    if room.ways.stopped && diary.day > diary.laptop.life.from {
        return;
    }
    let now = equipped(diary, room, place, seat);
    if diary.day == diary.laptop.life.from {
        return first_day(diary, room, seat, &now);
    }
    let written = diary.all.len();
    working_day(diary, room, seat, &now);
    if room.timers {
        let charge = room.dice.of("timer").at(seat.seat);
        charge_by_timer(&mut diary.all, written, diary.midnight, charge);
    }
}

/// Turns of operators, or a weekend on the shelf.
fn working_day(diary: &mut Diary<'_>, room: &Room, seat: Seat, now: &Situation) {
    let now = *now;
    let today = room.dice.of("day").day(diary.day);
    if diary.world.is_weekend(diary.day) && !today.of("weekend").chance(diary.world.parameters.farms.weekend)
    {
        touch(diary, room, seat, &now);
        diary.add(0, DAY, idle(now), Hands::Nobody);
        return;
    }
    touch(diary, room, seat, &now);
    let start = 9 * 3600 + today.of("start").between(-3600, 3600);
    let end = start + today.of("end").between(36_000, 46_800);
    let jobs = u32::try_from(jobs(diary.world, room)).unwrap_or(1);
    // One operator's laptops follow each other; another operator's have turns of their own.
    let operator = today.of("operator").at(seat.seat / jobs);
    diary.add(0, start, idle(now), Hands::Nobody);
    let mut from = start + operator.between(0, 1800);
    for number in 0u32.. {
        if from >= end {
            break;
        }
        let until = (from + operator.at(number).of("turn").between(1800, 5400)).min(end);
        if number % jobs == seat.seat % jobs {
            diary.add(from, until, operated(room, &now), hands(room));
        } else {
            diary.add(from, until, idle(now), between_turns(room, &diary.world.parameters.farms));
        }
        from = until;
    }
    diary.add(end, DAY, idle(now), Hands::Nobody);
}

/// Laptops that one operator works on in turn, other companies' among them.
fn jobs(world: &World, room: &Room) -> i64 {
    let jobs = i64::from(world.parameters.farms.jobs);
    let all = i64::from(room.farm.laptops + room.farm.others);
    jobs.min(all).max(1)
}

/// The facilitator unpacks it, logs in, installs what is needed, and leaves.
fn first_day(diary: &mut Diary<'_>, room: &Room, seat: Seat, now: &Situation) {
    let life = diary.laptop.life;
    let unpacked = Situation {
        tools: agenda::at(diary.world, diary.laptop, room.stands(diary.day), diary.day).tools,
        ..*now
    };
    let from = 36_000 + i64::from(seat.seat % 20) * 900;
    let mut own = unpacked;
    (own.desk.kvm, own.never_sleeps) = (None, false);
    own.blind = life.traits.has(Trait::Blind);
    if !own.vpn.in_router {
        own.vpn.private = 0;
    }
    if room.setup_desk {
        let thing = SETUP_DESKS + seat.farm;
        (own.desk.dock, own.desk.screen, own.desk.usb_input) = (thing, thing, thing);
    }
    twins::listen(&mut own, diary.day);
    diary.add(from, from + 2700, own, agenda::hands(&own, &life));
    diary.add(from + 3000, from + 10_800, operated(room, now), hands(room));
    diary.add(from + 10_800, DAY, idle(*now), Hands::Nobody);
}

/// A touch of each keyboard in turn, two minutes apart; an adapted farm carries a laptop out now and then.
fn touch(diary: &mut Diary<'_>, room: &Room, seat: Seat, now: &Situation) {
    let (day, number) = (diary.day, diary.laptop.number);
    let trip = room.dice.of("carried").at(number).day(day);
    if room.farm.care == Care::Adapted && trip.chance(diary.world.parameters.farms.carried) {
        let place =
            Place { kind: Kind::Cafe, number: trip.of("café").below(400), region: room.place.region };
        let mut out = *now;
        out.link = Some(diary.world.link(place, day, false));
        if out.vpn.in_router {
            (out.vpn.private, out.vpn.in_router) = (0, false);
        }
        (out.mains, out.lid_closed, out.desk.kvm) = (false, false, None);
        twins::listen(&mut out, day);
        diary.add(0, 20_000, idle(*now), Hands::Nobody);
        diary.add(22_000, 24_000, out, Hands::Own(Own::BuiltIn));
        return;
    }
    if room.farm.daily_touch {
        let from = room.dice.of("round").day(day).between(24_000, 28_000) + i64::from(seat.seat) * 120;
        diary.add(0, from, idle(*now), Hands::Nobody);
        diary.add(from, from + 100, *now, Hands::Touch);
    }
}

/// What stands on the shelf.
fn equipped(diary: &Diary<'_>, room: &Room, place: Place, seat: Seat) -> Situation {
    let (world, laptop, dice) = (diary.world, diary.laptop, room.dice);
    let rates = &world.parameters.farms;
    let mut now = diary.at(place);
    (now.mains, now.never_sleeps) = (true, true);
    now.lid_closed = dice.of("lid").chance(rates.lid_closed);
    now.blind |= room.ways.blinded;
    let own = dice.of("seat").at(seat.seat);
    let account = if room.one_account { 1 + seat.farm } else { 3_000_000 + laptop.number };
    let remote = match room.farm.care {
        Care::Careless => {
            dice.of("tool").pick(&[tools::ANYDESK, tools::TEAMVIEWER, tools::CHROME, tools::RUSTDESK])
        }
        _ => own.of("tool").pick(&[tools::CHROME, tools::RUSTDESK, tools::SPLASHTOP]),
    };
    match room.farm.style {
        Style::Software | Style::Both if room.ways.catalogue_tool => {
            now.set_tool(remote, Use::Serving, account);
        }
        Style::Meeting => now.set_tool(tools::ZOOM, Use::Running, 0),
        _ => {}
    }
    if matches!(room.farm.style, Style::Kvm | Style::Both) {
        let kvm = match room.farm.care {
            Care::Careless => Kvm::Default,
            Care::Careful => Kvm::Disguised,
            Care::Adapted if room.ways.bluetooth => Kvm::Bluetooth,
            Care::Adapted => Kvm::Adapted,
        };
        let unit =
            if room.one_kvm { 5_000_000 + seat.farm * 64 + seat.seat / 4 } else { 4_000_000 + laptop.number };
        now.desk.kvm = Some((kvm, unit));
    }
    let exit = |days: i32| {
        1 + own.of("exit").day(diary.day.div_euclid(days)).below(world.parameters.networks.personal_vpn_exits)
    };
    match room.farm.care {
        Care::Careless if dice.of("astrill").chance(rates.astrill) => {
            now.set_tool(tools::ASTRILL, Use::Running, 0);
            now.vpn.private = exit(NEVER_CHANGES);
        }
        Care::Careful if own.of("vpn").chance(rates.private_vpn) => {
            now.set_tool(tools::NORDVPN, Use::Running, 0);
            now.vpn.private = exit(7);
        }
        Care::Adapted if !room.own_line => {
            (now.vpn.private, now.vpn.in_router) = (exit(NEVER_CHANGES), true);
        }
        _ => {}
    }
    if has_jiggler(room, rates) {
        now.set_tool(dice.of("which").pick(&[tools::JIGGLER, tools::CAFFEINE]), Use::Running, 0);
    }
    twins::listen(&mut now, diary.day);
    now
}

/// More days than any fleet lives.
const NEVER_CHANGES: i32 = 100_000;
/// Numbers of the docks and screens at which farms set laptops up.
const SETUP_DESKS: u32 = 3 << 24;

/// Mains in six hours of each twelve, by a clock of the laptop's own: what is written from an index on is cut there.
fn charge_by_timer(all: &mut Vec<Stretch>, written: usize, midnight: i64, dice: Dice) {
    const HALF: i64 = 6 * 3600;
    let phase = midnight + dice.between(0, 2 * HALF - 1);
    let day = all.split_off(written);
    for stretch in day {
        let mut from = stretch.from;
        while from < stretch.until {
            let half = (from - phase).div_euclid(HALF);
            let until = (phase + (half + 1) * HALF).min(stretch.until);
            let mains = stretch.now.mains && half.rem_euclid(2) == 0;
            all.push(Stretch { from, until, now: Situation { mains, ..stretch.now }, ..stretch });
            from = until;
        }
    }
}

/// What is the case while an operator works.
fn operated(room: &Room, now: &Situation) -> Situation {
    let mut now = *now;
    if room.farm.style != Style::Kvm {
        let waits = |t: &&mut super::situation::Tool| {
            t.entry != tools::SUPPORT && (t.use_ == Use::Serving || t.entry == tools::ZOOM)
        };
        now.tools.iter_mut().filter(waits).for_each(|t| t.use_ = Use::Session);
    }
    now
}

fn hands(room: &Room) -> Hands {
    let adapted = room.farm.care == Care::Adapted;
    match room.farm.style {
        Style::Software | Style::Meeting => Hands::Software,
        Style::Kvm | Style::Both => Hands::Kvm { by: room.plugged(), absolute: !adapted, adapted },
    }
}

/// What keeps a laptop awake between an operator's turns.
fn between_turns(room: &Room, farms: &Farms) -> Hands {
    let software = matches!(room.farm.style, Style::Software | Style::Meeting);
    match room.farm.care {
        Care::Careless if !has_jiggler(room, farms) => Hands::Nobody,
        care => Hands::Jiggler { by: (!software).then(|| room.plugged()), periodic: care != Care::Adapted },
    }
}

/// A program keeps a careless farm's laptops awake; others have something of their own.
fn has_jiggler(room: &Room, farms: &Farms) -> bool {
    room.farm.care == Care::Careless && room.dice.of("jiggler").chance(farms.jiggler)
}
