"""Each spelling of a URL at the real socket, with and without the look at its text."""

import pytest

from delivery.sender import NoAnswer
from tests.guard.conftest import Sender, TextBlind, assert_refused
from tests.integration.test_sender import post
from tests.sockets import Resolver

Connected = list[tuple[str, int]]
LOOPBACK = """
    https://127.0.0.1/ https://127.0.0.1./ https://localhost/ https://LOCALHOST/ https://localhost./
    https://2130706433/ https://0x7f000001/ https://0X7F.1/ https://017700000001/ https://0177.0.0.1/
    https://127.1/ https://127.0.1/ https://0x7f.0x0.0x0.0x1/ https://0/ https://0x0/ https://00.0/
    https://[::1]/ https://[0:0:0:0:0:0:0:1]/ https://[::]/ https://[::ffff:127.0.0.1]/ https://[::ffff:7f00:1]/
    https://[0000:0000:0000:0000:0000:ffff:7f00:0001]/ https://127.0.0.1:443/ https://127.0.0.1:8443/
""".split()
METADATA = """
    https://169.254.169.254/latest/meta-data https://2852039166/ https://0xa9fea9fe/ https://0251.0376.0251.0376/
    https://169.254.43518/ https://169.16689662/ https://025177524776/ https://[::ffff:a9fe:a9fe]/
    https://[64:ff9b::a9fe:a9fe]/ https://[2002:a9fe:a9fe::]/ https://[fd00:ec2::254]/ https://100.100.100.200/
""".split()
DISGUISED = """
    https://127。0。0。1/ https://127．0．0．1/ https://127｡0｡0｡1/ https://１２７.0.0.1/ https://127.0.0.①/ https://⑯⑨.254.169.254/
    https://ｌｏｃａｌｈｏｓｔ/ https://ⓛocalhost/ https://localhoſt/ https://[::ﬀﬀ:127.0.0.1]/
""".split()
ODD = """
    https://user@hooks.example/ https://user:secret@hooks.example/ https://@hooks.example/
    https://hooks.example@127.0.0.1/ https://127.0.0.1@hooks.example/ https://hooks.example:443@127.0.0.1/
    https://hooks.example\\@127.0.0.1/ https://127.0.0.1\\@hooks.example/ https://hooks.example\\.evil.example/
    https:\\\\hooks.example/ https://hooks.example/#top https://hooks.example#@127.0.0.1/
    https://127%2e0.0.1/ https://%31%32%37.0.0.1/ https://hooks%00.example/ https://hooks.example%2f@127.0.0.1/
    https://[hooks.example]/ https://evil[::1]/ https://[::1]evil.example/ https://[::1/ https://[fe80::1%25lo]/
    https://a..example/ https://.hooks.example/ https://hooks..example/ https:///hook https:hooks.example
    https://:443/ https:// //hooks.example/ hooks.example/ ftp://hooks.example/ file:///etc/passwd
    gopher://hooks.example/ http://hooks.example/ HTTP://hooks.example/ javascript:alert(1) unix:///run/postgres
    https://intranet/ https://printer.local/ https://metadata.google.internal/ https://db.localhost/
    https://hooks.example:0/ https://hooks.example:22/ https://hooks.example:80/ https://hooks.example:5432/
    https://hooks.example:6379/ https://hooks.example:65536/ https://hooks.example:-443/ https://hooks.example:４４３/
    https://hooks.example:443x/
""".split()
CONTROLS = [
    "https://hooks.example/\r\nX-Evil:1",
    "https://hooks.example/\n",
    "https://hooks\n.example/",
    "ht\ttps://hooks.example/",
    "https://hooks.example/\x00",
    "https://hooks.example\x00.evil.example/",
    "https://hooks.example/\x7f",
    " https://hooks.example/",
    "https://hooks.example/a b",
    "https://hooks .example/",
]
FORBIDDEN = [*LOOPBACK, *METADATA, *DISGUISED, *ODD, *CONTROLS]


def test_the_table_has_at_least_a_hundred_spellings() -> None:
    assert len(set(FORBIDDEN)) == len(FORBIDDEN) >= 100


@pytest.mark.parametrize("url", FORBIDDEN, ids=map(repr, FORBIDDEN))
def test_a_forbidden_spelling_is_refused_and_nothing_is_connected_to_or_looked_up(
    sender: Sender, resolver: Resolver, connected: Connected, url: str
) -> None:
    resolver.says("93.184.216.34")

    assert_refused(post(sender(), url), "URL ")
    assert (connected, resolver.asked) == ([], [])


INWARD = [*LOOPBACK, *METADATA, *DISGUISED]


@pytest.mark.parametrize("url", INWARD, ids=map(repr, INWARD))
def test_a_spelling_of_an_inner_address_that_got_past_the_text_is_refused_at_the_socket(
    sender: Sender, connected: Connected, url: str
) -> None:
    result = post(sender(rule=TextBlind), url)

    assert isinstance(result, NoAnswer), result
    # Some of them no HTTP library takes for a URL, and some no resolver for a name.
    assert result.error_class in ("address_not_allowed", "not_sent", "dns_error"), result
    assert connected == []


@pytest.mark.parametrize("url", [*ODD, *CONTROLS], ids=map(repr, [*ODD, *CONTROLS]))
def test_whatever_the_text_says_a_socket_goes_only_to_what_was_judged(
    sender: Sender, resolver: Resolver, connected: Connected, url: str
) -> None:
    """Two parsers may disagree about the host: what counts is where the socket would go."""
    resolver.says("93.184.216.34")

    result = post(sender(rule=TextBlind), url, timeout=2.0)

    assert isinstance(result, NoAnswer)
    assert set(connected) <= {("93.184.216.34", 443)}


SAME = """
    https://hooks.example/ HTTPS://HOOKS.EXAMPLE/ https://hooks.example./ https://hooks.example:443/
    https://ｈｏｏｋｓ.example/ https://hooks。example/ https://hooks.example/?next=http://127.0.0.1/
    https://hooks.example/@127.0.0.1 https://hooks.example/..//%2e%2e
""".split()


@pytest.mark.parametrize("url", SAME)
def test_spellings_of_one_name_are_one_name(
    sender: Sender, resolver: Resolver, connected: Connected, url: str
) -> None:
    resolver.says("93.184.216.34")

    post(sender(), url)

    assert [name.rstrip(".") for name in resolver.asked] == ["hooks.example"]
    assert connected == [("93.184.216.34", 443)]


@pytest.mark.parametrize(
    "url", ["https://bücher.example/", "https://BÜCHER.example/", "https://xn--bcher-kva.example/"]
)
def test_a_name_in_unicode_is_looked_up_in_its_one_ascii_form(
    sender: Sender, resolver: Resolver, connected: Connected, url: str
) -> None:
    resolver.says("93.184.216.34")

    post(sender(), url)

    assert resolver.asked == ["xn--bcher-kva.example"]
    assert connected == [("93.184.216.34", 443)]


PORTS = {
    "the usual ones": ({}, "443 8443", "80 8080 22 25 444 1 65535"),
    "http, too": ({"allow_http": True, "ports": ["80", "443", "8443"]}, "80 443 8443", "8080 81"),
    "a range": ({"ports": ["443", "8000-8999"]}, "443 8000 8999", "7999 9000 8443x"),
    "all": ({"ports": ["*"]}, "1 22 443 65535", "65536"),
}
PORT_ROWS = [
    (allowed, port, is_allowed)
    for allowed, good, bad in PORTS.values()
    for ports, is_allowed in ((good, True), (bad, False))
    for port in ports.split()
]


@pytest.mark.parametrize("rule", [TextBlind, None], ids=["by the socket alone", "by its text"])
@pytest.mark.parametrize(("allowed", "port", "is_allowed"), PORT_ROWS)
def test_only_allowed_ports_are_connected_to(
    sender: Sender,
    resolver: Resolver,
    connected: Connected,
    allowed: dict[str, object],
    port: str,
    is_allowed: bool,
    rule: type[TextBlind] | None,
) -> None:
    resolver.says("93.184.216.34")
    transport = sender(rule=rule, **allowed) if rule else sender(**allowed)

    result = post(transport, f"https://hooks.example:{port}/")

    assert isinstance(result, NoAnswer)
    assert connected == ([("93.184.216.34", int(port))] if is_allowed else [])


@pytest.mark.parametrize("url", ["https://hooks.internal/", "https://HOOKS.internal./"])
def test_a_host_that_the_operator_allows_may_have_an_address_of_the_inner_network(
    sender: Sender, resolver: Resolver, connected: Connected, url: str
) -> None:
    resolver.says("10.0.0.1")

    post(sender(hosts=["hooks.internal"]), url)

    assert connected == [("10.0.0.1", 443)]


ALLOWED_HOSTS = ["hooks.internal", "*.corp.example"]
NOT_ALLOWED = """
    https://other.internal/ https://hooks.internal.example/ https://evilhooks.internal/ https://a.hooks.internal/
    https://corp.example/ https://evilcorp.example/ https://10.0.0.1/ https://hooks.internal:22/
""".split()


@pytest.mark.parametrize("url", NOT_ALLOWED)
def test_an_allowed_host_allows_no_other_name_no_address_and_no_port(
    sender: Sender, resolver: Resolver, connected: Connected, url: str
) -> None:
    resolver.says("10.0.0.1")

    assert_refused(post(sender(hosts=ALLOWED_HOSTS), url))
    assert_refused(post(sender(rule=TextBlind, hosts=ALLOWED_HOSTS), url))
    assert connected == []
