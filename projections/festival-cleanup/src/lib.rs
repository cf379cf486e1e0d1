//! A festival that is deleted takes its teams along: a `TeamDeleted` for each of them, once.
//!
//! An instance is a festival. It begins with whatever is heard of the festival first, and is found by the names of its teams, too: so
//! `TeamDeleted {team_id}`, which says nothing of a festival, reaches the one that the team belongs to, and `TeamMoved` both the one that
//! the team leaves and the one that it comes to. That a festival was deleted is never forgotten: a team that is made for it or moves in
//! later is deleted, too.
//!
//! A team may move on before its deletion is in the log, to another festival that is deleted, say. So a deletion takes for granted that the
//! team's stream is as it was when the festival heard of the team. Otherwise the log refuses it, and the festival that has the team by then
//! asks once more, with what the stream had come to.

use laterna_sdk::Refused;
use laterna_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The process manager.
pub struct FestivalCleanup;

/// What it is told.
#[derive(Deserialize)]
pub enum Fact {
    FestivalDeleted { festival_id: String },
    TeamCreated { team_id: String, festival_id: String },
    TeamMoved { team_id: String, festival_id: String },
    TeamDeleted { team_id: String },
}

#[derive(Serialize)]
enum Effect<'a> {
    TeamDeleted { team_id: &'a str },
}

/// What an instance knows.
#[derive(Default, Serialize, Deserialize)]
pub struct Festival {
    is_deleted: bool,
    teams: BTreeMap<String, Team>,
}

/// What a festival knows of a team of its own.
#[derive(Default, Serialize, Deserialize)]
struct Team {
    /// The revision of the team's stream by which it came; `None` where that was told elsewhere.
    came: Option<u64>,
    /// The position of the event about which its deletion was asked for last.
    asked: Option<u64>,
}

impl Festival {
    fn welcome(&mut self, team_id: &str, event: &Event<'_>) -> Vec<Action> {
        let came = (event.stream() == team(team_id)).then(|| event.revision());
        self.teams.entry(team_id.to_owned()).or_default().came = came;
        vec![Action::associate(team(team_id))]
    }

    fn part_with(&mut self, team_id: &str) -> Vec<Action> {
        self.teams.remove(team_id);
        vec![Action::dissociate(team(team_id))]
    }

    /// Deletes the teams of a festival that is deleted, each once.
    fn clean_up(&mut self, position: u64) -> Vec<Action> {
        let is_due = |team: &Team| self.is_deleted && team.asked.is_none();
        let teams = self.teams.iter_mut().filter(|(_, team)| is_due(team));
        teams.map(|(team_id, team)| team.delete(team_id, team.came, position)).collect()
    }

    /// Deletes a team once more whose stream was not as it was taken to be, unless it has left since.
    fn insist(&mut self, refused: &Refused, position: u64) -> Vec<Action> {
        let team_id = refused.effect.data["team_id"].as_str().unwrap_or_default();
        // One that left and came back was asked for anew.
        let team = self.teams.get_mut(team_id).filter(|team| team.asked == Some(refused.position));
        team.map(|team| team.delete(team_id, refused.revision, position)).into_iter().collect()
    }
}

impl Team {
    fn delete(&mut self, team_id: &str, revision: Option<u64>, position: u64) -> Action {
        self.asked = Some(position);
        let expected = revision.map_or(Expected::Any, Expected::Revision);
        laterna_sdk::Effect::new(team(team_id), &Effect::TeamDeleted { team_id }).expected(expected).into()
    }
}

impl ProcessManager for FestivalCleanup {
    type Event = Fact;
    type State = Festival;

    fn manifest() -> ProcessManifest {
        ProcessManifest::new("festival-cleanup", env!("CARGO_PKG_VERSION"))
            .describe("Deletes the teams of a festival that is deleted.")
            .consume_type("FestivalDeleted", "its teams are deleted")
            .consume_type("TeamCreated", "belongs to its festival")
            .consume_type("TeamMoved", "belongs to another festival")
            .consume_type("TeamDeleted", "belongs to none any more")
            .produce("TeamDeleted", "its festival was deleted")
            .park()
            .from_start()
    }

    fn correlate(fact: &Fact, _: &Event<'_>) -> Vec<Key> {
        match fact {
            Fact::FestivalDeleted { festival_id } | Fact::TeamCreated { festival_id, .. } => {
                vec![Key::starts(festival(festival_id))]
            }
            Fact::TeamMoved { team_id, festival_id } => {
                vec![Key::finds(team(team_id)), Key::starts(festival(festival_id))]
            }
            Fact::TeamDeleted { team_id } => vec![Key::finds(team(team_id))],
        }
    }

    fn react(state: &mut Festival, turn: &Turn<'_, Fact>) -> Result<Vec<Action>> {
        let event = match turn.happened() {
            Happened::Event(event) => event,
            Happened::Refused(refused) => {
                return match refused.code.as_str() {
                    "wrong-expected-revision" => Ok(state.insist(refused, turn.raw().position())),
                    // It is gone already.
                    "stream-closed" => Ok(vec![]),
                    _ => Err(refused.to_error()),
                };
            }
            Happened::Fired(_) => return Ok(vec![]),
        };
        let mut actions = match event {
            Fact::FestivalDeleted { .. } => {
                state.is_deleted = true;
                vec![]
            }
            Fact::TeamCreated { team_id, .. } => state.welcome(team_id, turn.raw()),
            Fact::TeamMoved { team_id, festival_id } if turn.instance() == festival(festival_id) => {
                state.welcome(team_id, turn.raw())
            }
            Fact::TeamMoved { team_id, .. } | Fact::TeamDeleted { team_id } => state.part_with(team_id),
        };
        actions.extend(state.clean_up(turn.raw().position()));
        Ok(actions)
    }
}

/// What a festival's instance is called.
fn festival(festival_id: &str) -> String {
    format!("festival-{festival_id}")
}

/// A team's stream, and the name by which its festival's instance is found.
fn team(team_id: &str) -> String {
    format!("team-{team_id}")
}

laterna_sdk::export_process_manager!(FestivalCleanup);
