//! `judge hid`: one report descriptor a line, tab-separated: name, bus, vid:pid, hex, and what else there is.

use farmwatch_shared::hid;
use farmwatch_shared::state::State;
use farmwatch_shared::usb::{self, RawInterface, RawUsb};
use farmwatch_shared::weights::Weights;

use super::{Judge, Verdict, findings, throwaway_key};

/// Judges each line as a device on a laptop. Its speed is not known.
pub fn judge(weights: &Weights) -> Judge<'_> {
    let key = throwaway_key();
    Box::new(move |line| {
        let mut fields = line.split('\t').map(str::trim);
        let name = fields.next().unwrap_or_default().to_owned();
        let (Some(_bus), Some(ids), Some(hex)) = (fields.next(), fields.next(), fields.next()) else {
            return Verdict::unreadable(name, "fewer than four columns: name, bus, vid:pid, hex");
        };
        let Some((vendor_id, product_id)) = parse_ids(ids) else {
            return Verdict::unreadable(name, format!("`{ids}` is not vid:pid"));
        };
        let hex: String = hex.chars().filter(|c| !c.is_whitespace()).collect();
        let descriptor = match hex::decode(&hex) {
            Ok(descriptor) => descriptor,
            Err(error) => return Verdict::unreadable(name, format!("the fourth column is no hex: {error}")),
        };
        if let Err(error) = hid::caps(&descriptor) {
            return Verdict::unreadable(name, error);
        }
        let interface = RawInterface { class: 3, report_descriptor: Some(descriptor), ..Default::default() };
        let raw = RawUsb {
            vendor_id,
            product_id,
            product: Some(name.clone()),
            interfaces: vec![interface],
            ..RawUsb::default()
        };
        let mut state = State::default();
        state.put("judged", &usb::facts(&raw, &key));
        Verdict { label: name, found: Ok(findings(&state, weights)) }
    })
}

/// `046d:c52b`.
pub fn parse_ids(text: &str) -> Option<(u16, u16)> {
    let (vendor, product) = text.split_once(':')?;
    Some((u16::from_str_radix(vendor.trim(), 16).ok()?, u16::from_str_radix(product.trim(), 16).ok()?))
}
