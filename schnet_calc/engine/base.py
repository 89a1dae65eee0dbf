"""What every engine does around its own arithmetic: checks, pairs, chunks, errors, splitting."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from schnet_calc.engine.checks import check_structure, named
from schnet_calc.engine.chunks import chunked, is_out_of_memory
from schnet_calc.engine.prediction import Prediction, Totals
from schnet_calc.engine.resident import Resident
from schnet_calc.errors import TooManyPairsError
from schnet_calc.modelfile import Potential
from schnet_calc.structures.geometries import Geometries
from schnet_calc.structures.neighbors import HalfPairs, NeighborLists
from schnet_calc.structures.structure import Structure


class Item(NamedTuple):
    """A structure of a batch, checked, with its pairs."""

    place: int
    """In the batch."""
    structure: Structure
    pairs: HalfPairs
    """Maybe some beyond the cutoff."""


class Engine(ABC):
    """Evaluates a potential for one structure or many.

    Parameters
    ----------
    potential : Potential
        A loaded model.
    device : torch.device
        Where the network is evaluated.
    dtype : torch.dtype
        Floating point type of the evaluation.
    lists : NeighborLists, optional
        Shared with others that look at the same batches.
    """

    name = ""
    memory: float = 2**31
    """Bytes that a batch may need; what needs more is evaluated in parts."""

    def __init__(
        self,
        potential: Potential,
        device: torch.device,
        dtype: torch.dtype,
        lists: NeighborLists | None = None,
    ) -> None:
        self.potential, self.device, self.dtype = potential, device, dtype
        self.lists = lists or NeighborLists()
        self.cutoff = potential.cutoff
        self.offsets = np.full(max(potential.reference_energies) + 1, np.nan)
        """(Z,) reference energies by atomic number, eV; not a number for elements that aren't known."""
        for z in potential.elements:
            self.offsets[z] = potential.reference_energies[z]
        self.set_up()

    def set_up(self) -> None:  # noqa: B027 - some have nothing
        """Make what the arithmetic needs of the potential; called once, by the constructor."""

    @property
    def pair_bytes(self) -> int:
        """Bytes that a batch needs for each of its unordered pairs, about."""
        shape = {"n_features": 128, "n_interactions": 6, **self.potential.metadata.hyperparameters}
        return int(20 * shape["n_features"] * shape["n_interactions"] * self.dtype.itemsize)

    @property
    def most_pairs(self) -> float:
        """Unordered pairs in one call of :meth:`compute`."""
        return self.memory / self.pair_bytes

    @property
    def heads(self) -> dict[str, str]:
        """Further outputs that the model has, and how they arise from numbers of atoms."""
        config = self.potential.metadata.config
        return {} if config is None else config.heads

    @abstractmethod
    def hessian(self, structure: Structure) -> NDArray[np.float64]:
        """Return (3N, 3N) second derivatives of the energy of one structure, eV/Å²."""

    @abstractmethod
    def compute(self, items: Sequence[Item], heads: Sequence[str]) -> list[Prediction]:
        """Evaluate some checked structures; too little memory may raise anything.

        Parameters
        ----------
        items : sequence of Item
            At least one.
        heads : sequence of str
            Further outputs that are asked for.
        """

    def evaluate(
        self, structures: Sequence[Structure], heads: Sequence[str] | None = None
    ) -> list[Prediction]:
        """Evaluate structures as one batch.

        Parameters
        ----------
        structures : sequence of Structure
            Of any sizes.
        heads : sequence of str, optional
            Names of further outputs to compute; all that the model has by default.

        Raises
        ------
        BadStructureError
            No atoms, unknown elements, coincident atoms, positions or cells that are not finite.
        NotFiniteError
            The network returned values that are not finite.
        MemoryError
            There is too little memory, even for one structure at a time.
        """
        wanted = list(self.heads) if heads is None else [h for h in heads if h in self.heads]
        return self._evaluate(list(enumerate(structures)), wanted, len(structures))

    def totals(self, geometries: Geometries) -> Totals:
        """What :meth:`evaluate` says of geometries of the same atoms, as arrays; overridden where it is faster."""
        return Totals.of(self.evaluate(geometries.structures(), []))

    def resident(self, structure: Structure, count: int) -> Resident | None:
        """Return what evaluates tensors of a device, if that is best for batches of the same atoms.

        Parameters
        ----------
        structure : Structure
            One of the batch.
        count : int
            B.
        """
        return None

    def _evaluate(
        self, places: Sequence[tuple[int, Structure]], heads: list[str], count: int
    ) -> list[Prediction]:
        """The same for some places of a batch; by halves where memory is short."""
        if not places:
            return []
        try:
            if count == 1:  # at twenty atoms, what follows would be a noticeable share of the step
                return self.compute([self._item(*places[0])], heads)
            found: list[Prediction] = []
            for part in chunked(
                self._items(places, count), lambda item: len(item.pairs.i), self.most_pairs
            ):
                with named(part[0].place, count):  # compute() says which of the part it means
                    found += self.compute(part, heads)
            return found
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if len(places) < 2:
                if isinstance(error, TooManyPairsError):
                    raise
                n_atoms = len(places[0][1].numbers)
                raise MemoryError(
                    f"a structure of {n_atoms} atoms needs more memory than there is on {self.device}"
                ) from error
        self.forget()
        half = len(places) // 2
        return self._evaluate(places[:half], heads, count) + self._evaluate(places[half:], heads, count)

    def hidden(self, structures: Sequence[Structure]) -> list[dict[str, NDArray[np.float64]]]:
        """Return (N, H) activations, without a unit, of each graded head's last hidden layer, by structure.

        Raises
        ------
        ValueError
            The network is none of this package.
        """
        found: list[dict[str, NDArray[np.float64]]] = []
        items = self._items(list(enumerate(structures)), len(structures))
        for part in chunked(items, lambda item: len(item.pairs.i), self.most_pairs):
            found += self.hidden_of(part)
        return found

    @abstractmethod
    def hidden_of(self, items: Sequence[Item]) -> list[dict[str, NDArray[np.float64]]]:
        """Return (N, H) activations, without a unit, of the last hidden layers for some checked structures."""

    def forget(self) -> None:  # noqa: B027 - most keep none
        """Give back memory that is kept for later calls."""

    def _items(self, places: Sequence[tuple[int, Structure]], count: int) -> Iterator[Item]:
        for place, structure in places:
            with named(place, count):
                item = self._item(place, structure)
            yield item

    def _item(self, place: int, structure: Structure) -> Item:
        check_structure(structure, self.offsets)
        return Item(place, structure, self.lists.pairs(place, structure, self.cutoff))
