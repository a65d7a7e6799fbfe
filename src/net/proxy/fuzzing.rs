//! The dialogues with a SOCKS proxy over a stream that is open already, for the fuzz targets.

use super::socks::{
    Socks4Address, Socks5Address, SocksExchange, authenticate, check_v4, check_v5, connect_v4, connect_v5,
};
use crate::authentication::Credentials;
use crate::error::Result;
use crate::net::deadline::Deadline;
use crate::net::stream::Stream;
use crate::net::transport::Transport;
use crate::net::wait_mode::{WaitMode, block_on};

const PORT: u16 = 80;

pub(crate) fn version_4(stream: Box<dyn Transport>, host: &str, credentials: Option<&Credentials>) -> Result<()> {
    check_v4(host, credentials)?;
    let stream = Stream::from(stream);
    block_on(connect_v4(exchange(&stream), Socks4Address::by_name(host, PORT), credentials))
}

pub(crate) fn version_5(stream: Box<dyn Transport>, host: &str, credentials: Option<&Credentials>) -> Result<()> {
    check_v5(host, credentials)?;
    let stream = Stream::from(stream);
    block_on(async {
        authenticate(exchange(&stream), credentials).await?;
        connect_v5(exchange(&stream), Socks5Address::by_name(host, PORT)).await
    })
}

fn exchange(stream: &Stream) -> SocksExchange<'_> {
    SocksExchange { mode: &WaitMode::Blocking, stream, deadline: Deadline::NEVER }
}
