//! Evidence about a place, given that its laptops are together: one file each, with its null model.
//!
//! That laptops share an address, a gateway or a neighbour makes the site and is not counted here again: it is as
//! true of couples as of farms. Here stands what ordinary places lack.

mod at_rest;
mod bench;
mod concealment;
mod never_apart;
mod noticed;
mod one_pair;
mod other_companies;
pub mod rhythm;
mod round_of_hands;
mod shared_account;
mod shared_things;
mod unrelated;
mod unremarkable;
mod workplace;

use farmwatch_shared::judge::PlaceEvidence;

pub use other_companies::around_one as strange_hardware_around_one;

use super::view::SiteView;

/// One kind of evidence.
type Evidence = fn(&SiteView<'_>) -> Option<PlaceEvidence>;

/// Every kind of evidence about places.
const ALL: [Evidence; 13] = [
    unrelated::unrelated,
    concealment::concealment,
    never_apart::never_apart,
    shared_account::shared_account,
    shared_things::shared_things,
    other_companies::other_companies,
    round_of_hands::round_of_hands,
    one_pair::one_pair,
    workplace::workplace,
    bench::stock,
    at_rest::at_rest,
    unremarkable::unremarkable,
    noticed::noticed,
];

/// What a site's place shows.
pub fn of(view: &SiteView<'_>) -> Vec<PlaceEvidence> {
    ALL.iter().filter_map(|evidence| evidence(view)).collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
