//! `places`: where laptops may stand together.

use clap::{Args, Subcommand};

use super::{Context, output, sanctioned};
use crate::correlate::known::network;
use crate::store::{NewAudit, Place, SharedStore, queue_all};

/// Options of `places`.
#[derive(Args)]
pub struct PlacesArgs {
    #[command(subcommand)]
    command: PlacesCommand,
}

#[derive(Subcommand)]
enum PlacesCommand {
    /// List sanctioned places
    List,
    /// Add a place, or replace the one of that name
    Add {
        /// Its name: "Lisbon office"
        name: String,
        /// Public address or network of it: 203.0.113.0/24. May be given several times
        #[arg(long = "network", value_name = "ADDRESS")]
        networks: Vec<String>,
        /// Hash of a gateway of it, as a site's page shows it. May be given several times
        #[arg(long = "gateway", value_name = "HASH")]
        gateways: Vec<String>,
        /// Laptops that stand elsewhere come out of it: a VPN's exit, a proxy
        #[arg(long)]
        exit: bool,
    },
    /// Remove a place
    Remove {
        /// Its name
        name: String,
    },
}

/// Runs `places`.
pub async fn run(args: PlacesArgs, context: &Context) -> anyhow::Result<()> {
    let store = context.store().await?;
    match args.command {
        PlacesCommand::List => list(context, &store).await,
        PlacesCommand::Add { name, networks, gateways, exit } => {
            let place = Place { name, networks, gateways, exit };
            check(&place)?;
            let name = place.name.clone();
            store.put_place(place).await?;
            changed(&name, "add_place", context, &store).await
        }
        PlacesCommand::Remove { name } => {
            anyhow::ensure!(
                store.remove_place(&name).await?,
                "there is no place `{name}`; `farmwatch-collector places list` shows those there are"
            );
            changed(&name, "remove_place", context, &store).await
        }
    }
}

/// A place that can be found.
pub fn check(place: &Place) -> anyhow::Result<()> {
    anyhow::ensure!(!place.name.trim().is_empty(), "a place needs a name");
    for text in &place.networks {
        anyhow::ensure!(
            network(text).is_some(),
            "place `{}`: `{text}` is no address or network, such as 203.0.113.7 or 2001:db8::/48",
            place.name
        );
    }
    for text in &place.gateways {
        sanctioned::hash(text).map_err(|why| anyhow::anyhow!("place `{}`: gateway {why}", place.name))?;
    }
    anyhow::ensure!(
        !place.networks.is_empty() || !place.gateways.is_empty(),
        "place `{}` needs a network or a gateway",
        place.name
    );
    Ok(())
}

async fn list(context: &Context, store: &SharedStore) -> anyhow::Result<()> {
    let places = store.places().await?;
    if context.json() {
        return output::json(&places);
    }
    if places.is_empty() {
        output::line("no sanctioned place; `farmwatch-collector places add` adds one");
        return Ok(());
    }
    let mut table = output::table(&["place", "networks", "gateways", "exit"]);
    for place in places {
        let exit = if place.exit { "yes" } else { "" };
        table.add_row([place.name, place.networks.join(", "), place.gateways.join(", "), exit.to_owned()]);
    }
    output::line(table);
    Ok(())
}

async fn changed(name: &str, action: &str, context: &Context, store: &SharedStore) -> anyhow::Result<()> {
    let now = context.now();
    let entry = NewAudit {
        at: now,
        actor: context.actor(),
        action: action.to_owned(),
        object: format!("place/{name}"),
        why: "on the command line".to_owned(),
    };
    store.audit(entry).await?;
    // Where a laptop may stand is evidence: all are judged anew.
    queue_all(store, now).await?;
    if context.json() {
        return output::json(&serde_json::json!({ "place": name, "done": action }));
    }
    output::line(format!("{}: {name}", action.replace('_', " ")));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_with_a_mistyped_gateway_or_network_is_refused() {
        let place = |network: &str, gateway: &str| Place {
            name: "Porto".into(),
            networks: vec![network.into()],
            gateways: vec![gateway.into()],
            ..Place::default()
        };
        assert!(check(&place("203.0.113.0/24", "0123456789abcdef0123456789abcdef")).is_ok());
        let error = check(&place("203.0.113.0/24", "zzz")).unwrap_err().to_string();
        assert!(error.contains("Porto") && error.contains("`zzz`"), "{error}");
        assert!(check(&place("203.0.113", "0123456789abcdef0123456789abcdef")).is_err());
    }
}
