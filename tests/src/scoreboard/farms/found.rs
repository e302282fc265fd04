//! Which farms are found, by what they are like, and how soon.

use farmwatch_collector::store::AlertKind;
use jiff::{SignedDuration, Timestamp};

use super::baselines::{KINDS, NAMES};
use super::chance::{quantile, quantile_interval};
use super::fleet_run::Run;
use crate::fleet::{Care, Shape, Style};
use crate::scoreboard::row::{Figure, Row};

/// A farm, and what was said of it.
struct Farm {
    shape: Shape,
    laptops: Vec<usize>,
    always_on_vpn: bool,
    /// When it was first in use: with two laptops, where it has more than one.
    in_use: Timestamp,
    site: Option<Timestamp>,
    device: Option<Timestamp>,
    baselines: [Option<Timestamp>; KINDS],
}

impl Farm {
    /// First alert of a kind that suits its size: a single laptop makes no place.
    fn alert(&self) -> Option<Timestamp> {
        if self.shape.laptops == 1 { self.device.into_iter().chain(self.site).min() } else { self.site }
    }

    fn any(&self) -> Option<Timestamp> {
        self.site.into_iter().chain(self.device).min()
    }
}

/// Farms of two or more that a site alert found, of so many; single laptops that an alert found, of so many.
pub fn counts(run: &Run) -> ((usize, usize), (usize, usize)) {
    let farms = farms(&[run]);
    let found = |of_one: bool| {
        let chosen = || farms.iter().filter(move |farm| (farm.shape.laptops == 1) == of_one);
        (chosen().filter(|farm| farm.alert().is_some()).count(), chosen().count())
    };
    (found(false), found(true))
}

/// Farms as a threshold of one kind of alert is chosen for them; adapted ones count with the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sought {
    /// One laptop, by a device alert.
    Single,
    /// Two or more, by a site alert.
    Several,
}

impl Sought {
    /// In a few words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Single => "single farm laptops found by them, adapted ones among them",
            Self::Several => "farms of two or more found by them, adapted ones among them",
        }
    }

    /// Found from a threshold on, of so many.
    pub fn found(self, run: &Run, threshold: f64) -> (usize, usize) {
        let farms: Vec<Vec<usize>> =
            run.farms().into_values().filter(|farm| (farm.len() == 1) == (self == Self::Single)).collect();
        let named = |farm: &&Vec<usize>| match self {
            Self::Single => run.alerts.values().any(|alert| {
                alert.kind == AlertKind::Device
                    && alert.reaches(threshold)
                    && alert.laptops.contains_key(&farm[0])
            }),
            Self::Several => run.site_alert_from(threshold, farm, 2).is_some(),
        };
        (farms.iter().filter(named).count(), farms.len())
    }
}

/// Farms that no alert that suits their size found, with their laptops.
pub fn missed(run: &Run) -> Vec<(Shape, Vec<usize>)> {
    let missed = farms(&[run]).into_iter().filter(|farm| farm.alert().is_none());
    missed.map(|farm| (farm.shape, farm.laptops)).collect()
}

fn farms(runs: &[&Run]) -> Vec<Farm> {
    let mut all = Vec::new();
    for run in runs {
        for laptops in run.farms().into_values() {
            let Some(shape) = run.laptops[laptops[0]].label.shape else { continue };
            let mut begins: Vec<Timestamp> =
                laptops.iter().filter_map(|index| run.laptops[*index].label.in_use_from).collect();
            begins.sort();
            let Some(in_use) = begins.get(1).or(begins.first()).copied() else { continue };
            let first =
                |time: &dyn Fn(usize) -> Option<Timestamp>| laptops.iter().filter_map(|i| time(*i)).min();
            all.push(Farm {
                shape,
                always_on_vpn: run.always_on_vpn,
                in_use,
                site: run.site_alert(&laptops, laptops.len().min(2)),
                device: first(&|index| run.laptops[index].device),
                baselines: std::array::from_fn(|kind| first(&|index| run.laptops[index].baselines[kind])),
                laptops,
            });
        }
    }
    all
}

/// Shares found.
pub fn rows(runs: &[&Run]) -> Vec<Row> {
    let farms = farms(runs);
    let open = |farm: &Farm| farm.shape.care != Care::Adapted;
    let size = |least: u32, most: u32| move |farm: &Farm| (least..=most).contains(&farm.shape.laptops);
    let mut rows = vec![
        row("three or more laptops, by a site alert", &farms, |f| size(3, 99)(f) && open(f)).at_least(0.95),
        row("   three to ten", &farms, |f| size(3, 10)(f) && open(f)),
        row("   thirty", &farms, |f| size(11, 99)(f) && open(f)),
        row("two laptops, by a site alert", &farms, |f| size(2, 2)(f) && open(f)).at_least(0.8),
        row("one laptop, by a device alert", &farms, |f| size(1, 1)(f) && open(f)).at_least(0.5),
        adapted_row("adapted farms, by an alert of either kind", &farms, |_| true).at_least(0.3),
        adapted_row("adapted farms without a tool that catalogues name", &farms, |f| {
            !f.shape.ways.catalogue_tool
        }),
        adapted_row("   with a Bluetooth dongle", &farms, |f| f.shape.ways.bluetooth),
        adapted_row("   agent blinded", &farms, |f| f.shape.ways.blinded),
        adapted_row("   agent stopped", &farms, |f| f.shape.ways.stopped),
        row("   of two or more, by a site alert", &farms, |f| size(2, 99)(f) && !open(f)),
        row("   of one, by a device alert", &farms, |f| size(1, 1)(f) && !open(f)),
    ];
    let styles = [
        ("software", Style::Software),
        ("IP-KVM", Style::Kvm),
        ("both", Style::Both),
        ("meeting software", Style::Meeting),
    ];
    for (name, style) in styles {
        rows.push(row(&format!("operated by {name}"), &farms, |f| f.shape.style == style));
    }
    for (name, care) in [("careless", Care::Careless), ("careful", Care::Careful), ("adapted", Care::Adapted)]
    {
        rows.push(row(name, &farms, |f| f.shape.care == care));
    }
    rows.push(row("touched by hand every day", &farms, |f| f.shape.daily_touch));
    rows.push(row("other companies' laptops in the room", &farms, |f| f.shape.others > 0));
    rows.push(row("none of other companies", &farms, |f| f.shape.others == 0));
    rows.push(row("all traffic through the company's VPN", &farms, |f| f.always_on_vpn));
    rows.push(row("no always-on VPN", &farms, |f| !f.always_on_vpn));
    rows.push(any(&farms));
    rows.push(laptops(runs));
    rows
}

fn row(label: &str, farms: &[Farm], which: impl Fn(&Farm) -> bool) -> Row {
    let chosen: Vec<&Farm> = farms.iter().filter(|farm| which(farm)).collect();
    let share = |found: &dyn Fn(&Farm) -> bool| Figure::Share {
        count: chosen.iter().filter(|farm| found(farm)).count(),
        of: chosen.len(),
    };
    let mut row = Row::figure(label, share(&|farm| farm.alert().is_some()));
    // Only where there is a goal: four lines below each would bury the table.
    if !label.starts_with(' ') && label.contains(", by ") {
        for (kind, name) in NAMES.iter().enumerate() {
            row = row.beside(name, share(&|farm| farm.baselines[kind].is_some()));
        }
    }
    row
}

/// Farms that do everything against being found: their laptops stand alone, so an alert about one of them finds the
/// farm too, at the rate of false alerts of its kind.
fn adapted_row(label: &str, farms: &[Farm], which: impl Fn(&Farm) -> bool) -> Row {
    let adapted = farms.iter().filter(|farm| farm.shape.care == Care::Adapted);
    let chosen: Vec<&Farm> = adapted.filter(|farm| which(farm)).collect();
    let share = |found: &dyn Fn(&Farm) -> bool| Figure::Share {
        count: chosen.iter().filter(|farm| found(farm)).count(),
        of: chosen.len(),
    };
    let row = Row::figure(label, share(&|farm| farm.any().is_some()));
    if label.starts_with(' ') {
        return row;
    }
    NAMES
        .iter()
        .enumerate()
        .fold(row, |row, (kind, name)| row.beside(name, share(&|farm| farm.baselines[kind].is_some())))
}

fn any(farms: &[Farm]) -> Row {
    let found = farms.iter().filter(|farm| farm.any().is_some()).count();
    Row::share("all farms, by a site or a device alert", found, farms.len())
}

/// Laptops in farms that an alert of either kind names.
fn laptops(runs: &[&Run]) -> Row {
    let (mut named, mut all) = (0, 0);
    for run in runs {
        for (index, laptop) in run.laptops.iter().enumerate().filter(|(_, l)| l.label.farm.is_some()) {
            all += 1;
            named += usize::from(run.named(AlertKind::Site, index) || laptop.device.is_some());
        }
    }
    Row::share("laptops in farms that such an alert names", named, all)
}

/// Hours from a farm's being in use to its alert.
pub fn times(runs: &[&Run]) -> Vec<Row> {
    let farms = farms(runs);
    let several: Vec<&Farm> = farms.iter().filter(|f| f.shape.laptops > 1).collect();
    let single: Vec<&Farm> = farms.iter().filter(|f| f.shape.laptops == 1).collect();
    let mut rows = Vec::new();
    // A single laptop takes days of use: everybody works from elsewhere for a day. Only sites have a goal.
    for (label, chosen, goal) in
        [("two or more laptops, site alert", several, true), ("one laptop, device alert", single, false)]
    {
        let mut waits: Vec<SignedDuration> =
            chosen.iter().filter_map(|farm| Some(wait(farm.in_use, farm.alert()?))).collect();
        waits.sort();
        let hours =
            |share| Row::number(String::new(), quantile(&waits, share), quantile_interval(&waits, share));
        let median = if goal { hours(0.5).at_most(24.0) } else { hours(0.5) };
        rows.push(Row { label: format!("{label}: median of those found, hours"), ..median });
        rows.push(Row { label: format!("{label}: 90th percentile of those found, hours"), ..hours(0.9) });
        let in_a_day = waits.iter().filter(|wait| wait.as_hours() < 24).count();
        rows.push(Row::share(format!("{label}: found within a day, of all"), in_a_day, chosen.len()));
    }
    rows
}

fn wait(in_use: Timestamp, alert: Timestamp) -> SignedDuration {
    alert.duration_since(in_use).max(SignedDuration::ZERO)
}
