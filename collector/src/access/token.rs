//! Enrolment tokens: `fwt_` (several uses) or `fwo_` (once), 32 letters and digits, a dot, and the first half of
//! the SHA-256 of the authority's certificate, so that an agent knows the collector before it sends anything.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::authority::Authority;
use crate::app::draw_from_system;
use crate::store::Token;

/// Characters of a token that its listings show.
const HINT: usize = 10;
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// What a token is to be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// How many laptops may enrol with it.
    pub uses: u32,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Only for the hardware with this serial number.
    pub serial: Option<String>,
    /// What it is for.
    pub label: String,
}

/// Draws a token: the secret to hand out, and what is kept of it.
pub fn draw(wanted: Wanted, authority: &Authority, now: Timestamp) -> (SecretString, Token) {
    let prefix = if wanted.uses == 1 { "fwo_" } else { "fwt_" };
    let letters: String = (0..2).flat_map(|_| letters(draw_from_system())).collect();
    let secret = format!("{prefix}{letters}.{}", &authority.fingerprint()[..32]);
    let token = Token {
        hash: hash(&secret),
        hint: secret[..HINT].to_owned(),
        label: wanted.label,
        uses_left: wanted.uses,
        serial: wanted.serial,
        expires_at: wanted.expires_at,
        created_at: now,
    };
    (secret.into(), token)
}

/// What is kept of a token: SHA-256, hex. A token has 190 random bits, so no salt and no slow hash are needed.
pub fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

/// Whether a text looks like a token at all.
pub fn is_well_formed(token: &SecretString) -> bool {
    let text = token.expose_secret();
    let Some(rest) = text.strip_prefix("fwt_").or_else(|| text.strip_prefix("fwo_")) else { return false };
    let Some((letters, pin)) = rest.split_once('.') else { return false };
    letters.len() == 32
        && letters.bytes().all(|b| b.is_ascii_alphanumeric())
        && pin.len() == 32
        && pin.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Sixteen letters from 128 bits; the bias of dividing them out is below 2⁻³².
fn letters(mut drawn: u128) -> Vec<char> {
    let mut next = || {
        let letter = LETTERS[usize::try_from(drawn % 62).unwrap_or_default()];
        drawn /= 62;
        char::from(letter)
    };
    (0..16).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::folder::Folder;

    #[test]
    fn a_token_names_its_authority_and_only_its_hash_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let now: Timestamp = "2026-11-24T06:00:00Z".parse().unwrap();
        let folder = Folder::at(root.path());
        Authority::create(&folder, now).unwrap();
        let authority = Authority::load(&folder).unwrap();
        let wanted = Wanted { uses: 1, expires_at: now, serial: None, label: String::new() };
        let (secret, kept) = draw(wanted.clone(), &authority, now);
        assert!(is_well_formed(&secret));
        let text = secret.expose_secret();
        assert!(text.starts_with("fwo_") && text.starts_with(&kept.hint));
        assert!(authority.fingerprint().starts_with(text.split_once('.').unwrap().1));
        assert_eq!(kept.hash, hash(text));
        assert!(!format!("{kept:?}").contains(&text[HINT..36]));
        let (several, _) = draw(Wanted { uses: 2, ..wanted }, &authority, now);
        assert!(several.expose_secret().starts_with("fwt_"));
    }

    #[test]
    fn junk_is_no_token() {
        for junk in
            ["", "fwt_", "fwx_aaaa.bb", "fwt_äöü.0", &format!("fwt_{}.{}", "a".repeat(32), "g".repeat(32))]
        {
            assert!(!is_well_formed(&junk.to_owned().into()), "{junk}");
        }
    }
}
