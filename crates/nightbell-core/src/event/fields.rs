//! What an event is made of.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::when::When;
use crate::limits::TEXT_BYTES_HELD_MAX;

/// One result of one test, as JSON. Unknown fields are ignored; `null` counts as absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Nightbell event")]
pub struct Event {
    /// The project that the test belongs to; alert groups route by it.
    #[schemars(length(min = 1))]
    pub project: String,
    /// The test's name.
    #[schemars(length(min = 1))]
    pub test: String,
    /// The event's identity within its project; default: the AMQP `message-id`. The same id is never delivered twice to
    /// one connector within `dedup.retention`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How the test ended; default `failed`.
    #[serde(default, deserialize_with = "or_default")]
    pub status: Status,
    /// How grave it is; default `high`.
    #[serde(default, deserialize_with = "or_default")]
    pub severity: Severity,
    /// One line that says what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The long text: a stack trace, an output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
    /// The suite that the test belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// Where the test ran: `production`, `staging`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The run that the result belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// When it happened: RFC 3339, the same with an offset like `+0000`, or epoch milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<When>,
    /// A whole link to the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_url: Option<String>,
    /// The report's path, joined to the configuration's `report_base_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_path: Option<String>,
    /// Tags to route by.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Labels to route by, and to show.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Overrides the computed alert key; it counts within the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedup_key: Option<String>,
}

words! {
    /// How a test ended.
    #[derive(Default, JsonSchema)]
    pub enum Status {
        /// It found the product wrong.
        #[default]
        Failed = "failed",
        /// It could not run to its end.
        Error = "error",
        /// It found the product right.
        Passed = "passed",
    }
}

words! {
    /// How grave an event is, from least to most.
    #[derive(Default, JsonSchema)]
    pub enum Severity {
        /// Worth a note.
        Minimal = "minimal",
        /// Can wait for days.
        Low = "low",
        /// Can wait for the morning.
        Medium = "medium",
        /// Wakes somebody.
        #[default]
        High = "high",
        /// Wakes somebody first.
        Critical = "critical",
    }
}

impl Event {
    /// An event with the two required fields; all others have their defaults.
    #[must_use]
    pub fn new(project: impl Into<String>, test: impl Into<String>) -> Self {
        Self { project: project.into(), test: test.into(), ..Self::default() }
    }

    /// The event as it is held until it is sent: of its long texts only [`TEXT_BYTES_HELD_MAX`], which is more than any
    /// payload shows. Whoever wants all of them has the message's bytes.
    #[must_use]
    pub(crate) fn shortened(mut self) -> Self {
        for text in [&mut self.message, &mut self.details].into_iter().flatten() {
            text.truncate(text.floor_char_boundary(TEXT_BYTES_HELD_MAX));
            text.shrink_to_fit();
        }
        self
    }
}

/// Takes `null` for the default.
fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}
