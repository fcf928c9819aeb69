//! The key under which a socket is registered with the kernel: a slot and its generation, or a listener.

/// Identifies the registration of one connection in one slot. An event with the token of an earlier generation is
/// stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl Token {
    pub(crate) const fn to_u64(self) -> u64 {
        (self.generation as u64) << 32 | self.slot as u64
    }

    pub(crate) const fn from_u64(key: u64) -> Token {
        Token { slot: key as u32, generation: (key >> 32) as u32 }
    }
}

/// The key of the poller's own wake-up.
pub(crate) const NOTIFY_TOKEN: u64 = u64::MAX;

pub(crate) const MAX_LISTENERS: u64 = 1000;

/// Above the key of every connection: there are at most 2^24 slots, so no slot index comes near 2^32.
const FIRST_LISTENER: u64 = NOTIFY_TOKEN - MAX_LISTENERS;

/// The key of listener number `index`, which is below [`MAX_LISTENERS`].
pub(crate) const fn listener_key(index: usize) -> u64 {
    FIRST_LISTENER + index as u64
}

/// Which listener a key belongs to, if it is not a connection's.
pub(crate) fn listener_index(key: u64) -> Option<usize> {
    key.checked_sub(FIRST_LISTENER).map(|index| index as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_survives_conversion_to_u64_and_back() {
        for token in [Token { slot: 0, generation: 0 }, Token { slot: 1 << 24, generation: u32::MAX }] {
            assert_eq!(Token::from_u64(token.to_u64()), token);
            assert_eq!(listener_index(token.to_u64()), None);
        }
        assert_eq!(listener_index(listener_key(7)), Some(7));
    }
}
