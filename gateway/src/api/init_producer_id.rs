//! InitProducerId, versions 0 to 5: a producer id for an idempotent producer.
//!
//! Every request gets a fresh id with epoch 0, also where the producer names the one it has had
//! (KIP-360, version 3): as in Kafka, only transactional producers keep theirs. Those are refused,
//! because transactions are not served.
use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
};

use kop_store::{Catalog as _, CatalogError};
use kop_wire::kafka_protocol::{
    ResponseError,
    messages::{InitProducerIdRequest, InitProducerIdResponse},
};

use super::{Call, error::Refusal};
use crate::store::Store;

/// How many producer ids are taken from the store at a time.
const BLOCK: u32 = 1000;

/// Producer ids of this gateway's own that nobody has yet.
#[derive(Debug, Default)]
pub(crate) struct ProducerIds {
    blocks: Mutex<Vec<Range<i64>>>,
}

impl ProducerIds {
    /// An id that nobody else has.
    pub(crate) async fn next(&self, store: &Store) -> Result<i64, CatalogError> {
        loop {
            if let Some(id) = self.take() {
                return Ok(id);
            }
            // Two who find nothing at a time bring two blocks; both are used up.
            let block = store.allocate_producer_ids(BLOCK).await?;
            self.blocks
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(block);
        }
    }

    fn take(&self) -> Option<i64> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(block) = blocks.last_mut() {
            if let Some(id) = block.next() {
                return Some(id);
            }
            blocks.pop();
        }
        None
    }
}

pub(super) async fn handle(call: &Call, request: InitProducerIdRequest) -> InitProducerIdResponse {
    let refused = |refusal: Refusal| {
        InitProducerIdResponse::default()
            .with_error_code(call.refuse(refusal.code))
            .with_producer_id((-1).into())
            .with_producer_epoch(-1)
    };
    match request.transactional_id {
        Some(id) if id.is_empty() => return refused(ResponseError::InvalidRequest.into()),
        // Fatal to a producer, which is what this is: asking again would not help.
        Some(_) => return refused(ResponseError::TransactionalIdAuthorizationFailed.into()),
        None => {}
    }
    match call.gateway.producer_ids.next(&call.gateway.store).await {
        Ok(id) => InitProducerIdResponse::default()
            .with_producer_id(id.into())
            .with_producer_epoch(0),
        // A producer asks again after this code. After the one that a topic would get it does not, and after
        // COORDINATOR_NOT_AVAILABLE Kafka's own looks for a coordinator, which an idempotent one has not.
        Err(error) => refused(Refusal {
            code: ResponseError::CoordinatorLoadInProgress,
            ..Refusal::from(error)
        }),
    }
}
