//! Shards over stores that work, hang and fail. Where a test waits, its clock is paused and runs
//! ahead by itself.
use std::time::Duration;

use bytes::Bytes;
use kop_coordinator::{
    CommitOffsets, FetchOffsets, GroupError, Heartbeat, InstanceId, Join, Joined, Leave, Leaving,
    Member, MemberId, Name, OffsetToCommit, Protocol, Sync, Wanted,
};
use kop_store_embedded::{Durability, EmbeddedOptions, EmbeddedStore};
use tokio::{task::JoinHandle, time::timeout};

use super::*;
use fake::{FakeStore, Fault};

mod fake;

fn group() -> GroupId {
    GroupId::new("g").unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn member(id: &str) -> MemberId {
    MemberId::new(id).unwrap()
}

fn config() -> GroupConfig {
    GroupConfig {
        initial_rebalance_delay_ms: 0,
        ..GroupConfig::default()
    }
}

fn coordination<C: Catalog>(catalog: C, config: GroupConfig) -> Coordination<C> {
    Coordination::new(
        catalog,
        config,
        TopicNames::verbatim(),
        GroupCounters::default(),
        Cluster::alone(crate::cluster::Member {
            node: 0,
            incarnation: uuid::Uuid::nil(),
            listeners: Vec::new(),
        }),
    )
}

fn identity(id: &str, generation: i32) -> Member {
    Member {
        group: group(),
        generation,
        member: member(id),
        instance: None,
    }
}

fn join(fresh: &str, known: Option<&str>) -> Request {
    Request::Join(Join {
        group: group(),
        member: known.map(member),
        fresh_member: member(fresh),
        instance: None::<InstanceId>,
        client_id: name("c"),
        client_host: name("/h"),
        protocol_type: name("consumer"),
        protocols: vec![Protocol {
            name: name("range"),
            metadata: Bytes::from_static(b"s"),
        }],
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        requires_member_id: false,
        may_skip_assignment: true,
    })
}

fn sync(id: &str, generation: i32, assignments: &[(&str, &'static str)]) -> Request {
    let assignments = assignments
        .iter()
        .map(|(id, share)| (member(id), Bytes::from(*share)));
    Request::Sync(Sync {
        member: identity(id, generation),
        protocol_type: None,
        protocol: None,
        assignments: assignments.collect(),
    })
}

fn heartbeat(id: &str, generation: i32) -> Request {
    Request::Heartbeat(Heartbeat {
        member: identity(id, generation),
    })
}

fn commit(by: Option<(&str, i32)>, offset: i64) -> Request {
    Request::CommitOffsets(CommitOffsets {
        group: group(),
        generation: by.map_or(-1, |(_, generation)| generation),
        member: by.map(|(id, _)| member(id)),
        instance: None,
        retention_ms: None,
        offsets: vec![OffsetToCommit {
            topic: name("t"),
            partition: 0,
            offset,
            metadata: String::new(),
        }],
    })
}

fn joined(reply: Result<Reply, CoordinationError>) -> Joined {
    match reply {
        Ok(Reply::Join(Ok(joined))) => joined,
        other => panic!("not joined: {other:?}"),
    }
}

fn assert_committed(reply: Result<Reply, CoordinationError>) {
    assert_eq!(reply, Ok(Reply::CommitOffsets(Ok(vec![Ok(())]))));
}

async fn committed<C: Catalog>(groups: &Coordination<C>) -> Option<i64> {
    let wanted = Wanted::These(vec![(name("t"), 0)]);
    let fetch = FetchOffsets {
        group: group(),
        wanted,
    };
    match groups.ask(Request::FetchOffsets(fetch)).await {
        Ok(Reply::FetchOffsets(fetched)) => {
            let first = fetched.into_iter().next().unwrap();
            first.committed.map(|committed| committed.offset)
        }
        other => panic!("not fetched: {other:?}"),
    }
}

/// Asks without waiting for the answer.
fn start(
    groups: &Coordination<FakeStore>,
    request: Request,
) -> JoinHandle<Result<Reply, CoordinationError>> {
    let groups = groups.clone();
    tokio::spawn(async move { groups.ask(request).await })
}

/// A group of one, with its assignment.
async fn settled_group(groups: &Coordination<FakeStore>) {
    joined(groups.ask(join("a", None)).await);
    groups.ask(sync("a", 1, &[("a", "x")])).await.unwrap();
}

#[tokio::test]
async fn a_group_and_its_offsets_survive_a_restart_of_the_embedded_store() {
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        let directory = directory.path().to_path_buf();
        EmbeddedStore::open(EmbeddedOptions::new(directory, Durability::Os)).unwrap()
    };
    let store = open();
    let groups = coordination(store.clone(), config());
    joined(groups.ask(join("a", None)).await);
    let both = tokio::join!(groups.ask(join("b", None)), async {
        while groups.ask(heartbeat("a", 1)).await == Ok(Reply::Heartbeat(Ok(()))) {
            tokio::task::yield_now().await;
        }
        groups.ask(join("a", Some("a"))).await
    });
    let (b, a) = (joined(both.0), joined(both.1));
    assert_eq!((a.generation, b.generation, a.members.len()), (2, 2, 2));
    let (b, a) = tokio::join!(
        groups.ask(sync("b", 2, &[])),
        groups.ask(sync("a", 2, &[("a", "x"), ("b", "y")]))
    );
    let share = |reply| match reply {
        Ok(Reply::Sync(Ok(kop_coordinator::Synced { assignment, .. }))) => assignment,
        other => panic!("not synced: {other:?}"),
    };
    assert_eq!((share(a), share(b)), (Bytes::from("x"), Bytes::from("y")));
    assert_committed(groups.ask(commit(Some(("b", 2)), 42)).await);
    groups.close().await;
    store.close().await.unwrap();
    drop((groups, store));

    let store = open();
    let groups = coordination(store.clone(), config());
    assert_eq!(committed(&groups).await, Some(42));
    assert_eq!(
        groups.ask(heartbeat("b", 2)).await,
        Ok(Reply::Heartbeat(Ok(())))
    );
    assert_eq!(share(groups.ask(sync("b", 2, &[])).await), Bytes::from("y"));
    groups.close().await;
    store.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn requests_wait_a_moment_for_a_log_that_loads_and_are_then_told_so() {
    let store = FakeStore::new();
    store.set(Fault::HangingOpen);
    let groups = coordination(store.clone(), config());
    assert_eq!(
        groups.ask(commit(None, 1)).await,
        Err(CoordinationError::Loading)
    );
    assert_eq!(
        groups.ask(commit(None, 1)).await,
        Err(CoordinationError::Loading)
    );
    // These two may not be told so: clients take it for the end.
    assert_eq!(
        groups.ask(heartbeat("a", 1)).await,
        Ok(Reply::Heartbeat(Ok(())))
    );
    assert_eq!(
        groups.ask(sync("a", 1, &[])).await,
        Ok(Reply::Sync(Err(GroupError::RebalanceInProgress)))
    );
    store.set(Fault::None);
    tokio::task::yield_now().await;
    assert_committed(groups.ask(commit(None, 1)).await);
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_another_gateway_has_says_so_and_is_asked_for_again() {
    let store = FakeStore::new();
    store.set(Fault::NotOwner);
    let groups = coordination(store.clone(), config());
    assert_eq!(
        groups.ask(commit(None, 1)).await,
        Err(CoordinationError::NotCoordinator)
    );
    store.set(Fault::None);
    assert_committed(groups.ask(commit(None, 1)).await);
}

#[tokio::test(start_paused = true)]
async fn an_append_that_fails_is_never_acknowledged_and_the_log_decides_what_holds() {
    for (fault, holds) in [(Fault::FailingAppend, 1), (Fault::LostReceipt, 2)] {
        let store = FakeStore::new();
        let groups = coordination(store.clone(), config());
        settled_group(&groups).await;
        assert_committed(groups.ask(commit(Some(("a", 1)), 1)).await);
        store.set(fault);
        let reply = groups.ask(commit(Some(("a", 1)), 2)).await;
        assert_eq!(reply, Err(CoordinationError::Unavailable));
        store.set(Fault::None);
        assert_eq!(committed(&groups).await, Some(holds), "{fault:?}");
        // The member need not notice.
        assert_eq!(
            groups.ask(heartbeat("a", 1)).await,
            Ok(Reply::Heartbeat(Ok(())))
        );
        assert_committed(groups.ask(commit(Some(("a", 1)), 3)).await);
    }
}

#[tokio::test(start_paused = true)]
async fn no_reply_is_given_before_its_records_are_durable() {
    let store = FakeStore::new();
    let groups = coordination(store.clone(), config());
    assert_committed(groups.ask(commit(None, 1)).await);
    store.set(Fault::HangingAppend);
    let mut waiting = start(&groups, commit(None, 2));
    assert!(
        timeout(Duration::from_secs(60), &mut waiting)
            .await
            .is_err()
    );
    store.set(Fault::None);
    assert_committed(waiting.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn commits_that_come_while_one_is_written_are_written_together() {
    let store = FakeStore::new();
    let groups = coordination(store.clone(), config());
    assert_committed(groups.ask(commit(None, 0)).await);
    store.set(Fault::HangingAppend);
    let first = start(&groups, commit(None, 1));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let rest: Vec<_> = (2..10)
        .map(|offset| start(&groups, commit(None, offset)))
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    store.set(Fault::None);
    assert_committed(first.await.unwrap());
    for reply in rest {
        assert_committed(reply.await.unwrap());
    }
    assert_eq!(store.batches(), 3);
    assert_eq!(committed(&groups).await, Some(9));
}

#[tokio::test(start_paused = true)]
async fn a_silent_member_is_removed_when_its_session_runs_out() {
    let groups = coordination(FakeStore::new(), config());
    settled_group(&groups).await;
    tokio::time::sleep(Duration::from_millis(9_900)).await;
    assert_eq!(
        groups.ask(heartbeat("a", 1)).await,
        Ok(Reply::Heartbeat(Ok(())))
    );
    tokio::time::sleep(Duration::from_millis(10_100)).await;
    let unknown = Ok(Reply::Heartbeat(Err(GroupError::UnknownMember)));
    assert_eq!(groups.ask(heartbeat("a", 1)).await, unknown);
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_heartbeats_wait_for_a_slow_log_is_not_taken_for_silent() {
    let store = FakeStore::new();
    let groups = coordination(store.clone(), config());
    settled_group(&groups).await;
    store.set(Fault::HangingAppend);
    let slow = start(&groups, commit(Some(("a", 1)), 1));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let beat = start(&groups, heartbeat("a", 1));
    tokio::time::sleep(Duration::from_secs(20)).await;
    store.set(Fault::None);
    assert_committed(slow.await.unwrap());
    assert_eq!(beat.await.unwrap(), Ok(Reply::Heartbeat(Ok(()))));
}

#[tokio::test(start_paused = true)]
async fn a_log_that_never_answers_does_not_hold_the_end_up_for_ever() {
    let store = FakeStore::new();
    let groups = coordination(store.clone(), config());
    settled_group(&groups).await;
    store.set(Fault::HangingAppend);
    let slow = start(&groups, commit(Some(("a", 1)), 1));
    tokio::time::sleep(Duration::from_secs(1)).await;
    timeout(Duration::from_secs(60), groups.close())
        .await
        .unwrap();
    assert!(!slow.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_while_it_joins_does_not_hold_the_group_up_for_ever() {
    let groups = coordination(FakeStore::new(), config());
    settled_group(&groups).await;
    let gone = start(&groups, join("b", None));
    tokio::time::sleep(Duration::from_millis(10)).await;
    gone.abort();
    let told = groups.ask(heartbeat("a", 1)).await;
    assert_eq!(
        told,
        Ok(Reply::Heartbeat(Err(GroupError::RebalanceInProgress)))
    );
    assert_eq!(
        joined(groups.ask(join("a", Some("a"))).await).members.len(),
        2
    );
    groups.ask(sync("a", 2, &[("a", "x")])).await.unwrap();
    tokio::time::sleep(Duration::from_millis(9_000)).await;
    groups.ask(heartbeat("a", 2)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_000)).await;
    let told = groups.ask(heartbeat("a", 2)).await;
    assert_eq!(
        told,
        Ok(Reply::Heartbeat(Err(GroupError::RebalanceInProgress)))
    );
    assert_eq!(
        joined(groups.ask(join("a", Some("a"))).await).members.len(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn while_the_gateway_drains_nobody_waits_in_a_rebalance_and_commits_are_served() {
    let groups = coordination(FakeStore::new(), config());
    settled_group(&groups).await;
    let waiting = start(&groups, join("b", None));
    tokio::time::sleep(Duration::from_millis(10)).await;
    groups.drain();
    assert_eq!(waiting.await.unwrap(), Err(CoordinationError::Unavailable));
    let waits = groups.ask(join("c", None)).await;
    assert_eq!(waits, Err(CoordinationError::Unavailable));
    assert_committed(groups.ask(commit(Some(("a", 1)), 1)).await);
}

#[tokio::test(start_paused = true)]
async fn closing_answers_what_has_come_and_then_nothing_more() {
    let store = FakeStore::new();
    let groups = coordination(store.clone(), config());
    assert_committed(groups.ask(commit(None, 1)).await);
    store.set(Fault::HangingAppend);
    let first = start(&groups, commit(None, 2));
    let second = start(&groups, commit(None, 3));
    tokio::time::sleep(Duration::from_millis(10)).await;
    let closing = groups.clone();
    let closing = tokio::spawn(async move { closing.close().await });
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(!closing.is_finished());
    store.set(Fault::None);
    closing.await.unwrap();
    assert_committed(first.await.unwrap());
    assert_committed(second.await.unwrap());
    assert_eq!(
        groups.ask(commit(None, 4)).await,
        Err(CoordinationError::Unavailable)
    );
}

#[tokio::test(start_paused = true)]
async fn leaving_is_durable() {
    let store = FakeStore::new();
    let groups = coordination(store.clone(), config());
    settled_group(&groups).await;
    let leaving = Leaving {
        member: Some(member("a")),
        instance: None,
    };
    let leave = Request::Leave(Leave {
        group: group(),
        members: vec![leaving],
    });
    assert_eq!(groups.ask(leave).await, Ok(Reply::Leave(Ok(vec![Ok(())]))));
    groups.close().await;
    let groups = coordination(store, config());
    let unknown = Ok(Reply::Heartbeat(Err(GroupError::UnknownMember)));
    assert_eq!(groups.ask(heartbeat("a", 1)).await, unknown);
    assert_eq!(joined(groups.ask(join("b", None)).await).generation, 3);
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test(start_paused = true)]
async fn an_offset_that_nobody_uses_expires_and_a_restart_remembers_since_when() {
    let store = FakeStore::new();
    let groups = coordination(store.clone(), config());
    assert_committed(groups.ask(commit(None, 5)).await);
    tokio::time::sleep(DAY).await;
    settled_group(&groups).await;
    let leaving = Leaving {
        member: Some(member("a")),
        instance: None,
    };
    let leave = Request::Leave(Leave {
        group: group(),
        members: vec![leaving],
    });
    groups.ask(leave).await.unwrap();
    groups.close().await;
    // A new clock begins where the first did: the group is empty a day from now.
    let groups = coordination(store.clone(), config());
    assert_eq!(committed(&groups).await, Some(5));
    tokio::time::sleep(DAY * 8 - DAY / 2).await;
    assert_eq!(committed(&groups).await, Some(5));
    tokio::time::sleep(DAY).await;
    assert_eq!(committed(&groups).await, None);
    groups.close().await;
    let groups = coordination(store, config());
    assert_eq!(committed(&groups).await, None);
}

#[tokio::test(start_paused = true)]
async fn an_offset_that_is_committed_as_its_topic_goes_goes_with_it() {
    let store = FakeStore::new();
    let groups = coordination(store.clone(), config());
    assert_committed(groups.ask(commit(None, 1)).await);
    store.set(Fault::HangingAppend);
    let first = start(&groups, commit(None, 2));
    let second = start(&groups, commit(None, 3));
    let door = groups.clone();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let forgetting = tokio::spawn(async move { door.forget_topic(&name("t")).await });
    tokio::time::sleep(Duration::from_millis(10)).await;
    store.set(Fault::None);
    assert_committed(first.await.unwrap());
    assert_committed(second.await.unwrap());
    forgetting.await.unwrap();
    assert_eq!(committed(&groups).await, None);
    groups.close().await;
    assert_eq!(committed(&coordination(store, config())).await, None);
}
