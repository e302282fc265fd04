//! What some fleets came to in five numbers, for comparing them with others of the same seeds.

use std::ops::AddAssign;

use farmwatch_collector::store::AlertKind;

use super::fleet_run::Run;
use super::{found, honest};
use crate::scoreboard::row::Figure;

/// It.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Farms of two or more of our laptops that a site alert found, of so many.
    pub several: (usize, usize),
    /// Single laptops in a farm that an alert found, of so many.
    pub single: (usize, usize),
    /// Site alerts about honest laptops, in fleets without farms.
    pub site: usize,
    /// Device alerts about honest laptops, in fleets without farms.
    pub device: usize,
    /// Device-months of those fleets.
    pub months: f64,
}

impl Tally {
    /// Of one fleet.
    pub fn of(run: &Run) -> Self {
        if run.has_farms() {
            let (several, single) = found::counts(run);
            return Self { several, single, ..Self::default() };
        }
        let count = |kind| run.alerts.values().filter(|alert| alert.kind == kind).count();
        let months = run.months(run.laptops.len());
        Self { site: count(AlertKind::Site), device: count(AlertKind::Device), months, ..Self::default() }
    }

    /// Of many.
    pub fn sum(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().fold(Self::default(), |mut sum, one| {
            sum += one;
            sum
        })
    }

    /// With what another says of the kind of fleets that were not lived here.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        let mut filled = self;
        if self.several.1 + self.single.1 == 0 {
            (filled.several, filled.single) = (other.several, other.single);
        }
        if self.months == 0.0 {
            (filled.site, filled.device, filled.months) = (other.site, other.device, other.months);
        }
        filled
    }

    /// Farms of two or more that were found.
    pub fn several(&self) -> Figure {
        Figure::Share { count: self.several.0, of: self.several.1 }
    }

    /// Single farm laptops that were found.
    pub fn single(&self) -> Figure {
        Figure::Share { count: self.single.0, of: self.single.1 }
    }

    /// Site alerts about honest laptops in a device-month.
    pub fn site(&self) -> Figure {
        honest::rate(self.site, self.months)
    }

    /// Device alerts about honest laptops in a device-month.
    pub fn device(&self) -> Figure {
        honest::rate(self.device, self.months)
    }

    /// In one line.
    pub fn words(&self) -> String {
        format!(
            "{} of {} farms of two or more, {} of {} single laptops; false: {} site, {} device alerts",
            self.several.0, self.several.1, self.single.0, self.single.1, self.site, self.device
        )
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.several = (self.several.0 + other.several.0, self.several.1 + other.several.1);
        self.single = (self.single.0 + other.single.0, self.single.1 + other.single.1);
        self.site += other.site;
        self.device += other.device;
        self.months += other.months;
    }
}
