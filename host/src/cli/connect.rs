//! The host that a command talks to, over HTTP.

use super::{Failure, Host};
use crate::config::Settings;
use crate::data_dir::DataDir;
use crate::http::INSIDE;
use crate::release::Drops;
use crate::{host, http};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use ureq::http::Response;
use ureq::{Agent, Body, RequestBuilder, SendBody};

/// A connection to a host.
pub struct Client {
    base: String,
    agent: Agent,
    /// What is shown with each request, if anything.
    token: Option<String>,
    /// The module from inside which is asked.
    inside: Option<String>,
    /// The host, where it runs in this process for this command alone.
    _opened: Option<Opened>,
}

/// A host that is open for as long as this lives.
struct Opened {
    host: Arc<host::Host>,
    runtime: Runtime,
    serving: Option<JoinHandle<()>>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.host.stop.cancel();
        if let Some(serving) = self.serving.take() {
            // What failed was told by the request that failed.
            let _ = self.runtime.block_on(serving);
        }
        self.host.close();
    }
}

/// What a host said against a request: the problem, and the same for people.
#[derive(Debug, thiserror::Error)]
#[error("{said}")]
pub struct Refused {
    /// The problem.
    pub problem: Value,
    said: String,
}

/// What a host answered.
pub struct Answer<B = Value> {
    /// Its JSON, or its text.
    pub body: B,
    /// `Laterna-Position`, where it carries one.
    pub position: Option<u64>,
}

impl Client {
    /// Connects to a host by its address, with this token, if there is one.
    pub fn at(base: &str, token: Option<String>) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).build();
        Self { base: base.trim_end_matches('/').to_owned(), agent: config.into(), token, inside: None, _opened: None }
    }

    /// Connects to the host that a command was given: by its address, by its data directory, or by opening that directory.
    pub fn connect(given: &Host) -> Result<Self, Failure> {
        Self::connect_with(given, Drops::New)
    }

    /// The same, and of the directory's drop folder only this is taken where it is opened.
    pub fn connect_with(given: &Host, drops: Drops) -> Result<Self, Failure> {
        if let Some(url) = &given.url() {
            if !url.starts_with("http://") {
                return Err(format!("`{url}` does not begin with http://; TLS ends at the reverse proxy").into());
            }
            let token = given.token.clone().or_else(|| std::env::var("LATERNA_TOKEN").ok());
            return Ok(Self::at(url, token));
        }
        let folder = given.data();
        if !folder.is_dir() {
            let data = folder.display();
            return Err(format!(
                "there is no data directory `{data}`: start a host with `laterna serve --data {data}`, or name one with --data or --url"
            )
            .into());
        }
        match Self::local(&DataDir::open(&folder)?) {
            Some(client) => {
                Ok(Self { token: given.token.clone().or(client.token.clone()), inside: given.inside.clone(), ..client })
            }
            None => {
                let data = folder.display();
                eprintln!("note: no host serves `{data}`: it is opened for this command alone");
                Ok(Self { inside: given.inside.clone(), ..Self::open(&folder, given.token.clone(), drops)? })
            }
        }
    }

    /// Connects to the host that serves a data directory, if one does: it lets in who can read that.
    pub fn local(data: &DataDir) -> Option<Self> {
        let (address, token) = data.served_at()?;
        Some(Self::at(&format!("http://{address}"), Some(token)))
    }

    /// Opens a data directory for as long as this lives.
    fn open(data: &Path, token: Option<String>, drops: Drops) -> Result<Self, Failure> {
        let mut config = Settings::default().complete(data)?;
        // It is served to this command alone, whatever `laterna.toml` says.
        config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.drops = drops;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (host, listener) = runtime.block_on(async {
            let host = Arc::new(host::Host::open(data, config).await?);
            let listener = TcpListener::bind(host.config.listen).await?;
            Ok::<_, Failure>((host, listener))
        })?;
        let base = format!("http://{}", listener.local_addr()?);
        let token = token.unwrap_or_else(|| host.tokens.local().to_owned());
        let serving = Some(runtime.spawn(http::serve(Arc::clone(&host), listener)));
        Ok(Self { _opened: Some(Opened { host, runtime, serving }), ..Self::at(&base, Some(token)) })
    }

    /// Asks; a problem becomes a failure with its detail.
    pub fn get(&self, path: &str) -> Result<Answer, Failure> {
        let asked = self.show(self.agent.get(format!("{}{path}", self.base))).call();
        answer(asked.map_err(|error| self.unreachable(&error))?)
    }

    /// Asks for an answer in this media type, as text; with a body where the question stands in one.
    pub fn ask(&self, path: &str, accept: &str, body: Option<&Value>) -> Result<Answer<String>, Failure> {
        let url = format!("{}{path}", self.base);
        let asked = match body {
            None => self.show(self.agent.get(url)).header("accept", accept).call(),
            Some(body) => {
                let request = self.show(self.agent.post(url)).header("accept", accept);
                request.content_type("application/json").send(body.to_string())
            }
        };
        text(asked.map_err(|error| self.unreachable(&error))?)
    }

    /// Asks for a file; a problem becomes a failure with its detail.
    pub fn download(&self, path: &str) -> Result<Response<Body>, Failure> {
        let asked = self.show(self.agent.get(format!("{}{path}", self.base))).call();
        let response = asked.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        answer(response)?;
        Err("the host answers, and sends no file".into())
    }

    /// Sends a body.
    pub fn post(&self, path: &str, content_type: &str, body: &mut dyn Read) -> Result<Answer, Failure> {
        let request = self.show(self.agent.post(format!("{}{path}", self.base))).content_type(content_type);
        let mut body = body;
        let sent = request.send(SendBody::from_reader(&mut body));
        answer(sent.map_err(|error| self.unreachable(&error))?)
    }

    /// Deletes.
    pub fn delete(&self, path: &str) -> Result<Value, Failure> {
        let asked = self.show(self.agent.delete(format!("{}{path}", self.base))).call();
        Ok(answer(asked.map_err(|error| self.unreachable(&error))?)?.body)
    }

    /// Shows the token with a request.
    fn show<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        let request = match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        };
        match &self.inside {
            Some(module) => request.header(INSIDE, module),
            None => request,
        }
    }

    /// Gives an order that needs no body.
    pub fn order(&self, path: &str) -> Result<Value, Failure> {
        Ok(self.post(path, "application/json", &mut std::io::empty())?.body)
    }

    /// Follows a feed, event by event: each with its name and its data. Ends when the host does.
    pub fn follow(&self, path: &str, mut each: impl FnMut(&str, &str) -> Result<(), Failure>) -> Result<(), Failure> {
        let request = self.show(self.agent.get(format!("{}{path}", self.base))).header("accept", "text/event-stream");
        let response = request.call().map_err(|error| self.unreachable(&error))?;
        if !response.status().is_success() {
            return answer(response).map(drop);
        }
        let (mut name, mut data) = (String::new(), String::new());
        for line in BufReader::new(response.into_body().into_reader()).lines() {
            let line = line?;
            match line.split_once(':') {
                Some(("event", value)) => value.trim_start().clone_into(&mut name),
                Some(("data", value)) => {
                    data.push_str(if data.is_empty() { "" } else { "\n" });
                    data.push_str(value.strip_prefix(' ').unwrap_or(value));
                }
                None if line.is_empty() && !data.is_empty() => {
                    each(&name, &data)?;
                    name.clear();
                    data.clear();
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        format!("{} does not answer: {error}. Is the host running?", self.base).into()
    }
}

fn answer(response: Response<Body>) -> Result<Answer, Failure> {
    let Answer { body, position } = text(response)?;
    Ok(Answer { body: serde_json::from_str(&body)?, position })
}

/// What was answered, as it stands; a problem becomes a failure with its detail.
fn text(mut response: Response<Body>) -> Result<Answer<String>, Failure> {
    let position = response.headers().get("laterna-position").and_then(|value| value.to_str().ok()?.parse().ok());
    let status = response.status();
    let text = response.body_mut().with_config().limit(u64::MAX).read_to_string()?;
    if status.is_success() {
        return Ok(Answer { body: text, position });
    }
    let problem: Value = serde_json::from_str(&text).unwrap_or_default();
    let detail = problem["detail"].as_str().unwrap_or(&text);
    // That of a component says more than that there is one.
    let page = problem["page"].as_str().or(problem["type"].as_str()).unwrap_or("without a type");
    let mut said = format!("{detail} ({} {page})", status.as_u16());
    // What an import had stored when it met its fault.
    if let (Some(stored), Some(skipped)) = (problem["stored"].as_u64(), problem["skipped"].as_u64()) {
        said = format!("{said}\n{stored} events were stored before it, and {skipped} were known.");
    }
    Err(Refused { problem, said }.into())
}

/// A name as one segment of a path.
pub fn segment(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// The part of an address that says which release is meant, if it is said.
pub fn of_release(release: Option<u64>) -> String {
    release.map_or(String::new(), |release| format!("?release={release}"))
}
