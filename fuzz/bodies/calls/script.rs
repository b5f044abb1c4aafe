//! The input as a host reads it: frames of sixteen bytes, one for each step and each callback, so that a
//! byte more or less in one of them does not change what the others mean. Behind the end all bytes are 0,
//! which stands for what a well-behaved host does.

use arbitrary::{Arbitrary, Unstructured};

/// How many bytes a step or a callback draws from.
pub const FRAME_BYTES: usize = 16;

/// What is left of the input.
#[derive(Default)]
pub struct Script {
    input: Vec<u8>,
    at: usize,
}

impl Script {
    pub fn new(input: &[u8]) -> Self {
        Self {
            input: input.to_vec(),
            at: 0,
        }
    }

    pub fn is_over(&self) -> bool {
        self.at >= self.input.len()
    }

    pub fn next(&mut self) -> Frame {
        let mut bytes = [0; FRAME_BYTES];
        let rest = &self.input[self.at.min(self.input.len())..];
        let count = rest.len().min(FRAME_BYTES);
        bytes[..count].copy_from_slice(&rest[..count]);
        self.at += FRAME_BYTES;
        Frame { bytes, at: 0 }
    }
}

/// What one step or callback is made of.
pub struct Frame {
    bytes: [u8; FRAME_BYTES],
    at: usize,
}

impl Frame {
    /// The next value of a type.
    pub fn draw<T: for<'a> Arbitrary<'a>>(&mut self) -> T {
        let mut rest = Unstructured::new(&self.bytes[self.at..]);
        let value = rest.arbitrary();
        self.at = FRAME_BYTES - rest.len();
        value.unwrap_or_else(|_| {
            let zeros = [0; FRAME_BYTES];
            let value = T::arbitrary(&mut Unstructured::new(&zeros));
            value.unwrap_or_else(|_| panic!("sixteen zeros are a value"))
        })
    }

    pub fn byte(&mut self) -> u8 {
        self.draw()
    }

    /// A number below `count`; 0 is the most likely.
    pub fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    /// True in about one of `often` frames, and never behind the end.
    pub fn seldom(&mut self, often: usize) -> bool {
        self.below(often) == often - 1
    }

    /// One of a table, whose first is what a well-behaved host would take.
    pub fn one_of<T: Copy>(&mut self, table: &[T]) -> T {
        table[self.below(table.len())]
    }

    /// Sixteen bytes of which nothing is known.
    pub fn raw(&self) -> [u8; FRAME_BYTES] {
        self.bytes
    }
}
