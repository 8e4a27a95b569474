//! What objects say that may have changed since they were read: unknown, with the reason.
//!
//! Which volumes there are, whose they are and what was asked of them stays: it is what the rest of
//! the node's facts hangs on, and it does not change while a pod lives.

use crate::model::objects::Stale;
use crate::model::observed::Observed;
use crate::model::volume::Volume;

/// Takes back what is too old to be judged by.
pub(super) fn take_back(volume: &mut Volume, stale: &Stale) {
    if let Some(gap) = &stale.pods {
        for published in &mut volume.published {
            published.state = Observed::Unknown(gap.clone());
        }
    }
    if volume.claim.is_none() {
        return;
    }
    if let Some(gap) = &stale.claims {
        volume.sizes.request = Observed::Unknown(gap.clone());
        volume.sizes.allocated = Observed::Unknown(gap.clone());
        volume.sizes.status = Observed::Unknown(gap.clone());
    }
    // A claim and its volume are judged together: half of the pair is none.
    if let Some(gap) = stale.volumes.as_ref().or(stale.claims.as_ref()) {
        volume.persistent = Observed::Unknown(gap.clone());
        volume.sizes.capacity = Observed::Unknown(gap.clone());
    }
    if let Some(gap) = &stale.attachments {
        volume.attachment = Observed::Unknown(gap.clone());
    }
}
