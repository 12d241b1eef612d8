//! Which brackets are open, a bit for each.
//!
//! ```text
//!   {[[{ …              outer: full words of 64      innermost: the last 1 to 64 of them
//!                       ┌────────┬────────┐          ┌────────────────┐
//!   1001 …              │ 64 bits│ 64 bits│          │  …  1 0 0 1    │ ◀ lowest bit: the last
//!                       └────────┴────────┘          └────────────────┘
//! ```

/// The open brackets, outermost first.
#[derive(Debug)]
pub(super) struct Nesting {
    depth: usize,
    /// The last up to 64 brackets, the last of them in the lowest bit; set for an object.
    innermost: u64,
    // bound: an entry for 64 open brackets, of which the scanner refuses too many
    outer: Vec<u64>,
}

impl Nesting {
    pub(super) const fn new() -> Self {
        Self { depth: 0, innermost: 0, outer: Vec::new() }
    }

    pub(super) fn push(&mut self, is_object: bool) {
        if self.depth != 0 && self.depth.is_multiple_of(WORD) {
            self.outer.push(self.innermost);
        }
        self.innermost = (self.innermost << 1) | u64::from(is_object);
        self.depth = self.depth.saturating_add(1);
    }

    pub(super) fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.innermost >>= 1;
        if self.depth.is_multiple_of(WORD) {
            self.innermost = self.outer.pop().unwrap_or_default();
        }
    }

    /// How many brackets are open.
    pub(super) const fn depth(&self) -> usize {
        self.depth
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.depth == 0
    }

    /// Whether the last bracket opened an object; nothing when none is open.
    pub(super) const fn in_object(&self) -> Option<bool> {
        if self.depth == 0 { None } else { Some(self.innermost & 1 == 1) }
    }

    /// Words of 8 bytes that were allocated.
    #[cfg(test)]
    pub(super) const fn allocated(&self) -> usize {
        self.outer.capacity()
    }
}

/// Brackets in a word.
const WORD: usize = 64;
