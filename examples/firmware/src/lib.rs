//! The board: a serial line, a clock and a heap. No interrupts, and no `unsafe`: the crates below have it.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use core::time::Duration;

use cortex_m as _; // has the critical section that `Peripherals::take` needs
use device::line::Line;
use device::page::Page;
use panic_halt as _;
use stm32f4::stm32f405::{Peripherals, TIM2, USART1};

/// All memory that is allocated.
#[global_allocator]
static HEAP: emballoc::Allocator<4096> = emballoc::Allocator::new();

/// The frequencies of the serial line's bus and of the timer, as QEMU emulates them. On a real chip both have 16 MHz
/// until the firmware starts the PLL.
const BUS_HZ: u32 = 84_000_000;
const TIMER_MHZ: u16 = 1000;

/// The USART 1 and the timer 2.
pub struct Board {
    line: USART1,
    timer: TIM2,
    /// Its last value, and the microseconds since the start.
    last: u32,
    micros: u64,
}

impl Board {
    /// Starts both. `None` at a second call.
    pub fn start() -> Option<Board> {
        let chip = Peripherals::take()?;
        // The line is on pins 9 and 10 of port A.
        chip.RCC.ahb1enr().modify(|_, w| w.gpioaen().enabled());
        chip.RCC.apb2enr().modify(|_, w| w.usart1en().enabled());
        chip.GPIOA.moder().modify(|_, w| w.moder9().alternate().moder10().alternate());
        chip.GPIOA.afrh().modify(|_, w| w.afrh9().af7().afrh10().af7());
        let divisor = BUS_HZ / 115_200;
        chip.USART1
            .brr()
            .write(|w| w.div_mantissa().set((divisor / 16) as u16).div_fraction().set((divisor % 16) as u8));
        chip.USART1.cr1().write(|w| w.ue().enabled().te().enabled().re().enabled());
        chip.RCC.apb1enr().modify(|_, w| w.tim2en().enabled());
        chip.TIM2.psc().write(|w| w.psc().set(TIMER_MHZ - 1));
        chip.TIM2.egr().write(|w| w.ug().update());
        chip.TIM2.cr1().write(|w| w.cen().enabled());
        let last = chip.TIM2.cnt().read().cnt().bits();
        Some(Board { line: chip.USART1, timer: chip.TIM2, last, micros: 0 })
    }

    /// The time since the start. Call it at least once in an hour: the timer begins again after 71 minutes.
    pub fn now(&mut self) -> Duration {
        let value = self.timer.cnt().read().cnt().bits();
        self.micros += u64::from(value.wrapping_sub(self.last));
        self.last = value;
        Duration::from_micros(self.micros)
    }

    /// A received byte, if there is one.
    pub fn receive(&self) -> Option<u8> {
        self.line.sr().read().rxne().bit_is_set().then(|| self.line.dr().read().dr().bits() as u8)
    }

    /// Sends a byte, if the last one is gone. Returns whether it did.
    pub fn send(&self, byte: u8) -> bool {
        let is_free = self.line.sr().read().txe().bit_is_set();
        if is_free {
            self.line.dr().write(|w| w.dr().set(byte.into()));
        }
        is_free
    }

    /// Serves the line: the main loop.
    pub fn serve(mut self, find: impl Fn(&[u8], Duration) -> Option<Page>) -> ! {
        let mut line = Line::new(self.now());
        loop {
            let now = self.now();
            line.poll(now, &find);
            match line.unsent().first() {
                Some(&byte) if self.send(byte) => line.sent(1),
                Some(_) => {}
                None => {
                    if let Some(byte) = self.receive()
                        && let Some(space) = line.receive_buffer().first_mut()
                    {
                        *space = byte;
                        line.received(1, now);
                    }
                }
            }
        }
    }
}
