//! What the end-to-end tests have in common: the real binary on a data directory of its own, and what is said to it over HTTP.

pub mod cars;
pub mod feed;
pub mod files;
pub mod guests;
pub mod model;
pub mod natively;
pub mod process_model;
pub mod processes;
pub mod quiet;
pub mod random;
pub mod releases;
pub mod scenarios;
pub mod shop;
pub mod snapshot;
pub mod standing;
pub mod unsynced;
pub mod wire;

use serde_json::Value;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything is waited for before the test fails. Only a test that fails waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long it takes until something is looked at again.
pub const BREATH: Duration = Duration::from_millis(5);

/// The signal's number.
const SIGKILL: i32 = 9;

/// The root of the repository.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the repository")
}

/// The `laterna` binary, built once for each run of a test file, in the profile of the tests.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        // Of the whole workspace, as `cargo test` is: with fewer packages its dependencies would have other features, and be built
        // once more.
        build.current_dir(root()).args(["build", "--quiet", "--workspace", "--bin", "laterna"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success(), "the binary does not build");
        target_folder().join("laterna")
    })
}

/// The folder that cargo builds this profile into.
pub(crate) fn target_folder() -> PathBuf {
    // A test is at target/<profile>/deps/<test>.
    let test = std::env::current_exe().expect("a test is a file");
    test.ancestors().nth(2).expect("a test lies in target/<profile>/deps").to_owned()
}

/// The file of an example component, built once for each run of a test file.
pub fn component(name: &str) -> PathBuf {
    build_component(&root().join("projections").join(name))
}

/// The file of a component crate anywhere in the repository, built by `laterna build`.
pub fn build_component(folder: &Path) -> PathBuf {
    let out = target_folder().join("components");
    let built = laterna(["build".as_ref(), folder.as_os_str(), "--out".as_ref(), out.as_os_str()]);
    assert!(built.status.success(), "{} does not build: {}", folder.display(), String::from_utf8_lossy(&built.stderr));
    let name = folder.file_name().expect("a crate is a folder").to_string_lossy().into_owned();
    out.join(format!("{name}.wasm"))
}

/// Runs the command line to its end.
pub fn laterna<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> Output {
    Command::new(binary()).current_dir(root()).args(arguments).stdin(Stdio::null()).output().expect("laterna runs")
}

/// The start of a real shop's year: 2,000 events, one a line.
#[must_use]
pub fn online_retail_events() -> String {
    let path = root().join("projections/retail/sample/online_retail.sample2000.events.jsonl");
    std::fs::read_to_string(path).expect("the sample is part of the repository")
}

/// The right answers to [`online_retail_events`], computed elsewhere.
#[must_use]
pub fn online_retail_reference() -> Value {
    let path = root().join("projections/retail/sample/online_retail.sample2000.reference.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("the reference is part of the repository"))
        .expect("JSON")
}

/// A data directory that is removed in the end.
pub struct Data {
    folder: TempDir,
}

impl Default for Data {
    fn default() -> Self {
        Self::new()
    }
}

impl Data {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::within(&std::env::temp_dir())
    }

    /// An empty one in memory, where there is such a file system: for thousands of commits that need not outlive anything.
    #[must_use]
    pub fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::within(memory) } else { Self::new() }
    }

    fn within(parent: &Path) -> Self {
        let folder = tempfile::tempdir_in(parent).expect("a temporary folder");
        std::fs::create_dir_all(folder.path().join("components")).expect("a folder");
        Self { folder }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Copies a component into the drop folder, under its own name.
    pub fn drop_component(&self, file: &Path) {
        let name = file.file_name().expect("a component is a file");
        std::fs::copy(file, self.path().join("components").join(name)).expect("the component is copied");
    }

    /// Puts a component into the drop folder, under this name.
    pub fn drop_bytes(&self, name: &str, component: &[u8]) {
        let file = self.path().join("components").join(format!("{name}.wasm"));
        std::fs::write(file, component).expect("the component is written");
    }

    /// Puts a component into the drop folder in one piece: nobody sees half of it, however busy the machine is.
    pub fn drop_whole(&self, name: &str, component: &[u8]) {
        let folder = self.path().join("components");
        let hidden = folder.join(format!(".{name}.half"));
        std::fs::write(&hidden, component).expect("the component is written");
        std::fs::rename(hidden, folder.join(format!("{name}.wasm"))).expect("it is put there");
    }

    /// Starts a host on it, with these flags besides.
    pub fn serve_with(&self, flags: &[&str]) -> Server {
        self.serve_logging("warn", flags)
    }

    /// Starts a host on it that says so much on standard error, with these flags besides.
    pub fn serve_logging(&self, log: &str, flags: &[&str]) -> Server {
        self.serve_saying(log, flags, Stdio::inherit())
    }

    /// Starts a host on it that says so much into the file `told.txt` beside its data.
    pub fn serve_telling(&self, log: &str, flags: &[&str]) -> Server {
        let file = std::fs::File::create(self.path().join("told.txt")).expect("a file");
        self.serve_saying(log, flags, file.into())
    }

    /// Starts a host on it that kills itself at a point, told as `LATERNA_DIE_AT` wants it; `None` where it has done so before it listens.
    pub fn serve_until(&self, point: &str, flags: &[&str]) -> Option<Server> {
        let mut child = self
            .command("warn", flags)
            .env("LATERNA_DIE_AT", point)
            .stderr(Stdio::inherit())
            .spawn()
            .expect("laterna runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line of text");
        if line.is_empty() {
            let status = child.wait().expect("the process is ours");
            assert_eq!(status.signal(), Some(SIGKILL), "it did not start: {status}");
            return None;
        }
        Some(Server { client: Client::at(url_of(&line)), child: Some(child) })
    }

    /// Starts a host on it that waits at a point, told as `LATERNA_WAIT_AT` wants it but for the file. It says what it does into the file
    /// `told.txt` beside its data.
    pub fn serve_waiting(&self, point: &str, flags: &[&str]) -> (Server, Waits) {
        let (told, waits) = (self.path().join("told.txt"), Waits { file: self.path().join("waits") });
        let mut command = self.command("info", flags);
        command.env("LATERNA_WAIT_AT", format!("{point}:{}", waits.file.display()));
        (Self::started(command.stderr(std::fs::File::create(told).expect("a file"))), waits)
    }

    /// What a host says in `told.txt` that is started to tell it.
    #[must_use]
    pub fn told(&self) -> String {
        std::fs::read_to_string(self.path().join("told.txt")).expect("what it says")
    }

    fn command(&self, log: &str, flags: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(self.path()).args(flags);
        command.env("LATERNA_LOG", log).stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    fn serve_saying(&self, log: &str, flags: &[&str], to: Stdio) -> Server {
        Self::started(self.command(log, flags).stderr(to))
    }

    fn started(command: &mut Command) -> Server {
        let mut child = command.spawn().expect("laterna runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line of text");
        Server { client: Client::at(url_of(&line)), child: Some(child) }
    }

    /// Starts a host on it.
    pub fn serve(&self) -> Server {
        self.serve_with(&[])
    }
}

fn url_of(line: &str) -> &str {
    line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("the first line is {line:?}"))
}

/// A host that waits at a point, until this goes out of scope.
pub struct Waits {
    file: PathBuf,
}

impl Waits {
    /// Waits until it is there.
    pub fn is_there(&self) {
        let begun = Instant::now();
        while !self.file.exists() {
            assert!(begun.elapsed() < PATIENCE, "it does not come there within {PATIENCE:?}");
            std::thread::sleep(BREATH);
        }
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// A host in a process of its own. Killed when it goes out of scope.
pub struct Server {
    /// How it is talked to.
    pub client: Client,
    child: Option<Child>,
}

impl std::ops::Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Server {
    /// SIGKILL, and waits until it is gone.
    pub fn kill(mut self) {
        self.end(|child| child.kill().expect("the process is ours"));
    }

    /// SIGTERM; it must end cleanly.
    pub fn stop(mut self) {
        let status = self.end(|child| {
            let killed = Command::new("kill").arg(child.id().to_string()).status();
            assert!(killed.expect("kill runs").success());
        });
        assert!(status.success(), "laterna ended with {status}");
    }

    /// Whether it has killed itself.
    pub fn is_dead(&mut self) -> bool {
        let child = self.child.as_mut().expect("it is looked after");
        let ended = child.try_wait().expect("the process is ours");
        ended.is_some_and(|status| {
            assert_eq!(status.signal(), Some(SIGKILL), "it ended otherwise: {status}");
            true
        })
    }

    /// Hundredths of a second that the process has worked.
    #[must_use]
    pub fn worked(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process())).expect("it runs");
        let (_, numbers) = stat.rsplit_once(')').expect("a name in parentheses");
        let numbers: Vec<&str> = numbers.split_whitespace().collect();
        numbers[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("ticks")).sum()
    }

    /// The process's id.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    fn end(&mut self, how: impl FnOnce(&mut Child)) -> std::process::ExitStatus {
        let mut child = self.child.take().expect("it runs");
        how(&mut child);
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("the process is ours") {
                return status;
            }
            if begun.elapsed() > PATIENCE {
                let _ = child.kill();
                panic!("laterna does not end");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Says things to a host. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    /// The host's address.
    pub url: String,
    agent: ureq::Agent,
    /// What is shown with each request.
    token: Option<String>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, by their lower-case names.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `Laterna-Position`.
    #[must_use]
    pub fn position(&self) -> u64 {
        let position = self.header("laterna-position").unwrap_or_else(|| panic!("no position: {self:?}"));
        position.parse().expect("a number")
    }

    /// The name of the problem: the last part of its type.
    #[must_use]
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        let name = body["type"].as_str().and_then(|of_type| of_type.rsplit('/').next());
        name.unwrap_or_else(|| panic!("no type: {self:?}")).to_owned()
    }

    /// The body of an answer that must be this problem, told as every problem is.
    pub fn refused(&self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.problem().as_str()), (status, code), "{self:?}");
        let body = self.json();
        assert_eq!(body["type"], format!("/errors/{code}"), "{self:?}");
        assert_eq!(body["status"], status, "{self:?}");
        for member in ["title", "detail"] {
            assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "no {member}: {self:?}");
        }
        assert_names_no_file(&self.text);
        body
    }

    /// The body as JSON, of an answer that must have succeeded.
    pub fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "{self:?}");
        self.json()
    }
}

/// What a host says must not tell where on its machine anything lies.
pub fn assert_names_no_file(text: &str) {
    let temporary = std::env::temp_dir();
    let home = std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned());
    let folders = [root().display().to_string(), temporary.display().to_string(), home];
    for folder in folders.iter().filter(|folder| folder.len() > 1) {
        assert!(!text.contains(folder), "`{folder}` stands in {text}");
    }
}

impl Client {
    /// A client of the host at this address.
    #[must_use]
    pub fn at(url: &str) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
        Self { url: url.to_owned(), agent: config.into(), token: None }
    }

    /// The same at another address: the host was started again.
    #[must_use]
    pub fn moved_to(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    /// Somebody else at the same host, who shows this token.
    #[must_use]
    pub fn showing(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Somebody else at the same host, whose token is good for these roles in this module. Whoever asks for it must be let in.
    #[must_use]
    pub fn with_token(&self, roles: &[&str], module: Option<&str>) -> Self {
        let made = self.post("/tokens", &serde_json::json!({ "roles": roles, "module": module })).ok();
        self.showing(made["token"].as_str().expect("a token"))
    }

    fn show<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    /// GET
    pub fn get(&self, path: &str) -> Answer {
        self.try_get(path).expect("the host answers")
    }

    /// GET, of a host that may be gone.
    pub fn try_get(&self, path: &str) -> Result<Answer, ureq::Error> {
        self.get_with(path, &[])
    }

    /// GET with headers, of a host that may be gone.
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Result<Answer, ureq::Error> {
        let mut request = self.show(self.agent.get(format!("{}{path}", self.url)));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.call()?)
    }

    /// DELETE
    pub fn delete(&self, path: &str) -> Answer {
        let response = self.show(self.agent.delete(format!("{}{path}", self.url))).call();
        response.and_then(answer).expect("the host answers")
    }

    /// POST of JSON
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_post(path, "application/json", body.to_string()).expect("the host answers")
    }

    /// POST of anything, to a host that may be gone.
    pub fn try_post(&self, path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Result<Answer, ureq::Error> {
        let request = self.show(self.agent.post(format!("{}{path}", self.url)));
        answer(request.content_type(content_type).send(body.into())?)
    }

    /// POST of anything with these headers
    pub fn send(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
        let mut request = self.show(self.agent.post(format!("{}{path}", self.url)));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send(body.into()).and_then(answer).expect("the host answers")
    }

    /// GET of what is accepted
    pub fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.get_with(path, &[("accept", accept)]).expect("the host answers")
    }

    /// Imports lines of NDJSON.
    pub fn import(&self, lines: &str) -> Answer {
        self.try_post("/events", "application/x-ndjson", lines).expect("the host answers")
    }

    /// All rows of a table of a projection, at the head as of now.
    pub fn rows(&self, projection: &str, table: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut page = Some(format!("/projections/{projection}/tables/{table}?limit=1000&fresh=true&timeout=30"));
        while let Some(path) = page {
            let answer = self.get(&path).ok();
            rows.extend(answer["rows"].as_array().expect("rows").iter().cloned());
            page = answer["next"].as_str().map(str::to_owned);
        }
        rows
    }

    /// Asks again until the answer is as wanted.
    pub fn wait_for(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let begun = Instant::now();
        loop {
            let answer = self.get(path);
            if wanted(&answer) {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}; the last answer of {path} is {answer:?}");
            std::thread::sleep(BREATH);
        }
    }

    /// Follows a feed until `each` has enough and answers false; it is shown each event's name, id and data.
    pub fn follow(&self, path: &str, headers: &[(&str, &str)], mut each: impl FnMut(&str, &str, &str) -> bool) {
        let request = self.show(self.agent.get(format!("{}{path}", self.url)));
        let mut request = request.header("accept", "text/event-stream");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.call().expect("the host answers");
        assert_eq!(response.status(), 200);
        let (mut name, mut id, mut data) = (String::new(), String::new(), String::new());
        for line in BufReader::new(response.into_body().into_reader()).lines() {
            let Ok(line) = line else { return };
            match line.split_once(": ") {
                Some(("event", value)) => value.clone_into(&mut name),
                Some(("id", value)) => value.clone_into(&mut id),
                Some(("data", value)) => data.push_str(value),
                None if line.is_empty() && !data.is_empty() => {
                    if !each(&name, &id, &data) {
                        return;
                    }
                    name.clear();
                    data.clear();
                }
                _ => {}
            }
        }
    }
}

/// A name as one segment of a path, or the value of a parameter.
#[must_use]
pub fn encoded(name: &str) -> String {
    name.bytes().fold(String::new(), |text, byte| {
        text + &if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    })
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Result<Answer, ureq::Error> {
    let headers = response.headers().iter();
    let headers =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned())).collect();
    let status = response.status().as_u16();
    let text = response.body_mut().with_config().limit(u64::MAX).read_to_string()?;
    Ok(Answer { status, headers, text })
}
