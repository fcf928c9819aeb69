//! A URL as a QR code, drawn with characters.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// Fixed white and black: the sixteen colours that a theme changes are not enough contrast in every theme.
const WHITE_ON_BLACK: &str = "\x1b[38;5;231;48;5;16m";
const RESET: &str = "\x1b[0m";

/// The lines of the code, with the margin that it needs. In colours they are white and black on any background.
/// Without, light modules are drawn. `None` if the text is too long.
pub(crate) fn lines(text: &str, in_colours: bool) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    // What is drawn is light: the characters of Dense1x2 are meant for the dark modules.
    let drawn = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    let (before, after) = if in_colours { (WHITE_ON_BLACK, RESET) } else { ("", "") };
    Some(drawn.lines().map(|line| format!("{before}{line}{after}\n")).collect())
}
