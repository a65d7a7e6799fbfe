//! What stands in for `deflate` where the crate is built without it: types that no value can have, so that the halves
//! need not be written twice and the compiler leaves out what is never done.

#![allow(clippy::needless_pass_by_ref_mut, reason = "the signatures are those of deflate")]

use super::buffer::ByteBuffer;
use super::outbound::Compression;
use super::{Fin, FrameHeader, Opcode, ProtocolError, Room, Rsv};

#[derive(Debug)]
pub(super) enum Inflater {}

impl Inflater {
    pub(super) const fn is_inflating(&self) -> bool {
        match *self {}
    }

    pub(super) const fn begin(&mut self, _: &FrameHeader) -> Result<Rsv, ProtocolError> {
        match *self {}
    }

    pub(super) const fn inflate(&mut self, _: &[u8], _: &mut ByteBuffer, _: &mut Room) -> Result<(), ProtocolError> {
        match *self {}
    }

    pub(super) const fn finish(&mut self, _: &mut ByteBuffer, _: &mut Room) -> Result<(), ProtocolError> {
        match *self {}
    }

    pub(super) const fn memory(&self) -> usize {
        match *self {}
    }
}

#[derive(Debug)]
pub(super) enum Deflater {}

impl Deflater {
    pub(super) const fn would_deflate(&self, _: Opcode, _: Fin, _: u64, _: Compression) -> bool {
        match *self {}
    }

    pub(super) const fn begin(&mut self, _: bool) {
        match *self {}
    }

    pub(super) const fn deflate(&mut self, _: Fin, _: &[u8]) -> &[u8] {
        match *self {}
    }

    pub(super) const fn is_deflating(&self) -> bool {
        match *self {}
    }

    pub(super) const fn retract(&mut self, _: bool) {
        match *self {}
    }

    pub(super) const fn memory(&self) -> usize {
        match *self {}
    }
}
