//! What was found, and how bad it is.

use std::fmt;

use serde::Serialize;

use crate::exit::Code;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// What was looked at.
    pub(super) what: String,
    /// What was found.
    pub(super) finding: String,
    /// What to do; none where nothing is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cure: Option<String>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it must be.
    Ok,
    /// It can't be seen from here, or only an operator can judge it.
    Note,
    /// It works, and may not for long, or not for all.
    Warn,
    /// It does not work.
    Fail(#[serde(skip)] Code),
}

impl Finding {
    pub(super) fn ok(what: impl Into<String>, finding: impl Into<String>) -> Self {
        Self { level: Level::Ok, what: what.into(), finding: finding.into(), cure: None }
    }

    pub(super) fn note(what: impl Into<String>, finding: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { level: Level::Note, cure: Some(cure.into()), ..Self::ok(what, finding) }
    }

    pub(super) fn warn(what: impl Into<String>, finding: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { level: Level::Warn, cure: Some(cure.into()), ..Self::ok(what, finding) }
    }

    pub(super) fn fail(
        code: Code,
        what: impl Into<String>,
        finding: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self { level: Level::Fail(code), cure: Some(cure.into()), ..Self::ok(what, finding) }
    }

    /// Itself and its cure on one line.
    pub(super) fn in_short(&self) -> String {
        let cure = self.cure.as_ref().map_or_else(String::new, |cure| format!("; {cure}"));
        format!("{}: {}{cure}", self.what, self.finding)
    }

    pub(super) fn asks_for_trouble(&self) -> bool {
        match self.level {
            Level::Warn | Level::Fail(_) => true,
            Level::Ok | Level::Note => false,
        }
    }

    /// The code that it ends the command with; none: it does not.
    pub(super) fn code(&self) -> Option<Code> {
        match self.level {
            Level::Fail(code) => Some(code),
            Level::Ok | Level::Note | Level::Warn => None,
        }
    }
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warn => "warn",
            Self::Fail(_) => "FAIL",
        }
    }
}

/// How the findings end the command; none: well. Without a sound configuration nothing else can be put right, and without
/// permission the rest can't be seen, which is how the codes are ordered.
pub(super) fn worst(findings: &[Finding]) -> Option<Code> {
    findings.iter().filter_map(Finding::code).max_by_key(|code| *code as u8)
}

impl fmt::Display for Finding {
    /// One line, and the cure indented below it.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:<6}{}: {}", self.level.as_str(), self.what, self.finding)?;
        match &self.cure {
            Some(cure) => write!(out, "\n      {cure}"),
            None => Ok(()),
        }
    }
}

/// Checks how a finding begins.
#[cfg(test)]
#[track_caller]
pub(super) fn check(finding: &Finding, want: &str) {
    assert!(finding.to_string().starts_with(want), "{finding} is not {want}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line_and_its_cure_another() {
        assert_eq!(Finding::ok("disk", "9 GiB free").to_string(), "ok    disk: 9 GiB free");
        let warned = Finding::warn("disk", "nearly full", "make room");
        assert_eq!(warned.to_string(), "warn  disk: nearly full\n      make room");
        let failed = Finding::fail(Code::Config, "listener", "open", "set a token");
        assert_eq!(failed.to_string(), "FAIL  listener: open\n      set a token");
        let json = serde_json::to_string(&failed).unwrap();
        assert_eq!(json, r#"{"level":"fail","what":"listener","finding":"open","cure":"set a token"}"#);
    }

    #[track_caller]
    fn check_worst(codes: &[Code], want: Option<Code>) {
        let fail = |code: &Code| Finding::fail(*code, "", "", "");
        let mut findings: Vec<_> = codes.iter().map(fail).collect();
        findings.extend([Finding::ok("", ""), Finding::note("", "", ""), Finding::warn("", "", "")]);
        assert_eq!(worst(&findings), want, "{codes:?}");
    }

    #[test]
    fn the_worst_finding_decides_how_it_ends() {
        use Code as F;
        check_worst(&[], None);
        check_worst(&[F::Unavailable], Some(F::Unavailable));
        check_worst(&[F::NoPermission, F::Unavailable], Some(F::NoPermission));
        check_worst(&[F::Unavailable, F::Config, F::NoPermission], Some(F::Config));
    }
}
