//! UTF-8 that arrives in pieces (RFC 6455, section 8.1): refused on the very octet that makes it invalid.

use super::error::ProtocolError;

/// Turns pieces of text, cut anywhere, into whole characters.
///
/// Each piece is validated once, when it arrives. Of a character that is cut by the end of a piece, at most three bytes
/// wait here for the rest.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Utf8Decoder {
    /// The beginning of a character: `cut[..len]` could become valid, and is not yet.
    cut: [u8; 4],
    len: usize,
}

impl Utf8Decoder {
    /// Takes the next piece and hands on the characters that it completes.
    #[inline]
    pub(crate) fn push(&mut self, piece: &[u8], mut text: impl FnMut(&str)) -> Result<(), ProtocolError> {
        let piece = if self.len == 0 { piece } else { self.complete(piece, &mut text)? };
        let (whole, cut) = piece.split_at(piece.len() - cut_at_end(piece));
        let whole = simdutf8::basic::from_utf8(whole).map_err(|_| ProtocolError::TextNotUtf8)?;
        text(whole);
        if cut.is_empty() { Ok(()) } else { self.keep(cut) }
    }

    /// Ends the text: nothing may be waiting for a rest.
    #[inline]
    pub(crate) const fn finish(&self) -> Result<(), ProtocolError> {
        if self.len == 0 { Ok(()) } else { Err(ProtocolError::TextNotUtf8) }
    }

    /// Feeds the character that was cut, octet by octet; returns what is left of the piece.
    #[cold]
    fn complete<'a>(&mut self, mut piece: &'a [u8], text: &mut impl FnMut(&str)) -> Result<&'a [u8], ProtocolError> {
        while let Some((&octet, rest)) = piece.split_first() {
            self.cut[self.len] = octet;
            self.len += 1;
            piece = rest;
            match std::str::from_utf8(&self.cut[..self.len]) {
                Ok(character) => {
                    text(character);
                    self.len = 0;
                    break;
                }
                Err(error) if error.error_len().is_some() => return Err(ProtocolError::TextNotUtf8),
                Err(_) => {}
            }
        }
        Ok(piece)
    }

    /// Keeps the beginning of a character, unless no rest could make it valid.
    fn keep(&mut self, cut: &[u8]) -> Result<(), ProtocolError> {
        match std::str::from_utf8(cut) {
            Err(error) if error.error_len().is_none() => {}
            _ => return Err(ProtocolError::TextNotUtf8),
        }
        self.cut[..cut.len()].copy_from_slice(cut);
        self.len = cut.len();
        Ok(())
    }
}

/// The verdict alone, for text that nobody gathers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TextCheck(Utf8Decoder);

impl TextCheck {
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), ProtocolError> {
        self.0.push(piece, |_| ())
    }

    pub(crate) const fn finish(&self) -> Result<(), ProtocolError> {
        self.0.finish()
    }
}

/// How many bytes at the end of `piece` begin a character that the piece does not finish: 0 to 3.
#[inline]
fn cut_at_end(piece: &[u8]) -> usize {
    for (back, &octet) in piece.iter().rev().take(3).enumerate() {
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
        let mut decoder = Utf8Decoder::default();
        let mut text = String::new();
        for (index, piece) in bytes.chunks(size).enumerate() {
            decoder.push(piece, |whole| text.push_str(whole)).map_err(|_| index * size + piece.len())?;
        }
        decoder.finish().map_err(|_| bytes.len() + 1)?;
        Ok(text)
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
        for first in 0..=255 {
            for second in 0..=255 {
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
