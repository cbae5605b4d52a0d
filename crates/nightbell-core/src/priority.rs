//! Priorities: how urgently xMatters notifies, and which severity asks for which.

use std::str::FromStr;

use crate::event::Severity;

words! {
    /// How urgently xMatters notifies.
    pub enum Priority {
        /// At once, through every device.
        High = "HIGH",
        /// As the recipients' timeframes say.
        Medium = "MEDIUM",
        /// Without waking anybody.
        Low = "LOW",
    }
}

/// A word that is no priority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no priority; the priorities are high, medium and low")]
pub struct BadPriority(String);

impl Priority {
    /// The words that the configuration knows, most urgent first.
    pub const WORDS: [&'static str; 3] = ["high", "medium", "low"];
}

impl FromStr for Priority {
    type Err = BadPriority;

    fn from_str(word: &str) -> Result<Self, BadPriority> {
        let is_meant = |priority: &Self| priority.as_str().to_ascii_lowercase() == word;
        Self::ALL.into_iter().find(is_meant).ok_or_else(|| BadPriority(word.to_owned()))
    }
}

/// The priority of every severity, from the least to the most. By default critical and high are high, medium is medium,
/// low and minimal are low.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priorities([Priority; Severity::ALL.len()]);

impl Default for Priorities {
    fn default() -> Self {
        Self([Priority::Low, Priority::Low, Priority::Medium, Priority::High, Priority::High])
    }
}

impl Priorities {
    /// The same, but for one severity.
    #[must_use]
    pub fn with(mut self, severity: Severity, priority: Priority) -> Self {
        self.0[severity as usize] = priority;
        self
    }

    /// The priority of a severity.
    #[must_use]
    pub fn of(&self, severity: Severity) -> Priority {
        self.0[severity as usize]
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
