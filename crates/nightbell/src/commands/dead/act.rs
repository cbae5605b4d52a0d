//! The verbs that change something: replay, discard.

use std::io::{self, BufRead as _, IsTerminal as _};

use nightbell_core::ports::Clock as _;
use nightbell_letters::{Done, LetterView, Moment, Selector, Verb};
use nightbell_worker::SystemClock;
use serde_json::json;

use super::{Access, collect, table};
use crate::cli::AsJson;
use crate::exit::{Code, Failure, OrFail as _};
use crate::output::{count, print_json, print_line, print_table, progress};

/// Publishes each letter again, and removes it only when that is confirmed.
pub(super) async fn replay(
    access: &Access,
    selector: &Selector,
    dry_run: bool,
    as_json: AsJson,
) -> Result<(), Failure> {
    if dry_run {
        let letters = collect(access, selector, LetterView::without_body).await?;
        return plan(&letters, "would be replayed", as_json);
    }
    let mut tally = Tally::default();
    let bar = progress("replaying");
    let acted = access.act(Verb::Replay, selector, SystemClock.now(), |done| {
        bar.inc(1);
        tally.take(done);
    });
    let acted = acted.await.map_err(Failure::from);
    bar.finish_and_clear();
    tally.conclude(acted, "replayed", as_json)
}

/// Removes each letter for good, after asking.
pub(super) async fn discard(
    access: &Access,
    selector: &Selector,
    yes: bool,
    as_json: AsJson,
) -> Result<(), Failure> {
    if !yes && !io::stdin().is_terminal() {
        return Err(Failure::new(
            Code::Usage,
            "discard asks before it removes anything; give --yes where nobody can answer",
        ));
    }
    let selector = if yes {
        selector.clone()
    } else {
        let letters = collect(access, selector, LetterView::without_body).await?;
        plan(&letters, "would be removed for good", AsJson { json: false })?;
        if letters.is_empty() {
            return Ok(());
        }
        if !confirmed()? {
            return print_line("nothing was removed");
        }
        these(&letters, selector)
    };
    let mut tally = Tally::default();
    let acted = access.act(Verb::Discard, &selector, SystemClock.now(), |done| tally.take(done)).await;
    tally.conclude(acted.map_err(Failure::from), "discarded", as_json)
}

/// Those letters that were shown, and none that came since.
fn these(letters: &[LetterView], selector: &Selector) -> Selector {
    let ids = letters.iter().map(|letter| letter.id.clone()).collect();
    // A letter whose time of death is not known would be meant by no `until`.
    let died: Option<Vec<_>> = letters.iter().map(|letter| letter.died_at.as_deref()).collect();
    let last = died.and_then(|died| died.into_iter().max());
    let until = last.and_then(|last| last.parse::<Moment>().ok());
    Selector { id: ids, until: selector.until.or(until), ..selector.clone() }
}

fn confirmed() -> Result<bool, Failure> {
    eprint!("Remove them for good? [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).or_fail(Code::Io)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn plan(letters: &[LetterView], what: &str, as_json: AsJson) -> Result<(), Failure> {
    if as_json.json {
        return print_json(&json!({ "would_replay": letters }));
    }
    if !letters.is_empty() {
        let mut rows = table::head();
        for letter in letters {
            rows.add_row(table::row(letter));
        }
        print_table(&rows)?;
    }
    print_line(&format!("{} {what}", count(letters.len(), "dead letter")))
}

/// What became of the letters.
#[derive(Debug, Default)]
struct Tally {
    gone: Vec<String>,
    failed: Vec<(String, String)>,
}

impl Tally {
    fn take(&mut self, Done { id, problem }: Done) {
        match problem {
            None => self.gone.push(id),
            Some(problem) => self.failed.push((id, problem)),
        }
    }

    /// Says what was done; fails if that was not all.
    fn conclude(self, acted: Result<(), Failure>, what: &str, as_json: AsJson) -> Result<(), Failure> {
        if as_json.json {
            let failed: Vec<_> =
                self.failed.iter().map(|(id, problem)| json!({ "id": id, "problem": problem })).collect();
            print_json(&json!({ what: self.gone, "failed": failed }))?;
        } else if acted.is_ok() || !self.gone.is_empty() {
            print_line(&format!("{what} {}", count(self.gone.len(), "dead letter")))?;
        }
        acted?;
        match self.failed.first() {
            None => Ok(()),
            Some((id, problem)) => Err(Failure::new(
                Code::Unavailable,
                format!(
                    "{} not {what} and stay dead letters; {id}: {problem}",
                    count(self.failed.len(), "dead letter")
                ),
            )),
        }
    }
}
