//! Arms that take turns, and how they compare.

use serde::Serialize;
use std::time::Duration;

/// How often one arm is as fast as the other, over the rounds of one run. These machines are shared and noisy, so figures are
/// never compared across runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ratio {
    /// The middle one.
    pub median: f64,
    /// The worst.
    pub min: f64,
    /// The best.
    pub max: f64,
}

impl Ratio {
    /// How many times as fast as the reference an arm was, round by round: 2 is twice as fast. `None` where there are no rounds.
    #[must_use]
    pub fn of(reference: &[Duration], arm: &[Duration]) -> Option<Self> {
        let ratio = |(reference, arm): (&Duration, &Duration)| reference.as_secs_f64() / arm.as_secs_f64();
        let mut ratios: Vec<f64> = reference.iter().zip(arm).map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        let middle = ratios.len() / 2;
        let median = match ratios.len() {
            0 => return None,
            odd if odd % 2 == 1 => ratios[middle],
            _ => (ratios[middle - 1] + ratios[middle]) / 2.0,
        };
        Some(Self { median, min: ratios[0], max: ratios[ratios.len() - 1] })
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2} to {:.2})", self.median, self.min, self.max)
    }
}

/// One thing that is measured, and answers the time that it took.
pub type Arm<'a, E> = &'a mut dyn FnMut() -> Result<Duration, E>;

/// Lets arms take turns, so many rounds; who begins changes from round to round. Answers the times of each arm.
///
/// # Errors
/// That of the first arm that fails.
pub fn take_turns<E>(rounds: usize, arms: &mut [Arm<'_, E>]) -> Result<Vec<Vec<Duration>>, E> {
    let mut times = vec![Vec::with_capacity(rounds); arms.len()];
    for round in 0..rounds {
        for turn in 0..arms.len() {
            let arm = (round + turn) % arms.len();
            times[arm].push(arms[arm]()?);
        }
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_take_turns_and_their_ratio_is_the_one_in_the_middle() {
        let order = std::cell::RefCell::new(String::new());
        let (mut reference, mut arm) = ([2, 9, 4].into_iter(), [1, 3, 4].into_iter());
        let mut takes = |name, times: &mut std::array::IntoIter<u64, 3>| {
            order.borrow_mut().push(name);
            Ok::<_, ()>(Duration::from_secs(times.next().unwrap_or(1)))
        };
        let takes = std::cell::RefCell::new(&mut takes);
        let times = take_turns(
            3,
            &mut [&mut || takes.borrow_mut()('a', &mut reference), &mut || takes.borrow_mut()('b', &mut arm)],
        );
        let times = times.expect("no arm fails");
        assert_eq!(*order.borrow(), "abbaab");
        assert_eq!(Ratio::of(&times[0], &times[1]), Some(Ratio { median: 2.0, min: 1.0, max: 3.0 }));
    }
}
