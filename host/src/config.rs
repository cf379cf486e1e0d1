//! The limits and settings of a host: from `laterna.toml`, the environment (`LATERNA_…`) and flags, the later ones first.

use crate::clock;
use crate::http::Origins;
use crate::plugin::Policy;
use crate::{log, plugin, process, projector, release, schemas, store};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What an operator may set. What is not set has its default.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address to serve on; port 0 takes any free one [default: 127.0.0.1:7070]
    #[arg(long, env = "LATERNA_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Serve beyond this machine, although nobody has to show a token
    #[arg(long, env = "LATERNA_INSECURE", num_args = 0..=1, default_missing_value = "true")]
    pub insecure: Option<bool>,
    /// Ask for a token on this machine, too: behind a reverse proxy, say
    #[arg(long, env = "LATERNA_REQUIRE_TOKENS", num_args = 0..=1, default_missing_value = "true")]
    pub require_tokens: Option<bool>,
    /// Origins whose pages may ask from a browser, such as `https://app.example`, or `*` for all where tokens are needed [default: none]
    #[arg(long, env = "LATERNA_CORS_ORIGINS", value_delimiter = ',')]
    pub cors_origins: Option<Vec<String>>,
    /// Say a line on standard error for each request that is answered
    #[arg(long, env = "LATERNA_ACCESS_LOG", num_args = 0..=1, default_missing_value = "true")]
    pub access_log: Option<bool>,
    /// Connections that are open at once; beyond it, new ones wait until others end [default: 10000]
    #[arg(long, env = "LATERNA_CONNECTIONS")]
    pub connections: Option<usize>,
    /// Milliseconds within which the head of a request must come, from the end of the one before it on [default: 75000]
    #[arg(long, env = "LATERNA_HEADER_MS")]
    pub header_ms: Option<u64>,
    /// Milliseconds within which more of a request's body must come while it is waited for [default: 60000]
    #[arg(long, env = "LATERNA_BODY_MS")]
    pub body_ms: Option<u64>,
    /// Tokens that there may be [default: 10000]
    #[arg(long, env = "LATERNA_TOKENS")]
    pub tokens: Option<usize>,
    /// Bytes of a request's body [default: 16 MiB]
    #[arg(long, env = "LATERNA_REQUEST_BYTES")]
    pub request_bytes: Option<usize>,
    /// Bytes of the bodies that are read at once, of all requests together [default: 256 MiB]
    #[arg(long, env = "LATERNA_BODIES_BYTES")]
    pub bodies_bytes: Option<u32>,
    /// Bytes of an event, payload and metadata together [default: 1 MiB]
    #[arg(long, env = "LATERNA_EVENT_BYTES")]
    pub event_bytes: Option<usize>,
    /// Events, or rows, that a page may have [default: 10000]
    #[arg(long, env = "LATERNA_PAGE_ROWS")]
    pub page_rows: Option<usize>,
    /// Bytes that an answer may have [default: 16 MiB]
    #[arg(long, env = "LATERNA_ANSWER_BYTES")]
    pub answer_bytes: Option<usize>,
    /// Milliseconds that a query may take [default: 5000]
    #[arg(long, env = "LATERNA_QUERY_MS")]
    pub query_ms: Option<u64>,
    /// Questions in people's own SQL that are answered at once, by all projections together [default: 4]
    #[arg(long, env = "LATERNA_SQL_READERS")]
    pub sql_readers: Option<usize>,
    /// Milliseconds between two answers to a question that is followed [default: 100]
    #[arg(long, env = "LATERNA_LIVE_MS")]
    pub live_ms: Option<u64>,
    /// Different questions that may be followed at once, by any number of readers [default: 1000]
    #[arg(long, env = "LATERNA_LIVE_QUERIES")]
    pub live_queries: Option<usize>,
    /// Milliseconds that a query may wait for its position at most, whatever its `timeout` says [default: 30000]
    #[arg(long, env = "LATERNA_WAIT_MS")]
    pub wait_ms: Option<u64>,
    /// Milliseconds between two heartbeats of a feed that is followed [default: 10000]
    #[arg(long, env = "LATERNA_HEARTBEAT_MS")]
    pub heartbeat_ms: Option<u64>,
    /// Milliseconds that requests under way may take to end when the host is stopped [default: 10000]
    #[arg(long, env = "LATERNA_GRACE_MS")]
    pub grace_ms: Option<u64>,
    /// Feeds that may be followed at once [default: 1000]
    #[arg(long, env = "LATERNA_FOLLOWERS")]
    pub followers: Option<usize>,
    /// Bytes of a schema's file [default: 1 MiB]
    #[arg(long, env = "LATERNA_SCHEMA_BYTES")]
    pub schema_bytes: Option<usize>,
    /// Files that the schemas' folder may have [default: 10000]
    #[arg(long, env = "LATERNA_SCHEMA_FILES")]
    pub schema_files: Option<usize>,
    /// This host's name as a source of CloudEvents, a URI-reference: choose it once [default: urn:uuid: and the id of its log]
    #[arg(long, env = "LATERNA_CLOUDEVENTS_SOURCE")]
    pub cloudevents_source: Option<String>,
    /// Whose time the log is written by: the system's, or that of a clock that stands still until it is advanced, for tests [default: system]
    #[arg(long, env = "LATERNA_CLOCK", hide_possible_values = true)]
    pub clock: Option<clock::Kind>,
    /// Bytes of a component's file [default: 64 MiB]
    #[arg(long, env = "LATERNA_COMPONENT_BYTES")]
    pub component_bytes: Option<usize>,
    /// Bytes of memory of a component [default: 64 MiB]
    #[arg(long, env = "LATERNA_MEMORY_BYTES")]
    pub memory_bytes: Option<usize>,
    /// Fuel of one call of a component, about one unit for an instruction [default: 4000000000]
    #[arg(long, env = "LATERNA_FUEL")]
    pub fuel: Option<u64>,
    /// Milliseconds without a change after which a dropped file, or a schema, is taken [default: 100]
    #[arg(long, env = "LATERNA_SETTLE_MS")]
    pub settle_ms: Option<u64>,
    /// Milliseconds without a change after which a dropped file is taken that has less than its beginning announces [default: 10000]
    #[arg(long, env = "LATERNA_INCOMPLETE_MS")]
    pub incomplete_ms: Option<u64>,
    /// Milliseconds between two looks into the drop folder, and that of the schemas, where the system tells of no change [default: 2000]
    #[arg(long, env = "LATERNA_RESCAN_MS")]
    pub rescan_ms: Option<u64>,
    /// Milliseconds that the start waits for components that have never served yet [default: 2000]
    #[arg(long, env = "LATERNA_START_MS")]
    pub start_ms: Option<u64>,
    /// Milliseconds that a release is kept where it stands at most, for another one to take its place; doubled, four times at most, where that was too short [default: 500]
    #[arg(long, env = "LATERNA_CUTOVER_MS")]
    pub cutover_ms: Option<u64>,
    /// Events that may be folded for an answer as of a position; what takes more is refused [default: 1000000]
    #[arg(long, env = "LATERNA_AS_OF_EVENTS")]
    pub as_of_events: Option<u64>,
    /// Milliseconds that an answer as of a position may take to be folded, whatever its `timeout` says [default: 30000]
    #[arg(long, env = "LATERNA_AS_OF_MS")]
    pub as_of_ms: Option<u64>,
    /// Read models as of positions that are kept for those who ask again, each a file [default: 8]
    #[arg(long, env = "LATERNA_AS_OF_STORES")]
    pub as_of_stores: Option<usize>,
    /// Read models as of positions that are folded at once, on a thread each [default: 2]
    #[arg(long, env = "LATERNA_AS_OF_BUILDS")]
    pub as_of_builds: Option<usize>,
    /// Seconds that a snapshot of a read model is kept after it was last asked for [default: 600]
    #[arg(long, env = "LATERNA_SNAPSHOT_SECONDS")]
    pub snapshot_seconds: Option<u64>,
    /// Bytes of all snapshots that are kept, downloaded or being copied; the smallest counts 1 MiB [default: 8 GiB]
    #[arg(long, env = "LATERNA_SNAPSHOT_BYTES")]
    pub snapshot_bytes: Option<u64>,
    /// Read models that are copied to snapshots at once, on a thread each [default: 1]
    #[arg(long, env = "LATERNA_SNAPSHOT_BUILDS")]
    pub snapshot_builds: Option<usize>,
    /// Milliseconds that a snapshot may take to be copied, waiting for its turn included [default: 600000]
    #[arg(long, env = "LATERNA_SNAPSHOT_MS")]
    pub snapshot_ms: Option<u64>,
    /// Components that are checked at once: compiling takes a processor each [default: 2]
    #[arg(long, env = "LATERNA_COMPONENT_CHECKS")]
    pub component_checks: Option<usize>,
    /// What becomes of a release that could serve, whatever its component says; of one component by name: in `laterna.toml`, under `[policies]`
    #[arg(long, env = "LATERNA_POLICY")]
    pub policy: Option<Policy>,
    /// The same for single components, by name.
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub policies: BTreeMap<String, Policy>,
    /// Releases of a component that are kept warm behind the one that serves [default: 1]
    #[arg(long, env = "LATERNA_WARM_RELEASES")]
    pub warm_releases: Option<usize>,
    /// Seconds after which a release is not kept warm any longer [default: 604800, a week]
    #[arg(long, env = "LATERNA_WARM_SECONDS")]
    pub warm_seconds: Option<u64>,
    /// Read models that are compared, or built to be compared, at once [default: 1]
    #[arg(long, env = "LATERNA_VERIFICATIONS")]
    pub verifications: Option<usize>,
    /// Milliseconds that comparing two read models may take; beyond it the release is held [default: 600000]
    #[arg(long, env = "LATERNA_VERIFY_MS")]
    pub verify_ms: Option<u64>,
    /// Bytes by which the write-ahead log of a store may grow while it is compared, or copied to a snapshot; beyond it that is given up: comparing begins again, later, and then the release is held [default: 256 MiB]
    #[arg(long, env = "LATERNA_VERIFY_WAL_BYTES")]
    pub verify_wal_bytes: Option<u64>,
    /// A time of day, UTC, such as 03:00, at which every read model is proved to be the fold of the log, each day [default: never]
    #[arg(long, env = "LATERNA_VERIFY_AT")]
    pub verify_at: Option<String>,
    /// Rows that are shown of each table and kind of difference [default: 10]
    #[arg(long, env = "LATERNA_VERIFY_SAMPLES")]
    pub verify_samples: Option<usize>,
    /// Events that a plan counts before a release is built; beyond it the plan says "at least" [default: 10000000]
    #[arg(long, env = "LATERNA_PLAN_EVENTS")]
    pub plan_events: Option<u64>,
    /// Releases of a component that are shown after their end; `control.db` has them all [default: 100]
    #[arg(long, env = "LATERNA_RELEASE_HISTORY")]
    pub release_history: Option<usize>,
    /// Pages of 4 KiB that a read store may have [default: 16777216]
    #[arg(long, env = "LATERNA_STORE_PAGES")]
    pub store_pages: Option<u32>,
    /// Milliseconds that the SQL of a batch may take; beyond it the projection halts, and no event is convicted [default: 60000]
    #[arg(long, env = "LATERNA_BATCH_MS")]
    pub batch_ms: Option<u64>,
    /// Readers of one read store at once [default: 8]
    #[arg(long, env = "LATERNA_STORE_READERS")]
    pub store_readers: Option<usize>,
    /// Events that a release may set aside, where its component parks; beyond it the projection halts [default: 1000]
    #[arg(long, env = "LATERNA_PARKED_EVENTS")]
    pub parked_events: Option<u64>,
    /// Instances of a process manager that one event may concern; beyond it the event cannot be applied [default: 10000]
    #[arg(long, env = "LATERNA_REACH")]
    pub reach: Option<usize>,
    /// How many events may lead to an effect of a process manager, one by another; the next one is refused [default: 50]
    #[arg(long, env = "LATERNA_CAUSATION_DEPTH")]
    pub causation_depth: Option<usize>,
    /// Events that are folded in one transaction at most [default: 10000]
    #[arg(long, env = "LATERNA_BATCH_EVENTS")]
    pub batch_events: Option<usize>,
    /// Bytes that are folded in one transaction at most [default: 8 MiB]
    #[arg(long, env = "LATERNA_BATCH_BYTES")]
    pub batch_bytes: Option<usize>,
    /// Bytes of the log that are kept for projections and builds that stand close together [default: 64 MiB]
    #[arg(long, env = "LATERNA_WINDOW_BYTES")]
    pub window_bytes: Option<usize>,
    /// Requests that may wait for the log's writer [default: 4096]
    #[arg(long, env = "LATERNA_LOG_QUEUE")]
    pub log_queue: Option<usize>,
    /// Bytes of requests that may wait for the log's writer [default: 64 MiB]
    #[arg(long, env = "LATERNA_LOG_QUEUE_BYTES")]
    pub log_queue_bytes: Option<u32>,
    /// Requests that the log stores in one transaction at most [default: 1024]
    #[arg(long, env = "LATERNA_LOG_GROUP")]
    pub log_group: Option<usize>,
    /// Pages of the log that are read at once [default: 8]
    #[arg(long, env = "LATERNA_LOG_READERS")]
    pub log_readers: Option<usize>,
}

/// A host's settings, complete.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it serves.
    pub listen: SocketAddr,
    /// Nobody has to show a token, wherever they ask from.
    pub insecure: bool,
    /// Everybody has to show a token, wherever they ask from.
    pub require_tokens: bool,
    /// Tokens that there may be.
    pub tokens: usize,
    /// This host's name as a source of CloudEvents, where it was given one.
    pub cloudevents_source: Option<String>,
    /// Whose time the log is written by.
    pub clock: clock::Kind,
    /// The log's limits.
    pub log: log::Options,
    /// A component's limits.
    pub plugin: plugin::Limits,
    /// A read store's limits.
    pub store: store::Limits,
    /// Events that a release may set aside.
    pub parked_events: u64,
    /// Limits of what process managers do.
    pub process: process::Options,
    /// How the log is fed to projections.
    pub projector: projector::Options,
    /// When a dropped file counts as written.
    pub folder: release::FolderOptions,
    /// How the schemas' folder is looked at.
    pub schemas: schemas::Options,
    /// Time that the start waits for components that have never served yet.
    pub start: Duration,
    /// Time that a release is kept where it stands at most, for another one to take its place.
    pub cutover: Duration,
    /// What answers as of a position may take.
    pub as_of: release::AsOfLimits,
    /// What snapshots of read models may take.
    pub snapshots: release::SnapshotLimits,
    /// Components that are checked at once.
    pub component_checks: usize,
    /// Events that a plan counts.
    pub plan_events: u64,
    /// What is taken of the drop folder.
    pub drops: release::Drops,
    /// Releases of a component that are shown after their end.
    pub release_history: usize,
    /// What becomes of a release that could serve, where the operator says so: of all components, and of single ones.
    pub policy: Option<Policy>,
    /// The same, by component.
    pub policies: BTreeMap<String, Policy>,
    /// What is kept of releases that served.
    pub warm: release::Warm,
    /// How read models are compared.
    pub verify: release::VerifyOptions,
    /// The limits of what people ask.
    pub http: Http,
}

/// The limits of what people ask.
#[derive(Debug, Clone)]
pub struct Http {
    /// The origins whose pages may ask from a browser.
    pub cors_origins: Origins,
    /// Whether each request that is answered is logged.
    pub access_log: bool,
    /// Connections that are open at once.
    pub connections: usize,
    /// Time within which the head of a request must come, from the end of the one before it on.
    pub header: Duration,
    /// Time within which more of a body must come while it is waited for.
    pub body: Duration,
    /// Bytes of a request's body; a bulk import's is not limited, its lines are.
    pub request_bytes: usize,
    /// Bytes of the bodies that are read at once; beyond it, requests wait for a place.
    pub bodies_bytes: u32,
    /// Bytes of an event, payload and metadata together.
    pub event_bytes: usize,
    /// Events, or rows, that a page may have.
    pub page_rows: usize,
    /// Bytes that an answer may have.
    pub answer_bytes: usize,
    /// Time that a query may take.
    pub query: Duration,
    /// Questions in people's own SQL that are answered at once.
    pub sql_readers: usize,
    /// Time between two answers to a question that is followed.
    pub live: Duration,
    /// Different questions that may be followed at once.
    pub live_queries: usize,
    /// Time that a query may wait for its position at most.
    pub wait: Duration,
    /// Time between two heartbeats.
    pub heartbeat: Duration,
    /// Time that requests under way may take to end when the host is stopped.
    pub grace: Duration,
    /// Feeds that may be followed at once.
    pub followers: usize,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `laterna.toml` cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `laterna.toml` is not as it should be.
    #[error("{path}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its place.
        message: String,
    },
    /// The settings do not go together.
    #[error("{0}")]
    Unfit(String),
}

impl Config {
    /// Whether who shows no token is let in: on this machine unless tokens are required, elsewhere only where it was said so.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.insecure || (self.listen.ip().is_loopback() && !self.require_tokens)
    }
}

fn time_of_day(text: &str) -> Result<jiff::civil::Time, Error> {
    text.parse().map_err(|_| Error::Unfit(format!("`verify_at` is `{text}`: write a time of day, UTC, such as 03:00")))
}

impl Settings {
    /// Completes the settings with those of `laterna.toml` in the data directory, where there is one, and the defaults.
    ///
    /// # Errors
    /// The file is not as it should be, or the settings do not go together.
    pub fn complete(self, data: &Path) -> Result<Config, Error> {
        let path = data.join("laterna.toml");
        let file = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(Error::File { path, source }),
        };
        let syntax = |error: toml::de::Error| Error::Syntax { path: path.clone(), message: error.to_string() };
        // Checked by itself first, so that an error names a line of the file.
        toml::from_str::<Self>(&file).map_err(syntax)?;
        let mut table: toml::Table = toml::from_str(&file).map_err(syntax)?;
        let given = toml::Table::try_from(&self).map_err(|error| Error::Unfit(error.to_string()))?;
        table.extend(given);
        let merged: Self = table.try_into().map_err(|error: toml::de::Error| Error::Unfit(error.to_string()))?;
        merged.check()
    }

    fn check(self) -> Result<Config, Error> {
        let (log, plugin) = (log::Options::default(), plugin::Limits::default());
        let process = process::Options::default();
        let (store, projector) = (store::Limits::default(), projector::Options::default());
        let (folder, schemas) = (release::FolderOptions::default(), schemas::Options::default());
        let (as_of, snapshots) = (release::AsOfLimits::default(), release::SnapshotLimits::default());
        let ms = |given: Option<u64>, default| Duration::from_millis(given.unwrap_or(default));
        let answer_bytes = self.answer_bytes.unwrap_or(16 << 20);
        let config = Config {
            listen: self.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 7070))),
            insecure: self.insecure.unwrap_or(false),
            require_tokens: self.require_tokens.unwrap_or(false),
            tokens: self.tokens.unwrap_or(10_000),
            cloudevents_source: self.cloudevents_source,
            clock: self.clock.unwrap_or_default(),
            log: log::Options {
                queue: self.log_queue.unwrap_or(log.queue),
                group: self.log_group.unwrap_or(log.group),
                queue_bytes: self.log_queue_bytes.unwrap_or(log.queue_bytes),
                readers: self.log_readers.unwrap_or(log.readers),
            },
            plugin: plugin::Limits {
                component_bytes: self.component_bytes.unwrap_or(plugin.component_bytes),
                memory_bytes: self.memory_bytes.unwrap_or(plugin.memory_bytes),
                fuel: self.fuel.unwrap_or(plugin.fuel),
                answer_bytes,
                reach: self.reach.unwrap_or(plugin.reach),
            },
            store: store::Limits {
                pages: self.store_pages.unwrap_or(store.pages),
                readers: self.store_readers.unwrap_or(store.readers),
                batch: self.batch_ms.map_or(store.batch, Duration::from_millis),
                ..store
            },
            parked_events: self.parked_events.unwrap_or(1_000),
            process: process::Options {
                causation_depth: self.causation_depth.unwrap_or(process.causation_depth),
                event_bytes: self.event_bytes.unwrap_or(process.event_bytes),
            },
            projector: projector::Options {
                batch_events: self.batch_events.unwrap_or(projector.batch_events),
                batch_bytes: self.batch_bytes.unwrap_or(projector.batch_bytes),
                window_bytes: self.window_bytes.unwrap_or(projector.window_bytes),
                ..projector
            },
            folder: release::FolderOptions {
                settle: self.settle_ms.map_or(folder.settle, Duration::from_millis),
                incomplete: self.incomplete_ms.map_or(folder.incomplete, Duration::from_millis),
                rescan: self.rescan_ms.map_or(folder.rescan, Duration::from_millis),
            },
            schemas: schemas::Options {
                file_bytes: self.schema_bytes.unwrap_or(schemas.file_bytes),
                files: self.schema_files.unwrap_or(schemas.files),
                settle: self.settle_ms.map_or(schemas.settle, Duration::from_millis),
                rescan: self.rescan_ms.map_or(schemas.rescan, Duration::from_millis),
            },
            start: ms(self.start_ms, 2_000),
            cutover: ms(self.cutover_ms, 500),
            as_of: release::AsOfLimits {
                events: self.as_of_events.unwrap_or(as_of.events),
                time: self.as_of_ms.map_or(as_of.time, Duration::from_millis),
                stores: self.as_of_stores.unwrap_or(as_of.stores),
                builds: self.as_of_builds.unwrap_or(as_of.builds),
            },
            snapshots: release::SnapshotLimits {
                age: self.snapshot_seconds.map_or(snapshots.age, Duration::from_secs),
                bytes: self.snapshot_bytes.unwrap_or(snapshots.bytes),
                builds: self.snapshot_builds.unwrap_or(snapshots.builds),
                time: self.snapshot_ms.map_or(snapshots.time, Duration::from_millis),
            },
            component_checks: self.component_checks.unwrap_or(2),
            plan_events: self.plan_events.unwrap_or(10_000_000),
            drops: release::Drops::All,
            release_history: self.release_history.unwrap_or(100),
            policy: self.policy,
            policies: self.policies,
            warm: release::Warm {
                releases: self.warm_releases.unwrap_or(1),
                age: Duration::from_secs(self.warm_seconds.unwrap_or(7 * 24 * 60 * 60)),
            },
            verify: release::VerifyOptions {
                at_once: self.verifications.unwrap_or(1),
                time: ms(self.verify_ms, 600_000),
                wal_bytes: self.verify_wal_bytes.unwrap_or(256 << 20),
                samples: self.verify_samples.unwrap_or(10),
                each_day: self.verify_at.as_deref().map(time_of_day).transpose()?,
            },
            http: Http {
                cors_origins: Origins::parse(&self.cors_origins.unwrap_or_default()).map_err(Error::Unfit)?,
                access_log: self.access_log.unwrap_or(false),
                connections: self.connections.unwrap_or(10_000),
                header: ms(self.header_ms, 75_000),
                body: ms(self.body_ms, 60_000),
                request_bytes: self.request_bytes.unwrap_or(16 << 20),
                bodies_bytes: self.bodies_bytes.unwrap_or(256 << 20),
                event_bytes: self.event_bytes.unwrap_or(1 << 20),
                page_rows: self.page_rows.unwrap_or(10_000),
                answer_bytes,
                query: ms(self.query_ms, 5_000),
                sql_readers: self.sql_readers.unwrap_or(4),
                live: ms(self.live_ms, 100),
                live_queries: self.live_queries.unwrap_or(1_000),
                wait: ms(self.wait_ms, 30_000),
                heartbeat: ms(self.heartbeat_ms, 10_000),
                grace: ms(self.grace_ms, 10_000),
                followers: self.followers.unwrap_or(1_000),
            },
        };
        let must_not_be_0 = [
            ("log_queue", config.log.queue),
            ("log_group", config.log.group),
            ("log_readers", config.log.readers),
            ("log_queue_bytes", config.log.queue_bytes as usize),
            ("bodies_bytes", config.http.bodies_bytes as usize),
            ("connections", config.http.connections),
            ("store_readers", config.store.readers),
            ("sql_readers", config.http.sql_readers),
            ("batch_events", config.projector.batch_events),
            ("batch_bytes", config.projector.batch_bytes),
            ("page_rows", config.http.page_rows),
            ("as_of_builds", config.as_of.builds),
            ("snapshot_builds", config.snapshots.builds),
            ("component_checks", config.component_checks),
            ("reach", config.plugin.reach),
            ("causation_depth", config.process.causation_depth),
            ("release_history", config.release_history),
            ("verifications", config.verify.at_once),
        ];
        if let Some((name, _)) = must_not_be_0.iter().find(|(_, value)| *value == 0) {
            return Err(Error::Unfit(format!("`{name}` is 0: it must be 1 at least")));
        }
        if config.insecure && config.require_tokens {
            return Err(Error::Unfit("`insecure` and `require_tokens` say the opposite of each other".to_owned()));
        }
        if config.http.cors_origins == Origins::Any && config.is_open() {
            return Err(Error::Unfit(
                "`cors_origins` is `*`, and nobody has to show a token: any page that is open in a browser here could do \
                 everything. Name the origins, or say `require_tokens`"
                    .to_owned(),
            ));
        }
        if let Some(source) = &config.cloudevents_source
            && (source.is_empty() || fluent_uri::UriRef::parse(source.as_str()).is_err())
        {
            return Err(Error::Unfit(format!("`cloudevents_source` is `{source}`: it must be a URI-reference")));
        }
        Ok(config)
    }
}
