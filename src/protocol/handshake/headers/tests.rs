use super::*;

#[test]
fn names_are_looked_up_without_regard_to_case() {
    let headers = Headers::from([("X-Foo", "1"), ("x-foo", "2"), ("X-Bar", "3")]);
    assert_eq!(headers.first("X-FOO"), Some(&b"1"[..]));
    assert_eq!(headers.all("x-Foo").collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!(headers.first("x-fo"), None);
    assert_eq!(headers, Headers::from([("x-foo", "1"), ("X-FOO", "2"), ("x-bar", "3")]));
    assert_ne!(headers, Headers::from([("x-foo", "2"), ("X-FOO", "1"), ("x-bar", "3")]));
    assert_ne!(headers, Headers::from([("x-foo", "1"), ("x-baz", "2"), ("x-bar", "3")]));
    assert_ne!(headers, Headers::from([("x-foo", "1")]));
}

#[test]
fn a_list_may_be_spread_over_several_fields() {
    let headers = Headers::from([("Connection", "keep-alive, TE"), ("Other", "x"), ("connection", ",UpGrade")]);
    assert_eq!(headers.elements("connection").collect::<Vec<_>>(), [&b"keep-alive"[..], b"TE", b"UpGrade"]);
    assert!(headers.has_element("Connection", "upgrade"));
    assert!(!headers.has_element("Connection", "up"));
}

#[test]
fn values_that_may_be_secret_are_not_shown() {
    let secret = "canary";
    for name in ["Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Api-Key", "X-Auth-Token"] {
        let shown = format!("{:?}", Headers::from([(name, secret)]));
        assert!(shown.contains(name) && !shown.contains(secret), "{shown}");
    }
    let shown = format!("{:?}", Headers::from([("Sec-WebSocket-Key", "dGhl"), ("Host", "h\u{e9}")]));
    assert_eq!(shown, r#"{"Sec-WebSocket-Key": "dGhl", "Host": "hé"}"#);
}

#[test]
fn a_field_that_would_break_its_line_is_refused() {
    for name in ["", "a b", "a:", "a\r", "a\n", "é", "a\0"] {
        assert_eq!(
            Headers::from([(name, "v")]).check(),
            Err(LocalProtocolError::IllegalCharacter("header name")),
            "{name:?}"
        );
    }
    for value in ["a\r\nb: c", "\r", "\n", "\0", "\x1b", "\x7f"] {
        assert_eq!(
            Headers::from([("n", value)]).check(),
            Err(LocalProtocolError::IllegalCharacter("header value")),
            "{value:?}"
        );
    }
    assert_eq!(Headers::from([("n", &b""[..]), ("m", b"\tobs \xff text")]).check(), Ok(()));
}

#[test]
fn a_token_is_made_of_exactly_the_bytes_of_rfc_9110() {
    let allowed: Vec<u8> = (0..=u8::MAX).filter(|&byte| is_token_byte(byte)).collect();
    assert_eq!(allowed, b"!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~");
    assert!(!is_token(b""));
}

#[test]
fn a_field_value_has_no_control_characters_but_the_tab() {
    let refused: Vec<u8> = (0..=u8::MAX).filter(|&byte| !is_field_value(&[byte])).collect();
    let controls: Vec<u8> = (0..0x20).filter(|&byte| byte != b'\t').chain([0x7f]).collect();
    assert_eq!(refused, controls);
}

#[test]
fn lists_are_split_at_commas_outside_of_quoted_strings() {
    let cases: &[(&str, &[&str])] = &[
        ("", &[]),
        (" , ,\t,", &[]),
        ("a", &["a"]),
        (" a , b,c\t", &["a", "b", "c"]),
        ("keep-alive,Upgrade", &["keep-alive", "Upgrade"]),
        (r#"x; y=",permessage-deflate;", z"#, &[r#"x; y=",permessage-deflate;""#, "z"]),
        (r#"x; y="\",a", b"#, &[r#"x; y="\",a""#, "b"]),
        (r#"x; y="open, b"#, &[r#"x; y="open, b"#]),
        (r#"x; y="\"#, &[r#"x; y="\"#]),
        (r"a\,b", &[r"a\", "b"]),
    ];
    for (list, expected) in cases {
        let split: Vec<&[u8]> = elements(list.as_bytes()).collect();
        let expected: Vec<&[u8]> = expected.iter().map(|element| element.as_bytes()).collect();
        assert_eq!(split, expected, "{list}");
    }
}
