//! Connector names.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A connector's name: 1 to 32 of `a-z 0-9 -`, hence safe in a queue name, a routing key, a store key and a metric label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Connector(Arc<str>);

/// A text that is no connector name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no connector name; one has 1 to 32 of the characters a-z, 0-9 and -")]
pub struct BadConnector(String);

impl Connector {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Connector {
    type Err = BadConnector;

    fn from_str(name: &str) -> Result<Self, BadConnector> {
        let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let fits = (1..=32).contains(&name.len()) && name.bytes().all(allowed);
        if fits { Ok(Self(name.into())) } else { Err(BadConnector(name.chars().take(64).collect())) }
    }
}

impl TryFrom<String> for Connector {
    type Error = BadConnector;

    fn try_from(name: String) -> Result<Self, BadConnector> {
        name.parse()
    }
}

impl From<Connector> for String {
    fn from(name: Connector) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for Connector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, fits: bool) {
        assert_eq!(name.parse::<Connector>().is_ok(), fits, "{name}");
    }

    #[test]
    fn a_name_is_one_to_32_safe_characters() {
        check("payments", true);
        check("sre-2", true);
        check(&"a".repeat(32), true);
        check(&"a".repeat(33), false);
        check("", false);
        check("Payments", false);
        check("a.b", false);
        check("a b", false);
        check("ä", false);
    }
}
