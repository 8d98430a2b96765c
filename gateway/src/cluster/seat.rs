//! Keeps this gateway's seat, and sees that it is in as long as it wants to be.
use std::{sync::Arc, time::Duration};

use kop_store_pulsar::{MembershipLog, Seat};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::sleep,
};
use tracing::{info, warn};

use super::{
    announcement::{Announcement, Member},
    changes::Changes,
    view::View,
};

/// How long one attempt to win the seat back takes at the most.
const PATIENCE: Duration = Duration::from_secs(12);
/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// Announces the member, again whenever it is out, and the topics that it has changed, until it is asked to
/// leave.
pub(super) async fn keep(
    log: MembershipLog,
    seat: Seat,
    (member, to_tell): (Member, Arc<Changes>),
    mut views: watch::Receiver<Arc<View>>,
    mut leaving: mpsc::Receiver<oneshot::Sender<()>>,
) {
    let mut held = Some(seat);
    let mut announced = false;
    let mut written_down = false;
    loop {
        let Some(mut seat) = held.take() else {
            tokio::select! {
                won = win(&log, &member) => held = Some(won),
                _ = leaving.recv() => return,
            }
            continue;
        };
        let is_in = views
            .borrow_and_update()
            .has(member.node, member.incarnation);
        if !is_in && !announced {
            // Once for each time that it is out: the answer comes by the log.
            match seat
                .announce(Announcement::Join(member.clone()).encode())
                .await
            {
                Ok(()) => announced = true,
                Err(error) => {
                    warn!(%error, "could not tell the other gateways of this one");
                    sleep(PAUSE).await;
                    continue;
                }
            }
        }
        announced &= !is_in;
        let view = Arc::clone(&views.borrow());
        if is_in && view.is_partial() && !written_down {
            // For everybody to know the same again.
            let view = Announcement::View(View::clone(&view));
            written_down = seat.announce(view.encode()).await.is_ok();
        }
        tokio::select! {
            () = seat.lost() => announced = false,
            changed = views.changed() => {
                if changed.is_err() {
                    return;
                }
                held = Some(seat);
            }
            () = to_tell.any() => {
                if tell(&mut seat, &to_tell).await {
                    held = Some(seat);
                } else {
                    announced = false;
                }
            }
            asked = leaving.recv() => {
                let told = leave(seat, &member).await;
                if let Some(asked) = asked.filter(|_| told) {
                    // Whoever asked may have gone.
                    let _ = asked.send(());
                }
                return;
            }
        }
    }
}

/// Tells the others which topics have changed. Answers whether the seat is still good.
async fn tell(seat: &mut Seat, changes: &Changes) -> bool {
    let changed = changes.take();
    let announcement = Announcement::Topics(changed.clone());
    if let Err(error) = seat.announce(announcement.encode()).await {
        warn!(%error, "could not tell the other gateways which topics changed");
        changes.note(changed);
        sleep(PAUSE).await;
        return false;
    }
    true
}

async fn win(log: &MembershipLog, member: &Member) -> Seat {
    loop {
        match log.seat(member.node, PATIENCE).await {
            Ok(seat) => {
                info!(node = member.node, "seat won back");
                return seat;
            }
            Err(error) => warn!(node = member.node, %error, "seat not won back yet"),
        }
        sleep(PAUSE).await;
    }
}

/// Gives up the seat. Answers whether the others could be told.
async fn leave(mut seat: Seat, member: &Member) -> bool {
    let gone = Announcement::Leave {
        node: member.node,
        incarnation: member.incarnation,
    };
    let told = seat.announce(gone.encode()).await;
    if let Err(error) = &told {
        info!(%error, "leaving not announced");
    }
    seat.release().await;
    told.is_ok()
}
