"""Enveloped signatures: what is accepted, every refusal, and an independent library that agrees.

Keys are made for each run. A refusal row changes one thing in a good document; where the change leaves the document
validly signed in the eyes of XML Signature itself (an extra transform, SHA-1), the row is signed afresh by `xmlsec`,
so that it is our rule that refuses and not a broken digest.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from protocols import xml
from protocols.errors import ProtocolError, SignatureError
from protocols.signing.keys import KeyLoadError, SigningKey, VerifyingKey, load_signing_key, load_verifying_key
from protocols.signing.xmldsig import sign, verify

DS = "http://www.w3.org/2000/09/xmldsig#"
MESSAGE = (
    b'<Msg xmlns="urn:busbar:bankxml:1"><Hdr><Sndr>BANK0001</Sndr></Hdr>'
    b'<Body><Amt Ccy="CNY">100.00</Amt><Nm>\xe5\xb9\xbf\xe5\xb7\x9e</Nm></Body></Msg>'
)


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey("bank-1", rsa.generate_private_key(65537, 2048))


@pytest.fixture(scope="module")
def other_key() -> SigningKey:
    return SigningKey("bank-1", rsa.generate_private_key(65537, 2048))


@pytest.fixture(scope="module")
def signed(key: SigningKey) -> bytes:
    return sign(xml.parse(MESSAGE), key)


def private_pem(key: SigningKey) -> bytes:
    return key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def xmlsec_verifies(document: bytes, key: SigningKey) -> bool:
    """What xmlsec says of the first signature of the document, under the pinned key."""
    root = etree.fromstring(document)
    node = xmlsec.tree.find_node(root, xmlsec.constants.NodeSignature)
    if node is None:
        return False
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(key.verifying().pem(), xmlsec.constants.KeyDataFormatPem)
    try:
        context.verify(node)
    except xmlsec.Error:
        return False
    return True


def xmlsec_signs(
    key: SigningKey,
    *,
    document: bytes = MESSAGE,
    c14n: object = xmlsec.constants.TransformExclC14N,
    method: object = xmlsec.constants.TransformRsaSha256,
    digest: object = xmlsec.constants.TransformSha256,
    transforms: tuple[object, ...] = (xmlsec.constants.TransformEnveloped, xmlsec.constants.TransformExclC14N),
    uri: str = "",
    parent: str = ".",
    references: int = 1,
    key_value: bool = False,
) -> bytes:
    root = etree.fromstring(document)
    node = xmlsec.template.create(root, c14n, method)
    root.find(parent).append(node)
    for _ in range(references):
        reference = xmlsec.template.add_reference(node, digest, uri=uri)
        for transform in transforms:
            xmlsec.template.add_transform(reference, transform)
    if key_value:
        xmlsec.template.add_key_value(xmlsec.template.ensure_key_info(node))
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(private_pem(key), xmlsec.constants.KeyDataFormatPem)
    context.register_id(root, "Id") if root.get("Id") else None
    context.sign(node)
    return etree.tostring(root, encoding="UTF-8")


def test_signed_and_verified(signed: bytes, key: SigningKey) -> None:
    part = verify(xml.parse(signed), key.verifying())
    assert etree.tostring(part, method="c14n", exclusive=True) == etree.tostring(
        etree.fromstring(MESSAGE), method="c14n", exclusive=True
    )
    assert part.findall(".//{*}Signature") == []


def test_the_signature_is_the_last_child_and_names_the_key(signed: bytes) -> None:
    root = etree.fromstring(signed)
    assert root[-1].tag == f"{{{DS}}}Signature"
    assert [element.text for element in root[-1].iter(f"{{{DS}}}KeyName")] == ["bank-1"]
    assert len(root[-1]) == 3
    assert len(root[-1][2]) == 1


def test_signing_is_deterministic_and_leaves_the_document_alone(key: SigningKey) -> None:
    root = xml.parse(MESSAGE)
    assert sign(root, key) == sign(root, key)
    assert etree.tostring(root) == etree.tostring(etree.fromstring(MESSAGE))


def test_xmlsec_accepts_ours(signed: bytes, key: SigningKey, other_key: SigningKey) -> None:
    assert xmlsec_verifies(signed, key)
    assert not xmlsec_verifies(signed, other_key)


@pytest.mark.parametrize(
    "document",
    [
        MESSAGE,
        b"<Msg/>",
        b"<a:Msg xmlns:a='urn:x' xmlns:unused='urn:y'>\r\n  <a:B z='1' a='2'>&lt;&amp;&#13;</a:B>\n</a:Msg>",
        b"<Msg><![CDATA[<kept as text>]]></Msg>",
        "<Msg><Nm>电费 𠮷</Nm></Msg>".encode(),
        b"<?xml version='1.0' encoding='UTF-8'?>\n<Msg> <B>x</B> </Msg>\n",
    ],
)
def test_ours_accepts_xmlsec_and_back(document: bytes, key: SigningKey) -> None:
    theirs = xmlsec_signs(key, document=document)
    assert verify(xml.parse(theirs), key.verifying()) is not None
    assert xmlsec_verifies(sign(xml.parse(document), key), key)


@settings(max_examples=60, deadline=None)
@given(position=st.integers(min_value=0, max_value=10_000), bit=st.integers(min_value=0, max_value=7))
def test_a_flipped_bit_is_refused_or_changes_nothing(key: SigningKey, signed: bytes, position: int, bit: int) -> None:
    """Whatever survives a flipped bit has the content that was signed, and xmlsec agrees with every acceptance."""
    position %= len(signed)
    changed = signed[:position] + bytes([signed[position] ^ (1 << bit)]) + signed[position + 1 :]
    try:
        part = verify(xml.parse(changed), key.verifying())
    except ProtocolError:
        return
    assert etree.tostring(part, method="c14n") == etree.tostring(etree.fromstring(MESSAGE), method="c14n")
    assert xmlsec_verifies(changed, key)


def edit(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def apply(document: bytes) -> bytes:
        assert old in document
        return document.replace(old, new, 1)

    return apply


def on_tree(change: Callable[[etree._Element], None]) -> Callable[[bytes], bytes]:
    def apply(document: bytes) -> bytes:
        root = etree.fromstring(document)
        change(root)
        return etree.tostring(root, encoding="UTF-8")

    return apply


def strip_signature(root: etree._Element) -> None:
    root.remove(root[-1])


def repeat_signature(root: etree._Element) -> None:
    root.append(etree.fromstring(etree.tostring(root[-1])))


def signature_first(root: etree._Element) -> None:
    root.insert(0, root[-1])


def signature_into_body(root: etree._Element) -> None:
    root[1].append(root[-1])


def wrap_the_signed_part(root: etree._Element) -> None:
    """The signed message moves inside another one, whose body says something else."""
    original = etree.fromstring(etree.tostring(root))
    strip_signature(root)
    root[1][0].text = "1.00"
    root.append(original)


def wrap_beside(root: etree._Element) -> None:
    """The signed body is parked in a new element and a forged one takes its place."""
    parked = etree.Element("Parked")
    forged = etree.fromstring(etree.tostring(root[1]))
    forged[0].text = "1.00"
    parked.append(root[1])
    root.insert(1, forged)
    root.insert(0, parked)


def sign_with_public_key_as_secret(root: etree._Element) -> None:
    method = root[-1][0][1]
    method.set("Algorithm", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")
    secret = b"what the attacker knows: the public key"
    mac = hmac.new(secret, etree.tostring(root[-1][0], method="c14n", exclusive=True), hashlib.sha256)
    root[-1][1].text = b64encode(mac.digest()).decode()


def add_object(root: etree._Element) -> None:
    etree.SubElement(root[-1], f"{{{DS}}}Object").text = "anything"


def add_id(root: etree._Element) -> None:
    root[-1].set("Id", "s")


def add_text(root: etree._Element) -> None:
    root[-1][0].tail = "text"


def add_prefix_list(root: etree._Element) -> None:
    etree.SubElement(root[-1][0][0], "{http://www.w3.org/2001/10/xml-exc-c14n#}InclusiveNamespaces", PrefixList="ds")


def key_into_key_info(root: etree._Element) -> None:
    value = etree.SubElement(root[-1][2], f"{{{DS}}}KeyValue")
    etree.SubElement(value, f"{{{DS}}}RSAKeyValue")


def short_signature(root: etree._Element) -> None:
    root[-1][1].text = "AAAA"


def bad_base64(root: etree._Element) -> None:
    root[-1][1].text = "no base64!"


REFUSED = [
    ("no signature", on_tree(strip_signature), "the message is not signed"),
    ("two signatures", on_tree(repeat_signature), "more than one signature"),
    ("signature is the first child", on_tree(signature_first), "last child of the root"),
    ("signature inside the body", on_tree(signature_into_body), "last child of the root"),
    ("signed message moved into another", on_tree(wrap_the_signed_part), "last child of the root"),
    ("signed body moved aside", on_tree(wrap_beside), "does not verify"),
    ("content changed", edit(b"100.00", b"900.00"), "does not verify"),
    ("attribute changed", edit(b"CNY", b"USD"), "does not verify"),
    ("white space added", edit(b"</Hdr>", b"</Hdr> "), "does not verify"),
    ("HMAC under a known secret", on_tree(sign_with_public_key_as_secret), "rsa-sha256"),
    ("an Object added", on_tree(add_object), "expected"),
    ("an attribute added", on_tree(add_id), "no attribute is expected"),
    ("text inside the signature", on_tree(add_text), "no text is allowed here"),
    ("inclusive prefixes", on_tree(add_prefix_list), "no element expected"),
    ("a key in KeyInfo", on_tree(key_into_key_info), "KeyName expected"),
    ("another key's name", edit(b"<ds:KeyName>bank-1<", b"<ds:KeyName>bank-2<"), "KeyName is not the key id"),
    ("digest changed", edit(b"<ds:DigestValue>", b"<ds:DigestValue>AAAA"), "32 expected"),
    ("signature value too short", on_tree(short_signature), "256 expected"),
    ("signature value is no base64", on_tree(bad_base64), "not base64"),
]


@pytest.mark.parametrize(("change", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused(signed: bytes, key: SigningKey, change: Callable[[bytes], bytes], reason: str) -> None:
    with pytest.raises(SignatureError, match=reason):
        verify(xml.parse(change(signed)), key.verifying())


@pytest.mark.parametrize(
    "name", ["content changed", "attribute changed", "white space added", "signed body moved aside"]
)
def test_xmlsec_refuses_the_same(signed: bytes, key: SigningKey, name: str) -> None:
    change = next(row[1] for row in REFUSED if row[0] == name)
    assert not xmlsec_verifies(change(signed), key)


def test_another_key(signed: bytes, other_key: SigningKey) -> None:
    with pytest.raises(SignatureError, match="does not verify with the sender's key"):
        verify(xml.parse(signed), other_key.verifying())


# Each of these is a valid XML signature made with the right key: it is our rules that refuse.
VALID_BUT_NOT_ALLOWED = [
    ("SHA-1 signature", {"method": xmlsec.constants.TransformRsaSha1}, "rsa-sha256"),
    ("SHA-1 digest", {"digest": xmlsec.constants.TransformSha1}, "xmlenc#sha256"),
    ("SHA-512 signature", {"method": xmlsec.constants.TransformRsaSha512}, "rsa-sha256"),
    ("inclusive C14N of SignedInfo", {"c14n": xmlsec.constants.TransformInclC14N}, "xml-exc-c14n"),
    ("C14N with comments", {"c14n": xmlsec.constants.TransformExclC14NWithComments}, "xml-exc-c14n"),
    ("no C14N transform", {"transforms": (xmlsec.constants.TransformEnveloped,)}, "Transform, Transform expected"),
    (
        "an extra transform",
        {"transforms": (xmlsec.constants.TransformEnveloped,) + 2 * (xmlsec.constants.TransformExclC14N,)},
        "Transform, Transform expected",
    ),
    ("two references", {"references": 2}, "expected, and nothing else"),
    (
        "a partial reference",
        {"document": MESSAGE.replace(b"<Msg ", b'<Msg Id="m" '), "uri": "#m"},
        'URI="" is expected',
    ),
    ("deeper in the document", {"parent": "{*}Body"}, "last child of the root"),
    ("the key in KeyInfo", {"key_value": True}, "KeyName is expected here"),
]


@pytest.mark.parametrize(
    ("options", "reason"), [row[1:] for row in VALID_BUT_NOT_ALLOWED], ids=[row[0] for row in VALID_BUT_NOT_ALLOWED]
)
def test_valid_but_not_allowed(key: SigningKey, options: dict[str, object], reason: str) -> None:
    document = xmlsec_signs(key, **options)  # type: ignore[arg-type]
    with pytest.raises(SignatureError, match=reason):
        verify(xml.parse(document), key.verifying())


def test_a_comment_in_a_signed_amount(signed: bytes) -> None:
    """C14N drops comments, so the signature still holds: the parser has to refuse."""
    injected = signed.replace(b"100.00", b"100<!-- -->.00")
    with pytest.raises(ProtocolError, match="comments"):
        xml.parse(injected)


def test_a_name_that_is_not_ascii(key: SigningKey) -> None:
    document = xmlsec_signs(key, document="<Msg><名称/></Msg>".encode())
    with pytest.raises(SignatureError, match="must be ASCII"):
        verify(xml.parse(document), key.verifying())


def test_signing_twice_is_a_mistake_of_ours(signed: bytes, key: SigningKey) -> None:
    with pytest.raises(ValueError, match="signed already"):
        sign(etree.fromstring(signed), key)


def test_a_curve_key_is_a_configuration_mistake(signed: bytes) -> None:
    curve = SigningKey("bank-1", ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(ValueError, match="need an RSA key"):
        sign(xml.parse(MESSAGE), curve)
    with pytest.raises(ValueError, match="need an RSA key"):
        verify(xml.parse(signed), curve.verifying())


def test_the_library_logs_no_content(signed: bytes, key: SigningKey, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        verify(xml.parse(signed), key.verifying())
        sign(xml.parse(MESSAGE), key)
    assert "100.00" not in caplog.text


def test_errors_and_reprs_show_no_content(signed: bytes, key: SigningKey) -> None:
    with pytest.raises(SignatureError) as caught:
        verify(xml.parse(signed.replace(b"100.00", b"987654.32")), key.verifying())
    assert "987654" not in str(caught.value)
    assert repr(key) == "SigningKey(key_id='bank-1')"
    assert repr(key.verifying()) == "VerifyingKey(key_id='bank-1')"


def certificate_pem(key: SigningKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "bank")])
    start = datetime(2024, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.private.public_key(), 1, start, start + timedelta(days=30))
    return builder.sign(key.private, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_keys_are_loaded_from_pem_and_certificates(key: SigningKey) -> None:
    from_public = load_verifying_key(key.verifying().pem(), "bank-1")
    from_certificate = load_verifying_key(certificate_pem(key), "bank-1")
    assert from_public.fingerprint() == from_certificate.fingerprint() == key.verifying().fingerprint()
    assert load_signing_key(private_pem(key), "k").verifying().fingerprint() == from_public.fingerprint()


def spki(public: object) -> bytes:
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize(
    ("pem", "reason"),
    [
        (lambda: b"nonsense", "neither a PEM public key nor a PEM certificate"),
        (lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "neither a PEM"),
        (lambda: spki(rsa.generate_private_key(65537, 1024).public_key()), "RSA of 1024 bits"),
        (lambda: spki(rsa.generate_private_key(3, 2048).public_key()), "exponent must be 65537"),
        (lambda: spki(ec.generate_private_key(ec.SECP256K1()).public_key()), "curve secp256k1"),
        (lambda: spki(ed25519.Ed25519PrivateKey.generate().public_key()), "neither RSA nor elliptic curve"),
    ],
)
def test_unusable_public_keys(pem: Callable[[], bytes], reason: str) -> None:
    with pytest.raises(KeyLoadError, match=reason):
        load_verifying_key(pem(), "bank-1")


def test_unusable_private_keys(key: SigningKey) -> None:
    with pytest.raises(KeyLoadError, match="not a PEM private key"):
        load_signing_key(b"nonsense", "k")
    with pytest.raises(KeyLoadError, match="password is wrong"):
        load_signing_key(private_pem(key), "k", password=b"not encrypted at all")


@pytest.mark.parametrize("key_id", ["", "a b", "-x", "a" * 65, "a\nb", "键"])
def test_bad_key_ids(key: SigningKey, key_id: str) -> None:
    with pytest.raises(KeyLoadError, match="a key id has"):
        VerifyingKey(key_id, key.verifying().public)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (b"hello", "not an XML document"),
        (b"<a>", "not well-formed"),
        (b"<a></b>", "not well-formed"),
        (b"<a>\xff</a>", "not well-formed"),
        (b"<a>\x00</a>", "not an XML document in UTF-8"),
        (b"<a>&b;</a>", "not well-formed"),
        ("<a/>".encode("utf-16"), "not an XML document in UTF-8"),
        (b"<?xml version='1.0' encoding='GBK'?><a/>", "encoding is not UTF-8"),
        (b"<?xml version='1.0' encoding='UTF-7'?><a/>", "encoding is not UTF-8"),
        (b"<!DOCTYPE a><a/>", "DOCTYPE"),
        (b'<?xml version="1.0"?>\n<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "DOCTYPE"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "DOCTYPE"),
        (b"<a><!-- no --></a>", "comments"),
        (b"<!-- no --><a/>", "comments"),
        (b"<a/><?no instruction?>", "processing instructions"),
        (b"<a>" * 17 + b"</a>" * 17, "deeper than 16"),
        (b"<a>" + b"<b/>" * 20_000 + b"</a>", "more than 20000 elements"),
        (b"<a>" + b" " * xml.MAX_BYTES + b"</a>", "at most 1048576"),
    ],
)
def test_documents_that_are_not_parsed(data: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        xml.parse(data)


def test_documents_at_the_limits() -> None:
    assert xml.parse(b"<a>" * 16 + b"</a>" * 16).tag == "a"
    assert len(xml.parse(b"\xef\xbb\xbf<?xml version='1.0' encoding='utf-8'?><a><b/></a>")) == 1
    with pytest.raises(ProtocolError, match="deeper than 2"):
        xml.parse(b"<a><b><c/></b></a>", max_depth=2)


def test_paths() -> None:
    root = xml.parse(b"<Msg><Body><Bill/><Bill><Amt/></Bill><x1234567890/></Body></Msg>")
    assert xml.path_of(root[0][1][0]) == "/Msg/Body/Bill[2]/Amt"
    assert xml.path_of(root[0][2]) == "/Msg/Body/*"
