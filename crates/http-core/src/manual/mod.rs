//! Guides, each with a tested example, and two pages about the protocol.
//!
//! | page | for |
//! |---|---|
//! | [`blocking`] | a server on blocking sockets, one thread for each connection |
//! | [`event_loop`] | many connections in one thread |
//! | [`gateway`] | a reverse proxy: a server in front, a client behind |
//! | [`testing`] | tests without a socket, a thread or a sleep |
//! | [`no_std`] | devices without an operating system |
//! | [`protocol`] | every rule that the crate obeys, and every deviation |
//! | [`vulnerabilities`] | vulnerabilities of other programs, and the test that tries each here |

pub mod blocking;
pub mod event_loop;
pub mod gateway;
pub mod no_std;
pub mod testing;

#[doc = include_str!("../../docs/protocol.md")]
pub mod protocol {}

#[doc = include_str!("../../docs/vulnerabilities.md")]
pub mod vulnerabilities {}
