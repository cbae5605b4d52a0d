//! Log lines made fit for a terminal: what is logged comes from outside in part.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

use crate::cli::LogFormat;
use crate::terminal::{fit_coloured, fit_json};

/// Goes before the second and later lines of a text, so that none of them looks like a log line of its own.
const FURTHER: &str = "\n    ";

/// Hands lines on that are fit for a terminal.
pub(super) struct Fitted<W> {
    pub(super) writer: W,
    pub(super) format: LogFormat,
}

/// The same, for one line.
pub(super) struct Line<W> {
    writer: W,
    format: LogFormat,
}

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Fitted<W> {
    type Writer = Line<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { writer: self.writer.make_writer(), format: self.format }
    }
}

/// Each write is one line: the formatter writes lines whole.
impl<W: Write> Write for Line<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        match self.format {
            LogFormat::Json => self.writer.write_all(fit_json(&text).as_bytes())?,
            LogFormat::Human => {
                let fitted = fit_coloured(&text);
                let whole = fitted.trim_end_matches('\n');
                if whole.contains('\n') {
                    let several = format!("{}\n", whole.replace('\n', FURTHER));
                    self.writer.write_all(several.as_bytes())?;
                } else {
                    self.writer.write_all(fitted.as_bytes())?;
                }
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(format: LogFormat, line: &str, want: &str) {
        let mut written = Vec::new();
        let mut out = Line { writer: &mut written, format };
        assert_eq!(out.write(line.as_bytes()).unwrap(), line.len());
        assert_eq!(String::from_utf8(written).unwrap(), want);
    }

    #[test]
    fn a_line_is_fit_for_a_terminal_and_stays_one() {
        check(LogFormat::Human, "INFO a\n", "INFO a\n");
        check(LogFormat::Human, "INFO a\u{202e}b\u{1b}[2J\n", "INFO a\u{fffd}b\u{fffd}[2J\n");
        check(LogFormat::Human, "INFO a\nERROR forged\n", "INFO a\n    ERROR forged\n");
        check(LogFormat::Human, "\u{1b}[32mINFO\u{1b}[0m a\n", "\u{1b}[32mINFO\u{1b}[0m a\n");
        check(LogFormat::Json, "{\"a\":\"\u{202e}\u{9b}\"}\n", "{\"a\":\"\\u202e\\u009b\"}\n");
    }
}
