//! One laptop: whose it is and how it lives, and what of it was told last.

use farmwatch_shared::id::DeviceId;
use farmwatch_shared::state::Digest;
use jiff::Timestamp;

use super::places::Place;
use super::situation::{Link, Situation};

/// A laptop.
#[derive(Clone, Debug)]
pub struct Laptop {
    /// Its number in the fleet, from 0.
    pub number: u32,
    /// How it lives.
    pub life: Life,
    /// What was told.
    pub told: Told,
}

/// How a laptop and its person live.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// Index of the region.
    pub region: u8,
    /// Its person; another laptop of the same person has the same number.
    pub person: u32,
    /// People of one household have the same number.
    pub household: u32,
    /// What binds its person to others.
    pub group: Group,
    /// Home, or where it always stands.
    pub home: Place,
    /// Where its person goes to work.
    pub work: Option<Place>,
    /// How many of five days.
    pub work_days: u8,
    /// What is special about it.
    pub traits: Traits,
    /// First day.
    pub from: i32,
    /// First day without it.
    pub until: i32,
    /// Day on which its home changes; a day out of reach if it never does.
    pub moves: i32,
    /// Number of a meeting in a hotel that its person goes to; 0 is none.
    pub meeting: u32,
    /// Its seat in a farm.
    pub farm: Option<Seat>,
    /// Number of the laptop whose hardware this is, set up anew under another id; `None`: its own.
    pub hardware: Option<u32>,
}

/// A seat in a farm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Index of the farm.
    pub farm: u32,
    /// Place in the order in which its laptops came, from 0.
    pub seat: u32,
}

/// What was told of a laptop.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// Number of the last report; 0 before the first.
    pub seq: u64,
    /// Day that it is in.
    pub day: i32,
    /// Which of the day's moments comes next.
    pub next: usize,
    /// What the last report left the collector with.
    pub situation: Option<Situation>,
    /// Its digest.
    pub digest: Digest,
    /// Last second in which it was awake.
    pub awake: i64,
    /// Last network that it was on.
    pub link: Option<Link>,
}

/// What binds a laptop's person to others: the kind of site that they make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Nothing.
    Alone,
    /// A home with another employee.
    Couple,
    /// A home with two others.
    Three,
    /// A flat with another employee and people of other companies.
    Flat,
    /// A shared workspace.
    Coworking,
    /// A small office that IT does not know.
    Agency,
    /// A dorm.
    Dorm,
    /// A ship.
    Ship,
    /// IT's staging bench.
    Bench,
    /// The company's virtual desktops in a data centre, each of which its person works on from elsewhere.
    DataCentre,
    /// A farm.
    Farm,
}

/// What is special about a laptop or its person: innocent twins, each a bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits(u64);

/// One trait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is documented at its rate in rates.toml")]
pub enum Trait {
    Docked,
    NightOn,
    Nomad,
    CompanyVpn,
    PersonalVpn,
    Leftover,
    InUse,
    FamilyHelp,
    Support,
    Developer,
    Overlay,
    HonestRemote,
    MeetingAllDay,
    TwoJobsKvm,
    HomelabKvm,
    FastHid,
    JigglerSoftware,
    JigglerDongle,
    Bluetooth,
    DummyPlug,
    Blind,
    Offline,
    ClockOff,
    ClockFar,
    Replaced,
    Reissued,
    Moves,
    Repair,
    Offsite,
    OfficeDesk,
    Shifts,
    AlwaysRemote,
    SoftwareKvm,
    Reimaged,
}

impl Trait {
    /// All of them.
    pub const ALL: [(Self, &str); 34] = [
        (Self::Docked, "docked"),
        (Self::NightOn, "night_on"),
        (Self::Nomad, "nomad"),
        (Self::CompanyVpn, "company_vpn"),
        (Self::PersonalVpn, "personal_vpn"),
        (Self::Leftover, "leftover_tool"),
        (Self::InUse, "tool_in_use"),
        (Self::FamilyHelp, "family_help"),
        (Self::Support, "it_support"),
        (Self::Developer, "developer"),
        (Self::Overlay, "overlay"),
        (Self::HonestRemote, "honest_remote"),
        (Self::MeetingAllDay, "meeting_all_day"),
        (Self::TwoJobsKvm, "two_jobs_kvm"),
        (Self::HomelabKvm, "homelab_kvm"),
        (Self::FastHid, "fast_hid"),
        (Self::JigglerSoftware, "jiggler_software"),
        (Self::JigglerDongle, "jiggler_dongle"),
        (Self::Bluetooth, "bluetooth"),
        (Self::DummyPlug, "dummy_plug"),
        (Self::Blind, "blind_sensor"),
        (Self::Offline, "offline_weeks"),
        (Self::ClockOff, "clock_off"),
        (Self::ClockFar, "clock_far"),
        (Self::Replaced, "replaced"),
        (Self::Reissued, "reissued"),
        (Self::Moves, "moves"),
        (Self::Repair, "repair"),
        (Self::Offsite, "offsite"),
        (Self::OfficeDesk, "office_desk"),
        (Self::Shifts, "shifts"),
        (Self::AlwaysRemote, "always_remote"),
        (Self::SoftwareKvm, "software_kvm"),
        (Self::Reimaged, "reimaged"),
    ];
}

impl Traits {
    /// Whether it has one.
    pub fn has(self, one: Trait) -> bool {
        self.0 >> (one as u8) & 1 == 1
    }

    /// Adds one where `holds`.
    pub fn set(&mut self, one: Trait, holds: bool) {
        self.0 |= u64::from(holds) << (one as u8);
    }

    /// Those of a list that it has.
    #[must_use]
    pub fn only(self, list: &[Trait]) -> Self {
        let mut kept = Self::default();
        list.iter().for_each(|one| kept.set(*one, self.has(*one)));
        kept
    }

    /// The names of those it has.
    pub fn names(self) -> Vec<&'static str> {
        Trait::ALL.iter().filter(|(one, _)| self.has(*one)).map(|(_, name)| *name).collect()
    }
}

impl Laptop {
    /// Its id, drawn at the fleet's start.
    pub fn id(&self, start: Timestamp) -> DeviceId {
        let unix_ms = u64::try_from(start.as_millisecond()).unwrap_or(0);
        DeviceId::new(unix_ms, 0xfee7 + u128::from(self.number))
    }

    /// The hardware's serial number.
    pub fn serial(&self) -> String {
        format!("PF{:07X}", 0x10_0000 + self.life.hardware.unwrap_or(self.number))
    }
}
