//! xUnit.net XML: version 2 as <https://xunit.net/docs/format-xml-v2> has it, with what xUnit.net 3 adds, and version 1 as
//! <https://xunit.net/docs/format-xml-v1> has it.
//!
//! A result is a `<test>`. An `<error>` of an assembly is one as well, and so is a class of version 1 with a `<failure>`. The
//! format knows no attempts.

#[cfg(test)]
mod tests;

use crate::case::{Case, Ending, OUTPUT_BYTES_MAX, Output, TEXT_BYTES_MAX, Trouble};
use crate::fault::{Place, Unfit};
use crate::format::Format;
use crate::names::{file, within_class};
use crate::sink::{End, Sink};
use crate::source::Source;
use crate::time::Stamp;
use crate::xml::{Elements, Vocabulary, Xml, walk};

const STRUCTURE: &[&str] = &["assemblies", "assembly", "collection", "class", "errors", "error", "test"];

const VOCABULARY: Vocabulary = Vocabulary { structure: STRUCTURE, result: Some("test") };

/// Gives each result.
pub(crate) fn read(source: &Source, sink: &mut Sink<'_>) -> Result<Option<Place>, Unfit> {
    let mut reader = Reader { sink, groups: Vec::new(), test: None, shown: Counts::default() };
    walk(source, Format::Xunit, &["assemblies", "assembly"], VOCABULARY, &mut reader)
}

struct Reader<'s, 'a> {
    sink: &'s mut Sink<'a>,
    /// The open assemblies, collections and classes, the innermost last.
    groups: Vec<Group>,
    test: Option<Case>,
    /// What was shown so far.
    shown: Counts,
}

/// An assembly, a collection of version 2, or a class of version 1.
#[derive(Debug, Default)]
struct Group {
    /// Itself, if it failed by itself. Its variant is the assembly and what it ran on, which tell the same tests of two
    /// assemblies apart.
    case: Case,
    counted: Counts,
    before: Counts,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    failed: u64,
    errors: u64,
}

impl Counts {
    fn with(self, other: Self, join: fn(u64, u64) -> u64) -> Self {
        Self { failed: join(self.failed, other.failed), errors: join(self.errors, other.errors) }
    }

    fn all(self) -> u64 {
        self.failed.saturating_add(self.errors)
    }
}

impl Elements for Reader<'_, '_> {
    fn begin(&mut self, xml: &mut Xml) {
        match xml.name() {
            "assemblies" | "assembly" | "collection" | "class" => self.begin_group(xml),
            "test" => self.test = Some(self.case_of(xml)),
            "error" => self.error(xml),
            "failure" => self.failure(xml),
            "output" => {
                let text = xml.printed(OUTPUT_BYTES_MAX);
                self.test.iter_mut().for_each(|test| test.trouble.print(Output::Standard, &text));
            }
            _ => {}
        }
    }

    fn end(&mut self, xml: &Xml, end: End) {
        match xml.name() {
            "assemblies" | "assembly" | "collection" | "class" => self.end_group(),
            "test" => {
                let Some(case) = self.test.take() else { return };
                self.shown.failed = self.shown.failed.saturating_add(u64::from(!case.ending.is_silent()));
                self.sink.ended(case, end);
            }
            _ => {}
        }
    }

    fn is_done(&self) -> bool {
        self.sink.is_stopped()
    }
}

impl Reader<'_, '_> {
    /// A case in the innermost group.
    fn place(&self) -> Case {
        let group = self.groups.last().map(|group| &group.case);
        group.map(|group| Case { class: group.class.clone(), ..group.beside() }).unwrap_or_default()
    }

    fn begin_group(&mut self, xml: &Xml) {
        let around = self.groups.last().map(|group| group.case.beside()).unwrap_or_default();
        let [date, time] = ["run-date", "run-time"].map(|name| xml.filled(name).unwrap_or_default());
        let stamp = xml.stamp("start-rtf").unwrap_or_else(|| Stamp::read(&format!("{date}T{time}")));
        let mut case = Case {
            name: xml.tidied("name").unwrap_or_default(),
            suite: None,
            stamp: stamp.or_else(|| around.stamp.clone()),
            ending: Ending::Error,
            ..around
        };
        if xml.name() == "assembly" {
            let assembly = xml.filled("name").as_deref().and_then(file);
            case.name = assembly.iter().filter_map(|path| path.rsplit('/').next()).collect();
            let parts = [assembly, xml.tidied("target-framework")];
            case.variant = Some(parts.into_iter().flatten().collect::<Vec<_>>().join(", "));
        } else if xml.name() == "class" {
            case.class = xml.tidied("name");
            case.suite = case.class.as_deref().map(Into::into);
        }
        let counted = Counts { failed: xml.count("failed"), errors: xml.count("errors") };
        self.groups.push(Group { case, counted, before: self.shown });
    }

    /// A group's own failures, and what it counts and does not show, are one result.
    fn end_group(&mut self) {
        let Some(Group { mut case, counted, before }) = self.groups.pop() else { return };
        let shown = self.shown.with(before, u64::saturating_sub);
        let missing = counted.with(shown, u64::saturating_sub);
        if missing != Counts::default() {
            self.shown = self.shown.with(missing, u64::saturating_add);
            let said = format!("it counts {} failed, of which it shows {}", counted.all(), shown.all());
            case.trouble.note(said);
        }
        if !case.trouble.failures.is_empty() {
            self.sink.case(named(case));
        }
    }

    fn case_of(&mut self, xml: &Xml) -> Case {
        let place = self.place();
        let class = xml.tidied("type").or(place.class);
        let name = xml.tidied("name").or_else(|| xml.tidied("method")).unwrap_or_default();
        Case {
            suite: class.as_deref().map(Into::into),
            name: class.as_deref().map_or(name.as_str(), |class| within_class(&name, class)).to_owned(),
            class,
            file: xml.filled("source-file").map(Into::into),
            stamp: xml.stamp("start-rtf").unwrap_or(place.stamp),
            ending: match xml.filled("result") {
                Some(word) => Ending::of_word(&word).unwrap_or(Ending::Error),
                // Until it shows a failure.
                None => Ending::Skipped,
            },
            variant: place.variant,
            ..Case::default()
        }
    }

    /// Takes a failure of a test; or of a class, of version 1.
    fn failure(&mut self, xml: &mut Xml) {
        let own = self.test.as_mut().or(self.groups.last_mut().map(|group| &mut group.case));
        let Some(case) = own else { return };
        case.trouble.push(xml.failure(case.trouble.room()));
        if !case.ending.is_bad() {
            case.ending = Ending::Failed;
        }
        if self.test.is_none() {
            self.shown.failed = self.shown.failed.saturating_add(1);
        }
    }

    /// Takes what went wrong outside of tests. Its kind tells of what its name is one.
    fn error(&mut self, xml: &mut Xml) {
        let (kind, name) = (xml.tidied("type"), xml.tidied("name"));
        let mut failure = xml.failure(TEXT_BYTES_MAX);
        if failure.is_empty() {
            failure.kind.clone_from(&kind.clone().unwrap_or_default());
        }
        let class = name.clone().filter(|_| kind.as_deref() == Some("test-class-cleanup"));
        let place = self.place();
        let assembly =
            self.groups.last().map(|group| group.case.name.clone()).filter(|name| !name.is_empty());
        let name = match kind.as_deref() {
            // Its name is the path of the assembly.
            Some("assembly-cleanup") => assembly.or(name),
            Some(_) | None => name.or(assembly),
        };
        let variants = [place.variant, kind];
        self.shown.errors = self.shown.errors.saturating_add(1);
        self.sink.case(named(Case {
            suite: class.as_deref().map(Into::into),
            class,
            variant: Some(variants.into_iter().flatten().collect::<Vec<_>>().join(", ")),
            stamp: place.stamp,
            ..Case::error(name.unwrap_or_default(), Trouble::of(failure))
        }));
    }
}

/// With a name in any case.
fn named(case: Case) -> Case {
    let name = Some(case.name).filter(|name| !name.is_empty()).or_else(|| case.class.clone());
    Case { name: name.unwrap_or_else(|| "test run".to_owned()), ..case }
}
