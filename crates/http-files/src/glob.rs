//! The files that a rule is for: a path below the root, in which `*` stands for anything.
//!
//! Matching is a dozen lines. The crates for globs do more than is wanted: `?`, `[a-z]` and `{a,b}` would be wildcards in
//! names that sites really have (`[slug].js`), `*` would end at a slash, and paths would have to be UTF-8.

use std::fmt;
use std::str::FromStr;

/// The files that a rule is for, such as `/assets/*` or `*.html`.
///
/// It stands for the whole path of a file below the root, decoded and with a slash at its start: `/index.html`. A `*` stands
/// for any characters, or none, and also for slashes. Everything else stands for itself.
///
/// ```
/// use http_files::{Glob, InvalidGlob};
///
/// let assets: Glob = "/assets/*.js".parse()?;
/// assert!(assets.matches(b"/assets/app.js") && assets.matches(b"/assets/vendor/a.js"));
/// assert!(!assets.matches(b"/old/assets/app.js") && !assets.matches(b"/assets/app.jsx"));
/// assert!("*.js".parse::<Glob>()?.covers(&assets));
/// # Ok::<(), InvalidGlob>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glob(Box<str>);

/// The error of a [`Glob`] that matches no file, or not those that it seems to. It says what to write instead.
///
/// ```
/// use http_files::{Glob, InvalidGlob};
///
/// for (text, error) in [
///     ("assets/*", InvalidGlob::Start),
///     ("/docs/", InvalidGlob::Directory), // `/docs/index.html`, or `/docs/*`
///     ("/**/*.js", InvalidGlob::DoubleStar),
///     ("*.{js,css}", InvalidGlob::Wildcard),
///     ("/a%20b", InvalidGlob::Encoded),
///     ("/a/../b", InvalidGlob::Segment),
/// ] {
///     assert_eq!(text.parse::<Glob>(), Err(error));
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidGlob {
    /// It begins with neither a slash nor a star.
    #[error("expected a path that begins with / or *, such as /assets/* or *.html")]
    Start,
    /// It ends with a slash, as no path of a file does.
    #[error("expected the path of files, not of a directory: /docs/* for all in it, /docs/index.html for its page")]
    Directory,
    /// It has two stars in a row.
    #[error(
        "expected a single *, which also stands for slashes: /docs/*.html is for files in all directories of /docs"
    )]
    DoubleStar,
    /// It has what other globs have for wildcards.
    #[error("expected no wildcard but *, which also stands for any of ? [ ] {{ }} \\ in a name")]
    Wildcard,
    /// It is percent-encoded, and paths are matched decoded.
    #[error("expected a path that is not percent-encoded: /a b, not /a%20b")]
    Encoded,
    /// It has a segment that no path has.
    #[error("expected a path without empty segments, . and ..")]
    Segment,
}

impl FromStr for Glob {
    type Err = InvalidGlob;

    fn from_str(text: &str) -> Result<Glob, InvalidGlob> {
        let is_encoded = |three: &[u8]| matches!(three, [b'%', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
        Err(match text {
            _ if !text.starts_with(['/', '*']) => InvalidGlob::Start,
            _ if text.ends_with('/') => InvalidGlob::Directory,
            _ if text.contains("**") => InvalidGlob::DoubleStar,
            _ if text.contains(['?', '[', ']', '{', '}', '\\']) => InvalidGlob::Wildcard,
            _ if text.as_bytes().windows(3).any(is_encoded) => InvalidGlob::Encoded,
            _ if text.split('/').skip(1).any(|segment| matches!(segment, "" | "." | "..")) => InvalidGlob::Segment,
            _ => return Ok(Glob(text.into())),
        })
    }
}

impl Glob {
    /// Whether the rule is for the file with this path. The time is linear in the length of the path.
    pub fn matches(&self, path: &[u8]) -> bool {
        let mut parts = self.0.as_bytes().split(|&c| c == b'*');
        let Some(mut rest) = parts.next().and_then(|first| path.strip_prefix(first)) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() }; // there is no `*`
        for part in parts {
            // The first place leaves most to the parts that follow. Between two stars there is at least one byte.
            let Some(at) = rest.windows(part.len()).position(|window| window == part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }

    /// Whether it matches every path that the other one matches, so that a rule for the other one that comes later never
    /// applies.
    pub fn covers(&self, other: &Glob) -> bool {
        // Only its stars can match the other's, so they match whatever these stand for, too.
        self.matches(other.0.as_bytes())
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(text: &str) -> Glob {
        text.parse().unwrap()
    }

    #[test]
    fn star_stands_for_any_characters_and_everything_else_for_itself() {
        for (text, matched, others) in [
            ("/a", &["/a"][..], &["/", "/aa", "/a/b", "/A", ""][..]),
            ("/a/*", &["/a/b", "/a/b/c", "/a/"], &["/a", "/b/a/c", "/ab"]),
            ("*", &["/a", "/", "/a/b", ""], &[]),
            ("/*", &["/a", "/a/b"], &[""]),
            ("*.js", &["/a.js", "/a/b.js", "/.js"], &["/a.jsx", "/a.js/b", "/ajs", "/a.JS"]),
            ("/a*z", &["/az", "/abz", "/a/z", "/azz"], &["/a", "/z", "/azy", "/ba/z"]),
            ("/ab*ba", &["/abba", "/ab/ba"], &["/aba", "/ab", "/ba"]), // the two do not overlap
            ("*/img/*.png", &["/img/a.png", "/x/img/y/a.png"], &["/img.png", "/img/a.jpg", "/ximg/a.png"]),
            ("/a*b*c*d", &["/abcd", "/aXbXcXd", "/abbccdd", "/acbbcd"], &["/abdc", "/acbd", "/abc"]),
            ("/*aab*", &["/aaab", "/aab", "/xaaabx"], &["/aaa", "/ab"]),
            ("/caf\u{e9}/*", &["/caf\u{e9}/a"], &["/cafe/a"]),
            ("/100%", &["/100%"], &["/100"]),
        ] {
            let glob = glob(text);
            for path in matched {
                assert!(glob.matches(path.as_bytes()), "{text} is for {path}");
            }
            for path in others {
                assert!(!glob.matches(path.as_bytes()), "{text} is not for {path}");
            }
        }
        assert!(glob("/*.js").matches(b"/\xff.js"), "a name is bytes");
    }

    // The definition, in exponential time.
    #[test]
    fn matching_agrees_with_its_definition() {
        fn defined(glob: &[u8], path: &[u8]) -> bool {
            match (glob, path) {
                ([b'*', glob @ ..], path) => (0..=path.len()).any(|n| defined(glob, &path[n..])),
                ([a, glob @ ..], [b, path @ ..]) => a == b && defined(glob, path),
                (glob, path) => glob.is_empty() && path.is_empty(),
            }
        }
        let words = |alphabet: &'static [char], length: u32| {
            (0..(alphabet.len() as u32).pow(length)).map(move |mut n| {
                let mut word = String::from("/");
                for _ in 0..length {
                    word.push(alphabet[n as usize % alphabet.len()]);
                    n /= alphabet.len() as u32;
                }
                word
            })
        };
        let paths: Vec<String> = (0..7).flat_map(|length| words(&['a', 'b'], length)).collect();
        let globs = (1..6).flat_map(|length| words(&['a', 'b', '*'], length)).filter_map(|text| text.parse().ok());
        let globs: Vec<Glob> = globs.collect();
        for glob in &globs {
            for path in &paths {
                let path = path.as_bytes();
                assert_eq!(glob.matches(path), defined(glob.0.as_bytes(), path), "{glob} {}", path.escape_ascii());
            }
        }
        // One covers another only if it matches all of the other's paths.
        for [one, other] in globs.iter().flat_map(|one| globs.iter().map(move |other| [one, other])) {
            let matches_all =
                || paths.iter().all(|path| !other.matches(path.as_bytes()) || one.matches(path.as_bytes()));
            assert!(!one.covers(other) || matches_all(), "{one} {other}");
        }
    }

    #[test]
    fn rule_that_an_earlier_one_covers_is_known() {
        for (one, other, expected) in [
            ("*", "/a", true),
            ("/a/*", "/a/b/*", true),
            ("/a/*", "/a/*", true),
            ("/*", "/a/*.js", true),
            ("*.js", "/a/*.js", true),
            ("/a/b/*", "/a/*", false),
            ("/a/*.js", "/a/*", false),
            ("/a/*", "*.js", false),
            ("/*", "*", false),
        ] {
            assert_eq!(glob(one).covers(&glob(other)), expected, "{one} {other}");
        }
    }

    #[test]
    fn glob_that_would_match_nothing_is_refused_with_what_to_write() {
        use InvalidGlob::{Directory, DoubleStar, Encoded, Segment, Start, Wildcard};
        for (text, expected) in [
            ("", Start),
            ("assets/*", Start),
            ("./a", Start),
            ("/", Directory),
            ("/docs/", Directory),
            ("*/", Directory),
            ("/docs/**", DoubleStar),
            ("/**/*.js", DoubleStar),
            ("/a?", Wildcard),
            ("*.[jt]s", Wildcard),
            ("*.{js,css}", Wildcard),
            ("/a\\*", Wildcard),
            ("/a%20b", Encoded),
            ("*%2Fb", Encoded),
            ("//a", Segment),
            ("/a/../b", Segment),
            ("/./a", Segment),
            ("*/..", Segment),
        ] {
            assert_eq!(text.parse::<Glob>(), Err(expected), "{text}");
        }
    }
}
