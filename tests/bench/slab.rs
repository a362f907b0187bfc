//! Connections by small numbers, which are reused after a removal.

/// Places for connections.
pub(crate) struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Slab<T> {
    /// No places yet.
    pub(crate) fn empty() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }

    /// Puts `value` into a free place and says which.
    pub(crate) fn insert(&mut self, value: T) -> usize {
        let Some(index) = self.free.pop() else {
            self.places.push(Some(value));
            return self.places.len() - 1;
        };
        self.places[index] = Some(value);
        index
    }

    /// What is in a place.
    pub(crate) fn at(&mut self, index: usize) -> Option<&mut T> {
        self.places.get_mut(index)?.as_mut()
    }

    /// Empties a place.
    pub(crate) fn remove(&mut self, index: usize) {
        if self.places.get_mut(index).and_then(Option::take).is_some() {
            self.free.push(index);
        }
    }
}
