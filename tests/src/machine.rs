//! A machine made of files, for an agent to look at instead of this one, and for a test to change.

use std::io;
use std::path::{Path, PathBuf};

/// The folder that is its root.
pub struct Machine {
    root: PathBuf,
}

impl Machine {
    /// A laptop on mains with its lid open. `id` are eight hex digits that name its hardware.
    pub fn new(root: &Path, id: &str) -> io::Result<Self> {
        let machine = Self { root: root.to_owned() };
        machine.write("etc/machine-id", &id.repeat(4))?;
        machine.write("etc/hostname", &format!("laptop-{id}"))?;
        machine.write("etc/timezone", "Europe/Berlin")?;
        machine.write("sys/class/power_supply/AC/type", "Mains")?;
        machine.write("sys/class/power_supply/BAT0/type", "Battery")?;
        machine.write("usr/bin/true", "")?;
        std::fs::create_dir_all(root.join("proc"))?;
        machine.mains(true)?;
        machine.lid(true)?;
        Ok(machine)
    }

    /// Its root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Plugs it in or pulls the plug. The agent sees it within two seconds.
    pub fn mains(&self, on: bool) -> io::Result<()> {
        self.write("sys/class/power_supply/AC/online", if on { "1" } else { "0" })
    }

    /// Opens or closes its lid, likewise.
    pub fn lid(&self, open: bool) -> io::Result<()> {
        let state = if open { "open" } else { "closed" };
        self.write("proc/acpi/button/lid/LID/state", &format!("state:      {state}"))
    }

    /// Installs a program, by the name that is executed. The agent sees it at once.
    pub fn install(&self, name: &str) -> io::Result<()> {
        self.write(&format!("usr/bin/{name}"), "#!")
    }

    /// Removes a program.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.root.join("usr/bin").join(name))
    }

    /// Writes a file of it whole: a sensor never sees it half-written.
    pub fn write(&self, path: &str, text: &str) -> io::Result<()> {
        let path = self.root.join(path);
        let folder = path.parent().unwrap_or(&self.root);
        std::fs::create_dir_all(folder)?;
        let temporary = self.root.join(".new");
        std::fs::write(&temporary, text)?;
        std::fs::rename(&temporary, &path)
    }
}
