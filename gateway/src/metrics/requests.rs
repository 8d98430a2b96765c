//! What requests there are, and where their time goes.
use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use kop_wire::kafka_protocol::ResponseError;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use crate::api::{APIS, Api, Order};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    api: &'static str,
    error: Cow<'static, str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfApi {
    api: &'static str,
}

type Seconds = Family<OfApi, Histogram, fn() -> Histogram>;
type Bytes = Family<OfApi, Counter>;

/// What requests there were, and how long they took.
pub(crate) struct Requests {
    outcomes: Family<Outcome, Counter>,
    queue: Seconds,
    wait: Seconds,
    store: Seconds,
    write: Seconds,
    whole: Seconds,
    request_bytes: Bytes,
    response_bytes: Bytes,
    /// One for each API, by its place in the table, once it has been asked for.
    rows: Vec<OnceLock<Arc<Row>>>,
}

/// One API's metrics, looked up once.
#[derive(Debug)]
pub(crate) struct Row {
    answered: Counter,
    queue: Histogram,
    /// Of APIs that wait for what others do.
    wait: Option<Histogram>,
    store: Histogram,
    write: Histogram,
    whole: Histogram,
    response_bytes: Counter,
}

/// A request that has been answered, and whose answer is still to be written.
#[derive(Debug)]
pub(crate) struct Measured {
    row: Arc<Row>,
    arrived: Instant,
    answered: Instant,
}

/// When a request was where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// When it had arrived.
    pub(crate) arrived: Instant,
    /// When its turn came.
    pub(crate) begun: Instant,
    /// For how long it waited since for what others do.
    pub(crate) waited: Duration,
}

/// 0.1 ms to 53 s.
fn buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 3.0, 13))
}

impl Requests {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let seconds = || Seconds::new_with_constructor(buckets);
        let all = Self {
            outcomes: Family::default(),
            queue: seconds(),
            wait: seconds(),
            store: seconds(),
            write: seconds(),
            whole: seconds(),
            request_bytes: Family::default(),
            response_bytes: Family::default(),
            rows: APIS.iter().map(|_| OnceLock::new()).collect(),
        };
        registry.register(
            "kop_requests",
            "Requests answered, by API and by the first error in the answer",
            all.outcomes.clone(),
        );
        for (name, help, metric) in [
            (
                "kop_request_seconds",
                "Time from a request's arrival until its answer is written",
                &all.whole,
            ),
            (
                "kop_request_queue_seconds",
                "Part of that before its turn among its connection's requests",
                &all.queue,
            ),
            (
                "kop_request_wait_seconds",
                "Part of that in which it waited for others: for records, for members of its group",
                &all.wait,
            ),
            (
                "kop_request_store_seconds",
                "Part of that in which it was worked off, nearly all of it in the store",
                &all.store,
            ),
            (
                "kop_request_write_seconds",
                "Part of that after its answer was there: for earlier answers, for the client to read",
                &all.write,
            ),
        ] {
            registry.register(name, help, metric.clone());
        }
        registry.register(
            "kop_request_bytes",
            "Bytes of requests, by API",
            all.request_bytes.clone(),
        );
        registry.register(
            "kop_response_bytes",
            "Bytes of answers, by API",
            all.response_bytes.clone(),
        );
        all
    }

    /// Counts a request that has arrived.
    pub(crate) fn arrived(&self, api: &'static Api, bytes: usize) {
        let labels = OfApi { api: api.name };
        self.request_bytes
            .get_or_create(&labels)
            .inc_by(bytes as u64);
    }

    /// Counts a request that has been answered now.
    pub(crate) fn answered(
        &self,
        api: &'static Api,
        error: Option<ResponseError>,
        times: Times,
    ) -> Measured {
        let row = Arc::clone(self.row(api));
        match error {
            None => row.answered.inc(),
            Some(error) => {
                let error = Cow::Owned(format!("{error:?}"));
                let labels = Outcome {
                    api: api.name,
                    error,
                };
                self.outcomes.get_or_create(&labels).inc()
            }
        };
        let Times {
            arrived,
            begun,
            waited,
        } = times;
        let answered = Instant::now();
        row.queue.observe((begun - arrived).as_secs_f64());
        if let Some(wait) = &row.wait {
            wait.observe(waited.as_secs_f64());
        }
        let worked = (answered - begun).saturating_sub(waited);
        row.store.observe(worked.as_secs_f64());
        Measured {
            row,
            arrived,
            answered,
        }
    }

    fn row(&self, api: &'static Api) -> &Arc<Row> {
        let at = APIS.iter().position(|row| row.key == api.key);
        let row = at.and_then(|at| self.rows.get(at));
        row.expect("every API is in the table").get_or_init(|| {
            let labels = OfApi { api: api.name };
            let of = |seconds: &Seconds| seconds.get_or_create(&labels).clone();
            let none = Outcome {
                api: api.name,
                error: Cow::Borrowed("none"),
            };
            Arc::new(Row {
                answered: self.outcomes.get_or_create(&none).clone(),
                queue: of(&self.queue),
                wait: (api.order == Order::Waits).then(|| of(&self.wait)),
                store: of(&self.store),
                write: of(&self.write),
                whole: of(&self.whole),
                response_bytes: self.response_bytes.get_or_create(&labels).clone(),
            })
        })
    }
}

impl Measured {
    /// The answer, of so many bytes, has been written.
    pub(crate) fn written(self, bytes: usize) {
        let now = Instant::now();
        self.row.write.observe((now - self.answered).as_secs_f64());
        self.row.whole.observe((now - self.arrived).as_secs_f64());
        self.row.response_bytes.inc_by(bytes as u64);
    }
}
