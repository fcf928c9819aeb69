//! URLs as people type them. `http_core::HttpUrl` decides what a URL is.

use http_core::{FieldValue, HttpUrl, UrlError};

use crate::connect::Endpoint;

/// A URL, and what is needed to reach its server but never sent to it.
#[derive(Clone, Debug)]
pub(crate) struct Url {
    pub(crate) http: HttpUrl,
    /// The zone of a link-local IPv6 address, such as `eth0` (RFC 6874).
    zone: Option<String>,
}

impl Url {
    /// Reads a URL as browsers read what is typed: blanks around it are dropped, those in it are percent-encoded, and dot
    /// segments are removed.
    pub(crate) fn parse(text: &str) -> Result<Url, UrlError> {
        let (text, zone) = without_zone(text.trim_matches(|c: char| c.is_ascii_whitespace()));
        let http = HttpUrl::parse(text)?;
        // An absolute reference to itself: only the dot segments change.
        let reference = FieldValue::new(http.as_str().as_bytes());
        let http = reference.map_or(Ok(http.clone()), |reference| http.resolve(reference))?;
        Ok(Url { http, zone })
    }

    /// Where a redirect leads. The zone is kept as long as the server is the same.
    pub(crate) fn redirected(&self, http: HttpUrl) -> Url {
        let zone = self.zone.clone().filter(|_| http.origin() == self.http.origin());
        Url { http, zone }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        let (host, port) = self.http.authority().endpoint();
        let host = self.zone.as_ref().map_or(host.to_owned(), |zone| format!("{host}%{zone}"));
        Endpoint { host, port }
    }
}

/// Takes the zone out of an IPv6 address in brackets: `[fe80::1%25eth0]`, or as people type it, `[fe80::1%eth0]`.
fn without_zone(text: &str) -> (String, Option<String>) {
    let found = || {
        let host = text.find("://")? + 3;
        let rest = text[host..].strip_prefix('[')?;
        let (address, _) = rest.split_once(']')?;
        let (address, zone) = address.split_once('%')?;
        let zone = zone.strip_prefix("25").filter(|zone| !zone.is_empty()).unwrap_or(zone);
        let after = &rest[rest.find(']')?..];
        (!zone.is_empty()).then(|| (format!("{}[{address}{after}", &text[..host]), Some(zone.to_owned())))
    };
    found().unwrap_or_else(|| (text.to_owned(), None))
}
