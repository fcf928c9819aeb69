//! Laws of the queue, in simulated time. They count verifications.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const VERIFICATION: Duration = Duration::from_millis(100);
const ROUND_TRIP: Duration = Duration::from_micros(200);

/// Addresses.
const HERE: &str = "192.0.2.1";
const THERE: &str = "198.51.100.1";
const ELSEWHERE: &str = "198.51.100.2";

#[derive(Clone, Copy, Debug)]
enum Sender {
    /// A connection of an attacker, which guesses another password as soon as it is answered.
    Attacker(IpAddr),
    /// A request, by its index in `logins`.
    Login(usize),
}

/// What became of a request that does not come from an attacker.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Login {
    /// Verifications that had ended when it came.
    ended_before: u64,
    /// Verifications that it waited for, without its own.
    waited: u64,
    answer: Option<(Wakeup, Instant)>,
}

/// A verifier and its clients. Every right password is "right".
struct Simulation {
    queue: Queue<Sender>,
    now: Instant,
    /// By their time of arrival. The number makes the key unique.
    requests: BTreeMap<(Instant, usize), (Sender, IpAddr, Basic)>,
    sent: usize,
    /// When the verification ends, and what it finds.
    running: Option<(Instant, bool)>,
    /// Verifications that have ended.
    ended: u64,
    logins: Vec<Login>,
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn basic(user: &str, password: &str) -> Basic {
    Basic::new(user.as_bytes(), password.as_bytes()).unwrap()
}

impl Simulation {
    fn new() -> Simulation {
        Simulation {
            queue: Queue::new(MAX_WAIT),
            now: Instant::now(),
            requests: BTreeMap::new(),
            sent: 0,
            running: None,
            ended: 0,
            logins: Vec::new(),
        }
    }

    /// From now on, attackers guess a password of "user" from these addresses, over this many connections each.
    fn attack(&mut self, attackers: &[(&str, usize)]) {
        for (client, connections) in attackers {
            (0..*connections).for_each(|_| self.guess(Duration::ZERO, address(client)));
        }
        self.run(ROUND_TRIP);
    }

    fn guess(&mut self, after: Duration, client: IpAddr) {
        self.send(after, Sender::Attacker(client), client, basic("user", &self.sent.to_string()));
    }

    /// Sends one request. Returns its index.
    fn log_in(&mut self, after: Duration, client: &str, user: &str, password: &str) -> usize {
        self.logins.push(Login::default());
        let index = self.logins.len() - 1;
        self.send(after, Sender::Login(index), address(client), basic(user, password));
        index
    }

    fn send(&mut self, after: Duration, sender: Sender, client: IpAddr, credentials: Basic) {
        self.sent += 1;
        self.requests.insert((self.now + after, self.sent), (sender, client, credentials));
    }

    /// Runs for this long. The verifier answers between two verifications.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            if self.running.is_none() {
                let due = self.queue.take_due(self.now);
                let next = self.queue.next();
                due.into_iter().for_each(|(sender, wakeup)| self.answer(sender, wakeup));
                self.running = next.map(|next| (self.now + VERIFICATION, next.password() == b"right"));
            }
            let ends = self.running.map(|(at, _)| at);
            let arrives = self.requests.first_key_value().map(|((at, _), _)| *at);
            let due = self.queue.next_due().filter(|_| ends.is_none());
            let Some(next) = [ends, arrives, due].into_iter().flatten().min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            if ends == Some(next)
                && let Some((_, is_right)) = self.running.take()
            {
                self.ended += 1;
                self.queue.finish(is_right, VERIFICATION, self.now);
            } else if arrives == Some(next)
                && let Some((_, (sender, client, credentials))) = self.requests.pop_first()
            {
                if let Sender::Login(index) = sender {
                    self.logins[index].ended_before = self.ended;
                }
                self.queue.add(client, credentials, sender, self.now);
                // As the worker that adds it.
                let due = self.queue.take_due(self.now);
                due.into_iter().for_each(|(sender, wakeup)| self.answer(sender, wakeup));
            }
        }
        self.now = end;
    }

    fn answer(&mut self, sender: Sender, wakeup: Wakeup) {
        match sender {
            Sender::Attacker(client) => self.guess(ROUND_TRIP, client),
            Sender::Login(index) => {
                let login = &mut self.logins[index];
                assert_eq!(login.answer, None, "it is answered twice");
                login.answer = Some((wakeup, self.now));
                login.waited = (self.ended - login.ended_before).saturating_sub(1);
            }
        }
    }

    fn is_done(&self, index: usize) -> bool {
        matches!(self.logins[index].answer, Some((Wakeup::Done, _)))
    }
}

/// The most verifications that a right password from HERE waits for, which comes at any time of an attack.
fn longest_wait(attackers: &[(&str, usize)]) -> u64 {
    // From the first guesses, which all wait at once, until answers are held back.
    let connections: usize = attackers.iter().map(|(_, connections)| connections).sum();
    let moments =
        (0..150).step_by(1 + connections / 100).map(|n| VERIFICATION * n * 2 / 7).chain([Duration::from_secs(60)]);
    let waits = moments.map(|after| {
        let mut simulation = Simulation::new();
        simulation.attack(attackers);
        let login = simulation.log_in(after, HERE, "user", "right");
        simulation.run(after + 10 * VERIFICATION);
        assert!(simulation.is_done(login), "{attackers:?}, {after:?}");
        simulation.logins[login].waited
    });
    waits.max().unwrap()
}

// V19
#[test]
fn v19_login_waits_for_at_most_four_verifications_while_two_attackers_guess() {
    for connections in [1, 8, 50, 250] {
        let wait = longest_wait(&[(THERE, connections), (ELSEWHERE, connections)]);
        assert!(wait <= 3, "{connections} connections each, from other addresses: {wait}");
        let wait = longest_wait(&[(HERE, 2 * connections)]);
        assert!(wait <= 4, "{connections} connections each, from the same address: {wait}");
        let wait = longest_wait(&[(HERE, connections), (THERE, connections)]);
        assert!(wait <= 4, "{connections} connections each, one from the same address: {wait}");
    }
}

// V19
#[test]
fn v19_login_from_another_address_waits_for_no_attacker_twice() {
    let attackers: Vec<_> = (0..100).map(|n| format!("203.0.113.{n}")).collect();
    let attackers: Vec<_> = attackers.iter().map(|address| (&address[..], 2)).collect();
    let mut simulation = Simulation::new();
    simulation.attack(&attackers);
    simulation.run(500 * VERIFICATION); // each has guessed several times
    let login = simulation.log_in(Duration::ZERO, HERE, "user", "right");
    // A typing error does not put a client behind those that guess all the time.
    let typing_error = simulation.log_in(5 * VERIFICATION, THERE, "user", "rihgt");
    let corrected = simulation.log_in(9 * VERIFICATION, THERE, "user", "right");
    simulation.run(20 * VERIFICATION);
    let waited =
        [login, typing_error, corrected].map(|index| (simulation.is_done(index), simulation.logins[index].waited));
    assert!(waited.iter().all(|(is_done, waited)| *is_done && *waited <= 1), "{waited:?}");
}

#[test]
fn eight_logins_at_once_all_succeed() {
    for attackers in [&[][..], &[(THERE, 8)], &[(HERE, 8)]] {
        let mut simulation = Simulation::new();
        simulation.attack(attackers);
        let users = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let logins = users.map(|user| simulation.log_in(Duration::ZERO, HERE, user, "right"));
        simulation.run(24 * VERIFICATION);
        assert!(logins.iter().all(|login| simulation.is_done(*login)), "{attackers:?}");
    }
}

#[test]
fn equal_credentials_are_verified_once() {
    for password in ["right", "wrong"] {
        let mut simulation = Simulation::new();
        // The last ones come while the first verification is running.
        let clients = [(0, HERE), (0, HERE), (0, THERE), (50, HERE), (50, ELSEWHERE), (99, HERE)];
        let logins = clients.map(|(ms, client)| simulation.log_in(Duration::from_millis(ms), client, "user", password));
        let others = [("user", "other"), ("other", password)];
        let others = others.map(|(user, password)| simulation.log_in(VERIFICATION / 2, HERE, user, password));
        simulation.run(VERIFICATION);
        assert!(logins.iter().all(|login| simulation.is_done(*login)), "{password}");
        assert!(!others.iter().any(|login| simulation.is_done(*login)), "one of both is not the same");
        simulation.run(20 * VERIFICATION);
        assert_eq!(simulation.ended, 3);
    }
}

#[test]
fn last_wrong_credentials_of_a_client_are_not_verified_again() {
    let mut simulation = Simulation::new();
    simulation.log_in(Duration::ZERO, HERE, "user", "wrong");
    simulation.run(2 * VERIFICATION);
    for _ in 0..1000 {
        let login = simulation.log_in(Duration::ZERO, HERE, "user", "wrong");
        simulation.run(Duration::ZERO);
        assert!(simulation.is_done(login));
    }
    assert_eq!(simulation.ended, 1);
    // Nobody learns what others have tried.
    simulation.log_in(Duration::ZERO, THERE, "user", "wrong");
    simulation.log_in(Duration::ZERO, HERE, "user", "another");
    simulation.run(20 * VERIFICATION);
    assert_eq!(simulation.ended, 3);
}

#[test]
fn client_that_guesses_is_answered_once_in_the_time_of_eight_verifications() {
    let mut simulation = Simulation::new();
    for n in 0..5 {
        simulation.log_in(Duration::ZERO, HERE, "user", &n.to_string());
    }
    let other = simulation.log_in(Duration::ZERO, THERE, "user", "wrong");
    let began = simulation.now;
    simulation.run(Duration::from_secs(10));
    let answered = |index: usize| simulation.logins[index].answer.unwrap().1 - began;
    let (mut times, other) = ([0, 1, 2, 3, 4].map(answered), answered(other));
    times.sort_unstable();
    assert_eq!(times, [1, 9, 17, 25, 33].map(|n| VERIFICATION * n));
    assert_eq!(other, 2 * VERIFICATION, "another client does not wait for that");
    simulation.attack(&[(HERE, 20)]);
    simulation.run(Duration::from_secs(60)); // the first guesses are verified
    let ended = simulation.ended;
    simulation.run(Duration::from_secs(80));
    assert_eq!(simulation.ended - ended, 100, "an eighth of the time");
}

#[test]
fn wait_has_a_bound() {
    let mut simulation = Simulation::new();
    let began = simulation.now;
    // More than 30 s of verifications for each of both.
    let wrong = (0..220).map(|n| (["192.0.2.1", "198.51.100.1"][n % 2], n.to_string()));
    let logins: Vec<_> = wrong.map(|(client, n)| simulation.log_in(Duration::ZERO, client, "user", &n)).collect();
    simulation.run(MAX_WAIT - VERIFICATION);
    assert!(!logins.iter().all(|login| simulation.logins[*login].answer.is_some()));
    simulation.run(2 * VERIFICATION);
    let answers: Vec<_> = simulation.logins.iter().map(|login| login.answer.unwrap()).collect();
    assert!(answers.iter().all(|(_, at)| *at - began <= MAX_WAIT + VERIFICATION));
    assert_eq!(simulation.queue.next_due(), None, "nothing is left");
    // A request whose turn does not come gives up.
    let mut simulation = Simulation::new();
    simulation.queue.max_wait = 3 * VERIFICATION;
    let logins = ["a", "b", "c", "d", "e"].map(|user| simulation.log_in(Duration::ZERO, HERE, user, "right"));
    simulation.run(10 * VERIFICATION);
    assert_eq!(logins.map(|login| simulation.is_done(login)), [true, true, true, false, false]);
}

#[test]
fn full_queue_refuses_those_that_guess() {
    let mut simulation = Simulation::new();
    let (wrong, all) = (simulation.log_in(Duration::ZERO, THERE, "user", "wrong"), MAX_WAITING + 1);
    simulation.run(VERIFICATION);
    let guesses: Vec<_> = (0..all).map(|n| simulation.log_in(Duration::ZERO, THERE, "user", &n.to_string())).collect();
    simulation.run(Duration::ZERO);
    assert_eq!((simulation.queue.waiting.len(), simulation.is_done(wrong)), (MAX_WAITING, true));
    let guess = simulation.log_in(Duration::ZERO, THERE, "user", "one more");
    let logins = [THERE, HERE].map(|client| simulation.log_in(Duration::ZERO, client, "user", "right"));
    simulation.run(4 * VERIFICATION);
    assert_eq!(logins.map(|login| simulation.is_done(login)), [true; 2], "they take the places of guesses");
    let gave_up = |index: &usize| matches!(simulation.logins[*index].answer, Some((Wakeup::GaveUp, _)));
    assert!(guesses[1..4].iter().all(gave_up), "the oldest, except the one that is being verified");
    assert!(!guesses[4..].iter().chain([&guesses[0], &guess]).any(gave_up));
}

#[test]
fn memory_of_clients_that_failed_is_bounded() {
    let mut simulation = Simulation::new();
    for n in 0..MAX_FAILED + 10 {
        simulation.log_in(VERIFICATION * n as u32, &format!("203.0.{}.{}", n / 256, n % 256), "user", "wrong");
    }
    simulation.run(VERIFICATION * (MAX_FAILED + 20) as u32);
    let failed = |client: &str| simulation.queue.failed.contains_key(&address(client));
    assert_eq!(simulation.queue.failed.len(), MAX_FAILED);
    assert!(!failed("203.0.0.9") && failed("203.0.0.10"), "the oldest are forgotten");
}

#[test]
fn client_of_ipv6_is_a_network() {
    for (one, other, are_one) in [
        ("2001:db8::1", "2001:db8::ffff:0:0:2", true),
        ("2001:db8::1", "2001:db8:0:1::1", false),
        ("192.0.2.1", "192.0.2.2", false),
    ] {
        assert_eq!(network(address(one)) == network(address(other)), are_one, "{one} {other}");
    }
}

// Whatever happens, each request is answered once and in time, and the queue is bounded.
proptest! {
    #[test]
    fn every_request_is_answered_once(requests in proptest::collection::vec((0u64..5000, 0u8..6, 0u8..4, 0u8..3), 0..400)) {
        let mut simulation = Simulation::new();
        let began = simulation.now;
        for (ms, client, user, password) in &requests {
            let password = if *password == 0 { "right".into() } else { format!("{password}{ms}") };
            simulation.log_in(Duration::from_millis(*ms), &format!("192.0.2.{client}"), &user.to_string(), &password);
        }
        for _ in 0..40 {
            simulation.run(Duration::from_secs(1));
            prop_assert!(simulation.queue.waiting.len() + simulation.queue.answers.len() <= MAX_WAITING);
        }
        for (login, (ms, ..)) in simulation.logins.iter().zip(&requests) {
            let Some((_, at)) = login.answer else { return Err(TestCaseError::fail("no answer")) };
            prop_assert!(at - began <= Duration::from_millis(*ms) + MAX_WAIT + VERIFICATION);
        }
        prop_assert_eq!(simulation.queue.next_due(), None);
    }
}
