//! Whatever the order in which the facts come, and however often: the same facts end in the same decision and the same state.

use laterna_sdk::native::{NewEvent, Process};
use laterna_sdk::{Json, Result, json};
use order_payment::OrderPayment;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const PLACED: &str = "OrderPlaced";
const PAID: &str = "PaymentReceived";
const TIMED_OUT: &str = "PaymentTimedOut";
const CANCELLED: &str = "OrderCancelled";
const SHIPMENT: &str = "ShipmentRequested";
const REFUND: &str = "RefundRequested";

const FACTS: [&str; 4] = [PLACED, PAID, TIMED_OUT, CANCELLED];

const IN_TIME: &str = "2026-01-01T00:20:00Z";
const TOO_LATE: &str = "2026-01-01T00:40:00Z";

fn fact(event_type: &str, paid_at: &str) -> NewEvent {
    let data = match event_type {
        PLACED => json!({ "order_id": "7", "pay_by": "2026-01-01T00:30:00Z" }),
        PAID => json!({ "order_id": "7", "amount_cents": 990, "paid_at": paid_at }),
        _ => json!({ "order_id": "7" }),
    };
    NewEvent::new("order-7", event_type, data)
}

/// What was decided: shipments and refunds, in order.
fn decided(process: &Process<OrderPayment>) -> Vec<&str> {
    let types = process.effects().iter().map(|effect| effect.event_type.as_str());
    types.filter(|event_type| *event_type != TIMED_OUT).collect()
}

/// All sequences of so many of these.
fn sequences(of: &[&'static str], length: usize) -> Vec<Vec<&'static str>> {
    (0..length).fold(vec![vec![]], |shorter, _| {
        let longer = |sequence: Vec<_>| of.iter().map(move |next| [sequence.clone(), vec![*next]].concat());
        shorter.into_iter().flat_map(longer).collect()
    })
}

#[test]
fn the_same_facts_come_to_the_same_decision_and_state() -> Result<()> {
    for paid_at in [IN_TIME, TOO_LATE] {
        let mut ends: BTreeMap<BTreeSet<&str>, (Vec<String>, Json)> = BTreeMap::new();
        for sequence in (1..=6).flat_map(|length| sequences(&FACTS, length)) {
            // given: facts in this order, one by one
            let mut process = Process::<OrderPayment>::new();
            for event_type in &sequence {
                process.give([fact(event_type, paid_at)])?;
            }
            // when: every timer is due
            process.advance(Duration::from_hours(24))?;
            // then
            let decided: Vec<String> = decided(&process).into_iter().map(str::to_owned).collect();
            assert!(process.timers("7").is_empty(), "{sequence:?}");
            let end = (decided, process.state("7").unwrap_or_default());
            let known = ends.entry(sequence.iter().copied().collect()).or_insert_with(|| end.clone());
            assert_eq!(*known, end, "{sequence:?}, paid at {paid_at}");
        }
        // then: the decision is that of the table
        for (facts, (decided, _)) in ends {
            let expected: &[&str] = match (facts.contains(PAID), facts.contains(CANCELLED), facts.contains(PLACED)) {
                (false, _, _) => &[],
                (true, true, _) => &[REFUND],
                (true, false, false) => &[],
                (true, false, true) if paid_at == TOO_LATE => &[REFUND],
                (true, false, true) => &[SHIPMENT],
            };
            assert_eq!(decided, expected, "{facts:?}, paid at {paid_at}");
        }
    }
    Ok(())
}

#[test]
fn whatever_time_passes_between_the_facts_nobody_gets_both() -> Result<()> {
    const LATER: &str = "ten minutes pass";
    for paid_at in [IN_TIME, TOO_LATE] {
        for sequence in sequences(&[PLACED, PAID, CANCELLED, LATER], 6) {
            // given: facts in this order, and time that passes between them
            let mut process = Process::<OrderPayment>::new();
            for step in &sequence {
                match *step {
                    LATER => process.advance(Duration::from_mins(10))?,
                    event_type => process.give([fact(event_type, paid_at)])?,
                }
            }
            // when: every timer is due
            process.advance(Duration::from_hours(24))?;
            // then: who paid gets the product or the money, once the order is known
            let is_owed = sequence.contains(&PAID) && (sequence.contains(&PLACED) || sequence.contains(&CANCELLED));
            assert_eq!(decided(&process).len(), usize::from(is_owed), "{sequence:?}, paid at {paid_at}");
        }
    }
    Ok(())
}

#[test]
fn an_order_that_nobody_pays_times_out() -> Result<()> {
    // given
    let mut process = Process::<OrderPayment>::new();
    process.give([fact(PLACED, IN_TIME)])?;
    // when: its deadline passes
    process.advance(Duration::from_mins(29))?;
    assert!(process.effects().is_empty());
    process.advance(Duration::from_mins(1))?;
    // then
    let [timed_out] = process.effects() else { panic!("{:?}", process.effects()) };
    assert_eq!((timed_out.stream.as_str(), timed_out.event_type.as_str()), ("order-7", TIMED_OUT));
    Ok(())
}

#[test]
fn a_cancellation_counts_until_the_dispatch_and_not_after_it() -> Result<()> {
    for (minutes, decision) in [(14, REFUND), (15, SHIPMENT)] {
        // given: a paid order
        let mut process = Process::<OrderPayment>::new();
        process.give([fact(PLACED, IN_TIME), fact(PAID, IN_TIME)])?;
        // when
        process.advance(Duration::from_mins(minutes))?;
        process.give([fact(CANCELLED, IN_TIME)])?;
        process.advance(Duration::from_hours(24))?;
        // then
        assert_eq!(decided(&process), [decision], "cancelled after {minutes} minutes");
    }
    Ok(())
}

#[test]
fn a_payment_after_the_cancellation_goes_back_once() -> Result<()> {
    let mut process = Process::<OrderPayment>::new();
    process.give([PLACED, CANCELLED, PAID, PAID].map(|event_type| fact(event_type, IN_TIME)))?;
    process.advance(Duration::from_hours(24))?;
    let [refund] = process.effects() else { panic!("{:?}", process.effects()) };
    assert_eq!((refund.event_type.as_str(), &refund.data["amount_cents"]), (REFUND, &json!(990)));
    Ok(())
}

#[test]
fn a_refund_that_is_refused_is_not_passed_over() -> Result<()> {
    let mut process = Process::<OrderPayment>::new();
    process.give([fact(CANCELLED, IN_TIME)])?;
    process.refuse_next("stream-closed", "the stream `order-7` is closed");
    let halted = process.give([fact(PAID, IN_TIME)]).expect_err("somebody has to look at it").to_string();
    assert!(halted.contains("RefundRequested for the stream `order-7` was refused (stream-closed)"), "{halted}");
    Ok(())
}

#[test]
fn a_fact_that_is_told_again_delays_no_dispatch() -> Result<()> {
    // given: a paid order
    let mut process = Process::<OrderPayment>::new();
    process.give([fact(PLACED, IN_TIME), fact(PAID, IN_TIME)])?;
    process.advance(Duration::from_mins(10))?;
    // when: its payment is told again
    process.give([fact(PAID, IN_TIME)])?;
    process.advance(Duration::from_mins(5))?;
    // then: it is shipped when it was to be
    assert_eq!(decided(&process), [SHIPMENT]);
    Ok(())
}
