//! The seeds of the corpora: vectors of the RFCs and of the crate's own tests, laid out as each target reads its input.

/// Inputs by the names of their files.
pub type Seeds = Vec<(String, Vec<u8>)>;

/// The seeds of each target.
pub fn all() -> Vec<(&'static str, Seeds)> {
    vec![
        ("inbound_chunks", streams(&[0, 0])),
        ("inbound_vs_decoder", streams(&[0, 7])),
        ("roundtrip", roundtrip()),
        ("inflate", inflate()),
        ("response_head", response_heads()),
        ("request_head", request_heads()),
        ("extensions", extensions()),
        ("urls", urls()),
        ("cookies", cookies()),
        ("challenges", challenges()),
        ("proxy_answers", proxy_answers()),
        ("proxy_urls", numbered(PROXY_URLS.iter().map(|url| url.as_bytes().to_vec()))),
        ("app_loop", app_loop()),
        ("driver", driver()),
        ("tls_records", tls_records()),
        ("trace_taps", trace_taps()),
        ("recordings", recordings()),
    ]
}

fn numbered(inputs: impl IntoIterator<Item = Vec<u8>>) -> Seeds {
    inputs.into_iter().enumerate().map(|(number, input)| (format!("seed-{number:02}"), input)).collect()
}

/// A text behind its length.
fn counted(text: &[u8]) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short text");
    [&[length][..], text].concat()
}

/// What servers send (RFC 6455, section 5.7; RFC 7692, section 7.2.3), and what breaks a rule. The first byte says whether
/// compression is agreed.
const SERVER_STREAMS: &[&[u8]] = &[
    b"\x00\x81\x05Hello",
    b"\x00\x01\x03Hel\x80\x02lo",
    b"\x00\x89\x05Hello\x8a\x05Hello\x82\x00",
    b"\x00\x01\x03Hel\x89\x01p\x00\x01l\x8a\x00\x80\x01o\x88\x02\x03\xe8",
    b"\x00\x88\x0a\x03\xe8good bye\x81\x01x",
    b"\x00\x82\x7e\x00\x7eabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz\
        abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuv\x81\x00",
    b"\x00\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00abcd",
    b"\x00\x81\x0b\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
    b"\x00\x01\x02\xe2\x82\x80\x01\xac\x81\x02\xc3\x28",
    b"\x00\x81\x02\xed\xa0",
    b"\x00\x80\x00",
    b"\x00\x01\x00\x01\x00",
    b"\x00\xf1\x00",
    b"\x00\x83\x00",
    b"\x00\x09\x00",
    b"\x00\x88\x01\x00",
    b"\x00\x88\x02\x03\xed",
    b"\x00\x81\x85abcd",
    b"\x00\x82\x7e\x00\x05abcde",
    b"\x02\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
    b"\x02\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00",
    b"\x02\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00",
    b"\x02\xc1\x0b\x00\x05\x00\xfa\xffHello\x00",
    b"\x02\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
    b"\x02\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
    b"\x02\xc1\x07\x00\x01\x00\xfe\xff\xff\x00\x81\x05after",
    b"\x02\xc1\x0f\x00\x09\x00\xf6\xffaaaaaaaaa\x00",
    b"\x02\xc1\x09\xf2\x48\xcd\xc9\xc9\x07\x00\x15\x27\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
    b"\x02\xc1\x01\x00\x82\x01x\xc2\x00\x41\x00\x80\x01\x00",
    b"\x06\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
];

/// What clients send.
const CLIENT_STREAMS: &[&[u8]] = &[
    b"\x01\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
    b"\x01\x01\x83\x01\x02\x03\x04Igo\x80\x82\0\0\0\0lo\x89\x80abcd",
    b"\x01\x81\x05Hello",
    b"\x03\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\x00",
    b"\x01\x88\x82abcd\x62\x8a",
];

/// Streams for targets that read settings, a seed of cuts, and bytes.
fn streams(seed: &[u8; 2]) -> Seeds {
    let input = |stream: &&[u8]| [&[stream[0], 0, 0], &seed[..], &stream[1..]].concat();
    let small = [[&[0, 5, 4], &seed[..], b"\x01\x03abc\x80\x03def\x82\x06ghijkl"].concat()];
    numbered(SERVER_STREAMS.iter().chain(CLIENT_STREAMS).map(input).chain(small))
}

fn roundtrip() -> Seeds {
    let programs: [&[u8]; 6] = [
        b"\x00\x05Hello\x00\x05Hello\x06\x01p",
        b"\x02\x03Hel\x06\x01p\x04\x02lo\x07\x05\x03\xe8bye\x0e\x01q",
        b"\x01\xff\x04abcd\x05\xfa\x03xyz\x00\x01",
        b"\x0a\xd0\x02ab\x04\xe3\x01z",
        b"\x02\x02\xe2\x82\x04\x01\xac\x00\x02\xc3\xa9",
        b"\x01\x00\x01\x01a\x05\x05abcde\x12\x34\x0e\x01z",
    ];
    let settings = (0..4).map(|flags| [flags * 2 + (flags & 1), 0, 0, 1, flags]);
    numbered(settings.flat_map(|settings| programs.map(|program| [&settings[..], program].concat())))
}

fn inflate() -> Seeds {
    let streams: [&[u8]; 8] = [
        b"\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x05\xf2\x00\x11\x00\x00",
        b"\x0b\x00\x05\x00\xfa\xffHello\x00",
        b"\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
        b"\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
        b"\x09\xf2\x48\xcd\xc9\xc9\x07\x00\x15\x27\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
        b"\x01\x00\x01\x00\x00\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
        b"\xff\xec\xc1\x01\x01\x00\x00\x00\x80\x90\xfe\xaf\xee\x08\x0a\x00\x00\x00\x00",
        b"\x0a\x05\xe0\x81\x00\x00\x00\x00\x00\x90\x00",
    ];
    let bomb: Vec<u8> = {
        let deflated = miniz_oxide::deflate::compress_to_vec(&[0; 100_000], 9);
        [&[255][..], &deflated].concat()
    };
    let dynamic: Vec<u8> = {
        let text: Vec<u8> = (0..2000_u32).map(|number| b"etaoin shrdlu"[(number * number % 13) as usize]).collect();
        [&[255][..], &miniz_oxide::deflate::compress_to_vec(&text, 9)].concat()
    };
    let settings: [[u8; 5]; 2] = [[0, 0, 0, 0, 1], [5, 20, 0, 0, 2]];
    let all = streams.into_iter().chain([&bomb[..], &dynamic]);
    let inputs: Vec<Vec<u8>> =
        all.flat_map(|stream| settings.map(|settings| [&settings[..], stream].concat())).collect();
    numbered(inputs)
}

fn response_heads() -> Seeds {
    let good = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n";
    let responses = [
        format!("{good}\r\n\u{1}\u{5}"),
        format!("{good}Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
        format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{good}\r\n"),
        format!("{good}Upgrade: websocket\r\nno field\r\nSec-WebSocket-Protocol:\r\n\r\n").replace("1.1", "1.0"),
        String::from("HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nHello and more"),
        String::from("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5;a=b\r\nHello\r\n0\r\nTrailer: x\r\n\r\n"),
        String::from("HTTP/1.1 302 Found\r\nLocation: /x\r\nConnection: close\r\n\r\nuntil the end"),
        String::from("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"a\"\r\nContent-Length: 0\r\n\r\n"),
        String::from("HTTP/2 200\r\n\r\n"),
        String::from("SSH-2.0-x\r\n"),
        String::from("HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n"),
        String::from("HTTP/1.1 204 \r\nA:\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
    ];
    let flags = |response: &String| [0, 1, 2].map(|flags| [&[flags, 0, 3], response.as_bytes()].concat());
    numbered(responses.iter().flat_map(flags))
}

fn request_heads() -> Seeds {
    let good = "GET /chat?a=b HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    let requests = [
        format!("{good}\r\n\u{1}\u{5}"),
        format!(
            "\r\n{good}Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
        ),
        format!("{good}\r\n").replace("13", "8"),
        format!("{good}\r\n").replace("GET", "POST"),
        format!("{good}Host: other\r\n\r\n"),
        format!("{good}\r\n").replace("HTTP/1.1", "HTTP/1.0"),
        format!("{good}A: b\r\n c\r\n\r\n"),
        format!("{good}\r\n").replace("\r\n", "\n"),
        String::from("\u{16}\u{3}\u{1}"),
    ];
    let asked: [[&[u8]; 5]; 3] = [
        [b"example.com", b"/", b"chat", b"X-A", b"b"],
        [b"[::1]:80", b"/a?b", b"", b"Origin", b"http://example.com"],
        [b"a\r\nb", b"/ HTTP/1.1", b"a, b", b"Host", b"x"],
    ];
    let heads = requests.iter().flat_map(|request| [0, 2].map(|flags| [&[flags, 0, 3], request.as_bytes()].concat()));
    let asked = asked.map(|texts| {
        let fields: Vec<u8> = texts.into_iter().flat_map(counted).collect();
        [&[4, 0, 0], &fields[..]].concat()
    });
    numbered(heads.chain(asked))
}

fn extensions() -> Seeds {
    let fields = [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits; server_max_window_bits=10",
        "permessage-deflate; client_max_window_bits=\"9\"; server_no_context_takeover, permessage-deflate",
        "foo; bar; baz=2, permessage-deflate;client_no_context_takeover",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=016",
        "a;b=\"c\\\"d\"",
        ", ,",
    ];
    let options = [[0, 0, 0, 0], [1, 0x36, 2, 0x63], [7, 0x60, 4, 0x06]];
    numbered(fields.iter().flat_map(|field| options.map(|options| [&options[..], field.as_bytes()].concat())))
}

fn urls() -> Seeds {
    let pairs = [
        ("ws://a/b/c/d;p?q", "g;x=1/../y"),
        ("ws://example.com", "../../g?y#s"),
        ("wss://example.com:8443/a?b=c#d", "//g:1/b"),
        ("ws://user:s3cret@h/a", "HTTPS://h"),
        ("ws://[2001:DB8:0::1]:1/", "http://H/x/../y?q#f"),
        ("ws://[fe80::1%25eth0]:1/a", "/b c?\u{e9}"),
        ("ws+unix:///run/s:/a", "b?c"),
        ("ws://b\u{fc}cher.example/\u{e9}", "?y"),
        ("ws://127.0.0.1:0/", ""),
        ("ws://h/%2e%2E/a/./b", "."),
        ("WS://H:80/\\", "javascript:alert(1)"),
        ("ws://0x7f.1/", "/a\tb"),
    ];
    numbered(pairs.map(|(base, reference)| [&counted(base.as_bytes()), reference.as_bytes()].concat()))
}

const PROXY_URLS: &[&str] = &[
    "http://proxy",
    "HTTPS://Proxy.Example:3128/",
    "socks4a://user@proxy:9050",
    "socks5h://john%40example.com:P%40SSWORD@[2001:DB8:0::1]:1",
    "proxy:3128",
    " a:b@proxy\n",
    "socks5://[fe80::1%25eth0]",
    "http://b\u{fc}cher.example:1",
    "http://user:s3cret/more@proxy",
    "socks://proxy:1080",
    "http://a:b:c@proxy/?",
    "http://0x7f.1:80",
];

fn cookies() -> Seeds {
    let set = |which: u8, field: &str| [&[0, which], &counted(field.as_bytes())[..]].concat();
    let file = "# Netscape HTTP Cookie File\n#HttpOnly_.a.example\tTRUE\t/\tTRUE\t1900000000\ta\tb\n\
        a.example\tFALSE\t/x\tFALSE\t0\t\tflag\n\n# comment\nb.example\tFALSE\t/\tFALSE\t1\told\tx\r\n";
    let programs = [
        [set(0, "a=b"), set(1, "a=c; Path=/x; Max-Age=60"), vec![4, 2, 6, 0, 90, 4, 2]].concat(),
        [set(0, "SID=31d4; Path=/; Secure; HttpOnly"), set(1, "SID=x"), vec![4, 0]].concat(),
        [set(2, "a=b; Domain=.a.example; Expires=Wed, 09 Jun 2100 10:18:14 GMT"), vec![4, 0]].concat(),
        [set(4, "a=b; Domain=co.uk"), set(0, "__Host-a=b; Secure; Path=/"), set(0, "a")].concat(),
        [set(3, "=x"), set(3, "a=\u{e9}; Max-Age=-1"), vec![5, 3]].concat(),
        [&[7], file.as_bytes()].concat(),
        [&[7], file.replace('\t', " ").as_bytes()].concat(),
    ];
    numbered(programs)
}

fn challenges() -> Seeds {
    let fields = [
        "Basic realm=\"a\"",
        "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, nonce=\"7ypf/xlj9XX\", opaque=\"FQhe\"",
        "Digest realm=\"a\", nonce=\"n\", algorithm=MD5-sess, qop=auth, userhash=true, stale=TRUE",
        "Digest nonce=n, realm=\"a \\\"b\\\" \\\\c\"\nBasic realm=a",
        "Negotiate YWJj==, Newauth realm=\"apps\", type=1,\ttitle=\"x\", Basic realm=s",
        "NTLM TlRMTVNTUAACAAAA/+A\nDigest realm=a",
        "Basic realm=\"a",
    ];
    let who: [(&[u8], &[u8]); 3] =
        [(b"Mufasa", b"Circle of Life"), (b"J\xc3\xa4s\xc3\xb8n", b"\xc3\xa9\""), (b"a:b\\", b"")];
    let inputs = fields.iter().enumerate().flat_map(|(number, field)| {
        let flags = (number % 2) as u8;
        who.map(|(user, password)| [&[flags], &counted(user)[..], &counted(password), field.as_bytes()].concat())
    });
    numbered(inputs)
}

fn proxy_answers() -> Seeds {
    let http: [&[u8]; 4] = [
        b"HTTP/1.1 200 Connection established\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nVia: x\r\n\r\nearly",
        b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"a\"\r\nContent-Length: 2\r\n\r\nno",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    ];
    /// Version, host, user and password, and what the proxy says.
    type Dialogue = (u8, [&'static [u8]; 3], &'static [u8]);
    let socks: [Dialogue; 8] = [
        (1, [b"10.1.2.3", b"", b""], b"\0\x5a\0\0\0\0\0\0"),
        (1, [b"a.example", b"me", b""], b"\0\x5b\0\0\0\0\0\0"),
        (2, [b"a.example", b"", b""], b"\x05\0\x05\0\0\x01\x7f\0\0\x01\x12\x34"),
        (2, [b"::1", b"", b""], b"\x05\0\x05\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x12\x34X"),
        (2, [b"a.example", b"u", b"p"], b"\x05\x02\x01\0\x05\0\0\x03\x09a.example\x12\x34"),
        (2, [b"a.example", b"u", b"p"], b"\x05\x02\x01\x01"),
        (2, [b"a.example", b"", b""], b"\x05\xff"),
        (2, [b"10.0.0.1", b"", b""], b"\x05\0\x05\x05\0\x01"),
    ];
    let http = http.into_iter().flat_map(|answer| [0, 6].map(|flags| [&[flags, 0, 1], answer].concat()));
    let socks = socks.into_iter().map(|(version, texts, answer)| {
        let texts: Vec<u8> = texts.into_iter().flat_map(counted).collect();
        [&[version, 0, 1], &texts[..], answer].concat()
    });
    numbered(http.chain(socks))
}

fn app_loop() -> Seeds {
    let inputs: [&[u8]; 6] = [
        // Runs: a back-off, a fixed delay, few attempts.
        b"\x01\x00\x00\x00\xea\x60\x00\xfa\x00\x27\x10\x00abcdefgh\x01\x13\x88hgfedcba\x03\x00\x01zzzzzzzz",
        b"\x01\x01\x03\xe8\x00\x00\x00\x00\x00\x27\x10\x10abcdefgh\x01\x9f\xffhgfedcba\x08\x00\x0532109876",
        b"\x01\x02\x00\x00\x20\x00\x00\x00\x03\x27\x10\x00abcdefgh\x00hgfedcba\x04zzzzzzzz\x00zzzzzzzz",
        // Pings: answered, unanswered, queued.
        b"\x00\x01\x00\x64\x00\x32\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00",
        b"\x00\x01\x00\x64\x00\x32\x00\x00\x00\x00\x00\x00\x00\x00\x08\x01\x00\x00",
        b"\x00\x03\x00\x64\x00\x32\x02ab\x00\x00\x01\x00\x04\x01\x02\x02ab\x00\x00\x02\x00\x00",
    ];
    numbered(inputs.map(<[u8]>::to_vec))
}

fn driver() -> Seeds {
    let programs: [&[u8]; 8] = [
        b"\x00\x08\x05Hello\x00\x00",
        b"\x04\x04\x06\x0d\x02hi\x0e\x10\x04",
        b"\x0f\x03\xe8\x03bye\x00\x08\x01x",
        b"\x14\x02\x00\x13\x13",
        b"\x15\x01\x02ab\x02cd\x01\x89\x00",
        b"\x16\x01a\x01b\x0b\x01p\x0c\x01q\x17\x00",
        b"\x00\x8a\x00",
        b"\x07\x07\x12\x01p\x0a\x03abc\x17\x07",
    ];
    let scripts: [(&[u8], &[u8]); 4] = [
        (b"", b""),
        (b"\x00\x80\x81\x01\xc0\x03", b"\x03\x81\x81\x05"),
        (b"\xe4\xd0", b"\xd1"),
        (b"\x02\x80\x80\x0a", b"\x80\x80"),
    ];
    let streams: Vec<&&[u8]> = SERVER_STREAMS.iter().chain(CLIENT_STREAMS).collect();
    let inputs = streams.iter().enumerate().map(|(number, stream)| {
        let program = programs[number % programs.len()];
        let (reads, writes) = scripts[number % scripts.len()];
        let texts = [counted(reads), counted(writes), counted(program)].concat();
        [&[stream[0], 0, 0], &texts[..], &stream[1..]].concat()
    });
    numbered(inputs)
}

fn tls_records() -> Seeds {
    let texts = [counted(b"\x05\xc8\x40\xff"), counted(b"\x0a\xd2\x03")].concat();
    let input = |flags: u8, fates: &[u8], other: &[u8]| [&[flags, 0, 7], &counted(fates)[..], &texts, other].concat();
    let honest = (0..8).flat_map(|flags| [0, 0x68, 0x40].map(|more| input(flags | more, b"", b"")));
    // What becomes of the first record of the data over TLS 1.3, and of one of the handshake.
    let fates: [&[u8]; 9] = [
        b"\0\0\0\0\0\0\x60\0\x09\x01",
        b"\0\0\0\0\0\0\x80\0\x03",
        b"\0\0\0\0\0\0\x98",
        b"\0\0\0\0\0\0\0\xa8",
        b"\0\0\0\0\0\0\0\xb8",
        b"\0\0\0\0\0\0\xc8\x07",
        b"\0\0\0\0\0\0\0\0\xf0",
        b"\0\0\x60\0\x20\x80",
        b"\0\xe3\xff",
    ];
    let tampered = fates.into_iter().enumerate().flat_map(|(number, fates)| {
        [number as u8 % 8, (number as u8 + 3) % 8].map(|flags| input(flags, fates, b"\x15\x03\x03\0\x02\x02\x28"))
    });
    let server_hello = [
        &b"\x16\x03\x03\0\x38\x02\0\0\x34\x03\x03"[..],
        &[7; 32],
        b"\0\x13\x01\0\0\x0c\0\x2b\0\x02\x03\x04\0\x33\0\x02\0\x1d",
    ]
    .concat();
    let bytes: [&[u8]; 5] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x15\x03\x03\0\x02\x02\x28",
        b"\x15\x03\x03\0\x02\x01\0",
        b"\x16\x03\x01\x40\0\x01\0\xff\xff",
        &server_hello,
    ];
    let other = bytes.into_iter().flat_map(|bytes| (0x10..0x14).map(move |flags| (flags, bytes)));
    numbered(honest.chain(tampered).chain(other.map(|(flags, bytes)| input(flags, b"", bytes))))
}

fn trace_taps() -> Seeds {
    // The reads: the head of the handshake, then the stream.
    let reads: [&[u8]; 6] = [
        b"",
        b"\x3f\x83\x02\x01\xc3",
        b"\x90\x90\xbf\x00\x81\xc1\x02",
        b"\xc5\x3f\x83",
        b"\x3f\xbf",
        b"\x3f\x01\x81\x41\x01\xc1",
    ];
    let writes: [&[u8]; 4] = [b"", b"\x3f\x83\x01\xc1", b"\xbf\x00\x81", b"\x3f\xff\x3f\xbf"];
    let programs: [&[u8]; 6] = [
        b"\x0f\0\0\x0f\0",
        b"\x07\x02hi\x0f\x07\x02ho\x09\x01p",
        b"\x0f\x0b\x02ab\x01\x02cd\x01",
        b"\x06\x01\x0f\0\x05\x0f",
        b"\x0c\x02ab\x01\x02cd\x08\xff\x0a\x01z",
        b"\x04\x0f\x04\x0d\x03\xe8\x03bye\x03",
    ];
    let streams = SERVER_STREAMS.iter().chain(CLIENT_STREAMS).enumerate();
    numbered(streams.map(|(number, stream)| {
        let (role, flags) = (stream[0] & 1, (number as u8 % 4) << 1);
        let texts = [reads[number % 6], writes[number % 4], programs[number / 2 % 6]].map(counted).concat();
        [&[role | flags], &texts[..], &stream[1..]].concat()
    }))
}

fn recordings() -> Seeds {
    let files = [
        r#"{"at":0.5,"from":"client","kind":"text","text":"hello"}"#,
        "{\"at\":1,\"from\":\"client\",\"kind\":\"text\",\"text\":\"\u{e9}\\u00e9\\ud83d\\ude00\\n\"}\r\n\
            {\"at\":1e3,\"from\":\"server\",\"kind\":\"binary\",\"base64\":\"AAH/\"}\n",
        r#"{"at":12345678.123456789,"from":"server","kind":"binary","base64":""}"#,
        r#"{"from":"server","x":[1,{"a":null}],"at":1.8e19,"kind":"text","text":"","text":"last"}"#,
        r#"{"at":-0.0,"from":"client","kind":"text","text":"hi"}"#,
        r#"{"at":0,"from":"client","kind":"close"}"#,
        "hello",
    ];
    numbered(files.map(|file| file.as_bytes().to_vec()))
}
