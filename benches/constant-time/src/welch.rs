//! Welch's t-test, with and without the slowest measurements.

use crate::measure::Times;

/// How many thresholds are tried: half of the measurements at least stay below the lowest.
const CROPS: u32 = 10;

/// Returns the largest |t| of all measurements, and of those below several percentiles: what interrupts and
/// other programs add is long, and hides small differences.
pub fn largest_t(times: &Times) -> f64 {
    let [a, b] = &times.0;
    let mut all: Vec<f64> = a.iter().chain(b).copied().collect();
    all.sort_by(f64::total_cmp);
    let mut largest = t(a, b).abs();
    for crop in 1..=CROPS {
        // Denser towards the slowest: 1/2, 3/4, 7/8, …
        let below = 1.0 - 0.5_f64.powi(crop as i32);
        let place = ((all.len() - 1) as f64 * below) as usize;
        let below = |times: &[f64]| -> Vec<f64> {
            times
                .iter()
                .copied()
                .filter(|time| *time <= all[place])
                .collect()
        };
        largest = largest.max(t(&below(a), &below(b)).abs());
    }
    largest
}

/// A class that a crop left nearly nothing of tells nothing by its variance, and everything by its size.
fn t(a: &[f64], b: &[f64]) -> f64 {
    const LEAST: usize = 100;
    if a.len() < LEAST || b.len() < LEAST {
        return if a.len().max(b.len()) > 10 * LEAST {
            f64::INFINITY
        } else {
            0.0
        };
    }
    let ((mean_a, error_a), (mean_b, error_b)) = (mean_and_error(a), mean_and_error(b));
    let error = error_a + error_b;
    if error == 0.0 {
        return if mean_a == mean_b { 0.0 } else { f64::INFINITY };
    }
    (mean_a - mean_b) / error.sqrt()
}

/// The mean, and the variance of the mean.
fn mean_and_error(times: &[f64]) -> (f64, f64) {
    let count = times.len() as f64;
    let mean = times.iter().sum::<f64>() / count;
    let squares: f64 = times.iter().map(|time| (time - mean).powi(2)).sum();
    (mean, squares / (count - 1.0) / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t_is_welchs() {
        // Means 2 and 5, variances of the means 1/3 and 4/3, over enough copies of three values each.
        let a: Vec<f64> = [1.0, 2.0, 3.0].repeat(100);
        let b: Vec<f64> = [3.0, 5.0, 7.0].repeat(100);
        let (variance_a, variance_b) = (200.0 / 299.0 / 300.0, 800.0 / 299.0 / 300.0);
        let expected = -3.0 / f64::sqrt(variance_a + variance_b);
        assert!((t(&a, &b) - expected).abs() < 1e-9);
    }

    #[test]
    fn equal_times_tell_nothing_and_others_do() {
        let a: Vec<f64> = (0..1_000).map(|n| 100.0 + f64::from(n % 7)).collect();
        let slower: Vec<f64> = a.iter().map(|time| time + 3.0).collect();
        assert!(largest_t(&Times([a.clone(), a.clone()])) < 1e-9);
        assert!(largest_t(&Times([a, slower])) > 10.0);
    }

    #[test]
    fn a_difference_is_seen_behind_interruptions() {
        let noisy = |offset: f64| -> Vec<f64> {
            let time = |n: u32| f64::from(n % 7) + if n.is_multiple_of(10) { 1e6 } else { offset };
            (0..2_000).map(time).collect()
        };
        let (a, b) = (noisy(0.0), noisy(2.0));
        assert!(t(&a, &b).abs() < 1.0);
        assert!(largest_t(&Times([a, b])) > 10.0);
    }
}
