//! What becomes of a complete fragment: it is stored, or only taken.

use super::*;

impl Session {
    /// Keeps a fragment, unless the service is a sink; true if the stream persists fragments at all.
    pub(super) fn keep(&mut self, fragment: Fragment, receipt: &Receipt) -> std::io::Result<bool> {
        let Connection { service, name, .. } = &self.connection;
        let retention = service.look(|account| {
            account
                .get(name)
                .map(|stream| stream.description.retention_hours)
        });
        let persisted = retention.is_some_and(|hours| hours > 0);
        if !service.sink {
            self.store(fragment, receipt, persisted)?;
        }
        self.connection.service.with_ledger(|ledger, _| {
            ledger.note(receipt, |reception| reception.persisted = persisted);
        });
        Ok(persisted)
    }

    /// Writes a fragment to the file.
    fn store(
        &mut self,
        fragment: Fragment,
        receipt: &Receipt,
        persisted: bool,
    ) -> std::io::Result<()> {
        let Connection {
            service, name, arn, ..
        } = &self.connection;
        let file = match (&mut self.file, self.reading.header()) {
            (Some(file), _) => file,
            (none, Some(header)) => none.insert(SessionFile::create(&service.dir, name, header)?),
            (None, None) => return Ok(()),
        };
        let offset = file.append(&fragment)?;
        let record = FragmentRecord {
            fragment_number: receipt.fragment_number.clone(),
            session: file.session(),
            timecode_ms: fragment.timecode_ms,
            producer_timestamp_ms: fragment.producer_timestamp_ms,
            server_timestamp_ms: service.clock.now_ms(),
            duration_ms: fragment.duration_ms,
            bytes: fragment.cluster.len() as u64,
            frames: fragment.frames,
            tags: fragment.tags,
            persisted,
            file: file.path().to_owned(),
            offset,
        };
        file.index(&record)?;
        service.with_account(|account, _| {
            if let Ok(stream) = account.find_arn(arn) {
                stream.remember(record);
            }
        });
        Ok(())
    }
}
