//! What a command needs of a configuration.

use std::path::Path;

/// Where systemd puts a unit's credentials, which nobody but the unit can read.
const CREDENTIALS: &str = "/run/credentials";

/// What a command needs of a configuration. Variables and files that stand in keys which it does not need are not read: a
/// unit's credentials, as a rule, are there for the unit alone, and only while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// All of it, as the worker does.
    All,
    /// All that can be read from here; the rest is [`Unread`].
    Whatever,
    /// The queue, the connectors' names, and the tokens of a worker that may have the queue open, if they can be read.
    Queue,
    /// Where the worker listens.
    Listener,
    /// Where events go, and how.
    Delivery,
}

/// What one key is to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// It must be read.
    Must,
    /// It is read, and told if it can't be.
    Tell,
    /// It is read if it can be.
    May,
    /// It is left alone.
    No,
}

impl Needs {
    pub(super) fn of(self, key: &str) -> Need {
        let must = |is_needed| if is_needed { Need::Must } else { Need::No };
        let is_within = |tables: &[&str]| tables.iter().any(|table| key.starts_with(table));
        match self {
            Self::All => Need::Must,
            Self::Whatever => Need::Tell,
            Self::Listener => must(key == "http.listen"),
            Self::Delivery => must(!is_within(&["data_dir", "queue.", "http.", "telemetry."])),
            Self::Queue if matches!(key, "http.admin_token" | "http.ingest_token") => Need::May,
            Self::Queue => {
                let is_name = key.starts_with("connectors[") && key.ends_with("].name");
                must(
                    is_name
                        || is_within(&["data_dir", "queue.", "http.listen"]) && key != "queue.management_url",
                )
            }
        }
    }
}

/// A variable or a file that a key names and that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The key, like `connectors[0].password`.
    pub key: String,
    /// Where it stands, as `FILE:LINE:COLUMN`.
    pub place: String,
    /// What could not be read, and what would be right.
    pub complaint: Complaint,
}

/// Why a variable or a file could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// What kind of cause it is.
    pub cause: Cause,
    /// What is wrong, and then what would be right.
    pub text: String,
}

/// What kind of cause keeps a variable or a file from being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// What stands there is wrong in itself.
    Wrong,
    /// It is not there, or is of no use.
    NotThere,
    /// This user may not read it.
    Forbidden,
    /// It is a credential that systemd hands to a unit.
    Credential,
}

impl Cause {
    pub(super) fn of(error: &std::io::Error, path: &Path) -> Self {
        if path.starts_with(CREDENTIALS) {
            Self::Credential
        } else if error.kind() == std::io::ErrorKind::PermissionDenied {
            Self::Forbidden
        } else {
            Self::NotThere
        }
    }
}
