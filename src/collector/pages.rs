//! Lists in pages: all pages of a list are of one view, which is kept for who is between two.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::collector::asked::{self, Spot, VolumeFilter};
use crate::grpc::Refusal;
use crate::model::view::{NodeVolume, View};
use crate::wire;

/// The most entries of a page.
pub(super) const PAGE: usize = 500;

/// How many views are kept for readers who are between two pages; most of each is shared.
const PAGED_VIEWS: usize = 4;

/// The published views, and those of which somebody has read a page and not the last one.
pub(super) struct Pages {
    views: watch::Receiver<Arc<View>>,
    paged: Mutex<VecDeque<Arc<View>>>,
    /// Where volumes stand is the one list that takes work to make.
    found: Mutex<VecDeque<Found>>,
}

#[derive(Clone)]
struct Found {
    view: Arc<View>,
    filter: VolumeFilter,
    spots: Arc<[Spot]>,
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
            found: Mutex::default(),
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
        let begin = place.offset.min(list.len());
        let mine = &list[begin..list.len().min(begin + place.size)];
        let page = fitting(mine, most_bytes, to);
        let token = self.next(place, begin + page.len(), list.len());
        (page, token)
    }

    /// The same of volumes, each node of the page unpacked once.
    pub(super) fn volumes<P>(
        &self,
        place: &Place,
        filter: &VolumeFilter,
        most_bytes: usize,
        to: impl Fn(&NodeVolume) -> (P, usize),
    ) -> (Vec<P>, String) {
        let spots = self.spots(&place.view, filter);
        let begin = place.offset.min(spots.len());
        let mine = &spots[begin..spots.len().min(begin + place.size)];
        let volumes = asked::volumes(&place.view, filter, mine);
        let page = fitting(&volumes, most_bytes, |(_, volume)| to(volume));
        // The next page begins with the first that did not fit.
        let left = volumes.get(page.len()).map(|(spot, _)| spot);
        let passed = left.and_then(|left| mine.iter().position(|spot| spot == left));
        let passed = passed.unwrap_or(mine.len());
        let token = self.next(place, begin + passed, spots.len());
        (page, token)
    }

    /// The token of the page that begins there; none when all has been told.
    fn next(&self, place: &Place, begin: usize, all: usize) -> String {
        if begin < all {
            self.token(&place.view, begin)
        } else {
            String::new()
        }
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

    /// Where the volumes stand that are asked for: found once for all pages of a list.
    fn spots(&self, view: &Arc<View>, filter: &VolumeFilter) -> Arc<[Spot]> {
        let is_it = |one: &&Found| Arc::ptr_eq(&one.view, view) && one.filter == *filter;
        let lock = || self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = lock().iter().find(is_it) {
            return Arc::clone(&one.spots);
        }
        let spots: Arc<[Spot]> = asked::spots(view, filter).into();
        if spots.len() > PAGE {
            let mut found = lock();
            if found.len() == PAGED_VIEWS {
                found.pop_front();
            }
            found.push_back(Found {
                view: Arc::clone(view),
                filter: filter.clone(),
                spots: Arc::clone(&spots),
            });
        }
        spots
    }
}

/// As many of these as fit into so many bytes, and one at least.
fn fitting<T, P>(list: &[T], most_bytes: usize, to: impl Fn(&T) -> (P, usize)) -> Vec<P> {
    let mut bytes = 0;
    let mut page = Vec::new();
    for item in list {
        let (item, size) = to(item);
        bytes += size;
        if bytes > most_bytes && !page.is_empty() {
            break;
        }
        page.push(item);
    }
    page
}
