//! Users and the bcrypt hashes of their passwords, in the format of htpasswd. A verification takes the same time for
//! every user name, and a password that was right once is cached (V19).

use std::collections::HashMap;
use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::{fmt, str};

use http_core::auth::{Basic, constant_time_eq};
use thiserror::Error;

/// Users and the bcrypt hashes of their passwords: lines `USER:HASH`, as `htpasswd -B` writes them.
///
/// Blank lines and lines that begin with `#` are skipped, and so is a byte order mark. A hash begins with `$2a$`, `$2b$` or `$2y$` and has a cost of
/// 4 to 14. User names are compared byte by byte; clients are asked for UTF-8. As always with bcrypt, only the first 72
/// bytes of a password count. The file may have at most 1 MiB, which is fewer than 17,000 users.
///
/// ```
/// use http_server::auth::Users;
///
/// let users = Users::parse(b"U:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n")?;
/// let error = Users::parse(b"# a comment\nme:$apr1$salt$hash\n").unwrap_err();
/// assert_eq!(error.to_string(), "line 2: expected a bcrypt hash, found an MD5 hash (htpasswd -m)");
/// # Ok::<(), http_server::auth::UsersError>(())
/// ```
pub struct Users {
    known: HashMap<Box<[u8]>, User>,
    /// The greatest of their costs. Every verification takes as long as one at this cost.
    cost: u32,
    /// Bytes of the longest user name.
    longest: usize,
}

/// Why [`Users`] could not be read. It does not repeat the file's content, which may be a password.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UsersError {
    /// An error of the system.
    ///
    /// ```
    /// # use http_server::auth::{Users, UsersError};
    /// assert!(matches!(Users::read("/no/such/file".as_ref()), Err(UsersError::Unreadable(_))));
    /// ```
    #[error("cannot read the file: {0}")]
    Unreadable(#[from] io::Error),
    /// The file is longer than 1 MiB.
    ///
    /// ```
    /// # use http_server::auth::{Users, UsersError};
    /// assert!(matches!(Users::read("/dev/zero".as_ref()), Err(UsersError::TooLong)));
    /// ```
    #[error("the file is longer than 1 MiB")]
    TooLong,
    /// The file has no user.
    ///
    /// ```
    /// # use http_server::auth::{Users, UsersError};
    /// assert!(matches!(Users::parse(b"# none\n"), Err(UsersError::Empty)));
    /// ```
    #[error("no users found")]
    Empty,
    /// A line without a colon, or with a user name that is empty or has a control byte, which credentials cannot have.
    ///
    /// ```
    /// # use http_server::auth::{Users, UsersError};
    /// assert!(matches!(Users::parse(b"me\n"), Err(UsersError::Line(1))));
    /// ```
    #[error("line {0}: expected USER:HASH")]
    Line(usize),
    /// A hash that is missing or not one of bcrypt, and what seems to be there instead.
    ///
    /// ```
    /// # use http_server::auth::{Users, UsersError};
    /// assert!(matches!(Users::parse(b"me:secret\n"), Err(UsersError::Hash(1, "plain text"))));
    /// ```
    #[error("line {0}: expected a bcrypt hash, found {1}")]
    Hash(usize, &'static str),
    /// A cost that bcrypt does not have, or that would hold a thread for too long: each step doubles the time.
    ///
    /// ```
    /// # use http_server::auth::{Users, UsersError};
    /// let line = b"me:$2a$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n";
    /// assert!(matches!(Users::parse(line), Err(UsersError::Cost(1, 31))));
    /// ```
    #[error("line {0}: bcrypt cost {1} is out of range (4 to 14)")]
    Cost(usize, u32),
    /// A line with the user of an earlier line, and the number of that.
    ///
    /// ```
    /// # use http_server::auth::{Users, UsersError};
    /// let line = "U:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n";
    /// assert!(matches!(Users::parse(line.repeat(2).as_bytes()), Err(UsersError::DuplicateUser(2, 1))));
    /// ```
    #[error("line {0}: the same user as in line {1}")]
    DuplicateUser(usize, usize),
}

/// At 14 a verification takes a second. 4 is the minimum of bcrypt.
const COSTS: RangeInclusive<u32> = 4..=14;

pub(super) const MAX_FILE: usize = 1 << 20;

/// Bytes of a password that bcrypt uses.
const PASSWORD: usize = 72;

impl Users {
    /// Reads users from a file, once.
    ///
    /// # Errors
    /// Those of the system, and those of [`parse`](Self::parse).
    pub fn read(file: &Path) -> Result<Users, UsersError> {
        let mut text = Vec::new();
        File::open(file)?.take(MAX_FILE as u64 + 1).read_to_end(&mut text)?;
        Users::parse(&text)
    }

    /// Reads users from a file's content.
    ///
    /// # Errors
    /// [`UsersError`] if a line is not one that `htpasswd -B` writes, a user has two lines, or there are no users.
    pub fn parse(text: &[u8]) -> Result<Users, UsersError> {
        if text.len() > MAX_FILE {
            return Err(UsersError::TooLong);
        }
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text); // the byte order mark of some editors
        let mut users = Users { known: HashMap::new(), cost: 0, longest: 0 };
        for (index, line) in text.split(|&c| c == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.trim_ascii().is_empty() && !line.starts_with(b"#") {
                users.add(line, index + 1)?;
            }
        }
        if users.known.is_empty() { Err(UsersError::Empty) } else { Ok(users) }
    }

    /// Takes the cached passwords from earlier users, for those whose hashes are the same. What verifies an earlier one at
    /// this moment caches it here, too.
    pub(super) fn keep_cached(&mut self, earlier: &Users) {
        for (name, user) in &mut self.known {
            if let Some(same) = earlier.known.get(name).filter(|earlier| earlier.hash == user.hash) {
                user.cached = same.cached.clone();
            }
        }
    }

    /// Whether the credentials were verified before. It takes the same time for all that were not.
    pub(crate) fn is_cached(&self, credentials: &Basic) -> bool {
        let cached = self.known.get(credentials.user()).and_then(|user| user.cached.get());
        let is_same = constant_time_eq(cached.unwrap_or(&[0; PASSWORD]), &bcrypt_input(credentials));
        is_same && cached.is_some()
    }

    /// The bytes of the credentials that decide whether they are right. So what has to wait is short.
    pub(crate) fn shortened(&self, credentials: &Basic) -> Basic {
        let (user, password) = (credentials.user(), credentials.password());
        let user = &user[..user.len().min(self.longest + 1)]; // one byte more than any known name
        Basic::new(user, &password[..password.len().min(PASSWORD)]).unwrap_or_else(|_| credentials.clone())
    }

    /// Whether the credentials are right. If so, they are cached. It takes the same time for all credentials.
    pub(crate) fn verify(&self, credentials: &Basic) -> bool {
        let (user, dummy) = (self.known.get(credentials.user()), dummy_hash(self.cost));
        let password = credentials.password();
        let is_right = verify_hash(password, user.map_or(&dummy, |user| &user.hash));
        // The rest up to the greatest cost: 2^c and 2^c + 2^(c+1) + … add up to a power of two.
        for cost in user.map_or(self.cost, |user| user.cost)..self.cost {
            black_box(verify_hash(password, &dummy_hash(cost)));
        }
        let Some(user) = user.filter(|_| is_right) else { return false };
        user.cached.get_or_init(|| bcrypt_input(credentials));
        true
    }

    fn add(&mut self, line: &[u8], number: usize) -> Result<(), UsersError> {
        let colon = line.iter().position(|&c| c == b':').ok_or(UsersError::Line(number))?;
        let (name, hash) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty() || name.iter().any(u8::is_ascii_control) {
            return Err(UsersError::Line(number));
        }
        let user = User::new(hash, number).ok_or_else(|| UsersError::Hash(number, kind_of(hash)))?;
        if !COSTS.contains(&user.cost) {
            return Err(UsersError::Cost(number, user.cost));
        }
        self.cost = self.cost.max(user.cost);
        self.longest = self.longest.max(name.len());
        match self.known.insert(name.into(), user) {
            Some(earlier) => Err(UsersError::DuplicateUser(number, earlier.line)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Users {
    /// Shows how many there are, but no user (R1945-12.3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({})", self.known.len())
    }
}

struct User {
    hash: Box<str>,
    cost: u32,
    /// The number of its line.
    line: usize,
    /// The right password, once it was verified. It is not hashed: an attacker who can read this memory finds the
    /// password in the requests, too.
    cached: Arc<OnceLock<[u8; PASSWORD]>>,
}

impl User {
    /// `None` if the hash is not one of bcrypt.
    fn new(hash: &[u8], line: usize) -> Option<User> {
        let hash = str::from_utf8(hash).ok()?;
        let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|version| hash.strip_prefix(version))?;
        let is_number = rest.bytes().take(2).all(|c| c.is_ascii_digit());
        let cost = hash.parse::<bcrypt::HashParts>().ok().filter(|_| is_number)?.get_cost();
        Some(User { hash: hash.into(), cost, line, cached: Arc::default() })
    }
}

/// What a hash that is not one of bcrypt seems to be. It is shown, and the hash is not.
fn kind_of(hash: &[u8]) -> &'static str {
    const KINDS: [(&[u8], &str); 7] = [
        (b"$2", "one that is damaged"),
        (b"$apr1$", "an MD5 hash (htpasswd -m)"),
        (b"{SHA}", "a SHA-1 hash (htpasswd -s)"),
        (b"$5$", "a SHA-256 hash (htpasswd -2)"),
        (b"$6$", "a SHA-512 hash (htpasswd -5)"),
        (b"$", "another hash"),
        (b"{", "another hash"),
    ];
    match KINDS.iter().find(|(start, _)| hash.starts_with(start)) {
        Some((_, kind)) => kind,
        None if hash.trim_ascii().is_empty() => "nothing",
        None if hash.len() == 13 => "plain text, or a DES hash (htpasswd -d)",
        None => "plain text",
    }
}

/// A password padded to one length, so that the comparison does not reveal its own. No password has a NUL.
fn bcrypt_input(credentials: &Basic) -> [u8; PASSWORD] {
    let mut input = [0; PASSWORD];
    input.iter_mut().zip(credentials.password()).for_each(|(input, byte)| *input = *byte);
    input
}

/// Whether the hash is of this password. It is slow on purpose.
fn verify_hash(password: &[u8], hash: &str) -> bool {
    #[cfg(test)]
    tests::count(hash);
    bcrypt::verify(password, hash).unwrap_or(false) // the hash was parsed before
}

/// A hash for which no password is known.
fn dummy_hash(cost: u32) -> String {
    format!("$2b${cost:02}${}", ".".repeat(53))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        static ROUNDS: Cell<u64> = const { Cell::new(0) };
    }

    pub(super) fn count(hash: &str) {
        ROUNDS.set(ROUNDS.get() + (1 << hash[4..6].parse::<u32>().unwrap()));
    }

    /// The result, and how many rounds of bcrypt it took.
    fn verify(users: &Users, user: &str, password: &str) -> (bool, u64) {
        ROUNDS.set(0);
        let credentials = Basic::new(user.as_bytes(), password.as_bytes()).unwrap();
        (users.verify(&credentials), ROUNDS.get())
    }

    fn is_cached(users: &Users, user: &str, password: &str) -> bool {
        users.is_cached(&Basic::new(user.as_bytes(), password.as_bytes()).unwrap())
    }

    fn hash(password: &str, cost: u32) -> String {
        bcrypt::hash_with_salt(password, cost, [7; 16]).unwrap().to_string()
    }

    fn users(lines: &[(&str, &str, u32)]) -> Users {
        let lines = lines.iter().map(|(user, password, cost)| format!("{user}:{}\n", hash(password, *cost)));
        Users::parse(lines.collect::<String>().as_bytes()).unwrap()
    }

    /// From the original implementation, and from htpasswd.
    const HASHES: [(&str, &str); 6] = [
        ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        ("U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"),
        ("", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy"),
        (
            "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789chars after 72 are ignored",
            "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui",
        ),
        ("caf\u{e9}", "$2y$05$h4Q5VVjjFyNxYAjttQfapeJL0fzZGKP.bCu.FAe/PxXt/j/9x/ci6"),
        ("open sesame", "$2y$05$xOiKHJqbRlhuYhrTxFmrWeTyf9r6xnhVr4GkimGEnqqldmml8SqNu"),
    ];

    #[test]
    fn hashes_of_other_implementations_are_verified() {
        for (password, hash) in HASHES {
            for version in ["$2a$", "$2b$", "$2y$"] {
                let users = Users::parse(format!("me:{version}{}", &hash[4..]).as_bytes()).unwrap();
                assert_eq!(verify(&users, "me", password), (true, 1 << 5), "{hash}");
                assert!(!verify(&users, "me", "another").0 && !verify(&users, "you", password).0, "{hash}");
            }
        }
    }

    // V19
    #[test]
    fn v19_verification_takes_the_same_work_for_every_user_name() {
        let users = users(&[("weak", "a", 4), ("middle", "b", 5), ("strong", "c", 7)]);
        for (user, password, is_right) in [
            ("weak", "a", true),
            ("weak", "x", false),
            ("middle", "b", true),
            ("middle", "", false),
            ("strong", "c", true),
            ("strong", "x", false),
            ("unknown", "a", false),
            ("unknown", "", false),
            ("", "a", false),
        ] {
            assert_eq!(verify(&users, user, password), (is_right, 1 << 7), "{user}:{password}");
        }
    }

    // V19
    #[test]
    fn v19_only_the_right_password_is_cached() {
        let users = users(&[("me", "open sesame", 4), ("you", "", 4)]);
        for (user, password) in [("me", "open sesame"), ("you", "")] {
            assert!(!is_cached(&users, user, password), "before a verification");
            assert!(!verify(&users, user, "wrong").0 && !is_cached(&users, user, "wrong"));
            assert!(verify(&users, user, password).0 && is_cached(&users, user, password));
            assert!(!verify(&users, user, "wrong").0 && !is_cached(&users, user, "wrong"));
            assert!(is_cached(&users, user, password), "a wrong password does not replace the right one");
        }
        for (user, password) in [
            ("me", ""),
            ("me", "open sesam"),
            ("me", "open sesame!"),
            ("you", " "),
            ("him", ""),
            ("", ""),
            ("Me", "open sesame"),
        ] {
            assert!(!is_cached(&users, user, password), "{user}:{password}");
        }
    }

    // V19: a password of a user that was changed or removed is not accepted from the cache.
    #[test]
    fn v19_cache_of_a_user_is_kept_while_the_hash_is_the_same() {
        let before = users(&[("same", "a", 4), ("changed", "a", 4), ("removed", "a", 4), ("costlier", "a", 4)]);
        let known = ["same", "changed", "removed", "costlier"];
        assert!(known.iter().all(|user| verify(&before, user, "a").0));
        let mut after = users(&[("same", "a", 4), ("changed", "b", 4), ("costlier", "a", 5), ("added", "a", 4)]);
        after.keep_cached(&before);
        let is_cached_after = |user: &&str| is_cached(&after, user, "a");
        assert_eq!(known.iter().filter(|user| is_cached_after(user)).collect::<Vec<_>>(), [&"same"]);
        assert!(!is_cached(&after, "added", "a"), "whose hash is that of another user");
        assert!(!verify(&after, "changed", "a").0 && !verify(&after, "removed", "a").0);
        // A verification that began before the change ends after it.
        let (before, mut after) = (users(&[("me", "a", 4)]), users(&[("me", "a", 4)]));
        after.keep_cached(&before);
        assert!(verify(&before, "me", "a").0 && is_cached(&after, "me", "a"));
    }

    // The cache compares as many bytes as bcrypt does.
    #[test]
    fn first_72_bytes_of_a_password_count() {
        let long = "x".repeat(72);
        let users = users(&[("me", &format!("{long}yz"), 4)]);
        assert!(verify(&users, "me", &long).0);
        for (password, is_right) in [(long.clone(), true), (format!("{long}other"), true), (long[1..].into(), false)] {
            assert_eq!((is_cached(&users, "me", &password), verify(&users, "me", &password).0), (is_right, is_right));
        }
    }

    #[test]
    fn invalid_lines_are_reported_with_their_number() {
        let good = hash("a", 4);
        let of = |cost| good.replacen("$04$", &format!("${cost}$"), 1);
        let (absurd, low, top, signed) = (of("31"), of("03"), of("14"), of("+5"));
        let (x, short, long, foreign) =
            (of("04").replacen("$2b$", "$2x$", 1), &good[..59], format!("{good}."), "\u{e9}".repeat(30));
        let found = |kind| format!("line 1: expected a bcrypt hash, found {kind}");
        let damaged = || found("one that is damaged");
        for (text, expected) in [
            (format!("me:{good}"), "Users(1)".into()),
            (format!("# users\r\n\r\nme:{good}\r\n\n#me:x\ncaf\u{e9}:{top}\n"), "Users(2)".into()),
            (format!("a b:{good}\n b:{good}\nB:{good}\nb:{good}"), "Users(4)".into()),
            (format!("\u{feff}me:{good}"), "Users(1)".into()),
            (format!("\u{feff}# users\n\u{feff}:{good}"), "Users(1)".into()), // only the first one is no text
            (String::new(), "no users found".into()),
            ("# none\n \t\n".into(), "no users found".into()),
            ("\u{feff}".into(), "no users found".into()),
            ("me".into(), "line 1: expected USER:HASH".into()),
            (format!(":{good}"), "line 1: expected USER:HASH".into()),
            (format!("me\t:{good}"), "line 1: expected USER:HASH".into()),
            (format!("me:{good}\n\nyou\n"), "line 3: expected USER:HASH".into()),
            ("me:secret".into(), found("plain text")),
            ("me:".into(), found("nothing")),
            ("me: ".into(), found("nothing")),
            ("me:$apr1$Zk3YRgKZ$UaI2uHTg9dFmZWvzRgUUS1".into(), found("an MD5 hash (htpasswd -m)")),
            ("me:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=".into(), found("a SHA-1 hash (htpasswd -s)")),
            ("me:rqXexS6ZhobKA".into(), found("plain text, or a DES hash (htpasswd -d)")),
            ("me:$5$rounds=5000$a$b".into(), found("a SHA-256 hash (htpasswd -2)")),
            ("me:$6$a$b".into(), found("a SHA-512 hash (htpasswd -5)")),
            ("me:$argon2id$v=19$a".into(), found("another hash")),
            ("me:{SSHA}a".into(), found("another hash")),
            (format!("me:{x}"), damaged()),
            (format!("me:{short}"), damaged()),
            (format!("me:{long}"), damaged()),
            (format!("me:{good} "), damaged()),
            (format!("me: {good}"), found("plain text")),
            (format!("me:{foreign}"), found("plain text")),
            (format!("me:{signed}"), damaged()),
            (format!("me:{}", good.replace(&good[20..21], "!")), damaged()),
            (format!("me:{absurd}"), "line 1: bcrypt cost 31 is out of range (4 to 14)".into()),
            (format!("me:{low}"), "line 1: bcrypt cost 3 is out of range (4 to 14)".into()),
            (format!("me:{good}\nyou:{good}\n\nme:{top}"), "line 4: the same user as in line 1".into()),
            ("#".repeat(MAX_FILE + 1), "the file is longer than 1 MiB".into()),
        ] {
            let shown = match Users::parse(text.as_bytes()) {
                Ok(users) => format!("{users:?}"),
                Err(error) => error.to_string(),
            };
            assert_eq!(shown, expected, "{}", &text[..text.len().min(200)]);
        }
        assert_eq!(format!("{:?}", Users::parse(b"caf\xe9:x").unwrap_err()), "Hash(1, \"plain text\")");
        assert!(Users::parse(&[b"caf\xe9:", good.as_bytes()].concat()).is_ok(), "a user name in any charset");
        assert!(matches!(Users::read("/nowhere".as_ref()), Err(UsersError::Unreadable(_))));
        assert!(matches!(Users::read("/dev/zero".as_ref()), Err(UsersError::TooLong)));
    }
}
