//! Keeps some of many items, spread evenly, when their number is unknown.
//!
//! At first everything is kept. Each time there is too much, every second item is dropped, and from then on only every
//! second new one is taken. So what is kept are always the things 0, s, 2s, … of those offered, the same ones
//! for the same things.

/// Things kept of those offered.
#[derive(Debug)]
pub(super) struct Spread<T> {
    kept: Vec<T>,
    /// The most that are kept.
    most: usize,
    /// One in so many is kept.
    stride: u64,
    /// How many have been offered.
    offered: u64,
    /// The number of the next one that is kept.
    next: u64,
}

impl<T> Spread<T> {
    /// Keeps at most `most` things, and at least half as many where there are.
    pub(super) fn new(most: usize) -> Spread<T> {
        Spread { kept: Vec::new(), most: most.max(2), stride: 1, offered: 0, next: 0 }
    }

    /// Takes one more thing, if it is one of those to be kept, and says whether it is.
    pub(super) fn offer(&mut self, make: impl FnOnce() -> T) -> bool {
        let number = self.offered;
        self.offered += 1;
        if number != self.next {
            return false;
        }
        if self.kept.len() >= self.most {
            self.thin();
            if number != self.next {
                return false;
            }
        }
        self.kept.push(make());
        self.next += self.stride;
        true
    }

    /// Drops every second thing.
    pub(super) fn thin(&mut self) {
        let mut number = 0;
        self.kept.retain(|_| {
            number += 1;
            number % 2 == 1
        });
        self.stride *= 2;
        self.next = self.stride.saturating_mul(u64::try_from(self.kept.len()).unwrap_or(u64::MAX));
    }

    pub(super) fn kept(&self) -> &[T] {
        &self.kept
    }

    /// What is kept, and whether the last thing offered is the last of it.
    pub(super) fn finish(self) -> (Vec<T>, bool) {
        (self.kept, self.next == self.offered.saturating_sub(1).saturating_add(self.stride))
    }
}

/// `wanted` of these things, or all, from the first to the last and evenly between.
pub(super) fn evenly<T>(things: &[T], wanted: usize) -> impl Iterator<Item = &T> {
    let wanted = wanted.min(things.len());
    let last = things.len().saturating_sub(1);
    (0..wanted).filter_map(move |number| things.get(number * last / (wanted - 1).max(1)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_kept_is_spread_evenly(offered in 0u64..3_000, most in 2usize..100, thinned in 0u64..3_000) {
            let mut spread = Spread::new(most);
            for number in 0..offered {
                spread.offer(|| number);
                if number == thinned {
                    spread.thin();
                }
                prop_assert!(spread.kept().len() <= most);
            }
            let (kept, has_last) = spread.finish();
            let step = kept.get(1).copied().unwrap_or(1);
            let expected: Vec<u64> = (0..offered).step_by(usize::try_from(step).unwrap()).collect();
            if kept.len() != 1 {
                prop_assert_eq!(&kept, &expected);
            }
            prop_assert_eq!(has_last, kept.last().is_some_and(|last| *last + 1 == offered));
        }
    }

    #[test]
    fn half_of_what_is_allowed_is_always_kept() {
        let mut spread = Spread::new(10);
        for number in 0..10_000 {
            spread.offer(|| number);
            assert!(spread.kept().len() >= 5.min(number + 1), "{number}");
        }
    }

    #[test]
    fn even_choices_have_both_ends() {
        let things: Vec<usize> = (0..5_000).collect();
        for wanted in [2, 3, 90, 4_999, 5_000, 9_000] {
            let found: Vec<usize> = evenly(&things, wanted).copied().collect();
            assert_eq!(found.len(), wanted.min(5_000));
            assert_eq!((found.first(), found.last()), (Some(&0), Some(&4_999)));
            assert!(found.is_sorted_by(|one, other| one < other));
        }
        assert_eq!(evenly(&things, 1).copied().collect::<Vec<_>>(), [0]);
        assert_eq!(evenly::<u8>(&[], 7).count(), 0);
    }
}
