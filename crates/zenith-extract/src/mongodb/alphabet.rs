//! The characters that strings are made of, learnt from two of them: strings as numbers, and numbers as strings.

/// Characters of a string that are used.
const LOOKED_AT: usize = 32;
/// Numbers stay below this.
const LIMIT: u128 = 1 << 120;
/// Most characters that are written.
const DIGITS_MAX: u32 = 24;

/// The first and the last of the code points that are no characters: surrogates.
const NO_CHARS: (u32, u32) = (0xD800, 0xDFFF);

/// Ranges of code points, ascending, of which strings are made: digits and letters whole, as soon as one of them is
/// seen; other characters one by one; those beyond ASCII from the first to the last that is seen.
pub(super) struct Alphabet {
    ranges: Vec<(u32, u32)>,
    /// How many code points there are.
    size: u128,
    /// How many characters a number stands for.
    digits: u32,
}

impl Alphabet {
    pub(super) fn of(one: &str, other: &str) -> Alphabet {
        let seen: Vec<char> = one.chars().take(LOOKED_AT).chain(other.chars().take(LOOKED_AT)).collect();
        let hexadecimal = seen.iter().filter(|seen| seen.is_ascii_alphabetic()).all(char::is_ascii_hexdigit);
        let class = |seen: char| match seen {
            '0'..='9' => ('0', '9'),
            'A'..='Z' => ('A', if hexadecimal { 'F' } else { 'Z' }),
            'a'..='z' => ('a', if hexadecimal { 'f' } else { 'z' }),
            other => (other, other),
        };
        let ascii = seen.iter().filter(|seen| seen.is_ascii()).map(|&seen| class(seen));
        let beyond = || seen.iter().copied().filter(|seen| !seen.is_ascii());
        let beyond = beyond().min().zip(beyond().max());
        let mut ranges: Vec<(u32, u32)> =
            ascii.chain(beyond).map(|(first, last)| (u32::from(first), u32::from(last))).collect();
        ranges.sort_unstable();
        ranges.dedup();
        if let Some(last) = ranges.last_mut().filter(|last| last.0 < NO_CHARS.0 && last.1 > NO_CHARS.1) {
            let after = (NO_CHARS.1 + 1, last.1);
            last.1 = NO_CHARS.0 - 1;
            ranges.push(after);
        }
        let size = ranges.iter().map(|(first, last)| u128::from(last - first) + 1).sum::<u128>().max(1);
        let mut digits = 1;
        while digits < DIGITS_MAX && size.checked_pow(digits + 1).is_some_and(|numbers| numbers < LIMIT) {
            digits += 1;
        }
        Alphabet { ranges, size, digits }
    }

    /// The text as a number; what it lacks of the characters a number stands for counts as the first of all.
    pub(super) fn number(&self, text: &str) -> u128 {
        let mut chars = text.chars();
        (0..self.digits)
            .fold(0, |number, _| number * self.size + chars.next().map_or(0, |char| self.rank(char)))
    }

    /// The text that a number stands for.
    pub(super) fn text(&self, mut number: u128) -> String {
        let mut chars = Vec::new();
        for _ in 0..self.digits {
            chars.push(self.char(number % self.size));
            number /= self.size;
        }
        chars.iter().rev().collect()
    }

    /// How many characters of the alphabet come before this one.
    fn rank(&self, char: char) -> u128 {
        let char = u32::from(char);
        let before = |&(first, last): &(u32, u32)| u128::from((last + 1).min(char).saturating_sub(first));
        self.ranges.iter().map(before).sum::<u128>().min(self.size - 1)
    }

    fn char(&self, rank: u128) -> char {
        let mut rank = u32::try_from(rank).unwrap_or(u32::MAX);
        for &(first, last) in &self.ranges {
            if rank <= last - first {
                return char::from_u32(first + rank).unwrap_or(char::REPLACEMENT_CHARACTER);
            }
            rank -= last - first + 1;
        }
        char::REPLACEMENT_CHARACTER
    }
}
