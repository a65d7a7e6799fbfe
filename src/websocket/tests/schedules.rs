//! Programs that are written by hand, each in many schedules: threads that get in each other's way on one connection.

use std::time::Duration;

use super::model::peer::Cuts;
use super::model::program::{Call, HangsUp, Inner, Item, Kind, Last, Leave, Program, Script, Side, Step};
use super::model::record::{Failure, Record};
use super::model::run::Outcome;
use super::run_all;

/// So many schedules of each, unless the variable `SCHEDULES` says another number.
const SCHEDULES: u64 = 10_000;
const MS: Duration = Duration::from_millis(1);
const CLOSE: Duration = Duration::from_millis(30);

/// Runs a program in many schedules; what must hold of every program is judged, and `check` says what must hold of this one.
fn in_many_schedules(program: Program, check: fn(&Outcome) -> Result<(), String>) {
    let schedules =
        std::env::var("SCHEDULES").map_or(SCHEDULES, |number| number.parse().expect("a number of schedules"));
    run_all(1..1 + schedules, move |seed| Program { seed, ..program.clone() }, check);
}

/// A program that calls nothing, with a peer that answers a Close.
fn program() -> Program {
    Program {
        seed: 0,
        side: Side::Client,
        deflate: None,
        capacity: 2000,
        takes_whole_writes: false,
        recv_timeout: None,
        send_timeout: Some(50 * MS),
        close_timeout: CLOSE,
        max_message: 1 << 20,
        max_unsent: 1 << 20,
        fires_fragments: false,
        other_connects: false,
        receiver: Vec::new(),
        leave: Leave::ReceiveAll,
        senders: Vec::new(),
        script: Script {
            steps: Vec::new(),
            last: Last::Answer { after: Duration::ZERO, hangs_up: HangsUp::AtOnce },
            is_attentive: false,
            answers_pings: false,
        },
    }
}

fn find<'a>(records: &'a [Record], what: &str) -> &'a Record {
    records.iter().find(|record| record.what.contains(what)).unwrap_or_else(|| panic!("{what} was not called"))
}

/// Refuses what came of a call.
fn require(holds: bool, record: &Record) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{} is not as it should be: {:?}", record.what, record.result)) }
}

#[test]
fn a_batch_against_a_message_writer_of_another_thread() {
    let batch =
        Call::Cork { messages: vec![(Kind::Text, 20), (Kind::Binary, 9)], flushes: false, inner: Inner::Nothing };
    let writer = Call::Writer {
        kind: Kind::Text,
        lengths: vec![30, 40, 5],
        flushes: true,
        inner: Inner::Nothing,
        finished: true,
    };
    let program = Program {
        send_timeout: None,
        senders: vec![vec![batch.clone(), batch.clone(), batch], vec![writer.clone(), writer]],
        ..program()
    };
    in_many_schedules(program, |outcome| match outcome.senders.iter().find(|record| record.result.is_err()) {
        Some(failed) => Err(format!("{} has failed", failed.what)),
        None => Ok(()),
    });
}

#[test]
fn a_sender_closes_on_the_receiving_thread() {
    let item = Item::Message { kind: Kind::Text, lengths: vec![5], compressed: false, pings: false };
    let step = Step::Send { items: vec![item], cuts: Cuts::NONE, deaf: false };
    let script = Script { steps: vec![step], ..program().script };
    let receiver = vec![Call::Recv, Call::SenderClose, Call::Recv];
    let program = Program { other_connects: true, receiver, senders: vec![vec![Call::Ping(3)]], script, ..program() };
    in_many_schedules(program, |outcome| {
        let close = find(&outcome.receiver, "SenderClose");
        require(close.length().is_zero(), close)?;
        let end = find(&outcome.receiver, "r3 Recv");
        let is_clean = matches!(&end.result, Err(Failure::Closed(info)) if info.is_clean());
        // Where the system holds the peer up, its answer may be too late.
        require(is_clean || end.ended.late > close.began.late, end)
    });
}

#[test]
fn a_close_against_a_send_that_is_stuck() {
    let script = Script { last: Last::Silent { length: 500 * MS, deaf: true }, ..program().script };
    let senders = vec![vec![Call::Send(Kind::Binary, 9000)], vec![Call::Sleep(5 * MS), Call::Close]];
    let program = Program { send_timeout: None, receiver: vec![Call::Recv], senders, script, ..program() };
    in_many_schedules(program, |outcome| {
        let stuck = find(&outcome.senders, "Send(Binary");
        require(matches!(stuck.result, Err(Failure::Closed(_))), stuck)?;
        let limit = 5 * MS + 2 * CLOSE + 20 * MS;
        require(stuck.length() <= limit, stuck)?;
        let receive = find(&outcome.receiver, "r1 Recv");
        require(receive.length() <= limit, receive)
    });
}

#[test]
fn a_close_that_another_thread_sends_ends_a_receive_that_waits() {
    let script = Script { last: Last::Silent { length: 500 * MS, deaf: false }, ..program().script };
    let senders = vec![vec![Call::Sleep(5 * MS), Call::SendClose(4000, "enough")]];
    let program = Program { receiver: vec![Call::Recv], senders, script, ..program() };
    in_many_schedules(program, |outcome| {
        let receive = find(&outcome.receiver, "r1 Recv");
        require(matches!(receive.result, Err(Failure::Closed(_))), receive)?;
        require(receive.ended.time >= CLOSE, receive)?;
        require(receive.length() <= 5 * MS + 2 * CLOSE + 20 * MS, receive)
    });
}

#[test]
fn an_abort_wakes_a_receive_and_a_send() {
    let script = Script { last: Last::Silent { length: 500 * MS, deaf: true }, ..program().script };
    let senders = vec![vec![Call::Send(Kind::Text, 9000)], vec![Call::Sleep(5 * MS), Call::Abort]];
    let program = Program { send_timeout: None, receiver: vec![Call::Recv], senders, script, ..program() };
    in_many_schedules(program, |outcome| {
        for record in [find(&outcome.senders, "Send(Text"), find(&outcome.receiver, "r1 Recv")] {
            require(matches!(record.result, Err(Failure::Closed(_))), record)?;
            require(record.length() <= 5 * MS, record)?;
        }
        Ok(())
    });
}
