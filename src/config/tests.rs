// SPDX-License-Identifier: GPL-2.0-or-later
//! Configurations as operators write them.

use super::*;

fn config(parameters: &[(&str, &str)]) -> Config {
    let mut config = Config::default();
    for (name, value) in parameters {
        config
            .set(name, value)
            .unwrap_or_else(|error| panic!("{name} {error}"));
    }
    config
}

fn fault(parameters: &[(&str, &str)]) -> String {
    config(parameters).finish().unwrap_err().to_string()
}

#[test]
fn every_parameter_is_taken() {
    let values = [
        ("ca_list", "/etc/stox/ca.pem"),
        ("certificate", "/etc/stox/sip.example.pem"),
        (
            "component",
            "domain=sip.example;host=localhost;port=5347;secret=s",
        ),
        ("contact", "[::1]:5060"),
        ("credential", "realm=b.example;user=gateway;password=hidden"),
        ("dialback", "off"),
        ("event_callback", "ksr_stox_event"),
        ("expires_max", "600"),
        ("expires_min", "30"),
        ("gwmap", "xmpp:xmpp.example=chat.example"),
        ("handshake_timeout", "7"),
        ("link_idle", "0"),
        ("listen", "[::]:5269"),
        ("listen_tls", "192.0.2.1:5270"),
        ("max_address_attempts", "21"),
        ("max_address_connections", "22"),
        ("max_body", "1000"),
        ("max_connections", "23"),
        ("max_dialbacks", "24"),
        ("max_dialogs", "10"),
        ("max_domain_dialogs", "11"),
        ("max_domain_messages", "27"),
        ("max_domain_stanzas", "25"),
        ("max_domain_subscribes", "12"),
        ("max_handshake", "2000"),
        ("max_link_queue", "70000"),
        ("max_links", "26"),
        ("max_pidf", "3000"),
        ("max_pidf_notes", "13"),
        ("max_pidf_tuples", "14"),
        ("max_stanza", "10000"),
        ("max_user_dialogs", "15"),
        ("max_user_messages", "28"),
        ("max_user_subscribes", "16"),
        ("max_xml_attributes", "17"),
        ("max_xml_depth", "18"),
        ("max_xml_name", "190"),
        ("max_xml_namespaces", "20"),
        ("message_answer", "202"),
        ("message_max", "5000"),
        ("notify_interval", "0"),
        ("notify_resources", "apart"),
        ("outbound_proxy", "sip:127.0.0.1:5060;transport=tcp"),
        ("pending_max", "86400"),
        ("ports", "2"),
        ("private_key", "/etc/stox/sip.example.key"),
        ("probe_timeout", "3"),
        ("resolver", "192.0.2.53"),
        ("restart_backoff", "0"),
        ("sip_domain", "Sip.Example"),
        ("store", "sqlite:/tmp/x.db"),
        ("tel", "+1201=sip.example"),
        ("threads", "4"),
        ("watch_calls", "1"),
        ("watcher_idle", "86400"),
        ("xmpp_allow", "*"),
        ("xmpp_deny", "*.bad.example"),
    ];
    let names: Vec<_> = PARAMETERS.iter().map(|parameter| parameter.name).collect();
    assert_eq!(
        names,
        values.map(|(name, _)| name),
        "and the table is in order"
    );
    for (parameter, (_, value)) in PARAMETERS.iter().zip(values) {
        assert_eq!(
            parameter.integer,
            value.parse::<u32>().is_ok(),
            "{}",
            parameter.name
        );
    }
    let config = config(&values);
    assert_eq!(config.finish(), Ok(()));
    assert_eq!(config.sip_domains, ["sip.example"]);
    assert_eq!(config.contacts[0].to_string(), "[::1]:5060");
    assert_eq!(config.event_callback.as_deref(), Some("ksr_stox_event"));
    assert_eq!(
        config.outbound_proxy.as_deref(),
        Some("sip:127.0.0.1:5060;transport=tcp")
    );
    assert_eq!(config.store, PathBuf::from("/tmp/x.db"));
    assert_eq!(
        (config.ports, config.threads, config.restart_backoff),
        (2, 4, false)
    );
    assert_eq!((config.expires_min, config.expires_max), (30, 600));
    assert_eq!(
        (config.max_dialogs, config.max_stanza, config.probe_timeout),
        (10, 10_000, 3)
    );
    assert_eq!((config.watcher_idle, config.watch_calls), (86_400, true));
    assert_eq!(config.credentials[0].user, "gateway");
    assert_eq!((config.components.len(), config.xmpp_deny.len()), (1, 1));
    assert_eq!((config.handshake_timeout, config.max_handshake), (7, 2000));
    assert_eq!((config.max_body, config.notify_interval), (1000, 0));
    assert_eq!(config.pending_max, 86_400);
    assert_eq!(
        (config.max_user_dialogs, config.max_domain_dialogs),
        (15, 11)
    );
    assert_eq!(
        (config.max_user_subscribes, config.max_domain_subscribes),
        (16, 12)
    );
    assert_eq!(
        (config.max_user_messages, config.max_domain_messages),
        (28, 27)
    );
    assert_eq!((config.message_answer, config.message_max), (202, 5000));
    assert_eq!(config.listen, ["[::]:5269".parse().unwrap()]);
    assert_eq!(config.listen_tls, ["192.0.2.1:5270".parse().unwrap()]);
    assert_eq!(config.resolvers, ["192.0.2.53:53".parse().unwrap()]);
    assert_eq!((config.dialback, config.link_idle), (Dialback::Off, 0));
    assert_eq!(config.notify_resources, NotifyResources::Apart);
    assert_eq!(
        [
            config.certificates,
            config.private_keys,
            config.ca_list.into_iter().collect()
        ],
        [
            "/etc/stox/sip.example.pem",
            "/etc/stox/sip.example.key",
            "/etc/stox/ca.pem"
        ]
        .map(|path| vec![PathBuf::from(path)])
    );
    assert_eq!(
        [
            config.max_address_attempts,
            config.max_address_connections,
            config.max_connections,
            config.max_dialbacks,
            config.max_domain_stanzas,
            config.max_links,
        ],
        [21, 22, 23, 24, 25, 26]
    );
    assert_eq!(config.max_link_queue, 70_000);
    let pidf = pidf::Limits {
        bytes: 3000,
        tuples: 14,
        notes: 13,
    };
    let xml = Shape {
        depth: 18,
        attributes: 17,
        namespaces: 20,
        name: 190,
    };
    assert_eq!((config.pidf, config.xml), (pidf, xml));
}

#[test]
fn faulty_values_are_refused_in_words() {
    for (name, value, words) in [
        ("ports", "17", "from 1 to 16, not \"17\""),
        ("ports", "+1", "from 1 to 16"),
        ("threads", "", "from 1 to 16"),
        ("restart_backoff", "2", "from 0 to 1"),
        ("expires_min", "-1", "from 1 to 86400"),
        ("max_stanza", "9999", "from 10000 to 16777216"),
        ("max_dialogs", "99999999999999999999", "from 1 to 10000000"),
        ("max_dialogs", "0", "from 1 to 10000000"),
        ("max_user_dialogs", "10000001", "from 0 to 10000000"),
        ("max_domain_dialogs", "-1", "from 0 to 10000000"),
        ("max_user_subscribes", "100001", "from 0 to 100000"),
        ("max_domain_subscribes", "x", "from 0 to 100000"),
        ("max_user_messages", "100001", "from 0 to 100000"),
        ("max_domain_messages", "x", "from 0 to 100000"),
        ("message_answer", "201", "200 or 202"),
        ("message_max", "1299", "from 1300 to 60000"),
        ("notify_interval", "301", "from 0 to 300"),
        ("pending_max", "59", "from 60 to 31536000"),
        ("max_body", "65537", "from 512 to 65536"),
        ("max_pidf", "0", "from 512 to 65536"),
        ("max_pidf_tuples", "0", "from 1 to 256"),
        ("max_pidf_notes", "257", "from 0 to 256"),
        ("max_xml_depth", "257", "from 8 to 256"),
        ("max_xml_attributes", "7", "from 8 to 1024"),
        ("max_xml_namespaces", "3", "from 4 to 128"),
        ("max_xml_name", "63", "from 64 to 4096"),
        ("max_handshake", "1023", "from 1024 to 65536"),
        ("handshake_timeout", "0", "from 1 to 300"),
        ("max_links", "0", "from 1 to 100000"),
        ("max_connections", "0", "from 1 to 100000"),
        ("max_address_connections", "100001", "from 0 to 100000"),
        ("max_address_attempts", "-1", "from 0 to 100000"),
        ("max_dialbacks", "0", "from 1 to 10000"),
        ("max_link_queue", "65535", "from 65536 to 1073741824"),
        ("max_domain_stanzas", "x", "from 0 to 100000"),
        ("link_idle", "86401", "from 0 to 86400"),
        ("listen", "5269", "ADDRESS:PORT"),
        ("listen", "192.0.2.1", "ADDRESS:PORT"),
        ("listen", "192.0.2.1:0", "ADDRESS:PORT"),
        ("listen", "::1:5269", "ADDRESS:PORT"),
        ("listen_tls", "xmpp.example:5270", "ADDRESS:PORT"),
        ("certificate", "sip.example.pem", "absolute path"),
        ("private_key", "/etc/", "absolute path"),
        ("ca_list", "", "absolute path"),
        ("dialback", "on", "\"off\" or \"tls\""),
        ("notify_resources", "all", "\"together\" or \"apart\""),
        ("resolver", "dns.example", "ADDRESS:PORT"),
        ("resolver", "192.0.2.53:0", "ADDRESS:PORT"),
        ("sip_domain", "a b", "domain name"),
        ("sip_domain", "xn--ü.example", "domain name"),
        ("tel", "1201=sip.example", "+FIRST-DIGITS=DOMAIN"),
        ("gwmap", "a=b", "sip:DOMAIN=NAME-ON-XMPP"),
        ("xmpp_allow", "a.*", "*.DOMAIN"),
        ("contact", "a.example", "HOST:PORT"),
        ("contact", "a.example:5060;transport=pigeon", "HOST:PORT"),
        ("contact", "a.example:5060;lr", "HOST:PORT"),
        ("contact", "u@a.example:5060", "HOST:PORT"),
        ("event_callback", "", "name of a function"),
        ("event_callback", "two words", "name of a function"),
        ("outbound_proxy", "127.0.0.1", "SIP URI"),
        ("outbound_proxy", "tel:1", "SIP URI"),
        ("store", "sqlite:x.db", "sqlite:/ABSOLUTE/PATH"),
        ("store", "postgres://u:p@h/db", "only store supported"),
        ("credential", "gateway:hidden", "realm=...;user=..."),
        ("watch_calls", "2", "from 0 to 1"),
        ("watcher_idle", "31536001", "from 0 to 31536000"),
        ("no_such", "1", "not a parameter"),
    ] {
        let error = Config::default().set(name, value).unwrap_err().to_string();
        assert!(error.contains(words), "{name}={value}: {error}");
    }
}

#[test]
fn the_last_value_wins_and_lists_grow() {
    let config = config(&[
        ("ports", "2"),
        ("ports", "3"),
        ("sip_domain", "a"),
        ("sip_domain", "b"),
    ]);
    assert_eq!((config.ports, config.sip_domains.len()), (3, 2));
}

#[test]
fn a_realm_has_one_credential() {
    let mut config = config(&[("credential", "realm=a.example;user=u;password=first")]);
    let other = config.set("credential", "realm=b.example;user=u;password=p");
    assert_eq!(other, Ok(()));
    let again = config.set("credential", "realm=a.example;user=v;password=hidden");
    let words = again.unwrap_err().to_string();
    assert!(words.contains("twice for one realm"), "{words}");
    assert!(!words.contains("hidden"), "{words}");
    assert_eq!(config.credentials.len(), 2);
}

#[test]
fn a_name_means_one_domain() {
    let sip = ("sip_domain", "a.example");
    let allow = ("xmpp_allow", "a.example");
    let sip_alias = ("gwmap", "sip:a.example=phones.example");
    let xmpp_alias = ("gwmap", "xmpp:a.example=chat.example");
    assert!(fault(&[]).contains("no sip_domain"));
    assert!(fault(&[sip, allow]).contains("gwmap \"sip:a.example="));
    assert!(fault(&[sip, allow, sip_alias]).contains("gwmap \"xmpp:a.example="));
    assert!(fault(&[sip, allow, xmpp_alias]).contains("gwmap \"sip:a.example="));
    assert!(fault(&[sip, ("gwmap", "sip:b.example=c.example")]).contains("no sip_domain"));
    assert!(fault(&[sip, sip_alias, ("sip_domain", "phones.example")]).contains("another one"));
    assert!(fault(&[sip, ("gwmap", "xmpp:b.example=a.example")]).contains("xmpp:b.example="));

    let both = config(&[sip, allow, sip_alias, xmpp_alias]);
    assert_eq!(both.finish(), Ok(()));
    assert!(both.is_sip_domain("A.example") && both.serves_xmpp_domain("a.Example"));
    assert!(!both.serves_xmpp_domain("phones.example"));
}

#[test]
fn components_serve_sip_domains() {
    let sip = ("sip_domain", "a.example");
    let component = (
        "component",
        "domain=phones.example;host=h;port=1;secret=hidden",
    );
    assert!(fault(&[sip, component]).contains("component \"phones.example\" is not the name"));
    let alias = ("gwmap", "sip:a.example=phones.example");
    assert_eq!(config(&[sip, alias, component]).finish(), Ok(()));
    assert!(fault(&[sip, alias, component, component]).contains("twice"));
}

const LISTEN: (&str, &str) = ("listen", "192.0.2.1:5269");
const CERTIFICATE: (&str, &str) = ("certificate", "/a.pem");
const KEY: (&str, &str) = ("private_key", "/a.key");

#[test]
fn servers_that_connect_need_a_certificate_with_its_key() {
    let sip = ("sip_domain", "a.example");
    assert!(fault(&[sip, LISTEN]).contains("need a certificate"));
    let tls = ("listen_tls", "192.0.2.1:5270");
    assert!(fault(&[sip, tls]).contains("need a certificate"));
    assert!(fault(&[sip, LISTEN, CERTIFICATE]).contains("private_key 0 times"));
    assert!(fault(&[sip, KEY]).contains("certificate is set 0 times"));
    assert_eq!(
        config(&[sip, LISTEN, tls, CERTIFICATE, KEY]).finish(),
        Ok(())
    );
    let same = ("listen_tls", "192.0.2.1:5269");
    assert!(fault(&[sip, LISTEN, same, CERTIFICATE, KEY]).contains("twice"));
    assert_eq!(config(&[sip, CERTIFICATE, KEY]).finish(), Ok(()));
}

#[test]
fn a_domain_goes_by_its_component_else_from_server_to_server() {
    let common = [
        ("sip_domain", "a.example"),
        ("sip_domain", "b.example"),
        ("gwmap", "sip:a.example=phones.example"),
        (
            "component",
            "domain=phones.example;host=h;port=1;secret=hidden",
        ),
    ];
    let without = config(&common);
    let with = config(&[&common[..], &[LISTEN, CERTIFICATE, KEY]].concat());
    assert_eq!(with.finish(), Ok(()));
    assert!(with.uses_s2s() && !without.uses_s2s());
    for (local, over_component) in [("phones.example", true), ("b.example", false)] {
        let component = LinkName::component(local);
        assert_eq!(without.link(local, "x.example"), component);
        let link = with.link(local, "x.example");
        let expected = if over_component {
            component
        } else {
            LinkName::s2s(local, "x.example")
        };
        assert_eq!(link, expected);
    }
    let local: Vec<_> = with.local_domains().collect();
    assert_eq!(local, ["phones.example", "b.example"]);
    assert_eq!(with.s2s_domains().collect::<Vec<_>>(), ["b.example"]);
    assert_eq!(without.s2s_domains().count(), 0);
}

#[test]
fn limits_must_be_in_order() {
    let sip = ("sip_domain", "a.example");
    assert!(fault(&[sip, ("expires_max", "59")]).contains("expires_min (60) is above"));
}

#[test]
fn a_number_is_of_a_domain_that_is_served() {
    let common = [("sip_domain", "a.example"), ("xmpp_allow", "b.example")];
    let with = |line| [&common[..], &[("tel", line)]].concat();
    for line in ["+1=a.example", "+1=b.example"] {
        assert_eq!(config(&with(line)).finish(), Ok(()));
    }
    assert!(fault(&with("+1=c.example")).contains("\"c.example\", which is no sip_domain"));
}

#[test]
fn a_domain_is_written_in_either_alphabet() {
    for (sip, xmpp) in [
        ("büro.example", "bücher.example"),
        ("xn--bro-hoa.example", "XN--bcher-kva.example"),
    ] {
        let common = [
            ("sip_domain", sip),
            ("xmpp_allow", "*"),
            ("xmpp_deny", xmpp),
        ];
        let denied = config(&common);
        assert!(denied.serves_xmpp_domain("ü.example") && denied.serves_sip_name("büro.example"));
        assert_eq!(denied.sip_domains, ["xn--bro-hoa.example"]);
        assert_eq!(denied.local_domains().collect::<Vec<_>>(), ["büro.example"]);
        for name in ["bücher.example", "xn--bcher-kva.example", "xn--a"] {
            assert!(!denied.serves_xmpp_domain(name), "{name}");
        }
        let both = config(&[("sip_domain", sip), ("xmpp_allow", sip)]);
        assert!(both.finish().is_err(), "one domain, two meanings");
    }
}

/// Both worlds have users in one domain (RFC 7247 §4); each sees the other's under a name of its own.
#[test]
fn one_domain_may_be_on_both_sides_if_each_sees_the_others_under_another_name() {
    let both = config(&[
        ("sip_domain", "a.example"),
        ("xmpp_allow", "a.example"),
        ("gwmap", "sip:a.example=phones.a.example"),
        ("gwmap", "xmpp:a.example=chat.a.example"),
    ]);
    assert_eq!(both.finish(), Ok(()));
    assert!(both.serves_xmpp_domain("a.example") && both.is_sip_domain("a.example"));
    assert!(both.serves_name_on_sip("chat.a.example") && !both.serves_name_on_sip("a.example"));
    assert!(both.serves_sip_name("phones.a.example") && !both.serves_sip_name("a.example"));
}

#[test]
fn served_are_allowed_domains_that_are_not_denied() {
    let config = config(&[
        ("sip_domain", "sip.example"),
        ("xmpp_allow", "*"),
        ("xmpp_deny", "*.bad.example"),
    ]);
    assert!(config.serves_xmpp_domain("xmpp.example"));
    assert!(!config.serves_xmpp_domain("x.BAD.example"));
    assert!(!config.serves_xmpp_domain("192.0.2.1"));
    assert!(!config.serves_xmpp_domain("[2001:db8::1]"));
    assert!(!config.serves_xmpp_domain("SIP.example"));
    assert!(!Config::default().serves_xmpp_domain("xmpp.example"));
}
