//! The formats of reports.

use std::fmt;

use crate::formats::{
    allure, ctrf, cucumber, go_test, jest, junit, nunit, playwright, tap, testng, trx, xunit,
};
use crate::sink::Read;

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// JUnit XML, in all its dialects.
    Junit,
    /// CTRF JSON, <https://ctrf.io>.
    Ctrf,
    /// TRX, of `dotnet test --logger trx` and Visual Studio.
    Trx,
    /// NUnit XML, of NUnit 3 and 2.5.
    Nunit,
    /// xUnit.net XML, version 2.
    Xunit,
    /// TestNG's own XML, `testng-results.xml`.
    Testng,
    /// The lines of `go test -json`.
    GoTest,
    /// TAP, versions 12 to 14.
    Tap,
    /// Cucumber's JSON.
    Cucumber,
    /// Allure's results: a folder, or one of its files.
    Allure,
    /// The JSON of Playwright's own reporter.
    Playwright,
    /// The JSON of Jest, which Vitest writes as well.
    Jest,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Junit,
        Self::Ctrf,
        Self::Trx,
        Self::Nunit,
        Self::Xunit,
        Self::Testng,
        Self::GoTest,
        Self::Tap,
        Self::Cucumber,
        Self::Allure,
        Self::Playwright,
        Self::Jest,
    ];

    /// What people call it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Junit => "JUnit",
            Self::Ctrf => "CTRF",
            Self::Trx => "TRX",
            Self::Nunit => "NUnit",
            Self::Xunit => "xUnit",
            Self::Testng => "TestNG",
            Self::GoTest => "go test -json",
            Self::Tap => "TAP",
            Self::Cucumber => "Cucumber JSON",
            Self::Allure => "Allure",
            Self::Playwright => "Playwright JSON",
            Self::Jest => "Jest JSON",
        }
    }

    /// What reads it.
    pub(crate) fn reader(self) -> Read {
        match self {
            Self::Junit => junit::read,
            Self::Ctrf => ctrf::read,
            Self::Trx => trx::read,
            Self::Nunit => nunit::read,
            Self::Xunit => xunit::read,
            Self::Testng => testng::read,
            Self::GoTest => go_test::read,
            Self::Tap => tap::read,
            Self::Cucumber => cucumber::read,
            Self::Allure => allure::read,
            Self::Playwright => playwright::read,
            Self::Jest => jest::read,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
