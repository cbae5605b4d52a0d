//! The formats of reports.

use std::fmt;

use crate::formats::{
    allure, ctrf, cucumber, go_test, jest, junit, nunit, playwright, tap, testng, trx, xunit,
};
use crate::sink::Read;

/// The formats, each with what people call it and what reads it.
macro_rules! formats {
    ($(#[doc = $doc:literal] $name:ident = $shown:literal, $read:path;)*) => {
        /// The form of a report.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Format {
            $(#[doc = $doc] $name,)*
        }

        impl Format {
            /// All of them.
            pub const ALL: [Self; 12] = [$(Self::$name),*];

            /// What people call it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $shown,)*
                }
            }

            /// What reads it.
            pub(crate) fn reader(self) -> Read {
                match self {
                    $(Self::$name => $read,)*
                }
            }
        }
    };
}

formats! {
    /// JUnit XML, in all its dialects.
    Junit = "JUnit", junit::read;
    /// CTRF JSON, <https://ctrf.io>.
    Ctrf = "CTRF", ctrf::read;
    /// TRX, of `dotnet test --logger trx` and Visual Studio.
    Trx = "TRX", trx::read;
    /// NUnit XML, of NUnit 3 and 2.5.
    Nunit = "NUnit", nunit::read;
    /// xUnit.net XML, version 2.
    Xunit = "xUnit", xunit::read;
    /// TestNG's own XML, `testng-results.xml`.
    Testng = "TestNG", testng::read;
    /// The lines of `go test -json`.
    GoTest = "go test -json", go_test::read;
    /// TAP, versions 12 to 14.
    Tap = "TAP", tap::read;
    /// Cucumber's JSON.
    Cucumber = "Cucumber JSON", cucumber::read;
    /// Allure's results: a folder, or one of its files.
    Allure = "Allure", allure::read;
    /// The JSON of Playwright's own reporter.
    Playwright = "Playwright JSON", playwright::read;
    /// The JSON of Jest, which Vitest writes as well.
    Jest = "Jest JSON", jest::read;
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
