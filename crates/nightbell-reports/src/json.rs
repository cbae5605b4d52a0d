//! JSON as reports have it: walked through once, so that no more than one entry is held, and read as well as it can be,
//! so that one odd entry costs no other.

pub(crate) mod document;
pub(crate) mod late;
mod repair;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;
use std::io::Read;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use self::repair::{Position, Repair, Whereabouts};
pub(crate) use self::tree::Tree;
use self::tree::{Budget, scalars};
use crate::decode::Decoded;
use crate::fault::{Fault, Place, Unfit};
use crate::source::Source;

/// An element of a list in a path.
pub(crate) const ITEM: &str = "*";

/// The most documents of one file: some tools write one after the other.
const DOCUMENTS_MAX: u32 = 10_000;

/// What is wanted of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// Nothing.
    Skip,
    /// What is in it, piece by piece.
    Enter,
    /// All of it at once.
    Whole,
}

/// What holds other values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bracket {
    List,
    Object,
}

/// A place in a text, from 1; the column is in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

/// Who wants to know what stands in a document. A path names the keys that lead to a value, [`ITEM`] for an element of a
/// list; what has a key that is not known is passed over.
pub(crate) trait Handler {
    /// The keys that are kept in a value that is wanted whole.
    fn words(&self) -> &'static [&'static str];

    /// The own word for a key of the object that is entered.
    fn known(&self, key: &str) -> Option<&'static str> {
        self.words().iter().find(|word| **word == key).copied()
    }

    /// What is wanted of the value at this path.
    fn want(&mut self, path: &[&'static str]) -> Want;

    /// A list or an object that was entered begins.
    fn begin(&mut self, _path: &[&'static str], _bracket: Bracket, _at: Spot) {}

    /// A value that was wanted whole; or a text, number or the like where something to enter was expected. It ends here.
    fn take(&mut self, path: &[&'static str], tree: Tree, at: Spot);

    /// A list or an object that was entered has ended.
    fn end(&mut self, _path: &[&'static str], _line: u64) {}

    /// No more is wanted.
    fn is_done(&self) -> bool {
        false
    }
}

/// Walks through all documents of a file. Returns the first place where it is damaged.
///
/// # Errors
/// It can't be read, or is empty.
pub(crate) fn walk(source: &Source, handler: &mut dyn Handler) -> Result<Option<Place>, Unfit> {
    let mut decoded = Decoded::new(source.open()?)?;
    let damage = walk_text(&mut decoded, handler)?;
    let broken = decoded.broken().map(|error| Fault::Unreadable { problem: error.to_string() });
    Ok(match (damage, broken) {
        (Some(place), Some(fault)) => Some(Place { fault, ..place }),
        (damage, _) => damage,
    })
}

fn walk_text(text: impl Read, handler: &mut dyn Handler) -> Result<Option<Place>, Unfit> {
    let repair = Repair::new(text);
    let at = repair.whereabouts();
    let mut json = serde_json::Deserializer::from_reader(repair);
    let mut damage = None;
    for document in 0..DOCUMENTS_MAX {
        let mut walk = Walk { handler: &mut *handler, path: Vec::new(), at: at.clone() };
        let walked = Value(&mut walk).deserialize(&mut json);
        if handler.is_done() {
            return Ok(None);
        }
        if let Err(error) = walked {
            if document == 0 && at.get().is_blank {
                return Err(Place::new(at.get().line, Fault::Empty).into());
            }
            damage.get_or_insert_with(|| place_of(&error, &at));
            break;
        }
        match json.end() {
            Ok(()) => break,
            Err(error) => damage.get_or_insert_with(|| place_of(&error, &at)),
        };
    }
    Ok(damage)
}

fn place_of(error: &serde_json::Error, at: &Whereabouts) -> Place {
    let (said, at) = (error.to_string(), at.get());
    // The parser counts what it gets.
    let place = format!(" at line {} column {}", error.line(), error.column());
    let problem = said.strip_suffix(&place).unwrap_or(&said);
    let fault = match error.classify() {
        Category::Io if at.is_too_deep => Fault::TooDeep,
        Category::Io => Fault::Unreadable { problem: problem.to_owned() },
        Category::Syntax | Category::Eof | Category::Data => Fault::not_json(at.column, problem),
    };
    Place { line: at.line, fault }
}

/// One line that is a JSON document.
///
/// # Errors
/// It is none.
pub(crate) fn line(text: &str, vocabulary: &'static [&'static str]) -> Result<Tree, String> {
    let mut json = serde_json::Deserializer::from_reader(Repair::new(text.as_bytes()));
    let budget = Budget::new(vocabulary);
    let tree = budget.deserialize(&mut json).and_then(|tree| json.end().map(|()| tree));
    tree.map_err(|error| error.to_string())
}

struct Walk<'h> {
    handler: &'h mut dyn Handler,
    path: Vec<&'static str>,
    at: Whereabouts,
}

/// The value at the walk's path, of which something is wanted.
struct Value<'w, 'h>(&'w mut Walk<'h>);

impl Walk<'_> {
    fn spot(&self) -> Spot {
        let Position { line, column, .. } = self.at.get();
        Spot { line, column }
    }

    fn taken<E: Error>(&mut self, tree: Tree) -> Result<(), E> {
        self.handler.take(&self.path, tree, self.spot());
        self.go_on()
    }

    fn go_on<E: Error>(&self) -> Result<(), E> {
        // No better way out of the parser than an error.
        if self.handler.is_done() { Err(E::custom("stopped")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        match self.0.handler.want(&self.0.path) {
            Want::Skip => IgnoredAny::deserialize(from).map(drop),
            Want::Whole => {
                let tree = Budget::new(self.0.handler.words()).deserialize(from)?;
                self.0.taken(tree)
            }
            Want::Enter => from.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = ();

    scalars!(|value: Self, tree| value.0.taken(tree));

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let walk = self.0;
        walk.handler.begin(&walk.path, Bracket::Object, walk.spot());
        while let Some(key) = map.next_key::<String>()? {
            let Some(known) = walk.handler.known(&key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            walk.path.push(known);
            map.next_value_seed(Value(walk))?;
            walk.path.pop();
        }
        walk.handler.end(&walk.path, walk.at.get().line);
        walk.go_on()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let walk = self.0;
        walk.handler.begin(&walk.path, Bracket::List, walk.spot());
        walk.path.push(ITEM);
        while list.next_element_seed(Value(walk))?.is_some() {}
        walk.path.pop();
        walk.handler.end(&walk.path, walk.at.get().line);
        walk.go_on()
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.taken(Tree::Text(text.to_owned()))
    }
}
