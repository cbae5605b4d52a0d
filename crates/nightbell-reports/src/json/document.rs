//! The documents of a format, object by object. An object is given when it ends, with all but the lists in it whose elements
//! were given on their own before: so no more than one element of each list is held.

use std::collections::HashMap;

use super::{Bracket, Handler, ITEM, Spot, Tree, Want, walk};
use crate::fault::{Fault, Place, Unfit};
use crate::format::Format;
use crate::names::tidy;
use crate::sink::End;
use crate::source::Source;
use crate::time::Stamp;

type Words = &'static [&'static str];

/// How the documents of a format are built, and what is read of them.
pub(crate) struct Schema {
    pub(crate) format: Format,
    /// What a document is: an object, or a list of them.
    pub(crate) root: Bracket,
    /// What is read of its objects. Those of the document itself are of the list without a name.
    pub(crate) kinds: &'static [Kind],
    /// The keys that are kept in values which are read whole.
    pub(crate) words: Words,
    /// The keys any of which shows that a document is of this format.
    pub(crate) signs: Words,
    /// What is said of one that is not.
    pub(crate) missing: &'static str,
    /// What is said of a value that stands in the place of something else.
    pub(crate) misfit: fn(&Misfit<'_>) -> Option<Fault>,
}

/// What is read of the objects in one list. What stands there instead of a list is its only element.
#[derive(Debug)]
pub(crate) struct Kind {
    list: &'static str,
    names: Words,
    fields: Words,
    objects: Words,
    items: Words,
}

impl Kind {
    /// Of the objects in the list with this key.
    pub(crate) const fn of(list: &'static str) -> Self {
        Self { list, names: &[], fields: &[], objects: &[], items: &[] }
    }

    /// The keys of short texts, which are kept on one line.
    pub(crate) const fn names(self, names: Words) -> Self {
        Self { names, ..self }
    }

    /// The keys of values that are kept as they are.
    pub(crate) const fn fields(self, fields: Words) -> Self {
        Self { fields, ..self }
    }

    /// The keys of lists whose elements are objects, and are walked through.
    pub(crate) const fn objects(self, objects: Words) -> Self {
        Self { objects, ..self }
    }

    /// The keys of lists whose elements are given whole.
    pub(crate) const fn items(self, items: Words) -> Self {
        Self { items, ..self }
    }
}

/// An object that is open, or has ended.
#[derive(Debug)]
pub(crate) struct Object {
    kind: &'static Kind,
    /// Which one of its list it is in the whole report.
    number: u64,
    /// How many keys and elements lead to it.
    depth: usize,
    fields: Vec<(&'static str, Tree)>,
}

impl Object {
    /// The key of the list in which it stands; empty: it is the document.
    pub(crate) fn list(&self) -> &'static str {
        self.kind.list
    }

    /// What tells it from all other objects of the report.
    pub(super) fn id(&self) -> (&'static str, u64) {
        (self.kind.list, self.number)
    }

    /// Its keys of short texts.
    pub(super) fn names(&self) -> Words {
        self.kind.names
    }

    /// Whether it has this key, with whatever value.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.fields.iter().any(|(name, _)| *name == key)
    }

    /// What it has under this key; of two, the last.
    pub(crate) fn get(&self, key: &str) -> &Tree {
        Tree::field(&self.fields, key)
    }

    /// A short text that says something.
    pub(crate) fn name(&self, key: &str) -> Option<&str> {
        let Tree::Text(name) = self.get(key) else { return None };
        Some(name.as_str()).filter(|name| !name.is_empty())
    }

    pub(crate) fn stamp(&self, key: &str) -> Stamp {
        self.get(key).stamp()
    }
}

/// A value that stands in the place of something else.
pub(crate) struct Misfit<'k> {
    /// The key at which it stands; none: it is the document, or an element of it.
    pub(crate) key: Option<&'k str>,
    /// Whether it is an element of a list.
    pub(crate) is_item: bool,
    /// An object, where a list should be.
    pub(crate) is_object: bool,
    /// There is no value.
    pub(crate) is_nothing: bool,
    pub(crate) at: Spot,
}

impl Misfit<'_> {
    /// That it is not what it is in a report of whoever writes these. Some lists are left out where they are empty.
    pub(crate) fn unless_empty(&self, format: Format, whose: &str) -> Option<Fault> {
        let is_empty = self.is_object || self.is_nothing && !self.is_item;
        let what = self.key.unwrap_or("it");
        (!is_empty).then(|| Fault::foreign(format, &format!("`{what}` is not what it is in {whose}")))
    }
}

/// Who makes results of what a report holds.
pub(crate) trait Report {
    /// An object begins, the last one of these.
    fn begin(&mut self, _open: &[Object]) {}

    /// An element of a list, which stands in the last one of these objects.
    ///
    /// # Errors
    /// It says nothing.
    fn item(&mut self, open: &[Object], list: &'static str, tree: &Tree) -> Result<(), Fault>;

    /// An object ends, which stood in these.
    ///
    /// # Errors
    /// It says nothing.
    fn end(&mut self, open: &[Object], object: Object, end: End) -> Result<(), Fault>;

    /// Whether it is a report of this format, if it `has_sign` or not.
    fn is_known(&self, has_sign: bool) -> bool {
        has_sign
    }

    /// No more is wanted.
    fn is_done(&self) -> bool;
}

/// How a report was read.
pub(crate) struct Read {
    pub(crate) damage: Option<Place>,
    /// The first entry that is none.
    pub(crate) odd: Option<Place>,
    /// Whether it is a report of this format.
    pub(crate) is_known: bool,
}

impl Read {
    /// The first place where something is wrong.
    ///
    /// # Errors
    /// It is no report of this format.
    pub(crate) fn known(self, schema: &Schema) -> Result<Option<Place>, Unfit> {
        let Self { damage, odd, is_known } = self;
        if is_known {
            return Ok(damage.or(odd));
        }
        let foreign = |line, problem: &str| Place::new(line, Fault::foreign(schema.format, problem));
        let place = odd.or_else(|| damage.map(|place| foreign(place.line, &place.fault.to_string())));
        Err(place.unwrap_or_else(|| foreign(1, schema.missing)).into())
    }
}

/// Reads all documents of a file. What is open where a report is cut off ends there, from inside to outside. Returns the first
/// place where something is wrong.
///
/// # Errors
/// It can't be read, or is no report of this format.
pub(crate) fn read(
    source: &Source,
    schema: &'static Schema,
    report: &mut dyn Report,
) -> Result<Option<Place>, Unfit> {
    read_parts(source, schema, report)?.known(schema)
}

/// Reads as [`read`] does, and leaves it to the caller what is wrong.
///
/// # Errors
/// It can't be read, or is empty.
pub(crate) fn read_parts(
    source: &Source,
    schema: &'static Schema,
    report: &mut dyn Report,
) -> Result<Read, Unfit> {
    Walker::new(schema, None, report).run(source)
}

/// Reads as [`read`] does, but nothing but the names of the objects in these lists.
pub(super) fn read_names(source: &Source, schema: &'static Schema, lists: Words, report: &mut dyn Report) {
    // What is wrong with the report is said by the reading that this one is part of.
    let _ = Walker::new(schema, Some(lists), report).run(source);
}

struct Walker<'w> {
    schema: &'static Schema,
    /// The lists of whose objects only the names are wanted.
    names_of: Option<Words>,
    report: &'w mut dyn Report,
    /// The open objects, the innermost last.
    open: Vec<Object>,
    /// How many objects of each list have begun.
    begun: HashMap<&'static str, u64>,
    has_sign: bool,
    odd: Option<Place>,
}

impl<'w> Walker<'w> {
    fn new(schema: &'static Schema, names_of: Option<Words>, report: &'w mut dyn Report) -> Self {
        Self { schema, names_of, report, open: Vec::new(), begun: HashMap::new(), has_sign: false, odd: None }
    }

    fn run(mut self, source: &Source) -> Result<Read, Unfit> {
        let damage = walk(source, &mut self)?;
        let line = damage.as_ref().map_or(1, |place| place.line);
        while let (Some(object), false) = (self.open.pop(), self.report.is_done()) {
            let ended = self.report.end(&self.open, object, End::CutOff);
            self.note(ended, line);
        }
        // A list without an element may be a report of nothing, if it is sound.
        let is_empty = self.schema.root == Bracket::List && self.begun.is_empty();
        self.has_sign &= !is_empty || damage.is_none() && self.odd.is_none();
        Ok(Read { damage, odd: self.odd, is_known: self.report.is_known(self.has_sign) })
    }

    fn note(&mut self, told: Result<(), Fault>, line: u64) {
        if let Err(fault) = told {
            self.odd.get_or_insert(Place { line, fault });
        }
    }

    fn item(&mut self, list: &'static str, tree: &Tree, at: Spot) {
        let told = self.report.item(&self.open, list, tree);
        self.note(told, at.line);
    }

    /// Says what is wrong with a value in the place of something else, if anything is.
    fn misfit(&mut self, path: &[&'static str], tree: Option<&Tree>, at: Spot) -> bool {
        let misfit = Misfit {
            key: path.iter().rev().find(|key| **key != ITEM).copied(),
            is_item: path.last() == Some(&ITEM),
            is_object: tree.is_none(),
            is_nothing: tree == Some(&Tree::Nothing),
            at,
        };
        let fault = (self.schema.misfit)(&misfit);
        let is_wrong = fault.is_some();
        self.note(fault.map_or(Ok(()), Err), at.line);
        is_wrong
    }

    fn begin_object(&mut self, list: &'static str, depth: usize) {
        let Some(kind) = self.schema.kinds.iter().find(|kind| kind.list == list) else { return };
        let number = self.begun.entry(list).or_default();
        *number += 1;
        self.open.push(Object { kind, number: *number, depth, fields: Vec::new() });
        self.report.begin(&self.open);
    }
}

impl Handler for Walker<'_> {
    fn words(&self) -> Words {
        self.schema.words
    }

    fn known(&self, key: &str) -> Option<&'static str> {
        let Kind { names, fields, objects, items, .. } = self.open.last()?.kind;
        [names, fields, objects, items].into_iter().copied().flatten().find(|word| **word == key).copied()
    }

    fn want(&mut self, path: &[&'static str]) -> Want {
        let Some(Object { kind, depth, .. }) = self.open.last() else {
            return if path.len() < 2 { Want::Enter } else { Want::Skip };
        };
        let is_list = |key| kind.objects.contains(key) || kind.items.contains(key);
        match (path.get(*depth..).unwrap_or_default(), self.names_of) {
            ([key], Some(lists)) if lists.contains(key) => Want::Enter,
            ([key], Some(_)) if !kind.names.contains(key) => Want::Skip,
            ([key], _) if is_list(key) => Want::Enter,
            ([key, ITEM], _) if kind.objects.contains(key) => Want::Enter,
            ([_] | [_, ITEM], _) => Want::Whole,
            (_, _) => Want::Skip,
        }
    }

    fn begin(&mut self, path: &[&'static str], bracket: Bracket, at: Spot) {
        let Some(open) = self.open.last_mut() else {
            if path.is_empty() && self.schema.root == Bracket::List {
                self.has_sign |= bracket == Bracket::List;
            } else {
                self.begin_object("", path.len());
            }
            return;
        };
        match (path.get(open.depth..).unwrap_or_default(), bracket) {
            ([list, ITEM], _) => self.begin_object(list, path.len()),
            ([list], _) => {
                let is_only = bracket == Bracket::Object && open.kind.objects.contains(list);
                open.fields.push((list, Tree::List(Vec::new())));
                self.has_sign |= self.schema.signs.contains(list);
                if is_only {
                    self.begin_object(list, path.len());
                } else if bracket == Bracket::Object {
                    self.misfit(path, None, at);
                }
            }
            (_, _) => {}
        }
    }

    fn take(&mut self, path: &[&'static str], tree: Tree, at: Spot) {
        let Some(open) = self.open.last_mut() else {
            self.misfit(path, Some(&tree), at);
            return;
        };
        match path.get(open.depth..).unwrap_or_default() {
            [key] if open.kind.fields.contains(key) => {
                open.fields.push((key, tree));
                self.has_sign |= self.schema.signs.contains(key);
            }
            [key] if open.kind.names.contains(key) => {
                let name = tree.text().map_or(Tree::Nothing, |text| Tree::Text(tidy(&text)));
                open.fields.push((key, name));
            }
            [list, ITEM] if open.kind.items.contains(list) => self.item(list, &tree, at),
            [list] if open.kind.items.contains(list) && tree != Tree::Nothing => {
                if !self.misfit(path, Some(&tree), at) {
                    self.item(list, &tree, at);
                }
            }
            _ => {
                self.misfit(path, Some(&tree), at);
            }
        }
    }

    fn end(&mut self, path: &[&'static str], line: u64) {
        if let Some(object) = self.open.pop_if(|object| object.depth == path.len()) {
            let ended = self.report.end(&self.open, object, End::Written);
            self.note(ended, line);
        }
    }

    fn is_done(&self) -> bool {
        self.report.is_done()
    }
}
