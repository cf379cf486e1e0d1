//! `/projections/{name}/snapshot`: the read store as one SQLite file, whole or in ranges.

use super::App;
use super::answer::{POSITION, RELEASE, is_known, page_url, path_segment};
use super::parameters::Parameters;
use super::problem::{Code, Problem};
use super::range::Range;
use super::reading::{Freshness, check_read, find_component};
use crate::access::Caller;
use crate::plugin::Visibility;
use crate::release::Component;
use crate::release::snapshots::{Refusal, SnapshotFile};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use std::sync::Arc;
use tower_http::services::ServeFile;

/// `GET /projections/{name}/snapshot?release=&position=&min_position=&fresh=&timeout=`
pub async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    method: Method,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let release = parameters.take_as::<u64>("release", "a number, from 1")?;
    let position = parameters.take_as::<u64>("position", "a position, from 0")?;
    let asked = Asked { app: &app, caller: &caller, name: &name, method: &method, headers: &headers };
    let (file, range) = match (release, position) {
        (Some(release), Some(position)) => {
            parameters.finish()?;
            asked.pinned(release, position)?
        }
        (None, None) => {
            let freshness = Freshness::take(&app, &mut parameters)?;
            parameters.finish()?;
            asked.now(&freshness).await?
        }
        _ => {
            let detail = "`release` and `position` go together: they name a snapshot that was answered before. Leave both out for \
                          one of now.";
            return Err(Problem::new(Code::BadParameter, detail).with("parameter", "release"));
        }
    };
    asked.answer(file, range).await
}

/// What is asked, and by whom.
struct Asked<'a> {
    app: &'a App,
    caller: &'a Caller,
    name: &'a str,
    method: &'a Method,
    headers: &'a HeaderMap,
}

/// A file, and the part of it that is asked for.
type Part = (Arc<SnapshotFile>, Option<Range>);

impl<'a> Asked<'a> {
    /// The one of this release and position, if it is still kept.
    fn pinned(&self, release: u64, position: u64) -> Result<Part, Problem> {
        let component = find_component(self.app, self.name)?;
        // What serves now may be for others than what served then.
        if let Some(live) = &component.live {
            check_read(self.caller, &component, live)?;
        }
        let is_it = |file: &SnapshotFile| file.release == release && file.position == position;
        let file = self.kept(is_it).ok_or_else(|| self.gone(release, position, &component))?;
        let range = Range::of(self.headers).filter(|_| self.if_range().is_none_or(|tag| *tag == *etag(&file)));
        Ok((file, range))
    }

    /// The one of now; or one that is kept already, for who goes on with it or wants to know of it only.
    async fn now(&self, freshness: &Freshness) -> Result<Part, Problem> {
        let live = freshness.reach(self.app, self.caller, self.name).await?;
        let range = Range::of(self.headers);
        let goes_on = range.is_some() && self.if_range().is_some();
        if let Some(tag) = self.if_range().filter(|_| goes_on)
            && let Some(file) = self.kept(|file| *tag == *etag(file))
        {
            return Ok((file, range));
        }
        // Whoever begins with the first byte means one of now.
        let begins = range.is_some_and(Range::is_from_start);
        let looks = (range.is_some() && !goes_on && !begins) || self.method == Method::HEAD;
        let is_enough = |file: &SnapshotFile| file.release == live.release && file.position >= freshness.position();
        if let Some(file) = looks.then(|| self.kept(is_enough)).flatten() {
            return Ok((file, range.filter(|_| !goes_on)));
        }
        let component = find_component(self.app, self.name)?;
        let file = self.app.host.releases.snapshots().of(&component, &live).await;
        let file = file.map_err(|refusal| self.refused(refusal))?;
        // Another file than the one that it was to be a part of is answered whole.
        Ok((file, range.filter(|_| !goes_on)))
    }

    /// The newest one that is kept, is as wanted, and is for who asks.
    fn kept(&self, wanted: impl Fn(&SnapshotFile) -> bool) -> Option<Arc<SnapshotFile>> {
        let may_read =
            |file: &SnapshotFile| file.visibility == Visibility::Public || self.caller.is_inside(&file.module);
        self.app.host.releases.snapshots().kept(self.name, |file| may_read(file) && wanted(file))
    }

    fn if_range(&self) -> Option<&'a HeaderValue> {
        self.headers.get(header::IF_RANGE)
    }

    async fn answer(&self, file: Arc<SnapshotFile>, range: Option<Range>) -> Result<Response, Problem> {
        let tag = etag(&file);
        let mut response = if is_known(self.headers.get_all(header::IF_NONE_MATCH), &tag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            self.part(&file, range).await?
        };
        let (release, position) = (file.release.to_string(), file.position.to_string());
        let path = format!("/projections/{}/snapshot", path_segment(self.name));
        let location = page_url(&path, &[("release", &release), ("position", &position)]);
        let headers = response.headers_mut();
        headers.insert(POSITION, HeaderValue::from(file.position));
        headers.insert(RELEASE, HeaderValue::from(file.release));
        // Whoever keeps it asks whether they still may.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.remove(header::LAST_MODIFIED);
        put(headers, header::ETAG, &tag);
        put(headers, header::CONTENT_LOCATION, &location);
        if response.status().is_success() {
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.sqlite3"));
            let name = format!("attachment; filename=\"{}-{release}-{position}.db\"", self.name);
            put(headers, header::CONTENT_DISPOSITION, &name);
        }
        Ok(response)
    }

    async fn part(&self, file: &Arc<SnapshotFile>, range: Option<Range>) -> Result<Response, Problem> {
        let mut request = Request::new(Body::empty());
        self.method.clone_into(request.method_mut());
        if let Some(range) = range {
            put(request.headers_mut(), header::RANGE, &range.header(file.bytes));
        }
        let served = ServeFile::new(file.path()).try_call(request).await;
        let served = served
            .map_err(|source| Problem::from(crate::store::Error::File { path: file.path().to_owned(), source }))?;
        if served.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            let detail = "the file has no such range. Ask for one range that begins within it, such as `bytes=0-1023`, or for all of it \
                          without `Range`.";
            let mut problem = Problem::new(Code::RangeNotSatisfiable, detail).with("bytes", file.bytes).into_response();
            put(problem.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{}", file.bytes));
            return Ok(problem);
        }
        let file = Arc::clone(file);
        Ok(served.map(|body| {
            Body::new(body.map_frame(move |frame| {
                // It is there until the last byte of it is read.
                let _downloaded = &file;
                frame
            }))
        }))
    }

    fn gone(&self, release: u64, position: u64, component: &Component) -> Problem {
        let name = &component.name;
        let age = self.app.host.config.snapshots.age;
        let detail = format!(
            "no snapshot of release {release} of `{name}` at position {position} is kept: one is kept for {age:?} after it was last \
             asked for, and none beyond a restart. Begin again with `GET /projections/{name}/snapshot`."
        );
        Problem::new(Code::SnapshotGone, detail)
    }

    fn refused(&self, refusal: Refusal) -> Problem {
        let name = self.name;
        match refusal {
            Refusal::TooLarge { bytes, limit } => {
                let detail = format!(
                    "a snapshot of `{name}` takes about {bytes} bytes, and all snapshots together may have {limit}. Raise \
                     `snapshot_bytes`, or read its tables in pages."
                );
                Problem::new(Code::SnapshotTooLarge, detail).with("bytes", bytes).with("limit", limit)
            }
            Refusal::NoRoom { bytes, limit } => {
                let detail = format!(
                    "a snapshot of `{name}` takes about {bytes} bytes, and what others are downloading leaves no room for it among \
                     {limit}. Ask again when they are done, or raise `snapshot_bytes`."
                );
                Problem::new(Code::SnapshotsFull, detail).with("bytes", bytes).with("limit", limit)
            }
            Refusal::TooSlow(time) => {
                let builds = self.app.host.config.snapshots.builds;
                let detail = format!(
                    "`{name}` was not copied within {time:?}, waiting for its turn included: {builds} are copied at once. Ask again, or \
                     raise `snapshot_ms`."
                );
                Problem::new(Code::SnapshotTooSlow, detail)
            }
            Refusal::WalGrew(bytes) => {
                let detail = format!(
                    "`{name}` was written too much while it was copied: its write-ahead log grew by more than {bytes} bytes. Ask again \
                     when less is appended, or raise `verify_wal_bytes`."
                );
                Problem::new(Code::SnapshotTooSlow, detail)
            }
            Refusal::Stopped => {
                Problem::new(Code::SnapshotTooSlow, "The host is being stopped. Ask again when it is back.")
            }
            Refusal::Failed(error) => {
                // Not in the answer: it may name a file.
                tracing::error!(projection = name, %error, "a read model could not be copied");
                let detail = "The read model could not be copied; the host's standard error says why.";
                Problem::new(Code::StoreUnavailable, detail)
            }
        }
    }
}

/// What no other file has: it stands for the file, byte by byte.
fn etag(file: &SnapshotFile) -> String {
    format!("\"{}-{}-{}\"", file.release, file.position, file.id.simple())
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
