//! Windows: the service control manager.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use windows_registry::LOCAL_MACHINE;
use windows_service::service::{
    Service, ServiceAccess, ServiceAction, ServiceActionType, ServiceErrorControl, ServiceFailureActions,
    ServiceFailureResetPeriod, ServiceInfo, ServiceStartType, ServiceState, ServiceType,
};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use super::super::os::NAME;
use crate::system::{self, Readers};

const DESCRIPTION: &str =
    "Observes this laptop for signs of remote hands and reports them to the company's Farmwatch collector.";
/// The manager starts the service again after this long.
const RESTARTS: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(30), Duration::from_mins(2)];
/// A service that runs this long without failing has failed for the first time when it next does.
const FORGET: Duration = Duration::from_hours(1);
/// How long a service may take to stop.
const STOPS: Duration = Duration::from_secs(30);

/// What the agent keeps in the registry.
const REGISTRY: &str = r"SOFTWARE\Farmwatch";

/// Makes the folders and the service; one that is there is changed to run this program, and if it ran, it runs again.
pub fn install(config: &Path, state: &Path) -> anyhow::Result<()> {
    if let Some(folder) = config.parent() {
        make_folder(folder, Readers::All)?;
    }
    make_folder(state, Readers::Agent)?;
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let mut arguments: Vec<OsString> = vec!["run".into()];
    if config != system::config_path() {
        arguments.extend(["--config".into(), config.as_os_str().to_owned()]);
    }
    if state != system::state_path() {
        arguments.extend(["--state".into(), state.as_os_str().to_owned()]);
    }
    let info = ServiceInfo {
        name: NAME.into(),
        display_name: "Farmwatch agent".into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: program,
        launch_arguments: arguments,
        dependencies: Vec::new(),
        account_name: None,
        account_password: None,
    };
    let access = ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE;
    let manager = manager(access)?;
    let rights = ServiceAccess::CHANGE_CONFIG
        | ServiceAccess::START
        | ServiceAccess::STOP
        | ServiceAccess::QUERY_STATUS;
    let (service, ran) = match manager.open_service(NAME, rights) {
        Ok(service) => {
            let ran = stop(&service)?;
            service.change_config(&info).context("cannot change the service")?;
            (service, ran)
        }
        Err(_) => (manager.create_service(&info, rights).context("cannot create the service")?, false),
    };
    let actions = RESTARTS.map(|delay| ServiceAction { action_type: ServiceActionType::Restart, delay });
    let recovery = ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(FORGET),
        reboot_msg: None,
        command: None,
        actions: Some(actions.to_vec()),
    };
    let dressed = service
        .set_description(DESCRIPTION)
        .and_then(|()| service.update_failure_actions(recovery))
        .and_then(|()| service.set_failure_actions_on_non_crash_failures(true));
    if let Err(error) = dressed {
        tracing::warn!(%error, "the service is installed, but will not be started again when it fails");
    }
    if ran {
        let start = service.start::<&OsStr>(&[]);
        start.with_context(|| format!("the service is changed, but does not start: sc start {NAME}"))?;
    }
    Ok(())
}

/// Stops the service and removes it.
pub fn remove() -> anyhow::Result<()> {
    let manager = manager(ServiceManagerAccess::CONNECT)?;
    let rights = ServiceAccess::STOP | ServiceAccess::QUERY_STATUS | ServiceAccess::DELETE;
    let service = manager.open_service(OsStr::new(NAME), rights).context("there is no such service")?;
    stop(&service)?;
    service.delete().context("cannot remove the service")?;
    // It names this run of Windows only; nothing is lost with it.
    let _ = LOCAL_MACHINE.remove_tree(REGISTRY);
    Ok(())
}

/// Stops the service if it runs, waits for its end, and answers whether it ran.
fn stop(service: &Service) -> anyhow::Result<bool> {
    let runs = || service.query_status().is_ok_and(|status| status.current_state != ServiceState::Stopped);
    if !runs() {
        return Ok(false);
    }
    let _ = service.stop();
    let deadline = Instant::now() + STOPS;
    while runs() {
        if Instant::now() > deadline {
            bail!("the service did not stop within {} s; end it and try again", STOPS.as_secs());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(true)
}

fn make_folder(folder: &Path, readers: Readers) -> anyhow::Result<()> {
    system::make_folder(folder, readers)
        .with_context(|| format!("cannot make {}; run this as administrator", folder.display()))
}

fn manager(access: ServiceManagerAccess) -> anyhow::Result<ServiceManager> {
    ServiceManager::local_computer(None::<&str>, access)
        .context("the service manager does not let us; run this as administrator")
}
