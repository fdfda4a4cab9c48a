//! The passwords that attackers try first: the most used ones, and what vendors ship.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Reports whether `password` is a common one, perhaps in other case, with digits or marks put in
/// front or behind, or with digits in the place of letters (`P@ssw0rd123!`).
pub(super) fn is_common(password: &[u8]) -> bool {
    // No entry is longer, and what is appended to one rarely is either.
    if password.len() > 64 {
        return false;
    }
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic();
    let first = password.iter().position(is_letter).unwrap_or(0);
    let end = match password.iter().rposition(is_letter) {
        Some(last) => last.saturating_add(1),
        None => password.len(),
    };
    let variants = [
        Some(password),
        password.get(first..),
        password.get(..end),
        password.get(first..end),
    ];
    ENTRIES.iter().any(|entry| {
        let mut variants = variants.into_iter().flatten();
        variants.any(|variant| variant.len() == entry.len() && begins_with(variant, entry))
    })
}

/// Finds the longest word of at least four letters that `text` begins with.
pub(super) fn word_at(text: &[u8]) -> Option<usize> {
    let first = text.first()?;
    let written_so = BY_FIRST_BYTE
        .iter()
        .filter(|(meant, _)| stands_for(*first, **meant));
    let words = written_so.flat_map(|(_, words)| words);
    let words = words.filter(|word| begins_with(text, word));
    words.map(|word| word.len()).max()
}

static ENTRIES: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let tables = [COMMON, NAMES_AND_PHRASES, VENDORS];
    let entries = tables.into_iter().flat_map(str::split_ascii_whitespace);
    entries.collect()
});

/// The words of at least four letters, [`FURTHER_WORDS`] included.
static BY_FIRST_BYTE: LazyLock<BTreeMap<u8, Vec<&str>>> = LazyLock::new(|| {
    let words = ENTRIES.iter().copied();
    let words = words.chain(FURTHER_WORDS.split_ascii_whitespace());
    let mut by_first: BTreeMap<u8, Vec<&str>> = BTreeMap::new();
    for word in words.filter(|word| word.len() >= 4) {
        if let Some(first) = word.bytes().next() {
            by_first.entry(first).or_default().push(word);
        }
    }
    by_first
});

fn begins_with(text: &[u8], entry: &str) -> bool {
    text.len() >= entry.len() && entry.bytes().zip(text).all(|(e, t)| stands_for(*t, e))
}

/// Reports whether people write `written` where they mean `meant`.
fn stands_for(written: u8, meant: u8) -> bool {
    written.to_ascii_lowercase() == meant
        || matches!(
            (written, meant),
            (b'4' | b'@', b'a')
                | (b'8', b'b')
                | (b'3', b'e')
                | (b'9', b'g')
                | (b'1' | b'!', b'i' | b'l')
                | (b'0', b'o')
                | (b'5' | b'$', b's')
                | (b'7' | b'+', b't')
        )
}

/// The most used passwords of published leaks, in lower case.
const COMMON: &str = "
    password passwort passwd passw pass pwd passcode passphrase motdepasse contrasena
    qwerty qwertyuiop qwertz azerty qazwsx qweasd qweasdzxc asdfgh asdfghjkl zxcvbn zxcvbnm
    asdf qwer zxcv 1qaz2wsx 1q2w3e4r 1q2w3e4r5t q1w2e3r4 zaq12wsx zaq1zaq1 qwe123 123qwe qwer1234
    abc123 abcd1234 a1b2c3 a1b2c3d4 aa123456 1234 12345 123456 1234567 12345678 123456789
    1234567890 123123 123321 112233 121212 654321 666666 696969 7777777 888888 987654321 0987654321
    000000 00000000 111111 11111111 131313 159753 147258369 123654 102030 555555 222222
    123456789012345 1234567890123456 12345678901234567890 111111111111111 000000000000000
    abcdef abcdefg abcdefgh abcdefghi iloveyou loveyou lovely love letmein letmeinnow
    welcome welcome1 monkey dragon master sunshine princess football baseball basketball soccer
    hockey superman batman spiderman pokemon starwars trustno1 shadow michael jordan
    jennifer hunter hunter2 killer pepper ginger cookie banana cheese chocolate summer winter
    spring autumn flower freedom whatever computer internet samsung google apple facebook linkedin
    myspace amazon yahoo youtube hello hello123 hellohello charlie donald
    access mustang ranger buster tigger thomas robert jessica ashley nicole daniel andrew joshua
    matthew anthony george maggie peanut silver golden purple orange yellow diamond phoenix
    falcon eagle tiger lion wolf panther cowboy yankees lakers arsenal liverpool chelsea
    manchester barcelona juventus ferrari porsche corvette mercedes harley yamaha honda toyota
    matrix merlin gandalf hobbit wizard ninja samurai knight warrior maverick
    nothing secret secrets private blink182 zaqwsx qwaszx fuckyou asshole biteme
    bailey lovers babygirl sweety angel angels jesus christ heaven blessed
";

/// Phrases and doubled words that are long enough to look like a choice.
const NAMES_AND_PHRASES: &str = "
    passwordpassword password1password passwordadmin adminpassword mypassword mypasswd
    thisismypassword thisisapassword thisisasecret thisismysecret thepassword apassword newpassword
    oldpassword yourpassword ourpassword nopassword emptypassword defaultpassword
    databasepassword dbpassword rootpassword userpassword
    testpassword temppassword temporarypassword initialpassword secretpassword strongpassword
    securepassword supersecurepassword superpassword supersecret supersecretpassword
    verysecret verysecretpassword verystrongpassword verysecurepassword topsecret
    letmeinplease openthedoor opensesame iloveyouforever
    correcthorsebatterystaple correct-horse-battery-staple troubador&3 troubadour
    qwertyuiopasdfgh qwertyuiopasdfghjkl qwertyuiopasdfghjklzxcvbnm
    asdfghjklqwertyuiop administrator123 adminadminadmin rootrootroot testtesttest
    welcometomycompany welcomehome welcomeback companyname companypassword
    summertime wintertime springtime ilovemycompany
    maytheforcebewithyou tobeornottobe thequickbrownfox
    thequickbrownfoxjumpsoverthelazydog loremipsum loremipsumdolor loremipsumdolorsitamet
    neverguessthis youwillneverguess youcanttouchthis guessmypassword
";

/// What databases, brokers, appliances and tutorials come with, in lower case.
const VENDORS: &str = "
    admin administrator adminadmin admin123 admin1234 administrador root toor rootroot root123
    user username default guest test tester testing test123 test1234 testtest demo sample temp
    temporary changeit support service operator manager supervisor superuser sysadmin sysdba system
    oracle scott sys change_on_install manager1 dbadmin dba dbpass dbuser
    postgres postgresql pgadmin pgpassword mysql mariadb mssql sqlserver mongo mongodb mongoadmin
    redis memcached cassandra couchbase couchdb elastic elasticsearch kibana logstash opensearch
    influxdb neo4j clickhouse cockroach rabbit rabbitmq activemq artemis kafka zookeeper mosquitto
    nats minio minioadmin minio123 accesskey secretkey rustfs grafana prometheus zabbix nagios icinga
    jenkins gitlab gitea github sonar sonarqube nexus artifactory keycloak vault consul nomad
    tomcat s3cret jboss wildfly weblogic weblogic1 websphere glassfish manageradmin
    airflow superset metabase superadmin odoo wordpress somewordpress joomla drupal magento
    nextcloud owncloud ubuntu debian centos raspberry vagrant ansible docker portainer kubernetes
    rancher harbor harbor12345 calvin ubnt cisco juniper netgear linksys dlink tplink mikrotik
    huawei zyxel hikvision hik12345 dahua ipcam xc3511 vizxv anko juantech klv123 klv1234
    hi3518 jvbzd zlxx 7ujmko0admin 7ujmko0vizxv system123 realtek
    smcadmin epicrouter motorola synnet fortinet paloalto sophos barracuda
    mysecretpassword my-secret-pw my-secret-password yourstrong(!)password yourstrong@passw0rd
    yourstrong#pass secure_password p@ssw0rd example examplepass example-password
    pa55word pass@word1 password@123 admin@123 p@ssw0rd! root@123 test@123 welcome@123
    localhost local devpassword development staging production dev prod stage qa uat
    nobody anonymous public none null nil undefined blank empty
";

/// Further words that made-up secrets consist of.
const FURTHER_WORDS: &str = "
    token tokens auth authentication authorization bearer client server session cookie signing
    signature encryption encrypt decrypt cipher master primary secondary internal external
    backend frontend database application webhook callback endpoint gateway partner payment
    payments billing customer account company project random string value super very long short
    simple strong secure insecure weak safe hidden please this that with from into your mine
    must should replace changed update insert enter here fake dummy mock stub placeholder
    only testkey apikey key1 jwts hmac json rotate rotation deadbeef cafebabe feedface badc0ffee
    january february march april june july august september october november december
    monday tuesday wednesday thursday friday saturday sunday
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_large_lower_case_and_without_doubles() {
        let mut all = ENTRIES.clone();
        assert!(all.len() >= 400, "{}", all.len());
        for entry in &all {
            assert_eq!(*entry, entry.to_ascii_lowercase());
        }
        all.sort_unstable();
        let doubled: Vec<_> = all.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(doubled.is_empty(), "{doubled:?}");
    }

    #[test]
    fn knows_variants() {
        for password in [
            "password",
            "PASSWORD",
            "P@ssw0rd",
            "Passw0rd123456!",
            "2024password",
            "123Admin!!!",
            "4dm1n1str4t0r",
            "correcthorsebatterystaple",
            "1234567890123456",
            "postgres2024!!!!",
            "MyS3cretPassw0rd",
            "yourStrong(!)Password",
        ] {
            assert!(is_common(password.as_bytes()), "{password}");
        }
    }

    #[test]
    fn leaves_others_alone() {
        for password in [
            "",
            "brisk-otter-velvet-canyon",
            "Tz7#mQ9!xL2$vB5",
            "passwordless-life",
        ] {
            assert!(!is_common(password.as_bytes()), "{password}");
        }
    }

    #[test]
    fn finds_the_longest_word() {
        assert_eq!(word_at(b"passwordpasswordx"), Some(16));
        assert_eq!(word_at(b"s3cret-"), Some(6));
        assert_eq!(word_at(b"pwd"), None);
    }
}
