//! The documents, and what stands in them.

use std::path::{Path, PathBuf};

/// A document.
pub(crate) struct Page {
    /// Where it is, seen from the top of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// All documents.
pub(crate) fn pages() -> Vec<Page> {
    let page = |path: String| Page { text: std::fs::read_to_string(root().join(&path)).unwrap(), path };
    let pages: Vec<_> = files().into_iter().filter(|path| path.ends_with(".md")).map(page).collect();
    assert!(pages.len() > 15, "where are the documents?");
    pages
}

/// All files of the repository but what programs have made or taken in.
pub(crate) fn files() -> Vec<String> {
    let (root, mut found) = (root(), Vec::new());
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let is_hidden = name.starts_with('.') && ![".github", ".ci"].contains(&name.as_str());
            let is_made = ["target", "node_modules", "venv", "nightbell-data", "__pycache__"];
            let is_foreign = is_hidden || path.is_symlink() || is_made.contains(&name.as_str());
            if path.is_dir() && !is_foreign {
                folders.push(path);
            } else if path.is_file() {
                found.push(path.strip_prefix(&root).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort_unstable();
    found
}

impl Page {
    /// Whether it tells how Nightbell is. The change log tells how it was, and beside the data is how others made them.
    pub(crate) fn is_of_today(&self) -> bool {
        self.path != "deploy/CHANGELOG.md" && !self.path.starts_with("tests/data/")
    }

    /// The page without its blocks of code.
    fn prose(&self) -> String {
        let lines = self.lines().filter(|(language, _)| language.is_none());
        lines.map(|(_, line)| format!("{line}\n")).collect()
    }

    /// Its lines, each with the language of the block that it is in. The fences are left out.
    fn lines(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        let mut block = None;
        self.text.lines().filter_map(move |line| {
            let Some(language) = line.trim_start().strip_prefix("```") else { return Some((block, line)) };
            block = if block.is_none() { Some(language) } else { None };
            None
        })
    }

    /// What stands between back ticks, its white space folded, the bars of tables as they are shown.
    pub(crate) fn spans(&self) -> Vec<String> {
        let mut spans = Vec::new();
        for paragraph in self.prose().split("\n\n") {
            let parts: Vec<&str> = paragraph.split('`').collect();
            assert!(parts.len() % 2 == 1, "{}: an odd number of back ticks: {paragraph}", self.path);
            let inside = parts.into_iter().skip(1).step_by(2).map(|span| span.replace("\\|", "|"));
            spans.extend(inside.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
        spans
    }

    /// What stands in blocks of this language.
    pub(crate) fn blocks(&self, language: &str) -> Vec<String> {
        let fenced = self.text.split("\n```").skip(1).step_by(2);
        let own = fenced.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
        own.map(|block| format!("{block}\n")).collect()
    }

    /// The lines of its scripts; those that go on are joined.
    pub(crate) fn commands(&self) -> Vec<String> {
        let scripts = self.blocks("sh").concat().replace("\\\n", " ");
        scripts.lines().map(str::to_owned).collect()
    }

    /// Where links lead.
    pub(crate) fn links(&self) -> Vec<String> {
        let prose = self.prose();
        let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        targets.map(str::to_owned).collect()
    }

    /// The anchors of its headings.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let titles = self.lines().filter(|(language, _)| language.is_none());
        let titles = titles.filter_map(|(_, line)| line.strip_prefix('#'));
        titles.map(|title| anchor(title.trim_start_matches('#').trim())).collect()
    }

    /// The section under this heading, up to the next one of its level.
    pub(crate) fn section(&self, title: &str) -> &str {
        let (_, from) = self.text.split_once(&format!("\n## {title}\n")).expect("the section");
        from.split_once("\n## ").map_or(from, |(section, _)| section)
    }
}

/// The words of a text: letters, digits and underscores.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_')
}

/// A heading's anchor.
fn anchor(title: &str) -> String {
    let kept = title.to_lowercase();
    let kept = kept.chars().filter(|sign| sign.is_alphanumeric() || [' ', '-', '_'].contains(sign));
    kept.map(|sign| if sign == ' ' { '-' } else { sign }).collect()
}
