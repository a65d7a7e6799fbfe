//! A dialogue with a server: connects, shows what comes, sends what is put in, and closes in order.

use std::thread;

use websocket_sync::WebSocketApp;

use crate::arguments::Arguments;
use crate::connect::{self, Destination};
use crate::console::Console;
use crate::events::{Events, Keepalive, Problem, show_opened};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input::{Eof, Input, Loss, Source, Speaker};
use crate::pings::Pings;
use crate::record::Recorder;
use crate::signals;

/// Talks to a server until one of the two has had enough.
///
/// # Errors
///
/// Whatever it ends with that is no close in order.
pub(crate) fn talk(arguments: &Arguments, console: &Console) -> Result<Exit, Failure> {
    let Destination { url, options, cookie_jar } = Destination::new(arguments)?;
    let recorder = arguments.record.as_deref().map(Recorder::new).transpose()?;
    let problem = Problem::default();
    let (shown, unshown, verbose) = (console.clone(), problem.clone(), arguments.verbose);
    let mut app = WebSocketApp::new(url).options(options).reconnect(connect::reconnect(arguments)).connect_with(
        move |attempt, options| {
            let ws = options.connect(attempt.url)?;
            show_opened(&shown, &unshown, &ws, verbose)?;
            Ok(ws)
        },
    );
    if let Some(interval) = arguments.ping_interval {
        app = app.ping_interval(interval).ping_timeout(interval);
    }
    let handle = app.handle();
    let closing = handle.clone();
    signals::handle(move || {
        let closing = closing.clone();
        thread::spawn(move || closing.close());
    })?;
    let speaker = Speaker {
        handle,
        console: console.clone(),
        recorder: recorder.clone(),
        problem: problem.clone(),
        loss: if arguments.reconnect.is_some() { Loss::Waits } else { Loss::Fails },
        pings: Pings::default(),
    };
    let input = Input {
        speaker,
        source: Source::new(arguments, console)?,
        text: arguments.text.clone(),
        eof: Eof::new(arguments),
    };
    let keepalive = if arguments.ping_interval.is_some() { Keepalive::Sent } else { Keepalive::None };
    let events = Events::new(console.clone(), recorder, problem.clone(), input, arguments.max_messages, keepalive);
    let ended = app.handler(events).run_forever();
    if let (Some(jar), Some(path)) = (cookie_jar, &arguments.cookie_jar) {
        jar.save_all(path).map_err(|error| Failure::local(path.display(), error))?;
    }
    match (problem.take(), ended) {
        (Some(failure), _) => Err(failure),
        (None, Ok(closed)) => {
            let exit = Exit::of_closed(&closed);
            match exit {
                Exit::Success | Exit::Interrupted => {}
                _ => console.explain(&closed),
            }
            Ok(exit)
        }
        (None, Err(error)) => Err(error.into()),
    }
}
