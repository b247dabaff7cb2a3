//! The stack of open arrays and objects, one bit for each, without an allocation.

use super::parse::MAX_DEPTH;

/// The stack of open arrays and objects.
#[derive(Default)]
pub(super) struct Nesting {
    depth: usize,
    /// One bit for each level, set for an object.
    objects: [u64; MAX_DEPTH.div_ceil(64)],
}

impl Nesting {
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Opens an array or object. The caller keeps the depth below [`MAX_DEPTH`].
    pub fn push(&mut self, is_object: bool) {
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        if is_object {
            self.objects[word] |= bit;
        } else {
            self.objects[word] &= !bit;
        }
        self.depth += 1;
    }

    /// Whether the innermost level is an object; `None` if nothing is open.
    pub fn innermost(&self) -> Option<bool> {
        let last = self.depth.checked_sub(1)?;
        Some(self.objects[last / 64] >> (last % 64) & 1 == 1)
    }

    pub fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }
}
