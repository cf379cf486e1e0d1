//! In which orders events may come, and which of them come a second time.

use fastrand::Rng;
use std::collections::{BTreeMap, VecDeque};

/// The orders of some events, the given one first: all of them where there are not too many, else a random choice.
///
/// Events of one *line* keep their order: in a random order the first of a line that comes is the first of the line that was
/// given.
pub(super) struct Orders {
    /// The line of each event, in the given order.
    given: Vec<usize>,
    next: Next,
    /// They are a choice.
    random: bool,
}

enum Next {
    Given,
    /// The lines of the last order, in the order of the alphabet, from one to the next greater one.
    Greater(Vec<usize>),
    /// So many more.
    Random(usize),
    Nothing,
}

impl Orders {
    /// The orders of events that stand in these lines, `most` of them at most.
    pub(super) fn new(given: Vec<usize>, most: usize) -> Self {
        let random = count(&given) > most as u64;
        Self { given, next: Next::Given, random }
    }

    /// Whether they are a choice of many.
    pub(super) fn are_random(&self) -> bool {
        self.random
    }

    /// The next order: the events by their places in the given one.
    pub(super) fn next(&mut self, most: usize, rng: &mut Rng) -> Option<Vec<usize>> {
        match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Nothing => None,
            Next::Given => {
                self.next = if self.random {
                    Next::Random(most.saturating_sub(1))
                } else {
                    let mut least = self.given.clone();
                    least.sort_unstable();
                    Next::Greater(least)
                };
                Some((0..self.given.len()).collect())
            }
            Next::Greater(mut lines) => loop {
                let found = lines.clone();
                let is_last = !to_next_greater(&mut lines);
                if found != self.given {
                    self.next = if is_last { Next::Nothing } else { Next::Greater(lines) };
                    return Some(self.events(&found));
                }
                if is_last {
                    return None;
                }
            },
            Next::Random(0) => None,
            Next::Random(left) => {
                self.next = Next::Random(left - 1);
                // Shuffled as so many cards, with the line on each: every order is as likely as any other.
                let mut lines = self.given.clone();
                rng.shuffle(&mut lines);
                Some(self.events(&lines))
            }
        }
    }

    /// The events that come where their lines come in this order.
    fn events(&self, lines: &[usize]) -> Vec<usize> {
        let mut left: BTreeMap<usize, VecDeque<usize>> = BTreeMap::new();
        for (event, line) in self.given.iter().enumerate() {
            left.entry(*line).or_default().push_back(event);
        }
        lines.iter().filter_map(|line| left.get_mut(line)?.pop_front()).collect()
    }
}

/// How many orders there are; where they cannot be counted, very many.
fn count(lines: &[usize]) -> u64 {
    let mut sorted = lines.to_vec();
    sorted.sort_unstable();
    let (mut orders, mut of_line) = (1_u64, 0);
    for (index, line) in sorted.iter().enumerate() {
        of_line = if index > 0 && sorted[index - 1] == *line { of_line + 1 } else { 1 };
        // Always a whole number: the orders of those before, times the places that this line's events may take.
        orders = orders.saturating_mul(index as u64 + 1) / of_line;
    }
    orders
}

/// Goes from one order of the alphabet to the next; false from the last one.
fn to_next_greater(lines: &mut [usize]) -> bool {
    let Some(pivot) = (1..lines.len()).rev().find(|place| lines[place - 1] < lines[*place]).map(|place| place - 1)
    else {
        return false;
    };
    if let Some(greater) = (pivot + 1..lines.len()).rev().find(|place| lines[*place] > lines[pivot]) {
        lines.swap(pivot, greater);
    }
    lines[pivot + 1..].reverse();
    true
}

/// The same order with some of the events in it, one at least, coming a second time at a later place: each thing with whether it is
/// that second time.
pub(super) fn with_duplicates(order: &[usize], is_event: impl Fn(usize) -> bool, rng: &mut Rng) -> Vec<(usize, bool)> {
    let mut places: Vec<(usize, bool)> = order.iter().map(|thing| (*thing, false)).collect();
    let events: Vec<usize> = order.iter().copied().filter(|thing| is_event(*thing)).collect();
    if events.is_empty() {
        return places;
    }
    let sure = rng.usize(..events.len());
    for (index, event) in events.iter().enumerate() {
        // Few, so that what goes wrong is easy to see.
        if (index == sure || rng.u8(..4) == 0)
            && let Some(first) = places.iter().position(|place| *place == (*event, false))
        {
            places.insert(rng.usize(first + 1..=places.len()), (*event, true));
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn all(lines: &[usize], most: usize, seed: u64) -> Vec<Vec<usize>> {
        let (mut orders, mut rng) = (Orders::new(lines.to_vec(), most), Rng::with_seed(seed));
        std::iter::from_fn(|| orders.next(most, &mut rng)).collect()
    }

    #[test]
    fn six_events_have_all_their_orders_and_the_given_one_is_first() {
        let orders = all(&[0, 1, 2, 3, 4, 5], 720, 1);
        assert_eq!(orders[0], [0, 1, 2, 3, 4, 5]);
        assert_eq!((orders.len(), orders.iter().collect::<HashSet<_>>().len()), (720, 720));
    }

    #[test]
    fn lines_keep_their_order() {
        // Two of one line, two of another: 4! / (2! · 2!)
        let orders = all(&[1, 0, 1, 0], 720, 1);
        assert_eq!(orders[0], [0, 1, 2, 3]);
        assert_eq!((orders.len(), orders.iter().collect::<HashSet<_>>().len()), (6, 6));
        for order in all(&[1, 0, 1, 0, 1, 0, 1, 0], 20, 1).iter().chain(&orders) {
            let odd = order.iter().filter(|event| *event % 2 == 1);
            let even = order.iter().filter(|event| *event % 2 == 0);
            assert!(odd.is_sorted() && even.is_sorted(), "{order:?}");
        }
    }

    #[test]
    fn many_events_have_a_choice_of_their_orders_that_follows_from_the_seed() {
        let lines: Vec<usize> = (0..30).collect();
        let orders = all(&lines, 50, 7);
        assert_eq!((orders.len(), &orders[0]), (50, &lines));
        assert_eq!(orders, all(&lines, 50, 7));
        assert_ne!(orders, all(&lines, 50, 8));
        assert!(orders.iter().all(|order| order.iter().collect::<HashSet<_>>().len() == 30));
    }

    #[test]
    fn nothing_has_one_order() {
        assert_eq!(all(&[], 720, 1), [Vec::<usize>::new()]);
        assert_eq!(with_duplicates(&[], |_| true, &mut Rng::with_seed(1)), []);
    }

    #[test]
    fn what_comes_twice_comes_later() {
        let mut rng = Rng::with_seed(3);
        for _ in 0..1_000 {
            let places = with_duplicates(&[2, 0, 9, 1], |thing| thing != 9, &mut rng);
            let firsts: Vec<usize> = places.iter().filter(|place| !place.1).map(|place| place.0).collect();
            assert!(firsts == [2, 0, 9, 1] && places.len() > 4, "{places:?}");
            assert!(!places.contains(&(9, true)), "{places:?}");
            for (at, (event, _)) in places.iter().enumerate().filter(|(_, place)| place.1) {
                assert!(places[..at].contains(&(*event, false)), "{places:?}");
            }
        }
    }
}
