//! What can be asked of a read model, and the answer: rows by SQL, or what the component's code computes.

use super::App;
use super::answer::{COUNT, is_known, page_url};
use super::problem::{Code, Problem};
use super::reading::{Reading, tag, tagged};
use super::rows::{Body, Format, Writer, Written};
use crate::plugin::{CallError, Plugin};
use crate::store::{Arguments, Bounds, ReadError, Rows, Snapshot, Tables, Words};
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rusqlite::types::Value as Cell;
use serde_json::value::RawValue;
use tokio::sync::OwnedSemaphorePermit;

/// A question.
pub enum Question {
    /// SQL answers it.
    Sql(Sql),
    /// The component's code does.
    Computed {
        /// The query's name.
        query: String,
        /// What is said for its parameters.
        arguments: Vec<(String, Cell)>,
    },
}

/// A question that SQL answers.
pub struct Sql {
    /// The SQL.
    pub text: String,
    /// In whose words it is.
    pub words: Words,
    /// What stands in place of its parameters.
    pub arguments: SqlArguments,
    /// What its columns are written as; as they are, where nothing is said.
    pub written: Vec<Written>,
    /// How it is cut into pages, where it is.
    pub paging: Option<Paging>,
    /// SQL that counts the rows of all pages, where that was asked for, and how many of the arguments it takes.
    pub count: Option<(String, usize)>,
}

/// What stands in place of the parameters of SQL.
pub enum SqlArguments {
    /// By name.
    Named(Vec<(String, Cell)>),
    /// By place.
    Placed(Vec<Cell>),
}

/// The parameter that says where the page begins behind a row with these hidden cells, and its value.
pub type PlaceBehind = Box<dyn Fn(&[Cell]) -> (&'static str, String) + Send + Sync>;

/// How rows are cut into pages.
pub struct Paging {
    /// Rows of a page.
    pub limit: usize,
    /// Columns behind those that are shown, by which the following page is found.
    pub hidden: usize,
    /// The following page's address but for its place.
    pub path: String,
    /// Its parameters.
    pub parameters: Vec<(String, String)>,
    /// Its place, by the hidden cells of the last row.
    pub place: PlaceBehind,
}

/// An answer.
pub struct Answer {
    /// The position that it is as of.
    pub position: u64,
    /// Its body.
    pub body: Vec<u8>,
    /// What that is written as.
    pub format: Format,
    /// The address of the following page.
    pub next: Option<String>,
    /// The rows of all pages, where that was asked for.
    pub count: Option<i64>,
}

impl SqlArguments {
    fn borrowed(&self) -> Arguments<'_> {
        match self {
            Self::Named(values) => Arguments::Named(values),
            Self::Placed(values) => Arguments::Placed(values),
        }
    }
}

impl Question {
    /// What it can be answered in.
    fn format(&self, headers: &HeaderMap) -> Format {
        match self {
            Self::Sql(_) => Format::by(headers),
            Self::Computed { .. } => Format::Json,
        }
    }

    /// Asks a snapshot. Blocks.
    ///
    /// # Errors
    /// It cannot be answered, or not within the bounds.
    pub fn ask(
        &self,
        plugin: &Plugin,
        snapshot: &mut Snapshot,
        format: Format,
        bounds: &Bounds,
    ) -> Result<Answer, Problem> {
        match self {
            Self::Sql(sql) => sql.ask(snapshot, format, bounds),
            Self::Computed { query, arguments } => {
                let json = snapshot.lend(bounds.time, |session| {
                    let (session, answer) = plugin.query(query, arguments, session);
                    (session, answer.map_err(failed))
                })?;
                // It goes out as it stands, once it is known to be JSON.
                let json = RawValue::from_string(json).map_err(|error| {
                    Problem::new(Code::QueryFailed, format!("the component's answer is not JSON: {error}"))
                })?;
                let body = json.get().as_bytes().to_vec();
                Ok(Answer { position: snapshot.position(), body, format, next: None, count: None })
            }
        }
    }

    /// The tables that the answer was read from. It must have been asked of this snapshot.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn tables(&self, snapshot: &Snapshot) -> Result<Tables, ReadError> {
        match self {
            Self::Sql(sql) => snapshot.tables_of(&sql.text),
            Self::Computed { .. } => Ok(snapshot.tables_lent().clone()),
        }
    }
}

impl Sql {
    /// A question in anybody's words, whose answer is one page, as it is.
    #[must_use]
    pub fn new(text: String, arguments: SqlArguments) -> Self {
        Self { text, words: Words::Anybody, arguments, written: Vec::new(), paging: None, count: None }
    }

    fn ask(&self, snapshot: &mut Snapshot, format: Format, bounds: &Bounds) -> Result<Answer, Problem> {
        // One row more says that there is a following page.
        let (limit, hidden, rows) = match &self.paging {
            Some(paging) => (paging.limit, paging.hidden, paging.limit + 1),
            None => (usize::MAX, 0, bounds.rows),
        };
        let mut writer = Writer::new(format, limit, hidden).writing(self.written.clone());
        let paged = Bounds { rows, ..bounds.clone() };
        snapshot.ask_in(self.words, &self.text, self.arguments.borrowed(), &paged, &mut writer)?;
        let count = self.count(snapshot, bounds)?;
        let failed = |words| Problem::from(ReadError::Sql(words));
        let Body { mut body, more } = writer.end().map_err(failed)?;
        let next = more.zip(self.paging.as_ref()).map(|(last, paging)| paging.next(&last));
        if format == Format::Json {
            body.extend_from_slice(b"],\"next\":");
            serde_json::to_writer(&mut body, &next).map_err(|error| failed(error.to_string()))?;
            if let Some(count) = count {
                body.extend_from_slice(format!(",\"count\":{count}").as_bytes());
            }
            body.push(b'}');
        }
        Ok(Answer { position: snapshot.position(), body, format, next, count })
    }

    fn count(&self, snapshot: &Snapshot, bounds: &Bounds) -> Result<Option<i64>, ReadError> {
        let Some((sql, taken)) = &self.count else { return Ok(None) };
        let arguments = match &self.arguments {
            SqlArguments::Placed(values) => Arguments::Placed(values.get(..*taken).unwrap_or(values)),
            SqlArguments::Named(values) => Arguments::Named(values),
        };
        let mut counted = Rows::default();
        snapshot.ask_in(self.words, sql, arguments, bounds, &mut counted)?;
        Ok(match counted.rows.first().and_then(|row| row.first()) {
            Some(Cell::Integer(count)) => Some(*count),
            _ => None,
        })
    }
}

impl Paging {
    fn next(&self, last: &[Cell]) -> String {
        let (name, place) = (self.place)(last);
        let mut parts: Vec<(&str, &str)> =
            self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        parts.push((name, &place));
        page_url(&self.path, &parts)
    }
}

/// Answers a question as of what was reached, or says that the asker has the answer already. A place, where one was taken, is given
/// back once SQLite is through with it.
pub async fn answer(
    app: &App,
    reading: Reading,
    question: Question,
    headers: &HeaderMap,
    place: Option<OwnedSemaphorePermit>,
) -> Result<Response, Problem> {
    let Reading { serving, store } = reading;
    let (format, bounds) = (question.format(headers), bounds(app));
    let known: Vec<HeaderValue> = headers.get_all(header::IF_NONE_MATCH).iter().cloned().collect();
    let release = serving.release;
    let written_as = written_as(format, app.host.log.identity(), serving.plugin.digest());
    // One step of people's own SQL may take long: it never runs on a thread that serves.
    let may_be_brief = matches!(question, Question::Sql(_)) && place.is_none();
    let ask = move |snapshot: &mut Snapshot| -> Result<_, Problem> {
        let _place = &place;
        let tag = tag(release, snapshot.position(), &written_as);
        // What follows from the position alone need not be computed to be compared.
        if is_known(&known, &tag) {
            return Ok((snapshot.position(), tag, None));
        }
        let answer = question.ask(&serving.plugin, snapshot, format, &bounds)?;
        Ok((answer.position, tag, Some(answer)))
    };
    let answered = if may_be_brief { store.answer(ask).await } else { store.read(ask).await };
    let (position, tag, answer) = answered?;
    Ok(match answer {
        None => tagged(StatusCode::NOT_MODIFIED.into_response(), release, position, &tag),
        Some(answer) => tagged(answer.into_response(), release, position, &tag),
    })
}

/// The end of a tag: the format, and what tells apart what two data directories call release 1 as of position 1.
pub fn written_as(format: Format, log: &str, digest: &str) -> String {
    let end = log.len().saturating_sub(8);
    format!("{}-{}{}", format.tag(), log.get(end..).unwrap_or(log), digest.get(..8).unwrap_or(digest))
}

/// What an answer may take.
pub fn bounds(app: &App) -> Bounds {
    let config = app.config();
    Bounds { rows: config.page_rows, bytes: config.answer_bytes, time: config.query }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Bytes::from(self.body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.format.media_type()));
        if let Some(count) = self.count {
            headers.insert(COUNT, HeaderValue::from(count));
        }
        if let Some(link) = self.next.and_then(|next| HeaderValue::from_str(&format!("<{next}>; rel=\"next\"")).ok()) {
            headers.insert(header::LINK, link);
        }
        response
    }
}

fn failed(error: CallError) -> Problem {
    match error {
        CallError::Verdict(_) | CallError::OutOfStack => {
            Problem::new(Code::QueryFailed, format!("the component could not answer: {error}"))
        }
        CallError::OutOfTime => Problem::new(
            Code::QueryTooSlow,
            "the component took too long to answer. Ask for less, or raise `query_ms`.",
        ),
        CallError::Machine(what) => {
            tracing::error!(%what, "a query failed");
            Problem::new(Code::QueryFailed, "the machine could not run the query; the host's standard error says why.")
        }
    }
}
