//! The values of options: parsed, checked, and refused with what was expected.

use std::ffi::OsString;
use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv6Addr};
use std::num::{NonZeroU16, NonZeroU32};
use std::str::FromStr;
use std::time::Duration;

use http_files::{Glob, InvalidGlob};
use http_server::ServerConfig;
use http_server::http_core::{FieldBlock, FieldName, FieldValue, Status, header};

/// `404=404.html`: the status of an error, and the path of its page below ROOT.
pub(super) fn error_page(text: &str) -> Result<(Status, OsString), String> {
    let (status, path) = text.split_once('=').ok_or("expected STATUS=FILE, e.g. 404=404.html")?;
    let status =
        number::<u16>(status).ok().filter(|code| (400..600).contains(code)).and_then(|code| Status::new(code).ok());
    let status = status.ok_or("expected a status from 400 to 599")?;
    Ok((status, below_root(path)?))
}

/// A path below ROOT. A slash at its start, as in a URL, is dropped.
pub(super) fn below_root(path: &str) -> Result<OsString, String> {
    match path.trim_start_matches('/') {
        path if path.is_empty() || path.split('/').any(|segment| segment == "..") => {
            Err("expected the path of a file below ROOT, without ..".into())
        }
        path => Ok(path.into()),
    }
}

/// `Name: value`. Headers that the server sets for each response or connection are refused.
pub(super) fn field(text: &str) -> Result<(String, String), String> {
    const SET_BY_SERVER: [FieldName<'static>; 8] = [
        header::ACCEPT_RANGES,
        header::ALLOW,
        header::CONTENT_ENCODING,
        header::CONTENT_RANGE,
        header::CONTENT_TYPE,
        header::ETAG,
        header::LAST_MODIFIED,
        header::LOCATION,
    ];
    let (given, text) = text.split_once(':').ok_or("expected NAME: VALUE, e.g. Referrer-Policy: no-referrer")?;
    let field = FieldName::new(given.as_bytes())
        .map_err(|_| "expected a name of letters, digits and hyphens before the colon")?;
    if SET_BY_SERVER.contains(&field) || FieldBlock::new().push(field, FieldValue::from_static("")).is_err() {
        return Err(format!("{given} is set by the server"));
    }
    Ok((given.to_owned(), value(text)?))
}

/// A value of `--cache-control`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CacheRule {
    pub(crate) glob: Glob,
    pub(crate) value: String,
    /// It is for the files for which there is no other rule.
    pub(crate) is_for_others: bool,
}

/// `/assets/*=max-age=3600`, or `max-age=3600` for all other files.
pub(super) fn cache_rule(text: &str) -> Result<CacheRule, String> {
    let is_for_others = !text.starts_with(['/', '*']);
    let (glob, value) = match text.split_once('=') {
        // No directive has these characters: it is a glob without its start.
        Some((glob, _)) if is_for_others && glob.contains(['/', '*', '.']) => (glob, ""),
        _ if is_for_others => ("*", text),
        Some((glob, value)) => (glob.trim_end(), value),
        None => return Err("expected GLOB=VALUE, e.g. /assets/*=max-age=3600".into()),
    };
    let glob = glob.parse().map_err(|error: InvalidGlob| error.to_string())?;
    Ok(CacheRule { glob, value: cache_control(value)?, is_for_others })
}

/// The directives of Cache-Control in responses (RFC 9111 section 5.2.2, RFC 5861, RFC 8246).
const DIRECTIVES: [&str; 13] = [
    "immutable",
    "max-age",
    "must-revalidate",
    "must-understand",
    "no-cache",
    "no-store",
    "no-transform",
    "private",
    "proxy-revalidate",
    "public",
    "s-maxage",
    "stale-if-error",
    "stale-while-revalidate",
];

/// Those of the directives that need a number of seconds.
const WITH_SECONDS: [&str; 4] = ["max-age", "s-maxage", "stale-if-error", "stale-while-revalidate"];

/// The value of Cache-Control. Caches ignore a directive that they do not know, so a mistake would be noticed late.
fn cache_control(text: &str) -> Result<String, String> {
    let text = value(text)?;
    let mut is_quoted = false;
    let directives = text.split(|c| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    for directive in directives.map(str::trim) {
        let (name, argument) = directive.split_once('=').map_or((directive, None), |(name, of)| (name, Some(of)));
        let lower = name.to_ascii_lowercase();
        let is_argument = |text: &str| is_token(text) || text.len() > 1 && text.starts_with('"') && text.ends_with('"');
        if !is_token(name) || !argument.is_none_or(is_argument) {
            return Err(format!("expected directives such as max-age=3600, separated by commas, not {directive:?}"));
        }
        if WITH_SECONDS.contains(&&*lower) && argument.is_none_or(|text| number::<u32>(text).is_err()) {
            return Err(format!("expected a number of seconds, such as {lower}=3600, not {directive:?}"));
        }
        let is_similar = |known: &&&str| strsim::damerau_levenshtein(known, &lower) <= 2;
        if let Some(known) = DIRECTIVES.iter().find(is_similar).filter(|_| !DIRECTIVES.contains(&&*lower)) {
            return Err(format!("unknown directive {name:?}: did you mean {known}?"));
        }
    }
    Ok(text)
}

/// The value of a header.
fn value(text: &str) -> Result<String, String> {
    let text = text.trim();
    match FieldValue::new(text.as_bytes()) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("expected one line without control characters".into()),
    }
}

/// `gmi=text/gemini`: a name or an extension, and its media type.
pub(super) fn media_type(text: &str) -> Result<(String, String), String> {
    let (name, of) = text.split_once('=').ok_or("expected NAME=TYPE, e.g. gmi=text/gemini")?;
    let name = name.trim_start_matches('.');
    let is_type = of
        .split_once('/')
        .is_some_and(|(main, sub)| is_token(main) && is_token(sub.split(';').next().unwrap_or("").trim_end()));
    match (name.is_empty() || name.contains('/'), is_type) {
        (true, _) => Err("expected the name of a file, or an extension, before the =".into()),
        (_, false) => Err("expected a media type after the =, e.g. text/gemini".into()),
        _ => Ok((name.to_owned(), value(of)?)),
    }
}

pub(super) fn charset(text: &str) -> Result<String, String> {
    match text {
        "none" => Ok(String::new()),
        text if is_token(text) => Ok(text.to_owned()),
        _ => Err("expected the name of a charset, e.g. utf-8, or none".into()),
    }
}

/// Whether it is a token of RFC 9110, like the name of a header.
fn is_token(text: &str) -> bool {
    FieldName::new(text.as_bytes()).is_ok()
}

/// A number that an option takes.
pub(super) trait Number: FromStr {
    const BOUNDS: (Self, Self);
}

macro_rules! numbers {
    ($($number:ty),*) => { $(impl Number for $number { const BOUNDS: (Self, Self) = (Self::MIN, Self::MAX); })* };
}

numbers!(u16, u32, u64, NonZeroU16, NonZeroU32);

/// A number of digits only: the standard library would also accept a sign.
pub(super) fn number<N: Number + Display>(text: &str) -> Result<N, String> {
    let number = text.parse().ok().filter(|_| text.bytes().all(|c| c.is_ascii_digit()));
    number.ok_or_else(|| format!("expected a number from {} to {}", N::BOUNDS.0, N::BOUNDS.1))
}

/// A number of threads.
pub(super) fn threads(text: &str) -> Result<NonZeroU16, String> {
    let max = ServerConfig::MAX_THREADS;
    let threads = number(text).ok().filter(|threads: &NonZeroU16| usize::from(threads.get()) <= max);
    threads.ok_or_else(|| format!("expected a number from 1 to {max}"))
}

/// What to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BindAddress {
    Ip(IpAddr),
    /// 127.0.0.1 and ::1.
    Localhost,
    /// An IPv6 address on the interface with this name or number, such as `fe80::1%eth0`.
    Scoped(Ipv6Addr, String),
}

/// As it is typed.
impl Display for BindAddress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            BindAddress::Ip(ip) => ip.fmt(f),
            BindAddress::Localhost => f.write_str("localhost"),
            BindAddress::Scoped(ip, interface) => write!(f, "{ip}%{interface}"),
        }
    }
}

/// `127.0.0.1`, `::1`, `[::1]`, `localhost` or `fe80::1%eth0`.
pub(super) fn bind_address(text: &str) -> Result<BindAddress, String> {
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(BindAddress::Localhost);
    }
    let address = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let scoped = address.split_once('%').filter(|(_, interface)| !interface.is_empty());
    match (address.parse(), scoped.map(|(ip, interface)| (ip.parse(), interface))) {
        (Ok(ip), _) => Ok(BindAddress::Ip(ip)),
        (_, Some((Ok(ip), interface))) => Ok(BindAddress::Scoped(ip, interface.into())),
        _ => Err(match text.rsplit_once(':') {
            Some((ip, port)) if number::<u16>(port).is_ok() && (ip.is_empty() || bind_address(ip).is_ok()) => {
                format!("expected an address without a port, which is an option of its own: --port {port}")
            }
            _ => "expected an IP address or localhost, e.g. 192.0.2.1, ::1 or fe80::1%eth0".into(),
        }),
    }
}

/// `127.0.0.1:9100`: an address and a port.
pub(super) fn address_and_port(text: &str) -> Result<(BindAddress, u16), String> {
    let parts = text.rsplit_once(':').filter(|(address, _)| address.starts_with('[') || !address.contains(':'));
    let parts = parts.and_then(|(address, port)| Some((bind_address(address).ok()?, number(port).ok()?)));
    parts.ok_or_else(|| "expected IP:PORT, e.g. 127.0.0.1:9100 or [::1]:9100".into())
}

/// Seconds from 0 to a day; decimals are allowed.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let plain = text.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    match text.parse() {
        Ok(seconds) if plain && (0.0..=86_400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("expected seconds from 0 to 86400, e.g. 10 or 0.5".into()),
    }
}

/// As [`seconds`], but not 0.
pub(super) fn some_seconds(text: &str) -> Result<Duration, String> {
    let some = seconds(text).ok().filter(|seconds| !seconds.is_zero());
    some.ok_or_else(|| "expected more than 0 seconds, up to 86400, e.g. 10 or 0.5".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_within_their_bounds() {
        assert_eq!((number("0"), number("65535")), (Ok(0_u16), Ok(u16::MAX)));
        for bad in ["", "-1", "+1", "1.0", " 1", "65536", "0x1"] {
            assert_eq!(number::<u16>(bad), Err("expected a number from 0 to 65535".into()), "{bad}");
        }
        assert_eq!(number::<NonZeroU32>("0"), Err("expected a number from 1 to 4294967295".into()));
    }

    // V31
    #[test]
    fn seconds_are_digits_with_at_most_one_point() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["", "-1", "+1", "1e3", "inf", "NaN", "86401", "1s", ".", "0x1"] {
            assert!(seconds(bad).is_err() && some_seconds(bad).is_err(), "{bad}");
        }
        assert!(seconds("0").is_ok() && some_seconds("0.0").is_err() && some_seconds("0.5").is_ok());
    }

    #[test]
    fn address_is_an_ip_or_localhost_or_has_an_interface() {
        let link_local = "fe80::1".parse().unwrap();
        for (text, expected) in [
            ("127.0.0.1", BindAddress::Ip([127, 0, 0, 1].into())),
            ("::1", BindAddress::Ip(Ipv6Addr::LOCALHOST.into())),
            ("[::1]", BindAddress::Ip(Ipv6Addr::LOCALHOST.into())),
            ("LocalHost", BindAddress::Localhost),
            ("fe80::1%eth0", BindAddress::Scoped(link_local, "eth0".into())),
            ("[fe80::1%2]", BindAddress::Scoped(link_local, "2".into())),
        ] {
            assert_eq!(bind_address(text), Ok(expected.clone()), "{text}");
            let with_port = if text.contains("::") && !text.contains('[') { format!("[{text}]") } else { text.into() };
            assert_eq!(address_and_port(&format!("{with_port}:80")), Ok((expected, 80)), "{text}");
        }
        for bad in ["", "*", "eth0", "fe80::1%", "127.0.0.1%eth0", "[::1", "localhost.", "300.0.0.1", "%eth0"] {
            assert!(bind_address(bad).is_err_and(|error| error.contains("or localhost")), "{bad}");
            assert!(address_and_port(bad).is_err(), "{bad}");
        }
        for with_port in ["127.0.0.1:8080", ":8080", "localhost:8080", "[::1]:8080"] {
            assert!(bind_address(with_port).is_err_and(|error| error.ends_with(": --port 8080")), "{with_port}");
        }
        for bad in ["::1:80", "127.0.0.1:", "127.0.0.1:+80", "127.0.0.1:65536", ":80", "9100"] {
            assert!(address_and_port(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn value_that_begins_with_a_slash_or_a_star_is_a_rule() {
        let rule = |text: &str| cache_rule(text).map(|rule| (rule.glob.to_string(), rule.value, rule.is_for_others));
        for (text, expected) in [
            (
                "/assets/*=public, max-age=31536000, immutable",
                ("/assets/*", "public, max-age=31536000, immutable", false),
            ),
            ("*.js = max-age=5", ("*.js", "max-age=5", false)),
            ("*=no-store", ("*", "no-store", false)),
            ("max-age=5,must-revalidate", ("*", "max-age=5,must-revalidate", true)),
            (" no-cache ", ("*", "no-cache", true)),
        ] {
            assert_eq!(rule(text), Ok((expected.0.into(), expected.1.into(), expected.2)), "{text}");
        }
    }

    #[test]
    fn glob_without_its_start_is_not_taken_for_a_directive() {
        for text in ["assets/*=no-store", "index.html=no-cache", "a*=public", "./a=public", "https://a/*=public"] {
            assert_eq!(cache_rule(text), Err(InvalidGlob::Start.to_string()), "{text}");
        }
        assert!(cache_rule("private=\"a.b/*\", max-age=5").is_ok());
    }

    #[test]
    fn directives_are_checked_and_similar_ones_suggested() {
        for good in [
            "no-store",
            "Public, MAX-AGE=0",
            "private=\"set-cookie, x\", no-cache=\"a\"",
            "s-maxage=10, stale-while-revalidate=60, stale-if-error=60, proxy-revalidate",
            "max-age=60, some-extension=\"a\", other=b",
        ] {
            assert_eq!(cache_control(good), Ok(good.into()));
        }
        for (bad, message) in [
            ("", "not \"\""),
            ("public,", "not \"\""),
            ("public;max-age=5", "separated by commas, not \"public;max-age=5\""),
            ("max-age 5", "not \"max-age 5\""),
            ("max-age: 5", "not \"max-age: 5\""),
            ("max-age=", "not \"max-age=\""),
            ("private=\"a", "not \"private=\\\"a\""),
            ("a\r\nb", "without control characters"),
            ("max-age", "a number of seconds, such as max-age=3600, not \"max-age\""),
            ("max-age=1h", "not \"max-age=1h\""),
            ("max-age=-1", "not \"max-age=-1\""),
            ("S-MaxAge=x", "such as s-maxage=3600"),
            ("nocache", "unknown directive \"nocache\": did you mean no-cache?"),
            ("public, imutable", "did you mean immutable?"),
            ("No_Store", "did you mean no-store?"),
            ("maxage=5", "did you mean max-age?"),
        ] {
            let error = cache_control(bad).unwrap_err();
            assert!(error.contains(message), "{bad}: {error}");
        }
    }

    // V14: what goes into a response head is checked before the first response.
    #[test]
    fn headers_types_and_error_pages_are_checked_at_startup() {
        assert_eq!(field("X-A:  b c "), Ok(("X-A".into(), "b c".into())));
        for bad in [
            "X",
            "X y: z",
            ": z",
            "X: a\r\nb: c",
            "X: \0",
            "Content-Length: 1",
            "date: x",
            "ETag: x",
            "Connection: close",
        ] {
            assert!(field(bad).is_err(), "{bad:?}");
        }
        assert_eq!(media_type(".gmi=text/gemini; lang=en"), Ok(("gmi".into(), "text/gemini; lang=en".into())));
        assert_eq!(media_type("go.mod=text/plain"), Ok(("go.mod".into(), "text/plain".into())));
        for bad in ["gmi", "=a/b", ".=a/b", "a=b", "a=/b", "a=b/", "a/b=c/d", "a=b/c\r\nd", "a=b c/d"] {
            assert!(media_type(bad).is_err(), "{bad:?}");
        }
        assert_eq!(error_page("404=/404.html"), Ok((Status::NOT_FOUND, "404.html".into())));
        for bad in ["404", "404=", "404=/", "200=a", "600=a", "=a", "4o4=a", "+404=a", "404=../a"] {
            assert!(error_page(bad).is_err(), "{bad:?}");
        }
        assert_eq!((charset("none"), charset("koi8-r")), (Ok(String::new()), Ok("koi8-r".into())));
        assert!(charset("a b").is_err() && charset("").is_err());
    }
}
