//! The values that messages are made of: each is valid if it exists, and none has state.

/// Lets a borrowed value be read from bytes and from text, by its constructor.
macro_rules! try_from_bytes {
    ($value:ident, $constructor:ident, $error:ty) => {
        impl<'a> TryFrom<&'a [u8]> for $value<'a> {
            type Error = $error;

            fn try_from(bytes: &'a [u8]) -> Result<$value<'a>, $error> {
                $value::$constructor(bytes)
            }
        }

        impl<'a> TryFrom<&'a str> for $value<'a> {
            type Error = $error;

            fn try_from(text: &'a str) -> Result<$value<'a>, $error> {
                $value::$constructor(text.as_bytes())
            }
        }
    };
}
pub(crate) use try_from_bytes;

pub(crate) mod date;
pub(crate) mod field;
pub(crate) mod field_index;
pub(crate) mod method;
pub(crate) mod path;
pub(crate) mod status;
pub(crate) mod target;
pub(crate) mod target_error;
pub(crate) mod version;
