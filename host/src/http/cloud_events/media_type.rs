//! The media type of an event's data, and what it says about it.

use mediatype::{MediaType, ReadParams, names};

/// Whether a text is a media type (RFC 2046), with or without parameters.
pub fn is_media_type(text: &str) -> bool {
    // What reads it takes ranges and unfinished parameters, too.
    let whole = !text.trim_end().ends_with([';', '=']) && text.trim() == text;
    whole && MediaType::parse(text).is_ok_and(|media| media.ty != "*" && media.subty != "*")
}

/// Whether data of this type is JSON: its subtype is `json`, or ends with `+json`. Without a type it is.
pub fn is_json(content_type: &str) -> bool {
    let essence = essence(content_type);
    essence.is_empty() || essence.ends_with("/json") || essence.ends_with("+json")
}

/// The type as the log has it: empty where it says no more than that the data is JSON.
pub fn stored(content_type: String) -> String {
    if content_type.eq_ignore_ascii_case("application/json") { String::new() } else { content_type }
}

/// Whether data of this type is text that can be looked at as UTF-8.
pub fn is_text(content_type: &str) -> bool {
    essence(content_type).starts_with("text/") && is_utf_8(content_type)
}

/// Whether a type says nothing else than that texts are UTF-8. ASCII is.
pub fn is_utf_8(content_type: &str) -> bool {
    let Ok(media) = MediaType::parse(content_type) else {
        return true;
    };
    let charset = media.get_param(names::CHARSET).map(|charset| charset.unquoted_str().to_ascii_lowercase());
    charset.is_none_or(|charset| charset == "utf-8" || charset == "us-ascii")
}

/// A type without its parameters.
pub fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_a_type_and_a_subtype() {
        for text in [
            "text/plain",
            "application/vnd.shop.order+json",
            "text/plain; charset=utf-8",
            "text/plain ;charset=\"utf-8\"",
            "multipart/mixed; boundary=\"a;b=c\"; x=y",
        ] {
            assert!(is_media_type(text), "{text}");
        }
        for text in [
            "",
            "json",
            "text/",
            "/plain",
            "*/*",
            "text/*",
            "text/plain;",
            "text/plain; charset",
            "text/plain; charset=",
            "text/plain, text/html",
            "text/pl ain",
            " text/plain",
            "tëxt/plain",
        ] {
            assert!(!is_media_type(text), "{text}");
        }
    }

    #[test]
    fn json_is_told_by_the_end_of_the_subtype() {
        for text in ["", "application/json", "text/JSON; charset=utf-8", "application/vnd.shop+json", "a/b+c+json"] {
            assert!(is_json(text), "{text}");
        }
        for text in ["application/jsonl", "application/json-seq", "text/plain; x=a/json", "application/vnd.json.x"] {
            assert!(!is_json(text), "{text}");
        }
    }
}
