//! The HTTP listener from both sides: what the worker shows, and by what its commands know it; and what is allowed in its
//! configuration, and asks for trouble all the same.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use jiff::Timestamp;
use nightbell_http::{Chain, KEY_FILE, Tls, TlsError, Trust, WorkerAt, WorkerKey, trusting};
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::{Config, HttpConfig, TlsFile, TlsFiles, read_bounded};
use crate::exit::{Code, Failure};

/// The longest PEM file that is read, in bytes.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// How many different characters a random token has at the least.
const ALPHABET_MIN: usize = 8;

/// What stands in tokens that somebody meant to replace; those of our own documents and examples are among them.
const PLACEHOLDERS: [&str; 13] = [
    "changeme",
    "change-me",
    "change_me",
    "secret",
    "password",
    "token",
    "example",
    "placeholder",
    "replace",
    "xxxx",
    "try-me",
    "dummy",
    "default",
];

/// Something that works, and lets others in.
pub struct Weakness {
    /// What it is about.
    pub what: &'static str,
    /// What is wrong.
    pub finding: String,
    /// What would be right.
    pub cure: &'static str,
}

/// The worker that listens where this configuration says, for a command that has `token` to show.
#[must_use]
pub fn worker_at(config: &Config, token: Option<&SecretString>, queue: Option<String>) -> WorkerAt {
    WorkerAt { at: config.http.listen, token: token.cloned(), trust: trust(config), queue }
}

fn trust(config: &Config) -> Trust {
    let nothing = |file: &Path, error: &dyn std::fmt::Display, cure: &str| {
        Trust::Nothing(format!("{}: {error}; {cure}", file.display()))
    };
    if let Some(TlsFiles { certificate: TlsFile { path: certificate, .. }, .. }) = &config.http.tls {
        let cure = "see that this user may read http.tls.certificate";
        return match read_bounded(certificate, PEM_BYTES_MAX) {
            Ok(text) => trusting(text.as_bytes())
                .map_or_else(|error| nothing(certificate, &error, cure), Trust::Certificate),
            Err(error) => nothing(certificate, &error, cure),
        };
    }
    WorkerKey::read(&config.data_dir).map_or_else(
        |error| {
            let cure = if error.kind() == io::ErrorKind::NotFound {
                "start the worker with this data_dir"
            } else {
                "run this as the worker's user, or set http.tls"
            };
            nothing(&config.data_dir.join(KEY_FILE), &error, cure)
        },
        Trust::Key,
    )
}

/// The certificate and the key that the configuration names, if it does.
///
/// # Errors
/// One of the files can't be used; the text has its name, and the cure.
pub fn tls(http: &HttpConfig) -> Result<Option<Tls>, Failure> {
    let Some(TlsFiles { certificate, key }) = &http.tls else { return Ok(None) };
    let bad = |name: &str, TlsFile { path, place }: &TlsFile, text: String| {
        Failure::new(Code::Config, format!("{place}: http.tls.{name}: the file `{}` {text}", path.display()))
    };
    let read = |name, file: &TlsFile| {
        read_bounded(&file.path, PEM_BYTES_MAX).map_err(|error| {
            bad(name, file, format!("can't be read: {error}; check its path and who may read it"))
        })
    };
    let (chain, secret) = (read("certificate", certificate)?, read("key", key)?);
    if is_open_to_all(&key.path) {
        let text =
            "can be read by every user of this machine; let the worker's user alone read it (chmod 600)";
        return Err(bad("key", key, text.into()));
    }
    Tls::new(chain.as_bytes(), secret.as_bytes()).map(Some).map_err(|error| match error {
        TlsError::NoKey | TlsError::Mismatch => bad("key", key, error.to_string()),
        TlsError::NoCertificate | TlsError::Unusable(_) => bad("certificate", certificate, error.to_string()),
    })
}

fn is_open_to_all(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
}

/// That a certificate has ended, if so. It is no reason to deliver nothing, so a worker starts with it.
#[must_use]
pub fn ended(http: &HttpConfig, tls: &Tls) -> Option<Weakness> {
    let end = tls.ends().and_then(|seconds| Timestamp::from_second(seconds).ok())?;
    (end < Timestamp::now()).then(|| Weakness {
        what: "http.tls.certificate",
        finding: format!("a certificate in `{}` has ended at {end}", certificate_file(http)),
        cure: "have it issued anew, and send the worker SIGHUP",
    })
}

fn certificate_file(http: &HttpConfig) -> String {
    http.tls.as_ref().map(|files| files.certificate.path.display().to_string()).unwrap_or_default()
}

/// What may be missing between a certificate and its authority.
#[must_use]
pub fn chain_weakness(http: &HttpConfig, tls: &Tls) -> Option<Weakness> {
    let file = certificate_file(http);
    let (finding, cure) = match tls.chain() {
        Chain::Whole => return None,
        Chain::Alone(issuer) => (
            format!("`{file}` holds one certificate, issued by {issuer}"),
            "unless clients know that authority itself, append the intermediate certificates to the file",
        ),
        Chain::Broken => (
            format!("in `{file}` a certificate was not issued by the one after it"),
            "write the server's own first, and then each intermediate that has issued the one before",
        ),
    };
    Some(Weakness { what: "http.tls.certificate", finding, cure })
}

/// What is weak about the listener.
#[must_use]
pub fn weaknesses(http: &HttpConfig) -> Vec<Weakness> {
    let (ingest, admin) = (exposed(http.ingest_token.as_ref()), exposed(http.admin_token.as_ref()));
    let equal = "it is the ingest token too, so whoever may send events may discard dead letters";
    let tokens = [
        ("http.ingest_token", ingest.and_then(guessable)),
        ("http.admin_token", admin.and_then(guessable)),
        ("http.admin_token", Some(equal).filter(|_| admin.is_some() && ingest == admin)),
    ];
    let cure = "write random characters, as `openssl rand -hex 32` gives them";
    let tokens = tokens.into_iter().filter_map(|(what, finding)| {
        finding.map(|finding| Weakness { what, finding: finding.to_owned(), cure })
    });
    let is_open = !http.listen.ip().to_canonical().is_loopback() && http.tls.is_none();
    let plain = is_open.then(|| Weakness {
        what: "http.listen",
        finding: format!("{} is plain HTTP, so tokens and events can be read on their way", http.listen),
        cure: "set http.tls = { certificate = \"…\", key = \"…\" }, or listen on 127.0.0.1 behind what speaks TLS",
    });
    tokens.chain(plain).collect()
}

fn exposed(token: Option<&SecretString>) -> Option<&str> {
    token.map(|token| token.expose_secret())
}

/// Why a token might be guessed.
fn guessable(token: &str) -> Option<&'static str> {
    let lower = token.to_ascii_lowercase();
    if PLACEHOLDERS.iter().any(|word| lower.contains(word)) {
        return Some("it has a word of a placeholder or an example in it");
    }
    let mut alphabet = lower.bytes().collect::<Vec<_>>();
    alphabet.sort_unstable();
    alphabet.dedup();
    if alphabet.len() < ALPHABET_MIN || alphabet.iter().all(u8::is_ascii_digit) {
        return Some("it has few different characters, and can be guessed");
    }
    // As on a keyboard or in the alphabet.
    let steps = lower.as_bytes().windows(2).filter(|pair| pair[0].abs_diff(pair[1]) <= 1).count();
    (steps * 2 > lower.len()).then_some("its characters follow each other, and can be guessed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(listen: &str, ingest: Option<&str>, admin: Option<&str>) -> HttpConfig {
        HttpConfig {
            listen: listen.parse().unwrap(),
            ingest_token: ingest.map(SecretString::from),
            admin_token: admin.map(SecretString::from),
            tls: None,
        }
    }

    #[test]
    fn tokens_that_can_be_guessed_are_known() {
        for token in [
            "changeme-changeme",
            "ChangeMe12345678",
            "secret-secret-secret",
            "xxxxxxxxxxxxxxxx",
            "aaaaaaaaaaaaaaaa",
            "abababababababab",
            "1234567890123456",
            "0123456789abcdef",
            "abcdefghijklmnop",
            "try-me-admin-token-0000",
            "a-token-of-sixteen",
            "my-password-12345",
            "8402757193048572",
        ] {
            assert!(guessable(token).is_some(), "{token}");
        }
        for token in [
            "k3J9xQ2mVb7LwZ1pTn",
            "9f86d081884c7d65",
            "c2l4dGVlbiBieXRlcyE",
            "9f86d081884c7d659a2feaa0c55ad015",
        ] {
            assert_eq!(guessable(token), None, "{token}");
        }
    }

    #[test]
    fn the_tokens_that_compose_ships_are_known() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/compose/secrets/worker");
        for file in ["admin-token", "ingest-token"] {
            let token = std::fs::read_to_string(folder.join(file)).unwrap();
            assert!(guessable(token.trim()).is_some(), "{file}");
        }
    }

    #[test]
    fn equal_tokens_and_plain_http_beyond_this_machine_are_warned_of() {
        let (one, other) = (Some("k3J9xQ2mVb7LwZ1pTn"), Some("9f86d081884c7d65"));
        let of =
            |http: &HttpConfig| weaknesses(http).iter().map(|weakness| weakness.what).collect::<Vec<_>>();
        assert_eq!(of(&http("127.0.0.1:1", one, other)), Vec::<&str>::new());
        assert_eq!(of(&http("[::ffff:127.0.0.1]:1", None, None)), Vec::<&str>::new());
        assert_eq!(of(&http("127.0.0.1:1", one, one)), ["http.admin_token"]);
        assert_eq!(of(&http("0.0.0.0:1", one, other)), ["http.listen"]);
        let files = TlsFiles::default();
        assert_eq!(of(&HttpConfig { tls: Some(files), ..http("0.0.0.0:1", one, other) }), Vec::<&str>::new());
    }
}
