//! The name that was probably meant.

/// The candidate that is nearest to `given`, if one is near enough to be a slip of the fingers.
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    let allowed = (given.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (distance(&given, &candidate.to_lowercase()), candidate))
        .filter(|&(distance, _)| distance <= allowed)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// "; did you mean orders?", or the few names there are, or nothing.
pub fn hint<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    match nearest(given, candidates.iter().copied()) {
        Some(name) => format!("; did you mean {name}?"),
        None if candidates.is_empty() => String::new(),
        None if candidates.len() <= 20 => format!("; there are: {}", candidates.join(", ")),
        None => format!("; there are {} others", candidates.len()),
    }
}

/// Insertions, deletions, replacements and exchanges of neighbours that turn one word into the other.
///
/// The restricted edit distance of Damerau and Levenshtein, row by row.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before_last[j - 2] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, hint, nearest};

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        let settings = ["collection", "table", "mode", "flush_rows", "flush_interval"];
        for (given, meant) in [
            ("colection", Some("collection")),
            ("Mode", Some("mode")),
            ("flushrows", Some("flush_rows")),
            ("mdoe", Some("mode")),
            ("flush-interval", Some("flush_interval")),
            ("database", None),
            ("x", None),
        ] {
            assert_eq!(nearest(given, settings), meant, "{given}");
        }
        assert_eq!((distance("", "abc"), distance("abc", "abc"), distance("ab", "ba")), (3, 0, 1));
    }

    #[test]
    fn hints_name_what_there_is() {
        assert_eq!(hint("oders", ["orders", "users"]), "; did you mean orders?");
        assert_eq!(hint("invoices", ["orders", "users"]), "; there are: orders, users");
        assert_eq!(hint("invoices", []), "");
    }
}
