//! What IT has said: sanctioned places, exceptions, policy; and what a rule needs of it for one device.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;

use farmwatch_shared::id::DeviceId;
use farmwatch_shared::rules::Context;
use ipnet::IpNet;
use jiff::Timestamp;

use super::anchors::prefix;
use crate::app::App;
use crate::policy::Policy;
use crate::store::{Anchor, AnchorKind, Asset, Device, Exception, ExceptionScope, Place, Result};

/// Where the store keeps when the asset list was last imported.
pub const ASSETS_AT: &str = "assets_at";

/// What IT has said, read once for a batch of devices.
#[derive(Clone, Debug)]
pub struct Known {
    places: Vec<KnownPlace>,
    exceptions: Vec<Exception>,
    policy: Policy,
    /// There is an asset list.
    pub has_assets: bool,
    /// Changes when anything of this does, or the weights or the asset list do.
    pub fingerprint: u64,
}

#[derive(Clone, Debug)]
struct KnownPlace {
    name: String,
    networks: Vec<IpNet>,
    gateways: BTreeSet<String>,
    exit: bool,
}

impl Known {
    /// Reads it.
    pub async fn load(app: &App, now: Timestamp) -> Result<Self> {
        let places = app.store.places().await?;
        let exceptions = app.store.exceptions(now).await?;
        let has_assets = app.store.has_assets().await?;
        let imported = app.store.value(ASSETS_AT).await?;
        let mut known = Self::new(places, exceptions, app.policy.clone(), has_assets);
        let mut hasher = DefaultHasher::new();
        let live = (app.policy.fingerprint(), app.weights.fingerprint());
        (known.fingerprint, live, imported).hash(&mut hasher);
        known.fingerprint = hasher.finish();
        Ok(known)
    }

    /// From its parts.
    pub fn new(places: Vec<Place>, exceptions: Vec<Exception>, policy: Policy, has_assets: bool) -> Self {
        let mut hasher = DefaultHasher::new();
        format!("{places:?} {exceptions:?} {has_assets}").hash(&mut hasher);
        let places = places.into_iter().map(|place| KnownPlace {
            networks: place.networks.iter().filter_map(|text| network(text)).collect(),
            gateways: place.gateways.into_iter().collect(),
            name: place.name,
            exit: place.exit,
        });
        Self { places: places.collect(), exceptions, policy, has_assets, fingerprint: hasher.finish() }
    }

    /// An exception covers all about the device.
    pub fn covers(&self, device: &DeviceId) -> bool {
        self.exceptions.iter().any(|exception| exception.covers(device))
    }

    /// The address is an exit's: laptops that stand elsewhere come out of it.
    pub fn is_exit(&self, address: Option<IpAddr>) -> bool {
        self.places.iter().any(|place| place.exit && place.holds(address))
    }

    /// The sanctioned place in which a device with these anchors stands. An exit is none.
    pub fn stands_in(&self, address: Option<IpAddr>, anchors: &[&Anchor]) -> Option<String> {
        let at_gateway = |place: &KnownPlace| {
            anchors.iter().any(|a| a.kind == AnchorKind::Gateway && place.gateways.contains(&a.value))
        };
        let place = self.places.iter().find(|p| at_gateway(p) || (!p.exit && p.holds(address)));
        let excepted = |exception: &Exception| match &exception.scope {
            ExceptionScope::Place(value) => {
                address.and_then(prefix).as_ref() == Some(value) || anchors.iter().any(|a| a.value == *value)
            }
            _ => false,
        };
        let exception =
            || self.exceptions.iter().find(|e| excepted(e)).map(|e| format!("exception {}", e.id));
        place.map(|place| place.name.clone()).or_else(exception)
    }

    /// A hash (of an account, of a serial number) that IT does not sanction: it may speak.
    pub fn speaks(&self, hash: &str) -> bool {
        let listed = |list: &[String]| list.iter().any(|value| value == hash);
        let excepted = self.exceptions.iter().any(|e| match &e.scope {
            ExceptionScope::Account(value) | ExceptionScope::Thing(value) => value == hash,
            _ => false,
        });
        !listed(&self.policy.sanctioned_accounts) && !listed(&self.policy.sanctioned_things) && !excepted
    }

    /// Tools that IT sanctions on a device, by their ids in the catalogue.
    pub fn sanctioned_tools<'a>(&'a self, device: &'a DeviceId) -> impl Iterator<Item = &'a str> {
        let excepted = self.exceptions.iter().filter_map(|exception| match &exception.scope {
            ExceptionScope::Tool(tool) => Some(tool),
            ExceptionScope::DeviceTool(named, tool) if named == device.as_str() => Some(tool),
            _ => None,
        });
        self.policy.sanctioned_tools.iter().chain(excepted).map(String::as_str)
    }

    /// Whether IT sanctions a tool on every laptop.
    pub fn sanctions_everywhere(&self, tool: &str) -> bool {
        let excepted = |e: &Exception| matches!(&e.scope, ExceptionScope::Tool(of_all) if of_all == tool);
        self.policy.sanctioned_tools.iter().any(|of_all| of_all == tool)
            || self.exceptions.iter().any(excepted)
    }

    /// What the rules need for one device; see [`Self::stands_in`].
    pub fn context(
        &self,
        device: &Device,
        asset: Option<&Asset>,
        stands_in_place: bool,
        min_rtt_ms: Option<u32>,
    ) -> Context {
        let mut context = Context {
            country: device.country.clone(),
            hosting_network: device.network.as_deref().is_some_and(is_hosting),
            sanctioned_place: stands_in_place || self.is_exit(device.public_address),
            expected_country: asset.map(|a| a.expected_country.clone()).filter(|country| !country.is_empty()),
            min_rtt_ms,
            sanctioned_tools: self.sanctioned_tools(&device.id).map(str::to_owned).collect(),
            sanctioned_accounts: self.policy.sanctioned_accounts.clone(),
            sanctioned_things: self.policy.sanctioned_things.clone(),
            judge_locale: self.policy.judge_locale,
            ..Context::default()
        };
        for exception in &self.exceptions {
            match &exception.scope {
                ExceptionScope::Account(hash) => context.sanctioned_accounts.push(hash.clone()),
                ExceptionScope::Thing(thing) => context.sanctioned_things.push(thing.clone()),
                _ => {}
            }
        }
        context
    }
}

impl KnownPlace {
    fn holds(&self, address: Option<IpAddr>) -> bool {
        let Some(address) = address.map(|a| a.to_canonical()) else { return false };
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// A network or a single address.
pub fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// Words in the names of networks whose addresses are servers', not homes'. A coarse list; an operator's data
/// file names the network.
const HOSTING: [&str; 16] = [
    "hosting",
    "datacenter",
    "data center",
    "datacamp",
    "cloud",
    "vps",
    "colo",
    "dedicated",
    "amazon",
    "google",
    "digitalocean",
    "hetzner",
    "ovh",
    "linode",
    "m247",
    "leaseweb",
];

fn is_hosting(network: &str) -> bool {
    let network = network.to_ascii_lowercase();
    // Google Fiber is a home's provider.
    !network.contains("fiber") && HOSTING.iter().any(|word| network.contains(word))
}
