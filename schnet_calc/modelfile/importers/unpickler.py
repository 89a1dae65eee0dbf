"""Reading pickles without running anything that they name.

A pickle is a program for a small stack machine. Python's own machine calls what the program names, reserves a
memo as long as the largest index in it, and hashes whatever is made a key: even with harmless classes a few
bytes ask for gigabytes or overflow the stack. This machine has the same instructions but cannot call: a name
becomes an :class:`Inert`, a call on it another one, and only functions in a table of the reader's own build
anything else.
"""

import pickle
import struct
from collections.abc import Callable, Mapping
from typing import Any

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.importers.pickle_stack import Inert, Stack

LONGEST = 2**26
"""Bytes of a pickle; weights are stored beside it."""
MOST_STEPS = 200_000
"""Instructions of all pickles of a file; a model has some ten thousand."""
MOST_ARGUMENTS = 20
"""Of a function that is rebuilt here."""
DAMAGE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error)
"""What damaged bytes may raise while they are taken apart."""

Rebuild = Mapping[str, Callable[[tuple[Any, ...]], Any]]


class Unpickler(Stack):
    """The stack machine.

    Parameters
    ----------
    data : bytes
        One or several pickles, one behind the other.
    rebuild : mapping
        Functions of one tuple of arguments, by the path that a pickle calls them by.
    persistent : callable
        What stands for a reference to something outside of the pickle.
    at : int
        Where to begin; moves on with every :meth:`load`.
    """

    def __init__(
        self, data: bytes, rebuild: Rebuild, persistent: Callable[[Any], Any], at: int = 0
    ) -> None:
        super().__init__(data, at)
        self.rebuild, self.persistent = rebuild, persistent
        self.steps = 0

    def load(self) -> Any:
        """Return the object of the next pickle.

        Raises
        ------
        ModelFileError
            It is damaged, too long, or has instructions that no model needs.
        """
        self.values, self.marks, self.memo = [], [], {}
        start = self.at
        try:
            while self.steps < MOST_STEPS:
                self.steps += 1
                code = self.data[self.at]
                self.at += 1
                if code == pickle.STOP[0]:
                    return self.pop()
                if code not in OPERATIONS:
                    raise ModelFileError(
                        f"the pickle has the instruction {code:#04x}, which no model needs"
                    )
                OPERATIONS[code](self)
                if self.at - start > LONGEST:
                    break
        except ModelFileError:
            raise
        except DAMAGE as error:
            raise ModelFileError(f"damaged pickle near byte {self.at} ({error!s:.80})") from error
        raise ModelFileError(f"a pickle of more than {MOST_STEPS} instructions or {LONGEST} bytes")

    def call(self, function: Any, args: Any) -> Any:
        """Return what stands for a call; nothing is called but the reader's own functions."""
        if not isinstance(function, Inert) or not isinstance(args, tuple):
            raise ValueError("a call of what is no name")
        if function.args is None and function.path in self.rebuild:
            if len(args) > MOST_ARGUMENTS:
                raise ValueError(f"{len(args)} arguments of {function.path}")
            # A text that is remembered once can be an argument again and again.
            self.spend(sum(len(a) for a in args if isinstance(a, str | bytes)))
            return self.rebuild[function.path](args)
        return Inert(function.path, args)


def _key(key: Any) -> Any:
    """Return a key that is cheap to hash, or a stand-in: nested tuples as keys can take forever."""
    simple = isinstance(key, str | bool) or key is None or (isinstance(key, int) and key.bit_length() < 60)
    return key if simple else Inert("key", (key,))


def _put_items(flat: list[Any], target: Any) -> None:
    if len(flat) % 2:
        raise ValueError("a key without a value")
    if isinstance(target, Inert) and target.items is None:
        target.items = {}
    items = target.items if isinstance(target, Inert) else target
    if not isinstance(items, dict):
        raise ValueError("items for what holds none")
    items.update((_key(k), v) for k, v in zip(flat[::2], flat[1::2], strict=True))


def _append(values: list[Any], target: Any) -> None:
    if isinstance(target, Inert) and target.entries is None:
        target.entries = []
    entries = target.entries if isinstance(target, Inert) else target
    if not isinstance(entries, list):
        raise ValueError("entries for what is no list")
    entries.extend(values)


def _named(machine: Unpickler, module: Any, name: Any) -> None:
    if not isinstance(module, str) or not isinstance(name, str) or len(module) + len(name) > 1000:
        raise ValueError("a name that is none")
    machine.spend(len(module) + len(name))
    machine.push(Inert(f"{module.replace('__builtin__', 'builtins')}.{name}"))


def _build(machine: Unpickler) -> None:
    state, target = machine.pop(), machine.top()
    # Attributes of dictionaries and tensors say nothing about what these hold.
    if isinstance(target, Inert):
        target.state = state


def _reduce(machine: Unpickler) -> None:
    args, function = machine.pop(), machine.pop()
    machine.push(machine.call(function, args))


def _new_with_keywords(machine: Unpickler) -> None:
    _keywords, args, kind = machine.pop(), machine.pop(), machine.pop()
    machine.push(machine.call(kind, args))


def _tuple(n: int) -> Callable[[Unpickler], None]:
    return lambda machine: machine.push(tuple(reversed([machine.pop() for _ in range(n)])))


def _dict(machine: Unpickler) -> None:
    flat, made = machine.pop_marked(), {}  # type: ignore[var-annotated]
    _put_items(flat, made)
    machine.push(made)


def _remember(machine: Unpickler, index: int) -> None:
    machine.memo[index] = machine.top()


def _whole(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


def _push_text(machine: Unpickler, layout: str) -> None:
    raw = machine.blob(layout)
    if not raw.isascii():  # one sign can make Python take four bytes for each
        machine.spend(3 * len(raw))
    machine.push(raw.decode("utf-8", "surrogatepass"))


OPERATIONS: dict[int, Callable[[Unpickler], Any]] = {
    pickle.PROTO[0]: lambda m: m.number("<B"),
    pickle.FRAME[0]: lambda m: m.number("<Q"),
    pickle.MARK[0]: lambda m: m.marks.append(len(m.values)),
    pickle.POP[0]: lambda m: m.pop(),
    pickle.POP_MARK[0]: lambda m: m.pop_marked(),
    pickle.NONE[0]: lambda m: m.push(None),
    pickle.NEWTRUE[0]: lambda m: m.push(True),
    pickle.NEWFALSE[0]: lambda m: m.push(False),
    pickle.BININT[0]: lambda m: m.push(m.number("<i")),
    pickle.BININT1[0]: lambda m: m.push(m.number("<B")),
    pickle.BININT2[0]: lambda m: m.push(m.number("<H")),
    pickle.BINFLOAT[0]: lambda m: m.push(m.number(">d")),
    pickle.LONG1[0]: lambda m: m.push(_whole(m.blob("<B"))),
    pickle.LONG4[0]: lambda m: m.push(_whole(m.blob("<i"))),
    pickle.BINUNICODE[0]: lambda m: _push_text(m, "<I"),
    pickle.BINUNICODE8[0]: lambda m: _push_text(m, "<Q"),
    pickle.SHORT_BINUNICODE[0]: lambda m: _push_text(m, "<B"),
    pickle.BINSTRING[0]: lambda m: m.push(m.blob("<i").decode("latin1")),
    pickle.SHORT_BINSTRING[0]: lambda m: m.push(m.blob("<B").decode("latin1")),
    pickle.BINBYTES[0]: lambda m: m.push(m.blob("<I")),
    pickle.BINBYTES8[0]: lambda m: m.push(m.blob("<Q")),
    pickle.SHORT_BINBYTES[0]: lambda m: m.push(m.blob("<B")),
    pickle.EMPTY_TUPLE[0]: lambda m: m.push(()),
    pickle.TUPLE1[0]: _tuple(1),
    pickle.TUPLE2[0]: _tuple(2),
    pickle.TUPLE3[0]: _tuple(3),
    pickle.TUPLE[0]: lambda m: m.push(tuple(m.pop_marked())),
    pickle.FROZENSET[0]: lambda m: m.push(tuple(m.pop_marked())),
    pickle.EMPTY_LIST[0]: lambda m: m.push([]),
    pickle.EMPTY_SET[0]: lambda m: m.push([]),
    pickle.LIST[0]: lambda m: m.push(m.pop_marked()),
    pickle.APPEND[0]: lambda m: _append([m.pop()], m.top()),
    pickle.APPENDS[0]: lambda m: _append(m.pop_marked(), m.top()),
    pickle.ADDITEMS[0]: lambda m: _append(m.pop_marked(), m.top()),
    pickle.EMPTY_DICT[0]: lambda m: m.push({}),
    pickle.DICT[0]: _dict,
    pickle.SETITEM[0]: lambda m: _put_items([m.pop(), m.pop()][::-1], m.top()),
    pickle.SETITEMS[0]: lambda m: _put_items(m.pop_marked(), m.top()),
    pickle.BINGET[0]: lambda m: m.push(m.memo[m.number("<B")]),
    pickle.LONG_BINGET[0]: lambda m: m.push(m.memo[m.number("<I")]),
    pickle.BINPUT[0]: lambda m: _remember(m, m.number("<B")),
    pickle.LONG_BINPUT[0]: lambda m: _remember(m, m.number("<I")),
    pickle.MEMOIZE[0]: lambda m: _remember(m, len(m.memo)),
    pickle.GLOBAL[0]: lambda m: _named(m, m.line(), m.line()),
    pickle.STACK_GLOBAL[0]: lambda m: _named(m, name=m.pop(), module=m.pop()),
    pickle.REDUCE[0]: _reduce,
    pickle.NEWOBJ[0]: _reduce,
    pickle.NEWOBJ_EX[0]: _new_with_keywords,
    pickle.BUILD[0]: _build,
    pickle.BINPERSID[0]: lambda m: m.push(m.persistent(m.pop())),
}
"""What every instruction does, arguments taken off the stack in turn. Those of protocol 0, whose texts Python would
evaluate, are not among them."""
