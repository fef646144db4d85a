//! The program config element of AAC (ISO/IEC 14496-3 §4.4.1.1): which channels there are, when no number says it.
//!
//! Does not belong here: what stands around it (`aac`, `adts`).

use h264_reader::rbsp::{BitRead, BitReader, BitReaderError};

/// The id of the element in a raw data block, in three bits.
const ID: u8 = 5;

/// The channels of the element that begins here. Reads to its end.
pub(super) fn channels(bits: &mut BitReader<&[u8]>) -> Result<u8, BitReaderError> {
    let mut copy = Copier::new(bits);
    copy.element()
}

/// The element that a raw data block begins with, aligned anew to begin with a byte.
pub(super) fn at_start_of(block: &[u8]) -> Option<Vec<u8>> {
    let mut bits = BitReader::new(block);
    if bits.read::<3, u8>("element id").ok()? != ID {
        return None;
    }
    let mut copy = Copier::new(&mut bits);
    copy.element().ok()?;
    Some(copy.out)
}

/// Reads an element and writes what it reads.
struct Copier<'a, 'b> {
    bits: &'a mut BitReader<&'b [u8]>,
    out: Vec<u8>,
    /// Bits that were read so far.
    len: usize,
}

impl<'a, 'b> Copier<'a, 'b> {
    fn new(bits: &'a mut BitReader<&'b [u8]>) -> Self {
        Self {
            bits,
            out: Vec::new(),
            len: 0,
        }
    }

    fn bit(&mut self) -> Result<bool, BitReaderError> {
        let bit = self.bits.read_bit("program config element")?;
        if self.len.is_multiple_of(8) {
            self.out.push(0);
        }
        if let Some(last) = self.out.last_mut() {
            *last |= u8::from(bit) << (7 - self.len % 8);
        }
        self.len += 1;
        Ok(bit)
    }

    /// At most 8 bits.
    fn number(&mut self, bits: u32) -> Result<u8, BitReaderError> {
        let mut number = 0;
        for _ in 0..bits {
            number = number << 1 | u8::from(self.bit()?);
        }
        Ok(number)
    }

    /// Reads the element; its channels.
    fn element(&mut self) -> Result<u8, BitReaderError> {
        self.number(4)?; // instance
        self.number(2)?; // object type
        self.number(4)?; // rate
        let [front, side, back] = [self.number(4)?, self.number(4)?, self.number(4)?];
        let [low, data, coupling] = [self.number(2)?, self.number(3)?, self.number(4)?];
        for bits in [4, 4, 3] {
            // Mono mixdown, stereo mixdown, matrix mixdown.
            if self.bit()? {
                self.number(bits)?;
            }
        }
        let mut channels = low;
        for _ in 0..front + side + back {
            let pair = self.bit()?;
            self.number(4)?;
            channels += if pair { 2 } else { 1 };
        }
        for _ in 0..low + data {
            self.number(4)?;
        }
        for _ in 0..coupling {
            self.number(5)?;
        }
        self.align()?;
        let comment = self.number(8)?;
        for _ in 0..comment {
            self.number(8)?;
        }
        Ok(channels)
    }

    /// Drops the bits up to the reader's next whole byte, and goes on with a new byte of what is written.
    fn align(&mut self) -> Result<(), BitReaderError> {
        while !self.bits.byte_aligned() {
            self.bits.skip(1, "alignment")?;
        }
        self.len = self.out.len() * 8;
        Ok(())
    }
}
