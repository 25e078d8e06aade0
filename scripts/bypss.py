#!/usr/bin/env python3
"""A client of the BYPSS switch in one file, written from docs/PROTOCOL.md alone.

It is three things: an example for who writes a client in another language, a client for tests,
and a small command line. Since it is for tests it believes nothing: whatever the switch sends that
the page does not allow is a `Violation`, with the byte at which it went wrong. What the page leaves
to later versions (pushes, codes, flags) it skips or passes on as what it does not know.

From the bottom up: fields and frames (`encode`, `decode`), what an answer may say to its request
(`check_answer`), `Connection` (one TCP or TLS connection, pipelined), `Session` (what a node does:
lease, ports, messages, cached owners), the command line, the self-test.

  bypss.py [--endpoint HOST:PORT] COMMAND ...    `bypss.py --help` names the commands
  bypss.py selftest                              needs no switch

Exit status: 0 right, 1 refused or a wrong result, 2 bad arguments, 3 no switch can be reached.
Needs Python 3.9 and nothing else.
"""
import argparse
import collections
import functools
import hashlib
import hmac
import json
import os
import queue
import random
import select
import signal
import socket
import ssl
import sys
import threading
import time
import traceback
import zlib
from collections import namedtuple

MAGIC = 0x53505942
VERSION = 1
HEADER_LEN = 12
GREETING_LEN_MAX = 4096
NODE, OBSERVER, OPERATOR = 0, 1, 2
SUBSCRIBE, WAIT = 1, 2
FREE, UNKNOWN = 0xFFFFFFFF, 0xFFFFFFFE
NOBODY = bytes(16)
# Requests on one connection without an answer. It also bounds the answers that nobody took yet.
OUTSTANDING_MAX = 1024


class BypssError(Exception):
    """Whatever this file raises on purpose."""


class BadArgument(BypssError, ValueError):
    """The caller asked for something that no frame can say."""


class Violation(BypssError):
    """The switch sent what the protocol does not allow."""


class Unreachable(BypssError):
    """No connection came about."""


class Closed(BypssError):
    """The connection ended without an `ERROR` that says why."""


class TimedOut(BypssError):
    """Nothing wrong was seen, but what was waited for did not come in time."""


class Refused(BypssError):
    """The switch answered `ERROR`; each code has a subclass, `ERRORS` has them by code."""
    code = 0

    def __init__(self, body):
        self.closes, self.number, self.hint = bool(body.closes), body.number, body.hint
        self.code = body.code
        parts = ["" if body.code in ERRORS else f"the code {body.code} of a later version",
                 body.message, f"number {body.number}" if body.number else "",
                 f"hint {body.hint!r}" if body.hint else ""]
        super().__init__(", ".join(part for part in parts if part) or "no more is said")


# Whether an error of this code ends the connection; None: it depends on the request.
ERROR_CLOSES = {
    "NotMaster": True, "Grace": False, "Quarantine": True, "Evicted": True, "Lapsed": True,
    "WrongCluster": True, "WrongGroup": True, "Version": True, "Unsupported": False,
    "Unauthenticated": True, "Forbidden": False, "TooLarge": None, "Malformed": True,
    "BadName": False, "NoSession": False, "Quota": False, "State": False, "Busy": False,
    "Leaving": True, "Ended": True}
ERRORS = {code: type(name, (Refused,), {"code": code}) for code, name in enumerate(ERROR_CLOSES, 1)}
NotMaster, Evicted, Lapsed, WrongCluster = ERRORS[1], ERRORS[4], ERRORS[5], ERRORS[6]
SessionEnded = ERRORS[20]


# ---- fields ----

class Reader:
    """Takes fields from a frame and knows the byte it is at, for the error's text."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def left(self):
        return len(self.data) - self.at

    def fail(self, why, at=None):
        raise Violation(f"{why} at byte {self.at if at is None else at} of the frame")

    def take(self, length):
        if length > self.left():
            self.fail(f"{length} bytes are needed and {self.left()} are left")
        self.at += length
        return self.data[self.at - length:self.at]

    def uint(self, width):
        return int.from_bytes(self.take(width), "little")


# A field is written with `put(value) -> bytes` and read with `take(reader) -> value`.
Codec = namedtuple("Codec", "put take")


def uint(width):
    def put(value):
        if not isinstance(value, int) or not 0 <= value < 1 << 8 * width:
            raise BadArgument(f"{value!r} is no number of {8 * width} bits")
        return value.to_bytes(width, "little")
    return Codec(put, lambda reader: reader.uint(width))


def one_of(codec, *allowed):
    """A field with few values: any other is a violation, not something to pass on."""
    def take(reader):
        begin, value = reader.at, codec.take(reader)
        if value not in allowed:
            reader.fail(f"{value:#x} is none of {', '.join(map(hex, allowed))}", begin)
        return value
    return Codec(codec.put, take)


def fixed(length):
    def put(value):
        if len(value) != length:
            raise BadArgument(f"{len(value)} bytes where {length} belong")
        return bytes(value)
    return Codec(put, lambda reader: reader.take(length))


def string(len_min, len_max):
    def put(value):
        try:
            data = value.encode()
        except UnicodeEncodeError:
            raise BadArgument(f"{value!r} cannot be written in UTF-8") from None
        length = len(data)
        if not len_min <= length <= len_max:
            raise BadArgument(f"a name of {length} bytes; {len_min} to {len_max} are allowed")
        head = [length] if length < 128 else [0x80 + (length >> 8), length & 0xFF]
        return bytes(head) + data

    def take(reader):
        begin, length = reader.at, reader.uint(1)
        if length >= 0x80:
            length = (length - 0x80 << 8) + reader.uint(1)
            if length < 128:
                reader.fail(f"a length of {length} in two bytes", begin)
        if not len_min <= length <= len_max:
            reader.fail(f"a name of {length} bytes; {len_min} to {len_max} are allowed", begin)
        try:
            return reader.take(length).decode()
        except UnicodeDecodeError:
            return reader.fail("a name that is not UTF-8", begin)
    return Codec(put, take)


def put_blob(value):
    length, head = len(value), bytearray()
    if length >= 1 << 28:
        raise BadArgument(f"a blob of {length} bytes; at most {(1 << 28) - 1} are allowed")
    while length >= 0x80:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + bytes(value)


def take_blob(reader):
    begin, length = reader.at, 0
    for place in range(4):
        byte = reader.uint(1)
        length |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            if place and byte == 0:
                reader.fail("a length that is not in its shortest form", begin)
            return reader.take(length)
    return reader.fail("a length of more than four bytes", begin)


def rows(title, count=None, /, least=0, **fields):
    """A count, then so many records; a record of one field is just that field."""
    count, row = count or U32, namedtuple(title, fields)
    codecs, single = tuple(fields.values()), len(fields) == 1

    def put(values):
        parts = [count.put(len(values))]
        for value in values:
            value = (value,) if single else value
            if len(value) != len(codecs):
                raise BadArgument(f"{value!r} is no {title}{row._fields}")
            parts += [codec.put(part) for codec, part in zip(codecs, value)]
        return b"".join(parts)

    def take(reader):
        begin, number = reader.at, count.take(reader)
        # No field is shorter than a byte, so a count beyond the frame ends here and not in memory.
        if number * len(codecs) > reader.left():
            reader.fail(f"{number} entries cannot be in the {reader.left()} bytes left", begin)
        if number < least:
            reader.fail(f"{number} entries; at least {least} are due", begin)
        if single:
            return [codecs[0].take(reader) for _ in range(number)]
        return [row(*[codec.take(reader) for codec in codecs]) for _ in range(number)]
    return Codec(put, take)


def columns(title, /, **fields):
    """A count, then so many values of the first field, then of the second."""
    row, codecs = namedtuple(title, fields), tuple(fields.values())

    def put(values):
        parts = [U32.put(len(values))]
        for place, codec in enumerate(codecs):
            parts += [codec.put(value[place]) for value in values]
        return b"".join(parts)

    def take(reader):
        begin, number = reader.at, reader.uint(4)
        if number * len(codecs) > reader.left():
            reader.fail(f"{number} entries cannot be in the {reader.left()} bytes left", begin)
        return [row(*entry) for entry in zip(*[[codec.take(reader) for _ in range(number)]
                                               for codec in codecs])]
    return Codec(put, take)


U8, U16, U32, U64 = uint(1), uint(2), uint(4), uint(8)
NAME, TEXT, BLOB = string(1, 1024), string(0, 1024), Codec(put_blob, take_blob)
NODE_ID, ADDRESS = string(1, 64), string(0, 255)
ID = fixed(16)
NAMES = rows("Name", least=1, name=NAME)
OWNERS = rows("Owner", node=NODE_ID, address=ADDRESS)


# ---- frames ----

FRAMES = {}


def frame(kind, title, more=False, /, **fields):
    """Declares a kind: a named tuple of its body's fields. `more`: the table says `...`."""
    body = namedtuple(title, fields)
    body.kind, body.more, body.codecs = kind, more, tuple(fields.values())
    FRAMES[kind] = body
    return body


Greeting = frame(0x40, "Greeting", True, magic=one_of(U32, MAGIC), version_min=U16,
                 version_max=U16, features=U64, cluster=ID, epoch=U64, nonce=fixed(32))
Hello = frame(0x01, "Hello", True, magic=one_of(U32, MAGIC), version=U16, role=one_of(U8, 0, 1, 2),
              credential=one_of(U8, 0, 1), features=U64, cluster=ID, epoch_seen=U64, session=ID,
              index=one_of(U16, *range(4096)), generation=U64, map_version=U64, groups=U16, group=U16,
              node=NODE_ID, address=ADDRESS, proof=fixed(32))
Welcome = frame(0x81, "Welcome", True, version=one_of(U16, VERSION), role=one_of(U8, 0, 1, 2),
                shards=one_of(U8, *range(1, 256)), features=U64, cluster=ID, epoch=U64,
                map_version=U64, groups=U16, group=U16, lease_ms=U32, exclusion_ms=U32,
                frame_len_max=U32, items_max=U32, message_len_max=U32, switch=NAME)
WaitMsg = frame(0x02, "WaitMsg")
WaitMsgAnswer = frame(0x82, "WaitMsgAnswer", state=U8, notice=U64)
Relet = frame(0x03, "Relet", relet=U64)
ReletAnswer = frame(0x83, "ReletAnswer", True, relet=U64, lease_ms=U32)
Yield = frame(0x0D, "Yield")
YieldAnswer = frame(0x8D, "YieldAnswer")
Bye = frame(0x0E, "Bye", ends=one_of(U8, 0, 1))
ByeAnswer = frame(0x8E, "ByeAnswer")
RegPort = frame(0x04, "RegPort", names=NAMES)
RegPortAnswer = frame(0x84, "RegPortAnswer", grants=rows("Grants", U8, first=U64, count=U32),
                      owners=OWNERS, failures=rows("Failure", item=U32, code=U8, owner=U32,
                                                   sequence=U64))
UnregPort = frame(0x05, "UnregPort", ports=columns("Unreg", sequence=U64, name=NAME))
UnregPortAnswer = frame(0x85, "UnregPortAnswer",
                        failures=rows("UnregFailure", item=U32, code=U8))
QueryPort = frame(0x06, "QueryPort", names=NAMES)
QueryPortAnswer = frame(0x86, "QueryPortAnswer", owners=OWNERS,
                        ports=columns("Found", sequence=U64, owner=U32))
CancelWait = frame(0x0B, "CancelWait", names=NAMES)
CancelWaitAnswer = frame(0x8B, "CancelWaitAnswer", count=U32)
Unsubscribe = frame(0x0C, "Unsubscribe", names=NAMES)
UnsubscribeAnswer = frame(0x8C, "UnsubscribeAnswer", count=U32)
QueryNode = frame(0x0F, "QueryNode", names=NAMES)
QueryNodeAnswer = frame(0x8F, "QueryNodeAnswer", nodes=rows(
    "NodeState", state=U8, address=ADDRESS, lease_ms=U32, ports=U64))
Send = frame(0x07, "Send", messages=rows("Outgoing", least=1, name=NAME, blob=BLOB))
SendAnswer = frame(0x87, "SendAnswer", delivered=U32, nobody=U32, dropped=U32)
SendMany = frame(0x08, "SendMany", blob=BLOB, names=NAMES)
SendManyAnswer = frame(0x88, "SendManyAnswer", delivered=U32, nobody=U32, dropped=U32)
Broadcast = frame(0x09, "Broadcast", blob=BLOB)
BroadcastAnswer = frame(0x89, "BroadcastAnswer", delivered=U32, nobody=U32, dropped=U32)
Messages = frame(0x41, "Messages", messages=rows("Incoming", least=1, sequence=U64, blob=BLOB))
Grant = frame(0x42, "Grant", notice=U64, grants=rows("Granted", least=1, sequence=U64, name=NAME))
PortGone = frame(0x43, "PortGone", notice=U64, ports=rows(
    "Gone", least=1, reason=U8, sequence=U64, name=NAME))
Flush = frame(0x44, "Flush", notice=U64, reason=U8)
SwitchLeaving = frame(0x45, "SwitchLeaving", reason=U8, hint=TEXT)
Events = frame(0x46, "Events", events=rows("Event", least=1, event=U8, sequence=U64, node=NODE_ID,
                                           name=NAME))
Ping = frame(0x10, "Ping")
PingAnswer = frame(0x90, "PingAnswer")
Status = frame(0x20, "Status")
StatusAnswer = frame(0xA0, "StatusAnswer", values=rows("Value", key=NAME, value=U64))
ListNodes = frame(0x21, "ListNodes", cursor=U64, count_max=U32)
ListNodesAnswer = frame(0xA1, "ListNodesAnswer", cursor=U64, entries=rows(
    "ListedNode", node=NODE_ID, address=ADDRESS, session=ID, state=U8, lease_ms=U32,
    ports=U64, queued_bytes=U64))
ListPorts = frame(0x22, "ListPorts", cursor=U64, count_max=U32, prefix=TEXT)
ListPortsAnswer = frame(0xA2, "ListPortsAnswer", cursor=U64, entries=rows(
    "ListedPort", sequence=U64, node=NODE_ID, name=NAME))
DropNode = frame(0x23, "DropNode", node=NODE_ID)
DropNodeAnswer = frame(0xA3, "DropNodeAnswer", state=U8)
Watch = frame(0x24, "Watch", prefix=TEXT)
WatchAnswer = frame(0xA4, "WatchAnswer")
Error = frame(0xFF, "Error", code=U16, closes=one_of(U8, 0, 1), number=U64,
              hint=TEXT, message=TEXT)

Frame = namedtuple("Frame", "flags id body")
# A push of a later version, which a client skips.
UnknownPush = namedtuple("UnknownPush", "kind data")


def encode(body, number=0, flags=0):
    """The bytes of one frame."""
    data = b"".join(codec.put(value) for codec, value in zip(body.codecs, body))
    return b"".join((U32.put(HEADER_LEN + len(data)), U8.put(body.kind), U8.put(flags), U16.put(0),
                     U32.put(number), data))


def decode(data):
    """One whole frame, `data` no byte longer or shorter; `Violation` where it is not one."""
    reader = Reader(data)
    length, kind, flags, reserved, number = (reader.uint(width) for width in (4, 1, 1, 2, 4))
    if length != len(data):
        reader.fail(f"a length of {length} in a frame of {len(data)} bytes", 0)
    if kind not in FRAMES and 0x40 <= kind < 0x80:
        return Frame(flags, number, UnknownPush(kind, data[HEADER_LEN:]))
    if kind not in FRAMES:
        reader.fail(f"the kind {kind:#x}, which there is not", 4)
    # Bits 0 to 3 are for later versions to use without our leave, bits 4 to 7 are not.
    if flags & 0xF0:
        reader.fail(f"the flags {flags:#x}, which this version does not know", 5)
    if reserved:
        reader.fail(f"{reserved:#x} in the reserved field", 6)
    body = FRAMES[kind]
    is_push = 0x40 <= kind < 0x80 and body is not Events
    if is_push and number or not number and (body is Events or 0x80 <= kind < 0xFF):
        reader.fail(f"the request number {number} in {body.__name__}", 8)
    body = body(*[codec.take(reader) for codec in body.codecs])
    if reader.left() and not body.more:
        reader.fail(f"{reader.left()} bytes after the last field of {type(body).__name__}")
    return Frame(flags, number, body)


def shard_of(name, shards):
    """The shard whose number is in the top 8 bits of every sequence of this name."""
    return zlib.crc32(name.encode()) * shards >> 32


def proof_of(secret, nonce, hello_frame):
    """The proof of a `HELLO` that is encoded already: its body without the 32 bytes at its end."""
    body = hello_frame[HEADER_LEN:-32]
    return hmac.new(secret, b"bypss hello 1" + nonce + body, hashlib.sha256).digest()


# ---- what an answer may say to its request ----

Owner = namedtuple("Owner", "node address")
Token = namedtuple("Token", "epoch sequence")
# `state` of a registration: "granted" or a name below; of a lookup: "owned", "free", "unknown", or
# "gone" where a notice overtook the answer. `sequence` is 0, `owner` None where there is none; of a
# port that another holds it is that of the grant whose end will be told.
Registration = namedtuple("Registration", "name state sequence owner")
Lookup = namedtuple("Lookup", "name state sequence owner")
REG_CODES = {1: "Held", 2: "Mine", 3: "Draining", 4: "Waiting", 5: "Quota", 6: "Forbidden",
             7: "Full", 8: "Subscriptions"}
OWNED_CODES = (1, 2, 3, 4, 8)
FOLLOWED_CODES = (1, 3, 4)
UNREG_CODES = {1: "Free", 2: "NotMine", 3: "Stale"}
NODE_STATES = {0: "unknown", 1: "live", 2: "draining"}
EVENTS = {0: "missing", 1: "registered", 2: "released", 3: "lost"}


def code_name(names, code):
    """The name of a code; one of a later version is kept as its number."""
    return names.get(code, f"code {code}")


def must(holds, why):
    if not holds:
        raise Violation(why)


def check_sequence(sequence, name, shards):
    must(sequence & (1 << 56) - 1, f"the sequence {sequence:#x} of {name!r} counts no grant")
    must(sequence >> 56 == shard_of(name, shards),
         f"the sequence {sequence:#x} is not of {name!r}'s shard {shard_of(name, shards)}")


def check_items(failures, count):
    items = [failure.item for failure in failures]
    must(all(a < b for a, b in zip(items, items[1:])), "failures that are not by rising item")
    must(not items or items[-1] < count, f"a failure of item {items[-1:]} of {count}")


def registrations(names, flags, answer, shards):
    """What became of each name. The sequences are not in the answer, they follow from it."""
    check_items(answer.failures, len(names))
    failures = {failure.item: failure for failure in answer.failures}
    following, left = {}, {}
    for grants in answer.grants:
        shard = grants.first >> 56
        must(shard < shards and shard not in left, f"grants of shard {shard} of {shards}, or twice")
        must(grants.count and (grants.first + grants.count - 1) >> 56 == shard,
             f"{grants.count} grants from {grants.first:#x}")
        following[shard], left[shard] = grants.first, grants.count
    results = []
    for item, name in enumerate(names):
        failure = failures.get(item)
        if failure is None:
            shard = shard_of(name, shards)
            must(left.get(shard), f"no sequence of shard {shard} is left for {name!r}")
            check_sequence(following[shard], name, shards)
            results.append(Registration(name, "granted", following[shard], None))
            following[shard] += 1
            left[shard] -= 1
            continue
        code, state = failure.code, code_name(REG_CODES, failure.code)
        # Whether a code of a later version names an owner is for the answer to say.
        owned = code in OWNED_CODES or code not in REG_CODES and failure.owner != FREE
        must(failure.owner < len(answer.owners) if owned else failure.owner == FREE,
             f"the owner index {failure.owner:#x} with {state}")
        must(not (code == 4 and not flags & WAIT or code == 8 and not flags & (SUBSCRIBE | WAIT)
                  or code in (1, 3) and flags & WAIT),
             f"{state} for {name!r}, which the flags {flags} do not allow")
        followed = flags & SUBSCRIBE and code in FOLLOWED_CODES
        open_ended = flags & SUBSCRIBE and (code == 8 or code not in REG_CODES)
        must(failure.sequence if followed else not failure.sequence or open_ended,
             f"the sequence {failure.sequence:#x} with {state} and the flags {flags}")
        if failure.sequence:
            check_sequence(failure.sequence, name, shards)
        owner = Owner(*answer.owners[failure.owner]) if owned else None
        results.append(Registration(name, state, failure.sequence, owner))
    must(not any(left.values()), f"grants that no item is left for: {left}")
    return results


def lookups(names, answer, shards):
    """Who owns each name."""
    must(len(answer.ports) == len(names), f"{len(answer.ports)} owners for {len(names)} names")
    results = []
    for name, found in zip(names, answer.ports):
        if found.owner in (FREE, UNKNOWN):
            must(found.sequence == 0, f"a sequence for {name!r}, which has no owner")
            state = "free" if found.owner == FREE else "unknown"
            results.append(Lookup(name, state, 0, None))
            continue
        must(found.owner < len(answer.owners), f"the owner index {found.owner:#x}")
        check_sequence(found.sequence, name, shards)
        results.append(Lookup(name, "owned", found.sequence, Owner(*answer.owners[found.owner])))
    return results


def answer_len_max(request):
    """Bytes that the answer to a batch may have whatever `frame_len_max` is: what was done must be
    answered. No item names more than one owner."""
    items = request[-1] if request and isinstance(request[-1], (list, tuple)) else ()
    return 4096 + (17 + 322) * len(items)


def check_answer(request, flags, answer, shards):
    """`Violation` unless `answer`, a frame that is right in itself, can be one to `request`."""
    if isinstance(request, RegPort):
        registrations(request.names, flags, answer, shards)
    elif isinstance(request, QueryPort):
        lookups(request.names, answer, shards)
    elif isinstance(request, UnregPort):
        check_items(answer.failures, len(request.ports))
    elif isinstance(request, (CancelWait, Unsubscribe)):
        must(answer.count <= len(request.names), f"{answer.count} of {len(request.names)} names")
    elif isinstance(request, QueryNode):
        must(len(answer.nodes) == len(request.names), f"{len(answer.nodes)} nodes in the answer")
    elif isinstance(request, (Send, SendMany)):
        count = len(request.messages if isinstance(request, Send) else request.names)
        must(sum(answer) == count, f"{answer} for {count} messages")
    elif isinstance(request, Relet):
        must(answer.relet == request.relet, f"the relet {answer.relet}, not {request.relet}")
        must(answer.lease_ms, "a lease of no time")
    elif isinstance(request, (ListNodes, ListPorts)):
        must(len(answer.entries) <= request.count_max, f"{len(answer.entries)} entries in a list")
        for entry in answer.entries if isinstance(request, ListPorts) else ():
            must(entry.name.startswith(request.prefix), f"{entry.name!r} has another prefix")
            check_sequence(entry.sequence, entry.name, shards)


# ---- one connection ----

Pending = namedtuple("Pending", "request flags on_answer")


def after(seconds):
    return None if seconds is None else time.monotonic() + seconds


def left_until(deadline):
    return None if deadline is None else max(0.0, deadline - time.monotonic())


class Connection:
    """One connection after its `HELLO`, for any number of threads.

    Whoever waits for something reads for all: one thread at a time has the reader's role and hands
    out what comes, so that a connection needs no thread of its own and pushes keep their order.
    `on_push` and `on_answer` are called by that thread and must not wait for this connection.
    """

    def __init__(self, sock, *, node, role=NODE, session=NOBODY, place=(0, 0), address="",
                 secret=None, cluster=NOBODY, epoch_seen=0, on_push=None, timeout_s=5.0):
        sock.setblocking(False)
        self._sock, self.timeout_s, self._on_push = sock, timeout_s, on_push
        self._in, self._len_max = bytearray(), GREETING_LEN_MAX
        # OpenSSL allows no two threads in one connection; no call under this lock blocks.
        self._io, self._sending = threading.Lock(), threading.RLock()
        self._state = threading.Condition()
        self._pending, self._answers = {}, {}
        self._reading, self._failed, self._number, self._frames = False, None, 1, 0
        self.reports = collections.deque(maxlen=64)  # errors about requests that wanted no answer
        self.skipped = 0  # pushes of later versions
        try:
            self._begin(node, role, (session, *place), address, secret, cluster, epoch_seen)
        except BaseException:
            sock.close()
            raise

    @classmethod
    def connect(cls, endpoint, tls=None, timeout_s=5.0, **hello):
        """Connects to `host:port`; `tls` is an `ssl.SSLContext`. The rest as in the constructor."""
        host, _, port = endpoint.rpartition(":")
        host = host.strip("[]")
        if not host or not port.isdecimal():
            raise BadArgument(f"{endpoint!r} is no HOST:PORT")
        try:
            sock = socket.create_connection((host, int(port)), timeout_s)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls:
                sock = tls.wrap_socket(sock, server_hostname=host)
        except (OSError, OverflowError) as error:
            raise Unreachable(f"no connection to {endpoint}: {error}") from None
        try:
            return cls(sock, timeout_s=timeout_s, **hello)
        except (Closed, TimedOut) as error:
            raise Unreachable(f"no switch at {endpoint}: {error}") from None

    def _begin(self, node, role, session, address, secret, cluster, epoch_seen):
        deadline = after(self.timeout_s)
        self.greeting = greeting = self._first(Greeting, 0, deadline)
        must(greeting.version_min <= greeting.version_max, "a greeting without a version")
        if not greeting.version_min <= VERSION <= greeting.version_max:
            raise Unreachable(f"the switch speaks the versions {greeting.version_min} to "
                              f"{greeting.version_max}, this client {VERSION}")
        hello = Hello(MAGIC, VERSION, role, 0 if secret is None else 1, 0, cluster, epoch_seen,
                      *session, 0, 1, 0, node, address, bytes(32))
        if secret is not None:
            hello = hello._replace(proof=proof_of(secret, greeting.nonce, encode(hello)))
        self._transmit(encode(hello, 1))
        self.welcome = welcome = self._first(Welcome, 1, deadline)
        must(welcome.role == role, f"the role {welcome.role} where {role} was asked for")
        must(welcome.features == 0, f"the features {welcome.features:#x}, which nobody asked for")
        must(welcome.cluster == greeting.cluster, "another cluster than in the greeting")
        must(welcome.epoch >= max(greeting.epoch, epoch_seen), f"the old epoch {welcome.epoch}")
        must((welcome.map_version, welcome.groups, welcome.group) == (0, 1, 0), "another group")
        must(0 < welcome.lease_ms < welcome.exclusion_ms, "a lease that outlasts the exclusion")
        must(welcome.frame_len_max >= HEADER_LEN and welcome.items_max, "limits that allow nothing")
        self._len_max = welcome.frame_len_max

    def _first(self, kind, number, deadline):
        got = self._next_frame(deadline)
        if isinstance(got.body, Error):
            raise self._refusal(got, True)
        must(isinstance(got.body, kind) and got.id == number,
             f"{type(got.body).__name__} with number {got.id} where {kind.__name__} is due")
        return got.body

    @staticmethod
    def _refusal(got, early=False):
        error = ERRORS.get(got.body.code, Refused)(got.body)
        closes = ERROR_CLOSES.get(type(error).__name__)
        must(early or closes in (None, error.closes), f"closes {error.closes} in the error {error}")
        return error

    # Reading.

    def _wait(self, events, deadline):
        poll = select.poll()
        poll.register(self._sock, events)
        left = left_until(deadline)
        ready = poll.poll(None if left is None else left * 1000)
        return ready[0][1] if ready else 0

    def _check_len(self, length):
        """Judges a frame by its first 12 bytes, so that no more of one that is too long is kept."""
        most, number = self._len_max, int.from_bytes(self._in[8:12], "little")
        if length > most and 0x80 <= self._in[4] < 0xFF:
            with self._state:
                pending = self._pending.get(number)
            if pending:
                most = max(most, answer_len_max(pending.request))
        must(length <= most, f"a frame of {length} bytes; at most {most} are allowed")

    def _next_frame(self, deadline):
        while True:
            length = int.from_bytes(self._in[:4], "little")
            must(len(self._in) < 4 or length >= HEADER_LEN, f"a frame of {length} bytes")
            if len(self._in) >= HEADER_LEN:
                self._check_len(length)
                if len(self._in) >= length:
                    data = bytes(self._in[:length])
                    del self._in[:length]
                    return decode(data)
            wanted = select.POLLIN
            try:
                with self._io:
                    data = self._sock.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError):
                data = None
            except ssl.SSLWantWriteError:
                data, wanted = None, select.POLLOUT
            except OSError as error:
                raise Closed(f"the connection broke: {error}") from None
            if data is None:
                if not self._wait(wanted, deadline):
                    raise TimedOut("the switch sent nothing in time")
            elif data:
                self._in += data
            else:
                raise Closed("the switch closed the connection")

    def _dispatch(self, got):
        body, number = got.body, got.id
        if 0x40 <= body.kind < 0x80:
            self._push(got)
            return
        if isinstance(body, Error):
            result = self._refusal(got)
            if not number:
                if result.closes:
                    raise result
                self.reports.append(result)
                return
        else:
            result = body
        with self._state:
            pending = self._pending.get(number)
            must(pending, f"{type(body).__name__} to the request {number}, which is not under way")
            if result is body:
                must(body.kind == pending.request.kind + 0x80,
                     f"{type(body).__name__} to {type(pending.request).__name__}")
                check_answer(pending.request, pending.flags, body, self.welcome.shards)
            del self._pending[number]
            if not pending.on_answer:
                self._answers[number] = result
        if pending.on_answer:
            pending.on_answer(result)
        if result is not body and result.closes:
            raise result

    def _push(self, got):
        body = got.body
        if isinstance(body, UnknownPush):
            self.skipped += 1
            return
        must(not isinstance(body, Greeting), "a second greeting")
        if isinstance(body, (Grant, PortGone)):
            for item in body[1]:
                check_sequence(item.sequence, item.name, self.welcome.shards)
        elif isinstance(body, Messages):
            for item in body.messages:
                must(item.sequence >> 56 < self.welcome.shards, f"the sequence {item.sequence:#x}")
        must(self._on_push, f"the push {type(body).__name__} on a connection that has none")
        self._on_push(got)

    def until(self, done, timeout_s=None):
        """Reads, or waits while another thread reads, until `done()`; else raises what ended it."""
        deadline = after(timeout_s)
        with self._state:
            while not done():
                if self._failed:
                    raise self._failed
                if self._reading:
                    if not self._state.wait(left_until(deadline)):
                        raise TimedOut("no answer in time")
                    continue
                self._reading = True
                self._state.release()
                failure = None
                try:
                    self._dispatch(self._next_frame(deadline))
                except TimedOut:
                    raise
                except BypssError as error:
                    failure = error
                finally:
                    self._state.acquire()
                    self._reading = False
                    self._frames += 1
                    self._failed = self._failed or failure
                    self._state.notify_all()

    # Writing.

    def _transmit(self, data):
        deadline = after(self.timeout_s)
        with self._sending:
            rest = memoryview(data)
            while rest:
                try:
                    with self._io:
                        rest = rest[self._sock.send(rest):]
                except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    self._relieve(deadline)
                except OSError as error:
                    # What the switch said before it closed says more than the broken pipe does.
                    try:
                        self.until(lambda: False, 0.2)
                    except TimedOut:
                        pass
                    raise self._end(Closed(f"the connection broke: {error}"))

    def _relieve(self, deadline):
        """Both sides may be full of what the other does not read: reads while it cannot write."""
        if not left_until(deadline):
            raise self._end(Closed("the switch takes nothing, and half a frame is sent"))
        ready = self._wait(select.POLLIN | select.POLLOUT, after(0.05))
        if ready & select.POLLIN and not ready & select.POLLOUT:
            seen = self._frames
            try:
                self.until(lambda: self._frames != seen, 0.05)
            except TimedOut:
                pass

    def _end(self, why):
        with self._state:
            self._failed = self._failed or why
            self._state.notify_all()
            return self._failed

    def send_raw(self, data):
        """Sends bytes as they are, for tests of what the switch does with a wrong frame."""
        self._transmit(data)

    def submit(self, request, flags=0, on_answer=None):
        """Sends a request; the number that `answer` wants. `on_answer(answer or error)` instead."""
        with self._state:
            if self._failed:
                raise self._failed
            if len(self._pending) + len(self._answers) >= OUTSTANDING_MAX:
                raise BadArgument(f"{OUTSTANDING_MAX} requests are under way; take answers first")
            number = self._number = self._number % 0xFFFFFFFF + 1
            while number in self._pending or number in self._answers:
                number = self._number = self._number % 0xFFFFFFFF + 1
            data = self._whole(encode(request, number, flags))
            self._pending[number] = Pending(request, flags, on_answer)
        self._transmit(data)
        return number

    def submit_unanswered(self, request):
        """Sends a request of messages that wants no answer."""
        self._transmit(self._whole(encode(request)))

    def _whole(self, data):
        if len(data) > self._len_max:
            raise BadArgument(f"a frame of {len(data)} bytes; {self._len_max} are allowed")
        return data

    def answer(self, number, timeout_s=None):
        """Waits for the answer to a request; an `ERROR` is raised as `Refused`."""
        with self._state:
            if number not in self._pending and number not in self._answers:
                raise BadArgument(f"no request {number} is under way")
        self.until(lambda: number in self._answers, timeout_s or self.timeout_s)
        with self._state:
            result = self._answers.pop(number)
        if isinstance(result, BypssError):
            raise result
        return result

    def call(self, request, flags=0, timeout_s=None):
        return self.answer(self.submit(request, flags), timeout_s)

    def close(self):
        """Ends the connection; threads that wait on it get `Closed`."""
        self._end(Closed("this side closed the connection"))
        try:
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
        except OSError:
            pass
        with self._state:
            self._state.wait_for(lambda: not self._reading, 1.0)
        self._sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def name_len(name):
    """Bytes that a name takes in a frame."""
    return len(NAME.put(name))


def batches(welcome, things, cost, fixed_len=0):
    """Splits by both limits: of items, and of the frame's bytes."""
    batch, length = [], 0
    room = welcome.frame_len_max - HEADER_LEN - 4 - fixed_len
    for thing in things:
        if batch and (len(batch) >= welcome.items_max or length + cost(thing) > room):
            yield batch
            batch, length = [], 0
        batch.append(thing)
        length += cost(thing)
    if batch:
        yield batch


# ---- a node's session ----

# What `Session.events` has. `Ended` is the last: why the receive connection is no more.
Message = namedtuple("Message", "name token data")  # a broadcast has neither name nor token
PortGranted = namedtuple("PortGranted", "name token")
PortIsGone = namedtuple("PortIsGone", "name token reason")
CacheFlushed = namedtuple("CacheFlushed", "reason")  # of `FLUSH`; 0: a gap between notices
WaitLost = namedtuple("WaitLost", "name state")  # asked for again, as after `FLUSH`, and refused
Leaving = namedtuple("Leaving", "reason hint")
Ended = namedtuple("Ended", "error")
# After these the session is over; after anything else it may be resumed.
OVER = (Evicted, Lapsed, WrongCluster, SessionEnded)


def locked(method):
    """A method that runs under its session's lock, which may be taken again by the same thread."""
    @functools.wraps(method)
    def under_lock(self, *arguments):
        with self._lock:
            return method(self, *arguments)
    return under_lock


class Flight:
    """A query under way with the notices that came meanwhile: they win over its answer."""

    def __init__(self, names):
        self.gone, self.flushed = dict.fromkeys(names, 0), False


def lease_clock():
    """Seconds on a clock that goes on while the machine sleeps, as the switch's does."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Session:
    """What a node is to the switch: a lease, ports, messages, and a cache of owners.

    Two connections: pushes and `RELET` on one, all else on the other, so that a full send
    connection delays no lease. It does not reconnect by itself: after `Ended` the caller may
    `open()` again, which resumes the session if the switch still has it. Events that nobody takes
    from `events` are dropped and counted, since the thread that would wait for the taker also
    reads the lease's answers.
    """

    def __init__(self, endpoint, node, *, session=None, connect=Connection.connect, timeout_s=5.0,
                 clock=lease_clock, events_max=10_000, held_max=1_000, cache_max=65_536, **hello):
        self.endpoint, self.node, self.id = endpoint, node, session or os.urandom(16)
        self.events, self.dropped = queue.Queue(), 0
        self.grants, self.waiting, self.resumed, self.ended = {}, set(), False, None
        self._connect, self._clock, self._hello = connect, clock, dict(hello, timeout_s=timeout_s)
        self._timeout_s, self._events_max = timeout_s, events_max
        self._held_max, self._cache_max = held_max, cache_max
        self._cluster, self._epoch, self._authority_until = NOBODY, 0, 0.0
        self._generation = 0
        self._names, self._cache, self._flights = {}, {}, []
        self._held = collections.deque()  # messages of grants whose answer is still on its way
        self._notice, self._receive, self._send, self._threads = None, None, None, []
        self._told = set()  # sequences of grants that `events` has told of
        self._lock, self._owning, self._stop = threading.RLock(), threading.Lock(), None
        self._lost = threading.Event()  # notices were lost, and a `GRANT` may have been among them

    # Its beginning and end.

    def open(self):
        """Begins the session, or resumes it on new connections; `resumed` says which it was."""
        if isinstance(self.ended, OVER):
            raise self.ended
        self.disconnect()
        with self._lock:
            self._notice, self.ended = None, None
            self._drop_cache()  # notices may have been lost with the connection before
        hello = dict(self._hello, node=self.node, session=self.id, cluster=self._cluster)
        self._receive = receive = self._connect(
            self.endpoint, place=self._place(0), on_push=self._handle_push,
            epoch_seen=self._epoch, **hello)
        welcome, self._stop = receive.welcome, threading.Event()
        hello["cluster"] = self._cluster = welcome.cluster
        if welcome.epoch != self._epoch:
            self._forget()
        self._epoch, self._lease_s = welcome.epoch, welcome.lease_ms / 1000
        sent, answers = self._clock(), []

        def on_answer(answer):
            if isinstance(answer, WaitMsgAnswer):
                with self._lock:
                    self._notice = answer.notice
                    if answer.state != 1:
                        self._forget()
                    self._extend(sent, welcome.lease_ms)
            answers.append(answer)
        try:
            receive.submit(WaitMsg(), on_answer=on_answer)
            receive.until(lambda: answers, self._timeout_s)
            if isinstance(answers[0], BypssError):
                raise answers[0]
            self.resumed = answers[0].state == 1
            self._threads = [threading.Thread(target=task, args=(receive, self._stop), daemon=True)
                             for task in (self._receive_all, self._relet_all)]
            for thread in self._threads:
                thread.start()
            self._send = self._connect(self.endpoint, place=self._place(1),
                                       epoch_seen=self._epoch, **hello)
            must(self._send.welcome.epoch == self._epoch, "two connections with two epochs")
            if self.resumed:
                self._lost.set()
            again = threading.Thread(target=self._wait_again_all, args=(self._stop,), daemon=True)
            self._threads.append(again)
            again.start()
        except BaseException:
            self.disconnect()
            raise
        return self

    def _place(self, index):
        """A connection's index, and a generation above all before, of whichever process they were."""
        self._generation = max(self._generation + 1, time.time_ns())
        return index, self._generation

    def close(self):
        """Gives every port and every place in a queue back, then ends the session."""
        try:
            if self.ended is None and self.waiting:
                self.cancel_wait(sorted(self.waiting))
            self.yield_()
            self._stop.set()
            # What comes on another connection after the session's end is refused.
            self._send.call(Bye(0))
            self._receive.call(Bye(1))
        except (BypssError, AttributeError):
            pass  # the switch frees a session that is silent
        self.disconnect()

    def disconnect(self):
        """Ends the connections and not the session: its ports stay until the switch's exclusion."""
        if self._stop:
            self._stop.set()
        self._lost.set()  # wakes who waits for it
        for connection in (self._send, self._receive):
            if connection:
                connection.close()
        for thread in self._threads:
            thread.join(self._timeout_s)
        self._threads, self._send, self._receive = [], None, None
        self._lost.clear()

    def __enter__(self):
        return self.open()

    def __exit__(self, *_):
        self.close()

    def _receive_all(self, receive, stop):
        try:
            receive.until(lambda: False)
        except BypssError as error:
            if stop.is_set():
                return
            with self._lock:
                self.ended = error
                if isinstance(error, OVER):
                    self._forget()
                    self._authority_until = 0.0
            self._tell(Ended(error))

    def _relet_all(self, receive, stop):
        number, lease_s = 0, [self._lease_s]
        while not stop.wait(lease_s[0] / 3):
            number, sent = number + 1, self._clock()

            def on_answer(answer, sent=sent):
                if isinstance(answer, ReletAnswer):
                    lease_s[0] = answer.lease_ms / 1000
                    self._extend(sent, answer.lease_ms)
            try:
                receive.submit(Relet(number), on_answer=on_answer)
            except BypssError:
                return

    def _wait_again_all(self, stop):
        """A thread of its own: who reads the notices must not wait for another answer."""
        while self._lost.wait() and not stop.is_set():
            self._lost.clear()
            try:
                self._wait_again()
            except Refused as error:
                if error.closes:
                    return
                stop.wait(0.1)  # `Busy`, or the grace of a new master
                self._lost.set()
            except BypssError:
                return

    def _wait_again(self):
        """Asks again for what was waited for: its grant or its place in the queue may be lost."""
        with self._owning:
            with self._lock:
                names = sorted(self.waiting)
            for result in self._register(names, WAIT):
                with self._lock:
                    token = self.grants.get(result.name)
                    if token:
                        self._tell_granted(result.name, token.sequence)
                    elif result.state not in ("Waiting", "Mine"):
                        self.waiting.discard(result.name)
                        self._tell(WaitLost(result.name, result.state))

    def _extend(self, sent, lease_ms):
        """The lease runs from the sending: the answer says nothing about how long it took."""
        with self._lock:
            if not isinstance(self.ended, OVER):
                self._authority_until = max(self._authority_until, sent + lease_ms / 1000)

    @locked
    def authority_s(self):
        """How long this node may still act as owner, in seconds, if no further answer comes."""
        return max(0.0, self._authority_until - self._clock())

    @locked
    def token(self, name):
        """The token of a port for which this node may act at this moment, else None."""
        return self.grants.get(name) if self.authority_s() > 0 else None

    # What is pushed.

    def _tell(self, event):
        if self.events.qsize() >= self._events_max and not isinstance(event, Ended):
            self.dropped += 1
        else:
            self.events.put(event)

    def _handle_push(self, got):
        body = got.body
        with self._lock:
            must(self._notice is not None, f"{type(body).__name__} before WAIT_MSG was answered")
            if isinstance(body, (Grant, PortGone, Flush)):
                must(body.notice >= self._notice, f"notice {body.notice} again")
                if body.notice > self._notice:
                    self._drop_cache()
                    self._tell(CacheFlushed(0))
                    self._lost.set()
                self._notice = body.notice + (1 if isinstance(body, Flush) else len(body[1]))
            if isinstance(body, Messages):
                for item in body.messages:
                    self._handle_message(item.sequence, item.blob)
            elif isinstance(body, Grant):
                for item in body.grants:
                    self._grant(item.name, item.sequence)
                    self._tell_granted(item.name, item.sequence)
            elif isinstance(body, PortGone):
                for item in body.ports:
                    self._handle_gone(item)
            elif isinstance(body, Flush):
                self._drop_cache()
                self._tell(CacheFlushed(body.reason))
                self._lost.set()
            elif isinstance(body, SwitchLeaving):
                self._tell(Leaving(body.reason, body.hint))
            else:
                must(False, f"{type(body).__name__} on a receive connection")

    def _tell_granted(self, name, sequence):
        """Once a grant, whether its push or the answer to asking again came first."""
        if sequence not in self._told:
            self._told.add(sequence)
            self._tell(PortGranted(name, Token(self._epoch, sequence)))

    def _handle_message(self, sequence, data):
        if not sequence:
            self._tell(Message(None, None, data))
        elif sequence in self._names:
            self._tell(Message(self._names[sequence], Token(self._epoch, sequence), data))
        else:
            if len(self._held) >= self._held_max:
                self._held.popleft()
                self.dropped += 1
            self._held.append((sequence, data))

    def _handle_gone(self, item):
        for flight in self._flights:
            if item.name in flight.gone:
                flight.gone[item.name] = max(flight.gone[item.name], item.sequence)
        if item.name in self._cache and self._cache[item.name].sequence <= item.sequence:
            del self._cache[item.name]
        self._tell(PortIsGone(item.name, Token(self._epoch, item.sequence), item.reason))

    @locked
    def _grant(self, name, sequence):
        before = self.grants.get(name)
        self.waiting.discard(name)
        if before and before.sequence >= sequence:
            return
        if before:
            self._release(name)
        self.grants[name], self._names[sequence] = Token(self._epoch, sequence), name
        held, self._held = self._held, collections.deque()
        for sequence, data in held:
            self._handle_message(sequence, data)

    def _release(self, name):
        token = self.grants.pop(name, None)
        if token:
            self._names.pop(token.sequence, None)
            self._told.discard(token.sequence)

    def _drop_cache(self):
        self._cache.clear()
        for flight in self._flights:
            flight.flushed = True

    def _forget(self):
        """The session is new to the switch, or over: nothing that it had is left."""
        with self._lock:
            self._drop_cache()
            for thing in (self.grants, self._names, self._told, self.waiting, self._held):
                thing.clear()

    # Requests.

    def call(self, request, flags=0):
        """One request on the send connection."""
        if isinstance(self.ended, OVER):
            raise self.ended
        if not self._send:
            raise Closed("the session is not open")
        return self._send.call(request, flags)

    def _batches(self, things, cost, fixed_len=0):
        if not self._send:
            raise Closed("the session is not open")
        return batches(self._send.welcome, things, cost, fixed_len)

    def register(self, names, subscribe=False, wait=False):
        """Takes ports; a `Registration` for each name, in their order."""
        with self._owning:
            return self._register(names, SUBSCRIBE * subscribe | WAIT * wait)

    def _register(self, names, flags):
        results = []
        for batch in self._batches(names, name_len):
            answer = self.call(RegPort(batch), flags)
            batch = registrations(batch, flags, answer, self._send.welcome.shards)
            with self._lock:
                for result in batch:
                    if result.state == "granted":
                        self._grant(result.name, result.sequence)
                    elif result.state == "Waiting" and result.name not in self.grants:
                        self.waiting.add(result.name)
            results += batch
        strange = [result.name for result in results
                   if result.state == "Mine" and result.name not in self.grants]
        if strange:
            self.adopt(strange)
        return results

    def adopt(self, names):
        """Learns the grants of ports of ours that never arrived, as after a broken connection."""
        for found in self.query(names):
            if found.state == "owned" and found.owner.node == self.node:
                self._grant(found.name, found.sequence)

    def wait(self, names):
        """`register`, and a place in the queue for what another holds; then `PortGranted` comes."""
        return self.register(names, wait=True)

    def cancel_wait(self, names):
        """How many waited and do so no more. For any other a `PortGranted` came, or will."""
        count = 0
        with self._owning:  # or they are asked for again meanwhile
            for batch in self._batches(names, name_len):
                count += self.call(CancelWait(batch)).count
                with self._lock:
                    self.waiting.difference_update(batch)
        return count

    def unregister(self, names):
        """Gives ports back; a dict of the names that failed: "Free", "NotMine" or "Stale"."""
        failed, names = {}, list(names)
        with self._owning:
            with self._lock:
                ours = [name for name in dict.fromkeys(names) if name in self.grants]
                failed.update((name, "NotMine") for name in names if name not in self.grants)
                ports = [(self.grants[name].sequence, name) for name in ours]
                for _, name in ports:
                    self._release(name)  # an owner stops to act before it says so
            for batch in self._batches(ports, lambda port: 8 + len(NAME.put(port[1]))):
                try:
                    answer = self.call(UnregPort(batch))
                except Refused as error:
                    if not error.closes:  # nothing was done, so these are ours as before
                        for sequence, name in ports[ports.index(batch[0]):]:
                            self._grant(name, sequence)
                    raise
                for failure in answer.failures:
                    failed[batch[failure.item][1]] = code_name(UNREG_CODES, failure.code)
        return failed

    def yield_(self):
        """Gives all ports back at once. Sent on the receive connection, where its answer stands
        between the grants that it took back and those that came after it; an evicted session has
        only the other connection left."""
        with self._owning:
            with self._lock:
                self._release_all(None)
            if self.ended or not self._receive:
                # The one request that an evicted session is allowed, on what is left to it.
                if self._send:
                    self._send.call(Yield())
                return
            answers = []

            def on_answer(answer):
                self._release_all(answer)
                answers.append(answer)
            self._receive.submit(Yield(), on_answer=on_answer)
            self._receive.until(lambda: answers, self._timeout_s)
            if isinstance(answers[0], BypssError):
                raise answers[0]

    def _release_all(self, answer):
        with self._lock:
            if not isinstance(answer, BypssError):
                self.grants.clear()
                self._names.clear()
                self._told.clear()

    def query(self, names, subscribe=False):
        """Who owns each name: a `Lookup` for each. With `subscribe` the owners are cached."""
        results = []
        for batch in self._batches(names, name_len):
            flight = Flight(batch)
            with self._lock:
                self._flights.append(flight)
            try:
                answer = self.call(QueryPort(batch), SUBSCRIBE * subscribe)
                for found in lookups(batch, answer, self._send.welcome.shards):
                    with self._lock:
                        if found.state == "owned" and flight.gone[found.name] >= found.sequence:
                            found = found._replace(state="gone")
                        if found.state == "owned" and subscribe and not flight.flushed:
                            if len(self._cache) >= self._cache_max:
                                self._cache.pop(next(iter(self._cache)))
                            self._cache[found.name] = found
                        results.append(found)
            finally:
                with self._lock:
                    self._flights.remove(flight)
        return results

    def subscribe(self, names):
        return self.query(names, subscribe=True)

    def unsubscribe(self, names):
        with self._lock:
            for name in names:
                self._cache.pop(name, None)
        return sum(self.call(Unsubscribe(batch)).count
                   for batch in self._batches(names, name_len))

    def owner(self, name):
        """The cached owner, else the switch's answer, which is then cached."""
        with self._lock:
            if self.ended or self.authority_s() <= 0:
                self._drop_cache()
            if name in self._cache:
                return self._cache[name]
        return self.subscribe([name])[0]

    def send(self, name, data):
        """One message to the owner of `name`."""
        return self.send_all([(name, data)])

    def send_all(self, messages):
        """Messages, each to its own port: (name, bytes) pairs."""
        return self._sum(Send(batch) for batch in self._batches(
            messages, lambda each: len(NAME.put(each[0])) + len(each[1]) + 4))

    def send_many(self, data, names):
        """One message to many ports."""
        return self._sum(SendMany(data, batch) for batch in self._batches(
            names, name_len, len(data) + 4))

    def broadcast(self, data):
        """One message to every other session."""
        return self._sum([Broadcast(data)])

    def _sum(self, requests):
        totals = [0, 0, 0]
        for request in requests:
            totals = [a + b for a, b in zip(totals, self.call(request))]
        return SendAnswer(*totals)


# ---- the command line ----

def printable(text):
    """Text of others that moves no cursor and begins no line: what does not print is escaped."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode()
                   for each in text)


def emit(args, text, **fields):
    """One line for people, or one JSON object."""
    print(json.dumps(fields) if args.json else printable(text), flush=True)


def secret_of(data):
    """The secret in a file: one end of a line behind it is not of it, and all else is."""
    return data[:-2] if data.endswith(b"\r\n") else data[:-1] if data.endswith(b"\n") else data


def hello_of(args):
    hello = {"timeout_s": args.timeout}
    try:
        if args.secret_file:
            with open(args.secret_file, "rb") as file:
                hello["secret"] = secret_of(file.read())
        if args.tls_ca:
            hello["tls"] = ssl.create_default_context(cafile=args.tls_ca)
            if args.tls_cert:
                hello["tls"].load_cert_chain(args.tls_cert, args.tls_key)
    except OSError as error:
        files = (args.secret_file, args.tls_ca, args.tls_cert, args.tls_key)
        names = ", ".join(filter(None, files))
        raise BadArgument(f"one of {names} is of no use: {error}") from None
    return hello


def connection(args, role, on_push=None):
    return Connection.connect(args.endpoint, node=args.node, role=role, on_push=on_push,
                              **hello_of(args))


def open_session(args):
    identity = bytes.fromhex(args.session) if args.session else None
    return Session(args.endpoint, args.node, session=identity, address=args.address,
                   **hello_of(args)).open()


def emit_registrations(args, results):
    for each in results:
        owner = each.owner.node if each.owner else ""
        emit(args, f"{each.state:13} {each.sequence:016x} {each.name} {owner}".rstrip(),
             name=each.name, state=each.state, sequence=each.sequence, owner=owner or None)


def run_register(args):
    """Leaves the ports to the session whose id it prints: until `unregister`, or the exclusion."""
    session = open_session(args)
    try:
        emit(args, f"session {session.id.hex()}", session=session.id.hex(), node=args.node)
        results = session.register(args.names)
        emit_registrations(args, results)
    finally:
        session.disconnect()
    return 0 if all(each.state in ("granted", "Mine") for each in results) else 1


def run_unregister(args):
    if not args.session:
        raise BadArgument("unregister needs the --session that register printed, and its --node")
    session = open_session(args)
    try:
        if not session.resumed:
            raise BypssError(f"the session {args.session} is over; nothing is to be given back")
        session.adopt(args.names)
        failed = session.unregister(args.names)
    finally:
        session.disconnect()
    for name in args.names:
        state = failed.get(name, "released")
        emit(args, f"{state:13} {name}", name=name, state=state)
    return 1 if failed else 0


def run_query(args):
    found_all = []
    with connection(args, NODE) as conn:
        for names in batches(conn.welcome, args.names, name_len):
            found_all += lookups(names, conn.call(QueryPort(names)), conn.welcome.shards)
        for found in found_all:
            node, address = found.owner or ("", "")
            text = f"{found.state:8} {found.sequence:016x} {found.name} {node} {address}"
            emit(args, text.rstrip(), name=found.name, state=found.state, sequence=found.sequence,
                 node=node or None, address=address or None, epoch=conn.welcome.epoch)
    return 0


def run_send(args):
    with connection(args, NODE) as conn:
        answer = conn.call(Send([(args.name, args.text.encode())]))
    emit(args, " ".join(f"{key} {value}" for key, value in answer._asdict().items()),
         **answer._asdict())
    return 0 if answer.delivered == 1 else 1


def run_hold(args):
    """`hold` and `listen`: keeps ports, shows what comes, gives the ports back at the end."""
    with open_session(args) as session:
        results = session.wait(args.names)
        emit_registrations(args, results)
        bad = [each for each in results if each.state not in ("granted", "Mine", "Waiting")]
        if bad:
            return 1
        deadline, messages = after(args.seconds), 0
        while args.count is None or messages < args.count:
            try:
                event = session.events.get(timeout=left_until(deadline))
            except queue.Empty:
                return 1 if args.count is not None else 0
            fields = {key: value for key, value in event._asdict().items() if key != "token"}
            fields["sequence"] = getattr(getattr(event, "token", None), "sequence", 0)
            if isinstance(event, Ended):
                raise event.error
            if isinstance(event, Message):
                messages += 1
                fields["data"] = event.data.decode(errors="backslashreplace")
            emit(args, f"{type(event).__name__} " + " ".join(map(str, fields.values())),
                 event=type(event).__name__, **fields)
    return 0


def run_status(args):
    with connection(args, OBSERVER) as conn:
        values = conn.call(Status()).values
        if args.json:
            emit(args, "", **dict(values))
        for key, value in () if args.json else values:
            emit(args, f"{key} {value}")
    return 0


def run_list(args):
    """`nodes` and `ports`."""
    with connection(args, OBSERVER) as conn:
        cursor, count_max = 0, min(1000, conn.welcome.items_max)
        while True:
            request = (ListNodes(cursor, count_max) if args.command == "nodes"
                       else ListPorts(cursor, count_max, args.prefix))
            answer = conn.call(request)
            for entry in answer.entries:
                fields = entry._asdict()
                if args.command == "nodes":
                    fields.update(session=entry.session.hex(),
                                  state=code_name(NODE_STATES, entry.state))
                emit(args, " ".join(f"{key} {value}" for key, value in fields.items()), **fields)
            if not answer.cursor:
                return 0
            must(answer.entries or answer.cursor != cursor, "a list that does not go on")
            cursor = answer.cursor


def run_watch(args):
    events, deadline = collections.deque(), after(args.seconds)

    def on_push(got):
        must(isinstance(got.body, Events) and got.id == number, "a push that is not of this watch")
        events.extend(got.body.events)
    with connection(args, OBSERVER, on_push) as conn:
        number = conn.submit(Watch(args.prefix))
        conn.answer(number)
        shown = 0
        while args.count is None or shown < args.count:
            try:
                conn.until(lambda: events, left_until(deadline))
            except TimedOut:
                return 1 if args.count is not None else 0
            event = events.popleft()
            shown += 1
            what = code_name(EVENTS, event.event)
            emit(args, f"{what:10} {event.sequence:016x} {event.name} {event.node}",
                 event=what, sequence=event.sequence, name=event.name,
                 node=event.node)
    return 0


# Command, what runs it, its arguments, its own options, its help.
COMMANDS = (
    ("register", run_register, ("names",), (), "take ports and leave them to the session printed"),
    ("unregister", run_unregister, ("names",), (), "give ports of --session back"),
    ("query", run_query, ("names",), (), "who owns ports"),
    ("send", run_send, ("name", "text"), (), "send one message"),
    ("listen", run_hold, ("names",), ("seconds", "count"), "hold ports and print their messages"),
    ("hold", run_hold, ("names",), ("seconds", "count"), "hold ports until Ctrl-C"),
    ("status", run_status, (), (), "the switch's values"),
    ("nodes", run_list, (), (), "the nodes"),
    ("ports", run_list, ("prefix",), (), "the ports whose names begin with PREFIX"),
    ("watch", run_watch, ("prefix",), ("seconds", "count"), "print what happens to such ports"))
DEFAULTS = {"endpoint": os.environ.get("BYPSS_ENDPOINT"), "address": "", "secret_file": None,
            "session": None, "tls_ca": None, "tls_cert": None, "tls_key": None, "timeout": 5.0,
            "json": False, "seconds": None, "count": None,
            "node": f"bypss.py-{socket.gethostname()[:32]}-{os.getpid()}"}


def parse(arguments):
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--endpoint", metavar="HOST:PORT", help="the switch; else $BYPSS_ENDPOINT")
    common.add_argument("--node", metavar="ID", help="this node's id. That of another that runs "
                        "evicts it; the default is this process's own")
    common.add_argument("--address", help="where other nodes reach this one")
    common.add_argument("--secret-file", metavar="F",
                        help="a shared secret; one line's end at its end is not of it")
    common.add_argument("--session", metavar="HEX", help="the id of a session to resume")
    common.add_argument("--tls-ca", metavar="F", help="use TLS; who signed the certificate")
    common.add_argument("--tls-cert", metavar="F", help="this node's certificate")
    common.add_argument("--tls-key", metavar="F", help="and its key")
    common.add_argument("--timeout", type=float, metavar="S", help="seconds to wait for an answer")
    common.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser = argparse.ArgumentParser(prog="bypss.py", parents=[common],
                                     description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command, run, positional, options, text in COMMANDS:
        sub = commands.add_parser(command, parents=[common], help=text, description=text)
        sub.set_defaults(run=run)
        for name in positional:
            sub.add_argument(name, metavar=name.upper().rstrip("S"),
                             nargs="+" if name == "names" else None)
        if "seconds" in options:
            sub.add_argument("--for", dest="seconds", type=float, metavar="S",
                             default=argparse.SUPPRESS, help="end after so many seconds")
            sub.add_argument("--count", type=int, metavar="N", default=argparse.SUPPRESS,
                             help="end after so many; with --for, status 1 if fewer came")
    commands.add_parser("selftest", help="check this file; needs no switch").set_defaults(
        run=run_selftest)
    args = parser.parse_args(arguments)
    args.__dict__.update({key: value for key, value in DEFAULTS.items() if key not in args})
    if args.command != "selftest" and not args.endpoint:
        parser.error("which switch? --endpoint HOST:PORT, or BYPSS_ENDPOINT in the environment")
    if args.session and (len(args.session) != 32 or set(args.session) - set("0123456789abcdef")):
        parser.error("--session is 32 hexadecimal digits")
    return args


def main(arguments):
    args = parse(arguments)

    def stop(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, stop)
    try:
        return args.run(args)
    except KeyboardInterrupt:
        return 0 if args.run in (run_hold, run_watch) else 130
    except BrokenPipeError:
        # Who read our output has seen enough; the interpreter would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except BypssError as error:
        name = type(error).__name__
        if args.json:
            print(json.dumps({"error": name, "message": str(error)}), file=sys.stderr)
        else:
            print(printable(f"bypss.py: {name}: {error}"), file=sys.stderr)
        return 3 if isinstance(error, Unreachable) else 2 if isinstance(error, BadArgument) else 1


# ---- the self-test ----

ONES, TWOS, THREES = bytes([0x11] * 16), bytes([0x22] * 32), bytes([0x33] * 16)
A1, B2 = 0x0300000000000001, 0x0100000000000002  # sequences of "a" and "b" where there are 4 shards
# Written by hand from the page and not with `encode`. Number, flags, body, bytes.
VECTORS = (
    (0, 0, Greeting(MAGIC, 1, 1, 0, ONES, 5, TWOS),
     "54000000 40 00 0000 00000000 42595053 0100 0100 0000000000000000" + "11" * 16
     + "0500000000000000" + "22" * 32),
    (1, 0, Hello(MAGIC, 1, 0, 0, 0, ONES, 4, THREES, 5, 258, 0, 1, 0, "n1", "a:1", bytes(32)),
     "81000000 01 00 0000 01000000 42595053 0100 00 00 0000000000000000" + "11" * 16
     + "0400000000000000" + "33" * 16 + "0500 0201000000000000"
     + "0000000000000000 0100 0000 026e31 03613a31" + "00" * 32),
    (1, 0, Welcome(1, 0, 4, 0, ONES, 5, 0, 1, 0, 9000, 12000, 1 << 20, 1000, 65536, "s"),
     "52000000 81 00 0000 01000000 0100 00 04 0000000000000000" + "11" * 16 + "0500000000000000"
     "0000000000000000 0100 0000 28230000 e02e0000 00001000 e8030000 00000100 0173"),
    (2, 0, WaitMsg(), "0c000000 02 00 0000 02000000"),
    (2, 0, WaitMsgAnswer(1, 9), "15000000 82 00 0000 02000000 01 0900000000000000"),
    (3, 0, Relet(7), "14000000 03 00 0000 03000000 0700000000000000"),
    (7, 3, RegPort(["a"]), "12000000 04 03 0000 07000000 01000000 0161"),
    (7, 0, RegPortAnswer([(B2, 1)], [("n2", "")], [(1, 1, 0, A1)]),
     "36000000 84 00 0000 07000000 01 0200000000000001 01000000 01000000 026e32 00"
     "01000000 01000000 01 00000000 0100000000000003"),
    (8, 0, UnregPort([(A1, "a"), (B2, "b")]),
     "24000000 05 00 0000 08000000 02000000 0100000000000003 0200000000000001 0161 0162"),
    (9, 0, QueryPortAnswer([], [(0, FREE)]),
     "20000000 86 00 0000 09000000 00000000 01000000 0000000000000000 ffffffff"),
    (0, 0, Send([("a", b"hi")]), "15000000 07 00 0000 00000000 01000000 0161 026869"),
    (4, 0, SendMany(b"x", ["a"]), "14000000 08 00 0000 04000000 0178 01000000 0161"),
    (0, 0, Messages([(0, b"")]), "19000000 41 00 0000 00000000 01000000 0000000000000000 00"),
    (0, 0, PortGone(1, [(2, A1, "a")]),
     "23000000 43 00 0000 00000000 0100000000000000 01000000 02 0100000000000003 0161"),
    (0, 0, Error(4, 1, 2, "", "x"),
     "1a000000 ff 00 0000 00000000 0400 01 0200000000000000 00 0178"))
# The proof of the `HELLO` above with credential 1 and the secret "secret", by `openssl dgst -hmac`.
PROOF = "5f30ca421113ce12632892a9988b6e9907ef0770b70dc3ddc9bb7f02ef095745"
# One of each kind that is not above; they are checked by a round trip.
SAMPLES = (
    ReletAnswer(7, 9000), Yield(), YieldAnswer(), Bye(1), ByeAnswer(), UnregPortAnswer([(0, 3)]),
    QueryPort(["a", "\u00e9" * 64]), CancelWait(["a"]), CancelWaitAnswer(1), Unsubscribe(["a"]),
    UnsubscribeAnswer(0), QueryNode(["n"]), QueryNodeAnswer([(1, "x", 9000, 3)]),
    SendAnswer(1, 2, 3), SendManyAnswer(1, 2, 3), Broadcast(b"x" * 300), BroadcastAnswer(1, 0, 0),
    Grant(1, [(A1, "a")]), Flush(3, 2), SwitchLeaving(0, "h:1"), Events([(1, A1, "n", "a")]),
    Ping(), PingAnswer(), Status(), StatusAnswer([("ports", 1)]), ListNodes(0, 9),
    ListNodesAnswer(0, [("n", "x", ONES, 1, 9000, 3, 0)]), ListPorts(0, 9, ""),
    ListPortsAnswer(1, [(A1, "n", "a")]), DropNode("n"), DropNodeAnswer(1), Watch("a/"),
    WatchAnswer())
# What is wrong with each of these frames differs; each is a violation.
MALFORMED = (
    "0b000000 90 00 0000 010000", "0d000000 90 00 0000 01000000", "0d000000 90 00 0000 01000000 00",
    "0c000000 90 10 0000 01000000", "0c000000 90 00 0100 01000000", "0c000000 90 00 0000 00000000",
    "0c000000 3e 00 0000 01000000", "15000000 44 00 0000 01000000 0100000000000000 01",
    "10000000 06 00 0000 01000000 00000000", "11000000 06 00 0000 01000000 01000000 00",
    "13000000 06 00 0000 01000000 01000000 800161", "12000000 06 00 0000 01000000 01000000 01ff",
    "12000000 06 00 0000 01000000 ffffffff 0161", "13000000 06 00 0000 01000000 01000000 8401 61",
    "0e000000 09 00 0000 01000000 8000", "10000000 09 00 0000 01000000 ffffffff",
    "0c000000 0e 00 0000 01000000", "0d000000 0e 00 0000 01000000 02",
    "1a000000 ff 00 0000 00000000 0400 02 0200000000000000 00 0178")


class FakeSwitch:
    """The other end of socket pairs: greets, checks the proof, and answers as a test says."""

    def __init__(self, secret=b"secret"):
        self.secret, self.socks, self.answers, self.seen = secret, {}, {}, []
        self.ports, self.resumed, self.lease_ms, self.items_max = {}, 0, 300, 3

    def connect(self, _endpoint, **hello):
        ours, theirs = socket.socketpair()
        threading.Thread(target=self.run, args=(theirs,), daemon=True).start()
        return Connection(ours, **hello)

    def run(self, sock):
        try:
            self.serve(sock)
        except OSError:
            pass  # the client has left; whether it should have is the test's to say

    def serve(self, sock):
        with sock, sock.makefile("rb") as file:
            sock.sendall(encode(Greeting(MAGIC, 1, 1, 0, ONES, 5, TWOS)))
            while True:
                head = file.read(4)
                if len(head) < 4:
                    return
                data = head + file.read(int.from_bytes(head, "little") - 4)
                got = decode(data)
                self.seen.append(got)
                if isinstance(got.body, WaitMsg):
                    self.socks["receive"] = sock
                answers = self.answers.get(type(got.body), self.default)(got.body, data)
                for answer in answers if isinstance(answers, list) else [answers]:
                    push = 0x40 <= answer.kind < 0x80
                    (self.socks["receive"] if push else sock).sendall(
                        encode(answer, 0 if push else got.id))

    def default(self, body, data):
        if isinstance(body, Hello):
            if body.proof != proof_of(self.secret, TWOS, data):
                return Error(10, 1, 0, "", "the proof is wrong")
            return Welcome(1, body.role, 4, 0, ONES, 5, 0, 1, 0, self.lease_ms, 900, 4096,
                           self.items_max, 999, "s")
        if isinstance(body, WaitMsg):
            self.resumed += 1
            return WaitMsgAnswer(int(self.resumed > 1), 1)
        if isinstance(body, Relet):
            return ReletAnswer(body.relet, self.lease_ms)
        if isinstance(body, RegPort):
            return RegPortAnswer([], [], [(item, 7, FREE, 0) for item in range(len(body.names))])
        if isinstance(body, UnregPort):
            return UnregPortAnswer([])
        return {Yield: YieldAnswer, Bye: ByeAnswer, Ping: PingAnswer}[type(body)]()

    def push(self, *bodies):
        self.socks["receive"].sendall(b"".join(encode(body) for body in bodies))


def raises(kind, call, *arguments):
    try:
        result = call(*arguments)
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was due and came {result!r}, of {arguments!r:.200}")


def same(left, right):
    assert left == right, f"{left!r:.300} is not {right!r:.300}"


def test_every_frame_is_written_and_read_as_the_page_says():
    for number, flags, body, text in VECTORS:
        same(encode(body, number, flags).hex(), text.replace(" ", ""))
        same(decode(bytes.fromhex(text)), Frame(flags, number, body))
    kinds = {type(vector[2]) for vector in VECTORS} | set(map(type, SAMPLES))
    same(kinds, set(FRAMES.values()))
    for body in SAMPLES:
        number = 0 if 0x40 <= body.kind < 0x80 and not isinstance(body, Events) else 7
        same(decode(encode(body, number)), Frame(0, number, body))


def test_lengths_have_one_form():
    for length, head in ((1, "01"), (127, "7f"), (128, "8080"), (200, "80c8"), (1024, "8400")):
        same(NAME.put("x" * length)[:-length].hex(), head)
        same(NAME.take(Reader(NAME.put("x" * length))), "x" * length)
    for length, head in ((0, "00"), (127, "7f"), (128, "8001"), (16384, "808001")):
        same(put_blob(bytes(length))[:len(head) // 2].hex(), head)
        same(len(take_blob(Reader(put_blob(bytes(length))))), length)
    for bad in ("", "x" * 1025, "\ud800", 7 * "\u00e9" * 74):
        raises(BadArgument, NAME.put, bad)


def test_malformed_frames_are_refused():
    for text in MALFORMED:
        raises(Violation, decode, bytes.fromhex(text))
    for number, flags, body, text in VECTORS:
        data = bytes.fromhex(text)
        for length in range(HEADER_LEN, len(data)):
            raises(Violation, decode, U32.put(length) + data[4:length])
        longer = U32.put(len(data) + 1) + data[4:] + b"\0"
        if body.more:
            same(decode(longer).body, body)
        else:
            raises(Violation, decode, longer)


def test_what_is_accepted_has_one_form():
    seed = int.from_bytes(os.urandom(4), "little")
    print(f"  seed {seed}")
    chance = random.Random(seed)
    frames = [encode(body, 7) for body in SAMPLES] + [bytes.fromhex(each[3]) for each in VECTORS]
    for _ in range(20_000):
        data = bytearray(chance.choice(frames))
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(4, len(data))] = chance.choice((0, 1, 2, 127, 128, 255))
        try:
            got = decode(bytes(data))
        except Violation:
            continue
        if not isinstance(got.body, UnknownPush) and not got.body.more:
            same(encode(got.body, got.id, got.flags), bytes(data))


def test_what_others_have_named_writes_no_lines():
    same(printable("evil\x1b]0;pwned\x07\nb \u202e\u00e9"),
         "evil\\x1b]0;pwned\\x07\\nb \\u202e\u00e9")


def test_shards():
    for name, shards, shard in (("123456789", 255, 203), ("123456789", 1, 0), ("123456789", 4, 3),
                                ("a", 4, 3), ("b", 4, 1), ("a", 255, 231)):
        same(shard_of(name, shards), shard)


def test_proof():
    hello = encode(VECTORS[1][2]._replace(credential=1), 1)
    same(proof_of(b"secret", TWOS, hello).hex(), PROOF)
    switch = FakeSwitch()
    switch.connect("", node="n", secret=b"secret").close()
    raises(ERRORS[10], lambda: switch.connect("", node="n", secret=b"Secret"))


def test_one_end_of_a_line_behind_a_secret_is_not_of_it():
    for end, kept in (("", ""), ("\n", ""), ("\r\n", ""), ("\n\n", "\n"), ("\r", "\r"),
                      (" \n", " ")):
        same(secret_of(f"s{end}".encode()), f"s{kept}".encode())


def test_answers_that_do_not_fit_their_requests_are_refused():
    names = ["a", "b"]
    mixed = decode(encode(RegPortAnswer([(A1, 1)], [("n", "")], [(1, 1, 0, 0)]), 7)).body
    reg = registrations(names, 0, mixed, 4)
    same([(each.state, each.sequence) for each in reg], [("granted", A1), ("Held", 0)])
    Row, Own, Err = namedtuple("R", "first count"), namedtuple("O", "n a"), \
        namedtuple("E", "item code owner sequence", defaults=(0,))
    good, owners = [Row(A1, 1), Row(B2, 1)], [Own("n", "")]
    both = registrations(names, 0, RegPortAnswer(good, [], []), 4)
    same([each.sequence for each in both], [A1, B2])
    for flags, error in ((SUBSCRIBE, Err(1, 1, 0, B2)), (SUBSCRIBE | WAIT, Err(1, 8, 0, B2)),
                         (SUBSCRIBE, Err(1, 8, 0)), (SUBSCRIBE, Err(1, 2, 0)), (0, Err(1, 1, 0))):
        held = registrations(names, flags, RegPortAnswer(good[:1], owners, [error]), 4)[1]
        same(held.sequence, error.sequence)
    for grants, errors, flags in (
            (good[:1], [], 0), (good + [Row(7, 1)], [], 0), ([Row(A1, 2), good[1]], [], 0),
            (good[:1] * 2, [], 0), ([Row(5 << 56 | 1, 1), good[1]], [], 0),
            (good, [Err(2, 7, FREE)], 0), (good[:1], [Err(1, 1, 1)], 0),
            (good[:1], [Err(1, 5, 0)], 0), (good[:1], [Err(1, 4, 0)], 0),
            (good[:1], [Err(1, 1, 0)], WAIT), (good[:1], [Err(1, 1, 0)], SUBSCRIBE),
            (good[:1], [Err(1, 1, 0, B2)], 0), (good[:1], [Err(1, 2, 0, B2)], SUBSCRIBE),
            (good[:1], [Err(1, 1, 0, A1)], SUBSCRIBE), (good[:1], [Err(1, 7, FREE, B2)], SUBSCRIBE),
            ([], [Err(1, 7, FREE), Err(0, 7, FREE)], 0)):
        raises(Violation, registrations, names, flags, RegPortAnswer(grants, owners, errors), 4)
    Found = namedtuple("F", "sequence owner")
    for found in (Found(A1, FREE), Found(0, 0), Found(B2, 0), Found(A1, 1)):
        raises(Violation, lookups, ["a"], QueryPortAnswer(owners, [found]), 4)
    raises(Violation, check_answer, Send([("a", b"")]), 0, SendAnswer(1, 1, 0), 4)
    raises(Violation, check_answer, Relet(1), 0, ReletAnswer(2, 9), 4)


def test_connection_pipelines_and_refuses_what_nobody_asked_for():
    switch = FakeSwitch()
    with switch.connect("", node="n", secret=b"secret") as conn:
        numbers = [conn.submit(Ping()) for _ in range(100)]
        for number in reversed(numbers):
            same(conn.answer(number), PingAnswer())
        raises(BadArgument, conn.answer, numbers[0])
        raises(BadArgument, conn.submit, Broadcast(bytes(5000)))
        switch.answers[Ping] = lambda *_: Error(18, 0, 0, "", "much to do")
        same(raises(ERRORS[18], conn.call, Ping()).closes, False)
        switch.answers[Ping] = lambda *_: [PingAnswer(), PingAnswer()]
        conn.call(Ping())
        raises(Violation, lambda: conn.call(Ping()) and conn.call(Ping()))
    for wrong in (YieldAnswer(), Error(18, 1, 0, "", ""), Error(4, 0, 1, "", ""), Flush(1, 1)):
        with switch.connect("", node="n", secret=b"secret") as conn:
            conn.call(WaitMsg())  # the pushes of this switch come here, and nobody is to take them
            switch.answers[Ping] = lambda *_, wrong=wrong: [wrong, PingAnswer()]
            raises(Violation, lambda: conn.call(Ping()) and conn.call(Ping()))


def test_answer_to_a_batch_may_be_longer_than_a_frame_and_nothing_else():
    switch = FakeSwitch()
    switch.items_max = 300
    names = [str(each) for each in range(300)]
    owners = [(f"{each:064}", "y" * 255) for each in range(300)]
    switch.answers[QueryPort] = lambda body, _: QueryPortAnswer(
        owners[:20], [(0, FREE)] * len(body.names)) if len(body.names) < 300 else QueryPortAnswer(
        owners, [(shard_of(name, 4) << 56 | 1, each) for each, name in enumerate(names)])
    with switch.connect("", node="n", secret=b"secret") as conn:
        same(len(conn.call(QueryPort(names)).owners), 300)
        raises(Violation, conn.call, QueryPort(names[:1]))  # no answer to one name is so long
    with switch.connect("", node="n", secret=b"secret", on_push=lambda _: None) as conn:
        conn.call(WaitMsg())
        switch.answers[Ping] = lambda *_: [Messages([(0, bytes(4096))]), PingAnswer()]
        raises(Violation, conn.call, Ping())


def test_what_a_later_version_says_is_skipped_or_kept():
    switch, pushes = FakeSwitch(), []
    Later = namedtuple("Later", "number")
    Later.kind, Later.codecs = 0x7F, (U64,)
    with switch.connect("", node="n", secret=b"secret", on_push=pushes.append) as conn:
        conn.call(WaitMsg())
        switch.answers[Ping] = lambda *_: [Later(9), Flush(1, 77), PortGone(2, [(9, A1, "a")]),
                                           PingAnswer()]
        conn.call(Ping())
        same((conn.skipped, [push.body for push in pushes]),
             (1, [Flush(1, 77), PortGone(2, [(9, A1, "a")])]))
        switch.answers[Ping] = lambda *_: Error(999, 0, 5, "", "news")
        error = raises(Refused, conn.call, Ping())
        same((error.code, error.number, error.closes), (999, 5, False))
        same(str(error), "the code 999 of a later version, news, number 5")
        switch.answers[UnregPort] = lambda *_: UnregPortAnswer([(0, 200)])
        same(conn.call(UnregPort([(A1, "a")])).failures[0].code, 200)
        switch.answers[RegPort] = lambda *_: RegPortAnswer(
            [], [("m", "")], [(0, 99, FREE, 0), (1, 98, 0, 0)])
        same([(each.state, each.owner) for each in registrations(
            ["a", "b"], 0, conn.call(RegPort(["a", "b"])), 4)],
            [("code 99", None), ("code 98", Owner("m", ""))])
        switch.answers[Ping] = lambda *_: Error(999, 1, 0, "", "the end")
        same(raises(Refused, conn.call, Ping()).closes, True)
        raises(Refused, conn.submit, Ping())


def test_client_that_only_sends_still_reads():
    switch = FakeSwitch()
    names = ["x" * 1000 + str(each) for each in range(3)]
    owners = [(str(each) * 64, "y" * 255) for each in range(9)]
    switch.answers[QueryPort] = lambda *_: QueryPortAnswer(owners, [(0, FREE)] * 3)
    with switch.connect("", node="n", secret=b"secret") as conn:
        for number in [conn.submit(QueryPort(names)) for _ in range(OUTSTANDING_MAX)]:
            same(len(conn.answer(number).owners), 9)
        raises(BadArgument, lambda: [conn.submit(Ping()) for _ in range(OUTSTANDING_MAX + 1)])


def test_many_threads_share_one_connection():
    switch, answered = FakeSwitch(), []
    with switch.connect("", node="n", secret=b"secret") as conn:
        def ask(first):
            for number in range(first, first + 200):
                answered.append(conn.call(Relet(number)).relet)
        threads = [threading.Thread(target=ask, args=(place * 200,)) for place in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    same(sorted(answered), list(range(1600)))


def begun(switch, **more):
    return Session("", "n", connect=switch.connect, secret=switch.secret, **more).open()


def next_event(session, kind):
    event = session.events.get(timeout=5)
    assert isinstance(event, kind), f"{event} where {kind.__name__} is due"
    return event


def test_message_that_overtakes_its_grant_is_kept():
    switch = FakeSwitch()
    session = begun(switch, held_max=2)

    def late(*_):
        switch.push(Messages([(A1, b"1"), (A1, b"2"), (A1, b"3")]), Flush(1, 1))
        next_event(session, CacheFlushed)
        return RegPortAnswer([(A1, 1)], [], [])
    switch.answers[RegPort] = late
    same(session.register(["a"])[0].state, "granted")
    same([next_event(session, Message).data for _ in range(2)], [b"2", b"3"])
    same((session.dropped, session.token("a")), (1, Token(5, A1)))
    switch.answers[UnregPort] = lambda *_: Error(18, 0, 0, "", "")
    raises(ERRORS[18], session.unregister, ["a"])
    same(session.token("a"), Token(5, A1))
    switch.answers.pop(UnregPort)
    same((session.unregister(["a", "z"]), session.token("a")), ({"z": "NotMine"}, None))
    session.close()


def test_grant_that_overtakes_the_answer_waiting_wins():
    switch = FakeSwitch()
    session = begun(switch)
    switch.answers[RegPort] = lambda *_: RegPortAnswer([], [("m", "")], [(0, 4, 0, 0)])
    session.wait(["a"])
    same(session.waiting, {"a"})
    switch.push(Grant(1, [(A1, "a")]))
    same(next_event(session, PortGranted).token, Token(5, A1))
    session.wait(["a"])
    same((session.waiting, session.token("a")), (set(), Token(5, A1)))
    for sequence in (A1 + 1, A1):  # of two grants of one port the later counts, however they come
        session._grant("a", sequence)
    same(session.token("a"), Token(5, A1 + 1))
    session.close()
    same(session.token("a"), None)


def test_what_was_waited_for_is_registered_again_where_a_grant_may_be_lost():
    switch, asked = FakeSwitch(), queue.Queue()

    def waiting(body, data):
        asked.put((body.names, data[5]))
        return RegPortAnswer([], [("m", "")], [(item, 4, 0, 0) for item in range(len(body.names))])
    switch.answers[RegPort] = waiting
    session = begun(switch)
    session.wait(["a", "b"])
    again = (["a", "b"], WAIT)
    same(asked.get(timeout=5), again)
    switch.push(Flush(1, 1))
    same(asked.get(timeout=5), again)
    switch.push(PortGone(7, [(1, B2, "b")]))  # a gap
    same(asked.get(timeout=5), again)
    session.open()
    same((session.resumed, asked.get(timeout=5), session.waiting), (True, again, {"a", "b"}))
    # The grants were lost: one is in the answer, one is ours already, and is told of once.
    switch.answers[QueryPort] = lambda *_: QueryPortAnswer([("n", "")], [(B2, 0)])
    switch.answers[RegPort] = lambda *_: RegPortAnswer([(A1, 1)], [("n", "")], [(1, 2, 0, 0)])
    while not session.events.empty():
        session.events.get()
    switch.push(Flush(1, 2))
    next_event(session, CacheFlushed)
    same({next_event(session, PortGranted) for _ in "ab"},
         {PortGranted("a", Token(5, A1)), PortGranted("b", Token(5, B2))})
    switch.push(Grant(2, [(B2, "b")]), Flush(3, 1))
    next_event(session, CacheFlushed)
    same((session.waiting, set(session.grants)), (set(), {"a", "b"}))
    # No place is to be had any more, and that is told.
    switch.answers[RegPort] = waiting
    session.wait(["a2"])
    switch.answers[RegPort] = lambda *_: RegPortAnswer([], [], [(0, 5, FREE, 0)])
    switch.push(Flush(4, 1))
    same({session.events.get(timeout=5) for _ in "ab"}, {CacheFlushed(1), WaitLost("a2", "Quota")})
    same(session.waiting, set())
    session.close()


def test_notice_that_overtakes_a_query_wins_and_a_gap_empties_the_cache():
    switch = FakeSwitch()
    session = begun(switch)
    found = QueryPortAnswer([("m", "x:1")], [(A1, 0)])
    switch.answers[QueryPort] = lambda *_: found
    same(session.owner("a").owner, Owner("m", "x:1"))
    switch.answers.pop(QueryPort)
    same(session.owner("a").sequence, A1)  # from the cache: the switch would not answer now
    switch.push(PortGone(1, [(1, A1, "a")]))
    next_event(session, PortIsGone)
    gone = threading.Event()

    def late(*_):
        switch.push(PortGone(2, [(1, A1, "a")]))
        gone.wait(5)
        return found
    switch.answers[QueryPort] = late
    threading.Thread(target=lambda: (next_event(session, PortIsGone), gone.set())).start()
    same(session.owner("a").state, "gone")
    switch.answers[QueryPort] = lambda *_: found
    session.owner("a")
    switch.push(PortGone(7, [(1, B2, "b")]))
    same(next_event(session, CacheFlushed).reason, 0)
    same(session._cache, {})
    switch.push(PortGone(7, [(1, B2, "b")]))
    next_event(session, PortIsGone)
    assert isinstance(next_event(session, Ended).error, Violation)
    session.close()


def test_authority_runs_from_the_sending_and_ends_with_the_session():
    switch, now = FakeSwitch(), [100.0]
    switch.answers[WaitMsg] = lambda *_: (now.__setitem__(0, 100.2), WaitMsgAnswer(0, 1))[1]
    relets = threading.Event()
    switch.answers[Relet] = lambda body, _: relets.wait(5) and ReletAnswer(body.relet, 300)
    switch.answers[RegPort] = lambda *_: RegPortAnswer([(A1, 1)], [], [])
    session = begun(switch, clock=lambda: now[0])
    assert abs(session.authority_s() - 0.1) < 1e-6, session.authority_s()
    session.register(["a"])
    now[0] = 100.31
    same(session.token("a"), None)
    relets.set()
    deadline = time.monotonic() + 5
    while session.token("a") is None and time.monotonic() < deadline:
        session._receive.until(lambda: session.authority_s() > 0, 5)
    same(session.token("a"), Token(5, A1))
    switch.push(Error(4, 1, 2, "", "a newer session"))
    same(next_event(session, Ended).error.number, 2)
    same((session.token("a"), session.authority_s()), (None, 0.0))
    raises(Evicted, session.register, ["a"])
    raises(Evicted, session.open)
    session.yield_()
    assert any(isinstance(got.body, Yield) for got in switch.seen), switch.seen
    session.close()


def test_session_resumes_with_its_ports():
    switch = FakeSwitch()
    switch.answers[RegPort] = lambda *_: RegPortAnswer([(A1, 1)], [], [])
    session = begun(switch)
    session.register(["a"])
    switch.socks["receive"].shutdown(socket.SHUT_RDWR)
    assert isinstance(next_event(session, Ended).error, Closed)
    session.open()
    same((session.resumed, session.token("a")), (True, Token(5, A1)))
    switch.resumed = 0
    session.open()
    same((session.resumed, session.token("a")), (False, None))
    session.close()


def test_connections_follow_those_before_them_in_their_places():
    switch = FakeSwitch()
    session = begun(switch)
    session.open()
    session.close()
    places = [(got.body.index, got.body.generation) for got in switch.seen
              if isinstance(got.body, Hello)]
    same([index for index, _ in places], [0, 1, 0, 1])
    same(places[0][1] < places[2][1] and places[1][1] < places[3][1], True)


def test_session_ends_when_its_other_connection_has():
    switch = FakeSwitch()
    session = begun(switch)
    session.close()
    said = [type(got.body)(*got.body) for got in switch.seen if isinstance(got.body, (Yield, Bye))]
    same(said, [Yield(), Bye(0), Bye(1)])
    switch.answers[WaitMsg] = lambda *_: Error(20, 1, 0, "", "it has said so")
    raises(SessionEnded, begun, switch)


def run_selftest(_args):
    failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_"):
            continue
        try:
            test()
            print(f"ok    {name}")
        except Exception:  # whatever it is, the other tests go on
            failed += 1
            print(f"WRONG {name}\n{traceback.format_exc()}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
