//! Exit codes, after sysexits(3).

use std::fmt;
use std::process::ExitCode;

/// Why a command failed, as scripts see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The command line is wrong.
    Usage = 64,
    /// What was given to read is wrong.
    Data = 65,
    /// What was to be read is not there.
    NoInput = 66,
    /// The broker, a destination or the worker can't be reached.
    Unavailable = 69,
    /// Something that can't happen did.
    Software = 70,
    /// What was to be written can't be.
    CantCreate = 73,
    /// Reading or writing failed.
    Io = 74,
    /// It did not work now; later it may.
    TempFail = 75,
    /// Permission is missing.
    NoPermission = 77,
    /// The configuration is wrong.
    Config = 78,
}

/// A command's failure: what to say, and the code to end with.
#[derive(Debug)]
pub struct Failure {
    /// The code.
    pub code: Code,
    /// What to say on standard error.
    pub error: anyhow::Error,
}

impl Failure {
    /// A failure with a text of its own.
    pub fn new(code: Code, text: impl fmt::Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self { code, error: anyhow::Error::msg(text) }
    }
}

/// Gives an error its exit code.
pub trait OrFail<T> {
    /// Ends the command with `code` on an error.
    ///
    /// # Errors
    /// The same error, with its code.
    fn or_fail(self, code: Code) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrFail<T> for Result<T, E> {
    fn or_fail(self, code: Code) -> Result<T, Failure> {
        self.map_err(|error| Failure { code, error: error.into() })
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

impl fmt::Display for Failure {
    /// The error and its causes, on one line.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:#}", self.error)
    }
}
