//! Lists in pages: all pages of a list are of one view, which is kept for who is between two.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::collector::asked::{self, VolumeFilter};
use crate::grpc::Refusal;
use crate::model::view::View;
use crate::wire;

/// The most entries of a page.
pub(super) const PAGE: usize = 500;

/// How many views are kept for readers who are between two pages; most of each is shared.
const PAGED_VIEWS: usize = 4;

/// The published views, and those of which somebody has read a page and not the last one.
pub(super) struct Pages {
    views: watch::Receiver<Arc<View>>,
    paged: Mutex<VecDeque<Arc<View>>>,
    /// Volumes in their order are the one list that takes work to make.
    ordered: Mutex<VecDeque<Ordered>>,
}

#[derive(Clone)]
struct Ordered {
    view: Arc<View>,
    filter: VolumeFilter,
    places: Arc<Vec<(usize, usize)>>,
}

/// Where a page begins, and in which view.
pub(super) struct Place {
    pub(super) view: Arc<View>,
    offset: usize,
    size: usize,
}

impl Pages {
    pub(super) fn new(views: watch::Receiver<Arc<View>>) -> Self {
        Self {
            views,
            paged: Mutex::default(),
            ordered: Mutex::default(),
        }
    }

    pub(super) fn views(&self) -> watch::Receiver<Arc<View>> {
        self.views.clone()
    }

    pub(super) fn view(&self) -> Arc<View> {
        Arc::clone(&self.views.borrow())
    }

    /// The view that a page is of, and where the page begins.
    pub(super) fn place(&self, token: &str, size: u32) -> Result<Place, Refusal> {
        let size = match usize::try_from(size) {
            Ok(0) | Err(_) => PAGE,
            Ok(size) => size.min(PAGE),
        };
        if token.is_empty() {
            let view = self.view();
            return Ok(Place {
                view,
                offset: 0,
                size,
            });
        }
        let (at, offset) = token.split_once('.').ok_or(Refusal::PageToken)?;
        let at: i64 = at.parse().map_err(|_| Refusal::PageToken)?;
        let offset = offset.parse().map_err(|_| Refusal::PageToken)?;
        let paged = self.paged.lock().unwrap_or_else(PoisonError::into_inner);
        let view = paged.iter().find(|view| wire::at_ns(view.at) == at);
        let view = view.map(Arc::clone).ok_or(Refusal::PagesGone)?;
        Ok(Place { view, offset, size })
    }

    /// One page of a list: as many entries as fit into so many bytes, at least one, and the token
    /// of the next page; the view is kept for it.
    pub(super) fn page<T, P>(
        &self,
        place: &Place,
        list: &[T],
        most_bytes: usize,
        to: impl Fn(&T) -> (P, usize),
    ) -> (Vec<P>, String) {
        let mut bytes = 0;
        let mut page = Vec::new();
        for item in list.iter().skip(place.offset).take(place.size) {
            let (item, size) = to(item);
            bytes += size;
            if bytes > most_bytes && !page.is_empty() {
                break;
            }
            page.push(item);
        }
        let next = place.offset.saturating_add(page.len());
        let token = if next < list.len() {
            self.token(&place.view, next)
        } else {
            String::new()
        };
        (page, token)
    }

    fn token(&self, view: &Arc<View>, offset: usize) -> String {
        let mut paged = self.paged.lock().unwrap_or_else(PoisonError::into_inner);
        if !paged.iter().any(|kept| Arc::ptr_eq(kept, view)) {
            if paged.len() == PAGED_VIEWS {
                paged.pop_front();
            }
            paged.push_back(Arc::clone(view));
        }
        format!("{}.{offset}", wire::at_ns(view.at))
    }

    /// The volumes that are asked for, in their order: made once for all pages of a list.
    pub(super) fn volumes(
        &self,
        view: &Arc<View>,
        filter: &VolumeFilter,
    ) -> Arc<Vec<(usize, usize)>> {
        let is_it = |one: &&Ordered| Arc::ptr_eq(&one.view, view) && one.filter == *filter;
        let lock = || self.ordered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = lock().iter().find(is_it) {
            return Arc::clone(&one.places);
        }
        let places = Arc::new(asked::volumes(view, filter));
        if places.len() > PAGE {
            let mut ordered = lock();
            if ordered.len() == PAGED_VIEWS {
                ordered.pop_front();
            }
            ordered.push_back(Ordered {
                view: Arc::clone(view),
                filter: filter.clone(),
                places: Arc::clone(&places),
            });
        }
        places
    }
}
