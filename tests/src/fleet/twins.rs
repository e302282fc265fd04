//! Innocent twins: what looks like a farm and is none.

use farmwatch_shared::facts::SourceKind;

use super::agenda::{self, Diary, Stretch, idle};
use super::laptop::{Group, Laptop, Trait};
use super::places::{Kind, Place};
use super::situation::{Kvm, Situation, Use, Vpn};
use super::tools;
use super::windows::Hands;
use super::world::{DAY, World};

/// Writes the day of a laptop that is not with its person: on IT's bench, in a repair shop, on a ship, at a meeting.
pub fn is_elsewhere(diary: &mut Diary<'_>) -> bool {
    let life = diary.laptop.life;
    if life.group == Group::Bench && diary.day < life.moves {
        bench(diary);
        return true;
    }
    let through_its_hands = life.traits.has(Trait::Reissued) || life.hardware.is_some();
    if through_its_hands && (life.moves - 5..life.moves).contains(&diary.day) {
        bench(diary);
        return true;
    }
    if life.group == Group::DataCentre {
        virtual_desktop(diary);
        return true;
    }
    if life.traits.has(Trait::AlwaysRemote) {
        drawer(diary);
        return true;
    }
    if life.traits.has(Trait::Repair) && in_week(diary, "repair", 7) {
        repair(diary);
        return true;
    }
    if life.group == Group::Ship {
        ship(diary);
        return true;
    }
    if life.meeting > 0 && meets(diary) {
        meeting(diary);
        return true;
    }
    false
}

/// Within some days that begin on a day drawn for this laptop.
fn in_week(diary: &Diary<'_>, what: &str, days: i32) -> bool {
    let dice = diary.world.dice.of(what).at(diary.laptop.number);
    let from = i32::try_from(dice.between(0, i64::from(diary.world.days))).unwrap_or(0);
    (from..from + days).contains(&diary.day)
}

/// Forty laptops on one network, set up by IT through its own tool and one switch.
fn bench(diary: &mut Diary<'_>) {
    let mut now = diary.at(Place { kind: Kind::Bench, number: 0, region: 0 });
    (now.mains, now.never_sleeps) = (true, true);
    now.desk.kvm = diary.laptop.number.is_multiple_of(8).then_some((Kvm::Switch, diary.laptop.number / 8));
    diary.add(0, 32_400, idle(now), Hands::Nobody);
    let turn = 32_400 + i64::from(diary.laptop.number % 20) * 1200;
    diary.add(32_400, turn, idle(now), Hands::Nobody);
    let mut supported = now;
    supported.set_tool(tools::SUPPORT, Use::Session, 1);
    diary.add(turn, turn + 900, supported, Hands::Software);
    diary.add(turn + 900, turn + 1200, now, Hands::Touch);
    diary.add(turn + 1200, DAY, idle(now), Hands::Nobody);
}

/// A week in a shop, awake for an hour a day.
fn repair(diary: &mut Diary<'_>) {
    let life = diary.laptop.life;
    let number = diary.world.dice.of("shop").at(life.person).below(3);
    let mut now = diary.at(Place { kind: Kind::Repair, number, region: life.region });
    (now.mains, now.vpn.company) = (true, diary.world.always_on_vpn);
    now.desk.kvm = Some((Kvm::Switch, number));
    let from = diary.dice().of("shop").between(36_000, 57_600);
    diary.add(from, from + 3600, now, Hands::Kvm { by: SourceKind::Usb, absolute: false, adapted: true });
}

/// Work at sea: an hour of satellite twice a day.
fn ship(diary: &mut Diary<'_>) {
    let life = diary.laptop.life;
    let now = diary.at(life.home);
    let at_sea = Situation { link: None, ..now };
    let own = agenda::hands(&now, &life);
    let watch = 6 * 3600 + i64::from(life.person % 3) * 4 * 3600;
    let sky = diary.world.dice_of(life.home).of("sky").day(diary.day).between(0, 5400);
    diary.add(watch, watch + 5400, at_sea, own);
    diary.add(watch + 5400 + sky, watch + 9000 + sky, now, own);
    diary.add(watch + 9000 + sky, watch + 16_200, at_sea, own);
}

/// A laptop in a drawer, or in a closet with a server: its person works on it every day, from another machine.
fn drawer(diary: &mut Diary<'_>) {
    let (world, life) = (diary.world, diary.laptop.life);
    let mut now = diary.at(agenda::home(world, &life, diary.day));
    (now.mains, now.lid_closed, now.never_sleeps) = (true, true, true);
    if diary.dice().of("opened").chance(world.parameters.tools.drawer_opened) {
        diary.add(0, 27_000, idle(now), Hands::Nobody);
        diary.add(27_000, 27_060, Situation { lid_closed: false, ..now }, Hands::Touch);
    }
    worked_on_from_elsewhere(diary, now);
}

/// A virtual desktop: never anything but sessions from elsewhere.
fn virtual_desktop(diary: &mut Diary<'_>) {
    let mut now = diary.at(diary.laptop.life.home);
    (now.mains, now.never_sleeps, now.vpn) = (true, true, Vpn::default());
    now.link = Some(diary.world.link(diary.laptop.life.home, diary.day, true));
    now.set_tool(tools::WINDOWS_REMOTE, Use::Serving, 0);
    worked_on_from_elsewhere(diary, now);
}

/// A day of work through what waits for its person, and the night.
fn worked_on_from_elsewhere(diary: &mut Diary<'_>, now: Situation) {
    let (world, person) = (diary.world, diary.laptop.life.person);
    let mut worked = through(&now, Use::Session);
    worked.remote_session = now.tools.iter().any(|tool| tool.entry == tools::WINDOWS_REMOTE);
    let (dice, people) = (diary.dice(), &world.parameters.people);
    let off = world.dice.of("vacation").at(diary.laptop.life.household).day(diary.day.div_euclid(7));
    let start = 8 * 3600 + world.dice.of("habit").at(person).between(-2400, 5400);
    let start = start + dice.of("start").between(-1200, 1200);
    if off.chance(people.vacation) {
        // The laptop stays on.
    } else if world.is_weekend(diary.day) {
        if dice.of("weekend").chance(people.weekend) {
            diary.add(0, start + 7200, idle(now), Hands::Nobody);
            diary.add(start + 7200, start + 10_800, worked, Hands::Software);
        }
    } else {
        let lunch = start + dice.of("lunch").between(12_600, 16_200);
        let back = lunch + dice.of("back").between(1800, 4200);
        diary.add(0, start, idle(now), Hands::Nobody);
        diary.add(start, lunch, worked, Hands::Software);
        diary.add(lunch, back, idle(now), Hands::Nobody);
        diary.add(back, start + dice.of("end").between(7 * 3600, 34_000), worked, Hands::Software);
    }
    diary.add(0, DAY, idle(now), Hands::Nobody);
}

/// With what waits for a far end, IT's own tool excepted, in some other use.
fn through(now: &Situation, to: Use) -> Situation {
    let mut now = *now;
    let waits = now.tools.iter_mut().filter(|t| t.use_ == Use::Serving && t.entry != tools::SUPPORT);
    waits.for_each(|t| t.use_ = to);
    now
}

fn meets(diary: &Diary<'_>) -> bool {
    let dice = diary.world.dice.of("offsite").at(diary.laptop.life.meeting);
    let last = i64::from(diary.world.days - 3).max(0);
    let from = i32::try_from(dice.between(0, last)).unwrap_or(0);
    (from..from + 3).contains(&diary.day)
}

/// Twenty to sixty people of ours in one hotel.
fn meeting(diary: &mut Diary<'_>) {
    let life = diary.laptop.life;
    let number = 10_000 + life.meeting;
    let region = diary.world.region_of(diary.world.dice.of("offsite at").at(life.meeting));
    let now = diary.at(Place { kind: Kind::Hotel, number, region });
    let own = agenda::hands(&now, &life);
    let start = 30_600 + diary.dice().of("meets").between(0, 1800);
    diary.add(start, start + 7200, now, own);
    diary.add(start + 12_600, start + 23_400, now, own);
    diary.add(start + 43_200, start + 45_000, now, own);
}

/// Programs and tunnels that a person has, today.
pub fn programs(world: &World, laptop: &Laptop, day: i32, now: &mut Situation) {
    let traits = laptop.life.traits;
    let (person, home) = (world.dice.of("programs").at(laptop.life.person), now.link.map(|l| l.place.kind));
    let today = person.day(day);
    if traits.has(Trait::Leftover) {
        now.set_tool(tools::TEAMVIEWER, Use::Installed, 0);
    }
    let account = 1000 + laptop.life.person;
    if traits.has(Trait::InUse) || traits.has(Trait::HonestRemote) {
        let tool =
            person.of("tool").pick(&[tools::CHROME, tools::ANYDESK, tools::RUSTDESK, tools::SPLASHTOP]);
        now.set_tool(tool, Use::Serving, account);
    }
    if traits.has(Trait::AlwaysRemote) {
        let tool = person.of("far tool").pick(&[
            tools::WINDOWS_REMOTE,
            tools::CHROME,
            tools::ANYDESK,
            tools::RUSTDESK,
            tools::SPLASHTOP,
        ]);
        now.set_tool(tool, Use::Serving, account);
    }
    if traits.has(Trait::SoftwareKvm) {
        now.set_tool(tools::SYNERGY, Use::Running, 0);
    }
    let rates = &world.parameters;
    if traits.has(Trait::Developer) && today.of("codes").chance(rates.tools.developer_days) {
        now.set_tool(person.of("tunnel").pick(&[tools::EDITOR_TUNNEL, tools::NGROK]), Use::Running, account);
    }
    if traits.has(Trait::Overlay) {
        now.set_tool(tools::TAILSCALE, Use::Running, account);
    }
    if traits.has(Trait::PersonalVpn) {
        let tool = person.of("vpn").pick(&[tools::NORDVPN, tools::MULLVAD]);
        let on = today.of("hides").chance(rates.networks.personal_vpn_days);
        now.set_tool(tool, if on { Use::Running } else { Use::Installed }, 0);
        if on {
            now.vpn.private = 1 + today.of("exit").below(rates.networks.personal_vpn_exits);
        }
    }
    if traits.has(Trait::JigglerSoftware) {
        let tool = person.of("jiggler").pick(&[tools::JIGGLER, tools::CAFFEINE]);
        now.set_tool(tool, Use::Running, 0);
    }
    if traits.has(Trait::MeetingAllDay) {
        now.set_tool(tools::ZOOM, Use::Running, 0);
    }
    if home == Some(Kind::Home) {
        now.desk.jiggler = traits.has(Trait::JigglerDongle);
        now.desk.dummy_plug = traits.has(Trait::DummyPlug);
        if traits.has(Trait::TwoJobsKvm) {
            let with_network = person.of("kvm").chance(rates.things.two_jobs_ip);
            let kvm = if with_network {
                person.of("which").pick(&[Kvm::Default, Kvm::Disguised])
            } else {
                Kvm::Switch
            };
            now.desk.kvm = Some((kvm, 1 + laptop.life.person));
        } else if traits.has(Trait::HomelabKvm) && today.of("homelab").chance(rates.things.homelab_days) {
            now.desk.kvm = Some((Kvm::Default, 1 + laptop.life.person));
        }
    }
}

/// Lets a laptop whose agent says more say who else is on the network.
pub fn listen(now: &mut Situation, day: i32) {
    let more = now.says_more();
    if let Some(link) = &mut now.link {
        let steady = matches!(
            link.place.kind,
            Kind::Home | Kind::FarmRoom | Kind::Ship | Kind::OwnUplink | Kind::DataCentre
        );
        link.near = match (more, steady) {
            (false, _) => 0,
            (true, true) => 1,
            (true, false) => day + 1,
        };
    }
}

/// What makes a day at work another one: hands from elsewhere, a jiggler over lunch, an hour of support.
pub fn touch_up(diary: &mut Diary<'_>) {
    let (world, laptop) = (diary.world, diary.laptop);
    let (traits, dice) = (laptop.life.traits, diary.dice());
    let rates = &world.parameters.tools;
    let share = 2.0 * rates.honest_remote_days * world.dice.of("share").at(laptop.life.person).unit();
    let from_elsewhere = (traits.has(Trait::HonestRemote) && dice.of("elsewhere").chance(share))
        || (traits.has(Trait::InUse) && dice.of("now and then").chance(rates.in_use_days));
    for stretch in &mut diary.all {
        let at_home = stretch.now.link.is_some_and(|link| link.place.kind == Kind::Home);
        let own = matches!(stretch.hands, Hands::Own(_));
        if own && from_elsewhere && at_home {
            stretch.now = through(&stretch.now, Use::Session);
            stretch.hands = Hands::Software;
        } else if own && traits.has(Trait::SoftwareKvm) && at_home {
            stretch.hands = Hands::NextDesk;
        } else if own && traits.has(Trait::TwoJobsKvm) && at_home {
            let absolute = matches!(stretch.now.desk.kvm, Some((Kvm::Default | Kvm::Disguised, _)));
            stretch.hands = Hands::Kvm { by: SourceKind::Usb, absolute, adapted: !absolute };
        } else if stretch.hands == Hands::Nobody && stretch.now.locked && !from_elsewhere {
            if traits.has(Trait::JigglerSoftware) {
                stretch.hands = Hands::Jiggler { by: None, periodic: true };
            } else if traits.has(Trait::JigglerDongle) && at_home {
                stretch.hands = Hands::Jiggler { by: Some(SourceKind::Usb), periodic: true };
            }
        }
    }
    if traits.has(Trait::Support) && in_week(diary, "support day", 1) {
        session(diary, tools::SUPPORT, 1500, 1);
    }
    if traits.has(Trait::FamilyHelp) && in_week(diary, "family day", 1) {
        session(diary, tools::ANYDESK, 3000, 2000 + laptop.number);
    }
    let wheel = world.dice.of("wheel").at(laptop.number).day(diary.day);
    if traits.has(Trait::MeetingAllDay) && wheel.chance(rates.wheel_days) {
        session(diary, tools::ZOOM, 2400, 0);
    }
}

/// Somebody helps through a tool for a while, within the longest stretch at work.
fn session(diary: &mut Diary<'_>, tool: u8, seconds: i64, account: u32) {
    let own = diary.all.iter().enumerate().filter(|(_, s)| matches!(s.hands, Hands::Own(_)));
    let Some((index, whole)) = own.max_by_key(|(_, s)| s.until - s.from).map(|(n, s)| (n, *s)) else {
        return;
    };
    let from = whole.from + 1800;
    if from + seconds >= whole.until {
        return;
    }
    let mut now = whole.now;
    now.set_tool(tool, Use::Session, account);
    let helped = Stretch { from, until: from + seconds, now, hands: Hands::Software };
    let parts = [Stretch { until: from, ..whole }, helped, Stretch { from: from + seconds, ..whole }];
    diary.all.splice(index..=index, parts);
}

/// Days on which a laptop has no network: for one to three weeks, once.
pub fn is_offline(world: &World, laptop: &Laptop, day: i32) -> bool {
    if !laptop.life.traits.has(Trait::Offline) {
        return false;
    }
    let dice = world.dice.of("offline").at(laptop.number);
    let from = i32::try_from(dice.between(1, i64::from(world.days))).unwrap_or(1);
    let days = i32::try_from(dice.of("days").between(7, 21)).unwrap_or(7);
    (from..from + days).contains(&day)
}

/// Takes the network away on such days.
pub fn lose_network(world: &World, laptop: &Laptop, day: i32, all: &mut [Stretch]) {
    if is_offline(world, laptop, day) {
        all.iter_mut().for_each(|stretch| stretch.now.link = None);
    }
}
