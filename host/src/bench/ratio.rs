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

/// The times of one round.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// What the reference took.
    pub reference: Duration,
    /// What Laterna took for the same.
    pub laterna: Duration,
}

impl Round {
    /// How many times as fast as the reference Laterna was: 2 is twice as fast.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.reference.as_secs_f64() / self.laterna.as_secs_f64()
    }
}

impl Ratio {
    /// Over these rounds; `None` where there are none.
    #[must_use]
    pub fn of(rounds: &[Round]) -> Option<Self> {
        let mut ratios: Vec<f64> = rounds.iter().map(Round::ratio).collect();
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

/// Lets two arms take turns, so many rounds; who begins changes from round to round.
///
/// # Errors
/// That of the first arm that fails.
pub fn alternate<E>(
    rounds: usize,
    mut reference: impl FnMut() -> Result<Duration, E>,
    mut laterna: impl FnMut() -> Result<Duration, E>,
) -> Result<Vec<Round>, E> {
    let mut measured = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let round = if round % 2 == 0 {
            let reference = reference()?;
            Round { reference, laterna: laterna()? }
        } else {
            let laterna = laterna()?;
            Round { reference: reference()?, laterna }
        };
        measured.push(round);
    }
    Ok(measured)
}
