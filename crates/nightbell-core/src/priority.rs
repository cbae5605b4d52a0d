//! Priorities: how urgently xMatters notifies, and which severity asks for which.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::event::Severity;

/// How urgently xMatters notifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Priority {
    /// At once, through every device.
    High,
    /// As the recipients' timeframes say.
    Medium,
    /// Without waking anybody.
    Low,
}

/// A word that is no priority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no priority; the priorities are high, medium and low")]
pub struct BadPriority(String);

impl Priority {
    /// The words that the configuration knows, most urgent first.
    pub const WORDS: [&'static str; 3] = ["high", "medium", "low"];

    /// The word as xMatters writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
        }
    }
}

impl FromStr for Priority {
    type Err = BadPriority;

    fn from_str(word: &str) -> Result<Self, BadPriority> {
        match word {
            "high" => Ok(Self::High),
            "medium" => Ok(Self::Medium),
            "low" => Ok(Self::Low),
            _ => Err(BadPriority(word.to_owned())),
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The priority of every severity. By default critical and high are high, medium is medium, low and minimal are low.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priorities {
    critical: Priority,
    high: Priority,
    medium: Priority,
    low: Priority,
    minimal: Priority,
}

impl Default for Priorities {
    fn default() -> Self {
        Self {
            critical: Priority::High,
            high: Priority::High,
            medium: Priority::Medium,
            low: Priority::Low,
            minimal: Priority::Low,
        }
    }
}

impl Priorities {
    /// The same, but for one severity.
    #[must_use]
    pub fn with(mut self, severity: Severity, priority: Priority) -> Self {
        match severity {
            Severity::Critical => self.critical = priority,
            Severity::High => self.high = priority,
            Severity::Medium => self.medium = priority,
            Severity::Low => self.low = priority,
            Severity::Minimal => self.minimal = priority,
        }
        self
    }

    /// The priority of a severity.
    #[must_use]
    pub fn of(&self, severity: Severity) -> Priority {
        match severity {
            Severity::Critical => self.critical,
            Severity::High => self.high,
            Severity::Medium => self.medium,
            Severity::Low => self.low,
            Severity::Minimal => self.minimal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEVERITIES: [Severity; 5] =
        [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Minimal];

    #[test]
    fn each_severity_has_a_priority_by_default() {
        let words = SEVERITIES.map(|severity| Priorities::default().of(severity).as_str());
        assert_eq!(words, ["HIGH", "HIGH", "MEDIUM", "LOW", "LOW"]);
    }

    #[test]
    fn one_severity_is_changed_and_no_other() {
        for changed in SEVERITIES {
            for priority in [Priority::High, Priority::Medium, Priority::Low] {
                let priorities = Priorities::default().with(changed, priority);
                for severity in SEVERITIES {
                    let default = Priorities::default().of(severity);
                    let want = if severity == changed { priority } else { default };
                    assert_eq!(priorities.of(severity), want, "{changed:?} {severity:?}");
                }
            }
        }
    }

    #[test]
    fn words_are_read_and_written() {
        let all = Priority::WORDS.map(|word| word.parse::<Priority>().unwrap());
        assert_eq!(all, [Priority::High, Priority::Medium, Priority::Low]);
        for priority in all {
            assert_eq!(serde_json::to_string(&priority).unwrap(), format!("\"{priority}\""));
        }
        for bad in ["HIGH", "urgent", ""] {
            let said = bad.parse::<Priority>().unwrap_err().to_string();
            assert_eq!(said, format!("`{bad}` is no priority; the priorities are high, medium and low"));
        }
    }
}
