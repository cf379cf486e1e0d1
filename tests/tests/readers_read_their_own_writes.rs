//! Who appends reads what they appended, at once and exactly; and what somebody was told is never taken back: while releases are
//! deployed and rolled back, and while the host is killed and started again.

use fastrand::Rng;
use laterna_tests::cars::{Trade, Version};
use laterna_tests::random::seeded;
use laterna_tests::releases::{cars_events, cars_v1, cars_v2, variant};
use laterna_tests::standing::Release;
use laterna_tests::{Answer, BREATH, Client, Data, PATIENCE};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use ureq::Error;

const WRITERS: u64 = 4;
const TURNS: u64 = 14;
const CARS: u64 = 4;

/// What everybody knows.
struct World {
    /// Where the host is now, and how often it was started.
    host: RwLock<(u64, Client)>,
    /// How each release folds; told before it is deployed.
    versions: RwLock<BTreeMap<u64, Version>>,
    is_over: AtomicBool,
}

impl World {
    /// Says it to the host that is there, or that comes next, as often as it was started; answers which one answered.
    fn until_answered(&self, say: impl Fn(u64, &Client) -> Result<Answer, Error>) -> (u64, Answer) {
        let begun = Instant::now();
        loop {
            let (start, client) = self.host.read().expect("nobody panicked").clone();
            match say(start, &client) {
                Ok(answer) => return (start, answer),
                Err(error) => assert!(begun.elapsed() < PATIENCE, "the host does not come back: {error}"),
            }
            std::thread::sleep(BREATH);
        }
    }
}

/// The others end, too, once this is gone: after the last turn, or where something failed.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Somebody who writes of cars and of a customer of their own, and reads of them.
struct Writer<'a> {
    world: &'a World,
    name: String,
    random: Rng,
    /// The log as this one knows it: what they wrote themselves, each at its position.
    trade: Trade,
    written: u64,
    cars: u64,
    /// The last position that they were told.
    seen: u64,
    /// Which start of the host told it.
    host: u64,
    read: u64,
}

impl Writer<'_> {
    /// Appends something, and answers its position. Where the host is gone before it answers, the append is repeated.
    fn write(&mut self) -> u64 {
        let name = &self.name;
        let (what, car) = (self.random.u64(..8), self.random.u64(..CARS));
        let colour = format!("colour {}", self.written);
        let (stream, of_type, data) = match what {
            _ if self.written == 0 => (format!("customer-{name}"), "customer.created", json!({ "name": "Bob" })),
            _ if self.cars < CARS => {
                self.cars += 1;
                (format!("car-{name}{}", self.cars - 1), "car.created", json!({ "by": name, "colour": colour }))
            }
            0 => (format!("customer-{name}"), "customer.renamed", json!({ "name": format!("name {}", self.written) })),
            1 => (format!("car-{name}{car}"), "car.sold", json!({ "to": name })),
            _ => (format!("car-{name}{car}"), "car.repainted", json!({ "colour": colour })),
        };
        let id = format!("{name} {}", self.written);
        let body = json!({ "events": [{ "id": id, "type": of_type, "data": data }] }).to_string();
        let path = format!("/streams/{stream}/events");
        let send = |_, client: &Client| client.try_post(&path, "application/json", body.as_bytes());
        let (_, answer) = self.world.until_answered(send);
        let position = answer.position();
        assert_eq!(answer.ok()["last_position"], position, "{answer:?}");
        // Positions of others lie between: to the computation, events that nobody consumes.
        assert!(position > self.trade.head(), "{id} is told to be at {position}, after {}", self.trade.head());
        let others = position - self.trade.head() - 1;
        let other = json!({ "type": "of others", "stream": "of-others", "data": {} });
        self.trade.count((0..others).map(|_| other.clone()).collect());
        self.trade.count(vec![json!({ "type": of_type, "stream": stream, "data": data })]);
        self.written += 1;
        position
    }

    /// Reads own rows in any of the ways, not before `position`, and checks them.
    fn read(&mut self, position: Option<u64>) {
        let name = self.name.clone();
        let car = format!("{name}{}", self.random.u64(..CARS));
        let (path, table, column, value) = match self.random.u8(..3) {
            0 => (format!("tables/cars?car_id=eq.{car}"), "cars", "car_id", car),
            1 => (format!("queries/of_customer?customer={name}"), "cars", "customer_id", name),
            _ => (format!("tables/customers?customer_id=eq.{name}"), "customers", "customer_id", name),
        };
        let wanted = match position {
            Some(_) if self.random.u8(..4) == 0 => "&fresh=true&timeout=30".to_owned(),
            Some(position) => format!("&min_position={position}&timeout=30"),
            None => String::new(),
        };
        let path = format!("/projections/cars/{path}{wanted}");
        // A host that was started again may stand anywhere, until it is told where one stands oneself.
        let (known, seen) = (self.host, self.seen);
        let ask = |start, client: &Client| {
            let again = format!("{path}&min_position={seen}&timeout=30");
            client.try_get(if start == known || position.is_some() { &path } else { &again })
        };
        let (start, answer) = self.world.until_answered(ask);
        self.host = start;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");

        // What was told is not taken back, what was written is there,
        let told = answer.position();
        let least = self.seen.max(position.unwrap_or(0));
        assert!(told >= least, "{path} was answered as of {told}, and not of {least}");
        self.seen = told;
        // and the rows are exactly those that follow from it, by the release that answered.
        let release = answer.header("laterna-release").expect("a release").parse::<u64>().expect("a number");
        let version = self.world.versions.read().expect("nobody panicked")[&release];
        let all = self.trade.rows(table, version, told);
        let own: Vec<&Value> = all.as_array().expect("rows").iter().filter(|row| row[column] == value).collect();
        assert_eq!(answer.ok()["rows"], json!(own), "{path} at {told}, by release {release}");
        self.read += 1;
    }

    fn run(mut self) -> (u64, u64) {
        while !self.world.is_over.load(Ordering::SeqCst) {
            let position = self.write();
            self.read(Some(position));
            (0..self.random.u8(..3)).for_each(|_| self.read(None));
        }
        // Everything that was acknowledged is there in the end.
        self.read(Some(self.trade.head()));
        (self.written, self.read)
    }
}

#[test]
fn through_swaps_rollbacks_and_kills() {
    let mut random = seeded("readers_read_their_own_writes");
    // Given a host that serves, and several who write and read at once,
    let data = Data::new();
    data.drop_bytes("cars", cars_v1());
    let mut server = data.serve();
    server.wait_until("cars", |standing| standing.live == Some(1));
    let world = World {
        host: RwLock::new((1, server.client.clone())),
        versions: RwLock::new(BTreeMap::from([(1, Version::One)])),
        is_over: AtomicBool::new(false),
    };
    let told: Vec<(u64, u64)> = std::thread::scope(|scope| {
        let end = End(&world.is_over);
        let (world, mut forks) = (&world, random.fork());
        let begin = |number: u64| {
            let writer = Writer {
                world,
                name: format!("w{number}"),
                random: forks.fork(),
                trade: Trade::default(),
                written: 0,
                cars: 0,
                seen: 0,
                host: 1,
                read: 0,
            };
            scope.spawn(|| writer.run())
        };
        let writers: Vec<_> = (0..WRITERS).map(begin).collect();
        // when one thing after the other happens to it,
        for turn in 0..TURNS {
            assert!(!writers.iter().any(|writer| writer.is_finished()), "someone gave up before turn {turn}");
            let rests = |release: &Release| ["live", "warm", "retired"].contains(&release.state.as_str());
            let standing = server.wait_until("cars", |standing| standing.releases.iter().all(rests));
            let next = standing.releases.last().expect("there are some").number + 1;
            let what = random.u8(..8);
            match what {
                0..=3 => {
                    let (bytes, version) =
                        if random.bool() { (cars_v1(), Version::One) } else { (cars_v2(), Version::Two) };
                    world.versions.write().expect("nobody panicked").insert(next, version);
                    let deployed = server.deploy("cars", &variant(bytes, turn));
                    assert_eq!(deployed.status, 202, "{deployed:?}");
                    // Perhaps it is killed on its way.
                    if what != 0 {
                        server.wait_until("cars", |standing| standing.live == Some(next));
                        continue;
                    }
                }
                4 | 5 if standing.warm.is_some() => {
                    let rolled_back = server.order("cars", "rollback");
                    assert!(matches!(rolled_back.status, 200 | 202), "{rolled_back:?}");
                    continue;
                }
                _ => {}
            }
            server.kill();
            server = data.serve();
            let mut host = world.host.write().expect("nobody panicked");
            *host = (host.0 + 1, server.client.clone());
        }
        drop(end);
        // then everyone reads what they wrote, and never less than before.
        writers.into_iter().map(|writer| writer.join().expect("every answer is right")).collect()
    });
    for (written, read) in told {
        println!("{read} answers to one who appended {written} events");
        assert!(written > CARS && read > written);
    }
}

#[test]
fn who_consumes_next_to_nothing_is_as_fresh_as_the_log() {
    // Given a projection that consumes one event among ten thousand others,
    let letters = |from: u64| {
        let letter =
            |number| json!({ "id": format!("letter {number}"), "stream": "letters", "type": "LetterSent" }).to_string();
        (from..from + 5_000).map(letter).collect::<Vec<_>>().join("\n")
    };
    let data = Data::new();
    data.drop_bytes("cars", cars_v1());
    let mut server = data.serve();
    for lines in [letters(0), cars_events()[0].clone(), letters(5_000)] {
        server.import(&lines).ok();
    }
    let asked = |client: &Client, head: u64| {
        for wanted in [format!("min_position={head}"), "fresh=true".to_owned()] {
            let answer = client.get(&format!("/projections/cars/tables/cars?{wanted}&timeout=30"));
            assert_eq!((answer.status, answer.position()), (200, head), "{wanted}: {answer:?}");
            assert_eq!(answer.ok()["rows"][0]["car_id"], "hrxs21");
        }
    };
    // then who asks for the head is answered: as it is, right after a kill, after a swap and after it was taken back.
    asked(&server, 10_001);
    server.kill();
    server = data.serve();
    asked(&server, 10_001);
    server.deploy("cars", cars_v2()).ok();
    server.wait_until("cars", |standing| standing.live == Some(2));
    asked(&server, 10_001);
    server.order("cars", "rollback").ok();
    server.wait_until("cars", |standing| standing.live == Some(1));
    asked(&server, 10_001);
    server.kill();
    server = data.serve();
    asked(&server, 10_001);

    // One that is paused answers as of where it stands, and says so where it cannot get there.
    server.order("cars", "pause").ok();
    asked(&server, 10_001);
    server.post("/streams/letters/events", &json!({ "events": [{ "type": "LetterSent" }] })).ok();
    for wanted in ["min_position=10002", "fresh=true"] {
        let refused = server.get(&format!("/projections/cars/tables/cars?{wanted}&timeout=50ms"));
        let problem = refused.refused(503, "not-caught-up");
        assert_eq!((&problem["position"], &problem["wanted"]), (&json!(10_001), &json!(10_002)), "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("laterna resume")), "{problem}");
        assert!(refused.header("retry-after").is_some());
    }
    server.order("cars", "resume").ok();
    asked(&server, 10_002);
}
