//! What a server asks for: the fields `WWW-Authenticate` and `Proxy-Authenticate` (RFC 9110, section 11.6.1).

/// The most bytes that are read of one field; nobody has that much to say about a realm and a nonce.
const MAX_FIELD: usize = 8 * 1024;
/// The most challenges that are looked at.
const MAX_CHALLENGES: usize = 16;

/// One way in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Challenge {
    pub(super) scheme: String,
    /// Names as they came, and values without their quotation marks. Empty where a token68 came in their place.
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The value of a parameter; names have no case. A parameter that comes twice is as good as none (RFC 9110, section
    /// 11.2).
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
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
pub(super) fn challenges_in(fields: &[&str]) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    for field in fields.iter().filter(|field| field.len() <= MAX_FIELD) {
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
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn challenge(&mut self) -> Option<Challenge> {
        self.skip(&[' ', '\t', ',']);
        let scheme = self.token()?.to_owned();
        if !self.0.starts_with([' ', '\t', ',']) && !self.0.is_empty() {
            return None;
        }
        self.skip(&[' ', '\t']);
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
        ahead.skip(&[' ', '\t', ',']);
        let Some(name) = ahead.token() else {
            return if ahead.0.is_empty() { Parameter::Absent } else { Parameter::Broken };
        };
        ahead.skip(&[' ', '\t']);
        if !ahead.take('=') {
            return Parameter::Absent;
        }
        ahead.skip(&[' ', '\t']);
        let value = if ahead.0.starts_with('"') { ahead.quoted() } else { ahead.token().map(str::to_owned) };
        ahead.skip(&[' ', '\t']);
        let ends = ahead.0.is_empty() || ahead.0.starts_with(',');
        let Some(value) = value.filter(|_| ends) else {
            return Parameter::Broken;
        };
        *self = ahead;
        Parameter::Read(name.to_owned(), value)
    }

    /// Reads over a token68, which is told from a parameter by what stands behind it (RFC 9110, section 11.2).
    fn token68(&mut self) -> bool {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~' | '+' | '/');
        let rest = self.0.trim_start_matches(is_letter);
        let letters = self.0.len() - rest.len();
        let rest = rest.trim_start_matches('=').trim_start_matches([' ', '\t']);
        let is_there = letters > 0 && (rest.is_empty() || rest.starts_with(','));
        if is_there {
            self.0 = rest;
        }
        is_there
    }

    fn token(&mut self) -> Option<&'a str> {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let end = self.0.find(|c| !is_letter(c)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(token).filter(|token| !token.is_empty())
    }

    /// The inside of a quoted string. `None` if it is not closed or holds what no field may.
    fn quoted(&mut self) -> Option<String> {
        let mut value = String::new();
        let mut characters = self.0.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            let meant = match character {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Some(value);
                }
                '\\' => characters.next()?.1,
                other => other,
            };
            if meant.is_control() && meant != '\t' {
                return None;
            }
            value.push(meant);
        }
        None
    }

    fn take(&mut self, expected: char) -> bool {
        let rest = self.0.strip_prefix(expected);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn skip(&mut self, characters: &[char]) {
        self.0 = self.0.trim_start_matches(characters);
    }
}

/// What stands where a parameter may.
enum Parameter {
    Read(String, String),
    Absent,
    Broken,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `scheme(name=value;...)` for each challenge.
    fn shown(fields: &[&str]) -> String {
        let parameters = |challenge: &Challenge| {
            let pairs: Vec<_> = challenge.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
            pairs.join(";")
        };
        let shown: Vec<_> = challenges_in(fields)
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
        assert_eq!(challenges_in(&[&many]).len(), MAX_CHALLENGES);
    }

    #[test]
    fn a_parameter_that_comes_twice_is_as_good_as_none() {
        let challenge = &challenges_in(&["Digest nonce=a, NONCE=b, realm=c"])[0];
        assert_eq!((challenge.parameter("nonce"), challenge.has("nonce")), (None, true));
        assert_eq!((challenge.parameter("Realm"), challenge.has("qop")), (Some("c"), false));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(field in "[a-zB =,\"\\\\\u{e9}\t\u{7}]{0,60}") {
            let _ = challenges_in(&[&field]);
        }

        #[test]
        fn what_was_quoted_comes_back(value in "[ -~\u{e9}]{0,30}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let field = format!("Basic realm=\"{quoted}\", Digest nonce=\"{quoted}\"");
            let challenges = challenges_in(&[&field]);
            prop_assert_eq!(challenges[0].parameter("realm"), Some(value.as_str()));
            prop_assert_eq!(challenges[1].parameter("nonce"), Some(value.as_str()));
        }
    }
}
