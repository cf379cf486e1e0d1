//! Festivals and their teams: a team belongs to one festival at a time, and the festival does not hold its teams.
//!
//! A festival that is deleted is gone at once; its teams go one by one, as `festival-cleanup` deletes them.
//!
//! Whether a team may be made is decided by whoever makes it, and not here: ask whether the festival is there, as fresh as can be, then
//! append, taking for granted that there is no such team yet. Where the festival is deleted in between, the team is, too.
//!
//! ```sh
//! curl 'http://127.0.0.1:7070/projections/festival/tables/festivals?festival_id=eq.f1&fresh=true'
//! # {"rows":[]}: there is no such festival, and so no team is made. Otherwise:
//! curl http://127.0.0.1:7070/streams/team-t1/events -H 'Content-Type: application/json' -d '
//!   {"expected": "no-stream", "events": [
//!     {"type": "TeamCreated", "data": {"team_id": "t1", "festival_id": "f1", "name": "The Larks"}}]}'
//! # 201; or 409 `wrong-expected-revision`: somebody made this team before.
//! ```
//!
//! A team is moved likewise, with the team's revision as what is expected: who moves a team that was deleted meanwhile hears 409.

use laterna_sdk::prelude::*;
use serde::Deserialize;

/// The projection.
#[derive(Default)]
pub struct Festivals;

#[derive(Deserialize)]
enum Fact {
    FestivalCreated { festival_id: String, name: String },
    FestivalDeleted { festival_id: String },
    TeamCreated { team_id: String, festival_id: String, name: String },
    TeamMoved { team_id: String, festival_id: String },
    TeamDeleted { team_id: String },
}

#[derive(Row, Clone)]
#[row(table = "festivals")]
struct Festival {
    #[row(key)]
    festival_id: String,
    name: String,
}

#[derive(Row, Clone)]
#[row(table = "teams", index(festival_id))]
struct Team {
    #[row(key)]
    team_id: String,
    festival_id: String,
    name: String,
}

impl Projection for Festivals {
    fn manifest() -> Manifest {
        Manifest::new("festival", env!("CARGO_PKG_VERSION"))
            .describe("Festivals and their teams.")
            .consume_type("FestivalCreated", "a row for each festival")
            .consume_type("FestivalDeleted", "its row goes")
            .consume_type("TeamCreated", "a row for each team, with its festival")
            .consume_type("TeamMoved", "the team's festival")
            .consume_type("TeamDeleted", "its row goes")
            .table::<Festival>()
            .table::<Team>()
            .query(
                NamedQuery::sql("teams_of", "SELECT * FROM teams WHERE festival_id = :festival ORDER BY team_id")
                    .describe("The teams of a festival, also of one that was deleted and whose teams are not gone yet.")
                    .required("festival", ParameterType::Text, "the festival's id"),
            )
            .query(
                NamedQuery::sql(
                    "festival_of",
                    "SELECT festivals.* FROM teams JOIN festivals USING (festival_id) WHERE team_id = :team",
                )
                .describe("The festival of a team.")
                .required("team", ParameterType::Text, "the team's id"),
            )
    }

    fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
        match event.decode()? {
            Fact::FestivalCreated { festival_id, name } => store.table().put(Festival { festival_id, name }),
            Fact::FestivalDeleted { festival_id } => store.table::<Festival>().remove(&festival_id).map(drop),
            Fact::TeamCreated { team_id, festival_id, name } => store.table().put(Team { team_id, festival_id, name }),
            Fact::TeamMoved { team_id, festival_id } => {
                store.table::<Team>().update(&team_id, |team| team.festival_id = festival_id).map(drop)
            }
            Fact::TeamDeleted { team_id } => store.table::<Team>().remove(&team_id).map(drop),
        }
    }
}

laterna_sdk::export!(Festivals);
