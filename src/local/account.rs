//! The account: its streams, their states, what they hold.
//!
//! A stream is CREATING, then ACTIVE, then perhaps DELETING, then gone; the delays are the account's.
//! No clock: `now` is a parameter, and every look at the streams first lets time pass ([`Account::settle`]).
//!
//! Belongs here: the state and the rules that keep it consistent. Does not belong here: JSON (`control`),
//! files (`archive`), connections (`session`).

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::record::FragmentRecord;
use super::refused::Refused;

pub(crate) const ACCOUNT_ID: &str = "111122223333";
/// Fragments kept in memory for each stream; older ones are in the index file only.
const MAX_FRAGMENTS: usize = 20_000;

/// What state a stream is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum StreamStatus {
    /// Just created: takes no media yet.
    Creating,
    /// Takes and gives media.
    Active,
    /// About to be gone.
    Deleting,
}

/// A stream as the service knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamDescription {
    /// Its name.
    pub name: String,
    /// Its ARN, with the creation time.
    pub arn: String,
    /// Its state.
    pub status: StreamStatus,
    /// Changes with every update.
    pub version: String,
    /// Milliseconds since 1970.
    pub creation_time_ms: u64,
    /// Hours that media are kept.
    pub retention_hours: u32,
    /// The content type, as `CreateStream` had it.
    pub media_type: Option<String>,
    /// The device's name, as `CreateStream` had it.
    pub device_name: Option<String>,
    /// The key's name, as `CreateStream` had it.
    pub kms_key_id: Option<String>,
    /// Tags of the stream (not of its fragments).
    pub tags: BTreeMap<String, String>,
    /// Whether a `PutMedia` connection lives.
    pub connected: bool,
}

/// What `CreateStream` asks for; already valid.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewStream {
    pub(crate) name: String,
    pub(crate) media_type: Option<String>,
    pub(crate) device_name: Option<String>,
    pub(crate) kms_key_id: Option<String>,
    pub(crate) retention_hours: u32,
    pub(crate) tags: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) description: StreamDescription,
    /// When the state changes by itself.
    changes_at_ms: Option<u64>,
    pub(crate) fragments: VecDeque<FragmentRecord>,
}

/// The streams of the account, by name.
#[derive(Debug)]
pub(crate) struct Account {
    streams: BTreeMap<String, Stream>,
    delay_ms: u64,
    last_number: u64,
}

impl Account {
    /// An account in which creating and deleting take `delay_ms`.
    pub(crate) fn new(delay_ms: u64) -> Self {
        Self {
            streams: BTreeMap::new(),
            delay_ms,
            last_number: 0,
        }
    }

    /// Lets time pass.
    pub(crate) fn settle(&mut self, now_ms: u64) {
        self.streams.retain(|_, stream| {
            if stream.changes_at_ms.is_none_or(|at| at > now_ms) {
                return true;
            }
            stream.changes_at_ms = None;
            let gone = stream.description.status == StreamStatus::Deleting;
            stream.description.status = StreamStatus::Active;
            !gone
        });
    }

    /// When the next state changes by itself.
    pub(crate) fn next_change_ms(&self) -> Option<u64> {
        self.streams
            .values()
            .filter_map(|stream| stream.changes_at_ms)
            .min()
    }

    /// Streams by name.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.streams.values()
    }

    /// The stream of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Stream> {
        self.streams.get(name)
    }

    /// The stream of that name, for a caller who wants it to exist.
    pub(crate) fn find(&mut self, name: &str) -> Result<&mut Stream, Refused> {
        self.streams
            .get_mut(name)
            .ok_or_else(|| Refused::not_found(name))
    }

    /// The stream of that ARN.
    pub(crate) fn find_arn(&mut self, arn: &str) -> Result<&mut Stream, Refused> {
        self.streams
            .values_mut()
            .find(|stream| stream.description.arn == arn)
            .ok_or_else(|| Refused::not_found(arn))
    }

    /// Creates a stream and gives its ARN.
    pub(crate) fn create(
        &mut self,
        new: NewStream,
        region: &str,
        now_ms: u64,
    ) -> Result<String, Refused> {
        if self.streams.contains_key(&new.name) {
            return Err(Refused::in_use(format!(
                "The stream {} already exists.",
                new.name
            )));
        }
        let partition = match region {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        let arn = format!(
            "arn:{partition}:kinesisvideo:{region}:{ACCOUNT_ID}:stream/{}/{now_ms}",
            new.name
        );
        let description = StreamDescription {
            name: new.name.clone(),
            arn: arn.clone(),
            status: StreamStatus::Creating,
            version: version(),
            creation_time_ms: now_ms,
            retention_hours: new.retention_hours,
            media_type: new.media_type,
            device_name: new.device_name,
            kms_key_id: new.kms_key_id,
            tags: new.tags,
            connected: false,
        };
        let changes_at_ms = Some(now_ms.saturating_add(self.delay_ms));
        let stream = Stream {
            description,
            changes_at_ms,
            fragments: VecDeque::new(),
        };
        self.streams.insert(new.name, stream);
        self.settle(now_ms);
        Ok(arn)
    }

    /// Begins to delete the stream of that name.
    pub(crate) fn delete(&mut self, name: &str, now_ms: u64) -> Result<(), Refused> {
        let changes_at_ms = Some(now_ms.saturating_add(self.delay_ms));
        let stream = self.find(name)?;
        stream.must_be_active()?;
        stream.description.status = StreamStatus::Deleting;
        stream.changes_at_ms = changes_at_ms;
        self.settle(now_ms);
        Ok(())
    }

    /// A fragment number: 47 digits, greater than all before, also than those of an earlier run.
    pub(crate) fn next_fragment_number(&mut self, now_ms: u64) -> String {
        self.last_number = now_ms.saturating_mul(1000).max(self.last_number + 1);
        format!("9134385233318143239268206{:022}", self.last_number)
    }

    /// Takes the one connection of the stream.
    pub(crate) fn connect(&mut self, name: &str) -> Result<(), Refused> {
        let stream = self.find(name)?;
        if stream.description.connected {
            return Err(Refused::connection_limit());
        }
        stream.description.connected = true;
        Ok(())
    }

    /// Gives the connection back. `arn`: the stream may be another one of the same name by now.
    pub(crate) fn disconnect(&mut self, arn: &str) {
        if let Ok(stream) = self.find_arn(arn) {
            stream.description.connected = false;
        }
    }
}

impl Stream {
    /// Refuses unless the stream is ACTIVE.
    pub(crate) fn must_be_active(&self) -> Result<(), Refused> {
        match self.description.status {
            StreamStatus::Active => Ok(()),
            _ => Err(Refused::in_use(format!(
                "The stream {} is not ACTIVE.",
                self.description.name
            ))),
        }
    }

    /// Refuses if `current` is another version than the stream's.
    pub(crate) fn must_be_version(&self, current: &str) -> Result<(), Refused> {
        if self.description.version == current {
            return Ok(());
        }
        let message = "The stream version is not the latest. Get it with DescribeStream.";
        Err(Refused::new(400, "VersionMismatchException", message))
    }

    /// Notes that the stream was changed.
    pub(crate) fn touch(&mut self) {
        self.description.version = version();
    }

    /// Remembers a fragment.
    pub(crate) fn remember(&mut self, fragment: FragmentRecord) {
        if self.fragments.len() == MAX_FRAGMENTS {
            self.fragments.pop_front();
        }
        self.fragments.push_back(fragment);
    }
}

fn version() -> String {
    std::iter::repeat_with(fastrand::alphanumeric)
        .take(20)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        let mut account = Account::new(300);
        let new = NewStream {
            name: "cam1".into(),
            ..NewStream::default()
        };
        account.create(new, "eu-west-1", 1_000).unwrap();
        account
    }

    fn status(account: &Account) -> Option<StreamStatus> {
        account.get("cam1").map(|stream| stream.description.status)
    }

    #[test]
    fn a_stream_becomes_active_and_is_gone_after_its_deletion() {
        let mut account = account();
        assert_eq!(status(&account), Some(StreamStatus::Creating));
        assert_eq!(account.next_change_ms(), Some(1_300));
        account.settle(1_299);
        assert_eq!(status(&account), Some(StreamStatus::Creating));
        account.settle(1_300);
        assert_eq!(status(&account), Some(StreamStatus::Active));
        account.delete("cam1", 2_000).unwrap();
        assert_eq!(status(&account), Some(StreamStatus::Deleting));
        account.settle(2_300);
        assert_eq!(status(&account), None);
        assert_eq!(account.next_change_ms(), None);
    }

    #[test]
    fn a_stream_that_is_not_active_cannot_be_deleted() {
        let refused = account().delete("cam1", 1_100).unwrap_err();
        assert_eq!(
            (refused.status, refused.kind),
            (400, "ResourceInUseException")
        );
    }

    #[test]
    fn a_name_is_taken_until_the_stream_is_gone() {
        let mut account = account();
        let new = NewStream {
            name: "cam1".into(),
            ..NewStream::default()
        };
        let refused = account.create(new, "eu-west-1", 1_100).unwrap_err();
        assert_eq!(refused.kind, "ResourceInUseException");
    }

    #[test]
    fn one_connection_at_a_time() {
        let mut account = account();
        account.connect("cam1").unwrap();
        assert_eq!(
            account.connect("cam1").unwrap_err().kind,
            "ConnectionLimitExceededException"
        );
        let arn = account.get("cam1").unwrap().description.arn.clone();
        account.disconnect(&arn);
        account.connect("cam1").unwrap();
    }

    #[test]
    fn fragment_numbers_grow_even_when_the_clock_does_not() {
        let mut account = account();
        let numbers: Vec<_> = [5_000, 5_000, 4_000, 6_000]
            .map(|now| account.next_fragment_number(now))
            .into();
        assert!(numbers.is_sorted() && numbers.iter().all(|number| number.len() == 47));
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
