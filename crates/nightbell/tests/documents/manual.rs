//! The page of commands is made of the manual pages.

use std::fmt::Write as _;
use std::path::Path;

use crate::page::root;
use crate::program::{nightbell, printed};

const PAGE: &str = "deploy/guide/commands.md";
/// Where the made part of the page begins.
const MARK: &str =
    "<!-- What follows is made of the manual pages; a test says how when it is not current. -->\n";

/// A command, as its manual page has it.
#[derive(Debug, Default)]
pub(crate) struct Command {
    /// Its words, such as `nightbell dead list`.
    pub(crate) name: String,
    about: String,
    items: Vec<Item>,
}

/// An option or an argument.
#[derive(Debug, Default)]
struct Item {
    section: String,
    term: String,
    text: String,
}

/// All commands; the first is the program itself, whose options are those of all.
pub(crate) fn commands() -> Vec<Command> {
    let folder = tempfile::tempdir().unwrap();
    printed(nightbell(folder.path(), &["man", "pages"]));
    let pages = folder.path().join("pages");
    let page = std::fs::read_to_string(pages.join("nightbell.1")).unwrap();
    let mut commands = vec![read("nightbell", &page)];
    add(&mut commands, &pages, "nightbell", &page);
    commands
}

/// Adds the commands that a page lists, in its order, each followed by its own.
fn add(commands: &mut Vec<Command>, folder: &Path, name: &str, page: &str) {
    let listed = page.lines().filter_map(|line| line.strip_suffix("(1)")).map(plain);
    for file in listed {
        let page = std::fs::read_to_string(folder.join(format!("{file}.1"))).unwrap();
        let own = format!("{name} {}", file.rsplit('-').next().unwrap());
        commands.push(read(&own, &page));
        add(commands, folder, &own, &page);
    }
}

fn read(name: &str, page: &str) -> Command {
    let mut command = Command { name: name.to_owned(), ..Command::default() };
    let mut section = String::new();
    let mut is_point = false;
    for line in page.lines() {
        if let Some(title) = line.strip_prefix(".SH ") {
            section = title.trim_matches('"').to_owned();
        } else if section == "DESCRIPTION" {
            command.about.push_str(&plain(line));
        } else if ["NAME", "SYNOPSIS", "SUBCOMMANDS", "VERSION", ""].contains(&section.as_str()) {
        } else if line == ".TP" {
            command.items.push(Item { section: section.clone(), ..Item::default() });
        } else if line.starts_with(".IP") {
            is_point = true;
        } else if let Some(item) =
            command.items.last_mut().filter(|_| !line.starts_with('.') && !line.is_empty())
        {
            item.add(&plain(line), std::mem::take(&mut is_point));
        }
    }
    command
}

impl Item {
    fn add(&mut self, line: &str, is_point: bool) {
        if self.term.is_empty() {
            line.clone_into(&mut self.term);
        } else if is_point {
            let _ = write!(self.text, "\n  - {line}");
        } else if line != "Possible values:" {
            self.text.push_str(if self.text.is_empty() { "" } else { "; " });
            self.text.push_str(line);
        }
    }

    fn is_argument(&self) -> bool {
        self.term.starts_with(['[', '<'])
    }

    /// The flags that it is given by.
    fn flags(&self) -> impl Iterator<Item = &str> {
        self.term.split([' ', ',']).filter(|word| word.starts_with('-'))
    }

    fn line(&self) -> String {
        let (term, default) =
            self.term.split_once(" [default").map_or((&*self.term, String::new()), |(term, rest)| {
                (term, format!(" (default{})", rest.trim_end_matches(']')))
            });
        format!("- `{term}`{default}: {}\n", self.text)
    }
}

impl Command {
    /// The flags that it knows by itself.
    pub(crate) fn flags(&self) -> impl Iterator<Item = &str> {
        self.items.iter().flat_map(Item::flags)
    }

    /// What it says, without what holds for all commands.
    fn markdown(&self, of_all: Option<&Self>) -> String {
        let is_own =
            |item: &&Item| of_all.is_none_or(|all| all.items.iter().all(|known| known.term != item.term));
        let scope = if of_all.is_none() { " All commands know these options:" } else { "" };
        let mut out = format!("\n## {}\n\n{}.{scope}\n", self.name, self.about);
        let mut section = None;
        let (arguments, options): (Vec<_>, Vec<_>) =
            self.items.iter().filter(is_own).partition(|item| item.is_argument());
        for item in arguments.into_iter().chain(options) {
            if section.is_none() || (section != Some(&item.section) && !item.is_argument()) {
                let is_heading = section.is_some() && item.section != "OPTIONS";
                out.push('\n');
                if is_heading {
                    let _ = write!(out, "{}:\n\n", sentence(&item.section));
                }
                section = Some(&item.section);
            }
            out.push_str(&item.line());
        }
        out
    }
}

/// A heading in capitals as words.
fn sentence(heading: &str) -> String {
    let (first, rest) = heading.split_at(1);
    format!("{first}{}", rest.to_lowercase())
}

/// Text without what tells a manual's reader how to show it.
fn plain(line: &str) -> String {
    let signs = [
        ("\\-", "-"),
        ("\\*(Aq", "'"),
        ("\\fB", ""),
        ("\\fI", ""),
        ("\\fR", ""),
        ("\\|", "|"),
        ("\\&", ""),
        ("\\e", "\\"),
    ];
    signs.iter().fold(line.to_owned(), |text, (sign, shown)| text.replace(sign, shown)).trim().to_owned()
}

#[test]
fn the_page_of_commands_is_made_of_the_manual_pages() {
    let commands = commands();
    let page = std::fs::read_to_string(root().join(PAGE)).unwrap();
    let (by_hand, made) = page.split_once(MARK).unwrap();
    let (all, others) = commands.split_first().unwrap();
    let mut wanted = all.markdown(None);
    wanted.extend(others.iter().map(|command| command.markdown(Some(all))));
    if made != wanted {
        let current = Path::new(env!("CARGO_TARGET_TMPDIR")).join("commands.md");
        std::fs::write(&current, format!("{by_hand}{MARK}{wanted}")).unwrap();
        panic!("it is not: cp {} {PAGE}", current.display());
    }
}
