//! `GetMedia`: gives back what was stored.
//!
//! Each fragment comes as the service sends it: EBML header, Segment of unknown size, Info, Tracks, Tags with
//! number and timestamps, the Cluster, then its own tags and where to go on. With `NOW` the response lives until
//! the caller leaves and carries each fragment when it has been stored; with any other selector it ends after the
//! fragments that are stored (the real service would wait for more). Fragments of a stream without retention are given, too.

use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::mpsc;

use super::archive;
use super::control::{Target, read};
use super::mkv;
use super::outbox::Parcel;
use super::record::FragmentRecord;
use super::refused::Refused;
use super::service::Service;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Call {
    start_selector: StartSelector,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StartSelector {
    start_selector_type: String,
    after_fragment_number: Option<String>,
    start_timestamp: Option<f64>,
    continuation_token: Option<String>,
}

/// Where to begin.
#[derive(Debug, Clone, PartialEq)]
enum Start {
    Now,
    Earliest,
    After(String),
    ProducerTime(u64),
    ServerTime(u64),
}

impl StartSelector {
    fn start(self) -> Result<Start, Refused> {
        let missing = |what: &str| Refused::argument(format!("StartSelector needs {what}."));
        let number = |number: Option<String>, what| {
            number
                .filter(|number| {
                    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
                })
                .ok_or_else(|| missing(what))
        };
        // Seconds since 1970; `as` saturates, and what is not a number is 0.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates"
        )]
        let ms = |seconds: Option<f64>| {
            seconds
                .map(|seconds| (seconds * 1000.0).round() as u64)
                .ok_or_else(|| missing("StartTimestamp"))
        };
        Ok(match self.start_selector_type.as_str() {
            "NOW" => Start::Now,
            "EARLIEST" => Start::Earliest,
            "FRAGMENT_NUMBER" => {
                Start::After(number(self.after_fragment_number, "AfterFragmentNumber")?)
            }
            "CONTINUATION_TOKEN" => {
                Start::After(number(self.continuation_token, "ContinuationToken")?)
            }
            "PRODUCER_TIMESTAMP" => Start::ProducerTime(ms(self.start_timestamp)?),
            "SERVER_TIMESTAMP" => Start::ServerTime(ms(self.start_timestamp)?),
            _ => return Err(Refused::argument("StartSelectorType is not valid.")),
        })
    }
}

/// Answers a call; the fragments come through the channel.
pub(crate) fn answer(
    service: &Arc<Service>,
    body: &serde_json::Value,
) -> Result<mpsc::Receiver<Parcel>, Refused> {
    let start = read::<Call>(body)?.start_selector.start()?;
    let target: Target = read(body)?;
    let news = service.news();
    let (name, fragments) = service.with_account(|account, _| {
        let stream = target.find(account)?;
        let stored = &stream.fragments;
        let from = match &start {
            Start::Now => stored.len(),
            Start::Earliest => 0,
            Start::After(number) => {
                stored.partition_point(|f| !is_after(&f.fragment_number, number))
            }
            Start::ServerTime(ms) => stored.partition_point(|f| f.server_timestamp_ms < *ms),
            // Producers may go back in time.
            Start::ProducerTime(ms) => stored
                .iter()
                .position(|f| f.producer_timestamp_ms >= *ms)
                .unwrap_or(stored.len()),
        };
        let last = stored
            .back()
            .map(|fragment| fragment.fragment_number.clone());
        let chosen = Chosen {
            last,
            fragments: stored.range(from..).cloned().collect(),
        };
        Ok((stream.description.name.clone(), chosen))
    })?;
    let (response, body) = mpsc::channel(4);
    let reader = Reader {
        service: Arc::clone(service),
        response,
    };
    tokio::spawn(async move {
        match start {
            Start::Now => reader.follow(&name, fragments.last, news).await,
            _ => reader.send_all(&fragments.fragments).await,
        }
    });
    Ok(body)
}

struct Chosen {
    /// The newest fragment before the call.
    last: Option<String>,
    fragments: Vec<FragmentRecord>,
}

/// Compares decimal numbers of any length.
fn is_after(number: &str, other: &str) -> bool {
    let (number, other) = (
        number.trim_start_matches('0'),
        other.trim_start_matches('0'),
    );
    (number.len(), number) > (other.len(), other)
}

struct Reader {
    service: Arc<Service>,
    response: mpsc::Sender<Parcel>,
}

impl Reader {
    async fn send_all(&self, fragments: &[FragmentRecord]) -> Option<()> {
        for fragment in fragments {
            self.send(fragment).await?;
        }
        Some(())
    }

    async fn follow(
        &self,
        name: &str,
        mut last: Option<String>,
        mut news: tokio::sync::watch::Receiver<()>,
    ) -> Option<()> {
        loop {
            tokio::select! {
                changed = news.changed() => changed.ok()?,
                () = self.response.closed() => return None,
            }
            let fragments: Vec<FragmentRecord> = self.service.look(|account| {
                let new = |f: &&FragmentRecord| {
                    last.as_ref()
                        .is_none_or(|last| is_after(&f.fragment_number, last))
                };
                Some(
                    account
                        .get(name)?
                        .fragments
                        .iter()
                        .filter(new)
                        .cloned()
                        .collect(),
                )
            })?;
            self.send_all(&fragments).await?;
            last = fragments
                .into_iter()
                .last()
                .map(|fragment| fragment.fragment_number)
                .or(last);
        }
    }

    /// Sends one fragment; nothing if the caller has left or the file cannot be read.
    async fn send(&self, fragment: &FragmentRecord) -> Option<()> {
        let (mut head, cluster) = archive::read(fragment)
            .inspect_err(|e| {
                self.service
                    .say(&format!("cannot read {}: {e}", fragment.file.display()))
            })
            .ok()?;
        let behind = self
            .service
            .clock
            .now_ms()
            .saturating_sub(fragment.server_timestamp_ms);
        head.extend(mkv::tags([
            (
                "AWS_KINESISVIDEO_FRAGMENT_NUMBER",
                fragment.fragment_number.as_str(),
            ),
            (
                "AWS_KINESISVIDEO_SERVER_TIMESTAMP",
                &seconds(fragment.server_timestamp_ms),
            ),
            (
                "AWS_KINESISVIDEO_PRODUCER_TIMESTAMP",
                &seconds(fragment.producer_timestamp_ms),
            ),
        ]));
        let mut tail = Vec::new();
        if !fragment.tags.is_empty() {
            tail = mkv::tags(
                fragment
                    .tags
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str())),
            );
        }
        tail.extend(mkv::tags([
            (
                "AWS_KINESISVIDEO_MILLIS_BEHIND_NOW",
                behind.to_string().as_str(),
            ),
            (
                "AWS_KINESISVIDEO_CONTINUATION_TOKEN",
                &fragment.fragment_number,
            ),
        ]));
        for part in [head, cluster, tail] {
            self.response.send(part.into()).await.ok()?;
        }
        Some(())
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn start(json: &str) -> Option<Start> {
        serde_json::from_str::<StartSelector>(json)
            .unwrap()
            .start()
            .ok()
    }

    #[test_case(r#"{"StartSelectorType":"NOW"}"#, Some(Start::Now))]
    #[test_case(r#"{"StartSelectorType":"EARLIEST"}"#, Some(Start::Earliest))]
    #[test_case(r#"{"StartSelectorType":"FRAGMENT_NUMBER","AfterFragmentNumber":"12"}"#, Some(Start::After("12".into())))]
    #[test_case(r#"{"StartSelectorType":"FRAGMENT_NUMBER"}"#, None; "without number")]
    #[test_case(
        r#"{"StartSelectorType":"PRODUCER_TIMESTAMP","StartTimestamp":1.5}"#,
        Some(Start::ProducerTime(1500))
    )]
    #[test_case(r#"{"StartSelectorType":"LATEST"}"#, None; "unknown")]
    fn a_selector_is_read(json: &str, expected: Option<Start>) {
        assert_eq!(start(json), expected);
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        assert!(is_after("10", "9") && is_after("0010", "9") && !is_after("9", "09"));
    }
}
