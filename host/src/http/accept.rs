//! What a reader wants an answer to be written as: the weights of `Accept` and `Accept-Encoding` (RFC 9110, 12.5.1 and 12.5.3).

use axum::http::{HeaderMap, HeaderName, header};

/// What an answer with events is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Laterna's own JSON.
    Json,
    /// CloudEvents.
    CloudEvents,
}

/// What a reader accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// A feed to follow, not a page.
    pub follows: bool,
    /// What its events are written as.
    pub format: Format,
}

impl Accepted {
    /// What these headers say: whatever weighs most. A feed and CloudEvents must be named; they win over JSON where they weigh as
    /// much. Where nothing is known of what is accepted, it is JSON.
    pub fn by(headers: &HeaderMap) -> Self {
        let ranges = Ranges::of(headers);
        let json = ranges.weight_of_json();
        let weight = |name| ranges.named(name).unwrap_or(0.0);
        let cloud_events = weight("application/cloudevents+json").max(weight("application/cloudevents-batch+json"));
        let feed = weight("text/event-stream");
        let is_cloud = cloud_events > 0.0 && cloud_events >= json;
        Self {
            follows: feed > 0.0 && feed >= json && feed >= cloud_events,
            format: if is_cloud { Format::CloudEvents } else { Format::Json },
        }
    }
}

/// Whether a reader wants an answer as gzip: they take it, and do not rather have it as it is.
pub fn prefers_gzip(headers: &HeaderMap) -> bool {
    let codings = Ranges::said_by(headers, &header::ACCEPT_ENCODING);
    let gzip = codings.named("gzip").or_else(|| codings.named("*")).unwrap_or(0.0);
    gzip > 0.0 && gzip >= codings.named("identity").unwrap_or(0.0)
}

/// The ranges of media types that a reader accepts, or the codings, each with its weight.
pub struct Ranges(Vec<(String, f32)>);

impl Ranges {
    /// The media types of these headers.
    pub fn of(headers: &HeaderMap) -> Self {
        Self::said_by(headers, &header::ACCEPT)
    }

    fn said_by(headers: &HeaderMap, name: &HeaderName) -> Self {
        let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
        Self(lines.flat_map(|line| line.split(',')).filter_map(range).collect())
    }

    /// The weight of the range of this name, where it is named.
    pub fn named(&self, name: &str) -> Option<f32> {
        self.0.iter().find(|(range, _)| range == name).map(|(_, weight)| *weight)
    }

    /// The weight of JSON, by the range that names it best.
    pub fn weight_of_json(&self) -> f32 {
        let weight = self.named("application/json").or_else(|| self.named("application/*"));
        weight.or_else(|| self.named("*/*")).unwrap_or(0.0)
    }
}

/// A range of media types or a coding, and its weight from 0 to 1. Parameters of the type itself are passed over.
fn range(text: &str) -> Option<(String, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
    let weight = parts.filter_map(|part| part.split_once('=')).find(|(key, _)| key.trim().eq_ignore_ascii_case("q"));
    let weight = weight.and_then(|(_, weight)| weight.trim().parse::<f32>().ok());
    Some((name, weight.filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn what_weighs_most_is_answered() {
        let page = |format| Accepted { follows: false, format };
        let feed = |format| Accepted { follows: true, format };
        for (accept, expected) in [
            ("", page(Format::Json)),
            ("*/*", page(Format::Json)),
            ("text/html", page(Format::Json)),
            ("application/json", page(Format::Json)),
            ("application/cloudevents+json", page(Format::CloudEvents)),
            ("Application/CloudEvents-Batch+JSON; charset=utf-8", page(Format::CloudEvents)),
            ("application/cloudevents+json;q=0", page(Format::Json)),
            ("application/cloudevents+json; q=0.000, */*", page(Format::Json)),
            ("application/cloudevents+json;q=0.4, application/json;q=0.5", page(Format::Json)),
            ("application/json;Q=0.5 , application/cloudevents+json ; q=0.6", page(Format::CloudEvents)),
            ("application/cloudevents+json, */*", page(Format::CloudEvents)),
            ("application/cloudevents+json;q=0.2, application/*;q=0.1, */*", page(Format::CloudEvents)),
            ("application/json;q=0, application/cloudevents+json;q=0.1, */*", page(Format::CloudEvents)),
            ("text/event-stream", feed(Format::Json)),
            ("text/event-stream, */*", feed(Format::Json)),
            ("text/event-stream;q=0, */*", page(Format::Json)),
            ("application/json, text/event-stream;q=0.9", page(Format::Json)),
            ("text/event-stream, application/cloudevents+json", feed(Format::CloudEvents)),
            ("text/event-stream, application/cloudevents+json;q=0.5", feed(Format::CloudEvents)),
            ("text/event-stream, application/json, application/cloudevents+json;q=0.5", feed(Format::Json)),
            ("text/event-stream;q=0.5, application/cloudevents+json", page(Format::CloudEvents)),
            (",;q=1,  text/event-stream;q=huge", feed(Format::Json)),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(Accepted::by(&headers), expected, "{accept}");
        }
        let mut headers = HeaderMap::new();
        assert_eq!(Accepted::by(&headers), page(Format::Json));
        headers.append(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.append(header::ACCEPT, HeaderValue::from_static("application/cloudevents+json"));
        assert_eq!(Accepted::by(&headers), feed(Format::CloudEvents));
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for (accept, expected) in [
            ("gzip", true),
            ("br, GZip;q=0.5", true),
            ("*", true),
            ("*;q=0.1, identity;q=0", true),
            ("identity, gzip", true),
            ("", false),
            ("br", false),
            ("identity", false),
            ("identity;q=0", false),
            ("*;q=0", false),
            ("gzip;q=0, *", false),
            ("gzip;q=0.5, identity", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accept));
            assert_eq!(prefers_gzip(&headers), expected, "{accept}");
        }
        assert!(!prefers_gzip(&HeaderMap::new()));
    }
}
