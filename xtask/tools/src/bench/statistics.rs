//! The few numbers that stand for many.

/// The middle value, or the mean of the two in the middle; 0 of nothing.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// The median of one number of each run.
pub(super) fn median_of<T>(runs: &[T], number: impl Fn(&T) -> f64) -> f64 {
    median(runs.iter().map(number))
}

/// The value that this share of sorted ones does not exceed; 0 of nothing.
pub(super) fn percentile(sorted: &[f64], share: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(place.saturating_sub(1).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

/// A quotient, or 0 where there is nothing to divide by: a table of zeros is seen, infinity in JSON is not read.
pub(super) fn ratio(value: f64, by: f64) -> f64 {
    if by > 0.0 { value / by } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_found() {
        assert_eq!(median([]), 0.0);
        assert_eq!(median([7.0]), 7.0);
        assert_eq!(median([9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 9.0]), 3.0);
        assert_eq!(median_of(&[(1, 5.0), (2, 6.0), (3, 4.0)], |run| run.1), 5.0);
    }

    #[test]
    fn nothing_is_divided_by_zero() {
        assert_eq!(ratio(3.0, 2.0), 1.5);
        assert_eq!(ratio(3.0, 0.0), 0.0);
    }
}
