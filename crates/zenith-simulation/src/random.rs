//! Random numbers that are the same on every machine.

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    /// A sequence of its own, which does not depend on how far the others are.
    pub(crate) fn fork(&mut self) -> Random {
        Random::new(self.next())
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `least` to `most`, with both.
    pub(crate) fn between(&mut self, least: u32, most: u32) -> u32 {
        let span = u64::from(most - least) + 1;
        // The upper half of the product of 32 random bits and the span is below the span.
        least + u32::try_from(((self.next() >> 32) * span) >> 32).unwrap_or(0)
    }

    /// Whether one of so many hundred cases is at hand.
    pub(crate) fn percent(&mut self, percent: u32) -> bool {
        percent > 0 && self.between(1, 100) <= percent
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, first: T, others: &[T]) -> T {
        let most = u32::try_from(others.len()).unwrap_or(u32::MAX);
        let chosen = usize::try_from(self.between(0, most)).unwrap_or(0);
        chosen.checked_sub(1).and_then(|index| others.get(index)).copied().unwrap_or(first)
    }
}
