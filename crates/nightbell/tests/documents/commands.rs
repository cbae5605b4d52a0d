//! Commands and their flags.

use crate::Wrong;
use crate::manual::{Command, commands};
use crate::page::pages;

/// Flags of other programs that are told of by themselves.
const FOREIGN: [&str; 6] =
    ["--rerun-fails", "--report-formatter", "--cacert", "--rabbitmq-4", "--scale", "--peers"];

#[test]
fn every_command_that_is_shown_is_one() {
    let (known, mut wrong) = (commands(), Wrong::default());
    for page in pages().iter().filter(|page| page.is_of_today()) {
        for line in page.spans().into_iter().chain(page.commands()) {
            for words in calls(&line, &known) {
                let fault = fault(&words, &known);
                wrong.unless(fault.is_none(), page, &format!("{} in `{line}`", fault.unwrap_or_default()));
            }
        }
    }
}

/// The words after each `nightbell` that is called in a line.
fn calls<'a>(line: &'a str, known: &[Command]) -> Vec<Vec<&'a str>> {
    let mut calls = Vec::new();
    let words: Vec<&str> = line.split_whitespace().collect();
    for part in words.split(|word| ["|", "||", "&&", ";", ">", "<", "#", "·"].contains(word)) {
        let is_name = |at: usize| {
            let before = at.checked_sub(1).map(|before| part[before]);
            part[at] == "nightbell"
                && before
                    .is_none_or(|word| word.contains('=') || ["worker", "--", "nightbell"].contains(&word))
        };
        match (0..part.len()).rfind(|at| is_name(*at)) {
            Some(at) => calls.push(part[at + 1..].to_vec()),
            None if part.len() > 1 && is_command(known, part[0]) => calls.push(part.to_vec()),
            None => {}
        }
    }
    calls
}

fn is_command(known: &[Command], word: &str) -> bool {
    known.iter().any(|command| command.name == format!("nightbell {word}"))
}

/// What is wrong with a call.
fn fault(words: &[&str], known: &[Command]) -> Option<String> {
    let all = known.first()?;
    let find = |name: &str| known.iter().find(|command| command.name == name);
    let (mut command, mut takes_value) = (all, false);
    for word in words.iter().map(|word| word.trim_matches(['[', ']', '\'', '"'])) {
        let has_verbs = known.iter().any(|other| other.name.starts_with(&format!("{} ", command.name)));
        if let Some(flag) = word.strip_prefix("--").map(|_| word.split('=').next().unwrap_or(word)) {
            let mut flags = command.flags().chain(all.flags());
            if !flags.any(|own| own == flag) {
                return Some(format!("{} has no {flag}", command.name));
            }
            takes_value = ["--config", "--log", "--log-format"].contains(&flag);
        } else if std::mem::take(&mut takes_value) {
        } else if has_verbs && word.starts_with(|sign: char| sign.is_ascii_lowercase()) {
            let name = command.name.clone();
            for verb in word.split('|') {
                let own = format!("{name} {verb}");
                command = match find(&own) {
                    Some(own) => own,
                    None => return Some(format!("there is no {own}")),
                };
            }
            if word.contains('|') {
                return None;
            }
        }
    }
    None
}

#[test]
fn every_flag_that_is_told_of_is_one() {
    let (known, mut wrong) = (commands(), Wrong::default());
    for page in pages().iter().filter(|page| page.is_of_today()) {
        for span in page.spans().iter().filter(|span| span.starts_with("--")) {
            for flag in span.split([' ', '|', '=']).filter(|word| word.starts_with("--")) {
                let is_ours = known.iter().flat_map(Command::flags).any(|own| own == flag);
                wrong.unless(is_ours || FOREIGN.contains(&flag), page, flag);
            }
        }
    }
}
