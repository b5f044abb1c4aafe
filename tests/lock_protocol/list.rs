//! A short list without memory of its own, so that millions of states are copied and hashed at once.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};

/// At most `N` items; what is beyond its length is the default, so that equal lists are equal bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct List<T, const N: usize> {
    length: u8,
    items: [T; N],
}

impl<T: Copy + Default, const N: usize> List<T, N> {
    pub fn push(&mut self, item: T) {
        self.items[usize::from(self.length)] = item;
        self.length += 1;
    }

    pub fn pop(&mut self) -> Option<T> {
        self.length = self.length.checked_sub(1)?;
        let last = &mut self.items[usize::from(self.length)];
        Some(std::mem::take(last))
    }

    pub fn is_full(&self) -> bool {
        usize::from(self.length) == N
    }

    pub fn remove(&mut self, index: usize) -> T {
        self[index..].rotate_left(1);
        self.pop().unwrap_or_default()
    }

    pub fn retain(&mut self, mut keeps: impl FnMut(&T) -> bool) {
        for item in std::mem::take(self).iter() {
            if keeps(item) {
                self.push(*item);
            }
        }
    }
}

impl<T: Copy + Default, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self {
            length: 0,
            items: [T::default(); N],
        }
    }
}

impl<T, const N: usize> Deref for List<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items[..usize::from(self.length)]
    }
}

impl<T, const N: usize> DerefMut for List<T, N> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.items[..usize::from(self.length)]
    }
}

impl<T: Hash, const N: usize> Hash for List<T, N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.length.hash(state);
        self.iter().for_each(|item| item.hash(state));
    }
}

impl<T: fmt::Debug, const N: usize> fmt::Debug for List<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
