"""Enveloped XML signatures: one shape, one key, and nothing but what was signed comes out.

XML Signature (W3C xmldsig-core) lets the sender choose algorithms, transforms, places and even the key. Every known
attack on it lives in that choice, so we leave none. A signature is accepted only if all of this holds:

1. The document has exactly one Signature, and it is the last child of the root. (A second one, or one inside the
   body, is how a signed part is moved aside and another put in its place.)
2. It has exactly the shape of `_SHAPE`: exclusive C14N without comments, RSA-SHA256, one Reference with URI ""
   (the whole document), the two transforms in their order, SHA-256; no attribute, element or text beyond those.
   So SHA-1, HMAC under the public key, an extra transform, a partial reference and an Object are shapes, not cases.
3. The key is the one the caller took from the bank's profile. KeyInfo may name it (KeyName) and do nothing else; a
   KeyInfo with a key or a certificate is refused, not ignored, because its sender expects it to be used.
4. The RSA signature over SignedInfo and the digest over the document without the signature are right (`signxml`).
5. The caller gets the tree that was parsed again from the very bytes that were digested, and must use no other.

`xmlsec`, an independent library, is made to agree in the tests on what is accepted and what is refused.
"""

from __future__ import annotations

import logging
from base64 import b64decode, b64encode
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureConstructionMethod, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.signer import XMLSigner
from signxml.verifier import SignatureConfiguration, VerifyResult, XMLVerifier

from protocols.errors import SignatureError
from protocols.signing.keys import SigningKey, VerifyingKey
from protocols.xml import path_of

# At level DEBUG the library logs the canonical document: customers and amounts. No level of ours may turn that on.
logging.getLogger("signxml").setLevel(logging.INFO)

NAMESPACE = "http://www.w3.org/2000/09/xmldsig#"
_DS = f"{{{NAMESPACE}}}"
_DS11 = "{http://www.w3.org/2009/xmldsig11#}"
EXCLUSIVE_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
_SHA256_BYTES = 32
_BASE64_SPACE = str.maketrans("", "", " \t\r\n")

_EXPECTED = SignatureConfiguration(
    require_x509=False,
    location="./",
    expect_references=1,
    signature_methods=frozenset((SignatureMethod.RSA_SHA256,)),
    digest_algorithms=frozenset((DigestAlgorithm.SHA256,)),
)
_COUNT_SIGNATURES = etree.XPath("count(//*[local-name() = 'Signature'])")


@dataclass(frozen=True, slots=True)
class _Shape:
    """What one element of the signature must be: its name, its attributes, its children in order, if it has text."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: tuple[_Shape, ...] = ()
    has_text: bool = False


_SIGNED_INFO = _Shape(
    "SignedInfo",
    children=(
        _Shape("CanonicalizationMethod", {"Algorithm": EXCLUSIVE_C14N}),
        _Shape("SignatureMethod", {"Algorithm": RSA_SHA256}),
        _Shape(
            "Reference",
            {"URI": ""},
            children=(
                _Shape(
                    "Transforms",
                    children=(
                        _Shape("Transform", {"Algorithm": ENVELOPED}),
                        _Shape("Transform", {"Algorithm": EXCLUSIVE_C14N}),
                    ),
                ),
                _Shape("DigestMethod", {"Algorithm": SHA256}),
                _Shape("DigestValue", has_text=True),
            ),
        ),
    ),
)
_KEY_INFO = _Shape("KeyInfo", children=(_Shape("KeyName", has_text=True),))
_SHAPE = _Shape("Signature", children=(_SIGNED_INFO, _Shape("SignatureValue", has_text=True)))
_SHAPE_WITH_KEY_NAME = _Shape("Signature", children=(*_SHAPE.children, _KEY_INFO))


def sign(root: etree._Element, key: SigningKey) -> bytes:
    """The document with its signature as the last child of the root, as UTF-8 bytes with an XML declaration.

    `root` is left as it was. Raises ValueError if `key` is no RSA key or `root` is signed already.
    """
    if not isinstance(key.private, rsa.RSAPrivateKey):
        raise ValueError(f"key {key.key_id}: XML signatures need an RSA key")
    if _COUNT_SIGNATURES(root):
        raise ValueError("the document is signed already")
    signer = XMLSigner(
        method=SignatureConstructionMethod.enveloped,
        signature_algorithm=SignatureMethod.RSA_SHA256,
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    key_info = etree.Element(_DS + "KeyInfo", nsmap={"ds": NAMESPACE})
    etree.SubElement(key_info, _DS + "KeyName").text = key.key_id
    signed = signer.sign(root, key=key.private, key_info=key_info)
    return etree.tostring(signed, xml_declaration=True, encoding="UTF-8")


def verify(root: etree._Element, key: VerifyingKey) -> etree._Element:
    """The signed part of `root`, a new tree without the signature; raises SignatureError that says what is wrong.

    `root` comes from `protocols.xml.parse` and is used up: its signature is changed, and no value of it may be used
    afterwards. `key` comes from the sender's profile. Raises ValueError if `key` is no RSA key (a configuration
    mistake, not the sender's).
    """
    if not isinstance(key.public, rsa.RSAPublicKey):
        raise ValueError(f"key {key.key_id}: XML signatures need an RSA key")
    signature = _only_signature(root)
    _check_signature(signature, key)
    _pin(signature, key)
    try:
        result = XMLVerifier().verify(root, expect_config=_EXPECTED, validate_schema=False)
    except etree.XMLSyntaxError:
        # The library copies trees through ASCII, which names can't be written in.
        raise SignatureError(path_of(root), "names of elements and attributes must be ASCII") from None
    except (InvalidSignature, SignXMLException):
        raise SignatureError(path_of(signature), "the signature does not verify with the sender's key") from None
    # One reference gives one result; the key is the one that `_pin` put there. Believing is not checking.
    if not isinstance(result, VerifyResult) or result.signature_key != key.pem() or result.signed_xml is None:
        raise SignatureError(path_of(signature), "the signature was not made with the sender's key")
    return result.signed_xml


def _only_signature(root: etree._Element) -> etree._Element:
    """The one signature at its one place; raises SignatureError."""
    found = _COUNT_SIGNATURES(root)
    if found == 0:
        raise SignatureError(path_of(root), "the message is not signed")
    if found != 1:
        raise SignatureError(path_of(root), "more than one signature")
    last = root[-1] if len(root) else root
    if last.tag != _DS + "Signature" or last.getparent() is not root:
        raise SignatureError(path_of(root), "the signature must be the last child of the root")
    return last


def _check_signature(signature: etree._Element, key: VerifyingKey) -> None:
    """The signature's shape, the lengths of its two values, and the name of its key; raises SignatureError."""
    named = len(signature) > len(_SHAPE.children)
    _check_shape(signature, _SHAPE_WITH_KEY_NAME if named else _SHAPE)
    _check_base64(signature[0][2][2], _SHA256_BYTES)
    _check_base64(signature[1], (key.public.key_size + 7) // 8)
    if named and signature[2][0].text != key.key_id:
        raise SignatureError(path_of(signature[2][0]), "KeyName is not the key id that the header names")


def _check_shape(element: etree._Element, shape: _Shape) -> None:
    if element.tag != _DS + shape.name:
        raise SignatureError(path_of(element), f"{shape.name} is expected here")
    if dict(element.items()) != shape.attributes:
        expected = " ".join(f'{name}="{value}"' for name, value in shape.attributes.items()) or "no attribute"
        raise SignatureError(path_of(element), f"{expected} is expected, and nothing else is allowed")
    if not shape.has_text and (element.text or "").strip():
        raise SignatureError(path_of(element), "no text is allowed here")
    if len(element) != len(shape.children):
        names = ", ".join(child.name for child in shape.children) or "no element"
        raise SignatureError(path_of(element), f"{names} expected, and nothing else is allowed")
    for child, child_shape in zip(element, shape.children, strict=True):
        _check_shape(child, child_shape)
        if (child.tail or "").strip():
            raise SignatureError(path_of(element), "no text is allowed here")


def _check_base64(element: etree._Element, length_bytes: int) -> None:
    try:
        value = b64decode((element.text or "").translate(_BASE64_SPACE), validate=True)
    except ValueError:
        raise SignatureError(path_of(element), "not base64") from None
    if len(value) != length_bytes:
        raise SignatureError(path_of(element), f"{len(value)} bytes, {length_bytes} expected")


def _pin(signature: etree._Element, key: VerifyingKey) -> None:
    """Put the profile's key where `signxml` looks for one: KeyInfo is outside the signature, so it is ours to write."""
    if len(signature) > len(_SHAPE.children):
        signature.remove(signature[-1])
    key_info = etree.SubElement(signature, _DS + "KeyInfo")
    value = etree.SubElement(key_info, _DS11 + "DEREncodedKeyValue")
    value.text = b64encode(key.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode("ascii")
