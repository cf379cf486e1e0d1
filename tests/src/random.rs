//! Randomness with a seed that is printed, and can be given again in `LATERNA_SEED`.

use fastrand::Rng;

/// A seed, another one each time, and shown, so that a failure can be seen again.
#[must_use]
pub fn seed(test: &str) -> u64 {
    let given = std::env::var("LATERNA_SEED").ok();
    let seed = given.map_or_else(|| fastrand::u64(..), |seed| seed.parse().expect("LATERNA_SEED is a number"));
    println!("{test}: LATERNA_SEED={seed}");
    seed
}

/// A generator with such a seed.
#[must_use]
pub fn seeded(test: &str) -> Rng {
    Rng::with_seed(seed(test))
}
