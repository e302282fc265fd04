//! What a fleet is made of: one commented file of rates, and smaller ones laid over it.

use anyhow::Context as _;
use serde::Deserialize;
use toml::{Table, Value};

/// Every parameter with its base rate and where it comes from.
pub const RATES: &str = include_str!("rates.toml");
/// Laid over them: the 300 laptops that the quickstart shows.
pub const SMALL: &str = include_str!("small.toml");
/// Laid over them: what the scoreboard measures on. Not for fitting.
pub const TEST: &str = include_str!("test.toml");
/// Laid over them: honest, with every innocent twin common.
pub const TWINS: &str = include_str!("twins.toml");
/// Laid over them: what weights may be fitted on. The scoreboard never uses it.
pub const CALIBRATION: &str = include_str!("calibration.toml");

/// The parameters; `rates.toml` says what each means.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each is documented in rates.toml, with its source")]
pub struct Parameters {
    pub fleet: Fleet,
    pub region: Vec<Region>,
    pub people: People,
    pub groups: Groups,
    pub networks: Networks,
    pub tools: Tools,
    pub things: Things,
    pub agents: Agents,
    pub input: Input,
    pub farms: Farms,
    #[serde(default)]
    pub farm: Vec<Farm>,
}

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(missing_docs, reason = "each is documented in rates.toml, with its source")]
        pub struct $name { $(pub $field: $type,)* }
    };
}

section!(
    /// Size, and what the company is like.
    Fleet { laptops: u32, always_on_vpn: f64, corporate_vpn: f64, vpn_exits: u32, report_minutes: u32, at_least: u32, }
);
section!(
    /// Where people live.
    Region { name: String, zone: String, offset: i32, country: String, share: f64, rtt: u32, }
);
section!(
    /// Ordinary lives.
    People {
        office: f64,
        hybrid: f64,
        hybrid_three: f64,
        coworking: f64,
        nomads: f64,
        nomads_in_hotels: f64,
        docked: f64,
        office_desks: f64,
        home_desks: f64,
        mains: f64,
        night_on: f64,
        weekend: f64,
        evening: f64,
        trips: f64,
        cafe: f64,
        vacation: f64,
        shifts: f64,
        moves: f64,
        replaced: f64,
        reissued: f64,
        reimaged: f64,
    }
);
section!(
    /// People who are together for honest reasons.
    Groups {
        couples: f64,
        one_name: f64,
        strangers_at_home: f64,
        threes: f64,
        flatmates: f64,
        agencies: f64,
        dorms: f64,
        ships: f64,
        repair: f64,
        bench: u32,
        data_centre: f64,
        data_centre_known: f64,
        offsite: f64,
    }
);
section!(
    /// Connections.
    Networks {
        providers: u32,
        cgn: f64,
        cgn_addresses: u32,
        ipv6: f64,
        ipv6_days: f64,
        pppoe: f64,
        daily_lease: f64,
        router_replaced: f64,
        cloned_routers: f64,
        random_addresses: f64,
        others_docked: f64,
        power_cuts_a_year: f64,
        homes_a_district: u32,
        provider_restarts_a_month: f64,
        personal_vpn: f64,
        personal_vpn_days: f64,
        personal_vpn_exits: u32,
    }
);
section!(
    /// Programs.
    Tools {
        it_tool: f64,
        leftover: f64,
        in_use: f64,
        in_use_days: f64,
        family_help: f64,
        support: f64,
        developers: f64,
        developer_days: f64,
        overlay: f64,
        honest_remote: f64,
        honest_remote_days: f64,
        always_remote: f64,
        drawer_opened: f64,
        software_kvm: f64,
        meeting_all_day: f64,
        wheel_days: f64,
        teams: f64,
    }
);
section!(
    /// Hardware.
    Things {
        two_jobs_kvm: f64,
        two_jobs_ip: f64,
        homelab_kvm: f64,
        homelab_days: f64,
        fast_hid: f64,
        jiggler_software: f64,
        jiggler_dongle: f64,
        shared_dock: f64,
        bluetooth: f64,
        dummy_plug: f64,
    }
);
section!(
    /// Agents that are not well.
    Agents { blind: f64, offline: f64, clock_off: f64, clock_far: f64, clock_slow: f64, }
);
section!(
    /// How input looks.
    Input { local: Timing, touchpad: Timing, software: Timing, kvm: Timing, kvm_adapted: Timing, software_kvm: Timing, }
);
section!(
    /// What the agent's pointer model says of a window, in hundredths of a nat.
    Timing { mean: f64, sd: f64, known: f64, }
);
section!(
    /// Farms that are drawn, and what they are like.
    Farms {
        drawn: u32,
        later: f64,
        one: f64,
        two: f64,
        few: f64,
        many: f64,
        software: f64,
        kvm: f64,
        both: f64,
        meeting: f64,
        careless: f64,
        careful: f64,
        adapted: f64,
        daily_touch: f64,
        weekend: f64,
        lid_closed: f64,
        astrill: f64,
        private_vpn: f64,
        jiggler: f64,
        with_others: f64,
        catalogue_tool: f64,
        bluetooth: f64,
        blinded: f64,
        stopped: f64,
        carried: f64,
        own_line: f64,
        timers: f64,
        setup_desk: f64,
        one_kvm: f64,
        moved: f64,
        one_account: f64,
        jobs: u32,
        base_rate: f64,
    }
);

/// One farm.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Farm {
    /// How many of our laptops.
    pub laptops: u32,
    /// How they are operated.
    pub style: Style,
    /// Days over which they arrive.
    #[serde(default)]
    pub joined: u32,
    /// How careful its people are.
    #[serde(default)]
    pub care: Care,
    /// Somebody types on each laptop for some minutes every day, not only on the first.
    #[serde(default)]
    pub daily_touch: bool,
    /// Other companies' laptops in the room.
    #[serde(default)]
    pub others: u32,
}

/// How a farm's laptops are operated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// Remote-access software.
    Software,
    /// An IP-KVM.
    Kvm,
    /// Both.
    Both,
    /// Meeting software, left in a call, with remote control.
    Meeting,
}

/// How careful a farm's people are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Care {
    /// Defaults everywhere, one connection.
    #[default]
    Careless,
    /// IP-KVMs under other names, private VPNs, a screen of their own.
    Careful,
    /// What operators are expected to do next: a cellular uplink for each or a travel router with a VPN in it, hardware
    /// that shows nothing or comes over Bluetooth, a program that no catalogue names, a daily touch, carried around now
    /// and then, power that few of them lose in one second, an agent that is blinded or stopped.
    Adapted,
}

impl Parameters {
    /// The rates with what `over` says instead; lists are replaced whole.
    pub fn with(over: &str) -> anyhow::Result<Self> {
        Self::scaled(over, None)
    }

    /// The same, with one rate (`section.name`) multiplied: for asking how much turns on it.
    pub fn scaled(over: &str, scale: Option<(&str, f64)>) -> anyhow::Result<Self> {
        let mut rates: Table = toml::from_str(RATES).context("rates.toml is wrong")?;
        let over: Table = toml::from_str(over).context("the fleet's parameters are wrong")?;
        lay_over(&mut rates, over);
        if let Some((name, factor)) = scale {
            let (section, name) = name.split_once('.').context("a rate is named section.name")?;
            let rate = rates.get_mut(section).and_then(|section| section.get_mut(name));
            let rate = rate.with_context(|| format!("there is no rate {section}.{name}"))?;
            *rate = times(rate, name, factor).with_context(|| format!("{section}.{name} is no rate"))?;
        }
        let parameters: Self = rates.try_into().context("the fleet's parameters are wrong")?;
        anyhow::ensure!(!parameters.region.is_empty(), "a fleet needs a [[region]]");
        Ok(parameters)
    }

    /// Every base rate as `section.name`: what rates.toml gives a source for or assumes, how input looks and the
    /// company's always-on VPN excepted, which a measurement has both ways.
    pub fn rates() -> Vec<String> {
        let mut section = "";
        let mut all = Vec::new();
        for line in RATES.lines() {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']');
            }
            let Some((name, value)) = line.split_once('=') else { continue };
            let name = format!("{section}.{}", name.trim());
            let chosen = value.contains("# unit:") || section.starts_with('[') || section == "input";
            if !chosen && !NO_RATES.contains(&name.as_str()) {
                all.push(name);
            }
        }
        all
    }
}

/// Assumed, but no base rates of what lives in a fleet.
const NO_RATES: [&str; 2] = ["fleet.always_on_vpn", "farms.base_rate"];

/// A rate times a factor: a share stays one, a number of things whole and above none.
fn times(rate: &Value, name: &str, factor: f64) -> Option<Value> {
    if let Some(number) = rate.as_integer() {
        let scaled = super::dice::whole(number as f64 * factor).max(u32::from(number > 0));
        return Some(Value::Integer(scaled.into()));
    }
    let scaled = rate.as_float()? * factor;
    let counts = name.ends_with("_a_year") || name.ends_with("_a_month");
    Some(Value::Float(if counts { scaled } else { scaled.min(1.0) }))
}

fn lay_over(rates: &mut Table, over: Table) {
    for (name, value) in over {
        match (rates.get_mut(&name), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay_over(below, above),
            (_, value) => drop(rates.insert(name, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_parameters_reads_and_they_differ() {
        let [small, test, calibration] =
            [SMALL, TEST, CALIBRATION].map(|over| Parameters::with(over).unwrap());
        assert_eq!(small.farm.len(), 2);
        assert!(test.farms.drawn > 0 && calibration.farms.drawn > 0);
        assert!(
            (test.people.docked - calibration.people.docked).abs() > 0.01,
            "other parameters for fitting"
        );
    }

    #[test]
    fn every_rate_says_its_source_or_that_it_is_assumed() {
        let rate = |line: &&str| line.contains(" = ") && !line.trim_start().starts_with('#');
        let bare: Vec<&str> = RATES
            .lines()
            .filter(rate)
            .filter(|line| {
                !line.contains("# assumption") && !line.contains("# source:") && !line.contains("# unit:")
            })
            .collect();
        assert_eq!(bare, [""; 0]);
    }

    #[test]
    fn a_misspelt_rate_is_an_error_and_a_scaled_one_is_scaled() {
        assert!(Parameters::with("[people]\ndockd = 0.1").is_err());
        let tripled = Parameters::scaled("", Some(("people.docked", 3.0))).unwrap();
        let plain = Parameters::with("").unwrap();
        assert!((tripled.people.docked - 3.0 * plain.people.docked).abs() < 1e-9);
        assert!(Parameters::scaled("", Some(("people.nothing", 3.0))).is_err());
        let often = Parameters::scaled("", Some(("networks.power_cuts_a_year", 3.0))).unwrap();
        assert!((often.networks.power_cuts_a_year - 6.0).abs() < 1e-9);
        assert_eq!(Parameters::scaled("", Some(("groups.bench", 1.0 / 3.0))).unwrap().groups.bench, 13);
    }

    #[test]
    fn every_base_rate_can_be_scaled() {
        let rates = Parameters::rates();
        assert!(rates.len() > 60 && rates.contains(&"people.docked".to_owned()), "{rates:?}");
        assert!(!rates.contains(&"farms.drawn".to_owned()), "{rates:?}");
        for rate in rates {
            Parameters::scaled(TEST, Some((&rate, 3.0))).unwrap();
            Parameters::scaled(TEST, Some((&rate, 1.0 / 3.0))).unwrap();
        }
    }
}
