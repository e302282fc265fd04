use std::process::ExitCode;

use farmwatch_shared::facts::{IsolationState, SensorState};
use jiff::Timestamp;

use super::{Global, config, print_json, table};
use crate::files;
use crate::service::status::Status;
use crate::system;

/// Says how the agent does. Exit code 1 if it does not run.
pub fn run(global: &Global) -> anyhow::Result<ExitCode> {
    let config = config(global)?;
    let status = files::read_json::<Status>(&Status::path(&config.state))?;
    let runs = status.as_ref().is_some_and(|s| system::is_agent(s.pid));
    let code = if runs { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if global.json {
        print_json(&serde_json::json!({ "running": runs, "status": status }))?;
        return Ok(code);
    }
    let Some(status) = status else {
        anstream::println!(
            "The agent has never run with the state folder {}. Enrol it with `farmwatch-agent enrol`, then start it.",
            config.state.display()
        );
        return Ok(code);
    };
    anstream::print!("{}", text(&status, runs, Timestamp::now()));
    Ok(code)
}

fn text(status: &Status, runs: bool, now: Timestamp) -> String {
    let mut rows = vec![
        ("Agent", if runs { format!("runs (version {})", status.version) } else { "does not run".into() }),
        ("Device", status.device.clone()),
        ("Collector", status.collector.clone()),
        ("Reached", status.reached_at.map_or("not yet".into(), |at| ago(at, now))),
    ];
    if let Some(trouble) = &status.trouble {
        rows.push(("Trouble", trouble.clone()));
    }
    rows.push(("Waiting", format!("{} bytes of reports", status.waiting_bytes)));
    if status.dropped_windows > 0 {
        rows.push(("Dropped", format!("{} activity windows (the spool was full)", status.dropped_windows)));
    }
    let catalogue = if status.catalogue == 0 { "shipped".into() } else { status.catalogue.to_string() };
    rows.push(("Policy", format!("{} · catalogue {catalogue} · level {}", status.policy, status.level)));
    if let Some(at) = status.certificate_expires_at {
        rows.push(("Certificate", format!("until {at}")));
    }
    if let Some(isolation) = &status.isolation {
        rows.push((
            "Isolation",
            match isolation.state {
                IsolationState::Isolated => format!("cut off until {}", isolation.until.unwrap_or_default()),
                IsolationState::Released => "was released".into(),
                IsolationState::Failed => {
                    format!("failed: {}", isolation.error.as_deref().unwrap_or_default())
                }
                IsolationState::Other => "unknown".into(),
            },
        ));
    }
    if !status.managed.is_empty() {
        rows.push(("Managed", format!("by your organisation: {}", status.managed.join(", "))));
    }
    for (name, sensor) in &status.sensors {
        let word = match sensor.state {
            SensorState::Ok => "ok",
            SensorState::NotSupported => "not supported",
            SensorState::NotPermitted => "not permitted",
            SensorState::Blind => "blind",
            SensorState::OffByPolicy => "off by policy",
            SensorState::Other => "unknown",
        };
        let reason = sensor.reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
        rows.push(("Sensor", format!("{name} {word}{reason}")));
    }
    table(rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect())
}

fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use farmwatch_shared::facts::SensorStatus;

    use super::*;

    #[test]
    fn a_person_sees_at_a_glance_what_is_wrong() {
        let status = Status {
            version: "0.1.0".into(),
            device: "dev_1".into(),
            collector: "https://farmwatch.example.com:8443/".into(),
            reached_at: Some(Timestamp::from_second(1000).unwrap()),
            trouble: Some("cannot reach it".into()),
            waiting_bytes: 1234,
            level: 1,
            sensors: [(
                "usb_device".to_owned(),
                SensorStatus::new(SensorState::Blind, "/sys/bus/usb is empty"),
            )]
            .into(),
            ..Status::default()
        };
        insta::assert_snapshot!(text(&status, true, Timestamp::from_second(2000).unwrap()));
    }
}
