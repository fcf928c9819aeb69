//! URLs, against the tables of RFC 3986, and what resolving always gives.

use super::*;
use alloc::format;
use proptest::prelude::*;

fn resolve(base: &str, reference: &[u8]) -> Result<String, UrlError> {
    let host = Authority::new(b"host.of.the.request").unwrap();
    let base = HttpUrl::of_request(host, Target::new(base.as_bytes()).unwrap());
    let url = base.resolve(reference)?;
    assert_eq!(Target::new(url.as_str().as_bytes()), Ok(url.target()));
    assert_eq!(url.target().authority(), Some(url.authority()));
    assert_eq!((format!("{url}"), format!("{url:?}")), (url.text.clone(), format!("{:?}", url.text)));
    Ok(url.text)
}

// R9110-10.2.2: the examples of RFC 3986 §5.4 that are http and need no query in their path.
#[test]
fn references_resolve_as_in_rfc_3986() {
    for (reference, expected) in [
        ("g", "/b/c/g"),
        ("./g", "/b/c/g"),
        ("g/", "/b/c/g/"),
        ("/g", "/g"),
        ("?y", "/b/c/d;p?y"),
        ("g?y", "/b/c/g?y"),
        ("#s", "/b/c/d;p?q"),
        ("g#s", "/b/c/g"),
        ("g?y#s", "/b/c/g?y"),
        (";x", "/b/c/;x"),
        ("g;x", "/b/c/g;x"),
        ("g;x?y#s", "/b/c/g;x?y"),
        ("", "/b/c/d;p?q"),
        (".", "/b/c/"),
        ("./", "/b/c/"),
        ("..", "/b/"),
        ("../", "/b/"),
        ("../g", "/b/g"),
        ("../..", "/"),
        ("../../", "/"),
        ("../../g", "/g"),
        ("../../../g", "/g"),
        ("../../../../g", "/g"),
        ("/./g", "/g"),
        ("/../g", "/g"),
        ("g.", "/b/c/g."),
        (".g", "/b/c/.g"),
        ("g..", "/b/c/g.."),
        ("..g", "/b/c/..g"),
        ("./../g", "/b/g"),
        ("./g/.", "/b/c/g/"),
        ("g/./h", "/b/c/g/h"),
        ("g/../h", "/b/c/h"),
        ("g;x=1/./y", "/b/c/g;x=1/y"),
        ("g;x=1/../y", "/b/c/y"),
        ("g?y/./x", "/b/c/g?y/./x"),
        ("g?y/../x", "/b/c/g?y/../x"),
        ("g#s/../x", "/b/c/g"),
    ] {
        assert_eq!(resolve("http://a/b/c/d;p?q", reference.as_bytes()), Ok(format!("http://a{expected}")));
    }
}

// R9110-10.2.2, R1945-3.2.1, R1945-3.2.2, R1945-5.1.2a, R1945-10.13, R9110-4.2.1, R9110-4.2.4, D13
#[test]
fn reference_resolves_to_an_http_url_or_is_an_error() {
    use UrlError::{Authority, Https, Scheme, TooLong};
    let long = "a".repeat(HttpUrl::MAX_LENGTH);
    for (base, reference, expected) in [
        // From the base.
        ("/a/b?c", "", Ok("http://host.of.the.request/a/b?c")),
        ("/a/b?c", "?", Ok("http://host.of.the.request/a/b?")),
        ("/a/b?c/d", "x/../y", Ok("http://host.of.the.request/a/y")),
        ("/a/b", " \tx y\r\n ", Ok("http://host.of.the.request/a/x%20y%0D%0A")),
        ("*", "x", Ok("http://host.of.the.request/x")),
        ("*", "?q", Ok("http://host.of.the.request/?q")),
        ("http://h", "x", Ok("http://h/x")),
        ("http://h?q", "#f", Ok("http://h/?q")),
        ("http://h:81/a/", "..", Ok("http://h:81/")),
        // Another host.
        ("/a", "//H", Ok("http://H/")),
        ("/a", "//h:8080?q", Ok("http://h:8080/?q")),
        ("/a", "//[::1]/x/./y", Ok("http://[::1]/x/y")),
        ("/a", "HTTP://h/x#y?z", Ok("http://h/x")),
        ("/a", "http://h:/%41/..", Ok("http://h/")),
        ("/a", "//h:80", Ok("http://h/")),
        ("http://h:80/a", "b", Ok("http://h/b")),
        ("/a", "///x", Err(Authority)),
        ("/a", "http:///x", Err(Authority)),
        ("/a", "http:x", Err(Authority)),
        ("/a", "http:", Err(Authority)),
        ("/a", "http:/x", Err(Authority)),
        ("/a", "//u@h/", Err(Authority)),
        ("/a", "//u:p@h/", Err(Authority)),
        ("/a", "//h:65536/", Err(Authority)),
        ("/a", "//h:0/", Err(Authority)),
        ("/a", "//[v1.h]/", Err(Authority)),
        ("/a", "//h:8x/", Err(Authority)),
        ("/a", "//h h/", Err(Authority)),
        ("/a", "//caf\u{e9}/", Err(Authority)),
        ("/a", "//h\\@i/", Err(Authority)),
        ("/a", "//h%2fi/", Err(Authority)),
        // Another scheme, or an invalid one.
        ("/a", "https://h/", Err(Https)),
        ("/a", "HTTPS://h/", Err(Https)),
        ("/a", "file:///etc/passwd", Err(Scheme)),
        ("/a", "javascript:alert(1)", Err(Scheme)),
        ("/a", "h:80/x", Err(Scheme)),
        ("/a", ":x", Err(Scheme)),
        ("/a", " http ://h/", Err(Scheme)),
        ("/a", "./h:80", Ok("http://host.of.the.request/h:80")),
        ("/a", "?x:y", Ok("http://host.of.the.request/a?x:y")),
        // Bytes that no URL may hold. None of them becomes a slash, a host or a line.
        ("/a", "/b c\t\"<>\u{e9}", Ok("http://host.of.the.request/b%20c%09%22%3C%3E%C3%A9")),
        ("/a", "/%zz%4%41%", Ok("http://host.of.the.request/%25zz%254%41%25")),
        ("/a", "/\\h/..\\x?\\", Ok("http://host.of.the.request/%5Ch/..%5Cx?%5C")),
        ("/a", "\\\\h/x", Ok("http://host.of.the.request/%5C%5Ch/x")),
        ("/a", "/%0d%0aX:%20y", Ok("http://host.of.the.request/%0d%0aX:%20y")),
        ("/a", "/.//h/x", Ok("http://host.of.the.request//h/x")),
        ("/a", "/%2e%2e/x", Ok("http://host.of.the.request/%2e%2e/x")),
        ("/a", &long, Err(TooLong)),
    ] {
        assert_eq!(resolve(base, reference.as_bytes()).as_deref(), expected.as_ref().map(|url| *url), "{reference}");
    }
    // The limit is that of the URL.
    let host = "http://h/";
    let longest = resolve(host, &long.as_bytes()[host.len()..]).unwrap();
    assert_eq!((longest.len(), resolve(host, &long.as_bytes()[host.len() - 1..])), (8192, Err(TooLong)));
}

// R1945-11b
#[test]
fn another_host_or_port_is_another_origin() {
    for (asked, reference, host, port, leaves) in [
        ("h", "/x", "h", 80, false),
        ("h", "//H:80/x", "H", 80, false),
        ("h:80", "http://h/", "h", 80, false),
        ("h:", "//h/", "h", 80, false),
        ("h:81", "x", "h", 81, false),
        ("[::1]:81", "//[::1]:81", "[::1]", 81, false),
        ("h:81", "//h/", "h", 80, true),
        ("h", "//h:81/", "h", 81, true),
        ("h", "//h.evil.example/", "h.evil.example", 80, true),
        ("h", "//www.h/", "www.h", 80, true),
        ("[::1]", "//[0::1]/", "[0::1]", 80, true),
    ] {
        let asked = HttpUrl::of_request(Authority::new(asked.as_bytes()).unwrap(), Target::new(b"/a").unwrap());
        let url = asked.resolve(reference).unwrap();
        let got = (url.host(), url.port(), url.origin() != asked.origin());
        assert_eq!(got, (host, port, leaves), "{asked} {reference}");
    }
    // The origin of an absolute-form is its own host, not the proxy.
    let asked = HttpUrl::of_request(Authority::new(b"proxy").unwrap(), Target::new(b"http://h/").unwrap());
    let leaves = |to| asked.resolve(to).unwrap().origin() != asked.origin();
    assert_eq!((leaves("/"), leaves("//h"), leaves("//proxy")), (false, false, true));
}

// R1945-3.2.1, R1945-3.2.2, R1945-5.1.2a, R1945-10.13, R9110-4.2.1, R9110-4.2.4, R9112-11.1
#[test]
fn parsed_url_can_be_requested() {
    use UrlError::{Authority, Https, Scheme, TooLong};
    let long = format!("http://h/{}", "a".repeat(HttpUrl::MAX_LENGTH));
    for (text, expected) in [
        ("http://h", Ok(("http://h/", "h", 80))),
        ("HTTP://H:/", Ok(("http://H/", "H", 80))),
        ("http://h:80/", Ok(("http://h/", "h", 80))),
        ("http://h:080/", Ok(("http://h/", "h", 80))),
        ("http://h:6789?q", Ok(("http://h:6789/?q", "h", 6789))),
        ("http://[::1]/a", Ok(("http://[::1]/a", "[::1]", 80))),
        ("http://127.0.0.1:1/a#b", Ok(("http://127.0.0.1:1/a", "127.0.0.1", 1))),
        ("http://h/ab \"<>\\^`{|}[]\u{e9}", Ok(("http://h/ab%20%22%3C%3E%5C^`{|}[]%C3%A9", "h", 80))),
        ("http://h/%41%zz%", Ok(("http://h/%41%25zz%25", "h", 80))),
        ("http://h?%0d%0aX:+y", Ok(("http://h/?%0d%0aX:+y", "h", 80))),
        ("http://h/a\r\nX: y", Ok(("http://h/a%0D%0AX:%20y", "h", 80))),
        ("http://h/../a%2Fb", Ok(("http://h/../a%2Fb", "h", 80))),
        ("https://h/", Err(Https)),
        ("ftp://h/", Err(Scheme)),
        ("file:///etc/passwd", Err(Scheme)),
        ("h/a", Err(Scheme)),
        ("", Err(Scheme)),
        ("http:/h/", Err(Scheme)),
        ("http:///a", Err(Authority)),
        ("http://:80/a", Err(Authority)),
        ("http://user:password@h/", Err(Authority)),
        ("http://h\r\nX: y/", Err(Authority)),
        ("http://h h/", Err(Authority)),
        ("http://::1/", Err(Authority)),
        ("http://h:+80/", Err(Authority)),
        ("http://h:65536/", Err(Authority)),
        ("http://h:0/", Err(Authority)),
        ("http://[v1.example.org]/", Err(Authority)), // R3986-3.2.2
        (&long, Err(TooLong)),
    ] {
        let url = text.parse::<HttpUrl>();
        assert_eq!(HttpUrl::try_from(text.as_bytes()), url);
        let got = url.as_ref().map(|url| (url.as_str(), url.host(), url.port())).map_err(|error| *error);
        assert_eq!(got, expected, "{text:?}");
        if let Ok(url) = &url {
            assert_eq!(Target::new(url.as_str().as_bytes()), Ok(url.target()));
            assert_eq!(HttpUrl::parse(url.as_str()).as_ref(), Ok(url), "parsing a URL again changes nothing");
        }
    }
}

// R1945-3.2.1, R9112-11.1
#[test]
fn parts_are_encoded_or_refused() {
    for (host, file, expected) in [
        ("h", &b"a.html"[..], Ok("http://h:81/a.html")),
        ("h", b"/a?b#c", Ok("http://h:81/a?b%23c")),
        ("h", b"", Ok("http://h:81/")),
        ("h", b"?a", Ok("http://h:81/?a")),
        ("h", b"a?HTTP/1.0\r\nX: y\0\xff", Ok("http://h:81/a?HTTP/1.0%0D%0AX:%20y%00%FF")),
        ("h", b"a\r\n", Ok("http://h:81/a%0D%0A")),
        ("::1", b"a", Ok("http://[::1]:81/a")),
        ("[::1]", b"a", Ok("http://[::1]:81/a")),
        ("h:80", b"a", Err(UrlError::Authority)),
        ("", b"a", Err(UrlError::Authority)),
        ("[::1", b"a", Err(UrlError::Authority)),
        ("h\r\nX:y", b"a", Err(UrlError::Authority)),
    ] {
        let url = HttpUrl::from_parts(host, 81, file);
        assert_eq!(url.as_ref().map(HttpUrl::as_str).map_err(|error| *error), expected, "{host:?}");
    }
    assert_eq!(HttpUrl::from_parts("h", 0, b""), Err(UrlError::Authority));
    assert_eq!(HttpUrl::from_parts("h", 80, b"").unwrap().as_str(), "http://h/");
}

proptest! {
    // A resolved URL is a target, has no fragment, and has dot segments only if its base had them.
    #[test]
    fn resolved_url_is_a_target(base in "/[a-c./?]{0,12}", reference in "[a-c./?#:%\\\\ \u{e9}]{0,24}|//[a-c]/.*") {
        let base = HttpUrl::of_request(Authority::new(b"h").unwrap(), Target::new(base.as_bytes()).unwrap());
        if let Ok(url) = base.resolve(&reference) {
            prop_assert_eq!(Target::new(url.as_str().as_bytes()), Ok(url.target()));
            prop_assert_eq!(url.target().form(), TargetForm::Absolute);
            let has_dots = url.target().raw_path().split('/').any(|segment| segment == "." || segment == "..");
            prop_assert!(!has_dots || url.target().raw_path() == base.target().raw_path());
            // Resolving the result again changes nothing.
            let again = base.resolve(url.as_str());
            prop_assert!(has_dots || again == Ok(url));
        }
    }
}
