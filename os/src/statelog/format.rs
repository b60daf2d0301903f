//! The bytes of the state log. A newer manager reads an older log: what it does not know it leaves alone.
use crate::sys::crc32c::crc32c;
use crate::sys::shared_map::SharedMap;
use rustix::io::Errno;
use std::ops::Range;

/// Where extents begin.
pub(super) const HEADER: usize = 4096;
/// Longest in-flight marker.
pub(super) const MARKER_MAX: usize = 200;

const MAGIC: [u8; 16] = *b"runstead state\x01\0";
const SLOTS: [usize; 2] = [64, 128];
const MARKER: usize = 256;
/// Checksum, key length, kind.
const FIXED: usize = 8;

/// Where the records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub sequence: u32,
    pub offset: usize,
    pub size: usize,
}

impl Extent {
    pub fn end(self) -> usize {
        self.offset + self.size
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Put,
    Remove,
}

pub(super) fn write_magic(map: &mut SharedMap) -> Result<(), Errno> {
    map.write(0, &MAGIC)
}

/// Name the extent in the slot that the one before does not use.
pub(super) fn write_slot(map: &mut SharedMap, extent: Extent) -> Result<(), Errno> {
    let at = SLOTS[(extent.sequence % 2) as usize];
    // Not valid while it is written.
    map.publish(at, 0)?;
    let mut bytes = [0u8; 24];
    bytes[..8].copy_from_slice(&(extent.offset as u64).to_le_bytes());
    bytes[8..16].copy_from_slice(&(extent.size as u64).to_le_bytes());
    bytes[16..20].copy_from_slice(&extent.sequence.to_le_bytes());
    let sum = crc32c(0, &bytes[..20]);
    bytes[20..].copy_from_slice(&sum.to_le_bytes());
    map.write(at + 8, &bytes)?;
    map.publish(at, extent.sequence)
}

pub(super) fn read_extent(bytes: &[u8]) -> Option<Extent> {
    if bytes.get(..16)? != MAGIC {
        return None;
    }
    SLOTS.iter().filter_map(|&at| read_slot(bytes, at)).max_by_key(|extent| extent.sequence)
}

fn read_slot(bytes: &[u8], at: usize) -> Option<Extent> {
    let slot = bytes.get(at + 8..at + 32)?;
    let sequence = word(slot, 16)?;
    if sequence == 0 || word(bytes, at)? != sequence || crc32c(0, &slot[..20]) != word(slot, 20)? {
        return None;
    }
    let long = |at: usize| Some(u64::from_le_bytes(slot.get(at..at + 8)?.try_into().ok()?));
    let extent =
        Extent { sequence, offset: usize::try_from(long(0)?).ok()?, size: usize::try_from(long(8)?).ok()? };
    let fits = extent.offset >= HEADER
        && extent.offset.is_multiple_of(8)
        && extent.size >= 8
        && extent.offset.checked_add(extent.size).is_some_and(|end| end <= bytes.len());
    fits.then_some(extent)
}

/// Text of at most [`MARKER_MAX`] bytes; an empty one is none.
pub(super) fn write_marker(map: &mut SharedMap, text: &[u8]) -> Result<(), Errno> {
    map.publish(MARKER, 0)?;
    if text.is_empty() {
        return Ok(());
    }
    map.write(MARKER + 8, text)?;
    map.write(MARKER + 4, &crc32c(0, text).to_le_bytes())?;
    map.publish(MARKER, u32::try_from(text.len()).map_err(|_| Errno::INVAL)?)
}

pub(super) fn read_marker(bytes: &[u8]) -> Option<String> {
    let len = word(bytes, MARKER)? as usize;
    let text = bytes.get(MARKER + 8..MARKER + 8 + len).filter(|_| (1..=MARKER_MAX).contains(&len))?;
    (crc32c(0, text) == word(bytes, MARKER + 4)?).then(|| String::from_utf8_lossy(text).into_owned())
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Bytes that a record takes.
pub(super) fn room(key: usize, value: usize) -> usize {
    (4 + FIXED + key + value).next_multiple_of(8)
}

/// A record to be written.
#[derive(Debug)]
pub(super) struct Record<'a> {
    kind: Kind,
    key: &'a str,
    key_len: u16,
    value: &'a [u8],
    len: u32,
}

impl<'a> Record<'a> {
    pub fn checked(kind: Kind, key: &'a str, value: &'a [u8]) -> Result<Record<'a>, Errno> {
        let key_len = u16::try_from(key.len()).map_err(|_| Errno::NAMETOOLONG)?;
        let len = u32::try_from(FIXED + key.len() + value.len()).map_err(|_| Errno::FBIG)?;
        Ok(Record { kind, key, key_len, value, len })
    }

    pub fn room(&self) -> usize {
        room(self.key.len(), self.value.len())
    }

    /// Where the value lies when the record is at `at`.
    pub fn value_range(&self, at: usize) -> Range<usize> {
        let start = at + 4 + FIXED + self.key.len();
        start..start + self.value.len()
    }

    /// Write it, the zero behind it, and last its length; where the next one goes.
    pub fn write(&self, map: &mut SharedMap, extent: Extent, at: usize) -> Result<usize, Errno> {
        let kind = match self.kind {
            Kind::Put => 1u16,
            Kind::Remove => 2,
        };
        let mut head = [0u8; FIXED];
        head[4..6].copy_from_slice(&self.key_len.to_le_bytes());
        head[6..].copy_from_slice(&kind.to_le_bytes());
        let sum = crc32c(crc32c(crc32c(extent.sequence, &head[4..]), self.key.as_bytes()), self.value);
        head[..4].copy_from_slice(&sum.to_le_bytes());
        let next = at + self.room();
        if next + 8 > extent.end() {
            return Err(Errno::NOSPC);
        }
        map.write(at + 4, &head)?;
        map.write(at + 4 + FIXED, self.key.as_bytes())?;
        map.write(self.value_range(at).start, self.value)?;
        map.publish(next, 0)?;
        map.publish(at, self.len)?;
        Ok(next)
    }
}

/// A record that was read.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub kind: Kind,
    pub key: &'a str,
    pub value: Range<usize>,
    pub end: usize,
}

/// The record at `at`; `None` at the end, and where something was not finished.
pub(super) fn read_record(bytes: &[u8], extent: Extent, at: usize) -> Option<Found<'_>> {
    let len = word(bytes, at)? as usize;
    let start = at + 4;
    let end = start.checked_add(len)?;
    if len < FIXED || end + 8 > extent.end() {
        return None;
    }
    let body = bytes.get(start..end)?;
    if crc32c(extent.sequence, &body[4..]) != word(body, 0)? {
        return None;
    }
    let key_len = usize::from(u16::from_le_bytes(body[4..6].try_into().ok()?));
    let kind = match u16::from_le_bytes(body[6..8].try_into().ok()?) {
        1 => Kind::Put,
        2 => Kind::Remove,
        _ => return None,
    };
    let key = std::str::from_utf8(body.get(FIXED..FIXED + key_len)?).ok()?;
    Some(Found { kind, key, value: start + FIXED + key_len..end, end: end.next_multiple_of(8) })
}
