//! Scenarios: a story about a component, told without a server. Given these events, then its tables and queries answer so, and a
//! process manager has done this, at every batch size, and where the story says so in every order.
//!
//! A scenario is run by what runs in a host: the same checks, the same folding into a store of its own, the same words for what a
//! process does. Its log is in memory, and its time is that of the story. It knows nothing of releases or of HTTP.
//!
//! In reading order:
//! * [`mod@format`]: a scenario as it is written in YAML
//! * [`story`]: a scenario that was read and checked, with its events as a log would have them
//! * `timeline`: what happens in it, each thing at its place in time
//! * [`stage`]: a component, and a store of its own for each run of a story
//! * `run`: one telling of a story
//! * `history`: its log, in memory
//! * `world`: what a process manager decides, done in that log
//! * [`content`]: everything that is in a store, compared
//! * `expectation`, `question`, `aftermath`: what a story expects
//! * `orders`: in which orders events may come
//! * [`trial`]: a story at all batch sizes, then in all its orders
//! * `side_by_side`: two outcomes beside each other, for people

mod aftermath;
pub mod content;
mod expectation;
mod first_key;
pub mod format;
mod history;
mod orders;
mod question;
mod run;
mod side_by_side;
pub mod stage;
pub mod story;
mod timeline;
pub mod trial;
mod world;

pub use format::json_schema;
pub use stage::Stage;
pub use story::Story;
pub use trial::{Failed, Kind, Options, Passed, Trial, judge};
