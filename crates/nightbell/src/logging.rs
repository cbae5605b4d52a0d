//! Log lines on standard error.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, LogFormat};
use crate::exit::{Code, Failure};

/// Sets logging up, once.
///
/// # Errors
/// The filter is broken.
pub fn begin(cli: &Cli) -> Result<(), Failure> {
    // lapin says each lost connection at ERROR; nightbell-amqp says it once, and when it is over. The HTTP crates log
    // paths and headers, which are secrets here, so they stay silent whatever is asked for. What there is to say about
    // traces, nightbell-trace says.
    const SILENT: &str =
        "lapin=off,hyper=warn,hyper_util=warn,h2=warn,reqwest=warn,rustls=warn,sled=warn,opentelemetry=off";
    let level = cli.log_level();
    let filter = EnvFilter::try_new(format!("{level},{SILENT}"))
        .map_err(|error| Failure::new(Code::Usage, format!("--log `{level}`: {error}")))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    match cli.log_format {
        LogFormat::Human => lines.with_target(false).init(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
        }
    }
    Ok(())
}
