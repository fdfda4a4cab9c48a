//! One certificate: whose it is, who signed it, and how long it lasts.

use std::time::{Duration, SystemTime};

use crate::examination::Check;

mod contents;

use contents::Contents;

const DAY: u64 = 24 * 60 * 60;

/// From how many days before its end on it should be replaced.
const SOON: u64 = 21;

/// Judges the time that a certificate has left.
pub(in crate::backends::vault) fn judge(subject: &str, der: &[u8], now: SystemTime) -> Check {
    let Some(contents) = Contents::from_der(der) else {
        return Check::warning(subject, "it can't be read, so its end is not known");
    };
    let (begins, ends) = (contents.not_before, contents.not_after);
    let signed = match contents.subject == contents.issuer {
        true => "signed by itself".to_owned(),
        false => format!("signed by {}", named(&contents.issuer)),
    };
    let whose = format!("{}, {signed}", named(&contents.subject));
    let date = |moment| {
        let shown = humantime::format_rfc3339_seconds(moment).to_string();
        shown.split('T').next().unwrap_or_default().to_owned()
    };
    let renew = "have it renewed, and check what should have done so by itself";
    let Ok(left) = ends.duration_since(now) else {
        let ended = now.duration_since(ends).unwrap_or_default();
        let detail = format!("{whose}: ended {} ago, on {}", days(ended), date(ends));
        return Check::failed(subject, detail).with_help(renew);
    };
    if begins > now {
        let detail = format!("{whose}: begins on {} only", date(begins));
        return Check::failed(subject, detail).with_help("check this machine's clock");
    }
    let detail = format!("{whose}: ends in {}, on {}", days(left), date(ends));
    match left.as_secs() < SOON.saturating_mul(DAY) {
        true => Check::warning(subject, detail).with_help(renew),
        false => Check::ok(subject, detail),
    }
}

fn named(name: &str) -> &str {
    if name.is_empty() {
        "nobody named"
    } else {
        name
    }
}

fn days(time: Duration) -> String {
    match time.as_secs().checked_div(DAY).unwrap_or_default() {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examination::CheckOutcome;

    /// Valid from 2026-01-01 to 2026-12-31.
    const PEM: &str = "\
        -----BEGIN CERTIFICATE-----\n\
        MIIBPjCB5AIBATAKBggqhkjOPQQDAjArMRAwDgYDVQQKDAdFeGFtcGxlMRcwFQYD\n\
        VQQDDA52YXVsdC5pbnRlcm5hbDAeFw0yNjAxMDEwMDAwMDBaFw0yNjEyMzEwMDAw\n\
        MDBaMCsxEDAOBgNVBAoMB0V4YW1wbGUxFzAVBgNVBAMMDnZhdWx0LmludGVybmFs\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAG+m9Q67mq3gCxB9Vq2KOnx3IpLt\n\
        gxW87kmlatE9RXJxYvd04AXPn9H6v/qizZ2AB8I/5ysdH8yLY0srUXygZjAKBggq\n\
        hkjOPQQDAgNJADBGAiEAkMX63mmG048p1nk+ENcfBJ5NbEyaWLtI5eg7OvMQTKAC\n\
        IQD4szIyC5yWcC14DK6c0sdfqMlsVFNRLHGducnXByiA9w==\n\
        -----END CERTIFICATE-----";

    fn judged(at: &str) -> Check {
        use rustls::pki_types::pem::PemObject as _;
        let der = rustls::pki_types::CertificateDer::from_pem_slice(PEM.as_bytes()).unwrap();
        judge("certificate", &der, humantime::parse_rfc3339(at).unwrap())
    }

    #[test]
    fn warns_before_the_end_and_fails_behind_it() {
        for (at, outcome, said) in [
            (
                "2026-06-01T00:00:00Z",
                CheckOutcome::Ok,
                "ends in 213 days, on 2026-12-31",
            ),
            ("2026-12-09T23:00:00Z", CheckOutcome::Ok, "ends in 21 days"),
            (
                "2026-12-11T00:00:00Z",
                CheckOutcome::Warning,
                "ends in 20 days",
            ),
            (
                "2026-12-30T12:00:00Z",
                CheckOutcome::Warning,
                "ends in less than a day",
            ),
            (
                "2027-01-02T00:00:00Z",
                CheckOutcome::Failed,
                "ended 2 days ago",
            ),
            (
                "2025-12-01T00:00:00Z",
                CheckOutcome::Failed,
                "begins on 2026-01-01 only",
            ),
        ] {
            let check = judged(at);
            assert_eq!(check.outcome, outcome, "{at}: {}", check.detail);
            assert!(check.detail.contains(said), "{at}: {}", check.detail);
            assert!(
                check.detail.contains("CN=vault.internal"),
                "{}",
                check.detail
            );
        }
        let check = judge("certificate", b"no certificate", SystemTime::now());
        assert_eq!(check.outcome, CheckOutcome::Warning);
    }
}
