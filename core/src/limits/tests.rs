use super::*;
use proptest::prelude::*;
use std::net::IpAddr;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

fn key(address: &str) -> ClientKey {
    address.parse::<IpAddr>().unwrap().into()
}

#[test]
fn one_client_is_an_address_of_ipv4_or_a_64_of_ipv6() {
    assert_ne!(key("203.0.113.9"), key("203.0.113.10"));
    assert_eq!(key("203.0.113.9"), key("::ffff:203.0.113.9"));
    assert_eq!(key("2001:db8:1:2::9"), key("2001:db8:1:2:ffff::1"));
    assert_ne!(key("2001:db8:1:2::9"), key("2001:db8:1:3::9"));
    assert_ne!(key("0.0.0.0"), key("::1"));
}

#[test]
fn a_whole_allowance_serves_a_burst_and_then_one_at_a_time() {
    let rate = Rate::new(10, Duration::from_secs(1), 3);
    let mut at = 0;
    for _ in 0..3 {
        at = rate.take(at, 5 * SECOND).unwrap();
    }
    assert_eq!(rate.take(at, 5 * SECOND), Err(SECOND / 10), "the next one in a tenth of a second");
    assert_eq!(rate.take(at, 5 * SECOND + SECOND / 20), Err(SECOND / 20), "what is refused takes nothing");
    at = rate.take(at, 5 * SECOND + SECOND / 10).unwrap();
    assert_eq!(rate.take(at, 5 * SECOND + SECOND / 10), Err(SECOND / 10));
    for _ in 0..3 {
        at = rate.take(at, 9 * SECOND).unwrap();
    }
    assert!(rate.take(at, 9 * SECOND).is_err(), "idle for long is no more than whole");
}

#[test]
fn a_reload_to_a_quicker_rate_keeps_nobody_waiting_by_the_slower_one() {
    let slow = Rate::new(1, Duration::from_secs(3600), 5);
    let at = (0..5).fold(0, |at, _| slow.take(at, SECOND).unwrap());
    assert_eq!(Rate::new(10, Duration::from_secs(1), 1).take(at, SECOND), Err(SECOND / 10));
}

#[test]
fn any_rate_is_without_overflow() {
    for (rate, per, burst) in [(0, Duration::ZERO, 0), (1, Duration::MAX, u32::MAX), (u32::MAX, Duration::MAX, 1)] {
        let rate = Rate::new(rate, per, burst);
        for (at, now) in [(0, 0), (u64::MAX, 0), (0, u64::MAX), (u64::MAX, u64::MAX)] {
            let _either = rate.take(at, now);
        }
    }
}

fn numbered(n: u32) -> ClientKey {
    IpAddr::from(n.to_be_bytes()).into()
}

#[test]
fn each_client_has_an_allowance_of_its_own() {
    let (mut set, rate) = (ClientSet::default(), Rate::new(1, Duration::from_secs(1), 2));
    for n in 0..8 {
        assert_eq!(set.take(numbered(n), &rate, SECOND).verdict, Ok(()));
        assert_eq!(set.take(numbered(n), &rate, SECOND).verdict, Ok(()));
        assert_eq!(set.take(numbered(n), &rate, SECOND).verdict, Err(Duration::from_secs(1)));
    }
    assert_eq!(set.remembered(SECOND), 8);
    assert_eq!(set.remembered(3 * SECOND), 0, "whole again, as if they had never come");
}

#[test]
fn a_full_set_forgets_who_has_taken_least() {
    let (mut set, rate) = (ClientSet::default(), Rate::new(1, Duration::from_secs(1), 3));
    let greedy = numbered(5000);
    while set.take(greedy, &rate, SECOND).verdict.is_ok() {}
    for n in 0..1000 {
        let taken = set.take(numbered(n), &rate, SECOND);
        assert_eq!(taken, Taken { verdict: Ok(()), forgot: n as usize >= ClientSet::PLACES - 1 }, "client {n}");
    }
    assert!(set.take(greedy, &rate, SECOND).verdict.is_err(), "no crowd makes its debts forgotten");
    assert_eq!(set.remembered(SECOND), ClientSet::PLACES);
}

proptest! {
    #[test]
    fn over_any_time_no_more_pass_than_burst_and_rate_allow(
        rate in 1..500_u32, burst in 1..50_u32, steps in proptest::collection::vec(0..SECOND / 50, 1..400),
    ) {
        let allowance = Rate::new(rate, Duration::from_secs(1), burst);
        let (mut set, mut now, begin, mut passed) = (ClientSet::default(), SECOND, SECOND, 0_u64);
        for step in steps {
            now += step;
            match set.take(numbered(1), &allowance, now).verdict {
                Ok(()) => passed += 1,
                Err(wait) => {
                    let wait = u64::try_from(wait.as_nanos()).unwrap();
                    prop_assert!(set.clone().take(numbered(1), &allowance, now + wait - 1).verdict.is_err());
                    prop_assert!(set.clone().take(numbered(1), &allowance, now + wait).verdict.is_ok());
                }
            }
            // A request comes back in whole nanoseconds.
            let each = SECOND / u64::from(rate);
            prop_assert!(passed <= u64::from(burst) + (now - begin) / each);
        }
    }
}
