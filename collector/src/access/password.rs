//! Passwords of people: argon2id, never kept or logged.

use argon2::password_hash::{PasswordHash, SaltString};
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use secrecy::{ExposeSecret as _, SecretString};

use crate::app::draw_from_system;

/// Fewest characters of a password that a person chooses.
pub const SHORTEST: usize = 12;

/// Letters and digits that are not mistaken for each other.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Hash of nothing that anybody types; costs as much as a real one.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Draws a password of 100 bits: four groups of five.
pub fn generate() -> SecretString {
    let drawn = draw_from_system();
    let letter = |place: u32| char::from(LETTERS[(drawn >> (5 * place)) as usize & 31]);
    let groups: Vec<String> = (0..4).map(|group| (0..5).map(|i| letter(group * 5 + i)).collect()).collect();
    groups.join("-").into()
}

/// Hashes a password with argon2id for keeping, as a PHC string. Takes some tens of milliseconds of CPU: call it
/// off the async threads.
pub fn hash(password: &SecretString) -> anyhow::Result<String> {
    let salt = SaltString::encode_b64(&draw_from_system().to_le_bytes())
        .map_err(|e| anyhow::anyhow!("cannot make a salt: {e}"))?;
    let hashed = Argon2::default()
        .hash_password(password.expose_secret().as_bytes(), &salt)
        .map_err(|e| anyhow::anyhow!("cannot hash the password: {e}"))?;
    Ok(hashed.to_string())
}

/// Whether a password is the one that was hashed. As slow as [`hash`]; `kept` of `None` (no such user) takes as
/// long, so that the time does not tell which names exist.
pub fn verify(password: &SecretString, kept: Option<&str>) -> bool {
    let Ok(parsed) = PasswordHash::new(kept.unwrap_or(NOBODY)) else { return false };
    let fits = Argon2::default().verify_password(password.expose_secret().as_bytes(), &parsed).is_ok();
    fits && kept.is_some()
}

/// Whether a password that a person chose is long enough to be taken.
pub fn check(password: &SecretString) -> anyhow::Result<()> {
    let length = password.expose_secret().chars().count();
    anyhow::ensure!(length >= SHORTEST, "the password has {length} characters; take at least {SHORTEST}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_another_is_not() {
        let password = generate();
        let kept = hash(&password).unwrap();
        assert!(kept.starts_with("$argon2id$"));
        assert!(verify(&password, Some(&kept)));
        assert!(!verify(&generate(), Some(&kept)));
        assert!(!verify(&password, None));
        assert!(!verify(&password, Some("not a hash")));
    }

    #[test]
    fn the_hash_of_nobody_can_be_read_so_that_it_costs_as_much() {
        assert!(PasswordHash::new(NOBODY).is_ok());
    }

    #[test]
    fn generated_passwords_are_long_and_differ() {
        let (one, other) = (generate(), generate());
        assert!(check(&one).is_ok());
        assert_ne!(one.expose_secret(), other.expose_secret());
        assert!(check(&"short".to_owned().into()).is_err());
    }
}
