//! Randomness with a seed that is printed, and can be given again in `LATERNA_SEED`.

use fastrand::Rng;

/// A generator; prints its seed, so that a failure can be seen again.
#[must_use]
pub fn seeded(test: &str) -> Rng {
    let given = std::env::var("LATERNA_SEED").ok();
    let seed = given.map_or_else(|| fastrand::u64(..), |seed| seed.parse().expect("LATERNA_SEED is a number"));
    println!("{test}: LATERNA_SEED={seed}");
    Rng::with_seed(seed)
}
