//! Reads what is announced and publishes the views that it comes to.
use std::sync::Arc;

use kop_store_pulsar::{Announced, Announcements};
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::{announcement::Announcement, changes::Changes, view::View};

/// Publishes a view for each announcement that changes who is in, as long as anyone looks, and notes which
/// topics have changed.
pub(super) async fn follow(
    mut announcements: Announcements,
    views: watch::Sender<Arc<View>>,
    heard: Arc<Changes>,
) {
    let mut view = None;
    while !views.is_closed() {
        let Announced { index, payload } = match announcements.next().await {
            Ok(announced) => announced,
            Err(error) => {
                // The last view stays: who writes where is proved by the store in any case.
                error!(%error, "who comes and goes among the gateways is not seen any more");
                return;
            }
        };
        let view = view.get_or_insert_with(|| View::after(index));
        match Announcement::decode(&payload) {
            Ok(Announcement::Topics(changed)) => heard.note(changed),
            Ok(announcement) if view.follow(&announcement) => {
                let nodes: Vec<i32> = view.members().map(|member| member.node).collect();
                info!(view = view.number(), ?nodes, "gateways");
                views.send_replace(Arc::new(view.clone()));
            }
            Ok(_) => {}
            Err(error) => warn!(index, %error, "announcement passed over"),
        }
    }
}
