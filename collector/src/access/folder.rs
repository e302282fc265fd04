//! The state folder: keys, certificates, database. Whoever can read it can enrol laptops and sign orders, so only
//! its owner may.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use crate::app::draw_from_system;

/// The state folder.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at a path, whether it is there or not.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder, for its owner only. One that is there already keeps its owner and loses others' rights.
    pub fn create(&self) -> anyhow::Result<()> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .with_context(|| format!("cannot create the state folder {}", self.path.display()))?;
        let only_owner = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&self.path, only_owner)
            .with_context(|| format!("cannot close {} to others", self.path.display()))
    }

    /// Whether `init` was here.
    pub fn is_ready(&self) -> bool {
        self.ca_certificate().is_file() && self.ca_key().is_file()
    }

    /// The authority's certificate, PEM.
    pub fn ca_certificate(&self) -> PathBuf {
        self.path.join("ca.pem")
    }

    /// The authority's key, PEM.
    pub fn ca_key(&self) -> PathBuf {
        self.path.join("ca.key")
    }

    /// Certificate of the agents' listener, PEM.
    pub fn server_certificate(&self) -> PathBuf {
        self.path.join("agents.pem")
    }

    /// Its key, PEM.
    pub fn server_key(&self) -> PathBuf {
        self.path.join("agents.key")
    }

    /// The key that signs orders, policy and catalogue: 64 hex digits.
    pub fn order_key(&self) -> PathBuf {
        self.path.join("order.key")
    }

    /// The tenant's key, with which agents hash: 64 hex digits.
    pub fn tenant_hash_key(&self) -> PathBuf {
        self.path.join("tenant-hash.key")
    }

    /// The key with which the collector hashes again: 64 hex digits.
    pub fn store_hash_key(&self) -> PathBuf {
        self.path.join("store-hash.key")
    }

    /// The SQLite database.
    pub fn database(&self) -> PathBuf {
        self.path.join("farmwatch.db")
    }

    /// A catalogue for the agents that is newer than the one they ship with; put there by IT.
    pub fn catalogue(&self) -> PathBuf {
        self.path.join("catalogue.txt")
    }

    /// Reads 32 secret bytes that a file holds as hex digits.
    pub fn read_key(&self, file: &Path) -> anyhow::Result<[u8; 32]> {
        let text = read_secret(file)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.expose_secret().trim(), &mut bytes).map_err(|_| {
            anyhow::anyhow!("{} should hold 64 hex digits; restore it from the backup", file.display())
        })?;
        Ok(bytes)
    }

    /// Draws 32 secret bytes and keeps them in a file as hex digits, unless the file is there.
    pub fn ensure_key(&self, file: &Path) -> anyhow::Result<()> {
        if file.exists() {
            return self.read_key(file).map(|_| ());
        }
        let halves = [draw_from_system().to_le_bytes(), draw_from_system().to_le_bytes()];
        let bytes: SecretSlice<u8> = halves.concat().into();
        let text: SecretString = format!("{}\n", hex::encode(bytes.expose_secret())).into();
        self.write(file, text.expose_secret().as_bytes())
    }

    /// Writes a file that only the folder's owner may read, whole or not at all.
    pub fn write(&self, file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
        write_private(file, bytes)?;
        self.hand_over(file)
    }

    /// Gives a file to the folder's owner: an administrator who runs `init` as root must not lock the service out.
    pub fn hand_over(&self, file: &Path) -> anyhow::Result<()> {
        let owner = std::fs::metadata(&self.path)
            .with_context(|| format!("cannot look at the state folder {}", self.path.display()))?;
        let now = std::fs::metadata(file).with_context(|| format!("cannot look at {}", file.display()))?;
        if (now.uid(), now.gid()) == (owner.uid(), owner.gid()) {
            return Ok(());
        }
        chown(file, Some(owner.uid()), Some(owner.gid())).with_context(|| {
            format!("cannot give {} to the owner of {}", file.display(), self.path.display())
        })
    }
}

/// Reads a file of secret text.
pub fn read_secret(file: &Path) -> anyhow::Result<SecretString> {
    let text = std::fs::read_to_string(file).with_context(|| {
        format!("cannot read {}; run `farmwatch-collector init`, as the user that owns it", file.display())
    })?;
    Ok(text.into())
}

/// Writes a file that only its owner may read, whole or not at all: into a new file beside it, synced, renamed.
fn write_private(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let beside = file.with_file_name(format!(
        ".{}.{:032x}",
        file.file_name().unwrap_or_default().to_string_lossy(),
        draw_from_system()
    ));
    let written = write_and_rename(&beside, file, bytes);
    if written.is_err() {
        // Nothing else names this file, and what is left of it is of no use; the first error is the one to tell.
        let _ = std::fs::remove_file(&beside);
    }
    written.with_context(|| format!("cannot write {}", file.display()))
}

fn write_and_rename(beside: &Path, file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut open = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
    open.write_all(bytes)?;
    open.sync_all()?;
    std::fs::rename(beside, file)?;
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_drawn_once_and_only_their_owner_reads_them() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::at(&root.path().join("state"));
        folder.create().unwrap();
        let file = folder.order_key();
        folder.ensure_key(&file).unwrap();
        let first = folder.read_key(&file).unwrap();
        folder.ensure_key(&file).unwrap();
        assert_eq!(folder.read_key(&file).unwrap(), first);
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(folder.path()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_damaged_key_is_never_replaced() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::at(root.path());
        std::fs::write(folder.order_key(), "not hex").unwrap();
        let error = folder.ensure_key(&folder.order_key()).unwrap_err().to_string();
        assert!(error.contains("order.key") && error.contains("backup"), "{error}");
    }
}
