//! A festival that is deleted takes its teams along: a `TeamDeleted` for each of them, once.
//!
//! An instance is a festival. It begins with whatever is heard of the festival first, and is found by the names of its teams, too: so
//! `TeamDeleted {team_id}`, which says nothing of a festival, reaches the one that the team belongs to, and `TeamMoved` both the one that
//! the team leaves and the one that it comes to. That a festival was deleted is never forgotten: a team that is made for it or moves in
//! later is deleted, too.

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
    /// Its teams, and whether their deletion was asked for.
    teams: BTreeMap<String, Once>,
}

impl Festival {
    fn welcome(&mut self, team_id: &str) -> Vec<Action> {
        self.teams.entry(team_id.to_owned()).or_default();
        vec![Action::associate(team(team_id))]
    }

    fn part_with(&mut self, team_id: &str) -> Vec<Action> {
        self.teams.remove(team_id);
        vec![Action::dissociate(team(team_id))]
    }

    /// Deletes the teams of a festival that is deleted, each once.
    fn clean_up(&mut self) -> Vec<Action> {
        let delete = |team_id: &String| Action::append(team(team_id), &Effect::TeamDeleted { team_id });
        let teams = self.teams.iter_mut();
        teams.filter_map(|(team_id, deleted)| deleted.when(self.is_deleted).then(|| delete(team_id))).collect()
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
        let mut actions = match turn.event() {
            Some(Fact::FestivalDeleted { .. }) => {
                state.is_deleted = true;
                vec![]
            }
            Some(Fact::TeamCreated { team_id, .. }) => state.welcome(team_id),
            Some(Fact::TeamMoved { team_id, festival_id }) if turn.instance() == festival(festival_id) => {
                state.welcome(team_id)
            }
            Some(Fact::TeamMoved { team_id, .. } | Fact::TeamDeleted { team_id }) => state.part_with(team_id),
            // Only a team whose stream is closed cannot be deleted, and that one is gone already.
            None => vec![],
        };
        actions.extend(state.clean_up());
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
