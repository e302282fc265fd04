//! What is true of each laptop, and what IT would know: for whoever measures, never for the collector.

use farmwatch_shared::id::DeviceId;
use jiff::Timestamp;
use serde::Serialize;

use super::dice::Dice;
use super::farms::Ways;
use super::laptop::{Group, Laptop, Trait};
use super::networks;
use super::parameters::{Care, Farm, Style};
use super::places::Kind;
use super::world::World;

/// A line of the labels' file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Label {
    /// Which laptop.
    pub device: DeviceId,
    /// Number of the farm that it stands in, from 1.
    pub farm: Option<u32>,
    /// The farm.
    pub shape: Option<Shape>,
    /// When it was unpacked there.
    pub in_use_from: Option<Timestamp>,
    /// What binds its person to others.
    pub site: Group,
    /// Its person works in an office of the company on some days.
    pub office: bool,
    /// What it does that farms do too, or what is odd about it.
    pub twins: Vec<&'static str>,
}

/// What a farm is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// Laptops of ours.
    pub laptops: u32,
    /// Laptops of other companies.
    pub others: u32,
    /// How they are operated.
    pub style: Style,
    /// How careful its people are.
    pub care: Care,
    /// Touched by hand every day.
    pub daily_touch: bool,
    /// What its operators come in by, and what becomes of the agent.
    #[serde(flatten)]
    pub ways: Ways,
}

/// What is true of a laptop.
pub fn label(world: &World, laptop: &Laptop) -> Label {
    let seat = laptop.life.farm;
    let shape = seat.map(|seat| {
        let room = &world.farms[seat.farm as usize];
        let Farm { laptops, others, style, care, daily_touch, .. } = room.farm;
        Shape { laptops, others, style, care, daily_touch, ways: room.ways }
    });
    let unpacked = seat.map(|seat| {
        world.midnight(laptop.life.region, laptop.life.from) + 36_000 + i64::from(seat.seat % 20) * 900
    });
    let coworks = laptop.life.work.is_some_and(|place| place.kind == Kind::Coworking);
    Label {
        device: laptop.id(world.start),
        farm: seat.map(|seat| seat.farm + 1),
        shape,
        in_use_from: unpacked.and_then(|second| Timestamp::from_second(second).ok()),
        site: if coworks && laptop.life.group == Group::Alone { Group::Coworking } else { laptop.life.group },
        office: laptop.life.work.is_some_and(|place| place.kind == Kind::Office),
        twins: laptop.life.traits.names(),
    }
}

const FIRST: [&str; 12] =
    ["Ana", "Bruno", "Carla", "Diogo", "Eva", "Filipe", "Ines", "Joao", "Lara", "Marco", "Nuno", "Rita"];
const NAME_BEGINS: [&str; 24] = [
    "Alm", "And", "Ant", "Ar", "Barr", "Borg", "Bran", "Card", "Carv", "Cast", "Coel", "Corr", "Du", "Est",
    "Far", "Ferr", "Fons", "Garc", "Gom", "Lop", "Mach", "Mart", "Mor", "Tav",
];
const NAME_ENDS: [&str; 20] = [
    "eida", "ade", "unes", "aujo", "edo", "os", "es", "oso", "alho", "ro", "ho", "eia", "inha", "arte",
    "eves", "ia", "eira", "eca", "ado", "ais",
];

/// What IT knows of a laptop: a line of the asset list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetLine {
    /// Serial number.
    pub serial: String,
    /// Who has it; empty while it is in stock.
    pub user: String,
    /// Department.
    pub department: &'static str,
    /// Where it was sent.
    pub shipped_to: String,
    /// Where that person should be.
    pub country: String,
}

impl AssetLine {
    /// As CSV.
    pub fn csv(&self) -> String {
        let Self { serial, user, department, shipped_to, country } = self;
        format!("{serial},{user},{department},{shipped_to},{country}\n")
    }
}

/// The asset list's line of a laptop.
pub fn asset(world: &World, laptop: &Laptop) -> AssetLine {
    let life = &laptop.life;
    let dice = world.dice.of("name").at(life.person);
    let one_name = life.group == Group::Couple
        && world.dice.of("one name").at(life.household).chance(world.parameters.groups.one_name);
    let family = if one_name { world.dice.of("family").at(life.household) } else { dice.of("family") };
    let in_stock = life.group == Group::Bench;
    let user = if in_stock { String::new() } else { format!("{} {}", dice.pick(&FIRST), surname(family)) };
    // Careless farms have all sent to one door; others to one of their own each.
    let farm = life.farm.map(|seat| (seat, world.farms[seat.farm as usize].farm.care));
    let door = match farm {
        Some((seat, Care::Careless)) => 1_000_000 + seat.farm,
        Some(_) => 2_000_000 + life.person,
        None => life.home.number,
    };
    let region = world.region(life.region);
    AssetLine {
        serial: laptop.serial(),
        user,
        department: dice.of("department").pick(&["Engineering", "Support", "Sales", "Finance"]),
        shipped_to: if in_stock { String::new() } else { format!("Main Street {door} {}", region.name) },
        country: region.country.clone(),
    }
}

fn surname(dice: Dice) -> String {
    format!("{}{}", dice.of("begins").pick(&NAME_BEGINS), dice.of("ends").pick(&NAME_ENDS))
}

/// The places that IT sanctions, as TOML: its offices, what its VPN comes out of, its virtual desktops where it thought
/// of them.
pub fn sanctioned(world: &World) -> String {
    let offices = (0u8..).zip(&world.parameters.region).map(|(index, region)| {
        let network = networks::office_network(index);
        format!("[[place]]\nname = {:?}\nnetworks = [{network:?}]\n", format!("{} office", region.name))
    });
    let known = world.dice.of("data centre").chance(world.parameters.groups.data_centre_known);
    let centres = (0u8..).zip(&world.parameters.region).filter(|_| known).map(|(index, region)| {
        let network = format!("{}/32", world.data_centre_address(index));
        format!("[[place]]\nname = {:?}\nnetworks = [{network:?}]\n", format!("{} desktops", region.name))
    });
    let exits: Vec<String> = (0..world.parameters.fleet.vpn_exits)
        .map(|exit| format!("\"{}/32\"", networks::company_exit(exit)))
        .collect();
    let vpn = format!("[[place]]\nname = \"VPN\"\nnetworks = [{}]\nexit = true\n", exits.join(", "));
    offices.chain(centres).chain([vpn]).collect()
}

/// Traits that stand for nothing that a farm does too.
pub fn is_plain(twin: &str) -> bool {
    let plain = [Trait::NightOn, Trait::OfficeDesk, Trait::Bluetooth, Trait::CompanyVpn];
    plain.iter().any(|one| Trait::ALL.iter().any(|(known, name)| known == one && *name == twin))
}
