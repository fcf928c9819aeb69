//! Families of values for the functions over values: only the function is counted, not how its input is received.

use std::hint::black_box;

use http_core::auth::{Basic, ProtectionSpace, challenges, constant_time_eq};
use http_core::conditional::{EntityTag, Validators, evaluate, if_range_holds};
use http_core::expires::is_expired;
use http_core::negotiate::content_coding;
use http_core::server::{Response, ResponseBody};
use http_core::{
    Authority, Date, FieldBlock, FieldName, FieldValue, Fields, HttpUrl, Limits, Method, Origin, Path, Status, Target,
    Version, client, header, percent_encode, range, redirect, server,
};

use crate::receiving::{LINES, limits};
use crate::{Family, HEAD, Input, LINE, counted, fill};

pub(crate) fn families(factor: usize) -> Vec<Family> {
    let limits = limits(factor);
    let mut all = Vec::new();
    values(&mut all);
    targets(&mut all);
    lists(&mut all, limits);
    heads(&mut all, limits);
    all
}

/// Functions that take the bytes themselves.
fn values(all: &mut Vec<Family>) {
    let mut add = |name: &str, input: Input, work: fn(&str)| {
        all.push(Family::new(name, 8 * LINE, move |n| {
            let input = input(n);
            counted(&mut || work(&input));
        }));
    };
    add("FieldValue: blanks", |n| fill(n, " \t"), |s| use_up(FieldValue::new(s.as_bytes())));
    add(
        "FieldValue: blanks around",
        |n| format!("{}a{}", fill(n / 2, " "), fill(n / 2, "\t")),
        |s| use_up(FieldValue::new(s.as_bytes())),
    );
    add("FieldName", |n| fill(n, "a"), |s| use_up(FieldName::new(s.as_bytes())));
    add("Method", |n| fill(n, "A"), |s| use_up(Method::new(s.as_bytes())));

    let date: fn(&str) = |s| use_up(Date::parse(s.as_bytes(), now()));
    add("Date: digits", |n| format!("Sun, 06 Nov 1994{} 08:49:37 GMT", fill(n, "0")), date);
    add("Date: blanks", |n| format!("Sun Nov {}6 08:49:37 1994", fill(n, " ")), date);
    add("Date: weekday", |n| format!("Sun{}, 06-Nov-94 08:49:37 GMT", fill(n, "day")), date);
    add("Date: several", |n| fill(n, "Sun, 06 Nov 1994 08:49:37 GMT, "), date);

    let ranges: fn(&str) = |s| use_up(range::parse(s.as_bytes(), 1000));
    add("range: digits", |n| format!("bytes={}-{}", fill(n / 2, "0"), fill(n / 2, "9")), ranges);
    add("range: commas", |n| format!("bytes=1-2{}", fill(n, ", ")), ranges);
    add("range: ranges", |n| format!("bytes={}1-2", fill(n, "1-,")), ranges);
    add("range: dashes", |n| format!("bytes={}", fill(n, "-")), ranges);
    add("range: blanks", |n| format!("bytes=1-2,{}3-4", fill(n, " \t")), ranges);

    let tag: fn(&str) = |s| use_up(EntityTag::parse(s.as_bytes()));
    add("EntityTag", |n| format!("\"{}\"", fill(n, "a")), tag);
    add("EntityTag: no end", |n| format!("W/\"{}", fill(n, "a")), tag);
    add("EntityTag: quotes", |n| fill(n, "\""), tag);

    let basic: fn(&str) = |s| {
        if let Ok(credentials) = black_box(Basic::try_from(s)) {
            let mut value = Vec::new();
            credentials.append_to(&mut value);
            assert_eq!(value.len(), "Basic ".len() + s.trim_start_matches("Basic").trim().len());
        }
    };
    add("Basic: base64", |n| format!("Basic OmFh{}", fill(n, "OmFh")), basic);
    add("Basic: blanks", |n| format!("Basic {}OmFh", fill(n, " ")), basic);
    add("Basic: padding", |n| format!("Basic OmFh{}", fill(n, "=")), basic);
    add(
        "constant_time_eq",
        |n| fill(n, "a"),
        |s| use_up(constant_time_eq(black_box(s.as_bytes()), black_box(s.as_bytes()))),
    );
    add("percent_encode", |n| fill(n, "%/"), |s| percent_encode(s.as_bytes(), &mut String::new()));

    let authority: fn(&str) = |s| {
        if let Ok(authority) = black_box(Authority::new(s.as_bytes())) {
            use_up((authority.endpoint(), Origin::new(authority), ProtectionSpace::new(authority, s.as_bytes())));
        }
    };
    add("Authority: name", |n| format!("{}a:80", fill(n, "A.")), authority);
    add("Authority: port", |n| format!("a:{}80", fill(n, "0")), authority);
    add("Authority: colons", |n| format!("a{}", fill(n, ":")), authority);
    add("Authority: address", |n| format!("[{}]", fill(n, "0:")), authority);
    add("Authority: brackets", |n| fill(n, "[]"), authority);
}

/// Paths, targets and URLs.
fn targets(all: &mut Vec<Family>) {
    const PATHS: [(&str, Input); 10] = [
        ("letters", |n| fill(n, "a")),
        ("slashes", |n| fill(n, "/")),
        ("dots", |n| fill(n, ".")),
        ("percent signs", |n| fill(n, "%41")),
        ("dot segments", |n| fill(n, "./")),
        ("segments and dot segments", |n| fill(n / 2, "a./") + &fill(n / 2, "../")),
        ("a long segment and dot segments", |n| format!("{}/{}", fill(n / 2, "a"), fill(n / 2, "../b/"))),
        ("encoded dot segments", |n| fill(n, "a/%2e%2E/")),
        ("question marks", |n| fill(n, "?")),
        ("incomplete encodings", |n| fill(n, "%4")),
    ];
    for (name, path) in PATHS {
        let mut add = |function: &str, work: fn(&str)| {
            all.push(Family::new(format!("{function}: {name}"), LINE, move |n| {
                let input = format!("/{}", path(n));
                counted(&mut || work(&input));
            }));
        };
        add("Path", |s| {
            if let Ok(path) = black_box(Path::new(s.as_bytes())) {
                let mut relative = Vec::new();
                path.decode_to(&mut relative);
                use_up((path.decoded(), path.is_directory(), relative));
            }
        });
        add("Target", |s| {
            if let Ok(target) = black_box(Target::new(s.as_bytes())) {
                use_up((target.raw_path(), target.query(), target.as_str(), target.authority()));
            }
        });
        add("HttpUrl", |s| {
            let url = HttpUrl::parse(["http://a", s].concat());
            if let Ok(url) = black_box(url) {
                use_up((url.origin(), url.target().query(), url.port()));
            }
        });
        add("HttpUrl::from_parts", |s| use_up(HttpUrl::from_parts("a", 80, s.as_bytes())));
        add("HttpUrl::resolve", |s| {
            // Relative to a long path, absolute, and with a host.
            if let Ok(base) = HttpUrl::parse(["http://a", s].concat()) {
                for reference in [&s[1..], s, &["//a", s].concat(), &["http:", &s[1..]].concat()] {
                    use_up(base.resolve(FieldValue::new(reference.as_bytes()).unwrap()));
                }
            }
        });
    }
    let resolve = |reference: Input| {
        move |n| {
            let (base, reference) = (HttpUrl::parse("http://a/b").unwrap(), reference(n));
            let reference = FieldValue::new(reference.as_bytes()).unwrap();
            counted(&mut || use_up(base.resolve(reference)));
        }
    };
    all.push(Family::new("HttpUrl::resolve: colons", LINE, resolve(|n| fill(n, ":"))));
    all.push(Family::new("HttpUrl::resolve: number signs", LINE, resolve(|n| fill(n, "#"))));
    all.push(Family::new("HttpUrl::resolve: bytes to encode", LINE / 3, resolve(|n| fill(n, "\\ "))));
    all.push(Family::new("HttpUrl::resolve: scheme", LINE, resolve(|n| fill(n, "a") + "://a")));
}

/// Headers that are lists, each as one line and as many.
fn lists(all: &mut Vec<Family>, limits: Limits) {
    type List = (&'static str, &'static str, &'static str, fn(&Fields<'_>));
    let tags: fn(&Fields<'_>) = |fields| {
        let validators = Validators { etag: EntityTag::parse(b"\"z\"").ok(), last_modified: None };
        use_up((evaluate(Method::Get, fields, &validators, now()), if_range_holds(fields, &validators, now())));
    };
    let coding: fn(&Fields<'_>) = |fields| use_up(content_coding(fields, &["br", "zstd", "gzip"]));
    let login: fn(&Fields<'_>) = |fields| {
        for challenge in challenges(fields) {
            use_up((challenge.scheme(), challenge.realm(), challenge.is_basic()));
        }
    };
    let tokens: fn(&Fields<'_>) = |fields| {
        use_up((fields.tokens(header::VARY).count(), fields.only(header::VARY), fields.get(header::VIA)));
    };
    let dates: fn(&Fields<'_>) = |fields| {
        let validators = Validators { etag: None, last_modified: Date::from_unix(0) };
        use_up(evaluate(Method::Get, fields, &validators, now()));
        use_up((is_expired(fields, now()), if_range_holds(fields, &validators, now())));
    };
    let lists: &[List] = &[
        ("If-None-Match", "entity tags", "\"a\",", tags),
        ("If-None-Match", "tags and a star", "*,", tags),
        ("If-None-Match", "weak tags and blanks", "W/\"\" \t,", tags),
        ("If-None-Match", "tags with commas", "\",\",", tags),
        ("If-None-Match", "commas", ", ", tags),
        ("If-None-Match", "quotes", "\"", tags),
        ("If-Match", "entity tags", "\"a\",", tags),
        ("If-Match", "the own tag", "\"z\",", tags),
        ("If-Range", "entity tags", "\"a\",", tags),
        ("Accept-Encoding", "codings", "a;q=0.5,", coding),
        ("Accept-Encoding", "stars", "*,", coding),
        ("Accept-Encoding", "commas", ",\t", coding),
        ("Accept-Encoding", "parameters", ";q=1", coding),
        ("Accept-Encoding", "no weight", "gzip;q=0,", coding),
        ("WWW-Authenticate", "schemes", "a,", login),
        ("WWW-Authenticate", "parameters", "a=b,", login),
        ("WWW-Authenticate", "realms", "Basic realm=\"a\",", login),
        ("WWW-Authenticate", "two realms", "a realm=a, realm=b,", login),
        ("WWW-Authenticate", "commas", ", ", login),
        ("WWW-Authenticate", "quotes", "\"", login),
        ("WWW-Authenticate", "quotes and commas", "\",", login),
        ("WWW-Authenticate", "backslashes", "\\", login),
        ("WWW-Authenticate", "escaped quotes", "a=\"\\\"", login),
        ("WWW-Authenticate", "equals signs", "=", login),
        ("WWW-Authenticate", "tokens", "a ", login),
        ("Vary", "tokens", "a,", tokens),
        ("Vary", "commas", ", ", tokens),
        ("If-Modified-Since", "dates", "Sun, 06 Nov 1994 08:49:37 GMT, ", dates),
        ("If-Unmodified-Since", "digits", "0", dates),
        ("If-Range", "dates", "Sun, 06 Nov 1994 08:49:37 GMT, ", dates),
        ("Expires", "dates", "Sun, 06 Nov 1994 08:49:37 GMT, ", dates),
        ("Expires", "commas", ",", dates),
    ];
    for &(name, what, unit, work) in lists {
        let run = move |lines: usize, bytes: usize| {
            let line = format!("{name}: {}z\r\n", fill(bytes / lines.max(1), unit));
            with_fields(&limits, &line.repeat(lines), |fields| counted(&mut || work(fields)));
        };
        all.push(Family::new(format!("{name}: {what}"), LINE, move |n| run(1, n)));
        all.push(Family::fixed(format!("{name}: {what}, in lines"), LINES, move |n| run(n, 36 * n)));
    }
}

/// Functions over whole heads.
fn heads(all: &mut Vec<Family>, limits: Limits) {
    // Every name has the length and the first letter of every other. With the elements, the head is as long as it can be.
    let names = |lines: usize| (0..lines).map(|n| format!("a{n:0>7}: b\r\n")).collect::<String>();
    let forward = move |name: &str, for_each_line: usize, element: fn(usize, usize) -> String| {
        Family::fixed(format!("FieldBlock::forward: {name}"), LINES - 1, move |lines| {
            let elements: String = (0..lines * for_each_line).map(|n| element(n, lines)).collect();
            with_fields(&limits, &format!("{}Connection: {elements}\r\n", names(lines)), |fields| {
                let by = Authority::new(b"proxy").unwrap();
                let mut block = FieldBlock::new();
                counted(&mut || block.forward(fields, Version::HTTP_11, by));
            });
        })
    };
    all.push(forward("lines and elements", 15, |_, _| "a,".into()));
    all.push(forward("lines and names that are none of theirs", 3, |n, _| format!("a{n:0>6}x,")));
    all.push(forward("lines and their names", 3, |n, lines| format!("A{:0>7},", n % lines)));
    all.push(Family::new("FieldBlock::forward: elements and one line", LINE, move |n| {
        let lines = format!("A: b\r\nConnection: {}\r\n", fill(n, "b,"));
        with_fields(&limits, &lines, |fields| {
            let mut block = FieldBlock::new();
            counted(&mut || block.forward(fields, Version::HTTP_11, Authority::new(b"proxy").unwrap()));
        });
    }));
    all.push(Family::fixed("Fields: lookups among names of one kind", LINES, move |n| {
        with_fields(&limits, &names(n), |fields| {
            let name = FieldName::new(b"A000000x").unwrap();
            counted(&mut || {
                use_up((fields.get(name), fields.only(name), fields.get_all(name).count(), fields.iter().count()));
                use_up(fields.tokens(name).count());
            });
        });
    }));
    all.push(Family::fixed("Fields: Debug", LINES, move |n| {
        with_fields(&limits, &names(n), |fields| counted(&mut || use_up(format!("{fields:?}"))));
    }));
    all.push(Family::new("FieldBlock: one lookup, set and remove, and a response", HEAD, |n| {
        let mut block = FieldBlock::new();
        for _ in 0..n / 16 {
            block.push(header::VIA, FieldValue::from_static("123456789")).unwrap();
        }
        let mut connection = server::Connection::new(Limits::default());
        connection.receive(b"GET / HTTP/1.0\r\n\r\n");
        let Ok(server::Event::Request(_)) = connection.poll() else { panic!() };
        counted(&mut || {
            block.set(header::VARY, FieldValue::from_static("b")).unwrap();
            use_up((block.contains(header::ETAG), block.iter().count(), block.remove(header::VARY)));
            let response = Response { body: ResponseBody::Length(0), ..Response::new(Status::OK, &block) };
            let _none = connection.respond(&response, &mut Vec::new()).unwrap();
            use_up(block.remove(header::VIA));
        });
    }));
    all.push(Family::fixed("FieldBlock: push", HEAD, |n| {
        let mut block = FieldBlock::new();
        counted(&mut || {
            for _ in 0..n / 16 {
                block.push(header::VIA, FieldValue::from_static("123456789")).unwrap();
            }
        });
    }));
    const LOCATIONS: [(&str, &str); 4] =
        [("dot segments", "../"), ("letters", "a"), ("percent signs", "%"), ("slashes", "/")];
    for (name, unit) in LOCATIONS {
        all.push(Family::new(format!("redirect::follow: {name}"), LINE, move |n| {
            let base = format!("/{}", fill(n / 2, "a/"));
            let lines = format!("Location: {}\r\nDate: 0\r\n", fill(n, unit));
            with_response(&limits, base.as_bytes(), &lines, |request, response| {
                let fields = FieldBlock::new();
                counted(&mut || {
                    use_up(redirect::follow(request, response, 0));
                    use_up(Response::forwarded(response, &fields, Some(now())));
                });
            });
        }));
    }
    all.push(Family::fixed("client::Connection::request: target and headers", LINE, |n| {
        let (url, mut fields) = (HttpUrl::parse(format!("http://a/{}", fill(n / 2, "a/"))).unwrap(), FieldBlock::new());
        fields.push(header::COOKIE, FieldValue::new(fill(n, "a").as_bytes()).unwrap()).unwrap();
        let mut connection = client::Connection::new(Limits::default());
        let request = client::Request::new(Method::Get, url.target(), url.authority(), &fields);
        counted(&mut || {
            let _none = connection.request(&request, &mut Vec::new()).unwrap();
        });
    }));
    all.push(Family::fixed("redirect::follow: lines", LINES, move |n| {
        with_response(&limits, b"/", &"Location: /abc\r\n".repeat(n), |request, response| {
            counted(&mut || use_up(redirect::follow(request, response, 0)));
        });
    }));
}

fn with_fields(limits: &Limits, lines: &str, work: impl FnOnce(&Fields<'_>)) {
    let mut connection = server::Connection::new(*limits);
    let head = format!("GET / HTTP/1.0\r\n{lines}\r\n");
    assert_eq!(connection.receive(head.as_bytes()), head.len());
    let Ok(server::Event::Request(request)) = connection.poll() else { panic!("{lines}") };
    work(&request.fields);
}

fn with_response(
    limits: &Limits,
    target: &[u8],
    lines: &str,
    work: impl FnOnce(&client::Request<'_>, &client::ResponseHead<'_>),
) {
    let (mut connection, fields) = (client::Connection::new(*limits), FieldBlock::new());
    let (host, target) = (Authority::new(b"a").unwrap(), Target::new(target).unwrap());
    let request = client::Request::new(Method::Get, target, host, &fields);
    let _none = connection.request(&request, &mut Vec::new()).unwrap();
    let head = format!("HTTP/1.0 302 Found\r\n{lines}\r\n");
    assert_eq!(connection.receive(head.as_bytes()), head.len());
    let Ok(client::Event::Response(response)) = connection.poll() else { panic!("{lines}") };
    work(&request, &response);
}

/// Makes the compiler compute a value that nothing needs.
fn use_up<T>(value: T) {
    let _ = black_box(value);
}

fn now() -> Date {
    Date::from_unix(1_000_000_000).unwrap()
}
