//! Many fixed strings sought in one pass over a text (the automaton of Aho and Corasick).
//!
//! Linear in the length of the text whatever it holds. Letters are compared without case, and all
//! straight quotes are one character, because every program quotes names in its own way. Knows
//! nothing of what the strings mean.

use std::collections::BTreeMap;
use std::collections::VecDeque;

const ROOT: usize = 0;
const NONE: usize = usize::MAX;

/// A byte as the automaton sees it.
pub(super) const fn fold(byte: u8) -> u8 {
    match byte {
        b'"' | b'`' => b'\'',
        _ => byte.to_ascii_lowercase(),
    }
}

#[derive(Debug)]
struct Node {
    edges: Vec<(u8, usize)>,
    /// Where to go on when no edge fits: the longest proper suffix that is in the tree.
    fail: usize,
    /// The needle that ends here.
    needle: usize,
    /// The nearest suffix that ends a needle too.
    shorter: usize,
}

impl Node {
    fn new() -> Node {
        Node {
            edges: Vec::new(),
            fail: ROOT,
            needle: NONE,
            shorter: NONE,
        }
    }

    fn edge(&self, byte: u8) -> Option<usize> {
        self.edges
            .binary_search_by_key(&byte, |edge| edge.0)
            .ok()
            .map(|at| self.edges[at].1)
    }
}

/// A set of needles, ready to be sought.
#[derive(Debug)]
pub(super) struct Needles {
    nodes: Vec<Node>,
    /// The edges of the root by byte: where most steps begin.
    first: [usize; 256],
    lengths: Vec<usize>,
    numbers: BTreeMap<&'static str, usize>,
}

impl Needles {
    /// The automaton for these needles, which are written folded; doubles share a number.
    pub(super) fn new(needles: impl IntoIterator<Item = &'static str>) -> Needles {
        let mut nodes = vec![Node::new()];
        let mut lengths = Vec::new();
        let mut numbers = BTreeMap::new();
        for needle in needles {
            if needle.is_empty() || numbers.contains_key(needle) {
                continue;
            }
            let end = insert(&mut nodes, needle.as_bytes());
            // Two spellings that fold to the same bytes are the same needle.
            if nodes[end].needle == NONE {
                nodes[end].needle = lengths.len();
                lengths.push(needle.len());
            }
            numbers.insert(needle, nodes[end].needle);
        }
        link(&mut nodes);
        let mut first = [ROOT; 256];
        for (byte, to) in &nodes[ROOT].edges {
            first[usize::from(*byte)] = *to;
        }
        Needles {
            nodes,
            first,
            lengths,
            numbers,
        }
    }

    /// How many different needles there are.
    pub(super) fn len(&self) -> usize {
        self.lengths.len()
    }

    /// The number of a needle that the set was made from.
    pub(super) fn number(&self, needle: &str) -> Option<usize> {
        self.numbers.get(needle).copied()
    }

    /// Calls `found` with the number of each needle and where it starts and ends, by rising end.
    pub(super) fn scan(&self, text: &str, mut found: impl FnMut(usize, usize, usize)) {
        let mut state = ROOT;
        for (at, byte) in text.bytes().enumerate() {
            let byte = fold(byte);
            state = loop {
                if state == ROOT {
                    break self.first[usize::from(byte)];
                }
                match self.nodes[state].edge(byte) {
                    Some(to) => break to,
                    None => state = self.nodes[state].fail,
                }
            };
            let mut hit = if self.nodes[state].needle == NONE {
                self.nodes[state].shorter
            } else {
                state
            };
            while hit != NONE {
                let needle = self.nodes[hit].needle;
                found(needle, at + 1 - self.lengths[needle], at + 1);
                hit = self.nodes[hit].shorter;
            }
        }
    }
}

fn insert(nodes: &mut Vec<Node>, needle: &[u8]) -> usize {
    let mut state = ROOT;
    for byte in needle.iter().map(|byte| fold(*byte)) {
        state = match nodes[state]
            .edges
            .binary_search_by_key(&byte, |edge| edge.0)
        {
            Ok(at) => nodes[state].edges[at].1,
            Err(at) => {
                let new = nodes.len();
                nodes.push(Node::new());
                nodes[state].edges.insert(at, (byte, new));
                new
            }
        };
    }
    state
}

/// Sets the fall-back links, level by level.
fn link(nodes: &mut [Node]) {
    let mut queue: VecDeque<usize> = nodes[ROOT].edges.iter().map(|edge| edge.1).collect();
    while let Some(state) = queue.pop_front() {
        let fail = nodes[state].fail;
        nodes[state].shorter = if nodes[fail].needle == NONE {
            nodes[fail].shorter
        } else {
            fail
        };
        for (byte, to) in nodes[state].edges.clone() {
            let mut back = nodes[state].fail;
            nodes[to].fail = loop {
                if let Some(target) = nodes[back].edge(byte) {
                    break target;
                }
                if back == ROOT {
                    break ROOT;
                }
                back = nodes[back].fail;
            };
            queue.push_back(to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_plain_search_finds() {
        let words = ["he", "she", "his", "hers", "'x'", "r"];
        let needles = Needles::new(words);
        let text = "uSHErs his \"X\" ahishers";
        let folded: String = text.bytes().map(|byte| char::from(fold(byte))).collect();
        let mut found = Vec::new();
        needles.scan(text, |needle, start, end| found.push((needle, start, end)));
        let mut plain = Vec::new();
        for word in words {
            for (start, _) in folded.match_indices(word) {
                plain.push((needles.number(word).unwrap(), start, start + word.len()));
            }
        }
        found.sort_unstable();
        plain.sort_unstable();
        assert_eq!(found, plain);
    }
}
