//! What serves, as readers see it, and what can be asked of the one who steers it.

use super::as_of::{self, AsOf};
use super::control::{Paused, Record};
use super::folder::{self, Folder};
use super::machine::State;
use super::night;
use super::offer::{Offer, Origin};
use super::plan::{Plan, rehearse, weigh};
use super::process::Fired;
use super::proof::{Proof, Prover};
use super::scratch::Scratch;
use super::serving::{Parts, Serving};
use super::snapshots::Snapshots;
use super::steward::{Message, Planned, Steward};
use super::{Error, RejectError, control::Control};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::plugin::manifest::Beginning;
use crate::plugin::{Engine, Loaded, Upcaster};
use crate::process::Means;
use crate::projector::Projector;
use crate::store::Store;
use crate::watch::Watch;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

/// Messages that may wait for the one who steers.
const INBOX: usize = 64;

/// A component that was deployed, whatever became of it, at one moment.
#[derive(Clone)]
pub struct Component {
    /// Its name: the stem of its file.
    pub name: String,
    /// The module whose folder it lies in; empty for none.
    pub module: String,
    /// What of it rests.
    pub paused: Paused,
    /// Its operator withdrew it.
    pub removed: bool,
    /// Its file is not in the folder any more.
    pub file_gone: bool,
    /// Its releases, newest first. Of those that have ended only the newest are here.
    pub releases: Vec<Record>,
    /// The one that serves, if any does.
    pub live: Option<Arc<Serving>>,
    /// The one that is being built, if its building has begun.
    pub building: Option<Arc<Serving>>,
    /// Those that served before, and can again: the one that served last first.
    pub warm: Vec<Arc<Serving>>,
    /// Of an upcaster: what is in force.
    pub upcaster: Option<Arc<InForce>>,
}

/// An upcaster's release that is in force: it feeds what is built from now on.
pub struct InForce {
    /// Its number.
    pub release: u64,
    /// Its code.
    pub upcaster: Upcaster,
}

impl Component {
    /// What is recorded of a release.
    #[must_use]
    pub fn release(&self, number: u64) -> Option<&Record> {
        self.releases.iter().find(|record| record.release == number)
    }

    /// The release that is on its way to serve for the first time, if there is one.
    #[must_use]
    pub fn candidate(&self) -> Option<&Record> {
        self.in_state(State::is_candidate)
    }

    /// It comes to serve for the first time, and nobody has to promote it.
    #[must_use]
    pub fn is_coming(&self) -> bool {
        self.live.is_none() && self.candidate().is_some_and(|candidate| candidate.state != State::Held)
    }

    /// The one that is to serve next: for the first time, or again.
    pub(super) fn on_its_way(&self) -> Option<&Record> {
        self.in_state(|state| state.is_candidate() || state == State::Returning)
    }

    /// What is recorded of those that served before, and can again: the one that served last first.
    pub fn kept_warm(&self) -> impl Iterator<Item = &Record> {
        let mut kept: Vec<&Record> =
            self.releases.iter().filter(|record| matches!(record.state, State::Warm | State::Returning)).collect();
        kept.sort_by_key(|record| std::cmp::Reverse(record.displaced().map(|step| step.id)));
        kept.into_iter()
    }

    pub(super) fn in_state(&self, is: impl Fn(State) -> bool) -> Option<&Record> {
        self.releases.iter().find(|record| is(record.state))
    }

    /// What serves, with what is recorded of it.
    #[must_use]
    pub fn serving(&self) -> Option<(&Arc<Serving>, &Record)> {
        let live = self.live.as_ref()?;
        Some((live, self.release(live.release)?))
    }

    /// What it is, by its name; one that nobody has looked at yet is taken for a projection.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        let is_process = |serving: &&Arc<Serving>| serving.plugin.is_process();
        match &self.upcaster {
            Some(_) => "upcaster",
            None if self.running().any(|serving| is_process(&serving)) => "process-manager",
            None => "projection",
        }
    }

    /// What serves is a process manager.
    #[must_use]
    pub fn is_process(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.plugin.is_process())
    }

    /// All that run.
    pub fn running(&self) -> impl Iterator<Item = &Arc<Serving>> {
        [&self.live, &self.building].into_iter().flatten().chain(&self.warm)
    }
}

/// Where the one who steers shows what there is.
pub(super) struct Board {
    components: RwLock<BTreeMap<String, Arc<Component>>>,
    changed: watch::Sender<u64>,
}

impl Board {
    /// Shows a component as it is now. Whoever looks from now on sees this; whoever has looked keeps what they saw.
    pub(super) fn show(&self, component: &Component) {
        let shown = Arc::new(component.clone());
        self.components.write().unwrap_or_else(PoisonError::into_inner).insert(component.name.clone(), shown);
        self.changed.send_modify(|changes| *changes += 1);
    }

    /// All that are shown, by name.
    pub(super) fn all(&self) -> Vec<Arc<Component>> {
        self.components.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Shows a component no longer.
    pub(super) fn hide(&self, name: &str) {
        self.components.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.changed.send_modify(|changes| *changes += 1);
    }
}

/// What an operator asks of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Build a release of the same bytes from nothing: of this number, or of the newest that serves or failed.
    Rebuild(Option<u64>),
    /// Let this rest from now on.
    Pause(Paused),
    /// Let a warm release serve again: this one, or the one that served last.
    RollBack(Option<u64>),
    /// Let the release serve that is held: this one, where it is said which.
    Promote(Option<u64>),
    /// Compare the release that is held again, as of now: this one, where it is said which.
    Compare(Option<u64>),
    /// Give up what is on its way to serve: this release, where it is said which.
    Abort(Option<u64>),
    /// Try again what is left out of a sequence, by a rebuild under the limits as they are now.
    Retry(String),
    /// Give up what is left out of a sequence, from now on, too.
    Discard(String),
    /// Withdraw it; its store is kept unless `purge`.
    Remove {
        /// Its stores are deleted, too.
        purge: bool,
    },
}

/// What of the drop folder is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drops {
    /// Whatever lies there, and whatever comes: by a host that serves.
    All,
    /// Components that were never there before: by one that is opened for a command alone, which nobody meant to replace anything.
    New,
    /// Nothing.
    None,
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The release that it is about.
    pub release: u64,
    /// Nothing had to be done: these bytes serve, or are being built.
    pub unchanged: bool,
}

/// The components and what serves of them.
pub struct Releases {
    board: Arc<Board>,
    as_of: AsOf,
    snapshots: Snapshots,
    prover: Arc<Prover>,
    inbox: mpsc::Sender<Message>,
    threads: Mutex<Option<(JoinHandle<()>, Option<Watch>)>>,
    parts: Arc<Parts>,
    checks: Arc<Semaphore>,
    /// The turns of those who find out what a process manager would have done.
    rehearsals: Arc<Semaphore>,
}

impl Releases {
    /// Starts what was deployed, then takes what lies in the drop folder, and watches it. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// `control.db` cannot be read or written, or the machine has no thread left.
    pub fn open(data: &DataDir, engine: &Engine, means: Means, config: &Config) -> Result<Self, Error> {
        let boot = boot_id();
        let control = Control::open(&data.control(), &boot)?;
        let projector = Projector::new(&means.log, &config.projector);
        let (data, engine, log, config) = (data.clone(), engine.clone(), means.log.clone(), config.clone());
        let mut folder = Folder::new(data.components(), config.folder.clone(), config.plugin.clone());
        Scratch::sweep(&data);
        let parts = Arc::new(Parts { data, engine, log, projector, means: Arc::new(means), config });
        let as_of = AsOf::new(Arc::clone(&parts));
        let snapshots = Snapshots::new(Arc::clone(&parts));
        let board = Arc::new(Board { components: RwLock::default(), changed: watch::Sender::new(0) });
        let (inbox, messages) = mpsc::channel(INBOX);
        let verifications = Arc::new(Semaphore::new(parts.config.verify.at_once));
        let prover = Arc::new(Prover::new(Arc::clone(&parts), Arc::clone(&verifications), inbox.clone()));
        if let Some(at) = parts.config.verify.each_day {
            tokio::spawn(night::prove_each_day(at, Arc::clone(&prover), Arc::clone(&board)));
        }
        let mut steward = Steward::new(parts, control, Arc::clone(&board), inbox.clone(), boot, verifications)?;
        let (parts, checks) = (Arc::clone(&steward.parts), Arc::clone(&steward.checks));
        steward.resume()?;
        let mut watch = None;
        let drops = parts.config.drops;
        let lying = if drops == Drops::None { Vec::new() } else { folder.look(true) };
        for seen in lying {
            if drops == Drops::All { steward.see(seen) } else { steward.see_new(seen) }
        }
        if drops == Drops::All {
            let telling = inbox.clone();
            let watched = folder::watch(folder, move |seen| telling.blocking_send(Message::Seen(seen)).is_ok());
            watch = Some(watched.map_err(Error::Thread)?);
        }
        let thread = std::thread::Builder::new().name("releases".into()).spawn(move || steward.run(messages));
        let threads = Mutex::new(Some((thread.map_err(Error::Thread)?, watch)));
        let rehearsals = Arc::new(Semaphore::new(parts.config.as_of.builds));
        Ok(Self { board, as_of, snapshots, prover, inbox, threads, parts, checks, rehearsals })
    }

    /// Waits, for so long at most, until each component serves, or it is known that it does not.
    pub async fn settled(&self, patience: Duration) {
        let is_settled = |component: &Arc<Component>| !component.is_coming();
        let mut changed = self.board.changed.subscribe();
        let settled = async {
            while !self.all().iter().all(is_settled) {
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        // What takes longer serves later.
        let _ = timeout(patience, settled).await;
    }

    /// A component by its name, as of now.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Component>> {
        self.board.components.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All components, by name, as of now.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Component>> {
        self.board.all()
    }

    /// Counts up with every change of any component.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.board.changed.subscribe()
    }

    /// Waits, for so long at most, until a component is as wanted; answers it as it is then.
    pub async fn wait_for(
        &self,
        name: &str,
        patience: Duration,
        wanted: impl Fn(&Component) -> bool,
    ) -> Option<Arc<Component>> {
        let mut changed = self.board.changed.subscribe();
        let arrived = async {
            while !self.get(name).is_some_and(|component| wanted(&component)) {
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = timeout(patience, arrived).await;
        self.get(name)
    }

    /// The read model of a release that serves as it was, by this release, as of a position that the log has. Waits until it is
    /// folded, until `deadline` at most.
    ///
    /// # Errors
    /// It takes more than it may, or it cannot be folded so far.
    pub async fn as_of(
        &self,
        component: &Component,
        live: &Serving,
        position: u64,
        deadline: tokio::time::Instant,
    ) -> Result<Store, as_of::Refusal> {
        self.as_of.forget_unless(|name, release| {
            let component = self.get(name).filter(|component| !component.removed);
            component.is_some_and(|component| component.running().any(|serving| serving.release == release))
        });
        self.as_of.store(component, live, position, deadline).await
    }

    /// What serves, as files.
    #[must_use]
    pub fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    /// Begins to prove that what serves of a component is the fold of the log, or joins who does.
    ///
    /// # Errors
    /// Nothing of it serves.
    pub fn prove(&self, component: &Component) -> Result<Arc<Proof>, Error> {
        self.prover.begin(component)
    }

    /// The newest proof of a component since the host was started.
    #[must_use]
    pub fn proof(&self, name: &str) -> Option<Arc<Proof>> {
        self.prover.newest(name)
    }

    /// Deploys bytes that came over HTTP, as if they had been dropped; they are put into the folder once they are checked.
    ///
    /// # Errors
    /// They cannot be taken now.
    pub async fn deploy(
        &self,
        name: String,
        module: String,
        bytes: Vec<u8>,
        begins: Option<Beginning>,
    ) -> Result<Taken, Error> {
        let offer = Offer { name, module, bytes: Ok(bytes), origin: Origin::Uploaded, begins };
        self.say(|answer| Message::Offer(Box::new(offer), answer)).await
    }

    /// What deploying these bytes would come to; nothing is done. A process manager is told what of the history it reacts to if it is the
    /// first one of it. `place` is what the bytes take up: it is let go of with them. The inner error is why they would be refused.
    ///
    /// # Errors
    /// The host is being stopped.
    pub async fn plan<P>(
        &self,
        name: String,
        module: String,
        (bytes, place): (Vec<u8>, P),
        begins: Option<Beginning>,
    ) -> Result<Result<Plan, RejectError>, Error> {
        let turn = Arc::clone(&self.checks).acquire_owned().await.map_err(|_| Error::Closed)?;
        let parts = Arc::clone(&self.parts);
        let weighing = tokio::task::spawn_blocking(move || {
            // Also where nobody waits for it any more, it is its turn until it ends.
            let _turn = turn;
            let weighed = weigh(&parts, &name, &module, &bytes, &parts.config.plugin);
            Planned { digest: blake3::hash(&bytes).to_hex().to_string(), name, module, begins, weighed }
        });
        let planned = match weighing.await {
            Ok(planned) => planned,
            Err(error) => return Ok(Err(RejectError::Start(error.to_string()))),
        };
        drop(place);
        let plugin = match planned.weighed.as_ref().map(|weighed| &weighed.checked.component) {
            Ok(Loaded::Plugin(plugin)) => Some(plugin.clone()),
            _ => None,
        };
        let (answer, answered) = oneshot::channel();
        self.inbox.send(Message::Plan(Box::new(planned), answer)).await.map_err(|_| Error::Closed)?;
        let mut plan = answered.await.map_err(|_| Error::Closed)?;
        if let (Ok(plan), Some(plugin)) = (&mut plan, plugin) {
            let component = self.get(&plan.name).filter(|component| !component.removed);
            let live = component.and_then(|component| component.live.clone());
            rehearse(plan, plugin, live, &self.parts, &self.as_of, &self.rehearsals).await;
        }
        Ok(plan)
    }

    /// Asks something of a component.
    ///
    /// # Errors
    /// It cannot be done, and why.
    pub async fn ask(&self, name: &str, ask: Ask) -> Result<Taken, Error> {
        let is_removed = matches!(ask, Ask::Remove { .. });
        let taken = self.say(|answer| Message::Ask(name.to_owned(), ask, answer)).await?;
        if is_removed {
            self.snapshots.forget(name);
        }
        Ok(taken)
    }

    /// Lets the timers of a process manager fire that wait for a yes.
    ///
    /// # Errors
    /// It cannot be done, and why.
    pub async fn let_fire(&self, name: &str) -> Result<Fired, Error> {
        self.say(|answer| Message::LetFire(name.to_owned(), answer)).await
    }

    async fn say<T>(&self, message: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Message) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        self.inbox.send(message(answer)).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)?
    }

    /// Stops everything, and waits for that, but no longer than this for what components are busy with. Blocks.
    pub fn stop(&self, grace: Duration) {
        self.prover.stop();
        self.snapshots.stop();
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((steward, watch)) = threads {
            let _ = self.inbox.blocking_send(Message::Stop);
            // One that panicked has said so on standard error.
            let _ = steward.join();
            if let Some(watch) = watch {
                watch.stop();
            }
        }
        let all = self.all();
        let running: Vec<&Arc<Serving>> = all.iter().flat_map(|component| component.running()).collect();
        for serving in &running {
            serving.rest();
            serving.store.rest();
            serving.running.begin_stop();
        }
        let deadline = Instant::now() + grace;
        for serving in running {
            if !serving.running.stop_until(deadline) {
                let projection = serving.plugin.manifest().name.as_str();
                tracing::warn!(
                    projection,
                    "it did not end its batch in time: it is cut off, and folded again at the next start"
                );
            }
        }
    }
}

/// What changes with each start of the machine: what was not synced before it may be lost.
fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    // Where the system does not tell, each start of the host counts as one of the machine.
    id.map_or_else(|_| uuid::Uuid::now_v7().to_string(), |id| id.trim().to_owned())
}
