//! How a worker proves to a command that it is the one that the command means: with a secret in a file of its data folder,
//! which never travels. The command sends a random number, and the worker answers with a code of the secret, the number and
//! the address where it was asked: so that an answer is of no use a second time, and none can be had from the worker for
//! somebody who listens elsewhere.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign, verify};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use crate::answer::Problem;

/// The file of the secret, in the data folder.
pub const KEY_FILE: &str = "worker.key";

/// The route.
pub(crate) const PATH: &str = "/v1/proof";

/// The header with the random number, as hexadecimal digits.
pub(crate) const NONCE_HEADER: &str = "nightbell-nonce";

const SECRET_BYTES: usize = 32;
const NONCE_CHARS: usize = 64;

/// A worker's secret.
#[derive(Clone)]
pub struct WorkerKey(Arc<Key>);

/// Where a connection of the server's came in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CameIn(pub(crate) SocketAddr);

impl WorkerKey {
    /// Makes a new one in the data folder, for its owner alone to read.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn make(data_dir: &Path) -> io::Result<Self> {
        let secret: [u8; SECRET_BYTES] = rand::random();
        // It is readable by its owner alone from the beginning.
        let mut file = tempfile::NamedTempFile::new_in(data_dir)?;
        file.write_all(&secret)?;
        file.persist(data_dir.join(KEY_FILE))?;
        Ok(Self::of(&secret))
    }

    /// Reads that of the worker that runs or ran last with this data folder.
    ///
    /// # Errors
    /// There is none, or this user may not read it.
    pub fn read(data_dir: &Path) -> io::Result<Self> {
        let mut secret = Vec::new();
        File::open(data_dir.join(KEY_FILE))?.take(SECRET_BYTES as u64 + 1).read_to_end(&mut secret)?;
        if secret.len() == SECRET_BYTES {
            return Ok(Self::of(&secret));
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "it is no worker's key; start the worker anew"))
    }

    fn of(secret: &[u8]) -> Self {
        Self(Arc::new(Key::new(HMAC_SHA256, secret)))
    }

    /// The answer to a number, where it was asked.
    pub(crate) fn answer(&self, nonce: &str, at: SocketAddr) -> String {
        hex(sign(&self.0, &told(nonce, at)).as_ref())
    }

    /// Whether an answer is right; compared in constant time.
    pub(crate) fn is_answer(&self, nonce: &str, at: SocketAddr, answer: &[u8]) -> bool {
        let digits = answer.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
        let code: Option<Vec<u8>> = digits.collect();
        code.is_some_and(|code| verify(&self.0, &told(nonce, at), &code).is_ok())
    }
}

impl std::fmt::Debug for WorkerKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("WorkerKey")
    }
}

/// A number that nobody has used before.
pub(crate) fn nonce() -> String {
    hex(&rand::random::<[u8; NONCE_CHARS / 2]>())
}

/// What the code is of. An address has one form, however a socket names it.
fn told(nonce: &str, at: SocketAddr) -> Vec<u8> {
    format!("nightbell worker\n{nonce}\n{}\n{}", at.ip().to_canonical(), at.port()).into_bytes()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The route: anybody may ask, since the answer is of use to nobody else.
pub(crate) async fn prove(
    State(key): State<Option<WorkerKey>>,
    came_in: Option<Extension<CameIn>>,
    headers: HeaderMap,
) -> Response {
    let nonce = headers.get(NONCE_HEADER).and_then(|nonce| nonce.to_str().ok());
    let is_nonce =
        |nonce: &&str| nonce.len() == NONCE_CHARS && nonce.bytes().all(|digit| digit.is_ascii_hexdigit());
    let Some(nonce) = nonce.filter(is_nonce) else {
        let error = format!(
            "the header {NONCE_HEADER} is missing, or is no number of {NONCE_CHARS} hexadecimal digits"
        );
        let hint = "commands send it; there is nothing else to be had here";
        return Problem::new(StatusCode::BAD_REQUEST, error, hint).into_response();
    };
    let (Some(key), Some(Extension(CameIn(at)))) = (key, came_in) else {
        let error = "this worker could not write its key, and can't prove who it is";
        let hint = "see its log; make data_dir writable, and start it anew";
        return Problem::new(StatusCode::NOT_FOUND, error, hint).into_response();
    };
    key.answer(nonce, at).into_response()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_answer_is_right_for_one_number_one_place_and_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let key = WorkerKey::make(folder.path()).unwrap();
        let (at, elsewhere) = ("127.0.0.1:9464".parse().unwrap(), "127.0.0.1:9465".parse().unwrap());
        let (one, other) = (nonce(), nonce());
        let answer = key.answer(&one, at);
        let check =
            |key: &WorkerKey, nonce: &str, at, answer: &str| key.is_answer(nonce, at, answer.as_bytes());
        let mapped = "[::ffff:127.0.0.1]:9464".parse().unwrap();
        assert!(check(&key, &one, at, &answer) && check(&key, &one, mapped, &answer));
        assert!(!check(&key, &other, at, &answer), "an old answer");
        assert!(!check(&key, &one, elsewhere, &answer), "of a worker that listens elsewhere");
        assert!(check(&WorkerKey::read(folder.path()).unwrap(), &one, at, &answer));
        let mode = std::fs::metadata(folder.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(
            !check(&WorkerKey::make(folder.path()).unwrap(), &one, at, &answer),
            "each start has its own"
        );
        for wrong in ["", "ok\n", "0", &answer[..62], &format!("{answer}00"), "zz", "\u{e4}\u{e4}"] {
            assert!(!check(&key, &one, at, wrong), "{wrong}");
        }
    }

    #[test]
    fn a_key_that_is_cut_off_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(WorkerKey::read(folder.path()).unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(folder.path().join(KEY_FILE), "").unwrap();
        assert_eq!(WorkerKey::read(folder.path()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
