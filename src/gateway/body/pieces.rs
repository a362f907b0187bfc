//! A buffer for a body, in as few pieces as possible.
//!
//! A piece is a handle of 32 bytes that keeps the whole buffer it was cut from alive, so a body in
//! pieces of one byte would hold far more memory than its bytes. Small pieces are copied together.

use std::collections::VecDeque;
use std::collections::vec_deque;

use bytes::{Bytes, BytesMut};

/// A piece of this size is not copied: the buffer it was cut from is not much larger.
const UNCOPIED_BYTES_MIN: usize = 8 * 1024;

/// The first block that small pieces are copied to; each further one is as large as all before.
const BLOCK_BYTES_MIN: usize = 512;

const BLOCK_BYTES_MAX: usize = 16 * 1024;

/// Bytes in the order they came.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Pieces {
    sealed: VecDeque<Bytes>,
    /// Small pieces are copied here; it comes after all sealed pieces.
    block: BytesMut,
    bytes: usize,
}

/// The position of a reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::gateway) struct Cursor {
    piece: usize,
    offset: usize,
}

impl Pieces {
    pub(in crate::gateway) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The memory that [`copy`](Self::copy) of `data` takes, in bytes.
    pub(super) fn cost(&self, data: &Bytes) -> usize {
        match data.len() {
            large @ UNCOPIED_BYTES_MIN.. => large,
            small if small <= self.block.capacity() - self.block.len() => 0,
            small => self.block_bytes(small),
        }
    }

    /// Adds `data`. The first piece is not copied, because most bodies have no second one.
    pub(super) fn push(&mut self, data: Bytes) {
        if self.bytes == 0 { self.append(data) } else { self.copy(data) }
    }

    /// Adds `data`, copied if it is small.
    pub(super) fn copy(&mut self, data: Bytes) {
        if data.len() >= UNCOPIED_BYTES_MIN {
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

    /// Adds `data` without copying it.
    pub(super) fn append(&mut self, data: Bytes) {
        self.seal();
        self.bytes += data.len();
        if !data.is_empty() {
            self.sealed.push_back(data);
        }
    }

    /// Closes the block, so that its bytes can be read without being copied.
    pub(super) fn seal(&mut self) {
        let block = std::mem::take(&mut self.block);
        if !block.is_empty() {
            self.sealed.push_back(block.freeze());
        }
    }

    fn block_bytes(&self, least: usize) -> usize {
        self.bytes.clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX).max(least)
    }

    /// The bytes at `cursor`, which moves past them; `None` at the end.
    pub(super) fn read(&self, cursor: &mut Cursor) -> Option<Bytes> {
        while let Some(piece) = self.sealed.get(cursor.piece) {
            let rest = piece.slice(cursor.offset..);
            *cursor = Cursor { piece: cursor.piece + 1, offset: 0 };
            if !rest.is_empty() {
                return Some(rest);
            }
        }
        let rest = self.block.get(cursor.offset..).filter(|rest| !rest.is_empty())?;
        cursor.offset = self.block.len();
        Some(Bytes::copy_from_slice(rest))
    }

    /// Drops the pieces before `cursor` and returns how many bytes they had.
    pub(super) fn drop_before(&mut self, cursor: &mut Cursor) -> usize {
        self.seal();
        let read_whole = |piece: &Bytes| 0 < cursor.offset && piece.len() <= cursor.offset;
        if self.sealed.get(cursor.piece).is_some_and(read_whole) {
            *cursor = Cursor { piece: cursor.piece + 1, offset: 0 };
        }
        let passed = cursor.piece.min(self.sealed.len());
        cursor.piece -= passed;
        let dropped = self.sealed.drain(..passed).map(|piece| piece.len()).sum();
        self.bytes -= dropped;
        dropped
    }

    /// All bytes in one piece.
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
    fn small_pieces_take_little_more_memory_than_their_bytes() {
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
    fn a_reader_gets_every_byte_once_while_more_arrive() {
        for sizes in [&[1, 1, 1][..], &[9000, 1, 9000, 1, 1], &[600, 600, 600, 1], &[0, 1, 0]] {
            let (mut pieces, mut cursor, mut read) = (Pieces::default(), Cursor::default(), 0);
            for size in sizes {
                pieces.push(Bytes::from(vec![b'x'; *size]));
                while let Some(bytes) = pieces.read(&mut cursor) {
                    read += bytes.len();
                }
            }
            pieces.seal();
            assert_eq!(pieces.read(&mut cursor), None, "{sizes:?}");
            assert_eq!(read, sizes.iter().sum::<usize>(), "{sizes:?}");
            assert_eq!(pieces.drop_before(&mut cursor), read);
            assert_eq!((pieces.bytes(), cursor), (0, Cursor::default()));
        }
    }

    #[test]
    fn a_block_is_charged_once_and_filled_before_the_next() {
        let mut pieces = Pieces::default();
        let mut cost = 0;
        for _ in 0..5000 {
            let data = Bytes::from_static(b"abc");
            cost += pieces.cost(&data);
            pieces.copy(data);
        }
        let held: usize = pieces.sealed.iter().map(Bytes::len).sum();
        assert!(cost >= held + pieces.block.len() && cost < 2 * 15_000, "{cost}");
    }
}
