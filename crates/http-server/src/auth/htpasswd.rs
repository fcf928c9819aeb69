//! Who may come in: users and the bcrypt hashes of their passwords, in the format of htpasswd. A verification is the same
//! work whoever is named, and a password that was right once is remembered (V19).

use std::collections::HashMap;
use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::OnceLock;
use std::{fmt, str};

use http_core::auth::{Basic, constant_time_eq};
use thiserror::Error;

/// Users and the bcrypt hashes of their passwords: lines `USER:HASH`, as `htpasswd -B` writes them.
///
/// Blank lines and those that begin with `#` do not count. A hash begins with `$2a$`, `$2b$` or `$2y$` and has a cost from
/// 4 to 14. A user is compared byte by byte; clients are asked for UTF-8. Of a password, 72 bytes count, as everywhere
/// with bcrypt. All in all there may be 1 MiB, which is less than 17,000 users.
///
/// ```
/// use http_server::auth::Users;
///
/// let users = Users::parse(b"U:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n")?;
/// let error = Users::parse(b"# who may come in\nme:$apr1$salt$hash\n").unwrap_err();
/// assert_eq!(error.to_string(), "line 2: expected a bcrypt hash, as htpasswd -B writes it");
/// # Ok::<(), http_server::auth::UsersError>(())
/// ```
pub struct Users {
    known: HashMap<Box<[u8]>, User>,
    /// The greatest of their costs, which every verification has.
    cost: u32,
}

/// Why [`Users`] could not be read. What stands in the file is not repeated, since it may be a password.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UsersError {
    /// The system's error.
    #[error("cannot read it: {0}")]
    Unreadable(#[from] io::Error),
    /// It is longer than 1 MiB.
    #[error("expected at most 1 MiB")]
    TooLong,
    /// It holds no user.
    #[error("no user stands there; expected lines as htpasswd -B writes them")]
    Empty,
    /// A line without a colon, or whose user is empty or holds a control byte, which no credentials do.
    #[error("line {0}: expected USER:HASH")]
    Line(usize),
    /// A hash of another kind, or no hash at all.
    #[error("line {0}: expected a bcrypt hash, as htpasswd -B writes it")]
    Hash(usize),
    /// A cost that bcrypt does not have, or with which a verification would hold a worker for too long.
    #[error("line {0}: expected a cost from 4 to 14, since each more doubles the time of a verification; it is {1}")]
    Cost(usize, u32),
    /// The user of an earlier line.
    #[error("line {0}: the user stands in an earlier line, too")]
    DuplicateUser(usize),
}

/// At 14 a verification takes a second; 4 is the least that bcrypt has.
const COSTS: RangeInclusive<u32> = 4..=14;

const LONGEST: usize = 1 << 20;

/// Bytes of a password that bcrypt looks at.
const PASSWORD: usize = 72;

impl Users {
    /// Reads the users of a file, once.
    ///
    /// # Errors
    /// Of the system, and those of [`parse`](Self::parse).
    pub fn read(file: &Path) -> Result<Users, UsersError> {
        let mut text = Vec::new();
        File::open(file)?.take(LONGEST as u64 + 1).read_to_end(&mut text)?;
        Users::parse(&text)
    }

    /// Reads users from a file's content.
    ///
    /// # Errors
    /// If a line is none that `htpasswd -B` writes, a user stands there twice, or none does.
    pub fn parse(text: &[u8]) -> Result<Users, UsersError> {
        if text.len() > LONGEST {
            return Err(UsersError::TooLong);
        }
        let mut users = Users { known: HashMap::new(), cost: 0 };
        for (index, line) in text.split(|&c| c == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.trim_ascii().is_empty() && !line.starts_with(b"#") {
                users.add(line, index + 1)?;
            }
        }
        if users.known.is_empty() { Err(UsersError::Empty) } else { Ok(users) }
    }

    /// Whether the credentials were right before; as quick for all that were not.
    pub(crate) fn is_cached(&self, credentials: &Basic) -> bool {
        let remembered = self.known.get(credentials.user()).and_then(|user| user.remembered.get());
        let same = constant_time_eq(remembered.unwrap_or(&[0; PASSWORD]), &bcrypt_input(credentials));
        same && remembered.is_some()
    }

    /// Whether the credentials are right, which are then remembered; the same work for all.
    pub(crate) fn verify(&self, credentials: &Basic) -> bool {
        let (user, stranger) = (self.known.get(credentials.user()), dummy_hash(self.cost));
        let password = credentials.password();
        let is_right = verify_hash(password, user.map_or(&stranger, |user| &user.hash));
        // What is missing to the greatest cost: 2^c and 2^c + 2^(c+1) + … make a power of two again.
        for cost in user.map_or(self.cost, |user| user.cost)..self.cost {
            black_box(verify_hash(password, &dummy_hash(cost)));
        }
        let Some(user) = user.filter(|_| is_right) else { return false };
        user.remembered.get_or_init(|| bcrypt_input(credentials));
        true
    }

    fn add(&mut self, line: &[u8], number: usize) -> Result<(), UsersError> {
        let colon = line.iter().position(|&c| c == b':').ok_or(UsersError::Line(number))?;
        let (name, hash) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty() || name.iter().any(u8::is_ascii_control) {
            return Err(UsersError::Line(number));
        }
        let user = User::new(hash).ok_or(UsersError::Hash(number))?;
        if !COSTS.contains(&user.cost) {
            return Err(UsersError::Cost(number, user.cost));
        }
        self.cost = self.cost.max(user.cost);
        match self.known.insert(name.into(), user) {
            Some(_) => Err(UsersError::DuplicateUser(number)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Users {
    /// Shows how many there are, and nothing of them (R1945-12.3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({})", self.known.len())
    }
}

struct User {
    hash: Box<str>,
    cost: u32,
    /// The right password, once it was seen. It stands here as it is: whoever reads our memory finds it in the requests,
    /// too, and a key beside its digest would guard it from nobody.
    remembered: OnceLock<[u8; PASSWORD]>,
}

impl User {
    /// `None` if the hash is not of bcrypt.
    fn new(hash: &[u8]) -> Option<User> {
        let hash = str::from_utf8(hash).ok()?;
        let behind = ["$2a$", "$2b$", "$2y$"].iter().find_map(|version| hash.strip_prefix(version))?;
        let is_number = behind.bytes().take(2).all(|c| c.is_ascii_digit());
        let cost = hash.parse::<bcrypt::HashParts>().ok().filter(|_| is_number)?.get_cost();
        Some(User { hash: hash.into(), cost, remembered: OnceLock::new() })
    }
}

/// Every password has the same length here, so that its own does not show. None holds a NUL.
fn bcrypt_input(credentials: &Basic) -> [u8; PASSWORD] {
    let mut seen = [0; PASSWORD];
    seen.iter_mut().zip(credentials.password()).for_each(|(seen, byte)| *seen = *byte);
    seen
}

/// Whether the hash is of this password, which takes long.
fn verify_hash(password: &[u8], hash: &str) -> bool {
    #[cfg(test)]
    tests::count(hash);
    bcrypt::verify(password, hash).unwrap_or(false) // it was read before
}

/// A hash that nobody knows a password for.
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

    /// The answer, and the rounds of bcrypt that it advance.
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

    /// Of the implementation from which all others come, and from htpasswd.
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
    fn hashes_of_others() {
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
    fn v19_a_verification_is_the_same_work_whoever_is_named() {
        let users = users(&[("weak", "a", 4), ("middle", "b", 5), ("strong", "c", 7)]);
        for (user, password, is_right) in [
            ("weak", "a", true),
            ("weak", "x", false),
            ("middle", "b", true),
            ("middle", "", false),
            ("strong", "c", true),
            ("strong", "x", false),
            ("nobody", "a", false),
            ("nobody", "", false),
            ("", "a", false),
        ] {
            assert_eq!(verify(&users, user, password), (is_right, 1 << 7), "{user}:{password}");
        }
    }

    // V19
    #[test]
    fn v19_what_was_right_once_is_remembered_and_nothing_else_is() {
        let users = users(&[("me", "open sesame", 4), ("you", "", 4)]);
        for (user, password) in [("me", "open sesame"), ("you", "")] {
            assert!(!is_cached(&users, user, password), "it was not verified");
            assert!(!verify(&users, user, "wrong").0 && !is_cached(&users, user, "wrong"));
            assert!(verify(&users, user, password).0 && is_cached(&users, user, password));
            assert!(!verify(&users, user, "wrong").0 && !is_cached(&users, user, "wrong"));
            assert!(is_cached(&users, user, password), "a wrong one takes no right one's place");
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

    // What bcrypt does not look at does not count when it is remembered, either.
    #[test]
    fn of_a_password_72_octets_count() {
        let long = "x".repeat(72);
        let users = users(&[("me", &format!("{long}yz"), 4)]);
        assert!(verify(&users, "me", &long).0);
        for (password, is_right) in [(long.clone(), true), (format!("{long}other"), true), (long[1..].into(), false)] {
            assert_eq!((is_cached(&users, "me", &password), verify(&users, "me", &password).0), (is_right, is_right));
        }
    }

    #[test]
    fn lines_and_what_is_wrong_with_them() {
        let good = hash("a", 4);
        let of = |cost| good.replacen("$04$", &format!("${cost}$"), 1);
        let (absurd, low, top, signed) = (of("31"), of("03"), of("14"), of("+5"));
        let (x, short, long, foreign) =
            (of("04").replacen("$2b$", "$2x$", 1), &good[..59], format!("{good}."), "\u{e9}".repeat(30));
        let expected_hash = "line 1: expected a bcrypt hash, as htpasswd -B writes it";
        for (text, expected) in [
            (format!("me:{good}"), "Users(1)"),
            (format!("# who\r\n\r\nme:{good}\r\n\n#me:x\ncaf\u{e9}:{top}\n"), "Users(2)"),
            (format!("a b:{good}\n b:{good}\nB:{good}\nb:{good}"), "Users(4)"),
            (String::new(), "no user stands there; expected lines as htpasswd -B writes them"),
            ("# nobody\n \t\n".into(), "no user stands there; expected lines as htpasswd -B writes them"),
            ("me".into(), "line 1: expected USER:HASH"),
            (format!(":{good}"), "line 1: expected USER:HASH"),
            (format!("me\t:{good}"), "line 1: expected USER:HASH"),
            (format!("me:{good}\n\nyou\n"), "line 3: expected USER:HASH"),
            ("me:secret".into(), expected_hash),
            ("me:".into(), expected_hash),
            ("me:$apr1$Zk3YRgKZ$UaI2uHTg9dFmZWvzRgUUS1".into(), expected_hash),
            ("me:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=".into(), expected_hash),
            ("me:$5$rounds=5000$a$b".into(), expected_hash),
            (format!("me:{x}"), expected_hash),
            (format!("me:{short}"), expected_hash),
            (format!("me:{long}"), expected_hash),
            (format!("me:{good} "), expected_hash),
            (format!("me: {good}"), expected_hash),
            (format!("me:{foreign}"), expected_hash),
            (format!("me:{signed}"), expected_hash),
            (format!("me:{}", good.replace(&good[20..21], "!")), expected_hash),
            (
                format!("me:{absurd}"),
                "line 1: expected a cost from 4 to 14, since each more doubles the time of a verification; it is 31",
            ),
            (
                format!("me:{low}"),
                "line 1: expected a cost from 4 to 14, since each more doubles the time of a verification; it is 3",
            ),
            (format!("me:{good}\nyou:{good}\nme:{top}"), "line 3: the user stands in an earlier line, too"),
            ("#".repeat(LONGEST + 1), "expected at most 1 MiB"),
        ] {
            let shown = match Users::parse(text.as_bytes()) {
                Ok(users) => format!("{users:?}"),
                Err(error) => error.to_string(),
            };
            assert_eq!(shown, expected, "{}", &text[..text.len().min(200)]);
        }
        assert_eq!(format!("{:?}", Users::parse(b"caf\xe9:x").unwrap_err()), "Hash(1)");
        assert!(Users::parse(&[b"caf\xe9:", good.as_bytes()].concat()).is_ok(), "bytes of any charset");
        assert!(matches!(Users::read("/nowhere".as_ref()), Err(UsersError::Unreadable(_))));
        assert!(matches!(Users::read("/dev/zero".as_ref()), Err(UsersError::TooLong)));
    }
}
