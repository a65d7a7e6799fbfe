use super::*;

const PLAIN: DeflateOptions = DeflateOptions::new();

fn read(value: &str) -> ExtensionOffer {
    ExtensionOffer::parse_list(value).unwrap().remove(0)
}

/// Windows that are not kept, as `s` and `c`, and the bits of both.
type Short = (&'static str, u8, u8);

/// What agreed parameters come to.
fn short(params: DeflateParams) -> Short {
    let takeover = match (params.server_no_context_takeover, params.client_no_context_takeover) {
        (false, false) => "",
        (true, false) => "s",
        (false, true) => "c",
        (true, true) => "sc",
    };
    (takeover, params.server_max_window_bits, params.client_max_window_bits)
}

#[test]
fn an_offer_says_what_was_asked_for() {
    let cases = [
        (PLAIN, "client_max_window_bits"),
        (PLAIN.without_client_max_window_bits(), ""),
        (PLAIN.client_max_window_bits(9), "client_max_window_bits=9"),
        (
            PLAIN.server_no_context_takeover().client_no_context_takeover().server_max_window_bits(10),
            "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; \
             client_max_window_bits",
        ),
    ];
    for (options, expected) in cases {
        assert_eq!(offer_parameters(&options), expected);
    }
}

#[test]
fn a_client_judges_the_answer_by_the_table_of_rfc_7692() {
    let silent = PLAIN.without_client_max_window_bits();
    let cases: &[(DeflateOptions, &str, Option<Short>)] = &[
        (PLAIN, "", Some(("", 15, 15))),
        (PLAIN, "; server_no_context_takeover", Some(("s", 15, 15))),
        (PLAIN.server_no_context_takeover(), "; server_no_context_takeover", Some(("s", 15, 15))),
        (PLAIN.server_no_context_takeover(), "", None),
        (PLAIN, "; client_no_context_takeover", Some(("c", 15, 15))),
        (PLAIN.client_no_context_takeover(), "", Some(("c", 15, 15))),
        (PLAIN, "; server_max_window_bits=8", Some(("", 8, 15))),
        (PLAIN, "; server_max_window_bits=\"15\"", Some(("", 15, 15))),
        (PLAIN.server_max_window_bits(10), "; server_max_window_bits=10", Some(("", 10, 15))),
        (PLAIN.server_max_window_bits(10), "; server_max_window_bits=9", Some(("", 9, 15))),
        (PLAIN.server_max_window_bits(10), "; server_max_window_bits=11", None),
        (PLAIN.server_max_window_bits(10), "", None),
        (silent, "", Some(("", 15, 15))),
        (silent, "; client_max_window_bits=15", None),
        (PLAIN, "; client_max_window_bits=9", Some(("", 15, 9))),
        (PLAIN, "; client_max_window_bits=8", Some(("", 15, 8))),
        (PLAIN.client_max_window_bits(12), "", Some(("", 15, 12))),
        (PLAIN.client_max_window_bits(12), "; client_max_window_bits=11", Some(("", 15, 11))),
        (PLAIN.client_max_window_bits(12), "; client_max_window_bits=12", Some(("", 15, 12))),
        (PLAIN.client_max_window_bits(12), "; client_max_window_bits=13", None),
        (PLAIN, "; client_max_window_bits", None),
    ];
    for (options, answer, expected) in cases {
        let judged = finalize_parameters(options, &read(&format!("permessage-deflate{answer}")));
        assert_eq!(judged.ok().map(short), *expected, "{answer}");
    }
}

const WRONG: [&str; 14] = [
    "foo",
    "foo=1",
    "server_no_context_takeover=1",
    "client_no_context_takeover=true",
    "server_max_window_bits",
    "server_max_window_bits=7",
    "server_max_window_bits=16",
    "server_max_window_bits=010",
    "server_max_window_bits=+9",
    "client_max_window_bits=0x9",
    "client_max_window_bits=270",
    "client_max_window_bits=9; client_max_window_bits=9",
    "server_no_context_takeover; server_no_context_takeover",
    "Server_no_context_takeover",
];

#[test]
fn what_is_unknown_repeated_or_ill_valued_is_refused_by_clients_and_declined_by_servers() {
    for wrong in WRONG {
        let extension = read(&format!("permessage-deflate; {wrong}"));
        assert!(finalize_parameters(&PLAIN, &extension).is_err(), "{wrong}");
        assert!(accept_parameters(&PLAIN, &extension).is_none(), "{wrong}");
    }
    for (wrong, problem) in [
        ("server_max_window_bits", "window bits lack a value"),
        ("client_no_context_takeover=1", "a parameter has a value that takes none"),
        ("foo", "a parameter is unknown"),
    ] {
        let refused = finalize_parameters(&PLAIN, &read(&format!("permessage-deflate; {wrong}")));
        assert!(format!("{refused:?}").contains(problem), "{refused:?}");
    }
}

#[test]
fn a_server_answers_an_offer_as_the_rfc_allows() {
    let all = "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; \
               client_max_window_bits=11";
    let strict = PLAIN
        .server_no_context_takeover()
        .client_no_context_takeover()
        .server_max_window_bits(10)
        .client_max_window_bits(9);
    let cases: &[(DeflateOptions, &str, &str, Short)] = &[
        (PLAIN, "", "", ("", 15, 15)),
        (PLAIN, "; client_max_window_bits", "", ("", 15, 15)),
        (PLAIN, "; client_max_window_bits=\"9\"", "", ("", 15, 9)),
        (PLAIN, "; server_max_window_bits=15", "server_max_window_bits=15", ("", 15, 15)),
        (PLAIN, "; server_max_window_bits=8", "server_max_window_bits=8", ("", 8, 15)),
        (
            PLAIN,
            all,
            "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12",
            ("sc", 12, 11),
        ),
        (
            strict,
            "",
            "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10",
            ("sc", 10, 15),
        ),
        (
            strict,
            all,
            "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; \
             client_max_window_bits=9",
            ("sc", 10, 9),
        ),
        (PLAIN.client_max_window_bits(12), "; client_max_window_bits=10", "client_max_window_bits=10", ("", 15, 10)),
    ];
    for (options, offered, expected, agreed) in cases {
        let (params, answer) = accept_parameters(options, &read(&format!("permessage-deflate{offered}"))).unwrap();
        assert_eq!((answer.as_str(), short(params)), (*expected, *agreed), "{offered}");
    }
}

#[test]
fn every_answer_of_our_server_is_one_that_our_client_takes() {
    for server in [PLAIN, PLAIN.server_no_context_takeover().server_max_window_bits(9).client_max_window_bits(9)] {
        for client in [
            PLAIN,
            PLAIN.without_client_max_window_bits(),
            PLAIN.client_max_window_bits(10).client_no_context_takeover(),
            PLAIN.server_max_window_bits(12).server_no_context_takeover(),
        ] {
            let ours = ExtensionOffer::parse_list(
                format!("permessage-deflate; {}", offer_parameters(&client)).trim_end_matches("; "),
            );
            let (params, answer) = accept_parameters(&server, &ours.unwrap()[0]).unwrap();
            let theirs = read(format!("permessage-deflate; {answer}").trim_end_matches("; "));
            assert_eq!(finalize_parameters(&client, &theirs), Ok(params), "{answer}");
        }
    }
}
