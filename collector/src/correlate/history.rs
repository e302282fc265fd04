//! The history of places that may be farms: who came, who left, what became of them.

use farmwatch_shared::id::DeviceId;
use jiff::Timestamp;

use super::place::{Around, Gone, SiteNow};
use crate::store::{SiteEvent, SiteStep};

/// P(farm) from which on a place's history is kept: who meets whom in places that nobody suspects is nobody's business.
/// Assumption.
pub const KEPT_FROM: f64 = 1e-3;

/// What becomes of the places around a device that changed.
pub fn of(around: &Around, now: Timestamp) -> Vec<SiteEvent> {
    let stays = around.sites.iter().flat_map(|now| steps(now).map(|step| (now.site.id.clone(), step)));
    let goes = around.gone.iter().filter(|gone| gone.farm >= KEPT_FROM).map(|Gone { id, into, .. }| {
        let step = into.clone().map_or(SiteStep::Ended, SiteStep::Merged);
        (id.clone(), step)
    });
    stays.chain(goes).map(|(site, step)| SiteEvent { site, at: now, step }).collect()
}

fn steps(SiteNow { site, before, .. }: &SiteNow) -> impl Iterator<Item = SiteStep> {
    let mut steps = Vec::new();
    match before {
        Some((devices, farm)) if *farm >= KEPT_FROM => {
            let other = |list: &[DeviceId], id: &DeviceId| !list.contains(id);
            let came = site.devices.iter().filter(|id| other(devices, id)).cloned();
            let left = devices.iter().filter(|id| other(&site.devices, id)).cloned();
            steps.extend(came.map(SiteStep::Came).chain(left.map(SiteStep::Left)));
        }
        _ if site.judged.farm >= KEPT_FROM => steps.push(SiteStep::Noticed(site.devices.clone())),
        _ => {}
    }
    steps.into_iter()
}

#[cfg(test)]
mod tests {
    use farmwatch_shared::id::SiteId;
    use farmwatch_shared::judge::JudgedSite;

    use super::*;
    use crate::store::Site;

    fn laptop(n: u128) -> DeviceId {
        DeviceId::new(1, n)
    }

    fn now(n: u128, devices: &[u128], farm: f64, before: Option<(&[u128], f64)>) -> SiteNow {
        let at = Timestamp::UNIX_EPOCH;
        let ids = |list: &[u128]| list.iter().copied().map(laptop).collect();
        let site = Site {
            id: SiteId::new(1, n),
            devices: ids(devices),
            anchors: Vec::new(),
            sanctioned: None,
            judged: JudgedSite { farm, ..JudgedSite::default() },
            created_at: at,
            updated_at: at,
        };
        SiteNow { site, occupants: Vec::new(), before: before.map(|(list, farm)| (ids(list), farm)) }
    }

    fn told(sites: Vec<SiteNow>) -> Vec<SiteStep> {
        let around = Around { sites, ..Around::default() };
        of(&around, Timestamp::UNIX_EPOCH).into_iter().map(|event| event.step).collect()
    }

    #[test]
    fn who_comes_and_goes_is_kept_where_it_may_be_a_farm_and_nowhere_else() {
        let honest = now(1, &[1, 2], 1e-6, Some((&[1], 1e-6)));
        let first = now(2, &[3, 4], 0.2, Some((&[3, 4], 1e-6)));
        let goes_on = now(3, &[5, 7], 0.2, Some((&[5, 6], 0.3)));
        assert_eq!(
            told(vec![honest, first, goes_on]),
            [
                SiteStep::Noticed(vec![laptop(3), laptop(4)]),
                SiteStep::Came(laptop(7)),
                SiteStep::Left(laptop(6))
            ]
        );
    }

    #[test]
    fn a_place_that_is_no_more_says_what_became_of_it() {
        let (one, other) = (SiteId::new(1, 1), SiteId::new(1, 2));
        let gone = vec![
            Gone { id: one.clone(), into: Some(other.clone()), farm: 0.1 },
            Gone { id: other.clone(), into: None, farm: 0.1 },
            Gone { id: SiteId::new(1, 3), into: None, farm: 1e-7 },
        ];
        let events = of(&Around { gone, ..Around::default() }, Timestamp::UNIX_EPOCH);
        let told: Vec<_> = events.into_iter().map(|event| (event.site, event.step)).collect();
        assert_eq!(told, [(one, SiteStep::Merged(other.clone())), (other, SiteStep::Ended)]);
    }
}
