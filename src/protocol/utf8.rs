//! UTF-8 (RFC 6455, section 8.1): text that arrives in chunks, refused on the very octet that makes it invalid.

/// Text that is not UTF-8.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NotUtf8;

/// Follows text that comes in chunks, cut anywhere.
///
/// Each chunk is validated once, when it comes. Of a character that the end of a chunk has cut, at most three octets wait here for
/// the rest.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Utf8Validator {
    /// The beginning of a character: `cut[..len]` could become valid, and is not yet.
    cut: [u8; 4],
    len: u8,
}

impl Utf8Validator {
    pub(crate) const fn new() -> Self {
        Self { cut: [0; 4], len: 0 }
    }

    /// Takes the next chunk.
    #[inline]
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<(), NotUtf8> {
        if self.len == 0 && chunk.is_ascii() { Ok(()) } else { self.push_any(chunk) }
    }

    /// How many octets at the end of what has come begin a character that is not finished: 0 to 3.
    #[inline]
    pub(crate) const fn incomplete(&self) -> usize {
        self.len as usize
    }

    /// Ends the text, which must not be inside a character.
    #[inline]
    pub(crate) const fn finish(&self) -> Result<(), NotUtf8> {
        if self.len == 0 { Ok(()) } else { Err(NotUtf8) }
    }

    fn push_any(&mut self, chunk: &[u8]) -> Result<(), NotUtf8> {
        let chunk = if self.len == 0 { chunk } else { self.complete(chunk)? };
        let (whole, cut) = chunk.split_at(chunk.len() - cut_at_end(chunk));
        from_utf8(whole)?;
        if cut.is_empty() { Ok(()) } else { self.keep(cut) }
    }

    /// Feeds the character that was cut, octet by octet; returns what is left of the chunk.
    #[cold]
    fn complete<'a>(&mut self, mut chunk: &'a [u8]) -> Result<&'a [u8], NotUtf8> {
        while let Some((&octet, rest)) = chunk.split_first() {
            self.cut[usize::from(self.len)] = octet;
            self.len += 1;
            chunk = rest;
            match std::str::from_utf8(&self.cut[..usize::from(self.len)]) {
                Ok(_) => {
                    self.len = 0;
                    break;
                }
                Err(error) if error.error_len().is_some() => return Err(NotUtf8),
                Err(_) => {}
            }
        }
        Ok(chunk)
    }

    /// Keeps the beginning of a character, unless no rest could make it valid.
    fn keep(&mut self, cut: &[u8]) -> Result<(), NotUtf8> {
        match std::str::from_utf8(cut) {
            Err(error) if error.error_len().is_none() => {}
            _ => return Err(NotUtf8),
        }
        self.cut[..cut.len()].copy_from_slice(cut);
        self.len = cut.len() as u8;
        Ok(())
    }
}

/// The text that these bytes are. Whole blocks of 64 bytes are fastest by far, see
/// [`Window::behind_padded`](crate::buffer::Window::behind_padded).
#[inline]
pub(crate) fn from_utf8(bytes: &[u8]) -> Result<&str, NotUtf8> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| NotUtf8)
}

/// How many bytes at the end of `chunk` begin a character that the chunk does not finish: 0 to 3.
#[inline]
fn cut_at_end(chunk: &[u8]) -> usize {
    for (back, &octet) in chunk.iter().rev().take(3).enumerate() {
        let length = match octet {
            0x00..=0x7F => return 0,
            0x80..=0xBF => continue,
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xFF => 4,
        };
        let have = back + 1;
        return if have < length { have } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` in pieces of `size`; the text, or how many octets were needed to see that it is none.
    fn decode(bytes: &[u8], size: usize) -> Result<String, usize> {
        let mut validator = Utf8Validator::default();
        let mut whole = 0;
        for (index, chunk) in bytes.chunks(size).enumerate() {
            validator.push(chunk).map_err(|_| index * size + chunk.len())?;
            let end = index * size + chunk.len() - validator.incomplete();
            assert!(std::str::from_utf8(&bytes[whole..end]).is_ok(), "whole characters");
            whole = end;
        }
        validator.finish().map_err(|_| bytes.len() + 1)?;
        Ok(std::str::from_utf8(bytes).unwrap().to_owned())
    }

    #[test]
    fn text_survives_being_cut_anywhere() {
        let text = "\u{3ba}\u{1f79}\u{3c3}\u{3bc}\u{3b5} \u{10ffff}\u{0}a\u{7ff}\u{800}\u{ffff}\u{1f600}";
        for size in 1..=text.len() {
            assert_eq!(decode(text.as_bytes(), size).as_deref(), Ok(text));
        }
    }

    #[test]
    fn bad_text_is_refused_on_the_octet_that_makes_it_bad() {
        // (text, the octet, counted from 1, after which no continuation can make it valid)
        let cases: &[(&[u8], usize)] = &[
            (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", 13),
            (b"\xc0\x80", 1),
            (b"\xc1\xbf", 1),
            (b"\x80", 1),
            (b"a\xff", 2),
            (b"\xe0\x80\x80", 2),
            (b"\xed\xa0\x80", 2),
            (b"\xf0\x80\x80\x80", 2),
            (b"\xf0\x28\x8c\x28", 2),
            (b"\xf4\x90\x80\x80", 2),
            (b"\xf5\x80\x80\x80", 1),
            (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited", 13),
            (b"\xe2\x82", 3),
            (b"\xf0\x9f\x98", 4),
        ];
        for (bytes, octet) in cases {
            assert_eq!(decode(bytes, 1), Err(*octet), "{bytes:02x?}");
            for size in 2..=bytes.len() {
                assert!(decode(bytes, size).is_err(), "{bytes:02x?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn every_pair_of_octets_is_judged_as_by_the_standard_library() {
        // Miri takes minutes for all.
        let step = if cfg!(miri) { 51 } else { 1 };
        for first in 0..=255 {
            for second in (0..=255).step_by(step) {
                let bytes = [first, second];
                let expected = std::str::from_utf8(&bytes).ok().map(str::to_owned);
                assert_eq!(decode(&bytes, 1).ok(), expected, "{bytes:02x?}");
                assert_eq!(decode(&bytes, 2).ok(), expected, "{bytes:02x?}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_cut_of_any_bytes_gives_the_verdict_of_the_standard_library(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
            text in ".{0,12}",
            size in 1usize..9,
        ) {
            let mixed = [text.as_bytes(), &bytes].concat();
            let expected = std::str::from_utf8(&mixed).ok().map(str::to_owned);
            proptest::prop_assert_eq!(decode(&mixed, size).ok(), expected);
        }
    }
}
