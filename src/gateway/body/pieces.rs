//! Bytes of a body that are kept, in as few pieces as they need.
//!
//! A piece costs a handle of 32 bytes and keeps the whole buffer it was cut from, so a body in
//! pieces of one byte would hold far more than its bytes: small pieces are copied together.

use std::collections::VecDeque;
use std::collections::vec_deque;

use bytes::{Bytes, BytesMut};

/// A piece of this size stays as it is: the buffer it was cut from is not much larger.
const WHOLE_BYTES_MIN: usize = 8 * 1024;

/// The first block that small pieces are copied to; each further one is as large as what is kept.
const BLOCK_BYTES_MIN: usize = 512;

/// The largest block.
const BLOCK_BYTES_MAX: usize = 16 * 1024;

/// Pieces in the order they came.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Pieces {
    sealed: VecDeque<Bytes>,
    /// Where small pieces are copied to; behind all sealed ones.
    block: BytesMut,
    bytes: usize,
}

/// How far a reader is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::gateway) struct Place {
    piece: usize,
    offset: usize,
}

impl Pieces {
    /// Bytes of all pieces.
    pub(in crate::gateway) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What it takes to keep `data` by [`merge`](Self::merge), in bytes of memory.
    pub(super) fn cost(&self, data: &Bytes) -> usize {
        match data.len() {
            large @ WHOLE_BYTES_MIN.. => large,
            small if small <= self.block.capacity() - self.block.len() => 0,
            small => self.block_bytes(small),
        }
    }

    /// Keeps `data`; the first piece stays as it is, because most bodies have no second one.
    pub(super) fn push(&mut self, data: Bytes) {
        if self.bytes == 0 { self.append(data) } else { self.merge(data) }
    }

    /// Keeps `data`, copied if it is small.
    pub(super) fn merge(&mut self, data: Bytes) {
        if data.len() >= WHOLE_BYTES_MIN {
            return self.append(data);
        }
        if self.block.capacity() - self.block.len() < data.len() {
            let block = BytesMut::with_capacity(self.block_bytes(data.len()));
            self.seal();
            self.block = block;
        }
        self.bytes += data.len();
        self.block.extend_from_slice(&data);
    }

    /// Keeps `data` as it is.
    pub(super) fn append(&mut self, data: Bytes) {
        self.seal();
        self.bytes += data.len();
        if !data.is_empty() {
            self.sealed.push_back(data);
        }
    }

    /// Nothing is added to what is here: it can be read without being copied.
    pub(super) fn seal(&mut self) {
        let block = std::mem::take(&mut self.block);
        if !block.is_empty() {
            self.sealed.push_back(block.freeze());
        }
    }

    fn block_bytes(&self, least: usize) -> usize {
        self.bytes.clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX).max(least)
    }

    /// The bytes at `place`, which moves behind them; `None` at the end of what is here.
    pub(super) fn read(&self, place: &mut Place) -> Option<Bytes> {
        while let Some(piece) = self.sealed.get(place.piece) {
            let rest = piece.slice(place.offset..);
            *place = Place { piece: place.piece + 1, offset: 0 };
            if !rest.is_empty() {
                return Some(rest);
            }
        }
        let rest = self.block.get(place.offset..).filter(|rest| !rest.is_empty())?;
        place.offset = self.block.len();
        Some(Bytes::copy_from_slice(rest))
    }

    /// Forgets the pieces before `place`; how many bytes they were.
    pub(super) fn forget_before(&mut self, place: &mut Place) -> usize {
        self.seal();
        let read_whole = |piece: &Bytes| 0 < place.offset && piece.len() <= place.offset;
        if self.sealed.get(place.piece).is_some_and(read_whole) {
            *place = Place { piece: place.piece + 1, offset: 0 };
        }
        let passed = place.piece.min(self.sealed.len());
        place.piece -= passed;
        let forgotten = self.sealed.drain(..passed).map(|piece| piece.len()).sum();
        self.bytes -= forgotten;
        forgotten
    }

    /// All of it as one piece.
    pub(super) fn joined(&self) -> Bytes {
        if let (1, true, Some(only)) =
            (self.sealed.len(), self.block.is_empty(), self.sealed.front())
        {
            return only.clone();
        }
        let mut joined = BytesMut::with_capacity(self.bytes);
        self.sealed.iter().for_each(|piece| joined.extend_from_slice(piece));
        joined.extend_from_slice(&self.block);
        joined.freeze()
    }
}

impl IntoIterator for Pieces {
    type Item = Bytes;
    type IntoIter = vec_deque::IntoIter<Bytes>;

    fn into_iter(mut self) -> Self::IntoIter {
        self.seal();
        self.sealed.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sizes: &[usize]) -> Pieces {
        let mut pieces = Pieces::default();
        sizes.iter().for_each(|size| pieces.push(Bytes::from(vec![b'x'; *size])));
        pieces
    }

    #[test]
    fn small_pieces_cost_little_more_than_their_bytes() {
        let pieces = of(&[1; 100_000]);
        assert!(pieces.sealed.len() < 20, "{} pieces", pieces.sealed.len());
        let held: usize = pieces.sealed.iter().map(Bytes::len).sum();
        assert!(held + pieces.block.capacity() < 100_000 + BLOCK_BYTES_MAX + 2048);
        assert_eq!((pieces.bytes(), pieces.joined().len()), (100_000, 100_000));
    }

    #[test]
    fn a_body_in_one_piece_or_in_large_ones_is_not_copied() {
        for sizes in [&[3][..], &[9000, 70_000, 9000]] {
            let pieces = of(sizes);
            assert_eq!((pieces.sealed.len(), pieces.block.capacity()), (sizes.len(), 0));
        }
    }

    #[test]
    fn a_reader_gets_every_byte_once_while_more_comes() {
        for sizes in [&[1, 1, 1][..], &[9000, 1, 9000, 1, 1], &[600, 600, 600, 1], &[0, 1, 0]] {
            let (mut pieces, mut place, mut read) = (Pieces::default(), Place::default(), 0);
            for size in sizes {
                pieces.push(Bytes::from(vec![b'x'; *size]));
                while let Some(bytes) = pieces.read(&mut place) {
                    read += bytes.len();
                }
            }
            pieces.seal();
            assert_eq!(pieces.read(&mut place), None, "{sizes:?}");
            assert_eq!(read, sizes.iter().sum::<usize>(), "{sizes:?}");
            assert_eq!(pieces.forget_before(&mut place), read);
            assert_eq!((pieces.bytes(), place), (0, Place::default()));
        }
    }

    #[test]
    fn a_block_costs_what_it_takes_and_is_filled_before_the_next() {
        let mut pieces = Pieces::default();
        let mut cost = 0;
        for _ in 0..5000 {
            let data = Bytes::from_static(b"abc");
            cost += pieces.cost(&data);
            pieces.merge(data);
        }
        let held: usize = pieces.sealed.iter().map(Bytes::len).sum();
        assert!(cost >= held + pieces.block.len() && cost < 2 * 15_000, "{cost}");
    }
}
