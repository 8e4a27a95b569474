//! Puts words on objects as Events: at a bounded rate, in their order, again while the API server is
//! not heard. Nothing waits for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::collector::accept::Accept;
use crate::collector::metrics::Counts;
use crate::collector::notices::Notices;
use crate::kubernetes::events::{Events, Put};
use crate::model::notice::Notice;
use crate::model::view::View;

/// One Event in so long a time, when there are many.
const EACH: Duration = Duration::from_millis(500);

/// So many at once.
const BURST: u32 = 50;

/// So many wait at most; what comes then is not told. The findings are there all the same.
const WAITING: usize = 1000;

/// How long the API server is left alone after it could not take one: longer each time.
const PAUSE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// A word that is older is not put on anything any more.
const STALE: Duration = Duration::from_mins(10);

/// For ever: tells of each view what is new in it.
pub(super) async fn announce(
    events: Option<Events>,
    mut views: watch::Receiver<Arc<View>>,
    accept: Arc<Accept>,
    mut notices: Notices,
) {
    let Some(events) = events else {
        return std::future::pending().await;
    };
    views.mark_changed();
    let mut queue = Queue::new(accept.counts().clone());
    loop {
        tokio::select! {
            changed = views.changed() => {
                if changed.is_err() {
                    return std::future::pending().await;
                }
                let view = Arc::clone(&views.borrow_and_update());
                let new = notices.next(&view);
                if !new.is_empty() {
                    // What is told must be known after a restart: else it would be told twice.
                    accept.written().await;
                    queue.extend(new);
                }
            }
            () = tokio::time::sleep_until(queue.due), if !queue.waiting.is_empty() => {
                queue.put_first(&events).await;
            }
        }
    }
}

struct Queue {
    waiting: VecDeque<(Notice, Instant)>,
    /// When the next one may be put.
    due: Instant,
    /// When the allowance is whole again.
    whole: Instant,
    pause: Duration,
    counts: Counts,
}

impl Queue {
    fn new(counts: Counts) -> Self {
        let now = Instant::now();
        Self {
            waiting: VecDeque::new(),
            due: now,
            whole: now,
            pause: PAUSE[0],
            counts,
        }
    }

    fn extend(&mut self, notices: Vec<Notice>) {
        for notice in notices {
            if self.waiting.len() < WAITING {
                self.waiting.push_back((notice, Instant::now()));
            } else {
                self.counts.announced("dropped");
            }
        }
    }

    async fn put_first(&mut self, events: &Events) {
        let Some((notice, since)) = self.waiting.front() else {
            return;
        };
        let is_stale = since.elapsed() > STALE;
        let put = events.put(notice).await;
        let now = Instant::now();
        self.whole = self.whole.max(now) + EACH;
        self.due = self.whole.checked_sub(EACH * BURST).unwrap_or(now);
        let outcome = match put {
            Put::Made => "made",
            Put::Known => "known",
            Put::Refused(why) => {
                refused(notice, &why);
                "refused"
            }
            Put::Failed(why) if is_stale => {
                refused(notice, &why);
                "dropped"
            }
            Put::Failed(_) => {
                self.due = now + self.pause;
                self.pause = (self.pause * 2).min(PAUSE[1]);
                self.counts.announced("failed");
                return;
            }
        };
        self.pause = PAUSE[0];
        self.counts.announced(outcome);
        self.waiting.pop_front();
    }
}

fn refused(notice: &Notice, why: &str) {
    tracing::warn!(
        csi_doctor.code = notice.code.0.as_str(),
        csi_doctor.subject = %notice.subject,
        "no Event was put on {}: {why}",
        notice.on
    );
}
