//! The real thing in small: a topic is made, written, read and removed.
use std::time::Duration;

use bytes::Bytes;
use pulsar_client::{
    Client, EntryId, MessageMetadata, OutgoingEntry, ProducerOptions, ReaderOptions, ReaderStart,
};
use tokio::time::timeout;
use uuid::Uuid;

use super::facts::{Applied, Probe, Trouble};
use crate::{
    admin::{Admin, AdminError, PartitionedTopic, Position},
    clock,
    naming::PulsarTopic,
};

/// How long an entry that is there may take to come.
const PATIENCE: Duration = Duration::from_secs(10);
const MESSAGES: u64 = 2;

/// Tries in a namespace what a gateway does there.
pub(crate) async fn probe(admin: &Admin, client: Option<&Client>, namespace: &str) -> Probe {
    let topic = PulsarTopic::in_namespace(
        namespace,
        &format!("__kop_check-{}", Uuid::new_v4().simple()),
    );
    let listed = admin.topics(namespace).await.map(drop);
    let metadata = PartitionedTopic {
        partitions: 1,
        ..PartitionedTopic::default()
    };
    let mut probe = Probe {
        topic: topic.as_str().to_owned(),
        listed: listed.map_err(Into::into),
        created: admin
            .create_partitioned(&topic, &metadata)
            .await
            .map_err(Into::into),
        written: None,
        numbered: None,
        shown: None,
        applied: None,
        removed: None,
    };
    if probe.created.is_err() {
        return probe;
    }
    let partition = topic.partition(Some(0));
    if let Some(client) = client {
        let written = write(client, &partition).await;
        if let Ok(last) = written {
            probe.numbered = Some(numbered(admin, &partition, last).await);
            probe.shown = Some(shown(client, &partition).await);
        }
        probe.written = Some(written.map(drop));
    }
    probe.applied = Some(applied(admin, &topic).await.map_err(Into::into));
    probe.removed = Some(admin.delete_partitioned(&topic).await.map_err(Into::into));
    probe
}

/// Writes the messages; where the last one stands.
async fn write(client: &Client, topic: &PulsarTopic) -> Result<EntryId, Trouble> {
    let producer = client
        .producer(topic.as_str(), ProducerOptions::default())
        .await?;
    let mut last = None;
    for sequence_id in 0..MESSAGES {
        let metadata = MessageMetadata {
            producer_name: producer.name().to_owned(),
            sequence_id,
            publish_time: clock::now_millis(),
            ..MessageMetadata::default()
        };
        let entry = OutgoingEntry {
            sequence_id,
            num_messages: 1,
            metadata,
            payload: vec![Bytes::from_static(b"kop-gateway check")],
            checksum: true,
        };
        let receipt = producer
            .send(entry)
            .await
            .map_err(|error| Trouble::Other(super::facts::chain(&error)))?;
        last = Some(EntryId {
            ledger: receipt.ledger,
            entry: receipt.entry,
        });
    }
    producer.close().await;
    last.ok_or_else(Trouble::late)
}

async fn numbered(admin: &Admin, topic: &PulsarTopic, last: EntryId) -> Result<bool, Trouble> {
    let position = Position {
        ledger: last.ledger,
        entry: last.entry,
    };
    let facts = admin.entry(topic, position).await?;
    Ok(facts.is_some_and(|facts| facts.index.is_some()))
}

async fn shown(client: &Client, topic: &PulsarTopic) -> Result<bool, Trouble> {
    let options = ReaderOptions::default();
    let mut reader = client
        .reader(topic.as_str(), ReaderStart::Earliest, options)
        .await?;
    let mut all = true;
    for _ in 0..MESSAGES {
        let entry = timeout(PATIENCE, reader.next())
            .await
            .map_err(|_| Trouble::late())?
            .map_err(|error| Trouble::Other(super::facts::chain(&error)))?
            .ok_or_else(Trouble::late)?;
        all &= entry.index.is_some();
    }
    Ok(all)
}

async fn applied(admin: &Admin, topic: &PulsarTopic) -> Result<Applied, AdminError> {
    Ok(Applied {
        retention: admin.applied(topic, "retention").await?,
        time_to_live: admin.applied(topic, "messageTTL").await?,
        inactive: admin.applied(topic, "inactiveTopicPolicies").await?,
        deduplication: admin.applied(topic, "deduplicationEnabled").await?,
    })
}
