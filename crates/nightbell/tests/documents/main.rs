//! The documents tell the truth: their links lead somewhere; each command, flag, key, metric, alert, route, variable, file,
//! function and test that they name is there; and what they show as a configuration is one.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod commands;
mod configuration;
mod house;
mod links;
mod manual;
mod page;
mod program;
mod runbook;
mod sources;
mod worker;

use self::page::{Page, pages};

/// What is named in a document and is not there.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    /// Notes it unless it is there.
    fn unless(&mut self, is_there: bool, page: &Page, what: &str) {
        if !is_there {
            self.0.push(format!("{}: {what}", page.path));
        }
    }
}

impl Drop for Wrong {
    fn drop(&mut self) {
        assert!(std::thread::panicking() || self.0.is_empty(), "not there:\n  {}", self.0.join("\n  "));
    }
}

/// The most bytes of the README: who looks at it decides within a minute whether to read on.
const README_BYTES_MAX: usize = 7 * 1024;

#[test]
fn the_readme_is_short() {
    let readme = pages().into_iter().find(|page| page.path == "README.md").unwrap();
    assert!(readme.text.len() <= README_BYTES_MAX, "{} bytes", readme.text.len());
}
