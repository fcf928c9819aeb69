//! Guides, each with a tested example, and two pages about the protocol.
//!
//! | page | for |
//! |---|---|
//! | [`blocking`] | a server on blocking sockets, one thread for each connection |
//! | [`event_loop`] | many connections in one thread |
//! | [`gateway`] | a reverse proxy: a server to its clients, a client to its backend |
//! | [`crawler`] | many requests to one server: kept connections, retries, conditional requests |
//! | [`testing`] | tests without a socket, a thread or a sleep |
//! | [`no_std`] | devices without an operating system |
//! | [`protocol`] | every rule that the crate obeys, and every deviation |
//! | [`vulnerabilities`] | past vulnerabilities in other programs, each with its test here |

pub mod blocking;
pub mod crawler;
pub mod event_loop;
pub mod gateway;
pub mod no_std;
pub mod testing;

#[doc = include_str!("../../docs/protocol.md")]
pub mod protocol {}

#[doc = include_str!("../../docs/vulnerabilities.md")]
pub mod vulnerabilities {}
