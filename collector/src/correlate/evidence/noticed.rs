use farmwatch_shared::judge::PlaceEvidence;

use super::super::view::SiteView;

/// Against a farm: nobody else could be seen here, for only laptops that show something tell their neighbours.
///
/// Null model: agents tell the hashes of neighbours only while a finding stands. In an office in which no two laptops share
/// what all tell (an exit for an address, a gateway for each desk), those that neighbours join are the few of many that show
/// something; that each of them does is why it is here. So what showing anything at all says is taken off again for each:
/// three in five laptops of a farm do, one in ten of others (the assumptions of `unremarkable`).
/// Defeated by nothing that pays: a farm on one network also shares a gateway.
pub fn noticed(view: &SiteView<'_>) -> Option<PlaceEvidence> {
    let all = view.placed().count();
    let noticed = view.placed().filter(|member| member.noticed).count();
    let why = format!(
        "{noticed} of {all} laptops are known to be here by their neighbours alone, which only laptops that show something tell"
    );
    view.evidence_times("place.noticed", noticed, why)
}
