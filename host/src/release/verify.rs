//! A release beside the one that serves, both at one position: what it changes for readers, row by row.

use super::serving::Serving;
use super::surface::{Surface, SurfaceDifference};
use crate::log;
use crate::plugin::Visibility;
use crate::process::{self, Means, Replay};
use crate::store::compare::{Comparison, Samples, compare};
use crate::store::parked::Sequence;
use crate::store::{self, Snapshot, Store};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// How often it is tried to compare two stores that are written all the while.
const ATTEMPTS: u32 = 3;

/// How long it is waited before a comparison begins again; twice as long with each time.
const PAUSE: Duration = Duration::from_secs(1);

/// How long one waits before it is looked again where the other one stands.
const LOOK: Duration = Duration::from_secs(1);

/// How much longer the one that serves is waited for where it lags behind the other.
const LAG_PATIENCE: u32 = 16;

/// Bytes of a text or blob that a sample shows.
const CELL_BYTES: usize = 1 << 10;

/// Bytes of all samples of a difference, about.
const SAMPLE_BYTES: usize = 256 << 10;

/// Sequences that are listed of those that are newly set aside, or no longer.
const LISTED: usize = 100;

/// How read models are compared.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many at once.
    pub at_once: usize,
    /// Time that a comparison may take.
    pub time: Duration,
    /// Bytes by which the write-ahead log of a store may grow meanwhile.
    pub wal_bytes: u64,
    /// Rows that are shown of each table and kind of difference.
    pub samples: usize,
    /// The time of day, UTC, at which every read model is proved to be the fold of the log.
    pub each_day: Option<jiff::civil::Time>,
}

/// What changes for readers from one release to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The one that serves.
    pub before: Side,
    /// The one that is to serve.
    pub after: Side,
    /// Nothing differs: readers notice nothing.
    pub same: bool,
    /// It is for readers of the component's module only.
    pub internal: bool,
    /// What can be asked.
    pub surface: SurfaceDifference,
    /// What is in the tables.
    #[serde(flatten)]
    pub content: Comparison,
    /// Which events are left out.
    pub parked: ParkedDifference,
    /// What a process manager would have done, beside what was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// When it was found, in microseconds since 1970.
    pub at_us: i64,
}

/// One of two releases that were compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// Its number.
    pub release: u64,
    /// Its component's version.
    pub version: String,
    /// Where it stood.
    pub position: u64,
}

/// Which events one release leaves out, and the other does not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ParkedDifference {
    /// The sequences of which only the later release leaves events out, or more of them, as it does; the first hundred.
    pub newly: Vec<Sequence>,
    /// How many there are.
    pub newly_sequences: usize,
    /// How many of them are readable only inside their module.
    #[serde(default)]
    pub newly_internal: usize,
    /// The sequences of which only the earlier one leaves events out, or more of them, as it does; the first hundred.
    pub no_longer: Vec<Sequence>,
    /// How many there are.
    pub no_longer_sequences: usize,
    /// How many of them are readable only inside their module.
    #[serde(default)]
    pub no_longer_internal: usize,
    /// The module inside which alone it may be told that something is set aside, or no longer, where it may not be told to all.
    #[serde(default)]
    pub internal_to: Option<String>,
}

/// Why two releases were not compared.
#[derive(Debug, thiserror::Error)]
pub enum Unverified {
    /// Nobody wants to know any more.
    #[error("it is not wanted any more")]
    Unwanted,
    /// They did not come to stand at one position.
    #[error(
        "release {release} did not come to stand where release {other} stands; `cutover_ms` says how long that is waited for"
    )]
    Apart {
        /// The one that was to come.
        release: u64,
        /// The one that was waited for.
        other: u64,
    },
    /// A store was written too much meanwhile.
    #[error(
        "its write-ahead log grew by more than {bytes} bytes in each of {ATTEMPTS} attempts: raise `verify_wal_bytes`"
    )]
    WalGrew {
        /// The bound.
        bytes: u64,
    },
    /// It took too long.
    #[error("it took longer than {0:?}: raise `verify_ms`")]
    OutOfTime(Duration),
    /// The thread died.
    #[error("it was given up; standard error says why")]
    Died,
    /// A store is out of order.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The log is.
    #[error(transparent)]
    Log(#[from] log::Error),
}

impl Difference {
    /// Rows that were added, removed and changed.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.content.tables.iter().map(|table| table.added + table.removed + table.changed).sum()
    }

    /// What differs, in a few words.
    #[must_use]
    pub fn summary(&self) -> String {
        let counted = |count: u64, one: &str, more: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            _ => Some(format!("{count} {more}")),
        };
        let surface = &self.surface;
        let parts = surface.added.len() + surface.removed.len() + surface.changed.len();
        let apart = (self.before.position != self.after.position)
            .then(|| format!("they stand at {} and {}", self.before.position, self.after.position));
        let differs: Vec<String> = [
            counted(self.rows(), "row", "rows"),
            counted(parts as u64, "thing that can be asked", "things that can be asked"),
            counted(self.parked.newly_sequences as u64, "sequence newly set aside", "sequences newly set aside"),
            counted(
                self.parked.no_longer_sequences as u64,
                "sequence not set aside any longer",
                "sequences not set aside any longer",
            ),
            apart,
        ]
        .into_iter()
        .flatten()
        .chain(self.replay.iter().flat_map(Replay::summary))
        .collect();
        if differs.is_empty() { "nothing differs".to_owned() } else { format!("what differs: {}", differs.join(", ")) }
    }
}

impl ParkedDifference {
    /// Neither leaves anything out that the other does not.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.newly_sequences == 0 && self.no_longer_sequences == 0
    }
}

/// The sequences of which `after` leaves events out that `before` does not, but for those that were known up to a position.
///
/// # Errors
/// A store cannot be read.
pub(super) fn newly_parked(before: &Store, after: &Store, known_up_to: u64) -> Result<Vec<Sequence>, store::Error> {
    let newly = after.read_here(|after| before.read_here(|before| more_in(before, after, leaves_more_out)))?;
    Ok(newly.into_iter().filter(|sequence| sequence.position > known_up_to).collect())
}

/// The sequences of `after` that `before` has not, or that differ.
fn more_in(
    before: &Snapshot,
    after: &Snapshot,
    differs: fn(&Sequence, &Sequence) -> bool,
) -> Result<Vec<Sequence>, store::Error> {
    let known: HashMap<String, Sequence> =
        before.parked(0, usize::MAX)?.into_iter().map(|known| (known.sequence.clone(), known)).collect();
    let left_out = after.parked(0, usize::MAX)?.into_iter();
    Ok(left_out.filter(|left| known.get(&left.sequence).is_none_or(|known| differs(known, left))).collect())
}

/// What another release says of an event that both leave out is nothing that readers miss.
fn leaves_more_out(before: &Sequence, after: &Sequence) -> bool {
    before.events < after.events
}

/// Of one release folded twice everything must be the same: `exactly`.
fn parked_difference(before: &Snapshot, after: &Snapshot, exactly: bool) -> Result<ParkedDifference, store::Error> {
    let differs = if exactly { |before: &Sequence, after: &Sequence| before != after } else { leaves_more_out };
    let (mut newly, mut no_longer) = (more_in(before, after, differs)?, more_in(after, before, differs)?);
    // All of them are counted and looked at before the lists are cut.
    let internal = |sequences: &[Sequence]| sequences.iter().filter(|sequence| sequence.internal).count();
    let internal_to = newly.iter().chain(&no_longer).find(|sequence| sequence.internal);
    let difference = ParkedDifference {
        newly_sequences: newly.len(),
        newly_internal: internal(&newly),
        no_longer_sequences: no_longer.len(),
        no_longer_internal: internal(&no_longer),
        internal_to: internal_to.map(|sequence| sequence.module.clone()),
        ..ParkedDifference::default()
    };
    newly.truncate(LISTED);
    no_longer.truncate(LISTED);
    Ok(ParkedDifference { newly, no_longer, ..difference })
}

/// Two releases that are compared.
pub(super) struct Pair<'a> {
    /// The one that serves.
    pub(super) before: &'a Serving,
    /// The one that follows it.
    pub(super) after: &'a Serving,
    /// Both must be the same to the last word, also in why an event is left out: they are folded by one component.
    pub(super) exactly: bool,
    /// Time that the one that serves is kept where it stands at first, for the other to come there; more with each attempt.
    pub(super) patience: Duration,
    /// The log and the time by which a process manager's decisions are compared with what was done; `None`: they are not.
    pub(super) done: Option<&'a Means>,
    /// Ends it.
    pub(super) unwanted: &'a CancellationToken,
    pub(super) runtime: &'a Handle,
}

impl Pair<'_> {
    /// Compares them as of one position. The one that serves is kept where it stands for the moment that both snapshots take; then both
    /// go on. Where it does not fold any more, they may stand apart, and the difference says so. Blocks.
    pub(super) fn compare(&self, options: &Options) -> Result<Difference, Unverified> {
        let mut attempt = 0;
        loop {
            let compared = self.attempt(options, attempt);
            attempt += 1;
            match compared {
                Err(Unverified::WalGrew { .. } | Unverified::Apart { .. }) if attempt < ATTEMPTS => {
                    self.rest(PAUSE * 2_u32.pow(attempt - 1))?;
                }
                compared => return compared,
            }
        }
    }

    /// Waits until the later one is where the earlier one is, or has ended. Blocks.
    pub(super) fn catch_up(&self) -> Result<(), Unverified> {
        while self.after.running.state().is_folding() {
            let position = self.before.store.progress().applied;
            if self.reaches(self.after, position, LOOK)? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn attempt(&self, options: &Options, attempt: u32) -> Result<Difference, Unverified> {
        let Self { before, after, .. } = *self;
        if self.unwanted.is_cancelled() {
            return Err(Unverified::Unwanted);
        }
        let begun = Instant::now();
        let mut held = Some(self.meet(self.patience * 4_u32.pow(attempt), begun + options.time)?);
        let samples = Samples { rows: options.samples, cell_bytes: CELL_BYTES, bytes: SAMPLE_BYTES };
        before.store.read_here(|one: &mut Snapshot| {
            after.store.read_here(|other: &mut Snapshot| {
                // Both have their moment: from here on they may go on.
                held.take();
                let allowed = [&before.store, &after.store].map(|store| store.wal_bytes() + options.wal_bytes);
                let go_on = || {
                    if self.unwanted.is_cancelled() {
                        return Err(Unverified::Unwanted);
                    }
                    if begun.elapsed() > options.time {
                        return Err(Unverified::OutOfTime(options.time));
                    }
                    if before.store.wal_bytes() > allowed[0] || after.store.wal_bytes() > allowed[1] {
                        return Err(Unverified::WalGrew { bytes: options.wal_bytes });
                    }
                    Ok(())
                };
                let content = compare(one, other, &samples, &mut |_| go_on())?;
                let replay = match self.done.filter(|_| after.plugin.is_process()) {
                    None => None,
                    Some(means) => {
                        // What is still to be done would seem not to be decided. Where it stays so, the report says it.
                        before.has_done(one.position(), self.patience, self.runtime);
                        let asked = process::replay::Asked {
                            log: &means.log,
                            process: &after.plugin.manifest().name,
                            samples: options.samples,
                            now_us: means.clock.now_us(),
                        };
                        Some(process::replay::report(&asked, other, Some(&before.store), &mut || go_on())?)
                    }
                };
                // As they stand in the files: somebody may have changed one.
                let relations = (one.relations()?, other.relations()?);
                let surface = SurfaceDifference::between(
                    Surface { manifest: before.plugin.manifest(), relations: &relations.0 },
                    Surface { manifest: after.plugin.manifest(), relations: &relations.1 },
                );
                let parked = parked_difference(one, other, self.exactly)?;
                let side = |serving: &Serving, snapshot: &Snapshot| Side {
                    release: serving.release,
                    version: serving.plugin.manifest().version.clone(),
                    position: snapshot.position(),
                };
                let (before, after) = (side(before, one), side(after, other));
                let is_one_position = before.position == after.position;
                // An index changes no answer, and yet it belongs to what was built.
                let is_same_surface = if self.exactly { surface.is_empty() } else { surface.is_same() };
                Ok(Difference {
                    same: is_one_position
                        && content.is_same()
                        && is_same_surface
                        && parked.is_same()
                        && replay.as_ref().is_none_or(Replay::is_same),
                    internal: is_internal(Some(self.before), self.after),
                    before,
                    after,
                    surface,
                    content,
                    parked,
                    replay,
                    seconds: begun.elapsed().as_secs_f64(),
                    at_us: super::control::now_us(),
                })
            })
        })
    }

    /// Has both at one position, and keeps them there for as long as the answer lives. The later one must be on a leash behind the earlier one.
    fn meet(&self, patience: Duration, deadline: Instant) -> Result<impl Sized, Unverified> {
        let Self { before, after, .. } = *self;
        let apart = || Unverified::Apart { release: after.release, other: before.release };
        // It may be ahead: then the one that serves is waited for. Where that does not come, they are compared as they stand.
        let ahead = after.store.progress().applied;
        if before.running.state().is_folding() && !before.running.is_paused() {
            let wait = (patience * LAG_PATIENCE).min(deadline.saturating_duration_since(Instant::now()));
            self.reaches(before, ahead, wait)?;
        }
        let held = before.running.hold(patience).ok_or_else(apart)?;
        if !self.reaches(after, before.store.progress().applied, patience)? {
            return Err(apart());
        }
        Ok(held)
    }

    /// Waits until a release is at a position, for so long at most; it may also end before.
    fn reaches(&self, serving: &Serving, position: u64, patience: Duration) -> Result<bool, Unverified> {
        let (mut progress, mut state) = (serving.store.watch_progress(), serving.running.watch_state());
        let reached = async {
            tokio::select! {
                biased;
                reached = progress.wait_for(|progress| progress.applied >= position) => reached.is_ok(),
                _ = state.wait_for(|state| !state.is_folding()) => false,
            }
        };
        self.runtime.block_on(async {
            tokio::select! {
                () = self.unwanted.cancelled() => Err(Unverified::Unwanted),
                reached = tokio::time::timeout(patience, reached) => Ok(reached.unwrap_or(false)),
            }
        })
    }

    fn rest(&self, pause: Duration) -> Result<(), Unverified> {
        let unwanted = self.unwanted.cancelled();
        match self.runtime.block_on(async { tokio::time::timeout(pause, unwanted).await }) {
            Ok(()) => Err(Unverified::Unwanted),
            Err(_) => Ok(()),
        }
    }
}

/// What readers can ask of a release that runs.
pub(super) fn surface(serving: &Serving) -> Surface<'_> {
    Surface { manifest: serving.plugin.manifest(), relations: serving.store.relations() }
}

/// Whether a difference between two releases is for readers of their module only.
pub(super) fn is_internal(before: Option<&Serving>, after: &Serving) -> bool {
    before.into_iter().chain([after]).any(|serving| serving.plugin.manifest().visibility == Visibility::Internal)
}
