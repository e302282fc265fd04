//! Laptops and who they belong to.

use std::collections::BTreeMap;

use farmwatch_shared::facts::{
    Bus, Display, EdidFacts, HidCaps, HidDevice, Host, Locale, Power, RemoteTool, Seen, SeenBy, SensorStatus,
    Session, ToolClass, UsbDevice, UsbInterface,
};
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::state::State;
use jiff::{SignedDuration, Timestamp};

use super::place::{PlaceId, Places};
use super::{Parameters, Style};

/// One laptop.
pub struct Laptop {
    /// Its id.
    pub id: DeviceId,
    /// Number of the farm that it stands in.
    pub farm: Option<u32>,
    /// How it is operated, in a farm.
    pub style: Option<Style>,
    /// First hour in which it reports.
    pub from: Timestamp,
    /// Where it lives.
    pub home: PlaceId,
    /// Where it may go.
    pub office: Option<PlaceId>,
    /// Share of days on a trip.
    pub trips: f64,
    /// Where trips lead.
    pub hotels: [PlaceId; 3],
    /// Exit of its person's private VPN.
    pub vpn_exit: PlaceId,
    /// Lid closed, own keyboard and screen.
    pub docked: bool,
    /// Its person uses a private VPN on some days.
    pub vpn: bool,
    /// The private VPN is on today.
    pub vpn_on: bool,
    /// Where it is now.
    pub at: PlaceId,
    /// Its facts as it last reported them.
    pub state: State,
    /// Facts that it will report next.
    pub next: State,
    /// Its last report's number.
    pub seq: u64,
    /// Its own dice.
    pub rng: fastrand::Rng,
    serial: String,
    user: String,
    department: &'static str,
    shipped_to: String,
}

impl Laptop {
    /// Its line of the asset list.
    pub fn asset_line(&self) -> String {
        format!("{},{},{},{},PT\n", self.serial, self.user, self.department, self.shipped_to)
    }
}

const MODELS: [(&str, &str); 4] = [
    ("LENOVO", "ThinkPad T14 Gen 4"),
    ("Dell Inc.", "Latitude 5450"),
    ("HP", "EliteBook 840 G10"),
    ("Apple Inc.", "MacBookPro18,3"),
];

const FIRST: [&str; 12] =
    ["Ana", "Bruno", "Carla", "Diogo", "Eva", "Filipe", "Ines", "Joao", "Lara", "Marco", "Nuno", "Rita"];
const LAST: [&str; 40] = [
    "Almeida",
    "Andrade",
    "Antunes",
    "Araujo",
    "Azevedo",
    "Barros",
    "Borges",
    "Branco",
    "Cardoso",
    "Carvalho",
    "Castro",
    "Coelho",
    "Correia",
    "Cunha",
    "Duarte",
    "Esteves",
    "Faria",
    "Ferreira",
    "Figueiredo",
    "Fonseca",
    "Freitas",
    "Garcia",
    "Gomes",
    "Henriques",
    "Lopes",
    "Machado",
    "Magalhaes",
    "Marques",
    "Martins",
    "Matos",
    "Melo",
    "Neves",
    "Nogueira",
    "Oliveira",
    "Pires",
    "Ramos",
    "Santos",
    "Tavares",
    "Teixeira",
    "Vieira",
];

/// Where people go, and where their VPNs come out.
struct Away {
    hotels: [PlaceId; 25],
    exits: [PlaceId; 4],
}

/// Everybody, and where they live.
pub fn people(
    parameters: &Parameters,
    places: &mut Places,
    rng: &mut fastrand::Rng,
    start: Timestamp,
) -> Vec<Laptop> {
    let office = places.office(rng);
    let away = Away {
        hotels: std::array::from_fn(|_| places.hotel(rng)),
        exits: std::array::from_fn(|_| places.vpn_exit(rng)),
    };
    let mut all = Vec::new();
    let mut households: Vec<u32> = vec![1; parameters.homes as usize];
    households.extend(vec![2; parameters.couples as usize]);
    households.extend(vec![3; parameters.flats_of_three as usize]);
    for size in households {
        let home = places.home(rng);
        for _ in 0..size {
            let goes = (rng.f64() < parameters.hybrid).then_some(office);
            all.push(employee(parameters, all.len(), home, goes, &away, rng, start));
        }
    }
    for _ in 0..parameters.office {
        let home = places.home(rng);
        all.push(employee(parameters, all.len(), home, Some(office), &away, rng, start));
    }
    for (number, farm) in (1u32..).zip(&parameters.farm) {
        let home = places.home(rng);
        for _ in 0..farm.laptops {
            let mut laptop = employee(parameters, all.len(), home, None, &away, rng, start);
            let hours = rng.i64(0..i64::from(farm.joined.max(1)) * 24);
            laptop.from = start + SignedDuration::from_hours(hours);
            laptop.farm = Some(number);
            laptop.style = Some(farm.style);
            (laptop.docked, laptop.vpn, laptop.trips) = (false, false, 0.0);
            operate(&mut laptop, farm.style, places);
            all.push(laptop);
        }
    }
    all
}

fn employee(
    parameters: &Parameters,
    number: usize,
    home: PlaceId,
    office: Option<PlaceId>,
    away: &Away,
    rng: &mut fastrand::Rng,
    start: Timestamp,
) -> Laptop {
    let mut own = rng.fork();
    let unix_ms = u64::try_from(start.as_millisecond()).unwrap_or(0);
    let (vendor, model) = MODELS[own.usize(..MODELS.len())];
    let serial = format!("PF{:06X}", 0x10_0000 + number);
    let docked = own.f64() < parameters.docked;
    let mut next = State::default();
    next.put("self", &host(vendor, model, &serial, number, start));
    let has_lid = Power { mains: Some(true), battery: true, lid_closed: Some(docked), ..Power::default() };
    next.put("self", &has_lid);
    next.put("self", &Locale { time_zone: Some("Europe/Lisbon".into()), ..Locale::default() });
    next.put("c1", &Session { active: true, ..Session::default() });
    let panel = EdidFacts {
        manufacturer: "AUO".into(),
        product: 0x1234,
        width_mm: 309,
        height_mm: 174,
        preferred: Some((1920, 1080)),
        ..EdidFacts::default()
    };
    let built_in = Display {
        connector: "eDP".into(),
        built_in: true,
        active: !docked,
        edid: Some(panel),
        edid_error: None,
    };
    next.put("eDP-1", &built_in);
    let keyboard = HidDevice {
        bus: Bus::Ps2,
        vendor_id: "0001".into(),
        product_id: "0001".into(),
        name: "AT Translated Set 2 keyboard".into(),
        caps: HidCaps { keyboard: true, ..HidCaps::default() },
        built_in: true,
        ..HidDevice::default()
    };
    next.put("ps2:0001:0001:0", &keyboard);
    for sensor in ["host", "remote_tool", "session", "display", "usb_device", "hid_device", "activity"] {
        next.put(sensor, &SensorStatus::ok());
    }
    if docked {
        next.put("1-4.1", &mouse());
    }
    if own.f64() < parameters.leftover_tool {
        let seen = vec![Seen { by: SeenBy::Package, what: "teamviewer".into() }];
        let left = RemoteTool {
            name: "TeamViewer".into(),
            class: ToolClass::RemoteDesktop,
            seen,
            ..Default::default()
        };
        next.put("teamviewer", &left);
    }
    let user = format!("{} {}", FIRST[own.usize(..FIRST.len())], LAST[own.usize(..LAST.len())]);
    let department = ["Engineering", "Support", "Sales", "Finance"][own.usize(..4)];
    Laptop {
        department,
        id: DeviceId::new(unix_ms, 0xfee7 + number as u128),
        farm: None,
        style: None,
        from: start,
        home,
        office,
        trips: parameters.trips,
        hotels: std::array::from_fn(|_| away.hotels[own.usize(..away.hotels.len())]),
        vpn_exit: away.exits[own.usize(..away.exits.len())],
        vpn_on: false,
        docked,
        vpn: own.f64() < parameters.personal_vpn,
        at: home,
        state: State::default(),
        next,
        seq: 0,
        rng: own,
        shipped_to: format!("Rua {} {}", number + 1, "Lisboa"),
        serial,
        user,
    }
}

fn host(vendor: &str, model: &str, serial: &str, number: usize, start: Timestamp) -> Host {
    let (os, os_version) = match vendor {
        "Apple Inc." => ("macos", "macOS 15.6"),
        _ if number.is_multiple_of(3) => ("linux", "Ubuntu 24.04"),
        _ => ("windows", "Windows 11 24H2"),
    };
    Host {
        os: os.into(),
        os_version: os_version.into(),
        hostname: format!("lt-{:04}", number + 1),
        vendor: Some(vendor.into()),
        model: Some(model.into()),
        serial: Some(serial.into()),
        chassis: Some("laptop".into()),
        hypervisor: None,
        boot_time: Some(start),
        agent_version: env!("CARGO_PKG_VERSION").into(),
        managed_by: BTreeMap::new(),
    }
}

fn mouse() -> UsbDevice {
    let pointer = HidCaps { relative: true, ..HidCaps::default() };
    UsbDevice {
        vendor_id: "046d".into(),
        product_id: "c077".into(),
        manufacturer: Some("Logitech".into()),
        product: Some("USB Optical Mouse".into()),
        speed_tenths: 15,
        usb_version: Some("2.00".into()),
        device_version: Some("72.00".into()),
        interfaces: vec![UsbInterface { class: 3, subclass: 1, protocol: 2, hid: Some(pointer) }],
        removable: Some(true),
        ..UsbDevice::default()
    }
}

/// Puts into a laptop what a farm operates it with.
fn operate(laptop: &mut Laptop, style: Style, places: &Places) {
    if style != Style::Kvm {
        let seen = vec![
            Seen { by: SeenBy::Process, what: "anydesk".into() },
            Seen { by: SeenBy::Service, what: "anydesk.service".into() },
        ];
        let tool = RemoteTool {
            name: "AnyDesk".into(),
            class: ToolClass::RemoteDesktop,
            seen,
            running_since: Some(laptop.from),
            serving: true,
            session_open: Some(true),
            account: None,
        };
        laptop.next.put("anydesk", &tool);
    }
    if style != Style::Software {
        let hid = |subclass, protocol, caps| UsbInterface { class: 3, subclass, protocol, hid: Some(caps) };
        let kvm = UsbDevice {
            vendor_id: "1d6b".into(),
            product_id: "0104".into(),
            manufacturer: Some("PiKVM".into()),
            product: Some("Composite KVM Device".into()),
            serial: Some(places.hash("serial", &format!("CAFEBABE{}", laptop.serial))),
            speed_tenths: 4800,
            usb_version: Some("2.00".into()),
            device_version: Some("01.00".into()),
            interfaces: vec![
                hid(1, 1, HidCaps { keyboard: true, ..HidCaps::default() }),
                hid(0, 0, HidCaps { absolute: true, ..HidCaps::default() }),
                UsbInterface { class: 8, subclass: 6, protocol: 80, hid: None },
            ],
            removable: Some(true),
            traits: vec!["known_kvm:PiKVM".into()],
        };
        laptop.next.put("1-2", &kvm);
    }
}
