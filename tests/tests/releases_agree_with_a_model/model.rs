//! The rules of releases: what becomes of each by what is ordered, what serves, and what is kept.

use crate::orders::{Bytes, Paused, Policy};
use laterna_tests::cars::Trade;
use laterna_tests::standing::Standing;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Building,
    Held,
    /// It was held, and promoted, and waits to stand where the one stands that serves.
    Verifying,
    Live,
    Warm,
    Returning,
    Retired,
    Rejected,
    Failed,
}

impl State {
    pub fn is_candidate(self) -> bool {
        matches!(self, Self::Building | Self::Held | Self::Verifying)
    }

    pub fn has_store(self) -> bool {
        self.is_candidate() || matches!(self, Self::Live | Self::Warm | Self::Returning)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Held => "held",
            Self::Verifying => "verifying",
            Self::Live => "live",
            Self::Warm => "warm",
            Self::Returning => "returning",
            Self::Retired => "retired",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }
}

/// A release in the model.
#[derive(Debug, Clone)]
pub struct Release {
    pub bytes: Bytes,
    pub state: State,
    /// Its bytes can be had for a rebuild.
    pub is_kept: bool,
    /// The host's when it was checked; `None` where it was refused.
    pub policy: Option<Policy>,
    /// What it was compared with.
    pub compared: Option<Compared>,
    /// Readers may have been answered by it.
    pub has_served: bool,
    /// By this those that served are put in order: the one that ceased to serve last has most.
    displaced: usize,
}

/// What came of comparing a release with the one that served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    /// That one's number.
    pub with: u64,
    pub position: u64,
    /// Nothing differs.
    pub same: bool,
}

/// The rules. Releases are meant by their index here; their numbers are one more.
#[derive(Debug, Clone)]
pub struct Model {
    /// Number 1 first.
    pub releases: Vec<Release>,
    pub paused: Paused,
    pub removed: bool,
    /// What lies in the drop folder.
    pub file: Option<Bytes>,
    /// The host's policy now.
    pub policy: Policy,
    /// What was taken from the folder last.
    taken: Option<Bytes>,
    /// How many are kept warm.
    warm: usize,
    /// How often one ceased to serve.
    displacements: usize,
}

/// What becomes of bytes that are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    Nothing,
    Returns,
    Received,
}

impl Model {
    /// Nothing is deployed, and this lies in the folder.
    pub fn new(file: Bytes, policy: Policy, warm: usize) -> Self {
        let mut model = Self {
            releases: Vec::new(),
            paused: Paused::Nothing,
            removed: false,
            file: Some(file),
            policy,
            taken: None,
            warm,
            displacements: 0,
        };
        model.found(file);
        model
    }

    pub fn in_state(&self, state: State) -> Option<usize> {
        self.releases.iter().position(|release| release.state == state)
    }

    pub fn live(&self) -> Option<&Release> {
        self.in_state(State::Live).map(|live| &self.releases[live])
    }

    /// The one that is on its way to serve for the first time.
    pub fn candidate(&self) -> Option<usize> {
        self.releases.iter().position(|release| release.state.is_candidate())
    }

    /// The one that is on its way to serve, for the first time or again.
    pub fn on_its_way(&self) -> Option<usize> {
        self.candidate().or(self.in_state(State::Returning))
    }

    /// Those that served, and can again: the one that served last first.
    pub fn kept(&self) -> Vec<usize> {
        let is_kept = |release: &usize| matches!(self.releases[*release].state, State::Warm | State::Returning);
        let mut kept: Vec<usize> = (0..self.releases.len()).filter(is_kept).collect();
        kept.sort_by_key(|release| std::cmp::Reverse(self.releases[*release].displaced));
        kept
    }

    /// What would become of these bytes.
    pub fn what_of(&self, bytes: Bytes) -> Offered {
        let is = |release: Option<usize>| release.is_some_and(|release| self.releases[release].bytes == bytes);
        if is(self.candidate()) || is(self.in_state(State::Live)) {
            Offered::Nothing
        } else if self.kept_of(bytes).is_some() && self.policy.is_auto() {
            Offered::Returns
        } else {
            Offered::Received
        }
    }

    /// The newest that has these bytes, of those that can serve again.
    fn kept_of(&self, bytes: Bytes) -> Option<usize> {
        self.kept().into_iter().filter(|release| self.releases[*release].bytes == bytes).max()
    }

    fn offer(&mut self, bytes: Bytes) -> Offered {
        let offered = self.what_of(bytes);
        let is_built = self.candidate().is_some_and(|built| self.releases[built].bytes == bytes);
        match offered {
            // What serves is wanted as it is: whatever else was on its way is not.
            Offered::Nothing if !is_built => self.supersede(),
            Offered::Nothing => {}
            Offered::Returns => self.kept_of(bytes).into_iter().for_each(|kept| self.recall(kept)),
            Offered::Received => self.receive(bytes),
        }
        offered
    }

    pub fn found(&mut self, bytes: Bytes) {
        if self.taken != Some(bytes) {
            self.taken = Some(bytes);
            self.offer(bytes);
        }
    }

    pub fn upload(&mut self, bytes: Bytes) -> Offered {
        let offered = self.offer(bytes);
        // It lies in the folder then, whether or not anything had to be built.
        if bytes.may_be_deployed() {
            (self.file, self.taken) = (Some(bytes), Some(bytes));
        }
        offered
    }

    fn receive(&mut self, bytes: Bytes) {
        self.supersede();
        let is_taken = bytes.may_be_deployed();
        self.releases.push(Release {
            bytes,
            state: if is_taken { State::Building } else { State::Rejected },
            is_kept: is_taken,
            policy: is_taken.then_some(self.policy),
            compared: None,
            has_served: false,
            displaced: 0,
        });
        // A component that was removed is back with one that may be deployed.
        self.removed &= !is_taken;
    }

    fn supersede(&mut self) {
        if let Some(candidate) = self.candidate() {
            self.end(candidate, State::Retired);
        }
        if let Some(returning) = self.in_state(State::Returning) {
            self.releases[returning].state = State::Warm;
        }
    }

    fn end(&mut self, release: usize, state: State) {
        if state == State::Failed {
            // Of those that failed the newest is kept.
            self.forget_failed();
        }
        self.releases[release].state = state;
        self.releases[release].is_kept = state == State::Failed;
        self.releases[release].compared = None;
    }

    fn forget_failed(&mut self) {
        let failed = self.releases.iter_mut().filter(|release| release.state == State::Failed);
        failed.for_each(|failed| failed.is_kept = false);
    }

    fn recall(&mut self, kept: usize) {
        if self.releases[kept].state == State::Warm {
            self.supersede();
            self.releases[kept].state = State::Returning;
            self.removed = false;
        }
    }

    /// Answers the number of the one that serves, or is to serve, if there is one to go back to.
    pub fn roll_back(&mut self, number: Option<u64>) -> Option<u64> {
        if self.removed {
            return None;
        }
        if number.is_some() && number == self.number_in(State::Live) {
            return number;
        }
        let is_meant = |kept: &usize| number.is_none_or(|number| number == number_of(*kept));
        let kept = self.kept().into_iter().find(is_meant)?;
        self.recall(kept);
        Some(number_of(kept))
    }

    /// Answers the number of the one that serves, or is to serve, if there is one.
    pub fn promote(&mut self, number: Option<u64>) -> Option<u64> {
        if self.removed {
            return None;
        }
        if number.is_some() && number == self.number_in(State::Live) {
            return number;
        }
        let candidate = self.candidate().filter(|candidate| is_meant(number, *candidate))?;
        match self.releases[candidate].state {
            State::Held => self.releases[candidate].state = State::Verifying,
            State::Verifying => {}
            _ => return None,
        }
        Some(number_of(candidate))
    }

    /// Answers the number of the one that is given up, if there is one.
    pub fn abort(&mut self, number: Option<u64>) -> Option<u64> {
        let given_up = self.on_its_way().filter(|on_its_way| !self.removed && is_meant(number, *on_its_way))?;
        self.supersede();
        Some(number_of(given_up))
    }

    /// Answers whether there are bytes to build from.
    pub fn rebuild(&mut self) -> bool {
        let source = self.releases.iter().rfind(|release| matches!(release.state, State::Live | State::Failed));
        let bytes = source.filter(|source| source.is_kept && !self.removed).map(|source| source.bytes);
        bytes.is_some_and(|bytes| {
            self.receive(bytes);
            true
        })
    }

    pub fn remove(&mut self, purge: bool) {
        self.supersede();
        let live = self.in_state(State::Live);
        for warm in self.kept().into_iter().filter(|_| purge || live.is_some()) {
            self.end(warm, State::Retired);
        }
        match live {
            Some(live) if purge => self.end(live, State::Retired),
            Some(live) => self.displace(live),
            None => {}
        }
        self.removed = true;
        self.forget_file();
    }

    /// Withdrawn and deleted: the same file, dropped once more, is meant.
    pub fn forget_file(&mut self) {
        if self.removed && self.file.is_none() {
            self.taken = None;
        }
    }

    /// What happens in the end, if nothing else does.
    pub fn settle(&mut self, trade: &Trade) {
        if let Some(building) = self.in_state(State::Building)
            && self.paused == Paused::Nothing
        {
            match self.releases[building].bytes {
                Bytes::Trapping => self.end(building, State::Failed),
                _ => self.review(building, trade),
            }
        }
        if let Some(promoted) = self.in_state(State::Verifying)
            && self.paused == Paused::Nothing
        {
            self.cut_over(promoted);
        }
        if let Some(returning) = self.in_state(State::Returning)
            && self.paused != Paused::Everything
        {
            self.cut_over(returning);
        }
    }

    /// A release that was built is compared with the one that serves. Then it serves, or is held.
    fn review(&mut self, release: usize, trade: &Trade) {
        let version = |release: usize| self.releases[release].bytes.version();
        let compared = self.in_state(State::Live).map(|live| Compared {
            with: number_of(live),
            position: trade.head(),
            same: version(live) == version(release) || trade.is_same_for_both(trade.head()),
        });
        self.releases[release].compared = compared;
        let is_held = match self.releases[release].policy {
            Some(Policy::Hold) => true,
            Some(Policy::HoldIfDifferent) => compared.is_some_and(|compared| !compared.same),
            Some(Policy::Auto | Policy::Unsaid) | None => false,
        };
        match is_held {
            true => self.releases[release].state = State::Held,
            false => self.cut_over(release),
        }
    }

    fn cut_over(&mut self, release: usize) {
        let blue = self.in_state(State::Live);
        let before = self.kept().into_iter().filter(|kept| *kept != release);
        let behind: Vec<usize> = blue.into_iter().chain(before).collect();
        if let Some(blue) = blue {
            self.displace(blue);
        }
        for gone in behind.into_iter().skip(self.warm) {
            self.end(gone, State::Retired);
        }
        self.releases[release].state = State::Live;
        self.releases[release].has_served = true;
        self.forget_failed();
    }

    fn displace(&mut self, live: usize) {
        self.displacements += 1;
        self.releases[live].state = State::Warm;
        self.releases[live].displaced = self.displacements;
    }

    /// The one that is to serve while what it would have to fold rests. Only the host knows whether it already stands where the other
    /// one does.
    pub fn rests_on_its_way(&self) -> Option<usize> {
        let promoted = self.in_state(State::Verifying).filter(|_| self.paused != Paused::Nothing);
        promoted.or(self.in_state(State::Returning).filter(|_| self.paused == Paused::Everything))
    }

    /// Whether the host says the same; where only it can know, it is believed.
    pub fn agrees(&mut self, standing: &Standing) -> bool {
        if self.is(standing) {
            return true;
        }
        self.rests_on_its_way().is_some_and(|release| {
            let mut got_there = self.clone();
            got_there.cut_over(release);
            let agrees = got_there.is(standing);
            if agrees {
                *self = got_there;
            }
            agrees
        })
    }

    fn is(&self, standing: &Standing) -> bool {
        let stands_so = |(release, shown): (&Release, &laterna_tests::standing::Release)| {
            let policy = (shown.policy.as_str(), shown.policy_by.as_str());
            shown.state == release.state.name() && release.policy.is_none_or(|fixed| fixed.told() == policy)
        };
        let first_warm = self.kept().first().copied().filter(|_| self.in_state(State::Live).is_some());
        standing.releases.len() == self.releases.len()
            && self.releases.iter().zip(&standing.releases).all(stands_so)
            && standing.live == self.number_in(State::Live)
            && (standing.live.is_none() || standing.warm == first_warm.map(number_of))
            && standing.paused == self.paused.name()
            && standing.file_gone == self.file.is_none()
    }

    fn number_in(&self, state: State) -> Option<u64> {
        self.in_state(state).map(number_of)
    }
}

/// The number of a release.
pub fn number_of(release: usize) -> u64 {
    release as u64 + 1
}

fn is_meant(number: Option<u64>, release: usize) -> bool {
    number.is_none_or(|number| number == number_of(release))
}
