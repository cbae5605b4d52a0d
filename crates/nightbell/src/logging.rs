//! Log lines on standard error.

mod fitted;
mod writer;

use std::io::{self, IsTerminal as _};

use nightbell_worker::telemetry;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use self::fitted::Fitted;
use self::writer::LastLines;
use crate::cli::{Cli, Command, LogFormat};
use crate::exit::{Code, Failure, OrFail as _};

/// The log of a program that runs. Dropping it writes the lines that still wait.
pub struct Log(#[expect(dead_code, reason = "it is there to be dropped")] Option<LastLines>);

/// Sets logging up, once. A worker never waits for whoever reads its lines; a command writes them itself, so that they
/// come before what it prints later.
///
/// # Errors
/// The filter is broken, or a thread can't be started.
pub fn begin(cli: &Cli) -> Result<Log, Failure> {
    // lapin says each lost connection at ERROR; nightbell-amqp says it once, and when it is over. The HTTP crates log
    // paths and headers, which are secrets here, so they stay silent whatever is asked for. What there is to say about
    // traces, nightbell-trace says.
    const SILENT: &str = "lapin=off,hyper=warn,hyper_util=warn,h2=warn,reqwest=warn,rustls=warn,rustls_platform_verifier=off,sled=warn,opentelemetry=off";
    let level = cli.log_level();
    let filter = EnvFilter::try_new(format!("{level},{SILENT}"))
        .map_err(|error| Failure::new(Code::Usage, format!("--log `{level}`: {error}")))?;
    if matches!(cli.command, Command::Run) {
        let (writer, last) =
            writer::start(io::stderr(), telemetry::log_line_dropped).or_fail(Code::Software)?;
        install(cli.log_format, filter, writer);
        Ok(Log(Some(last)))
    } else {
        install(cli.log_format, filter, io::stderr);
        Ok(Log(None))
    }
}

fn install<W>(format: LogFormat, filter: EnvFilter, writer: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Fitted { writer, format })
        .with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Human => lines.with_target(false).init(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
        }
    }
}
