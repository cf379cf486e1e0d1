//! A feed of server-sent events, read one by one: it is not read further than it is asked for.

use crate::{Answer, Client, PATIENCE, answer};
use serde_json::Value;
use std::io::{BufRead, BufReader, Error};

/// One thing that a feed said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its name; empty for an event of the log.
    pub name: String,
    /// The last id that was given: the position to resume behind.
    pub id: String,
    /// Its data.
    pub data: String,
}

impl Said {
    /// The data as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The position that it stands for.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.id.parse().unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It is a heartbeat, not an event of the log.
    #[must_use]
    pub fn is_heartbeat(&self) -> bool {
        self.name == "heartbeat"
    }
}

/// A feed that is followed. Ends with `None` where the host ended it, and with an error where it broke off.
pub struct Feed {
    text: Box<dyn BufRead + Send>,
    /// A line ended with CR: an LF that follows belongs to it.
    after_cr: bool,
    id: String,
}

impl Client {
    /// Follows a feed, with these headers besides.
    pub fn feed(&self, path: &str, headers: &[(&str, &str)]) -> Feed {
        self.try_feed(path, headers).unwrap_or_else(|answer| panic!("no feed: {answer:?}"))
    }

    /// Follows a feed, where the host lets us.
    ///
    /// # Errors
    /// What it answers instead.
    pub fn try_feed(&self, path: &str, headers: &[(&str, &str)]) -> Result<Feed, Answer> {
        // A feed may be read for longer than one request may take.
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(2 * PATIENCE));
        let mut request = self.show(ureq::Agent::from(config.build()).get(format!("{}{path}", self.url)));
        for (name, value) in [("accept", "text/event-stream")].iter().chain(headers) {
            request = request.header(*name, *value);
        }
        let response = request.call().expect("the host answers");
        if response.status() != 200 {
            return Err(answer(response).expect("the answer is complete"));
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let text = Box::new(BufReader::new(response.into_body().into_reader()));
        Ok(Feed { text, after_cr: false, id: String::new() })
    }

    /// Follows the log behind a position that was seen, as a browser does that lost its connection.
    pub fn resume(&self, path: &str, seen: u64) -> Feed {
        self.feed(path, &[("last-event-id", &seen.to_string())])
    }
}

impl Feed {
    /// The next event of the log, heartbeats passed over.
    pub fn event(&mut self) -> Said {
        self.next_that(|said| !said.is_heartbeat())
    }

    /// The next heartbeat, events passed over.
    pub fn heartbeat(&mut self) -> Said {
        self.next_that(Said::is_heartbeat)
    }

    fn next_that(&mut self, wanted: impl Fn(&Said) -> bool) -> Said {
        loop {
            let said = self.next().expect("the feed goes on").expect("the feed does not break off");
            if wanted(&said) {
                return said;
            }
        }
    }

    /// The next line without its end: LF, CR or both, as the standard has it. `None` where the text ends.
    fn line(&mut self) -> Result<Option<String>, Error> {
        let mut line = Vec::new();
        loop {
            let waiting = self.text.fill_buf()?;
            if waiting.is_empty() {
                return Ok(None);
            }
            if std::mem::take(&mut self.after_cr) && waiting[0] == b'\n' {
                self.text.consume(1);
                continue;
            }
            let Some(end) = waiting.iter().position(|byte| b"\r\n".contains(byte)) else {
                line.extend_from_slice(waiting);
                let length = waiting.len();
                self.text.consume(length);
                continue;
            };
            line.extend_from_slice(&waiting[..end]);
            self.after_cr = waiting[end] == b'\r';
            self.text.consume(end + 1);
            return Ok(Some(String::from_utf8(line).expect("a feed is UTF-8")));
        }
    }

    fn said(&mut self) -> Result<Option<Said>, Error> {
        let (mut name, mut data) = (String::new(), Vec::new());
        while let Some(line) = self.line()? {
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut name),
                "id" => value.clone_into(&mut self.id),
                "data" => data.push(value.to_owned()),
                "" if line.is_empty() && !data.is_empty() => {
                    return Ok(Some(Said { name, id: self.id.clone(), data: data.join("\n") }));
                }
                "" => {}
                _ => panic!("a feed has no field like {line:?}"),
            }
        }
        Ok(None)
    }
}

impl Iterator for Feed {
    type Item = Result<Said, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.said().transpose()
    }
}
