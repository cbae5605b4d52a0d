//! Telling from memory that a run does not have a name.
//!
//! A Bloom filter whose bits for one name lie in one line of the processor's cache (Putze, Sanders, Singler: Cache-,
//! Hash- and Space-Efficient Bloom Filters, 2007). It is our own because it is stored: a library that places its bits otherwise
//! in a later version would answer "not there" for what is there.

use crate::entry::Id;
use crate::fault::Fault;

/// The words of one line: 64 bytes.
const LINE_WORDS: usize = 8;

/// How many bits there are for each name that is expected; with them about one name in a thousand that is not there seems to
/// be. There are dozens of runs, and each name that seems to be in one costs a read.
const BITS_PER_NAME: u64 = 16;

/// The most names of one line: one for every bit. A sound filter is far from it, since at most twice as many names come as were
/// expected: a merge expects half of what it finds, or more.
const NAMES_PER_LINE_MAX: u64 = 512;

/// How many bits are set for a name, each chosen by 9 bits of its hash.
const PROBES: u32 = 7;

/// The names of one run, so to speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter(Vec<[u64; LINE_WORDS]>);

impl Filter {
    /// An empty filter, big enough for so many names.
    pub(crate) fn for_names(names: u64) -> Self {
        let lines = (names.saturating_mul(BITS_PER_NAME)).div_ceil(512).max(1);
        Self(vec![[0; LINE_WORDS]; usize::try_from(lines).expect("a filter fits in memory")])
    }

    /// The most names that it may have.
    pub(crate) fn names_max(&self) -> u64 {
        NAMES_PER_LINE_MAX * self.0.len() as u64
    }

    /// Whether it is as long as [`Filter::for_names`] makes it for names that fill so many blocks of sixteen.
    pub(crate) fn fits_blocks(&self, blocks: u32) -> bool {
        self.0.len() as u64 == u64::from(blocks).div_ceil(2).max(1)
    }

    pub(crate) fn insert(&mut self, id: &Id) {
        let line = self.line(id);
        for (word, bit) in bits(id) {
            self.0[line][word] |= bit;
        }
    }

    /// Whether the name may be there; if it is there, this says so.
    pub(crate) fn may_hold(&self, id: &Id) -> bool {
        let line = &self.0[self.line(id)];
        bits(id).all(|(word, bit)| line[word] & bit != 0)
    }

    fn line(&self, id: &Id) -> usize {
        let scaled = u128::from(id.halves().0) * self.0.len() as u128;
        usize::try_from(scaled >> 64).expect("it is smaller than the number of lines")
    }

    /// The filter's bytes, a piece at a time.
    pub(crate) fn pieces(&self, bytes: usize) -> impl Iterator<Item = Vec<u8>> {
        let lines = (bytes / 64).max(1);
        self.0.chunks(lines).map(|chunk| chunk.iter().flatten().flat_map(|word| word.to_be_bytes()).collect())
    }

    /// The filter that these pieces are of.
    pub(crate) fn of_pieces<P: AsRef<[u8]>>(
        pieces: impl Iterator<Item = Result<P, sled::Error>>,
    ) -> Result<Self, Fault> {
        let mut lines = Vec::new();
        for piece in pieces {
            let piece = piece?;
            let (whole, rest) = piece.as_ref().as_chunks::<64>();
            if !rest.is_empty() {
                return Err(Fault::Damaged("a filter is malformed".into()));
            }
            lines.extend(whole.iter().map(line_of));
        }
        if lines.is_empty() {
            return Err(Fault::Damaged("a filter is missing".into()));
        }
        Ok(Self(lines))
    }
}

fn line_of(bytes: &[u8; 64]) -> [u64; LINE_WORDS] {
    let (words, _) = bytes.as_chunks::<8>();
    let mut line = [0; LINE_WORDS];
    for (word, bytes) in line.iter_mut().zip(words) {
        *word = u64::from_be_bytes(*bytes);
    }
    line
}

/// The bits of a name within its line.
fn bits(id: &Id) -> impl Iterator<Item = (usize, u64)> {
    let (_, chooser) = id.halves();
    (0..PROBES).map(move |probe| {
        let nine = chooser >> (9 * probe) & 511;
        let word = usize::try_from(nine >> 6).expect("three bits");
        (word, 1 << (nine & 63))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::id;

    fn filled(names: u64) -> Filter {
        let mut filter = Filter::for_names(names);
        (0..names).for_each(|number| filter.insert(&id(number)));
        filter
    }

    #[test]
    fn a_filter_forgets_no_name_and_guesses_few() {
        for names in [0, 1, 100, 20_000] {
            let filter = filled(names);
            assert!((0..names).all(|number| filter.may_hold(&id(number))));
            let guessed = (names..names + 10_000).filter(|number| filter.may_hold(&id(*number))).count();
            assert!(guessed < 60, "{guessed} of 10000 beside {names}");
        }
    }

    #[test]
    fn a_filter_is_the_same_after_it_was_stored() {
        let filter = filled(1_000);
        let pieces: Vec<_> = filter.pieces(256).collect();
        assert!(pieces.len() > 1);
        assert_eq!(Filter::of_pieces(pieces.iter().map(Ok)).unwrap(), filter);
    }

    #[test]
    fn a_cut_or_missing_filter_is_damage() {
        assert!(matches!(Filter::of_pieces([Ok([0; 63])].into_iter()), Err(Fault::Damaged(_))));
        assert!(matches!(
            Filter::of_pieces(std::iter::empty::<Result<[u8; 0], _>>()),
            Err(Fault::Damaged(_))
        ));
    }
}
