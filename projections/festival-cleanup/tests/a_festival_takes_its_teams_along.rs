//! Deleting a festival deletes its teams, each once, whenever they came.

use festival_cleanup::FestivalCleanup;
use laterna_sdk::native::{NewEvent, Process};
use laterna_sdk::{Result, json};

fn deleted(festival_id: &str) -> NewEvent {
    let stream = format!("festival-{festival_id}");
    NewEvent::new(&stream, "FestivalDeleted", json!({ "festival_id": festival_id }))
}

fn created(team_id: &str, festival_id: &str) -> NewEvent {
    let data = json!({ "team_id": team_id, "festival_id": festival_id });
    NewEvent::new(&format!("team-{team_id}"), "TeamCreated", data)
}

fn moved(team_id: &str, festival_id: &str) -> NewEvent {
    NewEvent { event_type: "TeamMoved".into(), ..created(team_id, festival_id) }
}

fn team_deleted(team_id: &str) -> NewEvent {
    NewEvent::new(&format!("team-{team_id}"), "TeamDeleted", json!({ "team_id": team_id }))
}

/// The streams of the teams that it deleted, in order.
fn gone(process: &Process<FestivalCleanup>) -> Vec<&str> {
    process.effects().iter().map(|effect| effect.stream.as_str()).collect()
}

#[test]
fn each_team_of_a_deleted_festival_is_deleted_once() -> Result<()> {
    // given: teams of two festivals
    let mut process = Process::<FestivalCleanup>::new();
    process.give([created("t1", "f1"), created("t2", "f1"), created("t3", "f2")])?;
    // when: one of them is deleted, and that is told twice
    process.give([deleted("f1"), deleted("f1")])?;
    // then
    assert_eq!(gone(&process), ["team-t1", "team-t2"]);
    assert_eq!(process.state("festival-f1"), Some(json!({ "is_deleted": true, "teams": {} })));
    assert_eq!(process.instances().collect::<Vec<_>>(), ["festival-f1", "festival-f2"]);
    Ok(())
}

#[test]
fn a_team_that_left_stays_and_one_that_moved_in_goes() -> Result<()> {
    let mut process = Process::<FestivalCleanup>::new();
    process.give([created("t1", "f1"), created("t2", "f2"), moved("t1", "f2"), moved("t2", "f1")])?;
    process.give([deleted("f1")])?;
    assert_eq!(gone(&process), ["team-t2"]);
    Ok(())
}

#[test]
fn a_team_that_comes_during_or_after_the_deletion_is_deleted_too() -> Result<()> {
    // given: a festival that is being deleted, while teams come
    let mut process = Process::<FestivalCleanup>::new();
    process.give([created("t1", "f1"), created("t2", "f2"), deleted("f1"), moved("t2", "f1"), created("t3", "f1")])?;
    assert_eq!(gone(&process), ["team-t1", "team-t2", "team-t3"]);
    // when: it is gone for long
    process.give([created("t4", "f2")])?;
    process.give([moved("t4", "f1")])?;
    // then
    assert_eq!(gone(&process).last(), Some(&"team-t4"));
    assert_eq!(process.state("festival-f1"), Some(json!({ "is_deleted": true, "teams": {} })));
    Ok(())
}

#[test]
fn a_team_that_was_deleted_before_is_not_deleted_again() -> Result<()> {
    let mut process = Process::<FestivalCleanup>::new();
    process.give([created("t1", "f1"), team_deleted("t1"), deleted("f1")])?;
    assert!(process.effects().is_empty());
    Ok(())
}

/// Whatever happens to teams, as long as nobody moves one that is deleted: those that are left belong to festivals that are left, and
/// no team was deleted twice.
#[test]
fn no_team_outlives_its_festival() -> Result<()> {
    const TEAMS: [&str; 2] = ["t1", "t2"];
    const FESTIVALS: [&str; 2] = ["f1", "f2"];
    // All ways to place two teams, move each once or not, and delete festivals in between.
    for choices in 0..4_usize.pow(6) {
        let mut process = Process::<FestivalCleanup>::new();
        let mut home = [None; 2];
        let mut is_deleted = [false; 2];
        let mut left = choices;
        for step in 0..6 {
            let choice = left % 4;
            left /= 4;
            let (team, festival) = (choice / 2, choice % 2);
            let is_gone = gone(&process).contains(&["team-t1", "team-t2"][team]);
            // when
            if step % 3 == 2 {
                is_deleted[festival] = true;
                process.give([deleted(FESTIVALS[festival])])?;
            } else if !is_gone {
                let event = if home[team].is_none() { created } else { moved };
                home[team] = Some(festival);
                process.give([event(TEAMS[team], FESTIVALS[festival])])?;
            }
        }
        // then
        let mut expected: Vec<&str> = (0..2)
            .filter(|team| home[*team].is_some_and(|festival: usize| is_deleted[festival]))
            .map(|team| ["team-t1", "team-t2"][team])
            .collect();
        expected.sort_unstable();
        let mut gone = gone(&process);
        gone.sort_unstable();
        assert_eq!(gone, expected, "choices {choices}");
    }
    Ok(())
}
