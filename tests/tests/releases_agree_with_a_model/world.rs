//! A host beside the model of its releases: whatever is ordered is ordered of both, then they must agree.

use crate::model::{Model, Offered, State, number_of};
use crate::orders::{Bytes, Case, Order, Paused, Policy, Step, Then, Which};
use laterna_tests::cars::Trade;
use laterna_tests::standing::Standing;
use laterna_tests::{Answer, BREATH, Client, Data, PATIENCE, Server, files};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Files count as written at once: the test puts them there in one piece.
const FLAGS: &[&str] = &["--settle-ms", "10", "--incomplete-ms", "10", "--start-ms", "1", "--cutover-ms", "100"];

/// A host, and the model of its releases.
pub struct World {
    /// `None` only while it is being started anew.
    server: Option<Server>,
    data: Data,
    model: Model,
    trade: Trade,
    /// How many releases are kept warm, as the host is told.
    warm: String,
    /// What was told of what releases change, by their numbers: it is found once.
    differences: BTreeMap<u64, Value>,
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
    /// Does everything that is to be done in a case; answers how often each thing happened.
    pub fn run(case: &Case) -> BTreeMap<String, u64> {
        let mut world = Self::new(case.policy, case.warm);
        case.steps.iter().for_each(|step| world.take(step));
        world.end()
    }

    /// A host that has version 1, and an event to trap whom it should.
    fn new(policy: Policy, warm: usize) -> Self {
        let data = Data::in_memory();
        data.drop_whole("cars", Bytes::V1.content());
        let mut world = Self {
            server: None,
            data,
            model: Model::new(Bytes::V1, policy, warm),
            trade: Trade::default(),
            warm: warm.to_string(),
            differences: BTreeMap::new(),
            rests_at: 0,
            told: 0,
            witnesses: 0,
            came_up: BTreeMap::new(),
        };
        world.start();
        world.model.settle(&world.trade);
        world.wait_until_it_agrees();
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
        if self.model.rests_on_its_way().is_some() {
            // It may have got there since it was looked at.
            self.wait_until_it_agrees();
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
        let releases = self.model.releases.len();
        self.give(order);
        match then {
            Then::Settle => self.count("settled"),
            Then::Kill(policy) => self.start_anew(Server::kill, "killed", policy, releases),
            Then::Stop(policy) => self.start_anew(Server::stop, "stopped", policy, releases),
        }
        self.model.settle(&self.trade);
        self.check();
    }

    /// Ends the host, and starts it with another policy. Releases from `since` on came just before that.
    fn start_anew(&mut self, end: impl FnOnce(Server), how: &str, policy: Policy, since: usize) {
        let on_its_way = self.model.on_its_way().map_or("nothing", |release| self.model.releases[release].state.name());
        self.count(format!("{how}: {on_its_way} on its way"));
        end(self.server.take().expect("it runs"));
        let before = std::mem::replace(&mut self.model.policy, policy);
        self.start();
        self.told = 0;
        for release in since..self.model.releases.len() {
            if self.model.releases[release].policy.is_some() {
                self.model.releases[release].policy = Some(self.learn_policy(release, [before, policy]));
            }
        }
    }

    fn start(&mut self) {
        let mut flags = FLAGS.to_vec();
        flags.extend(["--warm-releases", &self.warm]);
        flags.extend(self.model.policy.flags());
        self.server = Some(self.data.serve_logging("error", &flags));
    }

    /// A policy is fixed when a release was checked. Whether that was before the host ended or after it, only the host knows.
    fn learn_policy(&self, release: usize, either: [Policy; 2]) -> Policy {
        let begun = Instant::now();
        loop {
            let shown = self.client().get("/projections/cars");
            let record = (shown.status == 200).then(|| Standing::of(&shown).releases.remove(release));
            if let Some(record) = record.filter(|record| !["received", "checked"].contains(&record.state.as_str())) {
                let told = (record.policy.as_str(), record.policy_by.as_str());
                let policy = either.into_iter().find(|policy| policy.told() == told);
                return policy.unwrap_or_else(|| panic!("{record:?} was checked under one of {either:?}"));
            }
            assert!(begun.elapsed() < PATIENCE, "release {} is not checked: {shown:?}", number_of(release));
            std::thread::sleep(BREATH);
        }
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
            Order::Upload(bytes) => self.upload(*bytes),
            Order::Rebuild => {
                let answer = self.client().order("cars", "rebuild");
                let is_fit = self.model.rebuild();
                self.answered(&answer, is_fit, "rebuilt");
            }
            Order::RollBack(which) => {
                let number = self.number(*which, self.model.kept().last().copied());
                let answer = self.order("rollback?timeout=500ms", number);
                let meant = self.model.roll_back(number);
                self.answered_of(&answer, meant, &format!("rolled back, {}", told(*which)));
            }
            Order::Promote(which) => {
                let number = self.number(*which, self.model.candidate());
                let answer = self.order("promote?timeout=500ms", number);
                let meant = self.model.promote(number);
                self.answered_of(&answer, meant, &format!("promoted, {}", told(*which)));
            }
            Order::Abort(which) => {
                let number = self.number(*which, self.model.on_its_way());
                let answer = self.order("abort?", number);
                let meant = self.model.abort(number);
                self.answered_of(&answer, meant, &format!("given up, {}", told(*which)));
            }
            Order::Pause(paused) => self.pause(*paused),
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

    fn upload(&mut self, bytes: Bytes) {
        let answer = self.client().deploy("cars", bytes.content());
        let offered = self.model.upload(bytes);
        match (offered, bytes) {
            (Offered::Received, Bytes::Half | Bytes::Misnamed) => drop(answer.refused(422, "component-refused")),
            (Offered::Received, Bytes::Trapping) => assert!(matches!(answer.status, 202 | 422), "{answer:?}"),
            (Offered::Received | Offered::Returns, _) => assert_eq!(answer.status, 202, "{answer:?}"),
            (Offered::Nothing, _) => {
                assert_eq!((answer.status, &answer.ok()["unchanged"]), (200, &json!(true)), "{answer:?}");
            }
        }
        self.count(format!("uploaded: {offered:?}"));
    }

    fn pause(&mut self, paused: Paused) {
        let order = match paused {
            Paused::Nothing => "resume",
            Paused::Builds => "pause?builds=true",
            Paused::Everything => "pause",
        };
        let answer = self.client().order("cars", order);
        self.answered(&answer, !self.model.removed, paused.name());
        if !self.model.removed && self.model.paused != paused {
            self.model.paused = paused;
            self.rests_at = self.trade.head();
        }
    }

    /// The number that an order names; `meant` is the release that it can be about.
    fn number(&self, which: Which, meant: Option<usize>) -> Option<u64> {
        match which {
            Which::Unsaid => None,
            Which::Meant => Some(meant.map_or(1, number_of)),
            Which::Any(any) => Some(u64::from(any) % (self.model.releases.len() as u64 + 2)),
        }
    }

    fn order(&self, order: &str, number: Option<u64>) -> Answer {
        let number = number.map_or(String::new(), |number| format!("&release={number}"));
        self.client().order("cars", &format!("{order}{number}"))
    }

    fn answered(&mut self, answer: &Answer, is_fit: bool, how: &str) {
        match is_fit {
            true => assert!(matches!(answer.status, 200 | 202), "{answer:?}"),
            false => drop(answer.refused(409, "release-unfit")),
        }
        self.count(if is_fit { how.to_owned() } else { format!("{how}: unfit") });
    }

    /// An order was answered that is about this release, if it is about any.
    fn answered_of(&mut self, answer: &Answer, meant: Option<u64>, how: &str) {
        self.answered(answer, meant.is_some(), how);
        if let Some(meant) = meant {
            assert_eq!(answer.ok()["release"], meant, "{answer:?}");
        }
    }

    fn append(&mut self, events: Vec<Value>) {
        let lines: Vec<String> = events.iter().map(Value::to_string).collect();
        let appended = self.client().import(&lines.join("\n")).ok();
        self.trade.count(events);
        assert_eq!(appended["last_position"], self.trade.head());
    }

    /// Puts a file into the folder.
    fn put(&mut self, bytes: Bytes) {
        self.data.drop_whole("cars", bytes.content());
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
        self.data.drop_whole("witness", format!("what {} saw", self.witnesses).as_bytes());
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
        self.check_differences();
        match self.model.in_state(State::Live) {
            Some(live) => self.check_what_is_read(live),
            None => drop(self.client().get("/projections/cars/tables/cars").refused(503, "projection-not-live")),
        }
        self.wait_until_all_follow();
    }

    /// Readers are answered by the release that serves, rightly, and never by an earlier state than before.
    fn check_what_is_read(&mut self, live: usize) {
        let version = self.model.releases[live].bytes.version().expect("it serves");
        let rests = self.model.paused == Paused::Everything;
        let fresh = if rests { "" } else { "&fresh=true&timeout=30" };
        for table in ["cars", "customers"] {
            let answer = self.client().get(&format!("/projections/cars/tables/{table}?limit=1000{fresh}"));
            let (rows, position) = (&answer.ok()["rows"], answer.position());
            assert_eq!(answer.header("laterna-release"), Some(number_of(live).to_string().as_str()));
            assert_eq!(*rows, self.trade.rows(table, version, position), "{table} at {position}");
            assert!(position >= self.told, "{table} at {position}, after {} had been told", self.told);
            if rests {
                assert!(position <= self.rests_at, "{table} at {position}, and it rests at {}", self.rests_at);
            } else {
                assert_eq!(position, self.trade.head(), "{table}");
            }
            self.told = position;
        }
    }

    /// What releases change is told as the model has it, and stays as it was found.
    fn check_differences(&mut self) {
        let mut newest = None;
        for (number, release) in (1..).zip(self.model.releases.clone()) {
            let answer = self.client().get(&format!("/projections/cars/diff?release={number}"));
            let Some(compared) = release.compared else {
                answer.refused(404, "difference-not-found");
                continue;
            };
            let shown = answer.ok();
            let side = |side: &str| [&shown[side]["release"], &shown[side]["position"]].map(Value::as_u64);
            let position = Some(compared.position);
            assert_eq!([side("before"), side("after")], [[Some(compared.with), position], [Some(number), position]]);
            assert_eq!(shown["same"], compared.same, "{shown}");
            let known = self.differences.entry(number).or_insert_with(|| shown.clone());
            assert_eq!(shown, *known, "it was found once more");
            newest = Some(shown);
        }
        let answer = self.client().get("/projections/cars/diff");
        match newest {
            Some(newest) => assert_eq!(answer.ok(), newest),
            None => drop(answer.refused(404, "difference-not-found")),
        }
    }

    /// Waits until the releases beside the one that serves stand at the head, too, where nothing rests.
    fn wait_until_all_follow(&self) {
        let (head, paused) = (self.trade.head(), self.model.paused);
        let (warm_follows, held_follows) = (paused != Paused::Everything, paused == Paused::Nothing);
        self.client().wait_for("/projections/cars", |answer| {
            let shown = answer.ok();
            let is_there = |beside: &str| shown[beside].is_null() || shown[beside]["checkpoint"] == head;
            (!warm_follows || is_there("warm")) && (!held_follows || is_there("building"))
        });
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
        for (number, position, rows) in told {
            assert!(*position >= before, "release {number} told {position}, after {before} had been told");
            before = *position;
            let of = usize::try_from(*number).ok().and_then(|number| self.model.releases.get(number.checked_sub(1)?));
            let version = of.filter(|release| release.has_served).and_then(|release| release.bytes.version());
            let version = version.unwrap_or_else(|| panic!("release {number} answered, which never served"));
            let right = json!({ "rows": self.trade.rows("cars", version, *position), "next": null });
            let found: Value = serde_json::from_str(rows).expect("JSON");
            assert_eq!(found, right, "release {number} at {position}");
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

/// Which release was said, in words.
fn told(which: Which) -> &'static str {
    match which {
        Which::Unsaid => "no number said",
        Which::Meant => "its number said",
        Which::Any(_) => "any number said",
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
