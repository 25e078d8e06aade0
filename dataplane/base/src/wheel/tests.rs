//! The wheel against a sorted list of deadlines.

use super::{TICK_SHIFT, Wheel, WheelLinks, WheelStore};
use crate::rng::Rng;
use crate::time::{Duration, Instant};

struct Links(Vec<WheelLinks>);

impl WheelStore for Links {
    fn links(&self, index: u32) -> WheelLinks {
        self.0[index as usize]
    }
    fn set_links(&mut self, index: u32, links: WheelLinks) {
        self.0[index as usize] = links;
    }
}

const TICK: u64 = 1 << TICK_SHIFT;

#[test]
fn timer_is_never_early_and_at_most_a_tick_late() {
    let start = Instant::from_nanos(123_456_789);
    let mut store = Links(vec![WheelLinks::UNARMED; 1]);
    for delay_ms in [0, 1, 2, 63, 64, 65, 200, 1_000, 4_096, 60_000, 300_000, 4_000_000] {
        let mut wheel = Wheel::new(start);
        let deadline = start + Duration::from_millis(delay_ms);
        wheel.arm(&mut store, 0, deadline);
        let mut now = start;
        let expired_at = loop {
            if wheel.poll_expired(&mut store, now).is_some() {
                break now;
            }
            let next = wheel.next_deadline().expect("a timer is armed");
            now = if next > now { next } else { Instant::from_nanos(now.as_nanos() + TICK) };
        };
        assert!(expired_at >= deadline, "{delay_ms} ms: early, at {expired_at}");
        let late = expired_at.saturating_since(deadline).as_nanos();
        assert!(late <= 2 * TICK, "{delay_ms} ms: {late} ns late");
    }
}

#[test]
fn wheel_agrees_with_a_sorted_list() {
    let seed = 0xabe1e;
    println!("seed {seed}");
    let mut rng = Rng::seeded(seed);
    let count = 300u32;
    let mut store = Links(vec![WheelLinks::UNARMED; count as usize]);
    let mut now = Instant::from_nanos(rng.below(1 << 50));
    let mut wheel = Wheel::new(now);
    let mut model: Vec<Option<Instant>> = vec![None; count as usize];
    for _ in 0..200_000 {
        match rng.below(10) {
            0..5 => {
                let index = u32::try_from(rng.below(u64::from(count))).unwrap();
                let exponent = rng.below(24);
                let deadline = now + Duration::from_micros(rng.below(1 << (exponent + 8)));
                wheel.arm(&mut store, index, deadline);
                model[index as usize] = Some(deadline);
            }
            5 => {
                let index = u32::try_from(rng.below(u64::from(count))).unwrap();
                wheel.disarm(&mut store, index);
                model[index as usize] = None;
            }
            _ => {
                let exponent = rng.below(22);
                now += Duration::from_micros(rng.below(1 << (exponent + 6)));
                while let Some(index) = wheel.poll_expired(&mut store, now) {
                    let deadline = model[index as usize].take().expect("only armed ones expire");
                    assert!(deadline <= now, "{index} is early");
                }
                for (index, deadline) in model.iter().enumerate() {
                    let Some(deadline) = deadline else { continue };
                    let late = now.saturating_since(*deadline).as_nanos();
                    assert!(late <= 2 * TICK, "{index} is {late} ns late at {now}");
                }
            }
        }
        let armed = model.iter().filter(|deadline| deadline.is_some()).count();
        assert_eq!(wheel.armed_count() as usize, armed);
        if let Some(first) = model.iter().flatten().min() {
            let next = wheel.next_deadline().expect("armed");
            assert!(next.as_nanos() <= first.as_nanos() + 2 * TICK, "next {next}, first {first}");
        }
    }
}
