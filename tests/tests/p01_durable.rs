//! P1: an acknowledged append survives SIGKILL and power loss at any instant; a rejected one leaves no trace. Positions
//! become visible in order, without gaps.

#[path = "p01_durable/story.rs"]
mod story;

use fastrand::Rng;
use laterna::log::{Append, Error, Expected, Filter, Log, NewEvent, Options, StoredEvent, StreamAppend};
use laterna_tests::random::seeded;
use laterna_tests::unsynced::Disk;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use story::{Answer, Standing, Story, ask, ask_on_and_on};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, spawn_blocking};

const HISTORIES: usize = 6;
const LIVES: usize = 5;
const ENDS: usize = 5;
const CALLERS: usize = 24;

/// Given a log, and many callers who append, are refused, repeat, import and close streams;
/// when the process is killed or the power goes in the midst of it, again and again;
/// then what is left bears out every answer that was given, and the log goes on from there.
#[tokio::test]
async fn what_was_acknowledged_survives_power_loss() {
    let mut rng = seeded("what_was_acknowledged_survives_power_loss");
    let (mut ends, mut events) = (0, 0);
    for _ in 0..HISTORIES {
        let mut remains = Remains::nothing();
        let mut stored = Vec::new();
        for _ in 0..LIVES {
            let mut left;
            (stored, left) = live(remains, &stored, &mut rng).await;
            ends += left.len();
            remains = left.swap_remove(rng.usize(..left.len()));
            for remains in left {
                Host::on(&remains).take_up(&remains, &stored, &mut rng).await.close();
            }
        }
        Host::on(&remains).take_up(&remains, &stored, &mut rng).await.close();
        events += stored.len();
    }
    println!("{HISTORIES} histories of {LIVES} lives, with {events} events and {ends} ends");
}

/// Given an append that was written, and not yet synced, when the host was killed;
/// when the next host shows it, and then the power goes;
/// then it is there still: it was made durable before it was shown.
#[tokio::test]
async fn what_a_killed_host_left_is_durable_before_it_is_shown_again() {
    let mut rng = seeded("what_a_killed_host_left_is_durable_before_it_is_shown_again");
    let mut shown_unanswered = 0;
    for instant in 1.. {
        let first = Remains::nothing();
        let log = open(&first.disk);
        let killed = tempfile::tempdir().unwrap();
        let (tell, told) = mpsc::channel();
        first.disk.at_instant(first.disk.instants() + instant, {
            let killed = killed.path().to_owned();
            move |disk| tell.send(disk.kill(&killed)).unwrap()
        });
        log.append(one_event("1")).await.unwrap().unwrap();
        log.close();
        let Ok(left) = told.try_recv() else { break };
        let log = open(&left);
        let shown = log.head();
        shown_unanswered += shown;
        for _ in 0..10 {
            assert!(after_power_loss(&left, &mut rng) as u64 >= shown, "killed at instant {instant}");
        }
        log.close();
    }
    assert!(shown_unanswered > 0);
}

/// Given a disk that fails to sync an append, so that it is answered as not stored;
/// when the host is killed, or the power goes;
/// then it is not there.
#[tokio::test]
async fn what_could_not_be_stored_leaves_no_trace() {
    let mut rng = seeded("what_could_not_be_stored_leaves_no_trace");
    let host = Remains::nothing();
    let log = open(&host.disk);
    log.append(one_event("stored")).await.unwrap().unwrap();
    host.disk.fail_syncs(1);
    let answer = log.append(one_event("not stored")).await;
    assert!(matches!(answer, Err(Error::NotStored(_))), "{answer:?}");

    assert_eq!(after_kill(&host.disk), 1);
    for _ in 0..20 {
        assert_eq!(after_power_loss(&host.disk, &mut rng), 1);
    }
    let appended = log.append(one_event("next")).await.unwrap().unwrap();
    assert_eq!(appended.position, 2);
    log.close();
}

/// Given a disk that syncs nothing any more, so that nobody can know what is on it;
/// when an append fails, then it is not said to be stored or not to be stored;
/// and when it is repeated on what is left, then it is stored once, whether it was there or not.
#[tokio::test]
async fn what_may_be_stored_or_not_is_answered_as_such() {
    let mut rng = seeded("what_may_be_stored_or_not_is_answered_as_such");
    let host = Remains::nothing();
    let log = open(&host.disk);
    log.append(one_event("stored")).await.unwrap().unwrap();
    host.disk.fail_syncs(u64::MAX);
    let answer = log.append(one_event("open")).await;
    assert!(matches!(answer, Err(Error::Unsettled(_))), "{answer:?}");

    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let left = open(&host.disk.power_loss(folder.path(), &mut rng));
        let was_stored = left.head() == 2;
        let appended = left.append(one_event("open")).await.unwrap().unwrap();
        assert_eq!((appended.position, appended.repeated), (2, was_stored));
        left.close();
    }
    log.close();
}

/// What a host leaves when it comes to its end, and what must be in it.
struct Remains {
    /// Deleted with this.
    _folder: TempDir,
    disk: Disk,
    /// As the callers knew it at that instant.
    story: Story,
    /// The last position that could be read at that instant.
    visible: u64,
}

impl Remains {
    fn nothing() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { disk: Disk::watch(folder.path()), _folder: folder, story: Story::default(), visible: 0 }
    }
}

/// A host's life: it takes up what its predecessor left, and serves many callers. At some instants what would be left is
/// put aside, and it lives on; the last one is in its shutdown, if that comes so far.
///
/// Answers with all that it had stored at last, and with what would be left at each of these instants.
async fn live(remains: Remains, stored: &[StoredEvent], rng: &mut Rng) -> (Vec<StoredEvent>, Vec<Remains>) {
    let host = Arc::new(Host::on(&remains));
    let ends = tokio::spawn({
        let (host, mut rng) = (Arc::clone(&host), rng.fork());
        async move {
            let mut left = Vec::new();
            for _ in 0..ENDS {
                let within = *rng.choice(&[30, 300, 3_000]).unwrap();
                let halt = halt(&host.disk, rng.u64(1..within)).await.unwrap();
                left.extend(host.end(host.visible(), &mut rng));
                drop(halt);
            }
            left
        }
    });
    let log = host.take_up(&remains, stored, rng).await;
    let callers: JoinSet<()> = (0..CALLERS)
        .map(|_| {
            let (log, host, seen, rng) = (log.clone(), Arc::clone(&host), ends.abort_handle(), rng.fork());
            async move { ask_on_and_on(&log, &host.story, rng, || seen.is_finished()).await }
        })
        .collect();
    callers.join_all().await;
    let mut left = ends.await.unwrap();

    let standing = Standing::new(events(&log));
    standing.bears_out(&log, &host.story.lock().unwrap());
    let halted = halt(&host.disk, rng.u64(1..200));
    let closed = spawn_blocking(move || log.close());
    tokio::select! {
        biased;
        Ok(halt) = halted => {
            left.extend(host.end(standing.events.len() as u64, rng));
            drop(halt);
        }
        closed = closed => closed.unwrap(),
    }
    (standing.events, left)
}

/// A host at work.
struct Host {
    disk: Disk,
    /// Once it is open.
    log: OnceLock<Log>,
    story: Mutex<Story>,
}

impl Host {
    fn on(remains: &Remains) -> Self {
        Self { disk: remains.disk.clone(), log: OnceLock::new(), story: Mutex::new(remains.story.clone()) }
    }

    /// Opens the log, and checks that what is left is what must be; `stored` is all that the predecessor had stored.
    async fn take_up(&self, remains: &Remains, stored: &[StoredEvent], rng: &mut Rng) -> Log {
        let disk = self.disk.clone();
        let log = spawn_blocking(move || open(&disk)).await.unwrap();
        self.log.set(log.clone()).unwrap_or_else(|_| panic!("a host takes up once"));
        let standing = Standing::new(events(&log));
        let head = standing.events.len();
        assert_eq!(log.head(), head as u64);
        assert!(head as u64 >= remains.visible, "{} could be read, {head} are left", remains.visible);
        assert!(standing.events == stored[..head], "the first {head} of {} events are left as they were", stored.len());
        standing.bears_out(&log, &remains.story);
        assert!(after_power_loss(&self.disk, rng) >= head, "what is shown again is durable");

        for number in remains.story.unanswered() {
            let request = &remains.story.asked[number];
            let was_stored = standing.holds(request);
            let answer = ask(&log, &self.story, number).await;
            let repeated = match &answer {
                Answer::Appended(appended) => appended.repeated,
                Answer::Imported(imported) => imported.skipped == request.events().len() as u64,
                Answer::Closed | Answer::Refused(_) => false,
            };
            assert_eq!(repeated, was_stored, "what was stored is answered as a repeat, and nothing else: {answer:?}");
        }
        Standing::new(events(&log)).bears_out(&log, &self.story.lock().unwrap());
        log
    }

    /// The last position that can be read.
    fn visible(&self) -> u64 {
        self.log.get().map_or(0, |log| {
            let head = log.head();
            let visible = Standing::new(events(log)).events.len() as u64;
            assert!(visible >= head, "{head} is shown as the head, and {visible} can be read");
            visible
        })
    }

    /// What would be left if the host were killed now, and if the power went now.
    fn end(&self, visible: u64, rng: &mut Rng) -> [Remains; 2] {
        let story = self.story.lock().unwrap().clone();
        [true, false].map(|killed| {
            let folder = tempfile::tempdir().unwrap();
            let disk = if killed { self.disk.kill(folder.path()) } else { self.disk.power_loss(folder.path(), rng) };
            Remains { _folder: folder, disk, story: story.clone(), visible }
        })
    }
}

/// Lets the disk stand still some instants from now, until what this answers with is dropped.
///
/// With one thread for all tasks, whoever waits for this is woken behind the callers who were answered before the disk stood
/// still, so these have noted their answers.
fn halt(disk: &Disk, instants: u64) -> oneshot::Receiver<mpsc::Sender<()>> {
    let (tell, told) = oneshot::channel();
    disk.at_instant(disk.instants() + instants, |_| {
        let (go_on, wait) = mpsc::channel();
        if tell.send(go_on).is_ok() {
            let _ = wait.recv();
        }
    });
    told
}

fn open(disk: &Disk) -> Log {
    Log::open(&disk.path().join("log.db"), &Options::default()).unwrap()
}

fn one_event(id: &str) -> Append {
    let event = NewEvent { id: Some(id.to_owned()), ..NewEvent::json("Placed", "{}") };
    let stream = StreamAppend { stream: "order-1".to_owned(), expected: Expected::Any, events: vec![event] };
    Append { streams: vec![stream], fault: None }
}

/// How many events the log holds after the host was killed.
fn after_kill(disk: &Disk) -> usize {
    let folder = tempfile::tempdir().unwrap();
    count(&open(&disk.kill(folder.path())))
}

/// How many events the log holds after a power loss.
fn after_power_loss(disk: &Disk, rng: &mut Rng) -> usize {
    let folder = tempfile::tempdir().unwrap();
    count(&open(&disk.power_loss(folder.path(), rng)))
}

fn count(log: &Log) -> usize {
    let count = events(log).len();
    log.close();
    count
}

/// All that can be read, whatever is shown as the head.
fn events(log: &Log) -> Vec<StoredEvent> {
    let mut events = Vec::new();
    let everything = i64::MAX.cast_unsigned();
    let mut reader = log.reader().unwrap();
    reader
        .scan(0, everything, &Filter::default(), |event| {
            events.push(StoredEvent::from(event));
            true
        })
        .unwrap();
    events
}
