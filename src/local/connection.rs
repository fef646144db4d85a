//! The right to send media to a stream, which one `PutMedia` call has at a time.

use std::sync::Arc;

use super::account::{StreamDescription, StreamStatus};
use super::control::Target;
use super::refused::Refused;
use super::service::Service;

/// The one connection that a stream may have; given back when dropped.
pub(crate) struct Connection {
    pub(crate) service: Arc<Service>,
    /// The stream's.
    pub(crate) name: String,
    /// The stream's.
    pub(crate) arn: String,
    held: bool,
}

impl Connection {
    /// Takes the stream's connection.
    pub(crate) fn open(service: &Arc<Service>, target: &Target) -> Result<Self, Refused> {
        service.with_account(|account, _| {
            let stream = target.find(account)?;
            let (name, arn) = (
                stream.description.name.clone(),
                stream.description.arn.clone(),
            );
            account.connect(&name)?;
            Ok(Self {
                service: Arc::clone(service),
                name,
                arn,
                held: true,
            })
        })
    }

    /// Whether the stream takes media.
    pub(crate) fn is_active(&self) -> bool {
        let active = |description: &StreamDescription| {
            description.arn == self.arn && description.status == StreamStatus::Active
        };
        self.service.look(|account| {
            account
                .get(&self.name)
                .is_some_and(|stream| active(&stream.description))
        })
    }

    /// The media type that the stream was created with.
    pub(crate) fn media_type(&self) -> Option<String> {
        self.service.look(|account| {
            let stream = account.get(&self.name)?;
            stream.description.media_type.clone()
        })
    }

    /// Gives the stream's connection back.
    pub(crate) fn release(&mut self) {
        if std::mem::take(&mut self.held) {
            self.service
                .with_account(|account, _| account.disconnect(&self.arn));
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.release();
    }
}
