//! Reading a projection as of a position: as it was then, by the release that serves now.

use super::App;
use super::parameters::Parameters;
use super::problem::{Code, Problem};
use super::reading::{Reading, check_read, find_component, not_live, words};
use crate::access::Caller;
use crate::release::as_of::Refusal;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A position that is in the log.
pub struct Past {
    /// The position.
    pub position: u64,
    timeout: Duration,
}

impl Past {
    /// Takes `as_of`, if it is there, and `timeout` with it.
    ///
    /// # Errors
    /// It is not a position that the log has, or stands beside what contradicts it.
    pub fn take(app: &App, parameters: &mut Parameters) -> Result<Option<Self>, Problem> {
        let Some(position) = parameters.take_as::<u64>("as_of", "a position, from 0")? else { return Ok(None) };
        for other in ["min_position", "fresh"] {
            if parameters.take(other)?.is_some() {
                let detail = format!(
                    "`as_of` and `{other}` contradict each other: one asks for the past, the other for now. Leave one out."
                );
                return Err(Problem::new(Code::BadParameter, detail).with("parameter", other));
            }
        }
        let head = app.host.log.head();
        if position > head {
            let detail =
                format!("`as_of` is {position}, and the log ends at {head}: nothing is known of later positions");
            return Err(Problem::new(Code::BadParameter, detail).with("parameter", "as_of").with("head", head));
        }
        let most = app.host.config.as_of.time;
        let timeout = parameters.take_time("timeout")?.unwrap_or(most).min(most);
        Ok(Some(Self { position, timeout }))
    }

    /// Waits until the read model is folded up to the position.
    ///
    /// # Errors
    /// There is no such projection, it is not for who asks, or it cannot be folded so far within the limits.
    pub async fn reach(&self, app: &App, caller: &Caller, name: &str) -> Result<Reading, Problem> {
        let component = find_component(app, name)?;
        let Some(live) = component.live.clone() else { return Err(not_live(app, caller, &component)) };
        check_read(caller, &component, &live)?;
        let deadline = Instant::now() + self.timeout;
        let store = app.host.releases.as_of(&component, &live, self.position, deadline).await;
        let store = store.map_err(|refusal| self.refused(app, caller, name, refusal))?;
        Ok(Reading { serving: Arc::clone(&live), store })
    }

    fn refused(&self, app: &App, caller: &Caller, name: &str, refusal: Refusal) -> Problem {
        let Self { position, timeout } = self;
        match refusal {
            Refusal::TooFar { events, limit } => {
                let detail = format!(
                    "`{name}` as of {position} takes {events} events at least, and {limit} may be folded for an answer. Ask as of \
                     an earlier position, or raise `as_of_events`."
                );
                Problem::new(Code::AsOfTooFar, detail).with("events", events).with("limit", limit)
            }
            Refusal::TooSlow { reached } => {
                let how_far = match reached {
                    Some(reached) => format!("was folded up to {reached}"),
                    None => format!("had not begun, where {} are folded at once", app.host.config.as_of.builds),
                };
                let detail = format!(
                    "`{name}` as of {position} {how_far} when its time was over ({timeout:?}). Ask as of an earlier position, give it more \
                     time with `timeout`, or raise `as_of_ms`."
                );
                Problem::new(Code::AsOfTooSlow, detail).with("position", reached).with("wanted", *position)
            }
            Refusal::Halted { reached, halt } => {
                let detail = format!(
                    "`{name}` does not come to {position}: at {reached} it halts: {}. Ask as of {reached} at most, or mend the component.",
                    words(caller, &halt).trim_end_matches('.')
                );
                Problem::new(Code::NotCaughtUp, detail).with("position", reached).with("wanted", *position)
            }
            Refusal::Failed => Problem::new(
                Code::StoreUnavailable,
                "The read model could not be folded once more; the host's standard error says why.",
            ),
        }
    }
}
