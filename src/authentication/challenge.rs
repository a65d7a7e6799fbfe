//! What a server asks for: the fields `WWW-Authenticate` and `Proxy-Authenticate` (RFC 9110, section 11.6.1).

/// The most bytes that are read of one field; nobody has that much to say about a realm and a nonce.
const MAX_FIELD: usize = 8 * 1024;
/// The most challenges that are looked at.
const MAX_CHALLENGES: usize = 16;

/// One way in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Challenge {
    pub(super) scheme: String,
    /// Names as they came, and values without their quotation marks: bytes, which need not be UTF-8 (RFC 9110, section
    /// 5.5). Empty where a token68 came in their place.
    parameters: Vec<(String, Vec<u8>)>,
}

impl Challenge {
    /// The value of a parameter; names have no case. A parameter that comes twice is as good as none (RFC 9110, section
    /// 11.2).
    pub(super) fn parameter(&self, name: &str) -> Option<&[u8]> {
        let mut values = self.parameters.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let (_, value) = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// Whether a parameter is there, with whatever value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.parameters.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
    }
}

/// The challenges in these fields, up to the first thing in each that is none.
pub(super) fn challenges_in<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    for field in fields.filter(|field| field.len() <= MAX_FIELD) {
        let mut rest = Rest(field);
        while challenges.len() < MAX_CHALLENGES
            && let Some(challenge) = rest.challenge()
        {
            challenges.push(challenge);
        }
    }
    challenges
}

/// What has not been read yet.
#[derive(Clone, Copy)]
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn challenge(&mut self) -> Option<Challenge> {
        self.skip(b" \t,");
        let scheme = self.token()?.to_owned();
        if !matches!(self.0, [] | [b' ' | b'\t' | b',', ..]) {
            return None;
        }
        self.skip(b" \t");
        if self.token68() {
            return Some(Challenge { scheme, parameters: Vec::new() });
        }
        let mut parameters = Vec::new();
        loop {
            match self.parameter() {
                Parameter::Read(name, value) => parameters.push((name, value)),
                Parameter::Absent => return Some(Challenge { scheme, parameters }),
                Parameter::Broken => return None,
            }
        }
    }

    /// A parameter, unless what follows is the end or the next challenge.
    fn parameter(&mut self) -> Parameter {
        let mut ahead = *self;
        ahead.skip(b" \t,");
        let Some(name) = ahead.token() else {
            return if ahead.0.is_empty() { Parameter::Absent } else { Parameter::Broken };
        };
        ahead.skip(b" \t");
        if !ahead.take(b'=') {
            return Parameter::Absent;
        }
        ahead.skip(b" \t");
        let value = match ahead.0 {
            [b'"', ..] => ahead.quoted(),
            _ => ahead.token().map(|token| token.as_bytes().to_owned()),
        };
        ahead.skip(b" \t");
        let ends = matches!(ahead.0, [] | [b',', ..]);
        let Some(value) = value.filter(|_| ends) else {
            return Parameter::Broken;
        };
        *self = ahead;
        Parameter::Read(name.to_owned(), value)
    }

    /// Reads over a token68, which is told from a parameter by what stands behind it (RFC 9110, section 11.2).
    fn token68(&mut self) -> bool {
        let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
        let mut ahead = *self;
        let letters = ahead.advance_while(is_letter);
        ahead.skip(b"=");
        ahead.skip(b" \t");
        let is_there = !letters.is_empty() && matches!(ahead.0, [] | [b',', ..]);
        if is_there {
            *self = ahead;
        }
        is_there
    }

    fn token(&mut self) -> Option<&'a str> {
        let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        let token = self.advance_while(is_letter);
        str::from_utf8(token).ok().filter(|token| !token.is_empty())
    }

    /// The inside of a quoted string. `None` if it is not closed or holds what no field may.
    fn quoted(&mut self) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        let mut bytes = self.0.iter().enumerate().skip(1);
        while let Some((at, &byte)) = bytes.next() {
            let meant = match byte {
                b'"' => {
                    self.0 = &self.0[at + 1..];
                    return Some(value);
                }
                b'\\' => *bytes.next()?.1,
                other => other,
            };
            if meant.is_ascii_control() && meant != b'\t' {
                return None;
            }
            value.push(meant);
        }
        None
    }

    fn take(&mut self, expected: u8) -> bool {
        let rest = self.0.strip_prefix(&[expected]);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn skip(&mut self, bytes: &[u8]) {
        self.advance_while(|byte| bytes.contains(byte));
    }

    fn advance_while(&mut self, is_meant: impl Fn(&u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|byte| !is_meant(byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }
}

/// What stands where a parameter may.
enum Parameter {
    Read(String, Vec<u8>),
    Absent,
    Broken,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_text(fields: &[&str]) -> Vec<Challenge> {
        challenges_in(fields.iter().map(|field| field.as_bytes()))
    }

    /// `scheme(name=value;...)` for each challenge.
    fn shown(fields: &[&str]) -> String {
        let parameters = |challenge: &Challenge| {
            let pairs: Vec<_> = (challenge.parameters.iter())
                .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value)))
                .collect();
            pairs.join(";")
        };
        let shown: Vec<_> = in_text(fields)
            .iter()
            .map(|challenge| format!("{}({})", challenge.scheme, parameters(challenge)))
            .collect();
        shown.join(" ")
    }

    #[test]
    fn challenges_are_read_as_rfc_9110_writes_them() {
        let table = [
            ("", ""),
            (" , ,", ""),
            ("Basic", "Basic()"),
            ("Basic realm=\"a\"", "Basic(realm=a)"),
            ("Basic realm=a", "Basic(realm=a)"),
            ("Basic realm = \"a\" , charset=\"UTF-8\"", "Basic(realm=a;charset=UTF-8)"),
            ("Basic realm=\"\"", "Basic(realm=)"),
            ("Basic realm=\"a, b=c\"", "Basic(realm=a, b=c)"),
            (r#"Basic realm="a \"b\" \\c""#, r#"Basic(realm=a "b" \c)"#),
            ("Basic realm=\"\u{e9}\"", "Basic(realm=\u{e9})"),
            ("Basic,Digest nonce=\"n\"", "Basic() Digest(nonce=n)"),
            ("Basic realm=\"a\", Digest realm=\"b\", nonce=\"n\"", "Basic(realm=a) Digest(realm=b;nonce=n)"),
            ("Negotiate, Basic realm=\"a\"", "Negotiate() Basic(realm=a)"),
            ("Negotiate YWJj==, Basic realm=\"a\"", "Negotiate() Basic(realm=a)"),
            ("NTLM TlRMTVNTUAACAAAA/+A", "NTLM()"),
            (
                "Newauth realm=\"apps\", type=1,\ttitle=\"x\", Basic realm=s",
                "Newauth(realm=apps;type=1;title=x) Basic(realm=s)",
            ),
            ("Basic ,, realm=\"a\" ,,", "Basic(realm=a)"),
            ("Basic\trealm=a", "Basic(realm=a)"),
            // Cut off where it stops making sense; what came before counts.
            ("Basic realm=\"a", ""),
            (r#"Basic realm="a\"#, ""),
            ("Basic realm=\"a\u{7}\"", ""),
            ("Basic realm=\"a\" nonce=\"b\"", ""),
            ("Basic realm=a/b", ""),
            ("Digest nonce=n, Basic realm=\"a", "Digest(nonce=n)"),
            ("\"Basic\" realm=a", ""),
            ("Basic; realm=a", ""),
            ("=", ""),
        ];
        for (field, expected) in table {
            assert_eq!(shown(&[field]), expected, "{field}");
        }
    }

    #[test]
    fn fields_follow_each_other() {
        assert_eq!(shown(&["Digest nonce=n", "Basic realm=a"]), "Digest(nonce=n) Basic(realm=a)");
    }

    #[test]
    fn what_is_read_is_bounded() {
        let long = format!("Basic realm=\"{}\"", "a".repeat(MAX_FIELD));
        assert_eq!(shown(&[&long, "Digest nonce=n"]), "Digest(nonce=n)");
        let many = "Basic,".repeat(1000);
        assert_eq!(in_text(&[&many]).len(), MAX_CHALLENGES);
    }

    #[test]
    fn a_parameter_that_comes_twice_is_as_good_as_none() {
        let challenge = &in_text(&["Digest nonce=a, NONCE=b, realm=c"])[0];
        assert_eq!((challenge.parameter("nonce"), challenge.has("nonce")), (None, true));
        assert_eq!((challenge.parameter("Realm"), challenge.has("qop")), (Some(&b"c"[..]), false));
    }

    #[test]
    fn values_are_bytes() {
        let challenges = challenges_in([&b"Basic realm=\"caf\xe9 \\\xff\", Digest nonce=\"\xe9\""[..]].into_iter());
        assert_eq!(challenges[0].parameter("realm"), Some(&b"caf\xe9 \xff"[..]));
        assert_eq!(challenges[1].parameter("nonce"), Some(&b"\xe9"[..]));
        // Outside of quotation marks they mean nothing.
        assert!(challenges_in([&b"Basic realm=caf\xe9"[..], b"B\xe9 realm=a"].into_iter()).is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(field in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = challenges_in([&field[..]].into_iter());
        }

        #[test]
        fn any_text_is_read_without_a_panic(field in "[a-zB =,\"\\\\\u{e9}\t\u{7}]{0,60}") {
            let _ = in_text(&[&field]);
        }

        #[test]
        fn what_was_quoted_comes_back(value in "[ -~\u{e9}]{0,30}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let field = format!("Basic realm=\"{quoted}\", Digest nonce=\"{quoted}\"");
            let challenges = in_text(&[&field]);
            prop_assert_eq!(challenges[0].parameter("realm"), Some(value.as_bytes()));
            prop_assert_eq!(challenges[1].parameter("nonce"), Some(value.as_bytes()));
        }
    }
}
