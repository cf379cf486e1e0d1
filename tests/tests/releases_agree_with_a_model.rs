//! Random orders to one component's releases, and to a model of their rules: what serves, what is kept, what came of each release,
//! and what is read, agree; also where the host is killed in the midst of it.

use laterna_tests::cars::{Trade, Version};
use laterna_tests::guests::misbehaving;
use laterna_tests::random::seed;
use laterna_tests::releases::{cars_v1, cars_v2, variant};
use laterna_tests::standing::Standing;
use laterna_tests::{Answer, BREATH, Client, Data, PATIENCE, Server, files};
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Cases, unless `LATERNA_CASES` says otherwise.
const CASES: u32 = 30;
const STEPS_PER_CASE: usize = 16;
/// Files count as written at once: the test does not write them in pieces.
const FLAGS: &[&str] = &["--settle-ms", "10", "--incomplete-ms", "10", "--start-ms", "1", "--cutover-ms", "100"];

/// What a file has in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bytes {
    V1,
    V1Variant,
    V2,
    V2Variant,
    /// It may be deployed, and traps at the first event of every log here.
    Trapping,
    /// Half of a component.
    Half,
    /// A component that calls itself otherwise.
    Misnamed,
}

impl Bytes {
    fn content(self) -> &'static [u8] {
        static CONTENTS: OnceLock<BTreeMap<Bytes, Vec<u8>>> = OnceLock::new();
        let contents = CONTENTS.get_or_init(|| {
            BTreeMap::from([
                (Self::V1, cars_v1().to_vec()),
                (Self::V1Variant, variant(cars_v1(), 1)),
                (Self::V2, cars_v2().to_vec()),
                (Self::V2Variant, variant(cars_v2(), 1)),
                (Self::Trapping, misbehaving(&json!({ "name": "cars", "consumes": ["Trapped"] }))),
                (Self::Half, cars_v2()[..cars_v2().len() / 2].to_vec()),
                (Self::Misnamed, misbehaving(&json!({ "name": "bikes", "consumes": ["Trapped"] }))),
            ])
        });
        &contents[&self]
    }

    /// How it folds, if it can.
    fn version(self) -> Option<Version> {
        match self {
            Self::V1 | Self::V1Variant => Some(Version::One),
            Self::V2 | Self::V2Variant => Some(Version::Two),
            Self::Trapping | Self::Half | Self::Misnamed => None,
        }
    }

    fn may_be_deployed(self) -> bool {
        !matches!(self, Self::Half | Self::Misnamed)
    }
}

/// One thing that is done, and what becomes of the host before its effects have settled.
#[derive(Debug, Clone)]
struct Step {
    order: Order,
    then: Then,
}

#[derive(Debug, Clone)]
enum Order {
    Append(Vec<u16>),
    Drop(Bytes),
    /// The file's bytes are written once more.
    Touch,
    DeleteFile,
    Upload(Bytes),
    Rebuild,
    RollBack,
    Pause(Paused),
    Remove {
        purge: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Settle,
    Kill,
    Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Paused {
    Nothing,
    Builds,
    Everything,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Building,
    Live,
    Warm,
    Returning,
    Retired,
    Rejected,
    Failed,
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = || {
        prop_oneof![
            3 => Just(Bytes::V1),
            3 => Just(Bytes::V1Variant),
            3 => Just(Bytes::V2),
            3 => Just(Bytes::V2Variant),
            1 => Just(Bytes::Trapping),
            1 => Just(Bytes::Half),
            1 => Just(Bytes::Misnamed),
        ]
    };
    let paused = prop_oneof![
        2 => Just(Paused::Builds),
        1 => Just(Paused::Everything),
        3 => Just(Paused::Nothing),
    ];
    let order = prop_oneof![
        6 => proptest::collection::vec(any::<u16>(), 1..12).prop_map(Order::Append),
        8 => bytes().prop_map(Order::Drop),
        1 => Just(Order::Touch),
        1 => Just(Order::DeleteFile),
        4 => bytes().prop_map(Order::Upload),
        3 => Just(Order::Rebuild),
        4 => Just(Order::RollBack),
        6 => paused.prop_map(Order::Pause),
        1 => any::<bool>().prop_map(|purge| Order::Remove { purge }),
    ];
    let then = prop_oneof![6 => Just(Then::Settle), 2 => Just(Then::Kill), 1 => Just(Then::Stop)];
    (order, then).prop_map(|(order, then)| Step { order, then })
}

/// A release in the model.
#[derive(Debug, Clone)]
struct Release {
    bytes: Bytes,
    state: State,
    /// Its bytes can be had for a rebuild.
    is_kept: bool,
}

/// The rules.
#[derive(Debug, Clone)]
struct Model {
    /// Number 1 first.
    releases: Vec<Release>,
    paused: Paused,
    removed: bool,
    /// What lies in the drop folder.
    file: Option<Bytes>,
    /// What was taken from there last.
    taken: Option<Bytes>,
}

/// What becomes of bytes that are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offered {
    Nothing,
    Returns,
    Received,
}

impl Model {
    fn in_state(&self, state: State) -> Option<usize> {
        self.releases.iter().position(|release| release.state == state)
    }

    fn live(&self) -> Option<&Release> {
        self.in_state(State::Live).map(|live| &self.releases[live])
    }

    fn kept(&self) -> Option<usize> {
        self.in_state(State::Warm).or(self.in_state(State::Returning))
    }

    /// What would become of these bytes.
    fn what_of(&self, bytes: Bytes) -> Offered {
        let is = |release: Option<usize>| release.is_some_and(|release| self.releases[release].bytes == bytes);
        if is(self.in_state(State::Building)) || is(self.in_state(State::Live)) {
            Offered::Nothing
        } else if is(self.kept()) {
            Offered::Returns
        } else {
            Offered::Received
        }
    }

    fn offer(&mut self, bytes: Bytes) -> Offered {
        let offered = self.what_of(bytes);
        match offered {
            // What serves is wanted as it is: whatever else was on its way is not.
            Offered::Nothing if self.live().is_some_and(|live| live.bytes == bytes) => {
                let is_built = self.in_state(State::Building).is_some_and(|built| self.releases[built].bytes == bytes);
                if !is_built {
                    self.supersede();
                }
            }
            Offered::Nothing => {}
            Offered::Returns => drop(self.roll_back()),
            Offered::Received => self.receive(bytes),
        }
        offered
    }

    fn found(&mut self, bytes: Bytes) {
        if self.taken != Some(bytes) {
            self.taken = Some(bytes);
            self.offer(bytes);
        }
    }

    fn upload(&mut self, bytes: Bytes) -> Offered {
        let offered = self.offer(bytes);
        // It lies in the folder then, whether or not anything had to be built.
        if bytes.may_be_deployed() {
            (self.file, self.taken) = (Some(bytes), Some(bytes));
        }
        offered
    }

    fn receive(&mut self, bytes: Bytes) {
        self.supersede();
        let state = if bytes.may_be_deployed() { State::Building } else { State::Rejected };
        self.releases.push(Release { bytes, state, is_kept: bytes.may_be_deployed() });
        // A component that was removed is back with one that may be deployed.
        self.removed &= !bytes.may_be_deployed();
    }

    fn supersede(&mut self) {
        if let Some(building) = self.in_state(State::Building) {
            self.end(building, State::Retired);
        }
        if let Some(returning) = self.in_state(State::Returning) {
            self.releases[returning].state = State::Warm;
        }
    }

    fn end(&mut self, release: usize, state: State) {
        self.releases[release].state = state;
        // Of those that failed the newest is kept.
        let failed = self.releases.iter_mut().filter(|release| release.state == State::Failed);
        failed.for_each(|failed| failed.is_kept = false);
        self.releases[release].is_kept = state == State::Failed;
    }

    /// Answers whether there is one to go back to.
    fn roll_back(&mut self) -> bool {
        let Some(kept) = self.kept() else { return false };
        if self.releases[kept].state == State::Warm {
            self.supersede();
            self.releases[kept].state = State::Returning;
            self.removed = false;
        }
        true
    }

    /// Answers whether there are bytes to build from.
    fn rebuild(&mut self) -> bool {
        let source = self.releases.iter().rfind(|release| matches!(release.state, State::Live | State::Failed));
        let bytes = source.filter(|source| source.is_kept).map(|source| source.bytes);
        bytes.is_some_and(|bytes| {
            self.receive(bytes);
            true
        })
    }

    fn remove(&mut self, purge: bool) {
        self.supersede();
        let (live, warm) = (self.in_state(State::Live), self.in_state(State::Warm));
        if let Some(warm) = warm.filter(|_| purge || live.is_some()) {
            self.end(warm, State::Retired);
        }
        match live {
            Some(live) if purge => self.end(live, State::Retired),
            Some(live) => self.releases[live].state = State::Warm,
            None => {}
        }
        self.removed = true;
        self.forget_file();
    }

    /// Withdrawn and deleted: the same file, dropped once more, is meant.
    fn forget_file(&mut self) {
        if self.removed && self.file.is_none() {
            self.taken = None;
        }
    }

    /// What happens in the end, if nothing else does.
    fn settle(&mut self) {
        if let Some(building) = self.in_state(State::Building)
            && self.paused == Paused::Nothing
        {
            match self.releases[building].bytes {
                Bytes::Trapping => self.end(building, State::Failed),
                _ => self.cut_over(building),
            }
        }
        if let Some(returning) = self.in_state(State::Returning)
            && self.paused != Paused::Everything
        {
            self.cut_over(returning);
        }
    }

    fn cut_over(&mut self, release: usize) {
        if let Some(blue) = self.in_state(State::Live) {
            if let Some(warm) = self.in_state(State::Warm) {
                self.end(warm, State::Retired);
            }
            self.releases[blue].state = State::Warm;
        }
        self.releases[release].state = State::Live;
        let failed = self.releases.iter_mut().filter(|release| release.state == State::Failed);
        failed.for_each(|failed| failed.is_kept = false);
    }

    /// Whether the host says the same.
    fn is(&self, standing: &Standing) -> bool {
        let states: Vec<&str> = standing.releases.iter().map(|release| release.state.as_str()).collect();
        states == self.states()
            && standing.live == self.in_state(State::Live).map(|live| live as u64 + 1)
            && standing.paused == self.paused.name()
            && standing.file_gone == self.file.is_none()
    }

    /// Whether the host says the same. Of one that is to come back while everything rests, only the host knows whether it already
    /// stands where the other one does.
    fn agrees(&mut self, standing: &Standing) -> bool {
        if self.is(standing) {
            return true;
        }
        let returning = self.in_state(State::Returning).filter(|_| self.paused == Paused::Everything);
        returning.is_some_and(|returning| {
            let mut returned = self.clone();
            returned.cut_over(returning);
            let agrees = returned.is(standing);
            if agrees {
                *self = returned;
            }
            agrees
        })
    }

    fn states(&self) -> Vec<&'static str> {
        self.releases.iter().map(|release| release.state.name()).collect()
    }
}

impl State {
    fn has_store(self) -> bool {
        matches!(self, Self::Building | Self::Live | Self::Warm | Self::Returning)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Live => "live",
            Self::Warm => "warm",
            Self::Returning => "returning",
            Self::Retired => "retired",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }
}

impl Paused {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Builds => "builds",
            Self::Everything => "everything",
        }
    }
}

/// A host, and the model of its releases.
struct World {
    /// `None` only while it is being started anew.
    server: Option<Server>,
    data: Data,
    model: Model,
    trade: Trade,
    /// Where everything stood when it was told to rest.
    rests_at: u64,
    /// The position that readers were told last, since the host's start.
    told: u64,
    witnesses: u64,
    /// How often each thing happened.
    came_up: BTreeMap<String, u64>,
}

/// An answer that came while a step was under way.
type Told = (u64, u64, String);

impl World {
    /// A host that serves version 1, and has it trap whom it should.
    fn new() -> Self {
        let data = Data::in_memory();
        data.drop_bytes("cars", Bytes::V1.content());
        let server = Some(data.serve_logging("error", FLAGS));
        let live = Release { bytes: Bytes::V1, state: State::Live, is_kept: true };
        let model = Model {
            releases: vec![live],
            paused: Paused::Nothing,
            removed: false,
            file: Some(Bytes::V1),
            taken: Some(Bytes::V1),
        };
        let (trade, came_up) = (Trade::default(), BTreeMap::new());
        let mut world = Self { server, data, model, trade, rests_at: 0, told: 0, witnesses: 0, came_up };
        world.append(vec![json!({ "type": "Trapped", "stream": "warehouse-1" })]);
        world.check();
        world
    }

    fn client(&self) -> &Client {
        self.server.as_ref().expect("it runs")
    }

    fn count(&mut self, what: impl Into<String>) {
        *self.came_up.entry(what.into()).or_default() += 1;
    }

    fn take(&mut self, step: &Step) {
        let Step { order, then } = step;
        if let Order::Drop(bytes) | Order::Upload(bytes) = order
            && self.model.paused == Paused::Everything
            && self.model.what_of(*bytes) == Offered::Returns
        {
            // Nobody can say when: this is told by a rollback, which waits for it.
            return;
        }
        let stays_up = *then == Then::Settle && !matches!(order, Order::Remove { .. });
        if stays_up && self.model.live().is_some() {
            // Somebody asks all the while.
            let (client, is_over, before) = (self.client().clone(), AtomicBool::new(false), self.told);
            let told = std::thread::scope(|scope| {
                let asking = scope.spawn(|| ask_until(&client, &is_over));
                let over = Over(&is_over);
                self.carry_out(order, *then);
                drop(over);
                asking.join().expect("it is answered")
            });
            self.check_told(&told, before);
        } else {
            self.carry_out(order, *then);
        }
    }

    fn carry_out(&mut self, order: &Order, then: Then) {
        self.give(order);
        match then {
            Then::Settle => {}
            Then::Kill => self.start_anew(Server::kill),
            Then::Stop => self.start_anew(Server::stop),
        }
        self.model.settle();
        self.count(format!("{then:?}"));
        self.check();
    }

    fn start_anew(&mut self, end: impl FnOnce(Server)) {
        end(self.server.take().expect("it runs"));
        self.server = Some(self.data.serve_logging("error", FLAGS));
        self.told = 0;
    }

    /// Gives an order, and sees that it is answered as it should be.
    fn give(&mut self, order: &Order) {
        match order {
            Order::Append(choices) => {
                let events = choices.iter().map(|choice| self.trade.invent(*choice)).collect();
                self.append(events);
            }
            Order::Drop(bytes) => self.put(*bytes),
            Order::Touch => {
                if let Some(bytes) = self.model.file {
                    self.put(bytes);
                }
            }
            Order::DeleteFile => {
                if self.model.file.take().is_some() {
                    std::fs::remove_file(self.data.path().join("components/cars.wasm")).expect("it is there");
                    self.model.forget_file();
                    self.let_witness();
                }
            }
            Order::Upload(bytes) => {
                let answer = self.client().deploy("cars", bytes.content());
                let offered = self.model.upload(*bytes);
                match (offered, bytes) {
                    (Offered::Received, Bytes::Half | Bytes::Misnamed) => {
                        drop(answer.refused(422, "component-refused"))
                    }
                    (Offered::Received, Bytes::Trapping) => assert!(matches!(answer.status, 202 | 422), "{answer:?}"),
                    (Offered::Received | Offered::Returns, _) => assert_eq!(answer.status, 202, "{answer:?}"),
                    (Offered::Nothing, _) => {
                        assert_eq!((answer.status, &answer.ok()["unchanged"]), (200, &json!(true)), "{answer:?}");
                    }
                }
                self.count(format!("uploaded: {offered:?}"));
            }
            Order::Rebuild => {
                let answer = self.client().order("cars", "rebuild");
                let is_fit = !self.model.removed && self.model.rebuild();
                self.answered(&answer, is_fit, "rebuilt");
            }
            Order::RollBack => {
                let answer = self.client().order("cars", "rollback?timeout=500ms");
                let is_fit = !self.model.removed && self.model.roll_back();
                self.answered(&answer, is_fit, "rolled back");
            }
            Order::Pause(paused) => {
                let order = match paused {
                    Paused::Nothing => "resume",
                    Paused::Builds => "pause?builds=true",
                    Paused::Everything => "pause",
                };
                let answer = self.client().order("cars", order);
                self.answered(&answer, !self.model.removed, paused.name());
                if !self.model.removed && self.model.paused != *paused {
                    self.model.paused = *paused;
                    self.rests_at = self.trade.head();
                }
            }
            Order::Remove { purge } => {
                let answer = self.client().order("cars", &format!("remove?purge={purge}"));
                let is_fit = *purge || !self.model.removed;
                self.answered(&answer, is_fit, "removed");
                if is_fit {
                    self.model.remove(*purge);
                    self.told = 0;
                }
            }
        }
    }

    fn answered(&mut self, answer: &Answer, is_fit: bool, how: &str) {
        match is_fit {
            true => assert!(matches!(answer.status, 200 | 202), "{answer:?}"),
            false => drop(answer.refused(409, "release-unfit")),
        }
        self.count(if is_fit { how.to_owned() } else { format!("{how}: unfit") });
    }

    fn append(&mut self, events: Vec<Value>) {
        let lines: Vec<String> = events.iter().map(Value::to_string).collect();
        let appended = self.client().import(&lines.join("\n")).ok();
        self.trade.count(events);
        assert_eq!(appended["last_position"], self.trade.head());
    }

    /// Puts a file into the folder.
    fn put(&mut self, bytes: Bytes) {
        self.data.drop_bytes("cars", bytes.content());
        self.count(format!("dropped: {bytes:?}"));
        self.model.file = Some(bytes);
        self.model.found(bytes);
        self.let_witness();
        if self.model.removed {
            self.wait_until_recorded();
        }
    }

    /// Waits until what was refused is recorded: of a component that was removed nothing else is told.
    fn wait_until_recorded(&self) {
        let begun = Instant::now();
        let control = self.data.path().join("control.db");
        let refused = self.model.releases.iter().filter(|release| release.state == State::Rejected).count();
        loop {
            if files::refused(&control, "cars") == refused {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{refused} refusals are not recorded");
            std::thread::sleep(BREATH);
        }
    }

    /// Waits until the host has looked into the folder, also where nothing is to come of it: what is no component lies there, too,
    /// and is refused once it was seen.
    fn let_witness(&mut self) {
        self.witnesses += 1;
        self.data.drop_bytes("witness", format!("what {} saw", self.witnesses).as_bytes());
        self.client().wait_for_release("witness", self.witnesses, "rejected");
    }

    /// Waits until the host is where the model is, then looks at what it answers.
    fn check(&mut self) {
        if self.model.removed {
            self.client().get("/projections/cars/tables/cars").refused(404, "projection-not-found");
            return self.wait_until_no_more_is_kept();
        }
        self.wait_until_it_agrees();
        self.wait_until_no_more_is_kept();
        let Some(version) = self.model.live().map(|live| live.bytes.version().expect("it serves")) else {
            self.client().get("/projections/cars/tables/cars").refused(503, "projection-not-live");
            return;
        };
        let rests = self.model.paused == Paused::Everything;
        let fresh = if rests { "" } else { "&fresh=true&timeout=30" };
        for table in ["cars", "customers"] {
            let answer = self.client().get(&format!("/projections/cars/tables/{table}?limit=1000{fresh}"));
            let (rows, position) = (&answer.ok()["rows"], answer.position());
            assert_eq!(*rows, self.trade.rows(table, version, position), "{table} at {position}");
            assert!(position >= self.told, "{table} at {position}, after {} had been told", self.told);
            if rests {
                assert!(position <= self.rests_at, "{table} at {position}, and it rests at {}", self.rests_at);
            } else {
                assert_eq!(position, self.trade.head(), "{table}");
            }
            self.told = position;
        }
        if !rests {
            let head = self.trade.head();
            self.client().wait_for("/projections/cars", |answer| {
                let shown = answer.ok();
                shown["warm"].is_null() || shown["warm"]["checkpoint"] == head
            });
        }
    }

    fn wait_until_it_agrees(&mut self) {
        let begun = Instant::now();
        loop {
            // One that was removed is back once what was deployed is checked.
            let shown = self.client().get("/projections/cars");
            let standing = (shown.status == 200).then(|| Standing::of(&shown));
            if standing.as_ref().is_some_and(|standing| self.model.agrees(standing)) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "the host says {standing:#?}\nand the model {:#?}", self.model);
            std::thread::sleep(BREATH);
        }
    }

    /// Waits until the stores and the bytes are there that the model says, and no others.
    fn wait_until_no_more_is_kept(&self) {
        let wanted: BTreeSet<String> = (1..)
            .zip(&self.model.releases)
            .flat_map(|(number, release): (usize, _)| {
                let store = release.state.has_store().then(|| format!("{number}.db"));
                let bytes = release.is_kept.then(|| format!("{number}.wasm"));
                [store, bytes]
            })
            .flatten()
            .collect();
        let begun = Instant::now();
        loop {
            let found = std::fs::read_dir(self.data.path().join("stores/cars")).expect("a folder");
            let found = found.map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned());
            // What is left of one that failed may have escaped by a kill; it goes with the next swap.
            let may_be_left = |name: &String| {
                let number = name.split_once('.').and_then(|(number, _)| number.parse::<usize>().ok());
                let release = number.and_then(|number| self.model.releases.get(number - 1));
                release.is_some_and(|release| release.state == State::Failed) && !wanted.contains(name)
            };
            let found: BTreeSet<String> = found.filter(|name| !name.contains('-') && !may_be_left(name)).collect();
            if found == wanted {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{found:?} is kept, and {wanted:?} is needed");
            std::thread::sleep(BREATH);
        }
    }

    /// Checks what was answered while a step was under way, before which `before` had been told.
    fn check_told(&mut self, told: &[Told], mut before: u64) {
        for (release, position, rows) in told {
            assert!(*position >= before, "release {release} told {position}, after {before} had been told");
            before = *position;
            let of = usize::try_from(*release).ok().and_then(|number| self.model.releases.get(number - 1));
            let version = of.and_then(|release| release.bytes.version()).expect("a release that can serve");
            let right = json!({ "rows": self.trade.rows("cars", version, *position), "next": null });
            let found: Value = serde_json::from_str(rows).expect("JSON");
            assert_eq!(found, right, "release {release} at {position}");
        }
        self.told = self.told.max(before);
        self.count("asked meanwhile");
    }

    /// Kills the host, and looks into the stores that it leaves.
    fn end(mut self) -> BTreeMap<String, u64> {
        self.server.take().expect("it runs").kill();
        for (index, release) in self.model.releases.iter().enumerate() {
            let Some(version) = release.bytes.version().filter(|_| release.state.has_store()) else { continue };
            let store = self.data.path().join(format!("stores/cars/{}.db", index + 1));
            let (position, contents) = (files::checkpoint(&store), files::contents(&store));
            for table in ["cars", "customers"] {
                assert_eq!(contents[table], self.trade.cells(table, version, position), "{table} of {release:?}");
            }
        }
        self.came_up
    }
}

/// The one who asks ends, too, once this is gone.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Asks for all cars again and again; answers what was told, without what was told twice in a row.
fn ask_until(client: &Client, is_over: &AtomicBool) -> Vec<Told> {
    let mut told: Vec<Told> = Vec::new();
    while !is_over.load(Ordering::SeqCst) {
        let answer = client.get("/projections/cars/tables/cars?limit=1000");
        assert_eq!(answer.status, 200, "{answer:?}");
        let release = answer.header("laterna-release").expect("a release").parse().expect("a number");
        let next = (release, answer.position(), answer.text);
        if told.last() != Some(&next) {
            told.push(next);
        }
    }
    told
}

#[test]
fn whatever_is_ordered_in_whatever_order() {
    let seed = seed("releases_agree_with_a_model");
    let cases = std::env::var("LATERNA_CASES").map_or(CASES, |cases| cases.parse().expect("LATERNA_CASES is a number"));
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 30,
        max_shrink_time: 2 * 60 * 1_000,
        ..Config::default()
    };
    let came_up = std::cell::RefCell::new(BTreeMap::<String, u64>::new());
    let steps = proptest::collection::vec(step(), 4..STEPS_PER_CASE);
    let run = TestRunner::new(config).run(&steps, |steps| {
        let mut world = World::new();
        steps.iter().for_each(|step| world.take(step));
        for (what, times) in world.end() {
            *came_up.borrow_mut().entry(what).or_default() += times;
        }
        Ok(())
    });
    println!("{:#?}", came_up.borrow());
    if let Err(TestError::Fail(reason, steps)) = run {
        let steps: Vec<String> = steps.iter().map(|step| format!("{step:?}")).collect();
        panic!("LATERNA_SEED={seed}: {reason}\n{}", steps.join("\n"));
    }
}

#[test]
fn what_random_orders_seldom_come_to() {
    use Bytes::{Half, Trapping, V1, V1Variant, V2, V2Variant};
    let settled = |order| Step { order, then: Then::Settle };
    let killed = |order| Step { order, then: Then::Kill };
    let (pause, resume) = (Order::Pause(Paused::Builds), || Order::Pause(Paused::Nothing));
    for (story, steps) in [
        (
            "a build that stands still is killed, and goes on",
            vec![settled(pause), killed(Order::Drop(V2)), settled(Order::Append(vec![0, 4, 3])), settled(resume())],
        ),
        (
            "what was rolled back is not deployed by a start",
            vec![settled(Order::Drop(V2)), settled(Order::RollBack), killed(Order::Touch), settled(Order::Touch)],
        ),
        (
            "a rollback under way is killed while everything rests, and happens once it may",
            vec![
                settled(Order::Drop(V2)),
                killed(Order::Pause(Paused::Everything)),
                settled(Order::Append(vec![0, 4, 3, 5])),
                settled(Order::RollBack),
                killed(Order::Append(vec![7, 11])),
                settled(resume()),
            ],
        ),
        (
            "its file is deleted, then it is removed, then the same file means that it comes back",
            vec![settled(Order::DeleteFile), settled(Order::Remove { purge: false }), settled(Order::Drop(V1))],
        ),
        (
            "it is removed, then its file is deleted while the host is down, then the same file means that it comes back",
            vec![settled(Order::Remove { purge: false }), killed(Order::DeleteFile), settled(Order::Drop(V1))],
        ),
        (
            "it is removed, and another one serves; what was kept can still come back",
            vec![settled(Order::Remove { purge: false }), settled(Order::Drop(V2)), settled(Order::RollBack)],
        ),
        (
            "it is removed, and others serve; what was kept is let go",
            vec![settled(Order::Remove { purge: false }), settled(Order::Drop(V2)), settled(Order::Drop(V2Variant))],
        ),
        (
            "it is removed, and is back with what may be deployed, not with what is refused",
            vec![
                settled(Order::Remove { purge: false }),
                settled(Order::Drop(Half)),
                settled(Order::Append(vec![3, 1, 4, 1, 5])),
                settled(Order::Upload(V1Variant)),
                killed(Order::Append(vec![9, 2])),
                settled(Order::Pause(Paused::Nothing)),
            ],
        ),
        (
            "what cannot be built is built again, and fails again",
            vec![
                settled(Order::Remove { purge: true }),
                settled(Order::Drop(Trapping)),
                killed(Order::Rebuild),
                settled(Order::Upload(V2Variant)),
                settled(Order::Rebuild),
            ],
        ),
    ] {
        println!("{story}");
        let mut world = World::new();
        steps.iter().for_each(|step| world.take(step));
        world.end();
    }
}
