//! What of a configuration could not be read from here.

use super::finding::Finding;
use crate::config::{Cause, Config, Unread};
use crate::exit::Code;

/// Says what could not be read, each thing once.
pub(super) fn tell(config: &Config) -> Vec<Finding> {
    config.found.unread.iter().map(finding).collect()
}

fn finding(Unread { key, place, complaint }: &Unread) -> Finding {
    let what = format!("{place}: {key}");
    let (said, cure) = complaint.text.split_once("; ").unwrap_or((&complaint.text, ""));
    match complaint.cause {
        Cause::Credential => {
            let cure = "systemd hands it to the unit alone while that runs, so what needs it was not checked; as root beside \
                        the running unit, or within it, all is";
            Finding::warn(what, said, cure)
        }
        Cause::Forbidden => Finding::fail(Code::NoPermission, what, said, cure),
        Cause::Wrong | Cause::NotThere => Finding::fail(Code::Config, what, said, cure),
    }
}
