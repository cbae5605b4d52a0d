//! A JSON value as it is, of whatever kind: a reader asks it for what it would like to see there.

use std::cell::Cell;
use std::fmt;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::case::Failure;
use crate::names::tidy;
use crate::time::Stamp;

/// The most values of one tree that are kept.
const VALUES_MAX: usize = 20_000;

/// The most text of one tree that is kept, in bytes.
const BYTES_MAX: usize = 2 * 1024 * 1024;

/// A value. Of an object only what the vocabulary names is kept, of a large one only the beginning.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum Tree {
    #[default]
    Nothing,
    Text(String),
    Number(f64),
    Flag(bool),
    List(Vec<Tree>),
    Object(Vec<(&'static str, Tree)>),
}

static NOTHING: Tree = Tree::Nothing;

impl Tree {
    /// What an object has under this key; of two, the last.
    pub(crate) fn get(&self, key: &str) -> &Self {
        match self {
            Self::Object(fields) => Self::field(fields, key),
            Self::Nothing | Self::Text(_) | Self::Number(_) | Self::Flag(_) | Self::List(_) => &NOTHING,
        }
    }

    /// Of fields the value of the last one with this key.
    pub(super) fn field<'t>(fields: &'t [(&'static str, Self)], key: &str) -> &'t Self {
        fields.iter().rev().find(|(name, _)| *name == key).map_or(&NOTHING, |(_, value)| value)
    }

    pub(crate) fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    /// A text, or what stands in its place: a number, a word, several texts.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Number(number) => Some(number.to_string()),
            Self::Flag(flag) => Some(flag.to_string()),
            Self::List(list) => {
                let texts: Vec<_> = list.iter().filter_map(Self::text).collect();
                (!texts.is_empty()).then(|| texts.join("\n"))
            }
            Self::Nothing | Self::Object(_) => None,
        }
    }

    /// A text that says something.
    pub(crate) fn filled(&self) -> Option<String> {
        self.text().filter(|text| !text.trim().is_empty())
    }

    /// A text, on one line.
    pub(crate) fn name(&self) -> String {
        tidy(&self.text().unwrap_or_default())
    }

    /// A time; unknown where there is none.
    pub(crate) fn stamp(&self) -> Stamp {
        self.text().map(|time| Stamp::read(&time)).unwrap_or_default()
    }

    /// A failure by the first texts that say something under these keys; a text alone is its message.
    pub(crate) fn failure(&self, messages: &[&str], texts: &[&str]) -> Failure {
        let first = |keys: &[&str]| keys.iter().find_map(|key| self.get(key).filled());
        let message = first(messages).or_else(|| self.filled());
        Failure::new(&message.unwrap_or_default(), &first(texts).unwrap_or_default())
    }

    /// Several texts, or one.
    pub(crate) fn texts(&self) -> Vec<String> {
        match self {
            Self::List(list) => list.iter().filter_map(Self::filled).collect(),
            Self::Nothing | Self::Text(_) | Self::Number(_) | Self::Flag(_) | Self::Object(_) => {
                self.filled().into_iter().collect()
            }
        }
    }

    /// A number, or a text that is one.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Nothing | Self::Flag(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// A count: 0 where there is none.
    pub(crate) fn count(&self) -> u64 {
        let number = self.number().filter(|number| number.is_finite() && *number >= 1.0);
        // Far beyond what can be counted, and still exact.
        number.map_or(0, |number| format!("{:.0}", number.min(1e15)).parse().unwrap_or(0))
    }

    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Flag(flag) => *flag,
            Self::Text(text) => text.eq_ignore_ascii_case("true"),
            Self::Nothing | Self::Number(_) | Self::List(_) | Self::Object(_) => false,
        }
    }

    /// The elements of a list; what is no list has none.
    pub(crate) fn items(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            Self::Nothing | Self::Text(_) | Self::Number(_) | Self::Flag(_) | Self::Object(_) => &[],
        }
    }
}

/// Reads one tree within its bounds.
pub(super) struct Budget {
    words: &'static [&'static str],
    values: Cell<usize>,
    bytes: Cell<usize>,
}

impl Budget {
    pub(super) fn new(words: &'static [&'static str]) -> Self {
        Self { words, values: Cell::new(VALUES_MAX), bytes: Cell::new(BYTES_MAX) }
    }
}

impl<'de> DeserializeSeed<'de> for &Budget {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Tree, D::Error> {
        if self.values.get() == 0 || self.bytes.get() == 0 {
            return IgnoredAny::deserialize(from).map(|_| Tree::Nothing);
        }
        self.values.set(self.values.get() - 1);
        from.deserialize_any(self)
    }
}

/// What a visitor makes of the values that hold no others.
macro_rules! scalars {
    ($made:expr) => {
        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("any JSON")
        }

        fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
            $made(self, Tree::Flag(value))
        }

        #[expect(
            clippy::cast_precision_loss,
            reason = "numbers of reports are times and counts, far below 2^53"
        )]
        fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
            $made(self, Tree::Number(value as f64))
        }

        #[expect(
            clippy::cast_precision_loss,
            reason = "numbers of reports are times and counts, far below 2^53"
        )]
        fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
            $made(self, Tree::Number(value as f64))
        }

        fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
            $made(self, Tree::Number(value))
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            $made(self, Tree::Nothing)
        }
    };
}
pub(super) use scalars;

impl<'de> Visitor<'de> for &Budget {
    type Value = Tree;

    scalars!(|_, tree| Ok(tree));

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut fields = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            match self.words.iter().find(|word| **word == key) {
                Some(known) => fields.push((*known, map.next_value_seed(self)?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Tree::Object(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            if self.values.get() > 0 {
                items.push(item);
            }
        }
        Ok(Tree::List(items))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tree, E> {
        let kept = &text[..text.floor_char_boundary(self.bytes.get())];
        self.bytes.set(self.bytes.get() - kept.len());
        Ok(Tree::Text(kept.to_owned()))
    }
}
