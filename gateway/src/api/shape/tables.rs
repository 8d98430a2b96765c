//! The requests' schemas, as far as their shape goes. Fields stand in the order of the wire.
use kop_wire::kafka_protocol::messages::ApiKey;

use super::{Field, Kind, Schema, Struct};

const LAST: i16 = i16::MAX;

const BOOL: Kind = Kind::Fixed(1);
const I8: Kind = Kind::Fixed(1);
const I16: Kind = Kind::Fixed(2);
const I32: Kind = Kind::Fixed(4);
const I64: Kind = Kind::Fixed(8);
const UUID: Kind = Kind::Fixed(16);

const fn all(kind: Kind) -> Field {
    since(0, kind)
}

const fn since(from: i16, kind: Kind) -> Field {
    between(from, LAST, kind)
}

const fn until(to: i16, kind: Kind) -> Field {
    between(0, to, kind)
}

const fn between(from: i16, to: i16, kind: Kind) -> Field {
    Field { from, to, kind }
}

const fn fields(fields: &'static [Field]) -> Struct {
    Struct { fields, tags: &[] }
}

const fn schema(key: ApiKey, flexible_from: i16, members: &'static [Field]) -> Schema {
    Schema {
        key,
        flexible_from,
        fields: fields(members),
    }
}

const PRODUCE_TOPIC: &Struct = &fields(&[
    until(12, Kind::Text),
    since(13, UUID),
    all(Kind::Structs(&fields(&[all(I32), all(Kind::Bytes)]))),
]);

const FETCH_PARTITION: &Struct = &Struct {
    fields: &[
        all(I32),
        since(9, I32),
        all(I64),
        since(12, I32),
        since(5, I64),
        all(I32),
    ],
    tags: &[(0, UUID), (1, I64)],
};

const FETCH: &[Field] = &[
    until(14, I32),
    all(I32),
    all(I32),
    all(I32),
    all(I8),
    since(7, I32),
    since(7, I32),
    all(Kind::Structs(&fields(&[
        until(12, Kind::Text),
        since(13, UUID),
        all(Kind::Structs(FETCH_PARTITION)),
    ]))),
    since(
        7,
        Kind::Structs(&fields(&[
            until(12, Kind::Text),
            since(13, UUID),
            all(Kind::Each(&I32)),
        ])),
    ),
    since(11, Kind::Text),
];

const LIST_OFFSETS_TOPIC: &Struct = &fields(&[
    all(Kind::Text),
    all(Kind::Structs(&fields(&[all(I32), since(4, I32), all(I64)]))),
]);

const CREATABLE_TOPIC: &Struct = &fields(&[
    all(Kind::Text),
    all(I32),
    all(I16),
    all(Kind::Structs(&fields(&[all(I32), all(Kind::Each(&I32))]))),
    all(Kind::Structs(&fields(&[all(Kind::Text), all(Kind::Text)]))),
]);

const TOPIC_PARTITIONS: &Struct = &fields(&[all(Kind::Text), all(Kind::Each(&I32))]);

const OFFSET_COMMIT_TOPIC: &Struct = &fields(&[
    all(Kind::Text),
    all(Kind::Structs(&fields(&[
        all(I32),
        all(I64),
        since(6, I32),
        all(Kind::Text),
    ]))),
]);

const OFFSET_FETCH_GROUP: &Struct = &fields(&[
    all(Kind::Text),
    since(9, Kind::Text),
    since(9, I32),
    all(Kind::Structs(TOPIC_PARTITIONS)),
]);

const DELETE_RECORDS_TOPIC: &Struct = &fields(&[
    all(Kind::Text),
    all(Kind::Structs(&fields(&[all(I32), all(I64)]))),
]);

const EPOCH_TOPIC: &Struct = &fields(&[
    all(Kind::Text),
    all(Kind::Structs(&fields(&[all(I32), all(I32), all(I32)]))),
]);

/// Every request whose shape is known; each row of [`APIS`](crate::api::APIS) has one.
pub(super) static SCHEMAS: &[Schema] = &[
    schema(
        ApiKey::Produce,
        9,
        &[
            all(Kind::Text),
            all(I16),
            all(I32),
            all(Kind::Structs(PRODUCE_TOPIC)),
        ],
    ),
    Schema {
        key: ApiKey::Fetch,
        flexible_from: 12,
        fields: Struct {
            fields: FETCH,
            tags: &[
                (0, Kind::Text),
                (1, Kind::Inline(&fields(&[all(I32), all(I64)]))),
            ],
        },
    },
    schema(
        ApiKey::ListOffsets,
        6,
        &[
            all(I32),
            since(2, I8),
            all(Kind::Structs(LIST_OFFSETS_TOPIC)),
            since(10, I32),
        ],
    ),
    schema(
        ApiKey::Metadata,
        9,
        &[
            all(Kind::Structs(&fields(&[since(10, UUID), all(Kind::Text)]))),
            since(4, BOOL),
            between(8, 10, BOOL),
            since(8, BOOL),
        ],
    ),
    schema(
        ApiKey::ApiVersions,
        3,
        &[since(3, Kind::Text), since(3, Kind::Text)],
    ),
    schema(
        ApiKey::CreateTopics,
        5,
        &[
            all(Kind::Structs(CREATABLE_TOPIC)),
            all(I32),
            since(1, BOOL),
        ],
    ),
    schema(
        ApiKey::DeleteTopics,
        4,
        &[
            since(6, Kind::Structs(&fields(&[all(Kind::Text), all(UUID)]))),
            until(5, Kind::Each(&Kind::Text)),
            all(I32),
        ],
    ),
    schema(
        ApiKey::InitProducerId,
        2,
        &[all(Kind::Text), all(I32), since(3, I64), since(3, I16)],
    ),
    schema(
        ApiKey::FindCoordinator,
        3,
        &[
            until(3, Kind::Text),
            since(1, I8),
            since(4, Kind::Each(&Kind::Text)),
        ],
    ),
    schema(
        ApiKey::JoinGroup,
        6,
        &[
            all(Kind::Text),
            all(I32),
            since(1, I32),
            all(Kind::Text),
            since(5, Kind::Text),
            all(Kind::Text),
            all(Kind::Structs(&fields(&[all(Kind::Text), all(Kind::Bytes)]))),
            since(8, Kind::Text),
        ],
    ),
    schema(
        ApiKey::SyncGroup,
        4,
        &[
            all(Kind::Text),
            all(I32),
            all(Kind::Text),
            since(3, Kind::Text),
            since(5, Kind::Text),
            since(5, Kind::Text),
            all(Kind::Structs(&fields(&[all(Kind::Text), all(Kind::Bytes)]))),
        ],
    ),
    schema(
        ApiKey::Heartbeat,
        4,
        &[
            all(Kind::Text),
            all(I32),
            all(Kind::Text),
            since(3, Kind::Text),
        ],
    ),
    schema(
        ApiKey::LeaveGroup,
        4,
        &[
            all(Kind::Text),
            until(2, Kind::Text),
            since(
                3,
                Kind::Structs(&fields(&[
                    all(Kind::Text),
                    all(Kind::Text),
                    since(5, Kind::Text),
                ])),
            ),
        ],
    ),
    schema(
        ApiKey::DescribeGroups,
        5,
        &[all(Kind::Each(&Kind::Text)), since(3, BOOL)],
    ),
    schema(
        ApiKey::ListGroups,
        3,
        &[
            since(4, Kind::Each(&Kind::Text)),
            since(5, Kind::Each(&Kind::Text)),
        ],
    ),
    schema(ApiKey::DeleteGroups, 2, &[all(Kind::Each(&Kind::Text))]),
    schema(
        ApiKey::OffsetDelete,
        LAST,
        &[all(Kind::Text), all(Kind::Structs(TOPIC_PARTITIONS))],
    ),
    schema(
        ApiKey::OffsetCommit,
        8,
        &[
            all(Kind::Text),
            all(I32),
            all(Kind::Text),
            since(7, Kind::Text),
            until(4, I64),
            all(Kind::Structs(OFFSET_COMMIT_TOPIC)),
        ],
    ),
    schema(
        ApiKey::OffsetFetch,
        6,
        &[
            until(7, Kind::Text),
            until(7, Kind::Structs(TOPIC_PARTITIONS)),
            since(8, Kind::Structs(OFFSET_FETCH_GROUP)),
            since(7, BOOL),
        ],
    ),
    schema(
        ApiKey::OffsetForLeaderEpoch,
        4,
        &[since(3, I32), all(Kind::Structs(EPOCH_TOPIC))],
    ),
    schema(
        ApiKey::DescribeConfigs,
        4,
        &[
            all(Kind::Structs(&fields(&[
                all(I8),
                all(Kind::Text),
                all(Kind::Each(&Kind::Text)),
            ]))),
            all(BOOL),
            since(3, BOOL),
        ],
    ),
    schema(
        ApiKey::AlterConfigs,
        2,
        &[
            all(Kind::Structs(&fields(&[
                all(I8),
                all(Kind::Text),
                all(Kind::Structs(&fields(&[all(Kind::Text), all(Kind::Text)]))),
            ]))),
            all(BOOL),
        ],
    ),
    schema(
        ApiKey::IncrementalAlterConfigs,
        1,
        &[
            all(Kind::Structs(&fields(&[
                all(I8),
                all(Kind::Text),
                all(Kind::Structs(&fields(&[
                    all(Kind::Text),
                    all(I8),
                    all(Kind::Text),
                ]))),
            ]))),
            all(BOOL),
        ],
    ),
    schema(
        ApiKey::CreatePartitions,
        2,
        &[
            all(Kind::Structs(&fields(&[
                all(Kind::Text),
                all(I32),
                all(Kind::Structs(&fields(&[all(Kind::Each(&I32))]))),
            ]))),
            all(I32),
            all(BOOL),
        ],
    ),
    schema(
        ApiKey::DeleteRecords,
        2,
        &[all(Kind::Structs(DELETE_RECORDS_TOPIC)), all(I32)],
    ),
    schema(
        ApiKey::ElectLeaders,
        2,
        &[since(1, I8), all(Kind::Structs(TOPIC_PARTITIONS)), all(I32)],
    ),
    schema(
        ApiKey::ListPartitionReassignments,
        0,
        &[all(I32), all(Kind::Structs(TOPIC_PARTITIONS))],
    ),
    schema(
        ApiKey::DescribeLogDirs,
        2,
        &[all(Kind::Structs(TOPIC_PARTITIONS))],
    ),
    schema(
        ApiKey::DescribeProducers,
        0,
        &[all(Kind::Structs(TOPIC_PARTITIONS))],
    ),
    schema(
        ApiKey::DescribeCluster,
        0,
        &[all(BOOL), since(1, I8), since(2, BOOL)],
    ),
    schema(
        ApiKey::DescribeTopicPartitions,
        0,
        &[
            all(Kind::Structs(&fields(&[all(Kind::Text)]))),
            all(I32),
            all(Kind::Optional(&fields(&[all(Kind::Text), all(I32)]))),
        ],
    ),
];
