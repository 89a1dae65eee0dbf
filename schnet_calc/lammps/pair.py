"""``pair_style schnet``: what the plugin calls, in the Python around LAMMPS or in one that it started."""

import ctypes
import traceback
from ctypes import POINTER, c_char_p, c_double, c_int, c_int64, c_void_p
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schnet_calc.errors import DoubtfulStructureError, SchNetCalcError
from schnet_calc.lammps.checks import LammpsError, numbers_of
from schnet_calc.lammps.evaluator import DistributedEvaluator, Surroundings
from schnet_calc.lammps.guard import RankGuard
from schnet_calc.lammps.pairs import find_pairs
from schnet_calc.model import Model
from schnet_calc.modelfile import model_sources

OPTIONS = ("dtype", "on_doubt", "max_forces_std")
"""Words of ``pair_style schnet``, each with a value behind it."""
FINE, FAILED_HERE, FAILED_EVERYWHERE = 0, 1, 2


class Step(ctypes.Structure):
    """The plugin's struct of the same name."""

    _fields_ = (
        *(
            (n, c_int64)
            for n in ("n_own", "n_all", "n_types", "ago", "tag_bytes", "wants_atoms", "periodic")
        ),
        ("skin", c_double),
        *((n, c_void_p) for n in ("positions", "types", "tags", "forces", "energies", "totals")),
    )


Compute = ctypes.CFUNCTYPE(c_int, POINTER(Step))


class PluginRanks:
    """What ranks agree on and exchange, by LAMMPS' own communication.

    Parameters
    ----------
    library : str
        The plugin.
    pair : int
        Address of the pair style.
    """

    def __init__(self, library: str, pair: int) -> None:
        self._library, self._pair = ctypes.CDLL(library), c_void_p(pair)
        self._library.schnet_arguments.restype = c_char_p
        self.rank: int = self._library.schnet_rank(self._pair)
        self.size: int = self._library.schnet_size(self._pair)

    def call(self, name: str, *arguments: Any) -> Any:
        """Call one of the plugin's functions for this pair style."""
        return getattr(self._library, name)(self._pair, *arguments)

    def forward(self, rows: NDArray) -> None:
        """Fill ghosts' rows of (M, C) features, without a unit."""
        self._exchange(rows, 1)

    def reverse(self, rows: NDArray) -> None:
        """Add ghosts' rows of (M, C) numbers, in their unit, to those of their owners."""
        self._exchange(rows, 0)

    def _exchange(self, rows: NDArray, forward: int) -> None:
        doubles, single = rows.shape[1] * rows.itemsize // 8, int(rows.itemsize == 4)
        self.call("schnet_exchange", c_void_p(rows.ctypes.data), doubles, single, forward)

    def total(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sums (n,) over all ranks, in the unit of the values."""
        result = np.array(values, float)
        self.call("schnet_agree", c_void_p(result.ctypes.data), len(result), 0)
        return result

    def least(self, value: int) -> int:
        """Return the smallest value of any rank."""
        result = np.array([value], float)
        self.call("schnet_agree", c_void_p(result.ctypes.data), 1, 1)
        return int(result[0])

    def share(self, text: str, root: int) -> str:
        """Return the text that rank ``root`` has, up to 2000 bytes."""
        buffer = ctypes.create_string_buffer(text.encode()[:2000], 2048)
        self.call("schnet_tell", buffer, 2048, root)
        return buffer.value.decode(errors="replace")


class PairSchNet:
    """A model behind a pair style.

    Parameters
    ----------
    ranks : PluginRanks
        Of the pair style, which knows the arguments: options, ``--``, model and elements.

    Raises
    ------
    LammpsError
        Unknown options or elements.
    """

    def __init__(self, ranks: PluginRanks) -> None:
        self.ranks = ranks
        options, _, rest = ranks.call("schnet_arguments").decode().partition("--\n")
        text, *elements = rest.split()
        numbers = numbers_of(elements)
        self._numbers = np.concatenate([[0], numbers])
        model = Model(model_sources(text), device="cpu", **parse_options(options.split()))
        self.evaluator = DistributedEvaluator(model)
        self.evaluator.check_elements(numbers)
        self.guard = RankGuard(model, numbers)
        self.reach = max(self.evaluator.cutoff, self.guard.reach)
        """Å, which LAMMPS adds its skin to."""
        self._around: Surroundings | None = None
        self.compute = Compute(self._called)
        widest = max(self.evaluator.width * self.evaluator.itemsize // 8, 3)
        ranks.call("schnet_known", self.compute, c_double(self.reach), widest)

    def _called(self, pointer: Any) -> int:
        """Evaluate a step; what went wrong, and whether on all ranks."""
        try:
            self._evaluate(pointer[0])
        except DoubtfulStructureError as error:
            self.ranks.call("schnet_message", str(error).encode())
            return FAILED_EVERYWHERE
        except BaseException as error:
            if not isinstance(error, (SchNetCalcError, MemoryError)):
                traceback.print_exception(error)
            self.ranks.call("schnet_message", (str(error) or type(error).__name__).encode())
            return FAILED_HERE
        return FINE

    def _evaluate(self, step: Step) -> None:
        reasons: list[str] = []
        positions = _view(step.positions, (step.n_all, 3), c_double)
        if step.ago == 0 or self._around is None:
            reasons += self._renew(step, positions.copy())
        assert self._around is not None
        around = self._around._replace(positions=positions)
        share = self.evaluator.evaluate(around, self.ranks)
        self.guard.look(self.ranks, around, share, reasons)

        # LAMMPS sums over ranks, and wants -sum r (x) dE/dr in the order xx, yy, zz, xy, xz, yz.
        virial = -0.5 * (share.virial + share.virial.T)
        totals = _view(step.totals, (7,), c_double)
        totals[0], totals[1:] = share.energies.sum(), virial[(0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2)]
        if step.n_own:
            _view(step.forces, (step.n_own, 3), c_double)[:] += share.forces
            if step.energies:
                _view(step.energies, (step.n_own,), c_double)[:] += share.energies

    def _renew(self, step: Step, positions: NDArray[np.float64]) -> list[str]:
        """Which ghosts are images of own atoms, and pairs, after LAMMPS has shared the atoms out anew."""
        n_own, n_all = step.n_own, step.n_all
        tags = _view(step.tags, (n_all,), c_int64 if step.tag_bytes == 8 else c_int).astype(np.int64)
        numbers = self._numbers[_view(step.types, (n_all,), c_int)]
        home = images_home(tags, n_own)
        before = 0 if self._around is None else len(self._around.i)
        i, j = find_pairs(positions, home, n_own, self.reach + step.skin, before)
        where = np.arange(n_all)
        self._around = Surroundings(positions, home, where, numbers, tags, n_own, i, j)
        return self.guard.compositions(self.ranks, numbers[:n_own], bool(step.periodic))


def images_home(tags: NDArray[np.int64], n_own: int) -> NDArray[np.int64]:
    """Return the index (M,) of each atom's row: images of own atoms have theirs, others' one for each ghost."""
    home, own, ghosts = np.arange(len(tags)), tags[:n_own], tags[n_own:]
    if not n_own:
        return home
    order = np.argsort(own, kind="stable")
    place = order[np.minimum(np.searchsorted(own[order], ghosts), n_own - 1)]
    mine = own[place] == ghosts
    home[n_own:][mine] = place[mine]
    return home


def parse_options(words: list[str]) -> dict[str, Any]:
    """Return the settings of a model in ``pair_style schnet dtype float64 on_doubt stop``.

    Raises
    ------
    LammpsError
        An unknown word, or no value behind one.
    """
    found: dict[str, Any] = {}
    for name, value in zip(words[::2], [*words[1::2], ""], strict=False):
        if name not in OPTIONS or not value:
            known = ", ".join(OPTIONS)
            raise LammpsError(f"pair_style schnet: {name} {value}".rstrip() + f", but options are {known}")
        found[name] = float(value) if name == "max_forces_std" else value
    return found


_open: dict[int, PairSchNet] = {}


def open_pair(library: str, pair: int) -> None:
    """Open the model of a pair style; on an error, tell it what is wrong."""
    ranks = PluginRanks(library, pair)
    try:
        _open[pair] = PairSchNet(ranks)
    except (SchNetCalcError, ValueError, OSError, MemoryError) as error:
        ranks.call("schnet_message", str(error).encode())


def close_pair(pair: int) -> None:
    """Forget a pair style that is gone."""
    _open.pop(pair, None)


def _view(address: int | None, shape: tuple[int, ...], kind: Any) -> NDArray[Any]:
    """LAMMPS' memory as an array; it has none where a rank has no atoms."""
    size = int(np.prod(shape))
    if not address or not size:
        return np.zeros(shape, kind)
    array = np.ctypeslib.as_array(ctypes.cast(address, POINTER(kind)), (size,))
    return array.reshape(shape)
