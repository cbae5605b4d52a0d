//! The randomness of one history: splitmix64, so that a seed gives the same history on every machine.

#[derive(Debug, Clone)]
pub(crate) struct Chances(u64);

impl Chances {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def0)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `low` (inclusive) to `high` (exclusive).
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low).max(1)
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.between(0, len as u64)).expect("an index of something in memory")
    }

    pub(crate) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.index(all.len())]
    }

    /// Whether something of this likelihood, in thousandths, happens.
    pub(crate) fn permille(&mut self, likelihood: u64) -> bool {
        self.next() % 1000 < likelihood
    }

    /// From 0 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        let millionths = u32::try_from(self.next() % 1_000_000).expect("below a million");
        f64::from(millionths) / 1e6
    }
}
