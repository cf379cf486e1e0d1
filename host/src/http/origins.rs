//! The origins whose pages may ask from a browser, by CORS.

use axum::http::{HeaderValue, Uri};

/// The origins whose pages may ask from a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// These. Their pages are as good as this host's own, also where nobody has to show a token.
    These(Vec<HeaderValue>),
    /// All. What lets somebody in is their token alone, so this is only for hosts where everybody has to show one.
    Any,
}

impl Origins {
    /// Reads them as an operator writes them.
    ///
    /// # Errors
    /// One of them is no origin as browsers write it, or `*` stands among others.
    pub fn parse(origins: &[String]) -> Result<Self, String> {
        if origins.len() == 1 && origins[0] == "*" {
            return Ok(Self::Any);
        }
        let origins = origins.iter().map(|origin| {
            origin_of(origin).ok_or_else(|| {
                format!("`cors_origins` names `{origin}`: write origins as browsers do, such as https://app.example or http://localhost:3000, or `*` alone")
            })
        });
        origins.collect::<Result<_, _>>().map(Self::These)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::These(origins) if origins.is_empty())
    }

    /// Whether this one is named.
    #[must_use]
    pub fn name(&self, origin: &HeaderValue) -> bool {
        matches!(self, Self::These(origins) if origins.contains(origin))
    }
}

/// A scheme, a host and perhaps a port, in lower case, and nothing else: compared letter by letter with what browsers send.
fn origin_of(text: &str) -> Option<HeaderValue> {
    let uri: Uri = text.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?.as_str());
    let is_exact = text == format!("{scheme}://{authority}") && text == text.to_ascii_lowercase();
    let is_plain = !authority.contains('@') && !uri.host()?.is_empty();
    (is_exact && is_plain).then(|| HeaderValue::from_str(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(origins: &[&str]) -> Result<Origins, String> {
        Origins::parse(&origins.iter().map(|&origin| origin.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn origins_are_taken_as_browsers_write_them() {
        for fit in ["https://app.example", "http://localhost:3000", "http://127.0.0.1:8080", "http://[::1]:3000"] {
            let origins = parse(&[fit]).expect("it is one");
            assert!(origins.name(&HeaderValue::from_str(fit).expect("a header")), "{fit}");
        }
        for unfit in [
            "app.example",
            "https://app.example/",
            "https://App.example",
            "https://a@b.example",
            "null",
            "",
            "https://",
        ] {
            assert!(parse(&[unfit]).is_err(), "{unfit}");
        }
        assert_eq!(parse(&["*"]), Ok(Origins::Any));
        assert!(parse(&["*", "https://app.example"]).is_err());
        assert!(parse(&[]).expect("none are some").is_empty());
    }
}
