//! Random orders to one component's releases, and to a model of their rules: what serves, what is held, what is kept, what came of
//! each release, what each changed, and what is read, agree; also where the host is killed in the midst of it, and started with
//! another policy.

mod model;
mod orders;
mod world;

use laterna_tests::random::seed;
use orders::{Bytes, Case, Order, Paused, Policy, Step, Then, Which};
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};
use std::collections::BTreeMap;
use world::World;

/// Cases, unless `LATERNA_CASES` says otherwise.
const CASES: u32 = 30;

#[test]
fn whatever_is_ordered_in_whatever_order() {
    let seed = seed("releases_agree_with_a_model");
    let cases = std::env::var("LATERNA_CASES").map_or(CASES, |cases| cases.parse().expect("LATERNA_CASES is a number"));
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 30,
        max_shrink_time: 2 * 60 * 1_000,
        ..Config::default()
    };
    let came_up = std::cell::RefCell::new(BTreeMap::<String, u64>::new());
    let run = TestRunner::new(config).run(&orders::case(), |case| {
        for (what, times) in World::run(&case) {
            *came_up.borrow_mut().entry(what).or_default() += times;
        }
        Ok(())
    });
    println!("{:#?}", came_up.borrow());
    if let Err(TestError::Fail(reason, case)) = run {
        let Case { policy, warm, steps } = case;
        let steps: Vec<String> = steps.iter().map(|step| format!("{step:?}")).collect();
        panic!("LATERNA_SEED={seed}: {reason}\nunder {policy:?}, with {warm} warm:\n{}", steps.join("\n"));
    }
}

fn settled(order: Order) -> Step {
    Step { order, then: Then::Settle }
}

fn killed(order: Order) -> Step {
    Step { order, then: Then::Kill(Policy::Unsaid) }
}

/// It is killed, and started with this policy.
fn killed_for(order: Order, policy: Policy) -> Step {
    Step { order, then: Then::Kill(policy) }
}

/// Events that both versions fold alike.
fn alike() -> Order {
    Order::Append(vec![0, 4, 3])
}

/// Customers change their names.
fn renamed() -> Order {
    Order::Append(vec![0, 4, 3, 306, 5])
}

#[test]
fn what_random_orders_seldom_come_to() {
    use Bytes::{Half, Trapping, V1, V1Variant, V2, V2Variant};
    let (pause, resume) = (|| Order::Pause(Paused::Builds), || Order::Pause(Paused::Nothing));
    let roll_back = || Order::RollBack(Which::Unsaid);
    for (story, steps) in [
        (
            "a build that stands still is killed, and goes on",
            vec![settled(pause()), killed(Order::Drop(V2)), settled(alike()), settled(resume())],
        ),
        (
            "what was rolled back is not deployed by a start",
            vec![settled(Order::Drop(V2)), settled(roll_back()), killed(Order::Touch), settled(Order::Touch)],
        ),
        (
            "a rollback under way is killed while everything rests, and happens once it may",
            vec![
                settled(Order::Drop(V2)),
                killed(Order::Pause(Paused::Everything)),
                settled(Order::Append(vec![0, 4, 3, 5])),
                settled(roll_back()),
                killed(Order::Append(vec![7, 11])),
                settled(resume()),
            ],
        ),
        (
            "its file is deleted, then it is removed, then the same file means that it comes back",
            vec![settled(Order::DeleteFile), settled(Order::Remove { purge: false }), settled(Order::Drop(V1))],
        ),
        (
            "it is removed, then its file is deleted while the host is down, then the same file means that it comes back",
            vec![settled(Order::Remove { purge: false }), killed(Order::DeleteFile), settled(Order::Drop(V1))],
        ),
        (
            "it is removed, and another one serves; what was kept can still come back",
            vec![settled(Order::Remove { purge: false }), settled(Order::Drop(V2)), settled(roll_back())],
        ),
        (
            "it is removed, and others serve; what was kept is let go",
            vec![settled(Order::Remove { purge: false }), settled(Order::Drop(V2)), settled(Order::Drop(V2Variant))],
        ),
        (
            "it is removed, and is back with what may be deployed, not with what is refused",
            vec![
                settled(Order::Remove { purge: false }),
                settled(Order::Drop(Half)),
                settled(Order::Append(vec![3, 1, 4, 1, 5])),
                settled(Order::Upload(V1Variant)),
                killed(Order::Append(vec![9, 2])),
                settled(resume()),
            ],
        ),
        (
            "what cannot be built is built again, and fails again",
            vec![
                settled(Order::Remove { purge: true }),
                settled(Order::Drop(Trapping)),
                killed(Order::Rebuild),
                settled(Order::Upload(V2Variant)),
                settled(Order::Rebuild),
            ],
        ),
        (
            "it is removed, and another one is on its way; the bytes of what was kept come again, and nothing is built",
            vec![
                settled(pause()),
                settled(Order::Remove { purge: false }),
                settled(Order::Drop(V2)),
                settled(Order::Drop(V1)),
                killed(alike()),
                settled(resume()),
            ],
        ),
    ] {
        println!("{story}");
        World::run(&Case { policy: Policy::Unsaid, warm: 1, steps });
    }
}

#[test]
fn what_random_orders_and_policies_seldom_come_to() {
    use Bytes::{V1, V1Variant, V2, V2Variant};
    let (pause, resume) = (Order::Pause(Paused::Builds), || Order::Pause(Paused::Nothing));
    let promote = || Order::Promote(Which::Meant);
    for (story, policy, warm, steps) in [
        (
            "what is held is killed, and followed on; promoted while builds rest, it is killed, and serves once they go on",
            Policy::Unsaid,
            1,
            vec![
                killed_for(alike(), Policy::HoldIfDifferent),
                settled(Order::Drop(V1Variant)),
                settled(renamed()),
                settled(Order::Drop(V2)),
                killed_for(renamed(), Policy::Unsaid),
                settled(pause),
                settled(renamed()),
                killed_for(promote(), Policy::Hold),
                killed_for(renamed(), Policy::Auto),
                settled(resume()),
            ],
        ),
        (
            "the policy is the one under which it was checked, not the one under which it is built",
            Policy::Unsaid,
            1,
            vec![
                killed_for(Order::Pause(Paused::Builds), Policy::Hold),
                settled(Order::Drop(V2)),
                killed_for(renamed(), Policy::Auto),
                settled(resume()),
                settled(Order::Promote(Which::Unsaid)),
            ],
        ),
        (
            "of two that are warm each can be meant, after a restart, too",
            Policy::Auto,
            2,
            vec![
                settled(renamed()),
                settled(Order::Drop(V2)),
                settled(Order::Drop(V1Variant)),
                killed_for(Order::RollBack(Which::Meant), Policy::Auto),
                settled(Order::RollBack(Which::Unsaid)),
                settled(Order::RollBack(Which::Meant)),
                killed_for(Order::Drop(V2Variant), Policy::Auto),
                settled(Order::RollBack(Which::Meant)),
            ],
        ),
        (
            "the bytes of a warm one let it serve again only where its policy is not to hold",
            Policy::Auto,
            2,
            vec![
                settled(Order::Drop(V2)),
                settled(Order::Drop(V1)),
                killed_for(renamed(), Policy::HoldIfDifferent),
                settled(Order::Drop(V2)),
                settled(promote()),
                settled(Order::Upload(V1)),
                settled(Order::Abort(Which::Unsaid)),
                killed_for(alike(), Policy::Unsaid),
                settled(Order::Upload(V1)),
            ],
        ),
        (
            "the first one is held, then killed, then promoted; removed, its bytes are held once more",
            Policy::Hold,
            0,
            vec![
                killed_for(renamed(), Policy::Hold),
                settled(promote()),
                settled(Order::Remove { purge: false }),
                settled(Order::Upload(V1)),
                settled(Order::Drop(V2)),
                settled(Order::Drop(V1)),
                settled(promote()),
            ],
        ),
    ] {
        println!("{story}");
        World::run(&Case { policy, warm, steps });
    }
}
