//! Links to a report, with places for what only an event knows.

use std::fmt::Write as _;
use std::str::FromStr;

use nightbell_core::event::Event;

/// A link whose `{project}`, `{suite}`, `{test}`, `{run_id}` and `{environment}` are filled from an event, each encoded
/// so that it fits into a path or a query. A brace that is meant as such is written `%7B` or `%7D`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Value(Placeholder),
}

/// What a link can hold of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    /// `{project}`
    Project,
    /// `{suite}`
    Suite,
    /// `{test}`
    Test,
    /// `{run_id}`
    RunId,
    /// `{environment}`
    Environment,
}

/// Why a text is no link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLink {
    /// Nothing of an event has this name.
    #[error(
        "the placeholder `{{{name}}}` is not known; there are {{project}}, {{suite}}, {{test}}, {{run_id}} and \
         {{environment}}"
    )]
    Unknown {
        /// The name.
        name: String,
    },
    /// A brace has no partner.
    #[error("a `{{` or `}}` stands alone; one that is part of the address is written %7B or %7D")]
    Brace,
}

impl Link {
    /// The link of this event; none if the event lacks what the link asks for, since half a link leads nowhere.
    #[must_use]
    pub fn of(&self, event: &Event) -> Option<String> {
        let mut link = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => link.push_str(text),
                Part::Value(placeholder) => encode(&mut link, placeholder.value(event)?),
            }
        }
        Some(link)
    }

    /// Whether the link holds this placeholder.
    #[must_use]
    pub fn asks_for(&self, placeholder: Placeholder) -> bool {
        self.parts.contains(&Part::Value(placeholder))
    }
}

impl FromStr for Link {
    type Err = BadLink;

    fn from_str(text: &str) -> Result<Self, BadLink> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(BadLink::Brace)?;
            parts.extend([literal(before)?, Part::Value(Placeholder::named(name)?)]);
            rest = after;
        }
        parts.push(literal(rest)?);
        Ok(Self { parts })
    }
}

impl Placeholder {
    fn named(name: &str) -> Result<Self, BadLink> {
        match name {
            "project" => Ok(Self::Project),
            "suite" => Ok(Self::Suite),
            "test" => Ok(Self::Test),
            "run_id" => Ok(Self::RunId),
            "environment" => Ok(Self::Environment),
            _ => Err(BadLink::Unknown { name: crate::text::shortened(name, 40) }),
        }
    }

    fn value(self, event: &Event) -> Option<&str> {
        match self {
            Self::Project => Some(&event.project),
            Self::Suite => event.suite.as_deref(),
            Self::Test => Some(&event.test),
            Self::RunId => event.run_id.as_deref(),
            Self::Environment => event.environment.as_deref(),
        }
    }
}

fn literal(text: &str) -> Result<Part, BadLink> {
    if text.contains('}') { Err(BadLink::Brace) } else { Ok(Part::Text(text.into())) }
}

/// Appends a value with all but RFC 3986's unreserved characters as `%XX`.
fn encode(link: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            link.push(char::from(byte));
        } else {
            write!(link, "%{byte:02X}").expect("a String takes everything");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event { suite: Some("basket & co".into()), ..Event::new("shop", "a/b › größe?") }
    }

    #[track_caller]
    fn check(link: &str, want: Option<&str>) {
        assert_eq!(link.parse::<Link>().unwrap().of(&event()).as_deref(), want, "{link}");
    }

    #[test]
    fn placeholders_are_filled_and_encoded() {
        check(
            "https://ci/{project}/x?t={test}",
            Some("https://ci/shop/x?t=a%2Fb%20%E2%80%BA%20gr%C3%B6%C3%9Fe%3F"),
        );
        check("{suite}{suite}", Some("basket%20%26%20cobasket%20%26%20co"));
        check("https://ci/%7Bas-it-is%7D?a=b&c", Some("https://ci/%7Bas-it-is%7D?a=b&c"));
    }

    #[test]
    fn a_link_that_can_not_be_filled_is_left_out() {
        check("https://ci/{run_id}", None);
        check("https://ci/{environment}", None);
    }

    #[test]
    fn what_a_link_asks_for_is_known() {
        let link: Link = "https://ci/{run_id}".parse().unwrap();
        assert!(link.asks_for(Placeholder::RunId) && !link.asks_for(Placeholder::Test));
    }

    #[test]
    fn a_broken_link_is_said() {
        let wrong = |link: &str| link.parse::<Link>().unwrap_err().to_string();
        assert_eq!(
            wrong("https://ci/{run}"),
            "the placeholder `{run}` is not known; there are {project}, {suite}, {test}, {run_id} and {environment}"
        );
        for link in ["{", "}", "{project", "project}", "{project}}"] {
            assert!(wrong(link).starts_with("a `{` or `}` stands alone"), "{link}");
        }
        assert!(wrong("{{project}}").starts_with("the placeholder `{{project}` is not known"));
    }
}
