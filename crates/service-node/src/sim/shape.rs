//! Who is connected with whom.

use std::collections::BTreeSet;

use rand::{Rng, RngExt as _, seq::SliceRandom as _};

use super::SimError;

/// A way to connect all nodes.
///
/// ```text
///   Chain  0─1─2─3      Ring  0─1     Star  1 2     Full  0─1     Random: rings through all nodes,
///                             │ │            \│           │╳│     each in another order
///                             3─2           3─0           3─2
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// Each with the next.
    Chain,
    /// The same, and the last with the first.
    Ring,
    /// Everybody with this one.
    Star {
        /// The one in the middle.
        center: usize,
    },
    /// Everybody with everybody.
    Full,
    /// Each with about so many others, as the seed will have it, and in one piece. The degree is even.
    Random {
        /// With how many; fewer where two rings share a connection.
        degree: usize,
    },
}

impl Shape {
    /// The pairs to connect; the first of a pair dials. No pair is there twice.
    pub(super) fn links(
        self,
        count: usize,
        rng: &mut impl Rng,
    ) -> Result<BTreeSet<(usize, usize)>, SimError> {
        let wrong = |cause| Err(SimError::Shape { count, cause });
        // bound: what the user of the simulation connects
        let mut links = BTreeSet::new();
        match self {
            Self::Chain => links.extend((1..count).map(|at| (at - 1, at))),
            Self::Ring => add_ring(&mut links, &(0..count).collect::<Vec<_>>()),
            Self::Star { center } if center >= count => return wrong("there is no such center"),
            Self::Star { center } => {
                links.extend((0..count).filter(|at| *at != center).map(|at| (at, center)));
            }
            Self::Full => {
                links
                    .extend((0..count).flat_map(|one| (one + 1..count).map(move |two| (one, two))));
            }
            Self::Random { degree } if degree < 2 || degree % 2 == 1 => {
                return wrong("the degree must be even, and not 0");
            }
            Self::Random { degree } => {
                let mut order: Vec<usize> = (0..count).collect();
                for _ in 0..degree / 2 {
                    order.shuffle(rng);
                    add_ring(&mut links, &order);
                }
            }
        }
        // Who dials is drawn too, or the first nodes would do all of it.
        let turned = links.into_iter().map(|(one, two)| match self {
            Self::Random { .. } if rng.random_bool(0.5) => (two, one),
            _ => (one, two),
        });
        Ok(turned.collect())
    }
}

/// Adds the connections of a ring, smaller position first.
fn add_ring(links: &mut BTreeSet<(usize, usize)>, order: &[usize]) {
    let next = order.iter().cycle().skip(1);
    let pairs = order.iter().zip(next).filter(|(one, two)| one != two);
    links.extend(pairs.map(|(one, two)| (*one.min(two), *one.max(two))));
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    fn links(shape: Shape, count: usize) -> Vec<(usize, usize)> {
        shape.links(count, &mut StdRng::seed_from_u64(1)).unwrap().into_iter().collect()
    }

    #[test]
    fn shapes_are_what_they_are_called() {
        assert_eq!(links(Shape::Chain, 4), [(0, 1), (1, 2), (2, 3)]);
        assert_eq!(links(Shape::Ring, 4), [(0, 1), (0, 3), (1, 2), (2, 3)]);
        assert_eq!(links(Shape::Star { center: 1 }, 4), [(0, 1), (2, 1), (3, 1)]);
        assert_eq!(links(Shape::Full, 4).len(), 6);
    }

    #[test]
    fn few_nodes_have_few_connections() {
        for shape in [Shape::Chain, Shape::Ring, Shape::Full, Shape::Random { degree: 4 }] {
            assert_eq!(links(shape, 0), [], "{shape:?}");
            assert_eq!(links(shape, 1), [], "{shape:?}");
            assert_eq!(links(shape, 2).len(), 1, "{shape:?}");
        }
    }

    #[test]
    fn a_random_shape_is_in_one_piece_and_of_its_degree() {
        let links = links(Shape::Random { degree: 4 }, 200);

        let mut reached = BTreeSet::from([0]);
        while let Some(next) = links.iter().find_map(|(one, two)| {
            match (reached.contains(one), reached.contains(two)) {
                (true, false) => Some(*two),
                (false, true) => Some(*one),
                _ => None,
            }
        }) {
            reached.insert(next);
        }
        assert_eq!(reached.len(), 200);
        for node in 0..200 {
            let degree = links.iter().filter(|(one, two)| *one == node || *two == node).count();
            assert!((2..=4).contains(&degree), "node {node}: {degree}");
        }
        let turned = links.iter().filter(|(one, two)| one > two).count();
        assert!((100..300).contains(&turned), "{turned} of {}", links.len());
    }

    #[test]
    fn shapes_that_make_no_sense_are_refused() {
        for shape in
            [Shape::Star { center: 4 }, Shape::Random { degree: 0 }, Shape::Random { degree: 3 }]
        {
            assert!(shape.links(4, &mut StdRng::seed_from_u64(1)).is_err(), "{shape:?}");
        }
    }
}
