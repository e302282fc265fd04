//! Chance as a function: the same question gives the same answer whenever it is asked.
//!
//! Nothing has to be remembered but a seed: a laptop's Tuesday, a home's router, a street's power cut are each
//! computed when they are needed, and two laptops of one home get one answer.

/// A source of chance, named by the questions that led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0xfa53_0a7c_5eed_0001))
    }

    /// For a question of its own.
    #[must_use]
    pub fn of(self, what: &str) -> Self {
        let word = what
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        self.at(word)
    }

    /// For one of several.
    #[must_use]
    pub fn at(self, number: impl Into<u64>) -> Self {
        Self(mix(self.0 ^ mix(number.into().wrapping_add(0x9e37_79b9_7f4a_7c15))))
    }

    /// For a day.
    #[must_use]
    pub fn day(self, day: i32) -> Self {
        self.at(u64::from(day.cast_unsigned()))
    }

    /// 64 bits.
    pub fn number(self) -> u64 {
        self.0
    }

    /// From 0 to below 1.
    pub fn unit(self) -> f64 {
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with a probability.
    pub fn chance(self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// From 0 to below `count`; 0 if there is nothing to choose from.
    pub fn below(self, count: u32) -> u32 {
        let product = u128::from(self.0) * u128::from(count);
        u32::try_from(product >> 64).unwrap_or(0)
    }

    /// From `low` to `high`, both of them possible.
    pub fn between(self, low: i64, high: i64) -> i64 {
        let width = u32::try_from(high - low + 1).unwrap_or(1);
        low + i64::from(self.below(width))
    }

    /// One of a list.
    pub fn pick<T: Copy>(self, list: &[T]) -> T {
        list[self.below(u32::try_from(list.len()).unwrap_or(u32::MAX)) as usize]
    }

    /// A generator for many draws in a row.
    pub fn rng(self) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.0)
    }
}

/// The finaliser of SplitMix64: every bit of the input moves half of the output's.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number of things as a whole one: a share of a fleet.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and shares of fleets are small"
)]
pub fn whole(number: f64) -> u32 {
    number.round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_as_often_as_it_says_and_questions_are_independent() {
        let dice = Dice::new(7).of("rain");
        let days = |question: &str| (0..10_000).filter(|d| dice.of(question).day(*d).chance(0.3)).count();
        assert!((2800..3200).contains(&days("here")), "{}", days("here"));
        let both =
            (0..10_000).filter(|d| dice.of("a").day(*d).chance(0.3) && dice.of("b").day(*d).chance(0.3));
        assert!((780..1020).contains(&both.count()));
    }

    #[test]
    fn both_ends_of_a_range_are_possible() {
        let seen: std::collections::BTreeSet<i64> =
            (0..1000u64).map(|n| Dice::new(n).between(-2, 2)).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [-2, -1, 0, 1, 2]);
    }
}
