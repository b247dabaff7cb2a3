//! Which arrays and objects are open, a bit each: nothing is allocated for a document.

use super::parse::MAX_DEPTH;

/// The open arrays and objects.
#[derive(Default)]
pub(super) struct Nesting {
    depth: usize,
    /// A bit for each, set for an object.
    objects: [u64; MAX_DEPTH.div_ceil(64)],
}

impl Nesting {
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Opens one; at most [`MAX_DEPTH`] may be open.
    pub fn push(&mut self, is_object: bool) {
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        if is_object {
            self.objects[word] |= bit;
        } else {
            self.objects[word] &= !bit;
        }
        self.depth += 1;
    }

    /// Whether the innermost is an object; `None` where nothing is open.
    pub fn innermost(&self) -> Option<bool> {
        let last = self.depth.checked_sub(1)?;
        Some(self.objects[last / 64] >> (last % 64) & 1 == 1)
    }

    pub fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }
}
