//! What X.509 says of a certificate that a person asks for (RFC 5280, section 4.1): names and dates.
//!
//! Nothing here decides whether a certificate is trusted; that is rustls's, which has seen it before.

use std::time::SystemTime;

/// The subject, the issuer and the validity of a certificate.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

impl Contents {
    /// Reads them; nothing of what is no certificate, or has a date before 1970.
    pub(super) fn from_der(der: &[u8]) -> Option<Self> {
        let certificate = Elements(der).content_of(SEQUENCE)?;
        let mut about = Elements(Elements(certificate).content_of(SEQUENCE)?);
        // The first version of certificates has no number of its version.
        if about.0.first() == Some(&VERSION) {
            about.content_of(VERSION)?;
        }
        about.content_of(INTEGER)?;
        about.content_of(SEQUENCE)?;
        let issuer = name(about.content_of(SEQUENCE)?)?;
        let mut validity = Elements(about.content_of(SEQUENCE)?);
        let (not_before, not_after) = (time(validity.next()?)?, time(validity.next()?)?);
        let subject = name(about.content_of(SEQUENCE)?)?;
        Some(Self {
            subject,
            issuer,
            not_before,
            not_after,
        })
    }
}

const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const TELETEX_STRING: u8 = 0x14;
const IA5_STRING: u8 = 0x16;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;

/// Elements of DER, one behind the other.
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// Takes the next element, and returns its content if it has this tag.
    fn content_of(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, content) = self.next()?;
        (found == tag).then_some(content)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    /// Takes the next element: its tag and its content.
    fn next(&mut self) -> Option<Self::Item> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x83 => {
                let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (number(length, 8)?, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }
}

/// Reads a number of which each byte has so many bits.
fn number(bytes: &[u8], bits: u32) -> Option<usize> {
    let base = 1_usize.checked_shl(bits)?;
    bytes.iter().try_fold(0_usize, |number, byte| {
        let digit = usize::from(*byte).checked_rem(base)?;
        number.checked_mul(base)?.checked_add(digit)
    })
}

/// Reads `YYMMDDHHMMSSZ`, or with four digits of the year.
fn time((tag, content): (u8, &[u8])) -> Option<SystemTime> {
    let text = std::str::from_utf8(content).ok()?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let century = if year < "50" { "20" } else { "19" };
            (format!("{century}{year}"), rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.to_owned(), rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at.checked_add(2)?);
    let zone = rest.get(10..)?;
    let (month, day, hour, minute, second) = (part(0)?, part(2)?, part(4)?, part(6)?, part(8)?);
    let written = format!("{year}-{month}-{day}T{hour}:{minute}:{second}{zone}");
    humantime::parse_rfc3339(&written).ok()
}

/// Writes a name as RFC 4514 does: from the end of the sequence to its begin.
fn name(content: &[u8]) -> Option<String> {
    let parts: Vec<String> = whole(content)?
        .into_iter()
        .map(|(tag, attributes)| {
            let attributes = (tag == SET).then_some(attributes)?;
            let written: Option<Vec<_>> = whole(attributes)?.into_iter().map(attribute).collect();
            Some(written?.join("+"))
        })
        .collect::<Option<_>>()?;
    Some(parts.into_iter().rev().collect::<Vec<_>>().join(","))
}

/// Returns all elements, if there is nothing else.
fn whole(content: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut elements = Elements(content);
    let found = elements.by_ref().collect();
    elements.0.is_empty().then_some(found)
}

fn attribute((tag, content): (u8, &[u8])) -> Option<String> {
    let content = (tag == SEQUENCE).then_some(content)?;
    let mut elements = Elements(content);
    let kind = elements.content_of(OBJECT_IDENTIFIER)?;
    let encoded = elements.0;
    let (tag, value) = elements.next()?;
    let text = match tag {
        UTF8_STRING | PRINTABLE_STRING | TELETEX_STRING | IA5_STRING => {
            std::str::from_utf8(value).ok()
        }
        _ => None,
    };
    let known = KINDS.iter().find(|(identifier, _)| *identifier == kind);
    Some(match (known, text) {
        (Some((_, kind)), Some(text)) => format!("{kind}={}", escaped(text)),
        (known, _) => {
            let kind = known.map_or_else(|| dotted(kind), |(_, kind)| (*kind).to_owned());
            format!("{kind}=#{}", base16ct::lower::encode_string(encoded))
        }
    })
}

/// The kinds of attributes that RFC 4514 has names for, and two more that certificates have.
const KINDS: [(&[u8], &str); 11] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 5], "SERIALNUMBER"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[9, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 100, 1, 1], "UID"),
    (&[9, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 100, 1, 25], "DC"),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1],
        "EMAILADDRESS",
    ),
];

/// Writes an object identifier as its numbers with dots between them.
fn dotted(identifier: &[u8]) -> String {
    let mut numbers = Vec::new();
    for bytes in identifier.split_inclusive(|byte| *byte < 0x80) {
        let number = number(bytes, 7).unwrap_or(usize::MAX);
        if numbers.is_empty() {
            // The first two numbers are in one.
            let first = (number / 40).min(2);
            numbers.push(first);
            numbers.push(number.saturating_sub(first.saturating_mul(40)));
        } else {
            numbers.push(number);
        }
    }
    let numbers: Vec<_> = numbers.iter().map(usize::to_string).collect();
    numbers.join(".")
}

/// Escapes what means something in a name, and what a terminal would obey.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (at, character) in text.chars().enumerate() {
        match character {
            '#' if at == 0 => out.push_str("\\#"),
            ' ' if at == 0 || at == last => out.push_str("\\ "),
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => out.extend(['\\', character]),
            control if control.is_control() => {
                for byte in control.encode_utf8(&mut [0; 4]).bytes() {
                    out.push_str(&format!("\\{byte:02x}"));
                }
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::string::{BmpString, Ia5String, PrintableString, TeletexString};
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, date_time_ymd};

    /// Issued by itself, for this name and from one day to another.
    fn certificate(name: &[(DnType, DnValue)], from: (i32, u8, u8), to: (i32, u8, u8)) -> Vec<u8> {
        let mut params = CertificateParams::new(["vault.internal".to_owned()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in name {
            params.distinguished_name.push(kind.clone(), value.clone());
        }
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(to.0, to.1, to.2);
        let signed = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        signed.der().to_vec()
    }

    fn utf8(text: &str) -> DnValue {
        DnValue::Utf8String(text.to_owned())
    }

    fn at(text: &str) -> SystemTime {
        humantime::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn names_are_written_as_rfc_4514_does() {
        let printable = |text| DnValue::PrintableString(PrintableString::try_from(text).unwrap());
        let mail = DnType::CustomDnType(vec![1, 2, 840, 113549, 1, 9, 1]);
        let part = DnType::CustomDnType(vec![0, 9, 2342, 19200300, 100, 1, 25]);
        let other = |last| DnType::CustomDnType(vec![2, 999, 113549, last]);
        let name = [
            (DnType::CountryName, printable("AT")),
            (DnType::OrganizationName, utf8(" a+b, \"c\"<d>;\\e ")),
            (
                DnType::OrganizationalUnitName,
                utf8("#1\u{1b}[2J\u{85}ü \u{7f}"),
            ),
            (
                mail,
                DnValue::Ia5String(Ia5String::try_from("a@b.c").unwrap()),
            ),
            (
                part,
                DnValue::TeletexString(TeletexString::try_from("dc").unwrap()),
            ),
            (other(1), utf8("x")),
            (
                DnType::LocalityName,
                DnValue::BmpString(BmpString::try_from("é").unwrap()),
            ),
            (DnType::CommonName, utf8("vault.internal")),
        ];
        let der = certificate(&name, (2026, 1, 2), (2049, 12, 31));
        let contents = Contents::from_der(&der).unwrap();
        let expected = "CN=vault.internal,L=#1e0200e9,2.999.113549.1=#0c0178,DC=dc,\
                        EMAILADDRESS=a@b.c,OU=\\#1\\1b[2J\\c2\\85ü \\7f,\
                        O=\\ a\\+b\\, \\\"c\\\"\\<d\\>\\;\\\\e\\ ,C=AT";
        assert_eq!(contents.subject, expected);
        assert_eq!(contents.issuer, expected);
    }

    #[test]
    fn dates_are_read_in_both_of_their_forms() {
        for (from, to, begins, ends) in [
            (
                (1970, 1, 1),
                (1999, 12, 31),
                "1970-01-01T00:00:00Z",
                "1999-12-31T00:00:00Z",
            ),
            (
                (2024, 2, 29),
                (2049, 12, 31),
                "2024-02-29T00:00:00Z",
                "2049-12-31T00:00:00Z",
            ),
            (
                (2050, 1, 1),
                (9999, 12, 31),
                "2050-01-01T00:00:00Z",
                "9999-12-31T00:00:00Z",
            ),
        ] {
            let contents = Contents::from_der(&certificate(&[], from, to)).unwrap();
            assert_eq!(contents.not_before, at(begins));
            assert_eq!(contents.not_after, at(ends));
            assert_eq!(contents.subject, "");
        }
        for (tag, text, expected) in [
            (UTC_TIME, "491231235958Z", Some("2049-12-31T23:59:58Z")),
            (UTC_TIME, "991231235959Z", Some("1999-12-31T23:59:59Z")),
            (UTC_TIME, "500101000000Z", None),
            (UTC_TIME, "2601010000Z", None),
            (UTC_TIME, "260101000000+0100", None),
            (UTC_TIME, "261301000000Z", None),
            (UTC_TIME, "éé01010000Z", None),
            (GENERALIZED_TIME, "20260101000000", None),
            (PRINTABLE_STRING, "260101000000Z", None),
        ] {
            assert_eq!(time((tag, text.as_bytes())), expected.map(at), "{text}");
        }
    }

    #[test]
    fn what_ends_too_early_is_no_certificate() {
        let name = [(DnType::CommonName, utf8("a"))];
        let der = certificate(&name, (2026, 1, 1), (2027, 1, 1));
        assert!(Contents::from_der(&der).is_some());
        for length in 0..der.len() {
            assert!(Contents::from_der(&der[..length]).is_none(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(
            bytes: Vec<u8>,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            thread_local! {
                static DER: Vec<u8> = certificate(
                    &[(DnType::CommonName, utf8("a")), (DnType::OrganizationName, utf8("b"))],
                    (2026, 1, 1),
                    (2050, 1, 1),
                );
            }
            let _ = Contents::from_der(&bytes);
            let _ = dotted(&bytes);
            let mut der = DER.with(Clone::clone);
            for (at, byte) in changes {
                let at = at.index(der.len());
                der[at] = byte;
            }
            let _ = Contents::from_der(&der);
        }
    }
}
