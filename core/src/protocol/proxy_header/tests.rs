use super::*;
use ppp::{HeaderResult, PartialResult, v1, v2};
use proptest::prelude::*;

fn client(source: &str, destination: &str) -> Announced {
    Announced::Client { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

/// A header of version 2 with this command, family, and what follows the length.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, rest].concat()
}

const V4: [u8; 12] = [203, 0, 113, 9, 10, 0, 0, 1, 0xd4, 0x31, 0x01, 0xbb];

/// Reads it whole, cut after every byte, and with more behind it.
fn check(bytes: &[u8], announced: Announced) {
    let text = bytes.escape_ascii();
    for end in 0..bytes.len() {
        assert_eq!(parse_proxy_header(&bytes[..end]), Ok(None), "{end} bytes of {text}");
    }
    let expected = Ok(Some(ProxyHeader { announced, length: bytes.len() }));
    for more in [&b""[..], b"\n", b"GET / HTTP/1.1\r\n\r\n", b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n", &[0; 9000]] {
        assert_eq!(parse_proxy_header(&[bytes, more].concat()), expected, "{text}");
    }
}

#[test]
fn a_line_names_client_and_destination() {
    check(b"PROXY TCP4 203.0.113.9 10.0.0.1 54321 443\r\n", client("203.0.113.9:54321", "10.0.0.1:443"));
    check(b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", client("0.0.0.0:0", "255.255.255.255:65535"));
    check(b"PROXY TCP6 2001:db8::9 ::1 54321 443\r\n", client("[2001:db8::9]:54321", "[::1]:443"));
    let full = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let longest = format!("PROXY TCP6 {full} {full} 65535 65535\r\n");
    check(longest.as_bytes(), client(&format!("[{full}]:65535"), &format!("[{full}]:65535")));
    check(b"PROXY UNKNOWN\r\n", Announced::Nobody);
    let longest = format!("PROXY UNKNOWN {full} {full} 65535 65535\r\n");
    assert_eq!(longest.len(), 107, "as the specification counts");
    check(longest.as_bytes(), Announced::Nobody);
    check(b"PROXY UNKNOWN what\0ever \xff\r\n", Announced::Nobody);
}

#[test]
fn a_line_that_is_not_as_written_down_is_refused() {
    for line in [
        "PROXY TCP4 203.0.113.9 10.0.0.1 54321 443\n",
        "PROXY TCP4  203.0.113.9 10.0.0.1 54321 443\r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 54321 443 \r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 54321\r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 54321 443 1\r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 +1 443\r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 -1 443\r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 01 443\r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 1 65536\r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 1 \r\n",
        "PROXY TCP4 203.0.113.09 10.0.0.1 1 443\r\n",
        "PROXY TCP4 203.0.113 10.0.0.1 1 443\r\n",
        "PROXY TCP4 ::1 ::1 1 443\r\n",
        "PROXY TCP6 203.0.113.9 10.0.0.1 1 443\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 1 443\r\n",
        "PROXY tcp4 203.0.113.9 10.0.0.1 1 443\r\n",
        "PROXY UDP4 203.0.113.9 10.0.0.1 1 443\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY UNKNOWN\n",
        "PROXY \r\n",
        "PROXY TCP4\r 203.0.113.9 10.0.0.1 1 443\r\n",
    ] {
        let read = parse_proxy_header(line.as_bytes());
        assert!(matches!(read, Err(ProxyHeaderError::Malformed(_))), "{line:?}: {read:?}");
    }
    let endless = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 93]].concat();
    assert!(matches!(parse_proxy_header(&endless), Err(ProxyHeaderError::Malformed(_))), "107 bytes without an end");
    assert_eq!(parse_proxy_header(&endless[..106]), Ok(None));
}

#[test]
fn a_binary_header_names_client_and_destination_and_its_tlvs_are_passed_over() {
    let told = client("203.0.113.9:54321", "10.0.0.1:443");
    check(&binary(0x21, 0x11, &V4), told);
    check(&binary(0x21, 0x11, &[&V4[..], &[0x03, 0, 4, 1, 2, 3, 4]].concat()), told);
    check(&binary(0x21, 0x11, &[&V4[..], &[0xff; 4068]].concat()), told);
    let mut v6 = [0; 36];
    (v6[0], v6[15], v6[31], v6[33], v6[35]) = (0x20, 9, 1, 80, 81);
    check(&binary(0x21, 0x21, &v6), client("[2000::9]:80", "[::1]:81"));
}

#[test]
fn a_sender_that_speaks_for_itself_or_cannot_tell_announces_nobody() {
    check(&binary(0x20, 0x00, b""), Announced::Nobody);
    check(&binary(0x20, 0x11, &V4), Announced::Nobody);
    // Its family is not even looked at.
    check(&binary(0x20, 0xff, b"x"), Announced::Nobody);
    check(&binary(0x21, 0x00, b""), Announced::Nobody);
    check(&binary(0x21, 0x00, &[7; 99]), Announced::Nobody);
    check(&binary(0x21, 0x12, &V4), Announced::Nobody);
    check(&binary(0x21, 0x31, &[0; 216]), Announced::Nobody);
}

#[test]
fn a_binary_header_that_is_not_as_written_down_is_refused_at_its_first_wrong_byte() {
    let refused = |bytes: &[u8], wrong: usize| {
        assert_eq!(parse_proxy_header(&bytes[..wrong]), Ok(None), "{}", bytes.escape_ascii());
        let read = parse_proxy_header(&bytes[..=wrong]);
        assert!(matches!(read, Err(ProxyHeaderError::Malformed(_))), "{}: {read:?}", bytes.escape_ascii());
    };
    for command in [0x01, 0x11, 0x22, 0x2f, 0x31] {
        refused(&binary(command, 0x11, &V4), 12);
    }
    for (family, rest) in [(0x41, 500), (0x13, 12), (0x11, 11), (0x21, 35), (0x31, 215), (0x11, 4081), (0x00, 65535)] {
        refused(&binary(0x21, family, &vec![0; rest]), 15);
    }
    refused(&binary(0x20, 0x00, &[0; 4081]), 15);
}

#[test]
fn what_is_no_header_is_told_at_its_first_byte_that_differs() {
    for (bytes, known_after) in [
        (&b"GET / HTTP/1.1\r\n"[..], 1),
        (b"\x16\x03\x01", 1),
        (b"PRI * HTTP/2.0\r\n", 3),
        (b"POST / HTTP/1.1\r\n", 2),
        (b"PROXY\tTCP4", 6),
        (b"proxy TCP4", 1),
        (b"\r\nGET", 3),
        (b"\r\n\r\n\0\r\nQUIT\r", 12),
    ] {
        assert_eq!(parse_proxy_header(&bytes[..known_after - 1]), Ok(None), "{}", bytes.escape_ascii());
        let read = parse_proxy_header(&bytes[..known_after]);
        assert_eq!(read, Err(ProxyHeaderError::Missing), "{}", bytes.escape_ascii());
    }
}

/// What the `ppp` crate makes of it.
fn other(bytes: &[u8]) -> Result<Option<ProxyHeader>, ()> {
    let client = |source, destination| Announced::Client { source, destination };
    match HeaderResult::parse(bytes) {
        result if result.is_incomplete() => Ok(None),
        HeaderResult::V1(Ok(header)) => {
            let announced = match header.addresses {
                v1::Addresses::Unknown => Announced::Nobody,
                v1::Addresses::Tcp4(a) => {
                    client((a.source_address, a.source_port).into(), (a.destination_address, a.destination_port).into())
                }
                v1::Addresses::Tcp6(a) => {
                    client((a.source_address, a.source_port).into(), (a.destination_address, a.destination_port).into())
                }
            };
            Ok(Some(ProxyHeader { announced, length: header.header.len() }))
        }
        HeaderResult::V2(Ok(header)) => {
            let told = header.command == v2::Command::Proxy && header.protocol == v2::Protocol::Stream;
            let announced = match header.addresses {
                v2::Addresses::IPv4(a) if told => {
                    client((a.source_address, a.source_port).into(), (a.destination_address, a.destination_port).into())
                }
                v2::Addresses::IPv6(a) if told => {
                    client((a.source_address, a.source_port).into(), (a.destination_address, a.destination_port).into())
                }
                _ => Announced::Nobody,
            };
            Ok(Some(ProxyHeader { announced, length: header.as_bytes().len() }))
        }
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => Err(()),
    }
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![
        any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|ip| ip.to_string()),
        any::<u16>().prop_map(|port| port.to_string()),
        "[0-9a-f:. ]{0,8}",
    ];
    let protocol = prop_oneof![Just("TCP4"), Just("TCP6"), Just("TCP")];
    (protocol, proptest::collection::vec(field, 3..6), prop_oneof![9 => Just("\r\n"), 1 => Just("\r")])
        .prop_map(|(protocol, fields, end)| format!("PROXY {protocol} {}{end}", fields.join(" ")).into_bytes())
}

proptest! {
    #[test]
    fn any_client_can_be_announced_in_both_versions(
        source: (std::net::Ipv6Addr, u16), destination: (std::net::Ipv6Addr, u16), tlvs in proptest::collection::vec(any::<u8>(), 0..99),
    ) {
        let announced = Announced::Client { source: source.into(), destination: destination.into() };
        let line = format!("PROXY TCP6 {} {} {} {}\r\n", source.0, destination.0, source.1, destination.1);
        let addresses = [source.0.octets(), destination.0.octets()].concat();
        let ports = [source.1.to_be_bytes(), destination.1.to_be_bytes()].concat();
        for bytes in [line.into_bytes(), binary(0x21, 0x21, &[addresses, ports, tlvs].concat())] {
            let length = bytes.len();
            prop_assert_eq!(parse_proxy_header(&bytes), Ok(Some(ProxyHeader { announced, length })));
        }
    }

    #[test]
    fn what_another_reader_accepts_of_a_line_is_read_alike(line in line()) {
        if let Ok(Some(header)) = parse_proxy_header(&line) {
            prop_assert_eq!(other(&line), Ok(Some(header)));
        } else if let Ok(Some(_)) = other(&line) {
            prop_assert!(false, "only the other reader takes {}", line.escape_ascii());
        }
    }

    #[test]
    fn another_reader_and_this_one_agree_on_every_binary_header(
        command in prop_oneof![Just(0x20), Just(0x21), any::<u8>()],
        family in prop_oneof![Just(0x00), Just(0x11), Just(0x12), Just(0x21), Just(0x31), any::<u8>()],
        rest in proptest::collection::vec(any::<u8>(), 0..300), cut in 0..400_usize,
    ) {
        let whole = binary(command, family, &rest);
        let bytes = &whole[..cut.min(whole.len())];
        // The other one waits for sixteen bytes before it looks at them, and looks at the family of LOCAL.
        if bytes.len() >= 16 && !(command == 0x20 && v2::Header::try_from(bytes).is_err()) {
            prop_assert_eq!(parse_proxy_header(bytes).map_err(|_| ()), other(bytes));
        }
    }

    #[test]
    fn more_bytes_change_no_verdict(bytes in proptest::collection::vec(any::<u8>(), 0..64), begin in 0..3_usize, more: Vec<u8>) {
        let begin: &[u8] = [&b""[..], b"PROXY TCP4 1.1.1.1 ", b"\r\n\r\n\0\r\nQUIT\n\x21"][begin];
        let bytes = [begin, &bytes].concat();
        let read = parse_proxy_header(&bytes);
        if read != Ok(None) {
            prop_assert_eq!(parse_proxy_header(&[bytes, more].concat()), read);
        }
    }
}
