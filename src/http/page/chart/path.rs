//! Path data of curves: relative integer coordinates, one unit for each interval.

use std::fmt::Write;

/// A run of points without a gap: the index of its first interval, and heights from the top.
type Run = (usize, Vec<i32>);

/// The runs of known heights.
fn runs(heights: impl IntoIterator<Item = Option<i32>>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut is_gap = true;
    for (index, height) in heights.into_iter().enumerate() {
        match (height, runs.last_mut()) {
            (Some(height), Some((_, run))) if !is_gap => run.push(height),
            (Some(height), _) => runs.push((index, vec![height])),
            (None, _) => {}
        }
        is_gap = height.is_none();
    }
    runs
}

/// Continues a path through `heights`, one unit of `dx` apart, from a point at the height `at`.
fn follow(path: &mut String, mut at: i32, heights: impl IntoIterator<Item = i32>, dx: i32) {
    for (number, height) in heights.into_iter().enumerate() {
        let dy = height - at;
        // A minus sign separates numbers, too.
        let (before, between) = (if number == 0 { "l" } else { " " }, if dy < 0 { "" } else { " " });
        let before = if number > 0 && dx < 0 { "" } else { before };
        let _ = write!(path, "{before}{dx}{between}{dy}");
        at = height;
    }
}

/// A line through the known heights. A single point is a dot, if the line has round ends.
pub(super) fn line(heights: impl IntoIterator<Item = Option<i32>>) -> String {
    let mut path = String::new();
    for (start, run) in runs(heights) {
        let _ = write!(path, "M{start} {}", run[0]);
        follow(&mut path, run[0], run[1..].iter().copied(), 1);
        if run.len() == 1 {
            path.push_str("h0");
        }
    }
    path
}

/// The area between two curves that have the same gaps: to the right along the first, back along the second.
pub(super) fn band(
    upper: impl IntoIterator<Item = Option<i32>>,
    lower: impl IntoIterator<Item = Option<i32>>,
) -> String {
    let mut path = String::new();
    for ((start, upper), (_, lower)) in runs(upper).into_iter().zip(runs(lower)) {
        let last = lower[lower.len() - 1];
        let _ = write!(path, "M{start} {}", upper[0]);
        follow(&mut path, upper[0], upper[1..].iter().copied(), 1);
        let _ = write!(path, "V{last}");
        follow(&mut path, last, lower.iter().rev().skip(1).copied(), -1);
        path.push('z');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEIGHTS: [Option<i32>; 7] = [Some(5), Some(7), Some(7), None, None, Some(2), None];

    #[test]
    fn gaps_interrupt_a_line() {
        assert_eq!(line(HEIGHTS), "M0 5l1 2 1 0M5 2h0");
        assert_eq!(line([None, Some(9), Some(4), Some(0)]), "M1 9l1-5 1-4");
        assert_eq!(line([None, None]), "");
    }

    #[test]
    fn a_band_goes_along_the_highest_and_back_along_the_lowest_values() {
        let upper = [Some(1), Some(3), None, Some(2)];
        let lower = [Some(4), Some(5), None, Some(8)];
        assert_eq!(band(upper, lower), "M0 1l1 2V5l-1-1zM3 2V8z");
        assert_eq!(band([Some(1); 3], [Some(1); 3]), "M0 1l1 0 1 0V1l-1 0-1 0z");
    }
}
