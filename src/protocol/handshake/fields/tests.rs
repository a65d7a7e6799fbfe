use super::*;

#[test]
fn lists_are_read_as_the_grammar_says() {
    let cases: &[(&str, &[&str])] = &[
        ("foo", &["foo"]),
        (",foo,, bar ,", &["foo", "bar"]),
        ("foo;a;b=1", &["foo; a; b=1"]),
        ("foo ; a = 1 ;\tb", &["foo; a=1; b"]),
        (r#"foo; a="1"; b="\2""#, &["foo; a=1; b=2"]),
        ("a; x, a; y", &["a; x", "a; y"]),
        ("permessage-deflate; client_max_window_bits", &["permessage-deflate; client_max_window_bits"]),
    ];
    for (value, expected) in cases {
        let parsed: Vec<String> =
            ExtensionOffer::parse_list(value).unwrap().iter().map(ExtensionOffer::to_string).collect();
        assert_eq!(parsed, *expected, "{value}");
    }
}

#[test]
fn what_the_grammar_does_not_allow_is_refused() {
    let cases = [
        "",
        " ",
        ",",
        ";",
        ";a",
        "foo;",
        "foo; ",
        "foo;;a",
        "foo; a=",
        "foo; =1",
        "foo bar",
        "foo; a b",
        "foo; a=1 2",
        "foo=1",
        r#""foo""#,
        r#"foo; "a""#,
        r#"foo; a="1"#,
        r#"foo; a="1\"#,
        r#"foo; a="1"2"#,
        r#"foo; a="1 2""#,
        r#"foo; a="""#,
        r#"foo; a=",b""#,
        r#"foo; a=1"2""#,
        "föö",
        "foo; a=\u{e9}",
        "i am the lizard queen; worship me",
    ];
    for value in cases {
        assert_eq!(ExtensionOffer::parse_list(value), Err(HandshakeError::ExtensionSyntax), "{value}");
    }
}

#[test]
fn a_quoted_comma_does_not_smuggle_an_offer() {
    let parsed = ExtensionOffer::parse_list(r#"x; y=",permessage-deflate;""#);
    assert_eq!(parsed, Err(HandshakeError::ExtensionSyntax));
}

#[test]
fn several_headers_are_one_list() {
    let headers =
        Headers::from([("Sec-WebSocket-Extensions", "a; x"), ("Host", "h"), ("sec-websocket-extensions", "b, c")]);
    let names: Vec<String> =
        ExtensionOffer::from_headers(&headers).unwrap().into_iter().map(|extension| extension.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(ExtensionOffer::from_headers(&Headers::new()), Ok(Vec::new()));
}

#[test]
fn more_than_anyone_needs_is_refused() {
    let limit = Err(HandshakeError::TooManyExtensions { limit: MAX_ELEMENTS });
    let list = |count| vec!["a"; count].join(",");
    assert_eq!(ExtensionOffer::parse_list(list(MAX_ELEMENTS)).map(|list| list.len()), Ok(MAX_ELEMENTS));
    assert_eq!(ExtensionOffer::parse_list(list(MAX_ELEMENTS + 1)), limit);
    assert_eq!(ExtensionOffer::parse_list(format!("a{}", "; b".repeat(MAX_ELEMENTS + 1))), limit);
    let headers: Headers = (0..2).map(|_| ("sec-websocket-extensions", list(MAX_ELEMENTS))).collect();
    assert_eq!(ExtensionOffer::from_headers(&headers), limit);
}

#[test]
fn a_hostile_value_is_read_in_linear_time() {
    let times = if cfg!(miri) { 1 << 10 } else { 1 << 20 };
    for hostile in [r#"permessage-deflate; a=""#.to_owned() + &r#"\""#.repeat(times), "\t ".repeat(times)] {
        assert_eq!(ExtensionOffer::parse_list(hostile), Err(HandshakeError::ExtensionSyntax));
    }
}

#[test]
fn accept_is_that_of_the_rfc_and_of_other_implementations() {
    let vectors = [
        ("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("c6b8hTg4EeGb2gQMztV1/g==", "Kxep+hNu9n51529fGidYu7a3wO0="),
    ];
    for (key, accept) in vectors {
        assert_eq!(accept_for(key), accept);
    }
}

#[test]
fn a_key_is_base64_of_sixteen_bytes() {
    assert!(is_key(key_from([0; 16]).as_bytes()));
    assert!(is_key(key_from([0xff; 16]).as_bytes()));
    for wrong in ["", "abc", "==", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQQ=="] {
        assert!(!is_key(wrong.as_bytes()), "{wrong}");
    }
    assert!(!is_key(b"dGhlIHNhbXBsZSBub25j ZQ=="));
    assert!(!is_key(b"dGhlIHNhbXBsZSBub25j-Q=="));
    assert!(!is_key(b"dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="));
}

#[test]
fn extensions_are_counted_over_all_fields() {
    let spread = |first, second| {
        let list = |count| vec!["x"; count].join(", ");
        let fields = [("Sec-WebSocket-Extensions", list(first)), ("sec-websocket-extensions", list(second))];
        ExtensionOffer::from_headers(&Headers::from(fields)).map(|extensions| extensions.len())
    };
    assert_eq!(spread(MAX_ELEMENTS - 1, 1), Ok(MAX_ELEMENTS));
    let refused = Err(HandshakeError::TooManyExtensions { limit: MAX_ELEMENTS });
    assert_eq!(spread(MAX_ELEMENTS, 1), refused);
    assert_eq!(spread(MAX_ELEMENTS, MAX_ELEMENTS), refused);
}
