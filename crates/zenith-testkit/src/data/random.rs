//! Random numbers that are the same on every machine and in every version of this crate.

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
///
/// Good enough for test data, and starting a sequence costs nothing: every document has its own.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence that belongs to a document: its collection's seed and its number.
    #[must_use]
    pub fn of_document(seed: u64, number: u64) -> Self {
        let mut random = Self { state: seed };
        let base = random.next_u64();
        Self { state: base ^ number.wrapping_mul(0xd134_2543_de82_ef95) }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        // The upper half of the product of 32 random bits and the bound: always below it, so the cast keeps all.
        let product = (self.next_u64() >> 32) * u64::from(bound);
        u32::try_from(product >> 32).unwrap_or_default()
    }

    /// An index into a list of `length` entries, which must not be 0.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(u32::try_from(length).unwrap_or(u32::MAX))).unwrap_or_default()
    }

    /// One of the entries; the list must not be empty.
    pub fn pick<'a, T: ?Sized>(&mut self, entries: &[&'a T]) -> &'a T {
        entries[self.index(entries.len())]
    }

    /// A number of at least 0 and less than 1, with 32 random bits.
    pub fn fraction(&mut self) -> f64 {
        f64::from(self.below(u32::MAX)) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_belongs_to_seed_and_number() {
        let first = |seed, number| Random::of_document(seed, number).next_u64();
        assert_eq!(first(1, 2), first(1, 2));
        assert_ne!(first(1, 2), first(1, 3));
        assert_ne!(first(1, 2), first(2, 2));
    }

    #[test]
    fn bounds_hold() {
        let mut random = Random::of_document(7, 0);
        let mut seen = [false; 5];
        for _ in 0..1_000 {
            seen[random.index(5)] = true;
            assert!((0.0..1.0).contains(&random.fraction()));
        }
        assert_eq!(seen, [true; 5]);
    }
}
