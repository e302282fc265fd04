//! What feeds the machine and who keeps it awake, as IOKit tells it.
#![allow(unsafe_code, reason = "calls IOKit, which has no safe wrapper here; each call says why it is sound")]

use super::core_foundation::{self, Owned, Ref};
use super::plist::Plist;
use crate::sensors::SensorError;

const OK: i32 = 0;
/// Most batteries and other sources.
const MOST: usize = 16;

#[link(name = "IOKit", kind = "framework")]
unsafe extern "C" {
    fn IOPSCopyPowerSourcesInfo() -> Ref;
    fn IOPSCopyPowerSourcesList(info: Ref) -> Ref;
    fn IOPSGetPowerSourceDescription(info: Ref, source: Ref) -> Ref;
    fn IOPSGetProvidingPowerSourceType(info: Ref) -> Ref;
    fn IOPMCopyAssertionsByProcess(assertions: *mut Ref) -> i32;
}

/// The source in use (`kIOPMACPowerKey` and its like), and the description of each that there is.
pub fn sources() -> Result<(Option<Plist>, Vec<Plist>), SensorError> {
    let blind = || SensorError::Blind("IOKit does not say what feeds the machine".into());
    // SAFETY: what is copied is ours; what is got lives as long as that and is only read while it does.
    unsafe {
        let info = Owned::take(IOPSCopyPowerSourcesInfo()).ok_or_else(blind)?;
        let list = Owned::take(IOPSCopyPowerSourcesList(info.lend())).ok_or_else(blind)?;
        let providing = core_foundation::plist(IOPSGetProvidingPowerSourceType(info.lend()));
        let describe = |source: Ref| {
            core_foundation::plist(IOPSGetPowerSourceDescription(info.lend(), source)).and_then(Result::ok)
        };
        let sources = list.items().into_iter().take(MOST).filter_map(describe).collect();
        Ok((providing.and_then(Result::ok), sources))
    }
}

/// What holds the machine awake: an array of dictionaries for each process that does.
pub fn assertions() -> Vec<Plist> {
    let mut all = std::ptr::null();
    // SAFETY: a place for the answer, which is ours.
    let all =
        unsafe { if IOPMCopyAssertionsByProcess(&raw mut all) == OK { Owned::take(all) } else { None } };
    let Some(all) = all else { return Vec::new() };
    // The keys are numbers, so the whole is no property list; each value is one.
    // SAFETY: the values live as long as the dictionary.
    let read = |(_, value)| unsafe { core_foundation::plist(value) }.and_then(Result::ok);
    all.pairs().into_iter().filter_map(read).collect()
}
