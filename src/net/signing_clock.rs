//! [`SigningClock`]: the time that signatures have, also when the device's clock is wrong.
//!
//! In: refusals of a signature, with the `Date` of the answer. Out: the time to sign with, for both clients.
//! Only refusals teach it, and only those that speak of a signature: a clock that the service is content with is right
//! enough, and nothing else is to be shifted. What the answer says is to be believed: it came over TLS, or from this
//! machine ([`is_authentic`]); over the network as it is, anybody could ask for signatures of any time.
//! Does not belong here: timestamps of frames, which stay what the device says.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_smithy_async::time::TimeSource;
use aws_smithy_types::{DateTime, date_time::Format};
use reqwest::Url;

use super::clock::system_now;
use crate::session::{Cause, Failure};

/// The service takes signatures that are 5 minutes old or ahead ("Signature Version 4", signature validity). A clock that
/// is wrong by less than this is not why it refused one, however long the answer took.
const TOLERANCE_MS: u64 = 60_000;

/// The device's wall clock, corrected by what the service said. Clones share it: a device has one clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct SigningClock(Arc<AtomicI64>);

impl SigningClock {
    /// How far the service's clock is ahead of the device's, in milliseconds, as far as it matters.
    pub(crate) fn offset_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// A request that was signed with the offset `signed_ms` was refused, by an answer of this date. True when it was for
    /// the time of its signature: now that is known better, and the request can be signed again.
    pub(crate) fn learn(&self, signed_ms: i64, failure: &Failure, date: Option<&str>) -> bool {
        self.learn_at(system_now(), signed_ms, failure, date)
    }

    fn learn_at(
        &self,
        device: SystemTime,
        signed_ms: i64,
        failure: &Failure,
        date: Option<&str>,
    ) -> bool {
        let Some(service) = date.filter(|_| is_about_signature(failure)).and_then(parse) else {
            return false;
        };
        let offset_ms = ahead_ms(service, device);
        // Compared with what this request had: another stream of the producer may have learnt it meanwhile.
        if offset_ms.abs_diff(signed_ms) <= TOLERANCE_MS {
            return false;
        }
        let is_right = offset_ms.unsigned_abs() <= TOLERANCE_MS;
        let offset_ms = if is_right { 0 } else { offset_ms };
        self.0.store(offset_ms, Ordering::Relaxed);
        true
    }
}

impl TimeSource for SigningClock {
    fn now(&self) -> SystemTime {
        shifted(system_now(), self.offset_ms())
    }
}

/// An answer from there is the service's own: nobody on the way can have made or changed it.
pub(crate) fn is_authentic(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    url.scheme() == "https"
        || address.map_or(host == "localhost", |address: IpAddr| address.is_loopback())
}

/// "Common Errors", and what services of AWS say of a signature whose time is wrong; the same words as in the SDKs.
fn is_about_signature(failure: &Failure) -> bool {
    let Cause::Answer { code, .. } = &failure.cause else {
        return false;
    };
    matches!(
        code.as_str(),
        "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "AuthFailure"
            | "RequestExpired"
            | "RequestTimeTooSkewed"
    ) || ["Signature expired", "Signature not yet current"]
        .iter()
        .any(|said| failure.message.contains(said))
}

fn parse(date: &str) -> Option<SystemTime> {
    let date = DateTime::from_str(date, Format::HttpDate).ok()?;
    SystemTime::try_from(date).ok()
}

fn ahead_ms(service: SystemTime, device: SystemTime) -> i64 {
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    match service.duration_since(device) {
        Ok(ahead) => millis(ahead),
        Err(behind) => -millis(behind.duration()),
    }
}

/// What cannot be told in the system's time stays as it is.
fn shifted(time: SystemTime, by_ms: i64) -> SystemTime {
    let by = Duration::from_millis(by_ms.unsigned_abs());
    let shifted = if by_ms < 0 {
        time.checked_sub(by)
    } else {
        time.checked_add(by)
    };
    shifted.unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::session::Call;

    /// Of the service: 1,700,000,000 s since 1970.
    const DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
    const DATE_S: u64 = 1_700_000_000;

    fn at(secs: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
    }

    fn refusal(code: &str, message: &str) -> Failure {
        Failure {
            call: Call::Resolve,
            cause: Cause::Answer {
                status: 403,
                code: code.into(),
                request_id: None,
            },
            message: message.into(),
        }
    }

    fn wrong_signature() -> Failure {
        refusal("InvalidSignatureException", "")
    }

    /// A clock that was told of such a difference.
    fn clock_of(offset_ms: i64) -> SigningClock {
        let clock = SigningClock::default();
        clock.0.store(offset_ms, Ordering::Relaxed);
        clock
    }

    #[test_case(DATE_S - 600, 600_000; "the device is behind")]
    #[test_case(DATE_S + 600, -600_000; "the device is ahead")]
    #[test_case(0, 1_700_000_000_000; "the device has no battery")]
    #[test_case(4_000_000_000, -2_300_000_000_000; "the device is in another century")]
    fn a_refused_signature_teaches_the_offset(device: u64, expected: i64) {
        let clock = SigningClock::default();
        assert!(clock.learn_at(at(device), 0, &wrong_signature(), Some(DATE)));
        assert_eq!(clock.offset_ms(), expected);
        assert_eq!(shifted(at(device), expected), at(DATE_S));
        // It had the right time now: whatever is wrong is something else.
        assert!(!clock.learn_at(at(device), expected, &wrong_signature(), Some(DATE)));
        assert_eq!(clock.offset_ms(), expected);
    }

    #[test]
    fn a_clock_that_is_set_right_needs_no_offset_any_more() {
        for before in [600_000, -600_000] {
            let clock = clock_of(before);
            assert!(clock.learn_at(at(DATE_S + 3), before, &wrong_signature(), Some(DATE)));
            assert_eq!(clock.offset_ms(), 0);
        }
    }

    #[test]
    fn what_another_stream_has_learnt_is_used_to_sign_again() {
        let clock = clock_of(600_000);
        assert!(clock.learn_at(at(DATE_S - 600), 0, &wrong_signature(), Some(DATE)));
        assert_eq!(clock.offset_ms(), 600_000);
    }

    #[test_case(wrong_signature(), None; "no date")]
    #[test_case(wrong_signature(), Some("yesterday"); "a date that is none")]
    #[test_case(wrong_signature(), Some("Tue, 14 Nov 2023 22:04:20 GMT"); "the time is right but for a minute")]
    #[test_case(refusal("UnrecognizedClientException", "The security token is invalid."), Some(DATE); "an unknown key")]
    #[test_case(refusal("AccessDeniedException", "User is not authorized"), Some(DATE); "no permission")]
    #[test_case(refusal("", "Service Unavailable"), Some(DATE); "a proxy")]
    #[test_case(Failure { cause: Cause::Transport, ..wrong_signature() }, Some(DATE); "no answer")]
    fn nothing_else_teaches_it(failure: Failure, date: Option<&str>) {
        let clock = SigningClock::default();
        assert!(!clock.learn_at(at(DATE_S - 600), 0, &failure, date));
        assert_eq!(clock.offset_ms(), 0);
    }

    #[test_case("RequestExpired", "")]
    #[test_case("RequestTimeTooSkewed", "")]
    #[test_case("SignatureDoesNotMatch", "")]
    #[test_case(
        "AccessDeniedException",
        "Signature expired: 20231114T220320Z is now earlier than …"
    )]
    #[test_case(
        "AccessDeniedException",
        "Signature not yet current: 20231114T222320Z is still later than …"
    )]
    fn every_word_for_a_wrong_time_teaches_it(code: &str, message: &str) {
        let clock = SigningClock::default();
        assert!(clock.learn_at(at(DATE_S - 600), 0, &refusal(code, message), Some(DATE)));
    }

    #[test_case("https://kinesisvideo.us-west-2.amazonaws.com", true)]
    #[test_case("https://192.0.2.1:8443", true)]
    #[test_case("http://127.0.0.1:8480", true)]
    #[test_case("http://127.3.2.1", true)]
    #[test_case("http://[::1]:8480", true)]
    #[test_case("http://localhost:8480", true)]
    #[test_case("http://192.0.2.1:8480", false)]
    #[test_case("http://[2001:db8::1]", false)]
    #[test_case("http://localhost.example", false)]
    fn an_answer_is_authentic_by_tls_or_from_this_machine(url: &str, expected: bool) {
        assert_eq!(is_authentic(&Url::parse(url).unwrap()), expected);
    }

    #[test]
    fn a_shift_never_panics() {
        for by_ms in [i64::MIN, i64::MAX] {
            for time in [at(0), at(DATE_S), at(i64::MAX as u64)] {
                let _ = shifted(time, by_ms);
            }
        }
    }
}
