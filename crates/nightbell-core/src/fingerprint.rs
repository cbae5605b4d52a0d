//! Fixed-size names for texts of any length.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// The first 16 bytes of a SHA-256: a name for an event id, an alert key or an alert. It is written to the ledger and
/// sent to xMatters, so the way it is computed never changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 16]);

impl Fingerprint {
    /// Names a sequence of texts. Each is preceded by its length, so that no two sequences run together.
    #[must_use]
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let whole = hash.finalize();
        let mut head = [0; 16];
        head.copy_from_slice(&whole[..16]);
        Self(head)
    }
}

/// 32 lower-case hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        // One write: it is in every log line and every request.
        out.write_str(std::str::from_utf8(&text).expect("digits are text"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// A text that is not 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not 32 hexadecimal digits")]
pub struct BadFingerprint;

impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(BadFingerprint);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| BadFingerprint)?;
        Ok(Self(number.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[&str]) -> Fingerprint {
        Fingerprint::of(parts.iter().map(|part| part.as_bytes()))
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a"]), of(&["a", ""]));
    }

    #[test]
    fn the_computation_never_changes() {
        assert_eq!(of(&["payments", "id-1"]).to_string(), "ceeed7ae8f7de406b86087040c2ba708");
    }

    #[test]
    fn it_reads_what_it_writes() {
        let name = of(&["x"]);
        assert_eq!(name.to_string().parse(), Ok(name));
        assert_eq!("+1234567890123456789012345678901".parse::<Fingerprint>(), Err(BadFingerprint));
    }
}
