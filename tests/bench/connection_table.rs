//! Connections by index. Poll tokens are made of the index, which is reused after a removal.

pub(crate) struct ConnectionTable<T> {
    entries: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> ConnectionTable<T> {
    pub(crate) fn empty() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }

    /// Returns the index.
    pub(crate) fn insert(&mut self, value: T) -> usize {
        let Some(index) = self.free.pop() else {
            self.entries.push(Some(value));
            return self.entries.len() - 1;
        };
        self.entries[index] = Some(value);
        index
    }

    pub(crate) fn at(&mut self, index: usize) -> Option<&mut T> {
        self.entries.get_mut(index)?.as_mut()
    }

    pub(crate) fn remove(&mut self, index: usize) {
        if self.entries.get_mut(index).and_then(Option::take).is_some() {
            self.free.push(index);
        }
    }
}
