//! Answers that repeat a secret in other spellings.

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::super::*;
use crate::excerpt::excerpt;
use crate::settings::tests::with_password;

const USER: &str = "svc-nightbell";

fn secrets(password: &str) -> Secrets {
    Secrets::of(&with_password("https://a.example/x", USER, password))
}

type Spelling = fn(&str) -> String;

fn each(text: &str, escaped: impl Fn(char) -> bool, written: impl Fn(char) -> String) -> String {
    text.chars().map(|letter| if escaped(letter) { written(letter) } else { letter.into() }).collect()
}

fn percent(text: &str, escaped: impl Fn(u8) -> bool, digits: impl Fn(u8) -> String) -> String {
    let bytes = text.bytes().map(|byte| if escaped(byte) { digits(byte) } else { char::from(byte).into() });
    bytes.collect()
}

fn odd(letter: char) -> bool {
    !letter.is_ascii_alphanumeric()
}

fn lower_percent(text: &str) -> String {
    percent(text, |byte| !byte.is_ascii_alphanumeric(), |byte| format!("%{byte:02x}"))
}

fn units(letter: char) -> String {
    letter.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

const SPELLINGS: [(&str, Spelling); 19] = [
    ("as it is", |text| text.to_owned()),
    ("JSON", |text| {
        let quoted = serde_json::to_string(text).unwrap();
        quoted[1..quoted.len() - 1].to_owned()
    }),
    ("JSON, with \\/", |text| text.replace('\\', "\\\\").replace('"', "\\\"").replace('/', "\\/")),
    ("JSON, \\u for all that is odd", |text| each(text, odd, units)),
    ("JSON, \\u for all", |text| each(text, |_| true, units)),
    ("base64", |text| STANDARD.encode(text)),
    ("base64 without padding", |text| STANDARD_NO_PAD.encode(text)),
    ("base64 for URLs", |text| URL_SAFE.encode(text)),
    ("base64 for URLs without padding", |text| URL_SAFE_NO_PAD.encode(text)),
    ("percent", |text| percent(text, |byte| !byte.is_ascii_alphanumeric(), |byte| format!("%{byte:02X}"))),
    ("percent in lower case", lower_percent),
    ("percent for all", |text| percent(text, |_| true, |byte| format!("%{byte:02X}"))),
    ("double percent", |text| lower_percent(&lower_percent(text))),
    ("HTML by names", |text| {
        let named =
            text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        named.replace('\'', "&apos;").replace('=', "&equals;").replace('/', "&sol;")
    }),
    ("HTML in decimal", |text| each(text, odd, |letter| format!("&#{};", u32::from(letter)))),
    ("HTML in hex", |text| each(text, |_| true, |letter| format!("&#x{:X};", u32::from(letter)))),
    ("upper case", str::to_uppercase),
    ("lower case", str::to_lowercase),
    ("over two lines", |text| {
        let half = text.floor_char_boundary(text.len() / 2);
        format!("{}\r\n   {}", &text[..half], &text[half..])
    }),
];

/// What is shown of an answer that repeats this.
fn shown(spelled: &str, secrets: &Secrets) -> String {
    excerpt(format!("(( {spelled} ))").as_bytes(), secrets)
}

/// Nothing of it is left but padding and the like.
fn is_hidden(shown: &str) -> bool {
    let inner = shown.trim_start_matches("((").trim_end_matches("))");
    inner.contains("***") && inner.chars().all(|letter| "*=%&;\\ \"".contains(letter) || letter == '…')
}

#[test]
fn every_spelling_of_a_spelling_is_masked() {
    for password in ["corr3ct-h0rse/b=tt&r<y>", "pa\\ss\"w'ord%41 x", "pässwörd☎+?", "0123456789abcdef"] {
        let secrets = secrets(password);
        for whole in [password.to_owned(), format!("{USER}:{password}")] {
            for (outer_name, outer) in SPELLINGS {
                for (inner_name, inner) in SPELLINGS {
                    let spelled = outer(&inner(&whole));
                    let shown = shown(&spelled, &secrets);
                    let hidden = shown.replace("svc-nightbell:", "");
                    let is_pair = whole.starts_with(USER);
                    let holds = if is_pair { !leaks(&shown, &spelled) } else { is_hidden(&hidden) };
                    assert!(holds, "{outer_name} of {inner_name}: {spelled}\n{shown}");
                }
            }
        }
    }
}

/// Whether the end of what was spelled, where the password is, shows.
fn leaks(shown: &str, spelled: &str) -> bool {
    let tail: String = spelled.chars().rev().take(6).collect::<Vec<_>>().into_iter().rev().collect();
    shown.contains(tail.trim_end_matches('='))
}

proptest! {
    #[test]
    fn no_run_of_any_secret_shows(
        password in "[!-~ é☎]{6,24}",
        outer in 0..SPELLINGS.len(),
        inner in 0..SPELLINGS.len(),
    ) {
        let password = password.trim();
        prop_assume!(password.chars().filter(|letter| !letter.is_whitespace()).count() > 5);
        let secrets = secrets(password);
        let spelled = SPELLINGS[outer].1(&SPELLINGS[inner].1(password));
        let shown = shown(&spelled, &secrets);
        prop_assert!(is_hidden(&shown), "{} of {}: {}\n{}", SPELLINGS[outer].0, SPELLINGS[inner].0, spelled, shown);
    }
}
