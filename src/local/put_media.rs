//! The head of a `PutMedia` call.
//!
//! In: headers. Out: what they ask for, or a refusal. Does not belong here: what comes after the head (`session`).

use http::HeaderMap;

use super::control::Target;
use super::ingest::Timecodes;
use super::refused::Refused;

/// The head of a `PutMedia` call; already valid.
#[derive(Debug)]
pub(crate) struct PutMedia {
    pub(crate) target: Target,
    pub(crate) timecodes: Timecodes,
    pub(crate) acks: bool,
}

/// The stream a call names, for records.
pub(crate) fn target(headers: &HeaderMap) -> Target {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    Target::new(text("x-amzn-stream-name"), text("x-amzn-stream-arn"))
}

impl PutMedia {
    /// Reads the head of a call.
    pub(crate) fn parse(headers: &HeaderMap) -> Result<Self, Refused> {
        let text = |name: &str| {
            headers
                .get(name)
                .map(|value| {
                    value
                        .to_str()
                        .map_err(|_| Refused::argument(format!("{name} is not ASCII.")))
                })
                .transpose()
        };
        if !text("transfer-encoding")?.is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
        {
            return Err(Refused::argument(
                "PutMedia takes Transfer-Encoding: chunked only.",
            ));
        }
        let start_ms = text("x-amzn-producer-start-timestamp")?
            .and_then(timestamp_ms)
            .ok_or_else(|| {
                Refused::argument(
                    "x-amzn-producer-start-timestamp must be seconds, a dot and three digits.",
                )
            })?;
        let timecodes = match text("x-amzn-fragment-timecode-type")? {
            Some("ABSOLUTE") => Timecodes::Absolute,
            Some("RELATIVE") => Timecodes::Relative { start_ms },
            _ => {
                return Err(Refused::argument(
                    "x-amzn-fragment-timecode-type must be ABSOLUTE or RELATIVE.",
                ));
            }
        };
        let acks = match text("x-amzn-fragment-acknowledgment-required")? {
            None | Some("1") => true,
            Some("0") => false,
            Some(_) => {
                return Err(Refused::argument(
                    "x-amzn-fragment-acknowledgment-required must be 0 or 1.",
                ));
            }
        };
        Ok(Self {
            target: target(headers),
            timecodes,
            acks,
        })
    }
}

/// `1700000000.123` in milliseconds.
fn timestamp_ms(text: &str) -> Option<u64> {
    let (seconds, thousandths) = text.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(seconds) || !digits(thousandths) || thousandths.len() != 3 {
        return None;
    }
    let seconds: u64 = seconds.parse().ok()?;
    seconds
        .checked_mul(1000)?
        .checked_add(thousandths.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("1700000000.123", Some(1_700_000_000_123))]
    #[test_case("0.000", Some(0))]
    #[test_case("1700000000.5", None; "not padded")]
    #[test_case("1700000000.1234", None; "four digits")]
    #[test_case("1700000000", None; "no dot")]
    #[test_case(".123", None; "no seconds")]
    #[test_case("-1.000", None; "negative")]
    #[test_case("+1.000", None; "signed")]
    #[test_case("99999999999999999999.000", None; "too many")]
    fn a_start_timestamp_is_seconds_and_three_digits(text: &str, ms: Option<u64>) {
        assert_eq!(timestamp_ms(text), ms);
    }
}
