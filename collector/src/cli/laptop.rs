//! Which laptop a person means, and how it is told to people.

use std::collections::BTreeMap;

use farmwatch_shared::id::DeviceId;
use serde::Serialize;

use crate::store::{Device, DeviceFilter, Page, SharedStore, Standing};

/// Devices read at once while one is looked for.
const READ_AT_ONCE: u32 = 500;
/// Most devices that are listed where a name fits several.
const MOST_LISTED: usize = 20;

/// A device by its id, its serial number, or its host name; the latter two in any case of letters.
///
/// Laptops choose what they report as either, so a name that fits several is an error, whichever of the two it is: nobody
/// isolates the wrong one.
pub async fn find(name: &str, store: &SharedStore) -> anyhow::Result<Device> {
    if let Ok(id) = name.parse::<DeviceId>()
        && let Some(device) = store.device(&id).await?
    {
        return Ok(device);
    }
    let mut found = called(name, store).await?;
    if found.len() == 1
        && let Some(device) = found.pop()
    {
        return Ok(device);
    }
    anyhow::ensure!(
        !found.is_empty(),
        "there is no device with the id, serial number or host name `{name}`; `farmwatch-collector devices list` shows those \
         there are"
    );
    let (count, rest) = (found.len(), found.len().saturating_sub(MOST_LISTED));
    found.truncate(MOST_LISTED);
    let mut told: Vec<String> = found.iter().map(told).collect();
    if rest > 0 {
        told.push(format!("and {rest} more"));
    }
    anyhow::bail!("{count} devices go by `{name}`: {}; name one by its id", told.join("; "))
}

/// All devices with this serial number or host name.
async fn called(name: &str, store: &SharedStore) -> anyhow::Result<Vec<Device>> {
    let mut found = Vec::new();
    if name.is_empty() {
        return Ok(found);
    }
    let filter = DeviceFilter { text: Some(name.to_owned()), ..DeviceFilter::default() };
    let mut page = Page::first(READ_AT_ONCE);
    loop {
        let devices = store.devices(&filter, &page).await?;
        let more = page.turn(&devices, |device| device.id.to_string());
        let same = |text: &str| text.eq_ignore_ascii_case(name);
        found.extend(
            devices.into_iter().filter(|d| same(&d.hostname) || d.serial.as_deref().is_some_and(same)),
        );
        if !more {
            return Ok(found);
        }
    }
}

fn told(device: &Device) -> String {
    let serial =
        device.serial.as_ref().map_or_else(|| "no serial".into(), |serial| format!("serial {serial}"));
    let revoked = if device.standing == Standing::Revoked { ", revoked" } else { "" };
    format!("{} ({serial}, host {}{revoked})", device.id, device.hostname)
}

/// A laptop by name, and its id for programs and further commands.
pub fn named(device: &Device) -> String {
    if device.hostname.is_empty() {
        device.id.to_string()
    } else {
        format!("{} ({})", device.hostname, device.id)
    }
}

/// A laptop as an alert tells of it.
#[derive(Debug, PartialEq, Serialize)]
pub struct Laptop {
    /// Its id.
    pub id: DeviceId,
    /// Its host name.
    pub hostname: String,
    /// Its serial number.
    pub serial: Option<String>,
    /// Who has it, as the asset list says.
    pub user: Option<String>,
}

/// What is known of some devices; one that is not known goes by its id alone.
pub async fn laptops(ids: &[DeviceId], store: &SharedStore) -> anyhow::Result<Vec<Laptop>> {
    let mut laptops = Vec::new();
    for id in ids {
        let (mut hostname, mut serial, mut user) = (String::new(), None, None);
        if let Some(device) = store.device(id).await? {
            user = store.asset_of(&device).await?.map(|asset| asset.user).filter(|user| !user.is_empty());
            (hostname, serial) = (device.hostname, device.serial);
        }
        laptops.push(Laptop { id: id.clone(), hostname, serial, user });
    }
    Ok(laptops)
}

/// What to call them where there is room for one word: by host name, with the id where two of them share it.
pub fn short_names(laptops: &[Laptop]) -> BTreeMap<DeviceId, String> {
    let mut shared: BTreeMap<&str, usize> = BTreeMap::new();
    for laptop in laptops {
        *shared.entry(&laptop.hostname).or_default() += 1;
    }
    let name = |laptop: &Laptop| match shared.get(&*laptop.hostname) {
        _ if laptop.hostname.is_empty() => laptop.id.to_string(),
        Some(1) => laptop.hostname.clone(),
        _ => format!("{} ({})", laptop.hostname, laptop.id),
    };
    laptops.iter().map(|laptop| (laptop.id.clone(), name(laptop))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::suite::{enrol, enrolled, laptop};
    use crate::store::{Asset, sqlite};

    #[tokio::test]
    async fn a_laptop_is_found_by_id_serial_number_and_host_name() {
        let store = sqlite::in_memory().unwrap();
        for n in [1, 2, 12] {
            enrol(&store, n).await;
        }
        for name in [laptop(1).as_str(), "SN0001", "sn0001", "laptop-1", "LAPTOP-1"] {
            assert_eq!(find(name, &store).await.unwrap().id, laptop(1), "{name}");
        }
        for name in ["laptop", "SN000", "", "dev_nobody", "laptop-11"] {
            let error = find(name, &store).await.unwrap_err().to_string();
            assert!(error.contains("there is no device"), "{name}: {error}");
        }
    }

    #[tokio::test]
    async fn a_name_of_several_laptops_is_an_error_that_lists_them() {
        let store = sqlite::in_memory().unwrap();
        enrol(&store, 1).await;
        let copy = Device { hostname: "laptop-1".into(), ..enrolled(2) };
        store.add_device(copy).await.unwrap();
        let error = find("laptop-1", &store).await.unwrap_err().to_string();
        for told in [laptop(1).as_str(), "SN0001", laptop(2).as_str(), "SN0002"] {
            assert!(error.contains(told), "{told}: {error}");
        }
        // A laptop that takes another's serial number for a host name is not isolated in its place, nor the other way round.
        store.add_device(Device { hostname: "SN0002".into(), ..enrolled(3) }).await.unwrap();
        assert!(find("SN0002", &store).await.is_err());
        assert_eq!(find("SN0003", &store).await.unwrap().id, laptop(3));
    }

    #[tokio::test]
    async fn laptops_are_told_by_host_serial_and_person() {
        let store = sqlite::in_memory().unwrap();
        enrol(&store, 1).await;
        enrol(&store, 2).await;
        store.add_device(Device { hostname: "laptop-1".into(), ..enrolled(3) }).await.unwrap();
        let asset = Asset { serial: "SN0001".into(), user: "Ana Berg".into(), ..Asset::default() };
        store.put_assets(vec![asset]).await.unwrap();
        let all = laptops(&[1, 2, 3, 4].map(laptop), &store).await.unwrap();
        assert_eq!(
            (all[0].hostname.as_str(), all[0].serial.as_deref(), all[0].user.as_deref()),
            ("laptop-1", Some("SN0001"), Some("Ana Berg"))
        );
        assert_eq!(all[1].user, None);
        let names = short_names(&all);
        assert_eq!(names[&laptop(2)], "laptop-2");
        assert_eq!(names[&laptop(1)], format!("laptop-1 ({})", laptop(1)), "two go by this name");
        assert_eq!(names[&laptop(4)], laptop(4).as_str(), "not known");
    }
}
