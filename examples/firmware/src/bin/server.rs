//! Serves the device's page over the serial line. In `examples/firmware`, with QEMU for the microcontroller:
//!
//!     cargo build --release
//!     printf 'GET / HTTP/1.0\r\n\r\n' | qemu-system-arm -machine netduinoplus2 -nographic -monitor none \
//!         -serial stdio -kernel ../../target/firmware/thumbv7em-none-eabihf/release/server
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use device::line::Line;
use device::page;
use firmware::Board;

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(mut board) = Board::start() else { panic!() };
    let mut line = Line::new(board.now());
    loop {
        let now = board.now();
        line.poll(now, page::find);
        match line.unsent().first() {
            Some(&byte) if board.send(byte) => line.sent(1),
            Some(_) => {}
            None => {
                if let Some(byte) = board.receive()
                    && let Some(space) = line.receive_buffer().first_mut()
                {
                    *space = byte;
                    line.received(1, now);
                }
            }
        }
    }
}
