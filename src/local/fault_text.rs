//! Faults as text: `KIND[:ARGUMENT]…[:TIMES][@STREAM]`.
//!
//! Times are milliseconds (`1500`, `1500ms`) or seconds (`2s`). TIMES is a number or `always`, which means: until
//! cleared; 1 if not given. Does not belong here: what a fault does (`fault`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::ack::ErrorId;
use super::api::Api;
use super::fault::{Fault, FaultForm, FaultKind};
use super::fault_forms::{EXCEPTIONS, FORMS, usual_exception};
use super::rules::check_name;

/// Why a text is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no fault: {why}")]
pub struct FaultError {
    text: String,
    why: String,
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        parse(text.trim()).map_err(|why| FaultError {
            text: text.chars().take(256).collect(),
            why,
        })
    }
}

fn parse(text: &str) -> Result<Fault, String> {
    let (rest, stream) = match text.split_once('@') {
        Some((rest, stream)) => (rest, Some(stream.to_owned())),
        None => (text, None),
    };
    let (name, arguments) = match rest.split_once(':') {
        Some((name, arguments)) => (name, Some(arguments)),
        None => (rest, None),
    };
    let form = FORMS
        .iter()
        .find(|form| name_of(form) == name)
        .ok_or_else(|| {
            let names: Vec<_> = FORMS.iter().map(name_of).collect();
            format!("there is no '{name}' among {}", names.join(", "))
        })?;
    let mut words = Words {
        form: form.form,
        rest: arguments.map(|arguments| arguments.split(':')),
    };
    let kind = kind(name, &mut words)?;
    let times = match words.next() {
        None => kind.usual_times(),
        Some(_) if kind.is_port() => return Err(format!("the form is {}", form.form)),
        Some("always") => None,
        Some(times) => Some(
            number(times)
                .filter(|times| *times > 0)
                .ok_or_else(|| words.wrong("TIMES", times, "a number from 1 on, or 'always'"))?,
        ),
    };
    if words.next().is_some() {
        return Err(format!("too many arguments; the form is {}", form.form));
    }
    if let Some(stream) = &stream {
        if !kind.knows_streams() {
            return Err(format!("{name} cannot be about one stream"));
        }
        check_name("STREAM", stream, 256).map_err(|refused| refused.message)?;
    }
    Ok(Fault {
        kind,
        times,
        stream,
    })
}

fn name_of(form: &FaultForm) -> &'static str {
    let end = form.form.find([':', '[']).unwrap_or(form.form.len());
    &form.form[..end]
}

fn kind(name: &str, words: &mut Words<'_>) -> Result<FaultKind, String> {
    Ok(match name {
        "http" => {
            let api = words.take("API", "the name of an API, or *", |text| match text {
                "*" => Some(None),
                name => Api::named(name).map(Some),
            })?;
            let (status, exception) = words.take(
                "STATUS",
                "from 400 to 599, then perhaps / and an exception of the service",
                status,
            )?;
            FaultKind::Http {
                api,
                status,
                exception,
            }
        }
        "connection-limit" => FaultKind::ConnectionLimit,
        "slow-open" => FaultKind::SlowOpen {
            delay: words.time()?,
        },
        "refuse" => FaultKind::Refuse {
            period: words.optional_time()?,
        },
        "away" => FaultKind::Away {
            period: words.optional_time()?,
        },
        "black-hole" => FaultKind::BlackHole,
        "clock" => FaultKind::Clock {
            offset_ms: words.take("OFFSET_MS", "milliseconds, perhaps negative", |text| {
                text.parse().ok()
            })?,
        },
        "reset-at-byte" => FaultKind::ResetAtByte {
            byte: words.byte()?,
        },
        "close-at-byte" => FaultKind::CloseAtByte {
            byte: words.byte()?,
        },
        "close-mid-frame" => FaultKind::CloseMidFrame {
            frame: words.count("FRAME")?,
        },
        "close-at-fragment" => FaultKind::CloseAtFragment {
            fragment: words.count("FRAGMENT")?,
        },
        "reset-at-fragment" => FaultKind::ResetAtFragment {
            fragment: words.count("FRAGMENT")?,
        },
        "stop-reading-at-byte" => FaultKind::StopReadingAtByte {
            byte: words.byte()?,
        },
        "read-slowly" => FaultKind::ReadSlowly {
            bytes_per_second: words.count("BYTES_PER_SECOND")?,
        },
        "end-after" => FaultKind::EndAfter {
            period: words.time()?,
        },
        "half-close" => FaultKind::HalfClose,
        "never-ack" => FaultKind::NeverAck,
        "delay-acks" => FaultKind::DelayAcks {
            delay: words.time()?,
        },
        "error-ack" => FaultKind::ErrorAck {
            id: words.error_id()?,
            fragment: words.count("FRAGMENT")?,
        },
        "poison" => FaultKind::Poison {
            id: words.error_id()?,
            fragment: words.count("FRAGMENT")?,
        },
        "garbage-acks" => FaultKind::GarbageAcks {
            lines: words.count("LINES")?,
        },
        "lose-acks" => FaultKind::LoseAcks,
        "idle-ack" => FaultKind::IdleAck,
        "duplicate-acks" => FaultKind::DuplicateAcks,
        "ack-split" => FaultKind::AckSplit {
            bytes: usize::try_from(words.count("BYTES")?).unwrap_or(usize::MAX),
        },
        _ => return Err(format!("the form is {}", words.form)),
    })
}

/// The arguments of a fault, one after the other.
struct Words<'a> {
    form: &'static str,
    rest: Option<std::str::Split<'a, char>>,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.rest.as_mut()?.next()
    }

    fn wrong(&self, what: &str, text: &str, expected: &str) -> String {
        format!(
            "{what} is '{text}', not {expected}; the form is {}",
            self.form
        )
    }

    fn take<T>(
        &mut self,
        what: &str,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, String> {
        let text = self
            .next()
            .ok_or_else(|| format!("{what} is missing; the form is {}", self.form))?;
        read(text).ok_or_else(|| self.wrong(what, text, expected))
    }

    fn time(&mut self) -> Result<Duration, String> {
        self.take("TIME", "milliseconds, or seconds as in 2s", time)
    }

    fn optional_time(&mut self) -> Result<Option<Duration>, String> {
        match self.rest {
            Some(_) => self.time().map(Some),
            None => Ok(None),
        }
    }

    fn byte(&mut self) -> Result<u64, String> {
        self.take("BYTE", "a number", number)
    }

    fn count(&mut self, what: &str) -> Result<u64, String> {
        let positive = |text: &str| number(text).filter(|number| *number > 0);
        self.take(what, "a number from 1 on", positive)
    }

    fn error_id(&mut self) -> Result<ErrorId, String> {
        self.take("ID", "the number of an ERROR ack, as 4006", |text| {
            ErrorId::from_id(text.parse().ok()?)
        })
    }
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

fn time(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let ms = match &text[digits.len()..] {
        "" | "ms" => number(digits)?,
        "s" => number(digits)?.checked_mul(1000)?,
        _ => return None,
    };
    Some(Duration::from_millis(ms))
}

fn status(text: &str) -> Option<(u16, &'static str)> {
    let (status, exception) = match text.split_once('/') {
        Some((status, exception)) => (status, Some(exception)),
        None => (text, None),
    };
    let status: u16 = status.parse().ok()?;
    let exception = match exception {
        Some(named) => EXCEPTIONS.iter().find(|(_, name)| *name == named)?.1,
        None => usual_exception(status),
    };
    (400..600).contains(&status).then_some((status, exception))
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if self.times != self.kind.usual_times() && !self.kind.is_port() {
            match self.times {
                Some(times) => write!(f, ":{times}")?,
                None => write!(f, ":always")?,
            }
        }
        match &self.stream {
            Some(stream) => write!(f, "@{stream}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Http {
                api,
                status,
                exception,
            } => {
                match api {
                    Some(api) => write!(f, "http:{api:?}:{status}")?,
                    None => write!(f, "http:*:{status}")?,
                }
                if exception != usual_exception(status) {
                    write!(f, "/{exception}")?;
                }
                Ok(())
            }
            Self::ConnectionLimit => write!(f, "connection-limit"),
            Self::SlowOpen { delay } => write!(f, "slow-open:{}", delay.as_millis()),
            Self::Refuse { period: None } => write!(f, "refuse"),
            Self::Refuse {
                period: Some(period),
            } => write!(f, "refuse:{}", period.as_millis()),
            Self::Away { period: None } => write!(f, "away"),
            Self::Away {
                period: Some(period),
            } => write!(f, "away:{}", period.as_millis()),
            Self::BlackHole => write!(f, "black-hole"),
            Self::Clock { offset_ms } => write!(f, "clock:{offset_ms}"),
            Self::ResetAtByte { byte } => write!(f, "reset-at-byte:{byte}"),
            Self::CloseAtByte { byte } => write!(f, "close-at-byte:{byte}"),
            Self::CloseMidFrame { frame } => write!(f, "close-mid-frame:{frame}"),
            Self::CloseAtFragment { fragment } => write!(f, "close-at-fragment:{fragment}"),
            Self::ResetAtFragment { fragment } => write!(f, "reset-at-fragment:{fragment}"),
            Self::StopReadingAtByte { byte } => write!(f, "stop-reading-at-byte:{byte}"),
            Self::ReadSlowly { bytes_per_second } => write!(f, "read-slowly:{bytes_per_second}"),
            Self::EndAfter { period } => write!(f, "end-after:{}", period.as_millis()),
            Self::HalfClose => write!(f, "half-close"),
            Self::NeverAck => write!(f, "never-ack"),
            Self::DelayAcks { delay } => write!(f, "delay-acks:{}", delay.as_millis()),
            Self::ErrorAck { id, fragment } => write!(f, "error-ack:{}:{fragment}", id.id()),
            Self::Poison { id, fragment } => write!(f, "poison:{}:{fragment}", id.id()),
            Self::GarbageAcks { lines } => write!(f, "garbage-acks:{lines}"),
            Self::LoseAcks => write!(f, "lose-acks"),
            Self::IdleAck => write!(f, "idle-ack"),
            Self::DuplicateAcks => write!(f, "duplicate-acks"),
            Self::AckSplit { bytes } => write!(f, "ack-split:{bytes}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    #[test]
    fn every_example_is_a_fault_of_its_form_and_comes_back() {
        for form in FORMS {
            let fault: Fault = form.example.parse().unwrap();
            assert_eq!(fault.to_string().parse(), Ok(fault.clone()), "{form:?}");
            assert!(fault.to_string().starts_with(name_of(form)), "{form:?}");
        }
        assert_eq!(Fault::examples().count(), FORMS.len());
    }

    #[test_case("http:PutMedia:503:3", Some(3))]
    #[test_case("http:PutMedia:503", Some(1))]
    #[test_case("never-ack:always", None)]
    #[test_case("clock:5000", None)]
    #[test_case("clock:5000:2", Some(2))]
    fn it_strikes_once_if_nothing_is_said(text: &str, times: Option<u64>) {
        assert_eq!(text.parse::<Fault>().unwrap().times, times);
    }

    #[test]
    fn a_fault_can_be_built_without_text() {
        let fault = Fault::from(FaultKind::NeverAck).times(2).on("cam1");
        assert_eq!(fault.to_string(), "never-ack:2@cam1");
        assert_eq!(fault.always().to_string(), "never-ack:always@cam1");
    }

    #[test_case("away:2s", "away:2000")]
    #[test_case("http:*:403", "http:*:403")]
    #[test_case("http:*:403/AccessDeniedException:1", "http:*:403")]
    #[test_case(" reset-at-byte:0@cam.1 ", "reset-at-byte:0@cam.1")]
    fn it_is_written_in_its_shortest_form(text: &str, written: &str) {
        assert_eq!(text.parse::<Fault>().unwrap().to_string(), written);
    }

    #[test_case("", "there is no ''")]
    #[test_case(
        "rest-at-byte:1",
        "there is no 'rest-at-byte' among http, connection-limit"
    )]
    #[test_case("reset-at-byte", "BYTE is missing; the form is reset-at-byte:BYTE")]
    #[test_case("reset-at-byte:many", "BYTE is 'many', not a number")]
    #[test_case(
        "reset-at-byte:1:0",
        "TIMES is '0', not a number from 1 on, or 'always'"
    )]
    #[test_case("reset-at-byte:1:1:1", "too many arguments")]
    #[test_case("close-at-fragment:0", "FRAGMENT is '0', not a number from 1 on")]
    #[test_case("http:PutMedium:503", "API is 'PutMedium'")]
    #[test_case("http:PutMedia:200", "STATUS is '200'")]
    #[test_case("http:PutMedia:400/NoSuchException", "an exception of the service")]
    #[test_case("error-ack:4999:1", "ID is '4999'")]
    #[test_case("slow-open:1h", "TIME is '1h'")]
    #[test_case("refuse:100:3", "the form is refuse[:TIME]")]
    #[test_case("refuse@cam1", "refuse cannot be about one stream")]
    #[test_case("never-ack@", "STREAM must be")]
    fn what_is_no_fault_is_told_why(text: &str, why: &str) {
        let error = text.parse::<Fault>().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-z0-9:@/*é-]{0,40}") {
            let _ = text.parse::<Fault>();
        }
    }
}
