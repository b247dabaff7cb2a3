//! A decoder for bzip2.
//!
//! The decoders that were looked at have a licence of their own, or assertions about their input and no
//! check of a stream's checksum, and the format is small. A stream is a header, blocks, and an end mark. A
//! block is text that went through run lengths, the Burrows-Wheeler transform, move-to-front, and up to six
//! Huffman codes.

use super::DecompressError;

const BLOCK_MAGIC: u64 = 0x3141_5926_5359;
const END_MAGIC: u64 = 0x1772_4538_5090;
/// The number of symbols that one selector counts for.
const GROUP: usize = 50;
/// The longest code in bits.
const MAX_BITS: usize = 20;

type Step<T> = Result<T, DecompressError>;
const BROKEN: DecompressError = DecompressError::Broken;

/// Decompresses one or more streams.
///
/// # Errors
/// For broken bytes, and for more than `most` bytes that come out.
pub(super) fn decompress(bytes: &[u8], most: usize) -> Step<Vec<u8>> {
    let mut bits = Bits::new(bytes);
    let mut out = Vec::new();
    loop {
        stream(&mut bits, &mut out, most)?;
        bits.align();
        if bits.is_at_end() {
            return Ok(out);
        }
    }
}

fn stream(bits: &mut Bits, out: &mut Vec<u8>, most: usize) -> Step<()> {
    if bits.take(24)? != u32::from_be_bytes(*b"\0BZh") {
        return Err(BROKEN);
    }
    let level = bits.take(8)?;
    if !(u32::from(b'1')..=u32::from(b'9')).contains(&level) {
        return Err(BROKEN);
    }
    let block_size = (level - u32::from(b'0')) as usize * 100_000;
    let mut sum = 0_u32;
    loop {
        let magic = u64::from(bits.take(24)?) << 24 | u64::from(bits.take(24)?);
        let expected = bits.take32()?;
        match magic {
            BLOCK_MAGIC => {
                let crc = block(bits, block_size, out, most)?;
                if crc != expected {
                    return Err(BROKEN);
                }
                sum = sum.rotate_left(1) ^ crc;
            }
            END_MAGIC if sum == expected => return Ok(()),
            _ => return Err(BROKEN),
        }
    }
}

/// Decodes one block at the end of `out`. Returns its checksum.
fn block(bits: &mut Bits, block_size: usize, out: &mut Vec<u8>, most: usize) -> Step<u32> {
    // A bit for an obsolete form of blocks, which no encoder writes any more.
    if bits.bit()? {
        return Err(BROKEN);
    }
    let origin = bits.take(24)? as usize;
    let used = used_bytes(bits)?;
    let (codes, selectors) = codes(bits, used.len() + 2)?;
    let mut text = symbols(bits, used, &codes, &selectors, block_size)?;
    if origin >= text.len() {
        return Err(BROKEN);
    }
    let start = inverse_transform(&mut text, origin);
    let from = out.len();
    expand(&text, start, out, most)?;
    Ok(crc(&out[from..]))
}

/// The bytes that occur in the block.
fn used_bytes(bits: &mut Bits) -> Step<Vec<u8>> {
    let ranges = bits.take(16)?;
    let mut used = Vec::new();
    for range in (0..16_u8).filter(|range| ranges >> (15 - range) & 1 == 1) {
        let bytes = bits.take(16)?;
        let in_range = (0..16_u8).filter(|byte| bytes >> (15 - byte) & 1 == 1);
        used.extend(in_range.map(|byte| range * 16 + byte));
    }
    if used.is_empty() {
        Err(BROKEN)
    } else {
        Ok(used)
    }
}

/// The Huffman codes, and the code of each group of [`GROUP`] symbols.
fn codes(bits: &mut Bits, symbols: usize) -> Step<(Vec<Code>, Vec<u8>)> {
    let count = bits.take(3)? as u8;
    let selector_count = bits.take(15)?;
    if !(2..=6).contains(&count) || selector_count == 0 {
        return Err(BROKEN);
    }
    let mut order: Vec<u8> = (0..count).collect();
    let mut selectors = Vec::new();
    for _ in 0..selector_count {
        let mut place = 0;
        while bits.bit()? {
            place += 1;
            if place >= order.len() {
                return Err(BROKEN);
            }
        }
        order[..=place].rotate_right(1);
        selectors.push(order[0]);
    }
    let mut codes = Vec::new();
    for _ in 0..count {
        codes.push(Code::new(&lengths(bits, symbols)?));
    }
    Ok((codes, selectors))
}

/// The lengths of a code, each as its difference from the length before.
fn lengths(bits: &mut Bits, symbols: usize) -> Step<Vec<usize>> {
    let mut length = bits.take(5)? as usize;
    let mut lengths = Vec::with_capacity(symbols);
    for _ in 0..symbols {
        loop {
            if !(1..=MAX_BITS).contains(&length) {
                return Err(BROKEN);
            }
            if !bits.bit()? {
                break;
            }
            length = if bits.bit()? { length - 1 } else { length + 1 };
        }
        lengths.push(length);
    }
    Ok(lengths)
}

/// A canonical Huffman code.
struct Code {
    /// The number of codes of each length.
    counts: [u32; MAX_BITS + 1],
    /// The symbols in the order of their codes.
    symbols: Vec<u16>,
}

impl Code {
    fn new(lengths: &[usize]) -> Code {
        let mut counts = [0; MAX_BITS + 1];
        for &length in lengths {
            counts[length] += 1;
        }
        let mut symbols: Vec<u16> = (0..).take(lengths.len()).collect();
        symbols.sort_by_key(|symbol| lengths[usize::from(*symbol)]);
        Code { counts, symbols }
    }

    fn next(&self, bits: &mut Bits) -> Step<u16> {
        let (mut code, mut first, mut before) = (0_u32, 0_u32, 0_u32);
        for &count in &self.counts[1..] {
            code = code << 1 | u32::from(bits.bit()?);
            // An over-subscribed code can have fewer codes left than `first` says.
            if let Some(nth) = code.checked_sub(first)
                && nth < count
            {
                let symbol = self.symbols.get((before + nth) as usize);
                return symbol.copied().ok_or(BROKEN);
            }
            before += count;
            first = (first + count) << 1;
        }
        Err(BROKEN)
    }
}

/// The text of a block before the transform is undone, each byte in a word of its own.
fn symbols(
    bits: &mut Bits,
    mut order: Vec<u8>,
    codes: &[Code],
    selectors: &[u8],
    block_size: usize,
) -> Step<Vec<u32>> {
    let end = order.len() + 1;
    let mut text = Vec::new();
    // A run's length is a number whose digits are 1 and 2, the lowest first.
    let (mut run, mut digit) = (0_usize, 1_usize);
    for selector in selectors {
        let code = codes.get(usize::from(*selector)).ok_or(BROKEN)?;
        for _ in 0..GROUP {
            let symbol = usize::from(code.next(bits)?);
            if symbol < 2 {
                run += digit << symbol;
                digit <<= 1;
                if run > block_size {
                    return Err(BROKEN);
                }
                continue;
            }
            if text.len() + run > block_size {
                return Err(BROKEN);
            }
            text.resize(text.len() + run, u32::from(order[0]));
            (run, digit) = (0, 1);
            if symbol == end {
                return Ok(text);
            }
            if text.len() == block_size {
                return Err(BROKEN);
            }
            order.get_mut(..symbol).ok_or(BROKEN)?.rotate_right(1);
            text.push(u32::from(order[0]));
        }
    }
    Err(BROKEN)
}

/// Undoes the Burrows-Wheeler transform: afterwards the high bits of each word are the index of the next.
/// Returns the index of the first.
fn inverse_transform(text: &mut [u32], origin: usize) -> usize {
    let mut starts = [0_usize; 256];
    for word in &*text {
        starts[(word & 0xFF) as usize] += 1;
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += std::mem::replace(start, sum);
    }
    for at in 0..text.len() {
        let byte = (text[at] & 0xFF) as usize;
        // A block has fewer than 2^24 bytes.
        text[starts[byte]] |= (at as u32) << 8;
        starts[byte] += 1;
    }
    (text[origin] >> 8) as usize
}

/// Undoes the run lengths: after four equal bytes comes the number of further ones.
fn expand(text: &[u32], start: usize, out: &mut Vec<u8>, most: usize) -> Step<()> {
    let (mut at, mut equal, mut last) = (start, 0, None);
    for _ in 0..text.len() {
        let word = text[at];
        at = (word >> 8) as usize;
        let byte = (word & 0xFF) as u8;
        match last {
            Some(repeated) if equal == 4 => {
                out.resize(out.len() + usize::from(byte), repeated);
                (equal, last) = (0, None);
            }
            _ => {
                equal = if last == Some(byte) { equal + 1 } else { 1 };
                last = Some(byte);
                out.push(byte);
            }
        }
        if out.len() > most {
            return Err(DecompressError::TooLarge);
        }
    }
    Ok(())
}

/// bzip2's checksum: CRC-32 with the highest bit first.
fn crc(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut at = 0;
        while at < 256 {
            let mut crc = (at as u32) << 24;
            let mut bit = 0;
            while bit < 8 {
                let carry = crc >> 31;
                crc = (crc << 1) ^ (0x04C1_1DB7 * carry);
                bit += 1;
            }
            table[at] = crc;
            at += 1;
        }
        table
    };
    let step = |crc: u32, byte: &u8| (crc << 8) ^ TABLE[((crc >> 24) as u8 ^ byte) as usize];
    !bytes.iter().fold(!0, step)
}

/// Reads bits, the highest of each byte first.
struct Bits<'b> {
    bytes: std::slice::Iter<'b, u8>,
    /// Bits that were read from `bytes` and not taken: the lowest `count` bits.
    held: u64,
    count: u32,
}

impl<'b> Bits<'b> {
    fn new(bytes: &'b [u8]) -> Bits<'b> {
        let bytes = bytes.iter();
        Bits {
            bytes,
            held: 0,
            count: 0,
        }
    }

    /// The next bits, at most 24.
    fn take(&mut self, count: u32) -> Step<u32> {
        while self.count < count {
            let byte = self.bytes.next().ok_or(BROKEN)?;
            self.held = self.held << 8 | u64::from(*byte);
            self.count += 8;
        }
        self.count -= count;
        Ok((self.held >> self.count & ((1 << count) - 1)) as u32)
    }

    fn take32(&mut self) -> Step<u32> {
        Ok(self.take(16)? << 16 | self.take(16)?)
    }

    fn bit(&mut self) -> Step<bool> {
        Ok(self.take(1)? == 1)
    }

    /// Goes on to the next whole byte.
    fn align(&mut self) {
        self.count -= self.count % 8;
    }

    fn is_at_end(&self) -> bool {
        self.count == 0 && self.bytes.len() == 0
    }
}
