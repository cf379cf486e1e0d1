//! A process manager natively, with a log and a clock of its own: it finds its instances, its timers fire, and what it appends may be
//! refused, as in a host.

use laterna_sdk::dates::Timestamp;
use laterna_sdk::native::{NewEvent, Process};
use laterna_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const HOUR: Duration = Duration::from_hours(1);

/// Does as it is told, and writes down what it hears.
struct Obedient;

#[derive(Deserialize)]
enum Told {
    Begin { instance: String },
    Hear { name: String },
    Hark { name: String },
    Heed { name: String },
    SetTimer { instance: String, hours: u64, every_hours: Option<u64> },
    DropTimer { instance: String },
    Restless { instance: String },
    Write { instance: String, stream: String, is_first: bool },
    Lie { instance: String },
    Leave { instance: String },
    Echoed {},
}

#[derive(Serialize)]
enum Done {
    Written { by: String },
    Echoed {},
    Unheard {},
}

#[derive(Default, Serialize, Deserialize)]
struct Heard(Vec<String>);

impl ProcessManager for Obedient {
    type Event = Told;
    type State = Heard;

    fn manifest() -> ProcessManifest {
        ["Begin", "Hear", "Hark", "Heed", "SetTimer", "DropTimer", "Restless", "Write", "Lie", "Leave", "Echoed"]
            .iter()
            .fold(ProcessManifest::new("obedient-one", "1.0.0"), |manifest, told| manifest.consume_type(told, "obeys"))
            .produce("Written", "it was told to write")
            .produce("Echoed", "it heard of what it wrote")
    }

    fn correlate(told: &Told, _: &Event<'_>) -> Vec<Key> {
        match told {
            Told::Begin { instance } => vec![Key::starts(instance)],
            Told::Hear { name } => vec![Key::finds(name)],
            Told::Hark { name } | Told::Heed { name } => vec![Key::finds("ann"), Key::finds(name)],
            Told::SetTimer { instance, .. }
            | Told::DropTimer { instance }
            | Told::Restless { instance }
            | Told::Write { instance, .. }
            | Told::Lie { instance }
            | Told::Leave { instance } => vec![Key::finds(instance)],
            Told::Echoed {} => vec![Key::finds("ann")],
        }
    }

    fn react(heard: &mut Heard, turn: &Turn<'_, Told>) -> Result<Vec<Action>> {
        let hours = |hours: &u64| HOUR * u32::try_from(*hours).unwrap_or(u32::MAX);
        Ok(match turn.happened() {
            Happened::Event(Told::Begin { .. }) => vec![],
            Happened::Event(Told::Hear { name }) => {
                heard.0.push(name.clone());
                vec![]
            }
            Happened::Event(Told::Hark { name }) => vec![Action::associate(name)],
            Happened::Event(Told::Heed { name }) => vec![Action::dissociate(name)],
            Happened::Event(Told::SetTimer { hours: due, every_hours, .. }) => {
                let timer = Timer::after("t", hours(due));
                vec![every_hours.iter().fold(timer, |timer, every| timer.every(hours(every))).into()]
            }
            Happened::Event(Told::DropTimer { .. }) => vec![Action::cancel("t")],
            Happened::Event(Told::Restless { .. }) => vec![Action::after("restless", Duration::ZERO)],
            Happened::Fired(fired) if fired.timer == "restless" => {
                heard.0.push(turn.raw().revision().to_string());
                vec![Action::after("restless", Duration::ZERO)]
            }
            Happened::Event(Told::Write { stream, is_first, .. }) => {
                let expected = if *is_first { Expected::NoStream } else { Expected::Any };
                let written = Done::Written { by: turn.instance().to_owned() };
                vec![Effect::new(stream, &written).expected(expected).into(), Action::append(stream, &Done::Echoed {})]
            }
            Happened::Event(Told::Lie { .. }) => vec![Action::append("lies", &Done::Unheard {})],
            Happened::Event(Told::Leave { .. }) => vec![Action::End],
            Happened::Event(Told::Echoed {}) => {
                heard.0.push("echo".to_owned());
                vec![]
            }
            Happened::Fired(fired) => {
                heard.0.push(format!(
                    "{} due at {}, {}, {} missed",
                    fired.timer, fired.due_at, fired.occurrence, fired.missed
                ));
                vec![]
            }
            Happened::Refused(refused) => {
                heard.0.push(format!("{} refused: {}", refused.effect.event_type, refused.code));
                vec![]
            }
        })
    }
}

fn told(event_type: &str, data: Json) -> NewEvent {
    NewEvent::new("orders", event_type, data)
}

fn begun(instances: &[&str]) -> Result<Process<Obedient>> {
    let mut process = Process::new();
    process.give(instances.iter().map(|instance| told("Begin", json!({ "instance": instance }))))?;
    Ok(process)
}

#[test]
fn an_event_finds_whoever_is_associated_with_its_name() -> Result<()> {
    // given: two who are found by one name
    let mut process = begun(&["ann", "bob", "team"])?;
    process.give([told("Hark", json!({ "name": "team" }))])?;
    // when
    process.give([told("Hear", json!({ "name": "team" })), told("Hear", json!({ "name": "nobody" }))])?;
    // then: those who are associated with it, and who is called so
    let heard = ["ann", "bob", "team"].map(|instance| process.state(instance));
    assert_eq!(heard, [Some(json!(["team"])), Some(json!([])), Some(json!(["team"]))]);
    assert_eq!(process.instances().collect::<Vec<_>>(), ["ann", "bob", "team"]);
    // when: one of them does not care any more
    process.give([told("Heed", json!({ "name": "team" })), told("Hear", json!({ "name": "team" }))])?;
    // then: the other is still called so
    assert_eq!((process.state("ann"), process.state("team")), (Some(json!(["team"])), Some(json!(["team", "team"]))));
    Ok(())
}

#[test]
fn who_leaves_is_forgotten_with_names_and_timers() -> Result<()> {
    let mut process = begun(&["ann"])?;
    process.give([
        told("Hark", json!({ "name": "team" })),
        told("SetTimer", json!({ "instance": "ann", "hours": 1, "every_hours": null })),
        told("Leave", json!({ "instance": "ann" })),
        told("Hear", json!({ "name": "team" })),
    ])?;
    process.advance(2 * HOUR)?;
    assert_eq!((process.state("ann"), process.timers("ann").len()), (None, 0));
    // when: it begins again
    process.give([told("Begin", json!({ "instance": "ann" })), told("Hear", json!({ "name": "team" }))])?;
    assert_eq!(process.state("ann"), Some(json!([])));
    Ok(())
}

#[test]
fn timers_fire_when_they_are_due_and_again_each_time() -> Result<()> {
    let mut process = begun(&["ann"])?;
    process.give([told("SetTimer", json!({ "instance": "ann", "hours": 2, "every_hours": 1 }))])?;
    process.advance(HOUR)?;
    assert_eq!(process.state("ann"), Some(json!([])));
    process.advance(2 * HOUR)?;
    process.give([told("DropTimer", json!({ "instance": "ann" }))])?;
    process.advance(10 * HOUR)?;
    let due = ["t due at 2026-01-01T02:00:00Z, 1, 0 missed", "t due at 2026-01-01T03:00:00Z, 2, 0 missed"];
    assert_eq!(process.state("ann"), Some(json!(due)));
    Ok(())
}

#[test]
fn a_timer_that_sets_itself_anew_waits_for_a_second() -> Result<()> {
    let mut process = begun(&["ann"])?;
    process.give([told("Restless", json!({ "instance": "ann" }))])?;
    process.advance(Duration::from_secs(3))?;
    // The revisions of what it was told, all in one stream.
    assert_eq!(process.state("ann"), Some(json!(["0", "1", "2", "3"])));
    Ok(())
}

#[test]
fn what_is_missed_comes_once() -> Result<()> {
    // given: a timer that was set long before it is heard of
    let mut process = begun(&["ann"])?;
    let set = told("SetTimer", json!({ "instance": "ann", "hours": 1, "every_hours": 1 }));
    let five_o_clock: Timestamp = "2026-01-01T05:00:00Z".parse()?;
    let later = told("Hear", json!({ "name": "nobody" })).recorded_at_us(five_o_clock.as_microsecond());
    // when: what comes right behind it was recorded hours later
    process.give([set, later])?;
    // then
    assert_eq!(process.state("ann"), Some(json!(["t due at 2026-01-01T01:00:00Z, 1, 4 missed"])));
    assert_eq!(process.timers("ann")["t"].to_string(), "2026-01-01T06:00:00Z");
    Ok(())
}

#[test]
fn it_hears_of_its_own_effects_and_of_those_that_are_refused() -> Result<()> {
    let mut process = begun(&["ann"])?;
    let write = told("Write", json!({ "instance": "ann", "stream": "letters", "is_first": true }));
    // when: it is told to write the first letter twice
    process.give([write.clone(), write])?;
    // then: the second is refused, and what goes with it is not
    let types: Vec<&str> = process.effects().iter().map(|effect| effect.event_type.as_str()).collect();
    assert_eq!(types, ["Written", "Echoed", "Echoed"]);
    let heard = json!(["echo", "Written refused: wrong-expected-revision", "echo"]);
    assert_eq!(process.state("ann"), Some(heard));
    // when: the log refuses for another reason
    process.refuse_next("stream-closed", "the stream `letters` is closed");
    process.give([told("Write", json!({ "instance": "ann", "stream": "letters", "is_first": false }))])?;
    assert_eq!(process.state("ann").map(|heard| heard[3].clone()), Some(json!("Written refused: stream-closed")));
    Ok(())
}

#[test]
fn it_appends_nothing_that_its_manifest_does_not_name() -> Result<()> {
    let mut process = begun(&["ann"])?;
    let refused = process.give([told("Lie", json!({ "instance": "ann" }))]).expect_err("it lies").to_string();
    assert_eq!(refused, "it appends Unheard, and its manifest does not say that it produces that");
    Ok(())
}

#[test]
fn what_it_cannot_read_halts_it() -> Result<()> {
    let mut process = begun(&["ann"])?;
    let halted = process.give([told("Hear", json!({}))]).expect_err("it has no name").to_string();
    assert!(halted.starts_with("it cannot react to the event at position 2: the data of Hear is not as"), "{halted}");
    Ok(())
}
