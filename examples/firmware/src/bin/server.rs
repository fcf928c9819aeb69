//! Serves the device's page over the serial line. In `examples/firmware`, with QEMU for the microcontroller:
//!
//!     cargo build --release
//!     printf 'GET / HTTP/1.0\r\n\r\n' | qemu-system-arm -machine netduinoplus2 -nographic -monitor none \
//!         -serial stdio -kernel ../../target/firmware/thumbv7em-none-eabihf/release/server
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use device::page;
use firmware::Board;

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(board) = Board::start() else { panic!() };
    board.serve(page::find)
}
