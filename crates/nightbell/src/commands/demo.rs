//! `nightbell demo`: the whole path on this machine, told step by step. The worker is the one that `nightbell run` starts;
//! only xMatters is a stand-in.

mod board;
mod screen;
mod show;
mod stage;
mod stand_in;
mod texts;

use std::process::ExitCode;

use self::screen::Screen;
use self::show::Show;
use self::stage::Stage;
use crate::cli::Demo;
use crate::exit::{Code, Failure};
use crate::worker::StopSignals;

/// Shows it all; `is_logged` says that log lines go to the same terminal. Without `once` it stays up until a signal.
///
/// # Errors
/// Something can't be set up, or did not go as it should; the text says what is missing.
pub async fn demo(flags: Demo, is_logged: bool) -> Result<ExitCode, Failure> {
    let mut stop = StopSignals::new()?;
    let screen = Screen::new(!is_logged);
    let mut stage = tokio::select! {
        stage = Stage::set() => stage?,
        () = stop.next() => return Ok(ExitCode::FAILURE),
    };
    let mut show = Show::new(&mut stage, &screen);
    let mut is_over = false;
    let shown = tokio::select! {
        shown = show.run(flags.once, &mut is_over) => shown,
        () = stop.next() => {
            let stopped = Failure::new(Code::TempFail, "the demo was stopped before its end");
            if is_over { Ok(()) } else { Err(stopped) }
        }
    };
    screen.clear();
    drop(show);
    let struck = tokio::select! {
        struck = stage.strike() => struck,
        () = stop.next() => return Ok(ExitCode::FAILURE),
    };
    shown.and(struck)?;
    screen.say(&texts::farewell())?;
    Ok(ExitCode::SUCCESS)
}
