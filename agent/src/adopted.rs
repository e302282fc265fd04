//! What the collector signed for the agents and this one has adopted: policy and catalogue.
//!
//! The last good envelope of each is kept and checked again at every start; a refused one changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ed25519_dalek::VerifyingKey;
use farmwatch_shared::catalogue::Catalogue;
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::policy::AgentPolicy;
use farmwatch_shared::sealed::{self, Envelope, Purpose, Sealed};
use farmwatch_shared::wire::CatalogueFile;
use jiff::Timestamp;

use crate::files::{self, Readers};

/// What is adopted.
#[derive(Debug)]
pub struct Adopted {
    /// The policy, the default one before the first.
    pub policy: AgentPolicy,
    /// Its counter; 0 before the first.
    pub policy_counter: u64,
    /// The catalogue: the shipped one before the first.
    pub catalogue: Arc<Catalogue>,
    /// Its counter; 0 before the first.
    pub catalogue_counter: u64,
}

impl Default for Adopted {
    fn default() -> Self {
        Self {
            policy: AgentPolicy::default(),
            policy_counter: 0,
            catalogue: Arc::new(Catalogue::shipped()),
            catalogue_counter: 0,
        }
    }
}

impl Adopted {
    /// Reads what was adopted, and says what of it no longer holds.
    pub fn read(state: &Path, key: &VerifyingKey, device: &DeviceId) -> (Self, Vec<String>) {
        let (mut adopted, mut notes) = (Self::default(), Vec::new());
        match kept::<AgentPolicy>(state, key, device) {
            Ok(Some(sealed)) => (adopted.policy, adopted.policy_counter) = (sealed.content, sealed.counter),
            Ok(None) => {}
            Err(why) => notes.push(why),
        }
        match kept::<CatalogueFile>(state, key, device) {
            Ok(Some(sealed)) => match parse(&sealed.content) {
                Ok(catalogue) => (adopted.catalogue, adopted.catalogue_counter) = (catalogue, sealed.counter),
                Err(why) => notes.push(why),
            },
            Ok(None) => {}
            Err(why) => notes.push(why),
        }
        (adopted, notes)
    }

    /// Adopts a policy, or says why not.
    pub fn take_policy(
        &mut self,
        envelope: &Envelope,
        key: &VerifyingKey,
        device: &DeviceId,
        now: Timestamp,
        state: &Path,
    ) -> Result<(), String> {
        let sealed = sealed::open::<AgentPolicy>(key, envelope, device, self.policy_counter, now)
            .map_err(|refusal| refusal.to_string())?;
        keep::<AgentPolicy>(state, envelope)?;
        (self.policy, self.policy_counter) = (sealed.content, sealed.counter);
        Ok(())
    }

    /// Adopts a catalogue, or says why not: it must also read.
    pub fn take_catalogue(
        &mut self,
        envelope: &Envelope,
        key: &VerifyingKey,
        device: &DeviceId,
        now: Timestamp,
        state: &Path,
    ) -> Result<(), String> {
        let sealed = sealed::open::<CatalogueFile>(key, envelope, device, self.catalogue_counter, now)
            .map_err(|refusal| refusal.to_string())?;
        let catalogue = parse(&sealed.content)?;
        keep::<CatalogueFile>(state, envelope)?;
        (self.catalogue, self.catalogue_counter) = (catalogue, sealed.counter);
        Ok(())
    }

    /// The spool's bound in bytes.
    pub fn spool_bound(&self) -> u64 {
        u64::from(self.policy.spool_mib.clamp(1, 4096)) << 20
    }

    /// The span between heartbeats.
    pub fn heartbeat(&self) -> std::time::Duration {
        std::time::Duration::from_secs(u64::from(self.policy.heartbeat_seconds.clamp(10, 3600)))
    }
}

fn parse(file: &CatalogueFile) -> Result<Arc<Catalogue>, String> {
    Catalogue::parse(&file.text).map(Arc::new).map_err(|e| format!("the catalogue does not read: {e}"))
}

fn path<T: Purpose>(state: &Path) -> PathBuf {
    state.join(format!("{}.json", T::WORD))
}

fn keep<T: Purpose>(state: &Path, envelope: &Envelope) -> Result<(), String> {
    files::write_json(&path::<T>(state), envelope, Readers::Agent).map_err(|e| format!("{e:#}"))
}

/// The kept envelope's content. Its time may have passed since: the last good one holds until there is a
/// better one.
fn kept<T: Purpose>(
    state: &Path,
    key: &VerifyingKey,
    device: &DeviceId,
) -> Result<Option<Sealed<T>>, String> {
    let envelope = files::read_json::<Envelope>(&path::<T>(state)).map_err(|e| format!("{e:#}"))?;
    let Some(envelope) = envelope else { return Ok(None) };
    sealed::open(key, &envelope, device, 0, Timestamp::MIN)
        .map(Some)
        .map_err(|refusal| format!("the kept {} is refused: {refusal}", T::WORD))
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;

    fn seal<T: Purpose>(key: &SigningKey, counter: u64, content: T) -> Envelope {
        let expires_at = Timestamp::from_second(1000).unwrap();
        sealed::seal(key, &Sealed { counter, expires_at, device: None, content }).unwrap()
    }

    #[test]
    fn the_last_good_ones_survive_bad_ones_and_restarts() {
        let dir = tempfile::tempdir().unwrap();
        let (key, device, now) =
            (SigningKey::from_bytes(&[7; 32]), DeviceId::new(1, 1), Timestamp::UNIX_EPOCH);
        let public = key.verifying_key();
        let policy = AgentPolicy { heartbeat_seconds: 60, ..AgentPolicy::default() };
        let mut adopted = Adopted::default();
        adopted.take_policy(&seal(&key, 3, policy.clone()), &public, &device, now, dir.path()).unwrap();

        let replayed = seal(&key, 3, AgentPolicy::default());
        let why = adopted.take_policy(&replayed, &public, &device, now, dir.path()).unwrap_err();
        assert!(why.contains("replayed"), "{why}");
        let forged = seal(&SigningKey::from_bytes(&[8; 32]), 9, AgentPolicy::default());
        assert!(adopted.take_policy(&forged, &public, &device, now, dir.path()).is_err());
        let junk = seal(&key, 4, CatalogueFile { text: "no catalogue at all \u{1}".into() });
        assert!(adopted.take_catalogue(&junk, &public, &device, now, dir.path()).is_err());

        let (read, notes) = Adopted::read(dir.path(), &public, &device);
        assert!(notes.is_empty(), "{notes:?}");
        assert_eq!((read.policy, read.policy_counter, read.catalogue_counter), (policy, 3, 0));
    }

    /// Signed, so by the collector's own key: somebody who got hold of it, or a mistake.
    #[test]
    fn a_hostile_catalogue_is_refused_within_bounds_and_the_last_good_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (key, device, now) =
            (SigningKey::from_bytes(&[7; 32]), DeviceId::new(1, 1), Timestamp::UNIX_EPOCH);
        let public = key.verifying_key();
        let head = "farmwatch-catalogue 2\ntool x rmm X\n";
        let good = format!("{head}linux process xagent\n");
        let mut adopted = Adopted::default();
        adopted
            .take_catalogue(
                &seal(&key, 1, CatalogueFile { text: good.clone() }),
                &public,
                &device,
                now,
                dir.path(),
            )
            .unwrap();

        let globs =
            (0..600_000).map(|n| format!("linux process {n:06}agent*\n")).collect::<Vec<_>>().concat();
        let hostile = [
            ("ten million bytes of globs", format!("{head}{globs}")),
            ("more entries than are read", head.to_owned() + &"linux process xagent\n".repeat(30_000)),
            (
                "more tools than are read",
                "farmwatch-catalogue 2\n".to_owned() + &"tool x rmm X\n".repeat(5_000),
            ),
            ("names that all begin alike", head.to_owned() + &"linux process agent*x\n".repeat(300)),
            ("names that begin with stars", head.to_owned() + &"linux process *agent\n".repeat(60)),
            ("a name of stars", format!("{head}linux process {}\n", "a*".repeat(100))),
            ("one line of a megabyte", format!("{head}linux process {}\n", "a".repeat(1_000_000))),
            ("sixteen megabytes of zeros", "\0".repeat(16 << 20)),
            ("marks without end", head.to_owned() + &"linux mark mark of a tool\n".repeat(65)),
        ];
        for (n, (what, text)) in hostile.into_iter().enumerate() {
            let counter = 2 + u64::try_from(n).unwrap();
            let envelope = seal(&key, counter, CatalogueFile { text });
            let began = std::time::Instant::now();
            let why = adopted.take_catalogue(&envelope, &public, &device, now, dir.path()).unwrap_err();
            assert!(why.contains("does not read") && why.len() < 1000, "{what}: {why}");
            assert!(began.elapsed().as_secs() < 20, "{what}: {:?}", began.elapsed());
        }
        let nested = Envelope { payload: nested(100_000), signature: String::new() };
        assert!(adopted.take_catalogue(&nested, &public, &device, now, dir.path()).is_err());
        assert_eq!((adopted.catalogue.text(), adopted.catalogue_counter), (&*good, 1));

        let (read, notes) = Adopted::read(dir.path(), &public, &device);
        assert_eq!((read.catalogue.text(), notes.len()), (&*good, 0), "{notes:?}");
    }

    /// What lies on the disk may have been put there by somebody else.
    #[test]
    fn a_kept_catalogue_that_was_tampered_with_is_refused_and_the_shipped_one_serves() {
        let dir = tempfile::tempdir().unwrap();
        let (key, device) = (SigningKey::from_bytes(&[7; 32]), DeviceId::new(1, 1));
        let path = path::<CatalogueFile>(dir.path());
        let deep = format!("{{\"payload\": {}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
        let sparse = std::fs::File::create(dir.path().join("sparse")).unwrap();
        sparse.set_len(1 << 30).unwrap();
        for (what, put) in [("deep", Some(deep)), ("junk", Some("{}".into())), ("a gigabyte", None)] {
            match put {
                Some(text) => std::fs::write(&path, text).unwrap(),
                None => drop(std::fs::rename(dir.path().join("sparse"), &path)),
            }
            let (read, notes) = Adopted::read(dir.path(), &key.verifying_key(), &device);
            assert_eq!(notes.len(), 1, "{what}: {notes:?}");
            assert_eq!(read.catalogue.text(), Catalogue::shipped().text(), "{what}");
        }
    }

    fn nested(depth: usize) -> String {
        use base64::Engine as _;
        let text = format!("{{\"content\": {}1{}}}", "{\"a\":".repeat(depth), "}".repeat(depth));
        base64::engine::general_purpose::STANDARD.encode(text)
    }
}
