//! Changes to a text by position, which may lie within each other.

use std::collections::BTreeMap;
use std::ops::Range;

use proc_macro2::LineColumn;

/// A part of a replacement.
pub(crate) enum Part {
    Text(String),
    /// What stands in the source, with the changes within it.
    Source(Range<usize>),
}

pub(crate) struct Edits<'a> {
    source: &'a str,
    /// The offset of each line.
    lines: Vec<usize>,
    /// By start, the longer one first. Of several of the same range, each lies within the one before.
    changes: BTreeMap<(usize, isize), Vec<Vec<Part>>>,
}

impl<'a> Edits<'a> {
    pub(crate) fn new(source: &'a str) -> Self {
        let lines = std::iter::once(0).chain(source.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { source, lines, changes: BTreeMap::new() }
    }

    /// The offset of a position whose column counts characters from 0.
    pub(crate) fn offset(&self, position: LineColumn) -> usize {
        let line = self.lines[position.line - 1];
        let text = &self.source[line..];
        line + text.char_indices().nth(position.column).map_or(text.len(), |(at, _)| at)
    }

    /// Replaces a range. Two ranges lie apart or one within the other; of the same one, the later change lies within the earlier.
    pub(crate) fn replace(&mut self, range: Range<usize>, parts: Vec<Part>) {
        self.changes.entry((range.start, -(range.end as isize))).or_default().push(parts);
    }

    pub(crate) fn apply(&self) -> String {
        self.render(&(0..self.source.len()), None)
    }

    /// A range with the changes in it, but for those around the part that it is: `within` that many of this range.
    fn render(&self, range: &Range<usize>, within: Option<(&Range<usize>, usize)>) -> String {
        let mut text = String::new();
        let mut at = range.start;
        for (&(start, end), changes) in self.changes.range((range.start, isize::MIN)..=(range.end, isize::MAX)) {
            let place = start..end.unsigned_abs();
            let depth = within.filter(|(outer, _)| **outer == place).map_or(0, |(_, depth)| depth);
            let Some(parts) = changes.get(depth) else { continue };
            if place.start < at || place.end > range.end {
                continue;
            }
            text.push_str(&self.source[at..place.start]);
            for part in parts {
                match part {
                    Part::Text(part) => text.push_str(part),
                    Part::Source(part) => text.push_str(&self.render(part, Some((&place, depth + 1)))),
                }
            }
            at = place.end;
        }
        text + &self.source[at..range.end]
    }
}
